"""Depth maps become a point cloud."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from backproject.cloud.consistency import MASK_THRESHOLD, consistent_points
from backproject.geometry.cloud import PointCloud
from backproject.geometry.views import ViewSet
from backproject.kernels import parallel
from backproject.kernels.unproject import unproject_rows


def backproject(
    views: ViewSet,
    *,
    consistent: bool = False,
    masks: ArrayLike | None = None,
    mask_threshold: float = MASK_THRESHOLD,
    threads: int = 0,
) -> PointCloud:
    """Return one world point for every pixel with finite depth, view by view and row by row.

    A point lies on the ray through its pixel's centre (the original recipe took the upper-left
    corner). Its normal is unit, turned to its camera, and nan where no neighbouring pixel lies on
    the same surface. With `consistent`, only the points that the other views confirm; `masks`
    (N, H, W), silhouettes from 0 to 1, and `mask_threshold`, from 0 to 1, are theirs, see
    `cloud.consistency.consistent_points`.
    """
    depth, rig = views.depth, views.rig
    ends = np.cumsum(np.count_nonzero(np.isfinite(depth), axis=2).ravel())
    count = int(ends[-1])
    cloud = PointCloud(np.empty((count, 3)), np.empty((count, 3)), np.empty(count, np.int32))
    parallel.run(
        unproject_rows,
        len(ends),
        depth,
        rig.intrinsics,
        rig.orthographic,
        rig.world_from_camera,
        np.concatenate([[0], ends[:-1]]),
        cloud.points,
        cloud.normals,
        cloud.view_index,
        threads=threads,
    )
    if not consistent:
        return cloud
    return cloud.subset(
        consistent_points(cloud, views, masks=masks, mask_threshold=mask_threshold, threads=threads)
    )
