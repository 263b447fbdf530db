"""The points that the other views confirm."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backproject.cloud.slopes import inverse_depth_slopes
from backproject.errors import InputError
from backproject.geometry.cloud import PointCloud
from backproject.geometry.views import ViewSet
from backproject.kernels import parallel
from backproject.kernels.unproject import confirm_points

MASK_THRESHOLD = 0.99
"""The default of Soltani et al.'s fusion; their later scripts pass 0.3."""


def consistent_points(
    cloud: PointCloud,
    views: ViewSet,
    *,
    masks: ArrayLike | None = None,
    mask_threshold: float = MASK_THRESHOLD,
    threads: int = 0,
) -> NDArray[np.bool_]:
    """Return for each point (P,) whether all views but its own (`cloud.view_index`) allow it.

    A view allows a point that is inside its silhouette, one of the 3 x 3 pixels around the
    projection being covered, and not in its free space: one of the nine has a surface that is not
    farther than the point by more than the pixel's footprint (z/f, or 1/f if orthographic) and,
    either way, what its slopes make of the way to the projection, |du| |delta u| + |dv| |delta v|.
    A pixel is covered where its depth is finite, or where `masks` (N, H, W), soft silhouettes from
    0 to 1, exceed `mask_threshold`; it says nothing where its depth is nan.

    After the second step of Soltani et al. (CVPR 2017), with three differences: pixels are known by
    their centres, not by their corners; a point that projects outside an image, onto its outermost
    pixels or behind the camera is not lost, that view just has no say; and the original does not
    look at depth at all.

    Raises:
        InputError: masks of another shape than the depth, or a view index that is no view.

    """
    covered = views.silhouettes if masks is None else _cut(masks, mask_threshold, views)
    if len(cloud) and not (cloud.view_index.min() >= 0 and cloud.view_index.max() < len(views)):
        raise InputError(
            f"view_index: got {cloud.view_index.min()} to {cloud.view_index.max()},"
            f" expected 0 to {len(views) - 1}"
        )
    du, dv = inverse_depth_slopes(views, threads=threads)
    confirmed = np.ones(len(cloud), np.bool_)
    if len(cloud) == 0:
        return confirmed
    parallel.run(
        confirm_points,
        len(cloud),
        cloud.points,
        cloud.view_index,
        views.depth,
        covered,
        du,
        dv,
        views.rig.intrinsics,
        views.rig.orthographic,
        views.rig.camera_from_world,
        confirmed,
        threads=threads,
    )
    return confirmed


def _cut(masks: ArrayLike, threshold: float, views: ViewSet) -> NDArray[np.bool_]:
    soft = np.asarray(masks)
    if soft.shape != views.depth.shape:
        raise InputError(
            f"masks: got shape {soft.shape}, expected {views.depth.shape}, that of the depth"
        )
    return np.ascontiguousarray(soft > threshold)
