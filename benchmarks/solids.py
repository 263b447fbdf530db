"""Solids made by turning a profile about the y axis, boxes, thin parts, cavities, and meshes with
holes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

import backproject as bp

STEP = 0.01
"""Edges are at most about this long: diameters of the shapes are about 1."""
HOLES = 3
"""How many balls are cut out of a mesh."""
HOLE_RADII = (0.01, 0.05)
"""Radii of the balls are drawn from between these, in diameters."""
BOX = (0.7, 0.5, 0.4)
"""Sides of the box."""
DRILL = 0.12
"""Radius of the hole through the drilled box."""
WIRE = 0.0026
"""Radius of the wire: half the footprint of a pixel, of images of 224 pixels."""
TILT = (0.5, -0.3, 0.9)
"""Angles about the three axes, in radians."""
BASE = 0.12
"""The base is what lies so near to the lowest point, in diameters."""


@dataclass(frozen=True)
class Cavity:
    """A shape, and the closed mesh of what it must not be filled with.

    `space` is None for a sheet without thickness: around its inside an open result winds as much as
    a filled one would, so that `filled` cannot tell them apart. The scores can.
    """

    shape: bp.Mesh
    space: bp.Mesh | None


def revolved(profile: NDArray[np.float64], *, sides: int = 256) -> bp.Mesh:
    """Return a profile (P, 2) of radius and height turned about the y axis.

    The surface faces to the right of the profile's way: a solid's profile runs up its outside. It
    is closed if the profile starts and ends on the axis, or where it started.
    """
    radius, height = profile.T[..., None]
    return _rings(np.broadcast_to(radius, (len(profile), sides)), height)


def _rings(radius: NDArray[np.float64], height: NDArray[np.float64]) -> bp.Mesh:
    """Return rings of `radius` (P, sides) about the y axis at a `height` (P, 1), joined in turn."""
    count, sides = radius.shape
    angle = 2 * np.pi * np.arange(sides) / sides
    corners = [radius * np.cos(angle), np.broadcast_to(height, (count, sides))]
    vertices = np.stack([*corners, -radius * np.sin(angle)], axis=-1).reshape(-1, 3)
    ring, side = (x.ravel() for x in np.mgrid[: count - 1, :sides])
    beside = (side + 1) % sides
    a, b = ring * sides + side, ring * sides + beside
    c, d = b + sides, a + sides
    return _cleaned(vertices, np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]))


def polyline(*corners: tuple[float, float]) -> NDArray[np.float64]:
    """Return points (P, 2) along straight lines between corners, at most `STEP` apart."""
    parts = []
    for start, end in pairwise(corners):
        count = int(np.ceil(np.linalg.norm(np.subtract(end, start)) / STEP))
        parts.append(np.linspace(start, end, count, endpoint=False))
    return np.concatenate([*parts, [corners[-1]]])


def arc(
    radius: float, start: float, end: float, *, center: tuple[float, float] = (0.0, 0.0)
) -> NDArray[np.float64]:
    """Return points (P, 2) along an arc, angles in degrees from the radial axis upwards."""
    count = int(np.ceil(abs(np.radians(end - start)) * radius / STEP))
    angle = np.radians(np.linspace(start, end, count + 1))
    points = radius * np.stack([np.cos(angle), np.sin(angle)], axis=1) + center
    return np.where(np.abs(points) < 1e-12, 0.0, points)  # poles lie on the axis


def sphere() -> bp.Mesh:
    """Return a sphere of diameter 1."""
    return revolved(arc(0.5, -90, 90))


def torus() -> bp.Mesh:
    """Return a torus of diameter 1, whose tube is 0.3 thick."""
    return revolved(arc(0.15, -180, 180, center=(0.35, 0)))


def cylinder() -> bp.Mesh:
    """Return a cylinder with flat ends, as high as it is wide."""
    return revolved(polyline((0, -0.35), (0.35, -0.35), (0.35, 0.35), (0, 0.35)))


def box() -> bp.Mesh:
    """Return a box of 12 triangles, turned so that its sides follow neither grid nor cameras."""
    from trimesh.creation import box

    made = box(BOX)
    return tilted(bp.Mesh(made.vertices, made.faces))


def drilled_box(*, sides: int = 256) -> bp.Mesh:
    """Return the box with a round hole through it, whose wall has so many `sides`.

    The mesh is the shape itself: all faces are flat. `sides` is a multiple of 8.
    """
    angle = 2 * np.pi * np.arange(sides) / sides
    # A square first, whose corners lie at even angles; then its outside is stretched to the box.
    wide, high, deep = BOX
    hole = np.full(sides, DRILL)
    outside = 0.5 / np.maximum(np.abs(np.cos(angle)), np.abs(np.sin(angle)))
    radius = np.stack([hole, outside, outside, hole, hole])
    height = high / 2 * np.array([-1.0, -1, 1, 1, -1])[:, None]
    mesh = _rings(radius, height)
    outer = np.abs(mesh.vertices[:, [0, 2]]).max(axis=1) > 0.5 - 1e-9
    stretch = np.where(outer[:, None], (wide, 1.0, deep), 1.0)
    return tilted(bp.Mesh(mesh.vertices * stretch, mesh.faces))


def square() -> bp.Mesh:
    """Return a square without thickness."""
    corners = 0.35 * np.array([(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)])
    return tilted(bp.Mesh(corners, np.array([(0, 1, 2), (0, 2, 3)])))


def wire() -> bp.Mesh:
    """Return a straight wire as thick as a pixel is wide."""
    profile = polyline((0, -0.5), (WIRE, -0.5), (WIRE, 0.5), (0, 0.5))
    return tilted(revolved(profile, sides=32))


def tilted(mesh: bp.Mesh) -> bp.Mesh:
    """Return a mesh turned about all three axes."""
    from scipy.spatial.transform import Rotation

    return mesh.transformed(bp.Similarity(1, Rotation.from_euler("xyz", TILT).as_matrix()))


def bowl() -> Cavity:
    """Return half a hollow ball with walls of 0.03, open at the top."""
    inner, outer = 0.47, 0.5
    wall = np.concatenate([arc(outer, -90, 0), arc(inner, 0, -90)])
    lid = polyline((inner, 0), (0, 0))
    return Cavity(revolved(wall), revolved(np.concatenate([arc(inner, -90, 0), lid[1:]])))


def cup() -> Cavity:
    """Return a cup with walls and bottom of 0.03, higher than it is wide, open at the top."""
    low, high, outer, wall = -0.4, 0.4, 0.3, 0.03
    inner, floor = outer - wall, low + wall
    outside, inside = [(0, low), (outer, low), (outer, high)], [(inner, high), (inner, floor)]
    space = [(0, floor), (inner, floor), (inner, high), (0, high)]
    wall_profile = polyline(*outside, *inside, (0, floor))
    return Cavity(revolved(wall_profile), revolved(polyline(*space)))


def sheet() -> Cavity:
    """Return half a sphere without thickness, open at the top."""
    return Cavity(revolved(arc(0.5, -90, 0)), None)


SOLIDS = {"sphere": sphere, "torus": torus, "cylinder": cylinder}
CAVITIES = {"bowl": bowl, "cup": cup, "sheet bowl": sheet}


def pierced(mesh: bp.Mesh, *, seed: int) -> bp.Mesh:
    """Return a mesh of diameter 1 without its faces inside some balls about points of its base.

    Large faces are split first, so that the holes are as large as the balls.
    """
    from trimesh.remesh import subdivide_to_size

    random = np.random.default_rng(seed)
    fine = bp.Mesh(*subdivide_to_size(mesh.vertices, mesh.faces, STEP, max_iter=20))
    middle = fine.triangles.mean(axis=1)
    base = middle[:, 1] < fine.vertices[:, 1].min() + BASE
    weight = np.where(base, fine.face_areas, 0)
    centers = middle[random.choice(len(middle), HOLES, p=weight / weight.sum())]
    radii = random.uniform(*HOLE_RADII, HOLES)
    distance = np.linalg.norm(middle[:, None] - centers, axis=2)
    return bp.Mesh(fine.vertices, fine.faces[(distance > radii).all(axis=1)])


def filled(mesh: bp.Mesh, space: bp.Mesh, *, count: int = 50_000, seed: int = 0) -> float:
    """Return which share of a closed mesh's `space` lies inside `mesh`, from 0 to 1.

    By winding numbers (Barill et al. 2018) at random points, so that an open mesh has an inside as
    well: where it winds more than half around a point.
    """
    import igl

    low, high = space.vertices.min(axis=0), space.vertices.max(axis=0)
    points = np.random.default_rng(seed).uniform(low, high, (count, 3))
    points = points[_inside(igl, space, points)]
    return float(_inside(igl, mesh, points).mean())


def _inside(igl: object, mesh: bp.Mesh, points: NDArray[np.float64]) -> NDArray[np.bool_]:
    faces = mesh.faces.astype(np.int64)
    winding = igl.fast_winding_number(mesh.vertices, faces, points)  # type: ignore[attr-defined]
    return np.asarray(winding) > 0.5


def _cleaned(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> bp.Mesh:
    """Return the mesh with equal corners as one, and without the faces that have two of them."""
    corners, index = np.unique(vertices.round(12), axis=0, return_inverse=True)
    faces = index.reshape(-1)[faces]
    return bp.Mesh(corners, faces[(faces != np.roll(faces, -1, axis=1)).all(axis=1)])
