"""Meshes drawn by the project's own renderer, lit by the depth's own slopes."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backproject.geometry.mesh import Mesh
from backproject.geometry.rig import Camera, Rig
from backproject.metrics.compare import distances_to
from backproject.rendering.render import render
from backproject.report.colors import CLAY as CLAY
from backproject.report.colors import ERROR_STOPS as ERROR_STOPS
from backproject.report.colors import ERRORS as ERRORS
from backproject.report.colors import INFERRED as INFERRED
from backproject.report.colors import error_colors as error_colors

OVERSAMPLING = 2
"""Pixels are drawn this many times finer along each side and averaged: smooth outlines."""
STRIPE = 10
"""The width of stripes, of colour and of violet, in pixels of the finer image."""
PAPER = np.array([1.0, 1.0, 1.0])
JUMP = 0.02
"""Depth that differs by more than this share from pixel to pixel belongs to two surfaces."""
Points = NDArray[np.float64]


def camera_around(
    mesh: Mesh, direction: ArrayLike, size: int, *, up: ArrayLike = (0.0, 1.0, 0.0)
) -> Rig:
    """Return one camera that looks along -`direction` at the mesh, upright, and holds all of it.

    It stands at five radii: far enough that near and far parts are drawn alike.
    """
    distance = 5.0
    fov_deg = 2 * np.degrees(np.arcsin(1 / distance)) * 1.02
    toward = np.asarray(direction, float) / np.linalg.norm(direction)
    position = mesh.centroid + distance * mesh.radius * toward
    return Rig.looking_at([position], target=mesh.centroid, up=up, size=size, fov_deg=fov_deg)


def shaded(
    mesh: Mesh,
    rig: Rig,
    *,
    color: NDArray[np.float64] = CLAY,
    inferred: NDArray[np.float64] | None = None,
    threads: int = 0,
) -> NDArray[np.float64]:
    """Return the mesh as the rig's first camera sees it, (H, W, 3) from 0 to 1, on white.

    What is only inferred (`Mesh.support`) has the colour `inferred`, if given.
    """
    surface = visible_surface(mesh, rig, threads=threads)
    colors = np.broadcast_to(color, (len(surface.light), 3))
    if inferred is not None:
        only_inferred = inferred_points(surface, mesh, rig, threads=threads)
        colors = np.where(only_inferred[:, None], inferred, colors)
    return surface.painted(colors)


def shaded_by_error(
    reconstruction: Mesh, truth: Mesh, rig: Rig, *, threads: int = 0
) -> NDArray[np.float64]:
    """Return the reconstruction as the rig's first camera sees it, (H, W, 3), coloured by its exact
    distance to the truth, in diameters of that; violet stripes lie on what is only inferred.
    """
    surface = visible_surface(reconstruction, rig, threads=threads)
    colors = error_colors(distances_to(truth, surface.points) / (2 * truth.radius))
    inferred = inferred_points(surface, reconstruction, rig, threads=threads)
    colors[inferred & _striped(surface.hit)] = INFERRED
    return surface.painted(colors, contrast=0.5)


def visible_surface(mesh: Mesh, rig: Rig, *, threads: int = 0) -> Surface:
    """Return the points that the rig's first camera sees of the mesh, at its finer pixels."""
    fine = finer(rig, OVERSAMPLING)
    return Surface(_depth(mesh, fine, threads=threads), fine[0])


def _depth(mesh: Mesh, rig: Rig, *, threads: int) -> NDArray[np.float64]:
    if len(mesh.faces) == 0:
        return np.full((rig.height, rig.width), np.inf)
    return np.asarray(render(mesh, rig, threads=threads).depth[0], float)


def inferred_points(
    surface: Surface, mesh: Mesh, rig: Rig, *, threads: int = 0
) -> NDArray[np.bool_]:
    """Return which points (P,) of the mesh's `visible_surface` lie on faces that no camera saw.

    The two sides of a sheet can lie on one another: that one counts which faces the rig's camera.
    """
    seen = mesh.seen_faces
    if seen.all():
        return np.zeros(len(surface.light), np.bool_)
    eye = rig.eyes_world[0]
    toward = eye[:3] - eye[3] * mesh.triangles[:, 0]
    facing = np.einsum("fk,fk->f", mesh.area_vectors, toward) > 0
    fine = finer(rig, OVERSAMPLING)
    of_seen, of_inferred = (
        _depth(Mesh(mesh.vertices, mesh.faces[facing & part]), fine, threads=threads)
        for part in (seen, ~seen)
    )
    # where the mesh is open, it may be behind
    visible = of_inferred <= surface.depth + _jump(surface.depth, rig[0])
    return np.asarray((visible & (of_inferred < of_seen))[surface.hit])


def finer(rig: Rig, times: int) -> Rig:
    """Return the same cameras with `times` as many pixels along each side."""
    intrinsics = rig.intrinsics.copy()
    intrinsics[:, :2] *= times
    return replace(rig, intrinsics=intrinsics, width=rig.width * times, height=rig.height * times)


class Surface:
    """What one camera sees: `points` (P, 3) in the world, and the `light` on each, (P,).

    They are the pixels (H, W) of `depth` that are `hit`, row by row.
    """

    def __init__(self, depth: NDArray[np.float64], camera: Camera) -> None:
        self.hit = np.isfinite(depth)
        self.light = _light(_normals(depth, self.hit, camera))
        self.depth, self._camera = depth, camera

    @cached_property
    def points(self) -> Points:
        """The points themselves, for who asks: there are a million of them."""
        row, column = np.nonzero(self.hit)
        pixels = np.stack([column, row], axis=1) + 0.5
        return self._camera.unproject(pixels, self.depth[self.hit])

    def painted(self, colors: NDArray[np.float64], *, contrast: float = 1) -> NDArray[np.float64]:
        """Return the image (H, W, 3) with a colour (P, 3) for each point, lit, on white.

        `contrast` below 1 softens the shadows, where the colours have something to say.
        """
        light = 1 + contrast * (self.light - 1)
        image = np.broadcast_to(PAPER, (*self.hit.shape, 3)).copy()
        image[self.hit] = np.clip(colors * light[:, None], 0, 1)
        height, width = (side // OVERSAMPLING for side in self.hit.shape)
        blocks = image.reshape(height, OVERSAMPLING, width, OVERSAMPLING, 3)
        return np.asarray(blocks.mean(axis=(1, 3)))


def _striped(hit: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which of the pixels that are hit lie on diagonal stripes, (P,)."""
    row, column = np.nonzero(hit)
    return np.asarray((row + column) // STRIPE % 2 == 0)


def _light(normals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a soft light from the upper left and a weaker one from the right, in camera axes."""
    key = np.array([-0.45, -0.65, -0.65]) / np.linalg.norm([-0.45, -0.65, -0.65])
    fill = np.array([0.8, 0.1, -0.5]) / np.linalg.norm([0.8, 0.1, -0.5])
    return np.asarray(
        0.40 + 0.70 * np.maximum(normals @ key, 0) + 0.20 * np.maximum(normals @ fill, 0)
    )


def _normals(
    depth: NDArray[np.float64], hit: NDArray[np.bool_], camera: Camera
) -> NDArray[np.float64]:
    """Return unit normals (P, 3) of the pixels that are `hit`, which face the camera, in camera
    axes, from slopes of 1/z.

    On a plane 1/z = a u + b v + c over pixels (u, v), with normal (a fx, b fy, a cx + b cy + c). In
    an orthographic view -z = a u + b v + c, with normal (a fx, b fy, 1).
    """
    inverse = -depth if camera.orthographic else 1 / depth
    jump = _jump(inverse, camera)
    down, across = _slope(inverse, jump, 0)[hit], _slope(inverse, jump, 1)[hit]
    (fx, _, cx), (_, fy, cy), _ = camera.intrinsics
    row, column = np.nonzero(hit)
    rest = inverse[hit] + across * (cx - column - 0.5) + down * (cy - row - 0.5)
    if camera.orthographic:
        rest = np.ones_like(rest)
    normals = -np.stack([across * fx, down * fy, rest], axis=-1)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    unit: NDArray[np.float64] = np.divide(
        normals, length, out=np.zeros_like(normals), where=length > 0
    )
    return unit


def _jump(depth: NDArray[np.float64], camera: Camera) -> NDArray[np.float64]:
    """Return by how much depth (H, W) must change to be another surface's: a share of it, or, in an
    orthographic view, of the image's height.
    """
    scale = camera.height / camera.intrinsics[1, 1] if camera.orthographic else depth
    return JUMP * (scale + np.zeros_like(depth))


def _slope(
    inverse: NDArray[np.float64], jump: NDArray[np.float64], axis: int
) -> NDArray[np.float64]:
    """Return the mean of the slopes to both neighbours on the same surface, which are no `jump`; 0
    without any.
    """
    inverse, jump = np.moveaxis(inverse, axis, 0), np.moveaxis(jump, axis, 0)
    step = np.diff(inverse, axis=0)
    same = np.abs(step) < np.minimum(jump[1:], jump[:-1])
    step = np.where(same, step, 0)
    total, count = np.zeros_like(inverse), np.zeros(inverse.shape, np.int8)
    total[1:] += step
    total[:-1] += step
    count[1:] += same
    count[:-1] += same
    slope: NDArray[np.float64] = np.moveaxis(total / np.maximum(count, 1), 0, axis)
    return slope
