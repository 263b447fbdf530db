"""What the cameras could have shown: the part of the truth that may be asked for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backproject.geometry.views import ViewSet
from backproject.kernels import parallel
from backproject.kernels.visibility import mark_seen


def seen_by(points: NDArray[np.float64], views: ViewSet, *, threads: int = 0) -> NDArray[np.bool_]:
    """Return which surface points (P, 3), in the views' world, some view sees, (P,).

    A point is seen by a view if it projects into the image and does not lie behind the depth there.
    The depth between four pixel centres is interpolated linearly in 1/z (exact on planes) where
    they belong to one surface; at the edge of one, the point must lie within a pixel's footprint of
    what one of the four sees, or before them all. Pixels that are not measured (`nan`) show
    nothing.
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
        rig.camera_from_world,
        seen,
        threads=threads,
    )
    return seen
