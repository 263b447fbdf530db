"""What the views say about any point of space, and the samples of the surface that they hold."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproject.errors import ContradictionWarning, ReconstructionError
from backproject.geometry.rig import Camera
from backproject.geometry.views import ViewSet
from backproject.kernels import parallel
from backproject.kernels.carving import LEVELS, TILE, summarise
from backproject.kernels.samples import (
    BATCH,
    close_ranks,
    fill_gaps,
    judge_samples,
    keep_samples,
    measure_gaps,
    weigh_samples,
)
from backproject.kernels.smooth import smooth_rows
from backproject.kernels.unproject import unproject_rows

PINHOLE = (1.0, 0.0, 1.0, 0.0)
"""The numbers p, q, a, b of a pinhole, see `kernels.field`."""
UNIT = 1000.0
"""Pixels of focal length that orthographic views alone are taken to have: any number will do, for
all heights scale with it.
"""
BEYOND = 20.0
"""How many footprints the plane `far` lies beyond all that was seen: twice what is a jump."""
DEEPEST = 2.0**17
"""What lies so many footprints behind the median of what a view saw is not of an orthographic
scene: rays that reach it are free. Float32 still holds a 128th of a footprint before it.
"""
STEEPEST_TANGENT = 10.0
"""A surface seen at more than this (84 degrees) is taken for a jump in depth."""
NOISE_SAMPLES = 4000
"""How many samples are asked how far the views disagree."""
NOISE_PIXELS = 3.0
"""Gaps of more than so many pixels' footprints are of another surface."""
GAPS, USUAL = 30, 4
"""Fewer gaps do not tell the noise of a view, nor does less than one in so many of what views have
in the median: where nearly all surfaces meet exactly, what is left are a few on edges.
"""
EXACT = 0.1
"""Noise, in footprints, that exact views of curved shapes seem to have, between their pixels."""
RADIUS, WIDEST = 3.2, 4
"""Pixels to each side that are smoothed together at noise of a footprint, and at most."""
RECURS = 16
"""Depth is held in steps if each of its values is that of so many pixels in the mean."""
EXPLAINED = 2.0
"""Noise that seems up to so many times as large as what steps make is of steps alone."""
OFF, OUTVOTED, TIMES = 2 * EXACT, 0.1, 5.0
"""A view is left out whose noise, in footprints, or whose share of outvoted pixels is more than
this, and more than so many times that of the other views.
"""
CLASHING = 0.1
"""The share of outvoted pixels at which the views contradict each other badly. Exact views have
under 0.002, a field of view that is 5 % off 0.1 to 0.5, wrong orders and turns 0.7 and more.
"""
SPARED, ENOUGH = 4, 8
"""One view in so many can be left out, if there are enough of them: fewer hardly overlap."""
TOLERANCE_PIXELS = 2.0
"""By how many pixels' footprints a view must disagree with a sample to speak against it."""


@dataclass(frozen=True)
class Evidence:
    """Depth maps made ready for look-ups.

    `inverse_depth` (N, H, W) float32: 0 where a ray hits nothing, `UNMEASURED` where nothing is
    known, and s (far - z) in orthographic views; `tiles` its ranges over tiles of pixels; `cameras`
    (N, 20) as in `kernels.field`; `eyes` (N, 4) as in `Rig.eyes_world`;
    `steepest`: the relative change of inverse depth from pixel to pixel that counts as a jump;
    `pixel`: the width of a pixel at unit depth, and a pixel's footprint as a height g - h w;
    `spreads` (N,): the depth at which a pixel of that width at unit depth is as wide as those of an
    orthographic view, nan of pinholes.
    """

    inverse_depth: NDArray[np.float32]
    tiles: NDArray[np.float32]
    cameras: NDArray[np.float64]
    eyes: NDArray[np.float64]
    steepest: float
    pixel: float
    spreads: NDArray[np.float64]

    @classmethod
    def of(cls, views: ViewSet, *, threads: int) -> Evidence:
        """Return the evidence of a view set."""
        rig = views.rig
        focals = np.sqrt(rig.intrinsics[:, 0, 0] * rig.intrinsics[:, 1, 1])
        focal = UNIT if rig.orthographic.all() else float(np.median(focals[~rig.orthographic]))
        lenses = np.tile(PINHOLE, (len(views), 1))
        scales, fars = focals / focal, np.full(len(views), np.nan)
        for k, fars[k] in _far_planes(views):
            lenses[k] = 0.0, 1.0, scales[k] * fars[k], -scales[k]
        count, height, width = views.depth.shape
        inverse_depth = np.empty_like(views.depth)
        shape = (2, LEVELS, count, -(-height // TILE), -(-width // TILE))
        tiles = np.empty(shape, np.float32)
        parallel.run(
            summarise, count, views.depth, fars, scales, inverse_depth, tiles, threads=threads
        )
        intrinsics = rig.intrinsics.copy()
        intrinsics[:, :2, 2] -= 0.5  # columns and rows are counted from the first pixel's centre
        numbers = intrinsics[:, (0, 1, 0, 1), (0, 1, 2, 2)]
        intrinsics[rig.orthographic, :2, 2] = 0  # the principal point is not times the depth there
        matrices = intrinsics @ rig.camera_from_world[:, :3]
        matrices[rig.orthographic, :2, 3] += numbers[rig.orthographic, 2:]
        cameras = np.concatenate([matrices.reshape(count, 12), numbers, lenses], axis=1)
        return cls(
            inverse_depth,
            tiles,
            cameras,
            rig.eyes_world,
            min(STEEPEST_TANGENT / focal, 0.5),
            1 / focal,
            np.where(rig.orthographic, 1 / scales, np.nan),
        )


@dataclass(frozen=True)
class Samples:
    """Oriented points of the surface: `points` and unit `normals` (S, 3), `weights` (S,),
    `footprint`: the median pixel's width there; `noise`: the standard deviation of depth, and
    `noise_of` (N,) that of each view by how far it disagrees with the others, nan where nothing
    tells; `outvoted` (N,): the share of each view's pixels that are no samples; `disputed`: the
    share of outvoted ones among all that continue into a neighbour; `pixel`: `footprint` beside
    the median depth; `left_out`: the views that `observe` took for not measured.
    """

    points: NDArray[np.float64]
    normals: NDArray[np.float64]
    weights: NDArray[np.float64]
    view_of: NDArray[np.int32]
    footprint: float
    noise: float
    noise_of: NDArray[np.float64]
    outvoted: NDArray[np.float64]
    disputed: float
    pixel: float
    between: Callable[[float, float], NDArray[np.float64]]
    left_out: tuple[int, ...] = ()


def observe(views: ViewSet, *, noise: float | None, threads: int) -> tuple[Evidence, Samples]:
    """Return what the views say, and its samples, less the noise that they seem to have.

    `noise` is the standard deviation of depth in scene units, by default estimated from how far the
    views disagree. A view that disagrees far more than the others is left out, as if it had
    measured nothing, if there are enough others; the samples tell which. Exact views pass as they
    are.

    Raises:
        ReconstructionError: no pixel is left.

    """
    evidence = Evidence.of(views, threads=threads)
    samples = sample(views, evidence, noise=noise, threads=threads)
    odd: list[int] = []
    # One after the other: a view that is off makes those disagree that see the same as it.
    for _ in range(len(views) // SPARED if len(views) >= ENOUGH else 0):
        worst = _odd_one(samples)
        if worst < 0:
            break
        odd.append(worst)
        depth = views.depth.copy()
        depth[worst] = np.nan
        views = ViewSet(depth, views.rig)
        evidence = Evidence.of(views, threads=threads)
        samples = sample(views, evidence, noise=noise, threads=threads)
    _warn_of_contradictions(samples.disputed, odd)
    least = EXACT * samples.footprint
    if samples.noise <= least:
        return evidence, replace(samples, left_out=tuple(odd))
    told = np.isfinite(samples.noise_of) & (noise is None)
    noise_of = np.maximum(np.where(told, samples.noise_of, samples.noise), least)
    if noise is None:
        rounding = _rounding(views)
        noise_of[noise_of < EXPLAINED * rounding] = rounding
    views = smooth(views, noise_of, samples.footprint, threads=threads)
    evidence = Evidence.of(views, threads=threads)
    left = sample(views, evidence, noise=None, threads=threads)
    trust = np.minimum(1.0, (np.median(noise_of) / noise_of) ** 2)
    return evidence, replace(
        left,
        noise=min(left.noise, samples.noise),
        weights=left.weights * trust[left.view_of],
        left_out=tuple(odd),
    )


def smooth(
    views: ViewSet, noise_of: NDArray[np.float64], footprint: float, *, threads: int
) -> ViewSet:
    """Return the views with each pixel's depth moved onto the surface that the pixels around it
    fit, see `kernels.smooth`.

    The noisier the depth beside a pixel's `footprint`, the more pixels: the fit's error grows with
    the fourth power of its radius and falls with the first, so its best grows with the fifth root.
    """
    radius = np.clip(np.round(RADIUS * (noise_of / footprint) ** 0.2), 2, WIDEST).astype(np.int64)
    smoothed = np.empty_like(views.depth)
    rows = len(views) * views.rig.height
    parallel.run(
        smooth_rows, rows, views.depth, views.rig.intrinsics, views.rig.orthographic, noise_of,
        radius, smoothed, threads=threads,
    )  # fmt: skip
    return ViewSet(smoothed, views.rig)


def sample(views: ViewSet, evidence: Evidence, *, noise: float | None, threads: int) -> Samples:
    """Return the depth pixels that the views do not contradict, as samples of the surface.

    Dropped are pixels that other views outvote by two (by one, if there are no more than three, or
    if the pixel does not continue into a neighbour), pixels that neither continue into a neighbour
    nor agree with another view, and those far off all that is agreed on: flying pixels would
    otherwise stretch the scene.

    Raises:
        ReconstructionError: no pixel is left.

    """
    depth, rig = views.depth, views.rig
    finite = np.isfinite(depth)
    ends = np.cumsum(np.count_nonzero(finite, axis=2).ravel())
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
        unproject_rows, rows, depth, rig.intrinsics, rig.orthographic, rig.world_from_camera, begin,
        points, normals, view_of, threads=threads,
    )  # fmt: skip
    weights, continued = np.empty(count), np.empty(count, np.bool_)
    parallel.run(
        weigh_samples, count, points, normals, view_of, evidence.eyes, weights, continued,
        threads=threads,
    )  # fmt: skip
    views_end = ends[rig.height - 1 :: rig.height]
    votes, confirmed = _votes(points, normals, view_of, views_end, evidence, threads)
    kept = np.empty(count, np.bool_)
    if not keep_samples(points, continued, votes, confirmed, -1 if len(views) > 3 else 0, kept):
        raise ReconstructionError(
            f"depth: none of {count} pixels continues into a neighbour or agrees with another view;"
            " are the cameras in the order of the images, and is depth planar z in scene units?"
        )
    frontal = np.flatnonzero(kept & (weights > 0.5))
    noise_of = _noise(points, normals, weights, view_of, frontal, evidence)
    if noise is None:
        noise = float(np.nanmedian(noise_of)) if np.isfinite(noise_of).any() else 0.0
    middle = _median(depth[finite])
    footprint = evidence.pixel * middle
    if rig.orthographic.any():
        spreads = evidence.spreads[:, None, None]
        footprint = evidence.pixel * _median(np.where(np.isnan(spreads), depth, spreads)[finite])

    def between(longest: float, step: float) -> NDArray[np.float64]:
        """Return points (P, 3) at most `step` apart where samples of a surface are `longest`."""
        first = np.zeros(rows, np.int64)
        lenses = rig.intrinsics, rig.orthographic
        fields = (depth, kept, begin, *lenses, rig.world_from_camera)
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
        of_views = last[rig.height - 1 :: rig.height]
        return filled[_votes(filled, unknown, nobody, of_views, evidence, threads)[0] > 0]

    tally = np.empty((len(views), 2, 2), np.int64)
    left = close_ranks(kept, continued, points, normals, weights, view_of, tally)
    outvoted = tally[:, :, 0].sum(axis=1) / np.maximum(tally.sum(axis=(1, 2)), 1)
    disputed = float(tally[:, 1, 0].sum() / max(tally[:, 1].sum(), 1))
    return Samples(
        points[:left], normals[:left], weights[:left], view_of[:left],
        footprint, noise, noise_of, outvoted, disputed, footprint / middle, between,
    )  # fmt: skip


def _far_planes(views: ViewSet) -> Iterator[tuple[int, float]]:
    """Yield each orthographic view, and a depth beyond all that any view saw, but for strays."""
    chosen = np.flatnonzero(views.rig.orthographic).tolist()
    if not chosen:
        return
    reach = DEEPEST / float(views.rig.intrinsics[chosen, 0, 0].max())
    boxes = [_corners(views.rig[k], views.depth[k], reach) for k in range(len(views))]
    corners = np.concatenate(boxes)
    if len(corners) == 0:
        corners = views.rig.centers_world
    for k in chosen:
        camera = views.rig[k]
        yield k, float(camera.project(corners)[1].max()) + BEYOND / camera.intrinsics[0, 0]


def _corners(camera: Camera, depth: NDArray[np.float32], reach: float) -> NDArray[np.float64]:
    """Return the corners (8, 3), in the world, of what holds all points of a depth map, a pixel
    wide at least, but for those that lie farther than `reach` behind their median; (0, 3) if there
    are none.
    """
    finite = np.isfinite(depth)
    if not finite.any():
        return np.empty((0, 3))
    finite &= depth <= np.median(depth[finite]) + reach
    columns, rows = np.flatnonzero(finite.any(axis=0)), np.flatnonzero(finite.any(axis=1))
    ends = depth[finite].min(), depth[finite].max()
    sides = (columns[0], columns[-1] + 1), (rows[0], rows[-1] + 1), ends
    corners = np.array(list(product(*sides)), np.float64)
    return camera.unproject(corners[:, :2], corners[:, 2])


def _votes(
    points: NDArray[np.float64],
    normals: NDArray[np.float64],
    view_of: NDArray[np.int32],
    ends: NDArray[np.int64],
    evidence: Evidence,
    threads: int,
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Return for each point how many more views are for it than against it, and whether any is;
    `ends` (N,) are where the points of each view end.
    """
    votes, confirmed = np.empty(len(points), np.int32), np.empty(len(points), np.bool_)
    # Each batch is of one view: neither their order nor the threads change what is rounded.
    pairs = zip([0, *ends[:-1]], ends, strict=True)
    begins = np.concatenate([*(np.arange(a, b, BATCH) for a, b in pairs), [len(points)]])
    parallel.run(
        judge_samples, len(begins) - 1, evidence.inverse_depth, evidence.cameras, evidence.eyes,
        points, normals, view_of, TOLERANCE_PIXELS * evidence.pixel, begins, votes, confirmed,
        threads=threads,
    )  # fmt: skip
    return votes, confirmed


def _noise(
    points: NDArray[np.float64],
    normals: NDArray[np.float64],
    weights: NDArray[np.float64],
    view_of: NDArray[np.int32],
    frontal: NDArray[np.int64],
    evidence: Evidence,
) -> NDArray[np.float64]:
    """Return the standard deviation of depth of each view (N,), by how far it disagrees with the
    others' samples; nan where too few tell.

    The median tells it apart from what does not belong; only gaps on the near side are asked for,
    the others are alike. A view alone in being wrong shows half of its error: the others' samples
    are right.
    """
    # Counted anew within each view, so that the order of the views chooses nothing.
    step = max(1, len(frontal) // NOISE_SAMPLES)
    ends = np.searchsorted(view_of, np.arange(1, len(evidence.cameras), dtype=np.int32))
    each = np.split(frontal, np.searchsorted(frontal, ends))
    chosen = np.concatenate([of_view[::step] for of_view in each])
    gaps = np.empty((len(evidence.cameras), len(chosen)))
    if len(chosen):
        limit = NOISE_PIXELS * evidence.pixel
        parallel.run(
            measure_gaps, len(chosen), chosen, evidence.inverse_depth, evidence.cameras,
            evidence.eyes, evidence.steepest, points, normals, weights, view_of, limit, gaps,
        )  # fmt: skip
    found = np.count_nonzero(np.isfinite(gaps), axis=1)
    gaps.sort(axis=1)  # nan last
    told = np.flatnonzero(found >= max(GAPS, float(np.median(found)) / USUAL))
    noise_of = np.full(len(gaps), np.nan)
    noise_of[told] = gaps[told, found[told] // 2] / 0.6745
    return noise_of


def _median(numbers: NDArray[Any]) -> float:
    """Return the median of numbers, of an even number the lower one: a fifth of numpy's time."""
    middle = (len(numbers) - 1) // 2
    return float(np.partition(numbers, middle)[middle])


def _odd_one(samples: Samples) -> int:
    """Return the view that disagrees far more with the others than they do, -1 if none does."""
    noise = np.nan_to_num(samples.noise_of) / samples.footprint
    excess = np.maximum(
        noise / max(OFF, TIMES * float(np.median(noise))),
        samples.outvoted / max(OUTVOTED, TIMES * float(np.median(samples.outvoted))),
    )
    worst = int(np.argmax(excess))
    return worst if excess[worst] > 1 else -1


def _warn_of_contradictions(disputed: float, odd: list[int]) -> None:
    """Warn of views that were left out, and where those that are left contradict each other."""
    if odd:
        warnings.warn(
            f"left out because they contradict the others: views {', '.join(map(str, sorted(odd)))}"
            " (`check` finds out why)",
            ContradictionWarning,
            stacklevel=4,
        )
    if disputed > CLASHING:
        warnings.warn(
            f"the views contradict each other: other views see past {disputed:.0%} of what they"
            " measured; a camera or what depth means is wrong (`check` finds out which)",
            ContradictionWarning,
            stacklevel=4,
        )


def _rounding(views: ViewSet) -> float:
    """Return the standard deviation of depth that is held in steps, 0 if it is in none.

    Errors are spread evenly over a step, and so the gaps between views, by which noise is
    estimated, seem larger than they are.
    """
    measured = views.depth[np.isfinite(views.depth)]
    values = np.unique(measured)
    if RECURS * len(values) > len(measured) or len(values) < 2:
        return 0.0
    return float(np.median(np.diff(values))) / float(np.sqrt(12))
