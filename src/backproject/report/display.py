"""Meshes, clouds and cameras made light enough to be turned with a finger.

All of it goes to the frame of the page's 3D views: the object's centre at the origin, its diameter
1, and up along +z. What is left out is for the eye alone: nothing is measured on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backproject.geometry.cloud import PointCloud
from backproject.geometry.mesh import Mesh
from backproject.geometry.rig import Camera, Rig
from backproject.geometry.transform import Similarity
from backproject.geometry.views import ViewSet
from backproject.report.images import smaller
from backproject.simplification.decimate import Surface, decimated

TRIANGLES = 120_000
"""The most triangles of a mesh that a page draws: 2 to 5 MB of the file, by how many creases there
are; two such meshes side by side turn without waiting.
"""
CLUSTERED = 4 * TRIANGLES
"""Beyond so many, vertices that fall together on a fine grid are merged before any decimation."""
CELLS = 300
"""Cells of that grid along the mesh's longest side."""
POINTS = 40_000
"""The most points of a cloud that a page draws."""
THUMBNAILS = 40_000
"""The most triangles, two for a pixel, of all the cameras' thumbnails."""
CREASE = np.cos(np.radians(5))
"""A corner is drawn flat where its face leans more than this from the mean around the vertex: at
creases sharper than 10 degrees. So a polygon looks like one, and a fine mesh smooth.
"""
KEY_LIGHT = np.array([-0.25, -0.55, 0.80])
FRONT = np.array([0.55, -0.85, 0.45])
"""From where the 3D views look at first; the same as the first picture of `report.pictures`."""
FARTHEST = 2.2
"""Cameras that stand farther from the object's centre, in diameters, are drawn there."""
FRUSTUM = 0.28
"""The height of a camera's image where it is drawn, in diameters; less of more than `ROOM`."""
ROOM = 24
"""Cameras beyond so many are drawn smaller, and cover as much together."""
Floats = NDArray[np.float64]


def up_axis(rig: Rig) -> tuple[int, int]:
    """Return the axis nearest to up in the cameras, from 0 to 2, and 1, or -1 where down is."""
    upward = -rig.world_from_camera[:, :3, 1].mean(axis=0)
    axis = int(np.abs(upward).argmax())
    return axis, 1 if upward[axis] >= 0 else -1


@dataclass(frozen=True)
class Stage:
    """The frame of the 3D views, `stage_from_world`, and the object's `diameter` in the world."""

    stage_from_world: Similarity
    diameter: float

    @classmethod
    def around(cls, mesh: Mesh, rig: Rig | None = None) -> Stage:
        """Return the frame around a mesh; up is the axis nearest to up in the cameras, or +y."""
        axis, sign = up_axis(rig) if rig else (1, 1)
        up = np.zeros(3)
        up[axis] = sign
        right = np.eye(3)[1 if axis == 0 else 0]
        rotation = np.stack([right, np.cross(up, right), up])
        diameter = 2 * mesh.radius
        center = -(rotation @ mesh.centroid) / diameter
        return cls(Similarity(1 / diameter, rotation, center), diameter)

    def in_world(self, direction: Floats) -> Floats:
        """Return a direction (3,) of the stage in the world."""
        return np.asarray(self.stage_from_world.rotation.T @ direction)


@dataclass(frozen=True)
class DrawnMesh:
    """Triangles to draw: `vertices` (V, 3) on the stage, `faces` (F, 3), `light` (V,) from 0 to 1.

    `source` (V,) tells which vertex of the given mesh each stands for, and `given` how many
    triangles that one has.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    light: NDArray[np.float32]
    source: NDArray[np.int64]
    given: int

    @classmethod
    def of(cls, mesh: Mesh, stage: Stage, *, most: int = TRIANGLES) -> DrawnMesh:
        """Return a mesh in at most about `most` triangles, lit."""
        staged = mesh.transformed(stage.stage_from_world)
        fewer = _fewer(staged, most)
        corner, faces, normals = split_at_creases(fewer)
        return cls(
            fewer.vertices[corner].astype(np.float32),
            faces,
            _light(normals).astype(np.float32),
            _nearest(staged, fewer.vertices)[corner],
            len(mesh.faces),
        )


@dataclass(frozen=True)
class DrawnCameras:
    """Cameras as frusta, each with its depth map.

    `outline` (L, 3) is one line, broken by nan; `vertices` (V, 3) and `faces` (F, 3) are the
    pixels of the depth maps, `share` (F,) their depth from near, 0, to far, 1. The cameras stand at
    `eye` (N, 3).
    """

    outline: NDArray[np.float32]
    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    share: NDArray[np.float32]
    eye: Floats

    @classmethod
    def of(cls, views: ViewSet, stage: Stage, near: float, far: float) -> DrawnCameras:
        """Return the cameras of the views; the scale of depth runs from `near` to `far`."""
        side = int(np.clip(np.sqrt(THUMBNAILS / 2 / len(views)), 8, 40))
        high = FRUSTUM * min(1, np.sqrt(ROOM / len(views))) * stage.diameter
        frusta = [_frustum(camera, stage, high) for camera in views.rig]
        grids = [
            _thumbnail(depth, camera, reach, move, side)
            for depth, camera, (reach, move, _) in zip(views.depth, views.rig, frusta, strict=True)
        ]
        counts = np.cumsum([0, *(len(corners) for corners, _, _ in grids)])
        depth = np.concatenate([depth for _, _, depth in grids])
        return cls(
            np.concatenate([outline for _, _, outline in frusta]).astype(np.float32),
            np.concatenate(
                [stage.stage_from_world.apply(corners) for corners, _, _ in grids]
            ).astype(np.float32),
            np.concatenate(
                [faces + start for (_, faces, _), start in zip(grids, counts[:-1], strict=True)]
            ).astype(np.int32),
            ((depth - near) / (far - near)).astype(np.float32),
            stage.stage_from_world.apply(views.rig.centers_world),
        )


def some_points(cloud: PointCloud, *, most: int = POINTS) -> PointCloud:
    """Return at most `most` points of a cloud, each as likely as any other, the same every time."""
    if len(cloud) <= most:
        return cloud
    return cloud.subset(np.sort(np.random.default_rng(0).permutation(len(cloud))[:most]))


def _fewer(mesh: Mesh, most: int) -> Surface:
    distinct = (mesh.faces != np.roll(mesh.faces, -1, axis=1)).all(axis=1)
    if len(mesh.faces) <= most:
        return Surface(mesh.vertices, mesh.faces[distinct])
    if len(mesh.faces) > CLUSTERED:
        mesh = _clustered(mesh)
        distinct = np.ones(len(mesh.faces), np.bool_)
    surface = Surface.manifold(mesh.vertices, mesh.faces[distinct])
    return decimated(surface, np.zeros(len(surface.vertices), np.bool_), most)


def _clustered(mesh: Mesh) -> Mesh:
    """Return the mesh with all vertices in a cell of a grid moved to their mean (Rossignac and
    Borrel 1993), and without the faces that vanish.
    """
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    cell = np.floor((mesh.vertices - low) / ((high - low).max() / CELLS)).astype(np.int64)
    name = (cell[:, 0] * (CELLS + 1) + cell[:, 1]) * (CELLS + 1) + cell[:, 2]
    _, cluster, count = np.unique(name, return_inverse=True, return_counts=True)
    means = np.stack([np.bincount(cluster, axis) for axis in mesh.vertices.T], axis=1)
    faces = cluster.reshape(-1)[mesh.faces]
    whole = (faces != np.roll(faces, -1, axis=1)).all(axis=1)
    return Mesh(means / count[:, None], faces[whole])


def split_at_creases(
    surface: Surface,
) -> tuple[NDArray[np.int64], NDArray[np.int32], Floats]:
    """Return which vertex each corner to draw is of, (V,), the faces over them and their normals
    (V, 3): smooth where the surface is, and flat at creases, with a corner for every face there.

    The mean around a vertex weighs each face by its angle there.
    """
    mesh = Mesh(surface.vertices, surface.faces)
    flat = mesh.face_normals
    around = np.zeros_like(mesh.vertices)
    weighted = (_corner_angles(mesh)[..., None] * flat[:, None]).reshape(-1, 3)
    for axis in range(3):
        around[:, axis] = np.bincount(mesh.faces.ravel(), weighted[:, axis], len(around))
    length = np.linalg.norm(around, axis=1, keepdims=True)
    np.divide(around, length, out=around, where=length > 0)
    hard = np.einsum("fck,fk->fc", around[mesh.faces], flat) < CREASE
    faces = mesh.faces.copy()
    faces[hard] = len(mesh.vertices) + np.arange(hard.sum())
    source = np.concatenate([np.arange(len(mesh.vertices)), mesh.faces[hard]])
    normals = np.concatenate([around, np.broadcast_to(flat[:, None], (*hard.shape, 3))[hard]])
    used, corners = np.unique(faces, return_inverse=True)
    return source[used], corners.reshape(-1, 3).astype(np.int32), normals[used]


def _corner_angles(mesh: Mesh) -> Floats:
    """Return the angle of every face at each of its corners, (F, 3)."""
    corners = mesh.triangles
    ahead, behind = (np.roll(corners, step, axis=1) - corners for step in (-1, 1))
    sine = np.linalg.norm(np.cross(ahead, behind), axis=-1)
    return np.asarray(np.arctan2(sine, np.einsum("fck,fck->fc", ahead, behind)))


def _light(normals: Floats) -> Floats:
    """Return how much light falls on normals (V, 3), 0 to 1: never flat, all the way around.

    Half-Lambert (Mitchell et al. 2006). The light is fixed to the object, as the library that draws
    has one lamp, which would leave half of the object in even shade.
    """
    toward = normals @ (KEY_LIGHT / np.linalg.norm(KEY_LIGHT))
    return np.asarray(0.34 + 0.66 * ((1 + toward) / 2) ** 1.3)


def _nearest(mesh: Mesh, points: Floats) -> NDArray[np.int64]:
    """Return the mesh's vertex, one that a face has, that is nearest to each point (P, 3), (P,)."""
    from scipy.spatial import cKDTree

    used = np.unique(mesh.faces)
    _, nearest = cKDTree(mesh.vertices[used]).query(points)
    return np.asarray(used[nearest], np.int64)


def _frustum(camera: Camera, stage: Stage, high: float) -> tuple[float, Floats, Floats]:
    """Return at which depth a camera's image is `high`, how far the camera is moved for that, (3,)
    in the world, and its outline on the stage, (L, 3), broken by nan.
    """
    center = stage.stage_from_world.inverse().translation
    away = camera.center_world - center
    distance = float(np.linalg.norm(away))
    nearer = min(1.0, FARTHEST * stage.diameter / distance) if distance else 1.0
    move = (nearer - 1) * away
    # of an orthographic camera, whose image is as high at any depth, that deep
    reach = high if camera.orthographic else high * camera.intrinsics[1, 1] / camera.height
    if distance:
        reach = min(reach, 0.35 * nearer * distance)
    width, height = camera.width, camera.height
    pixels = np.array([(0, 0), (width, 0), (width, height), (0, height)])
    start = camera.unproject(pixels, np.zeros(4)) + move
    end = camera.unproject(pixels, np.full(4, reach)) + move
    gap = np.full((1, 3), np.nan)
    edges = [np.concatenate([start[k : k + 1], end[k : k + 1], gap]) for k in range(4)]
    line = np.concatenate([end, end[:1], gap, start, start[:1], gap, *edges])
    return reach, move, stage.stage_from_world.apply(line)


def _thumbnail(
    depth: NDArray[np.float32], camera: Camera, reach: float, move: Floats, side: int
) -> tuple[Floats, NDArray[np.int64], NDArray[np.float32]]:
    """Return the corners (C, 3) of a small depth map's pixels in the world, two faces for each
    pixel with depth, (F, 3), and their depth (F,).
    """
    small = smaller(depth, side)
    rows, columns = small.shape
    across = np.linspace(0, camera.width, columns + 1)
    down = np.linspace(0, camera.height, rows + 1)
    pixels = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)
    corners = camera.unproject(pixels, np.full(len(pixels), reach)) + move
    row, column = np.nonzero(np.isfinite(small))
    first = row * (columns + 1) + column
    below = first + columns + 1
    faces = np.stack([first, below, below + 1, first, below + 1, first + 1], axis=1)
    return corners, faces.reshape(-1, 3), np.repeat(small[row, column], 2)
