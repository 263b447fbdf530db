"""What the views say about any point of space, and the samples of the surface that they hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backproject.errors import ReconstructionError
from backproject.geometry.views import ViewSet
from backproject.kernels import parallel
from backproject.kernels.blocks import TILE, summarise
from backproject.kernels.field import UNMEASURED
from backproject.kernels.samples import (
    close_ranks,
    drop_strays,
    fill_gaps,
    judge_samples,
    measure_gaps,
    weigh_samples,
)
from backproject.kernels.unproject import unproject_rows

STEEPEST_TANGENT = 10.0
"""A surface seen at more than this (84 degrees) is taken for a jump in depth."""
NOISE_SAMPLES = 4000
"""How many samples are asked how far the views disagree."""
NOISE_PIXELS = 3.0
"""Gaps of more than so many pixels' footprints are of another surface."""
TOLERANCE_PIXELS = 2.0
"""By how many pixels' footprints a view must disagree with a sample to speak against it."""


@dataclass(frozen=True)
class Evidence:
    """Depth maps made ready for look-ups.

    `inverse_depth` (N, H, W) float32: 0 where a ray hits nothing, `UNMEASURED` where nothing is
    known; `tiles` its ranges over tiles of pixels; `cameras` (N, 16) as in `kernels.field`, at
    `centers` (N, 3);
    `steepest`: the relative change of inverse depth from pixel to pixel that counts as a jump;
    `pixel`: the width of a pixel at unit depth.
    """

    inverse_depth: NDArray[np.float32]
    tiles: NDArray[np.float32]
    cameras: NDArray[np.float64]
    centers: NDArray[np.float64]
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
        return cls(
            inverse_depth,
            tiles,
            cameras,
            rig.centers_world,
            min(STEEPEST_TANGENT / focal, 0.5),
            1 / focal,
        )


@dataclass(frozen=True)
class Samples:
    """Oriented points of the surface: `points` and unit `normals` (S, 3), `weights` (S,),
    `footprint`: the median pixel's width there.
    """

    points: NDArray[np.float64]
    normals: NDArray[np.float64]
    weights: NDArray[np.float64]
    view_of: NDArray[np.int32]
    footprint: float
    noise: float
    between: Callable[[float, float], NDArray[np.float64]]


def sample(views: ViewSet, evidence: Evidence, *, noise: float | None, threads: int) -> Samples:
    """Return the depth pixels that the views do not contradict, as samples of the surface.

    Dropped are pixels that other views outvote by two (by one, if there are no more than three),
    pixels that neither continue into a neighbour nor agree with another view, and those far off all
    that is agreed on: flying pixels would otherwise stretch the scene.

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
    points, normals = np.empty((count, 3)), np.empty((count, 3))
    view_of = np.empty(count, np.int32)
    rows = len(ends)
    begin = np.concatenate([[0], ends[:-1]])
    parallel.run(
        unproject_rows, rows, depth, rig.intrinsics, rig.world_from_camera, begin,
        points, normals, view_of, threads=threads,
    )  # fmt: skip
    continued = np.isfinite(normals[:, 0])
    weights = np.empty(count)
    parallel.run(
        weigh_samples, count, points, normals, view_of, rig.centers_world, weights, threads=threads
    )
    votes, confirmed = _votes(points, normals, view_of, evidence, threads)
    kept = (votes > (-2 if len(views) > 3 else -1)) & (continued | confirmed)
    drop_strays(points, confirmed, kept)
    if not kept.any():
        raise ReconstructionError(
            f"depth: none of {count} pixels continues into a neighbour or agrees with another view;"
            " are the cameras in the order of the images, and is depth planar z in scene units?"
        )
    if noise is None:
        frontal = np.flatnonzero(kept & (weights > 0.5))
        noise = _noise(points, normals, view_of, frontal, evidence)
    footprint = evidence.pixel * float(np.median(depth[np.isfinite(depth)]))

    def between(longest: float, step: float) -> NDArray[np.float64]:
        """Return points (P, 3) at most `step` apart where samples of a surface are `longest`."""
        first = np.zeros(rows, np.int64)
        fields = (depth, kept, begin, rig.intrinsics, rig.world_from_camera)
        nothing = np.empty((0, 3))
        parallel.run(fill_gaps, rows, *fields, longest, step, first, nothing, threads=threads)
        last = np.cumsum(first)
        filled = np.empty((int(last[-1]), 3))
        if len(filled) == 0:
            return filled
        first = last - first
        parallel.run(fill_gaps, rows, *fields, longest, step, first, filled, threads=threads)
        # The view that filled the gap is for it; the others must not be against it.
        nobody, unknown = np.full(len(filled), -1, np.int32), np.zeros_like(filled)
        return filled[_votes(filled, unknown, nobody, evidence, threads)[0] > 0]

    left = close_ranks(kept, points, normals, weights, view_of)
    return Samples(
        points[:left], normals[:left], weights[:left], view_of[:left], footprint, noise, between
    )


def _votes(
    points: NDArray[np.float64],
    normals: NDArray[np.float64],
    view_of: NDArray[np.int32],
    evidence: Evidence,
    threads: int,
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Return for each point how many more views are for it than against it, and whether any is."""
    votes, confirmed = np.empty(len(points), np.int32), np.empty(len(points), np.bool_)
    parallel.run(
        judge_samples, len(points), evidence.inverse_depth, evidence.cameras, evidence.centers,
        points, normals, view_of, TOLERANCE_PIXELS * evidence.pixel, votes, confirmed,
        threads=threads,
    )  # fmt: skip
    return votes, confirmed


def _noise(
    points: NDArray[np.float64],
    normals: NDArray[np.float64],
    view_of: NDArray[np.int32],
    frontal: NDArray[np.int64],
    evidence: Evidence,
) -> float:
    """Return the standard deviation of depth, along the normal, by how far the views disagree.

    A sample's gap to the depth map of another view has the variance of a pixel and of the mean of
    four, by bilinear weights 4/9 of a pixel's on average. The median tells it apart from what does
    not belong; only gaps on the near side are asked for, the others are alike.
    """
    chosen = frontal[:: max(1, len(frontal) // NOISE_SAMPLES)]
    gaps = np.empty((len(chosen), len(evidence.cameras)))
    if len(chosen):
        limit = NOISE_PIXELS * evidence.pixel
        parallel.run(
            measure_gaps, len(chosen), chosen, evidence.inverse_depth, evidence.cameras,
            evidence.centers, evidence.steepest, points, normals, view_of, limit, gaps,
        )  # fmt: skip
    found = gaps[np.isfinite(gaps)]
    return float(np.median(found)) / 0.6745 / np.sqrt(13 / 9) if len(found) else 0.0
