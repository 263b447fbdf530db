"""What the views say about any point of space, and the samples of the surface that they hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backproject.errors import ReconstructionError
from backproject.geometry.views import ViewSet
from backproject.kernels import parallel
from backproject.kernels.blocks import TILE, summarise
from backproject.kernels.field import UNMEASURED
from backproject.kernels.samples import judge_samples, weigh_samples
from backproject.kernels.slopes import slope_rows
from backproject.kernels.unproject import unproject_rows

STEEPEST_TANGENT = 10.0
"""A surface seen at more than this (84 degrees) is taken for a jump in depth."""
TOLERANCE_PIXELS = 2.0
"""By how many pixels' footprints a view must disagree with a sample to speak against it."""


@dataclass(frozen=True)
class Evidence:
    """Depth maps made ready for look-ups.

    `inverse_depth` (N, H, W) float32: 0 where a ray hits nothing, `UNMEASURED` where nothing is
    known; `tiles` its ranges over tiles of pixels; `cameras` (N, 16) as in `kernels.field`;
    `steepest`: the relative change of inverse depth from pixel to pixel that counts as a jump;
    `pixel`: the width of a pixel at unit depth.
    """

    inverse_depth: NDArray[np.float32]
    tiles: NDArray[np.float32]
    cameras: NDArray[np.float64]
    steepest: float
    pixel: float

    @classmethod
    def of(cls, views: ViewSet, *, threads: int) -> Evidence:
        """Return the evidence of a view set."""
        with np.errstate(divide="ignore"):
            inverse_depth = np.float32(1) / views.depth
        inverse_depth[np.isnan(views.depth)] = UNMEASURED
        count, height, width = inverse_depth.shape
        tiles = np.empty((count, -(-height // TILE), -(-width // TILE), 2), np.float32)
        parallel.run(summarise, count, inverse_depth, tiles, threads=threads)
        rig = views.rig
        intrinsics = rig.intrinsics.copy()
        intrinsics[:, :2, 2] -= 0.5  # columns and rows are counted from the first pixel's centre
        matrices = (intrinsics @ rig.camera_from_world[:, :3]).reshape(count, 12)
        numbers = intrinsics[:, (0, 1, 0, 1), (0, 1, 2, 2)]
        focal = float(np.sqrt(np.median(numbers[:, 0] * numbers[:, 1])))
        cameras = np.concatenate([matrices, numbers], axis=1)
        return cls(inverse_depth, tiles, cameras, min(STEEPEST_TANGENT / focal, 0.5), 1 / focal)


@dataclass(frozen=True)
class Samples:
    """Oriented points of the surface: `points` and unit `normals` (S, 3), `weights` (S,),
    `footprint`: the median pixel's width there.
    """

    points: NDArray[np.float64]
    normals: NDArray[np.float64]
    weights: NDArray[np.float64]
    footprint: float


def sample(views: ViewSet, evidence: Evidence, *, threads: int) -> Samples:
    """Return the depth pixels that the views do not contradict, as samples of the surface.

    Dropped are pixels through which two other views see (one, if there are no more than three), and
    pixels that neither continue into a neighbour nor agree with another view: flying pixels would
    otherwise stretch the scene.

    Raises:
        ReconstructionError: no pixel is left.

    """
    depth, rig = views.depth, views.rig
    ends = np.cumsum(np.count_nonzero(np.isfinite(depth), axis=2).ravel())
    count = int(ends[-1])
    if count == 0:
        raise ReconstructionError(
            f"depth: none of the {len(views)} views holds a finite depth: there is nothing to fuse"
        )
    slopes = np.empty((2, *depth.shape))
    points, normals = np.empty((count, 3)), np.empty((count, 3))
    view_of = np.empty(count, np.int32)
    rows = len(ends)
    parallel.run(slope_rows, rows, depth, rig.intrinsics, slopes[0], slopes[1], threads=threads)
    parallel.run(
        unproject_rows, rows, depth, slopes[0], slopes[1], rig.intrinsics, rig.world_from_camera,
        np.concatenate([[0], ends[:-1]]), points, normals, view_of, threads=threads,
    )  # fmt: skip
    continued = np.isfinite(normals[:, 0])
    weights = np.empty(count)
    parallel.run(
        weigh_samples, count, points, normals, view_of, rig.centers_world, weights, threads=threads
    )
    through, confirmed = np.empty(count, np.int32), np.empty(count, np.int32)
    parallel.run(
        judge_samples, count, evidence.inverse_depth, evidence.cameras, points, view_of,
        TOLERANCE_PIXELS * evidence.pixel, through, confirmed, threads=threads,
    )  # fmt: skip
    enough = 2 if len(views) > 3 else 1
    kept = (through < enough) & (continued | (confirmed > 0))
    if not kept.any():
        raise ReconstructionError(
            f"depth: all {count} pixels are contradicted by other views; are the cameras"
            " in the order of the images, and is depth planar z in scene units?"
        )
    footprint = evidence.pixel * float(np.median(depth[np.isfinite(depth)]))
    return Samples(points[kept], normals[kept], weights[kept], footprint)
