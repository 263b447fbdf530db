"""What the cameras saw: of the truth, to be asked for; of a reconstruction, to be told apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backproject.geometry.mesh import Mesh
from backproject.geometry.views import ViewSet
from backproject.kernels import parallel
from backproject.kernels.visibility import mark_seen

SLACK = 1.5
"""How many pixel footprints a reconstruction may be off the depth and still be what was seen: as
far as a sample of depth supports a vertex of a fused mesh.
"""


def seen_by(points: NDArray[np.float64], views: ViewSet, *, threads: int = 0) -> NDArray[np.bool_]:
    """Return which surface points (P, 3), in the views' world, some view sees, (P,).

    A point is seen by a view if it projects into the image and does not lie behind the depth there.
    The depth between four pixel centres is interpolated linearly in 1/z (in z by an orthographic
    view; exact on planes) where they belong to one surface; at the edge of one, the point must lie
    within a pixel's footprint of what one of the four sees, or before them all. Pixels that are not
    measured (`nan`) show nothing.
    """
    rig = views.rig
    seen = np.zeros(len(points), np.bool_)
    focal = np.ascontiguousarray(rig.intrinsics[:, (0, 1), (0, 1)])
    center = np.ascontiguousarray(rig.intrinsics[:, :2, 2])
    parallel.run(
        mark_seen,
        len(points),
        np.ascontiguousarray(points, np.float64),
        views.depth,
        focal,
        center,
        rig.orthographic,
        rig.camera_from_world,
        seen,
        threads=threads,
    )
    return seen


def shown_by(
    points: NDArray[np.float64], normals: NDArray[np.float64], views: ViewSet, *, threads: int = 0
) -> NDArray[np.bool_]:
    """Return which points (P, 3) of a reconstruction some view has depth at, (P,).

    The point lies within `SLACK` footprints of the depth there, before or behind: it may be a
    little off, which is for the distances to say. And its outward normal (P, 3) faces the camera:
    the back of a sheet was not seen.
    """
    shown = np.zeros(len(points), np.bool_)
    for k, eye in enumerate(views.rig.eyes_world):
        facing = np.einsum("pk,pk->p", normals, eye[:3] - eye[3] * points) > 0
        asked = np.flatnonzero(facing & ~shown)
        view, there = views.subset([k]), points[asked]
        behind = seen_by(there, _moved(view, SLACK), threads=threads)
        before = seen_by(there, _moved(view, -SLACK), threads=threads)
        shown[asked] = (seen_by(there, view, threads=threads) | behind) & ~before
    return shown


def _moved(views: ViewSet, footprints: float) -> ViewSet:
    """Return the depth that many footprints farther away: the same share more, whatever it is, or
    as far in all of an orthographic view.
    """
    rig = views.rig
    way = (footprints / rig.intrinsics[:, (0, 1), (0, 1)].min(axis=1))[:, None, None]
    depth = views.depth * np.where(rig.orthographic[:, None, None], 1, 1 + way)
    depth += np.where(rig.orthographic[:, None, None], way, 0)
    # what is moved behind the camera stays before all that it could hide
    return ViewSet(np.maximum(depth, np.finfo(np.float32).tiny), rig)


def inferred_fraction(mesh: Mesh) -> float:
    """Return the share of a fused mesh's area that no view saw, from 0 to 1."""
    return float(mesh.face_areas[~mesh.seen_faces].sum() / mesh.face_areas.sum())
