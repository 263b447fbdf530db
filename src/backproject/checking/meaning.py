"""What the numbers mean: depth, camera matrices, pixels and units."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from backproject.checking.probe import FOOTPRINTS, SIGNIFICANT, Agreement, Probe
from backproject.errors import InputError
from backproject.geometry.conventions import FLIP, ray_lengths
from backproject.geometry.rig import Rig, invert_poses, look_at
from backproject.geometry.views import ViewSet
from backproject.kernels import parallel
from backproject.kernels.readings import understand
from backproject.progress import Progress, silent

Encoding = Literal["as read", "along the ray", "planar, read as along the ray"]
ENCODINGS: tuple[Encoding, ...] = ("as read", "along the ray", "planar, read as along the ray")
AS_READ = "as read"
OPENGL = "OpenGL axes"
INVERSE = "the other direction"
BOTH = "the other direction and OpenGL axes"
UNITS = (1.0, 1e-3, 1e3)
"""Times depth: as it is, millimetres taken for metres, metres taken for millimetres."""
SHIFTS = (0.0, 0.5, -0.5)
"""Pixels by which principal points move, right and down: half if they count from the other place
in the first pixel.
"""
NEAR_AND_FAR = "near and far"
ASPECTS = ("depth", NEAR_AND_FAR, "camera matrices", "unit", "pixel centres")
"""What a reading says, in the order of its fields."""
_COARSE = 3.0
"""How many times the tolerance while the sum of near and far is sought."""
_FINER = (FOOTPRINTS, FOOTPRINTS / 4, FOOTPRINTS / 16)
"""Tolerances, in footprints, under which it is made exact: an error of it looks like one of the
field of view.
"""
_SAMPLES = 60
"""How many samples of a view choose among many readings; the best are compared with all."""
_FINALISTS = 12
_FINE = 0.25
"""The tolerance, in footprints, that tells half a pixel: half of that."""
_PARALLAX = 4 * FOOTPRINTS
"""Pixels that points must move by, for a reading to be tried: cameras that all but stand in one
place agree on any depth of a round thing, and prove nothing.
"""
_SAME_POSE = 1e-4
_STAGE = "reading depth and cameras"


@dataclass(frozen=True)
class Reading:
    """One understanding of the numbers, as a change of the views at hand.

    `depth`: what the stored number measures. `far_plus_near`: None, or depth is this minus the
    stored number, in its unit: white and black are swapped. `poses`: `AS_READ`, or what the camera
    matrices are instead: `OPENGL`, `INVERSE`, `BOTH`, or "up +z" and so on, where cameras look at a
    common point. `unit` times depth is in the unit of the cameras' positions. `shift`: pixels to
    add to principal points.
    """

    depth: Encoding = "as read"
    far_plus_near: float | None = None
    poses: str = AS_READ
    unit: float = 1.0
    shift: float = 0.0

    @property
    def values(self) -> dict[str, str]:
        """What the reading says on each of `ASPECTS`, in words."""
        swapped = "as read" if self.far_plus_near is None else "swapped"
        unit = "as read" if self.unit == 1 else f"times {self.unit:g}"
        shift = f"{self.shift:+g} pixels" if self.shift else "as read"
        return dict(zip(ASPECTS, (self.depth, swapped, self.poses, unit, shift), strict=True))

    @property
    def changes(self) -> int:
        """On how many aspects the reading differs from the given one."""
        return sum(value != AS_READ for value in self.values.values())

    def apply(self, views: ViewSet) -> ViewSet:
        """Return the views, understood so; depth that would not be above 0 is not measured."""
        depth = _understood(views.depth, self, _lengths(views.rig))
        rig = views.rig
        intrinsics = rig.intrinsics.copy()
        intrinsics[:, :2, 2] += self.shift
        plain = _plain_readings(rig)
        poses = plain[self.poses] if self.poses in plain else pose_readings(rig)[self.poses]
        return replace(
            views,
            depth=depth * np.float32(self.unit),
            rig=replace(rig, intrinsics=intrinsics, world_from_camera=poses),
            step=views.step * self.unit,
        )


@dataclass(frozen=True)
class Meaning:
    """Which reading of the numbers fits best.

    `given_score`, `best_score`: the consistency of the views as given and read so. `lead`: by how
    many standard errors the best explains the samples better than the given, 0 if they are the
    same. `leads[aspect][value]`: the same of the best over the best reading with another value of
    one aspect; below `SIGNIFICANT` the two cannot be told apart. `consistent`: whether the views
    confirm each other more than they contradict each other, read so; if not, something else is
    wrong too.
    """

    best: Reading
    given_score: float
    best_score: float
    lead: float
    leads: dict[str, dict[str, float]]
    consistent: bool

    @property
    def given(self) -> Reading:
        """The reading that the given views stand for."""
        return Reading()

    def wrong(self, aspect: str) -> bool:
        """Return whether an aspect was read wrong for sure."""
        changed = self.best.values[aspect] != AS_READ
        return self.consistent and changed and self.leads[aspect][AS_READ] >= SIGNIFICANT

    def untold(self, aspect: str) -> tuple[str, ...]:
        """Return the other values of an aspect that fit as well, or nearly."""
        return tuple(value for value, lead in self.leads[aspect].items() if lead < SIGNIFICANT)

    def apply(self, views: ViewSet) -> ViewSet:
        """Return the views, read as fits best."""
        return self.best.apply(views)


def pose_readings(rig: Rig) -> dict[str, NDArray[np.float64]]:
    """Return what world-from-camera (N, 4, 4) may be instead of what was read.

    Other readings of the same matrices differ from one of these by a motion of the whole scene,
    which no view can tell. Which axis is up is no such motion: it is known by the cameras' roll,
    where they were set up by the point they look at, and that they look at one is known by their
    being so with one of the axes up.
    """
    poses, readings = rig.world_from_camera, _plain_readings(rig)
    target = _common_target(poses)
    upright = {} if target is None else _upright(rig.centers_world, target)
    given = [name for name, each in upright.items() if np.abs(each - poses).max() < _SAME_POSE]
    if given:
        readings |= {name: each for name, each in upright.items() if name not in given}
    return readings


def _plain_readings(rig: Rig) -> dict[str, NDArray[np.float64]]:
    poses = rig.world_from_camera
    return {
        AS_READ: poses,
        OPENGL: poses * FLIP,
        INVERSE: invert_poses(poses),
        BOTH: invert_poses(poses) * FLIP,
    }


def find_meaning(
    views: ViewSet,
    probe: Probe | None = None,
    *,
    span: tuple[float, float] | None = None,
    progress: Progress = silent,
) -> Meaning:
    """Return the reading of highest consistency among all combinations.

    `span` are the near and far that depth was coded between, if known; otherwise their sum, which
    swapped depth is subtracted from, is sought around the nearest and farthest depth there is.
    Half a pixel is below the tolerance of all else, and is told at the end with a finer one.

    Raises:
        InputError: a span that is none.

    """
    if span is not None and not 0 <= span[0] < span[1] < np.inf:
        raise InputError(f"span: got {span}, expected near and far, from 0 up")
    search = _Search(views, probe or Probe.of(views), span)
    finalists = search.finalists(progress)
    judged = {reading: search.judged(reading) for reading in finalists}
    top = max(judged.values(), key=lambda each: each.consistency)
    equal = [reading for reading in finalists if top.lead(judged[reading]) < SIGNIFICANT]
    coarse = min(equal, key=lambda reading: (reading.changes, -judged[reading].consistency))
    leads = _leads(coarse, judged)
    best, leads["pixel centres"] = search.shifted(coarse)
    agreement, given = search.judged(best), judged[Reading()]
    return Meaning(
        best,
        given.consistency,
        agreement.consistency,
        agreement.lead(given),
        leads,
        judged[coarse].lead_over_chance() >= SIGNIFICANT,
    )


@dataclass(frozen=True)
class _Search:
    """The readings of some views, and how they score."""

    views: ViewSet
    probe: Probe
    span: tuple[float, float] | None

    def judged(self, reading: Reading, footprints: float = FOOTPRINTS) -> Agreement:
        return self.probe.agreement(reading.apply(self.views), footprints=footprints)

    def quick(
        self,
        depth: NDArray[np.float32],
        poses: str = AS_READ,
        unit: float = 1.0,
        footprints: float = FOOTPRINTS,
    ) -> float:
        """Return the consistency of few samples, with understood depth (N, H, W)."""
        moved = self._poses[poses].copy()
        moved[:, :3, 3] /= unit  # as well as scaling all depth, and far less work
        rig = replace(self.views.rig, world_from_camera=moved)
        views = replace(self.views, depth=depth, rig=rig)
        return self._few.agreement(views, footprints=footprints).consistency

    def finalists(self, progress: Progress) -> list[Reading]:
        """Return the given reading, the best of few samples, and for each value of each aspect the
        best with it.
        """
        depths = [Reading(each, total) for each in ENCODINGS for total in self._sums(each)]
        scored: dict[Reading, float] = {}
        for done, reading in enumerate(depths):
            progress(_STAGE, done / len(depths))
            depth = self._depth(reading)
            for poses, unit in product(self._poses, UNITS):
                if (poses, unit) != (AS_READ, 1.0) and self._parallax(poses, unit) < _PARALLAX:
                    continue
                scored[replace(reading, poses=poses, unit=unit)] = self.quick(depth, poses, unit)
        ranked = sorted(scored, key=lambda reading: -scored[reading])
        chosen = dict.fromkeys([Reading(), *ranked[:_FINALISTS]])
        for aspect in ASPECTS:
            for value in dict.fromkeys(reading.values[aspect] for reading in ranked):
                chosen[next(each for each in ranked if each.values[aspect] == value)] = None
        progress(_STAGE, 1.0)
        return list(chosen)

    def shifted(self, reading: Reading) -> tuple[Reading, dict[str, float]]:
        """Return the reading with the principal point that fits best, and its leads over others."""
        moved = [replace(reading, shift=shift) for shift in SHIFTS]
        judged = {each: self.judged(each, _FINE) for each in moved}
        best = max(judged, key=lambda each: judged[each].consistency)
        told = judged[best].lead_over_chance() >= SIGNIFICANT
        if not told or judged[best].lead(judged[reading]) < SIGNIFICANT:
            best = reading
        return best, {
            each.values["pixel centres"]: judged[best].lead(judged[each]) if told else 0.0
            for each in moved
            if each != best
        }

    def _parallax(self, poses: str, unit: float) -> float:
        """Return by how many pixels a point at the usual depth moves from camera to camera."""
        centers = self._poses[poses][:, :3, 3]
        spread = float(np.linalg.norm(centers - centers.mean(axis=0), axis=1).max())
        focal = float(np.median(self.views.rig.intrinsics[:, 0, 0]))
        return spread / (self._usual_depth * unit) * focal

    @cached_property
    def _usual_depth(self) -> float:
        finite = self.views.depth[self.views.silhouettes]
        return float(np.median(finite)) if finite.size else 1.0

    @cached_property
    def _few(self) -> Probe:
        return self.probe.fewer(_SAMPLES)

    @cached_property
    def _poses(self) -> dict[str, NDArray[np.float64]]:
        return pose_readings(self.views.rig)

    @cached_property
    def _lengths(self) -> NDArray[np.float32]:
        return _lengths(self.views.rig)

    def _depth(self, reading: Reading) -> NDArray[np.float32]:
        return _understood(self.views.depth, reading, self._lengths)

    def _sums(self, encoding: Encoding) -> list[float | None]:
        """Return the sums of near and far to try: none, of what there is, and, with the matrices as
        they were read, the one that fits best.
        """
        if self.span is not None:
            return [None, float(sum(self.span))]
        undone: Encoding = "as read" if encoding == "along the ray" else encoding
        stored = self._depth(Reading(undone))
        finite = stored[self.views.silhouettes]
        if finite.size == 0:
            return [None]
        near, far = float(finite.min()), float(finite.max())
        reach = _COARSE * FOOTPRINTS * far / float(np.median(self.views.rig.intrinsics[:, 0, 0]))
        steps = int(np.ceil((far - near) / 2 / reach))
        sums = [near + far + k * reach for k in range(-steps, steps + 1)]
        best = self._best_sum(encoding, sums, _COARSE * FOOTPRINTS)
        for footprints in _FINER:
            finer = reach * footprints / (_COARSE * FOOTPRINTS) / 2
            best = self._best_sum(encoding, [best + k * finer for k in range(-6, 7)], footprints)
        return [None, best]

    def _best_sum(self, encoding: Encoding, sums: list[float], footprints: float) -> float:
        def score(total: float) -> float:
            return self.quick(self._depth(Reading(encoding, total)), footprints=footprints)

        return max(sums, key=score)


def _leads(best: Reading, judged: dict[Reading, Agreement]) -> dict[str, dict[str, float]]:
    """Return by how much the best reading leads over the best one with each other value."""
    leads: dict[str, dict[str, float]] = {aspect: {} for aspect in ASPECTS}
    for aspect in ASPECTS:
        for reading, agreement in judged.items():
            value = reading.values[aspect]
            if value != best.values[aspect]:
                lead = judged[best].lead(agreement)
                leads[aspect][value] = min(lead, leads[aspect].get(value, np.inf))
    return leads


def _understood(
    stored: NDArray[np.float32], reading: Reading, lengths: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return planar depth (N, H, W) of a reading, in the unit it is stored in."""
    depth = np.empty_like(stored)
    swapped_from = np.nan if reading.far_plus_near is None else reading.far_plus_near
    parallel.run(
        understand, len(stored), stored, lengths, ENCODINGS.index(reading.depth),
        np.float32(swapped_from), depth,
    )  # fmt: skip
    return depth


def _lengths(rig: Rig) -> NDArray[np.float32]:
    """Return the length of each pixel's ray of planar depth 1, (N, H, W)."""
    return np.stack([ray_lengths(rig, k) for k in range(len(rig))]).astype(np.float32)


def _common_target(poses: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return the point nearest to all optical axes, (3,), None if they are all parallel."""
    forward, centers = poses[:, :3, 2], poses[:, :3, 3]
    across = np.eye(3) - forward[:, :, None] * forward[:, None, :]
    if np.linalg.matrix_rank(across.sum(axis=0), tol=1e-6) < 3:
        return None
    right = (across @ centers[:, :, None]).sum(axis=0)[:, 0]
    return np.asarray(np.linalg.solve(across.sum(axis=0), right))


def _upright(
    centers: NDArray[np.float64], target: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Return poses (N, 4, 4) that look at the target with each axis up, both ways."""
    if (np.linalg.norm(centers - target, axis=1) < 1e-9).any():
        return {}
    return {
        f"up {'+' if sign > 0 else '-'}{'xyz'[axis]}": np.stack(
            [look_at(center, target=target, up=sign * np.eye(3)[axis]) for center in centers]
        )
        for axis, sign in product(range(3), (1, -1))
    }
