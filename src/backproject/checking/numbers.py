"""The cameras' numbers that all views share: found from how the views fit together.

A global search first, as surfaces that are far apart do not say which way to go: the consistency of
the views over a grid of field of view, depth scale and offset. Then robust Gauss-Newton from the
best places of the grid, see `checking.adjustment`.

Only the ratio of depth to the cameras' distances shows, never both: a scene of twice the size, from
twice as far, looks the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from backproject.checking.adjustment import (
    GATE,
    Equations,
    Scene,
    State,
    adjust,
    free_unknowns,
    score_candidates,
    shows,
    standard_errors,
    with_depth,
)
from backproject.checking.probe import SIGNIFICANT, Probe, consistency
from backproject.errors import InputError
from backproject.geometry.rig import Rig
from backproject.geometry.views import ViewSet
from backproject.kernels.adjust import SHARED, TWIST
from backproject.progress import Progress, silent

Name = Literal["focal", "distance", "scale", "offset", "center"]
NAMES: tuple[Name, ...] = ("focal", "distance", "scale", "offset", "center")

WIDEST = 0.3
"""How far off a number may be, as the natural logarithm of its factor: 26 % less to 35 % more."""
FARTHEST = 0.5
"""The same, of what is found at all. Past it views of a ball agree on anything: ever shorter focal
lengths flatten what they see to nothing.
"""
CONTRAST = 1.0
"""The same of the difference of the farthest from the nearest depth: near and far that are both off
by a fifth, in opposite ways, change it by 2.5 where the farthest is twice as far as the nearest.
"""
COARSE = 4.0
"""Tolerance of the search, in footprints; the grid moves surfaces by no more from node to node."""
SEARCHED = 40
"""Samples of each view in the search."""
SIFTED, SHORTLIST = 10, 60
"""Samples of each view that choose the places of the grid that are searched, and how many."""
STARTS = 6
"""Best places of the grid that are tried."""
FINE = 0.5
"""The tolerance, in footprints, of the lead: under a wide one surfaces that nearly meet count as
much, and nearer ones, that seem larger, for more.
"""
SHIFTED = 0.1
"""How far off a principal point may be, of the image's width and height, each way."""
PROBED = 0.05
"""The change of a number, of itself, that must show for it to be known at all."""


@dataclass(frozen=True)
class Number:
    """One number: the `best` value, and its standard `error`; `told` is False where the views do
    not say it. Factors are of what was given; `offset` is in scene units, `center` in pixels.
    """

    name: Name
    given: float
    best: float
    error: float
    told: bool


@dataclass(frozen=True)
class Numbers:
    """The numbers that were `free`, with the views' consistency as `given` and at the `best`.

    `focal` and `distance` are factors of focal length and of the cameras' distances from where they
    look; depth is `scale` times what it was plus `offset`; `center` moves the principal point, in
    pixels. `lead` is by how many standard errors the best explains the samples better. `gap` is the
    median distance of surfaces at the best, in pixel footprints.
    """

    free: tuple[Name, ...]
    numbers: tuple[Number, ...]
    focal: float
    distance: float
    scale: float
    offset: float
    center: tuple[float, float]
    given: float
    best: float
    lead: float
    gap: float

    @property
    def told(self) -> bool:
        """Whether the views say all that was free."""
        return all(number.told for number in self.numbers)

    @property
    def agrees(self) -> bool:
        """Whether what was given fits as well as the best, as far as the samples show."""
        return self.lead <= SIGNIFICANT

    def apply(self, views: ViewSet) -> ViewSet:
        """Return the views with the best numbers."""
        rig = views.rig
        state = State(rig.world_from_camera, self.focal, center=self.center)
        poses = rig.world_from_camera.copy()
        middle = _looked_at(rig)
        poses[:, :3, 3] = middle + self.distance * (poses[:, :3, 3] - middle)
        intrinsics = state.intrinsics(rig.intrinsics)
        changed = replace(rig, intrinsics=intrinsics, world_from_camera=poses)
        return replace(with_depth(views, self.scale, self.offset), rig=changed)


def find_numbers(
    views: ViewSet,
    *,
    free: tuple[Name, ...] = ("focal",),
    samples: int = 200,
    seed: int = 0,
    progress: Progress = silent,
) -> Numbers:
    """Return the numbers, those in `free` as the views fit together best, the others as given.

    `samples` of each view are drawn by the `seed`.

    Raises:
        InputError: unknown names, both `distance` and `scale` (only their ratio shows), or fewer
            than two views.

    """
    _check(free, len(views))
    scene = Scene.of(views, samples=samples, seed=seed).with_creases()
    unknown = tuple("scale" if name == "distance" else name for name in free)
    mask = free_unknowns(len(views), unknown)
    gate = GATE * scene.footprint
    probe = Probe.of(views, samples=samples, seed=seed)
    start = _start(scene, probe, unknown, progress)
    best, found = adjust(
        scene, start, mask, gate=gate / 2, heard=lambda share: progress("numbers", share)
    )
    progress("numbers", 1.0)
    fine = [probe.agreement(state.apply(views), footprints=FINE) for state in (start, best)]
    if fine[0].lead(fine[1]) > SIGNIFICANT or not _is_near(scene, best):  # noise drew them away
        best, found = adjust(scene, start, mask, gate=gate / 2, rounds=0)
    return _result(scene, probe, free, best, found, mask)


def _start(scene: Scene, probe: Probe, unknown: tuple[str, ...], progress: Progress) -> State:
    """Return where to begin: the best that is found from the best places of the grid, or as given,
    with some of the samples.
    """
    given = State(scene.views.rig.world_from_camera)
    progress("search", 0.0)
    starts = [given, *_searched(scene, unknown)]
    mask = free_unknowns(len(scene.views), unknown)
    rough = replace(scene, pixels=np.ascontiguousarray(scene.pixels[:, :SEARCHED]))
    tried = []
    for k, start in enumerate(starts):
        progress("search", k / len(starts))
        tried.append(adjust(rough, start, mask, gate=GATE * scene.footprint, rounds=12)[0])
    tried = [given, *(state for state in tried if _is_near(scene, state))]
    scores = [consistency(state.apply(scene.views), probe) for state in tried]
    return tried[int(np.argmax(scores))]


def _is_near(scene: Scene, state: State) -> bool:
    """Return whether focal length and typical depth are near enough to the given ones."""
    depth = state.scale + state.offset / scene.typical_depth
    return bool(depth > 0 and np.abs(np.log([state.focal, depth])).max() <= FARTHEST)


def _check(free: tuple[Name, ...], count: int) -> None:
    if not free or not set(free) <= set(NAMES):
        raise InputError(f"free: got {free!r}, expected some of {', '.join(NAMES)}")
    if {"distance", "scale"} <= set(free):
        raise InputError(
            "free: got both 'distance' and 'scale', expected one of them: only their ratio shows"
        )
    if count < 2:
        raise InputError(f"views: got {count}, expected at least 2 to compare")


def _searched(scene: Scene, unknown: tuple[str, ...]) -> list[State]:
    """Return the best places of the grid, each better than its neighbours."""
    if unknown == ("center",):
        return _centers(scene)
    candidates, shape = _grid(scene, unknown)
    poses = scene.views.rig.world_from_camera
    if len(candidates) == 1:
        return []

    def scored(chosen: NDArray[np.float64], samples: int) -> NDArray[np.float64]:
        tolerance = COARSE * scene.footprint
        return score_candidates(scene, chosen, poses[None], tolerance=tolerance, samples=samples)

    scores = scored(candidates, SIFTED)
    peaks = np.flatnonzero(_is_peak(scores.reshape(shape)))
    peaks = peaks[np.argsort(-scores[peaks], kind="stable")[:SHORTLIST]]
    chosen = peaks[np.argsort(-scored(candidates[peaks], SEARCHED), kind="stable")[:STARTS]]
    return [State(poses, *candidates[k].tolist()) for k in chosen.tolist()]


def _centers(scene: Scene) -> list[State]:
    """Return the best places of a grid of principal points, each better than its neighbours."""
    rig = scene.views.rig
    columns, rows = (
        np.linspace(-SHIFTED * side, SHIFTED * side, 2 * int(np.ceil(SHIFTED * side / COARSE)) + 1)
        for side in (rig.width, rig.height)
    )
    probe = Probe.of(scene.views, samples=SEARCHED)
    moved = [State(rig.world_from_camera, center=each) for each in product(columns, rows)]
    scores = np.array(
        [probe.agreement(each.apply(scene.views), footprints=COARSE).consistency for each in moved]
    )
    peaks = np.flatnonzero(_is_peak(scores.reshape(len(columns), len(rows))))
    best = peaks[np.argsort(-scores[peaks], kind="stable")[:STARTS]]
    return [moved[k] for k in best.tolist()]


def _grid(scene: Scene, unknown: tuple[str, ...]) -> tuple[NDArray[np.float64], tuple[int, ...]]:
    """Return candidates (K, 3) of focal factor, depth scale and offset, and the grid's shape.

    Surfaces move by about the tolerance from one to the next: those of the scene's
    radius for a change of the focal length or of the depth's contrast, those at their depth for a
    change of scale. With both scale and offset free, one axis is the typical depth's factor, the
    other the contrast about it.
    """
    tolerance = COARSE * scene.footprint
    deep, typical = tolerance / scene.typical_depth, scene.typical_depth
    wide = tolerance / max(scene.radius, tolerance)
    focal = _factors(wide) if "focal" in unknown else np.ones(1)
    moves = _factors(deep) if {"scale", "offset"} & set(unknown) else np.ones(1)
    contrast = np.ones(1)
    if {"scale", "offset"} <= set(unknown):
        contrast = _factors(wide, CONTRAST)
    nodes = []
    for f, m, c in product(focal, moves, contrast):
        if "scale" not in unknown:
            scale, offset = 1.0, (m - 1) * typical
        elif "offset" not in unknown:
            scale, offset = m, 0.0
        else:
            scale, offset = c, (m - c) * typical
        nodes.append((f, scale, offset))
    return np.array(nodes), (len(focal), len(moves), len(contrast))


def _factors(step: float, widest: float = WIDEST) -> NDArray[np.float64]:
    half = int(np.ceil(widest / step))
    return np.exp(np.linspace(-widest, widest, 2 * half + 1))


def _is_peak(scores: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return where no neighbour along an axis is better."""
    peak = np.ones(scores.shape, bool)
    for axis, length in enumerate(scores.shape):
        along = np.moveaxis(scores, axis, 0)
        marked = np.moveaxis(peak, axis, 0)
        if length > 1:
            marked[1:] &= along[1:] >= along[:-1]
            marked[:-1] &= along[:-1] >= along[1:]
    return peak


def _result(
    scene: Scene,
    probe: Probe,
    free: tuple[Name, ...],
    best: State,
    found: Equations,
    mask: NDArray[np.bool_],
) -> Numbers:
    errors = standard_errors(found, mask)[-SHARED:]
    distance = 1 / best.scale if "distance" in free else 1.0
    views = best.apply(scene.views)
    given, mended = probe.agreement(scene.views), probe.agreement(views)
    lead = probe.agreement(views, footprints=FINE).lead(
        probe.agreement(scene.views, footprints=FINE)
    )
    values = {
        "focal": [(1.0, best.focal, errors[0] * best.focal, 0)],
        "distance": [(1.0, distance, errors[1] * distance, 1)],
        "scale": [(1.0, best.scale * distance, errors[1] * best.scale, 1)],
        "offset": [(0.0, best.offset * distance, errors[2] * distance, 2)],
        "center": [(0.0, best.center[k], errors[3 + k], 3 + k) for k in range(2)],
    }
    numbers = tuple(
        Number(name, start, value, float(error), _shows(scene, best, found, mask, unknown))
        for name in free
        for start, value, error, unknown in values[name]
    )
    return Numbers(
        free, numbers, best.focal, distance, best.scale * distance, best.offset * distance,
        best.center, given.consistency, mended.consistency, lead,
        found.median_gap / scene.footprint,
    )  # fmt: skip


def _shows(
    scene: Scene, best: State, found: Equations, mask: NDArray[np.bool_], unknown: int
) -> bool:
    """Return whether a change of one number parts the surfaces, both ways, even where the others
    follow it as well as they can.
    """
    index = TWIST * len(best.poses) + unknown
    typical = scene.typical_depth
    size = (1.0, 1.0, typical, scene.views.rig.width, scene.views.rig.height)[unknown]
    others = mask.copy()
    others[index] = False
    direction = np.zeros(len(mask))
    direction[index] = 1.0
    direction[others] = (
        -np.linalg.pinv(found.square[others][:, others], hermitian=True)
        @ (found.square[others][:, index])
    )
    return all(shows(scene, best, sign * PROBED * size * direction) for sign in (-1.0, 1.0))


def _looked_at(rig: Rig) -> NDArray[np.float64]:
    """Return the point (3,) nearest to all optical axes."""
    forward = rig.world_from_camera[:, :3, 2]
    across = np.eye(3) - forward[:, :, None] * forward[:, None, :]
    right = (across @ rig.centers_world[:, :, None])[..., 0].sum(axis=0)
    point: NDArray[np.float64] = np.linalg.lstsq(across.sum(axis=0), right, rcond=None)[0]
    return point
