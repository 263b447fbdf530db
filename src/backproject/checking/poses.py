"""Each view's pose, moved a little until its surface lies on those of the others."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

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
)
from backproject.checking.outlines import Outlines, open_motions, precision, stiffened
from backproject.checking.probe import SIGNIFICANT, Agreement, Probe
from backproject.errors import InputError
from backproject.geometry.views import ViewSet
from backproject.kernels.adjust import SHARED, TWIST
from backproject.progress import Progress, silent

TURNED = np.radians(2.0)
"""How far a camera may be turned off, in radians, to be found."""
SHIFTED = 0.02
"""How far a camera may be off its place, as a share of its distance."""
ROUNDS = 80
"""Rounds of the adjustment, at most: surfaces that slide along each other settle slowly."""
PROBED = 5.0
"""Footprints by which a view is moved along the motion that it tells worst, to see if it shows."""
HALF = 0.5
"""Of the views must be told before the others are looked for beside them."""
PAST = 0.05
"""The share of what others say of a view's samples that may be against it."""
SEARCHES = 3
"""How often they are looked for."""
TRIES = 3000
"""Poses that are tried for a view that is lost."""
STARTS = 8
"""Best of them that Gauss-Newton sets out from."""
ALONE = 20
"""Its rounds, of one view alone."""
SEARCHED = 60
"""Samples of each view in that search."""
COARSE, FINE = 8.0, 2.0
"""Tolerances, in footprints, of the tries and of the choice among their ends."""
LOOSE = 1.0
"""Pixels of standard error from which on a view says too little of its pose."""
FARTHEST = 2.5
"""How many times the turn or shift that is sought a view may be off in the end: one that went
farther shows another thing.
"""
SPREAD = 3.0
"""Standard errors within which a pose is as given."""
NOTICED = 0.1
"""A view is called off if its pixels move by more than so many: less is between pixels."""
OUTLINED = 6
"""How often, at most, surfaces and then outlines move the views."""
WORTH = 0.5
"""What outlines may leave of what was looked past before, at most, to be asked again."""
FAR = 0.5
"""Pixels from which on a view that outlines moved is no longer where surfaces held it."""
SETTLE = 20
"""Rounds of the weighted mean that holds most views where they were given."""


@dataclass(frozen=True)
class Poses:
    """`world_from_camera` (N, 4, 4) that fit together best, with the views' consistency as `given`
    and at the `best`, and by how many standard errors the best leads.

    All views together can move freely: what is held is where most of them were given. `degrees`,
    `shifts` (N,) tell how far each camera was turned and away from its place, in scene units,
    `pixels` (N,) how far its image moves, `errors` (N,) the standard error of that, `told` (N,)
    whether the view says all of its pose: a sphere can be turned at will. `astray` (N,) are views
    that went farther than is sought: they show another thing. `gap` is the median
    distance of surfaces at the best, in pixel footprints.
    """

    world_from_camera: NDArray[np.float64]
    degrees: NDArray[np.float64]
    shifts: NDArray[np.float64]
    pixels: NDArray[np.float64]
    errors: NDArray[np.float64]
    told: NDArray[np.bool_]
    astray: NDArray[np.bool_]
    given: float
    best: float
    lead: float
    gap: float

    @property
    def off(self) -> NDArray[np.bool_]:
        """Which views (N,) are off, beyond doubt: they tell their pose, and it is another one."""
        moved: NDArray[np.bool_] = self.pixels > np.maximum(NOTICED, SPREAD * self.errors)
        return moved & self.told

    @property
    def agrees(self) -> bool:
        """Whether no view is off beyond doubt."""
        return not self.off.any()

    def apply(self, views: ViewSet) -> ViewSet:
        """Return the views with the best poses; as they are, where the samples do not show that
        these are better: what nothing determines may have drifted.
        """
        if self.agrees and self.lead <= SIGNIFICANT:
            return views
        return replace(views, rig=replace(views.rig, world_from_camera=self.world_from_camera))


def refine_poses(
    views: ViewSet, *, samples: int = 200, seed: int = 0, progress: Progress = silent
) -> Poses:
    """Return the poses at which the views' surfaces lie together, from poses that are off by up to
    2 degrees and 2 % of the distance. `samples` of each view are drawn by the `seed`.

    Raises:
        InputError: fewer than two views.

    """
    if len(views) < 2:
        raise InputError(f"views: got {len(views)}, expected at least 2 to compare")
    exact = Scene.of(views, samples=samples, seed=seed)
    scene = exact.with_creases()
    given = State(views.rig.world_from_camera)
    free = free_unknowns(len(views), ("poses",))
    probe = Probe.of(views, samples=samples, seed=seed)
    was = probe.agreement(views)
    best, found = adjust(
        scene, given, free, gate=GATE * scene.footprint, rounds=ROUNDS,
        heard=lambda share: progress("poses", share),
    )  # fmt: skip
    progress("poses", 1.0)
    best, told = _found_again(scene, given, best, found, free, probe)
    outlines = Outlines.of(exact, seed=seed)
    if _lost(best, told, probe, scene).any():  # no motion brings all together
        best, found = adjust(exact, best, free, gate=exact.footprint, rounds=ROUNDS)
    else:
        # where views agree as they are, no more is off than a tolerance hides
        rounds = OUTLINED if _contradicted(was).any() else 1
        best, found = _fitted(outlines, best, free, rounds)
    motions = open_motions(exact, found)
    motions = motions[outlines.hold(best, motions)]
    found = stiffened(exact, found, motions)
    errors = np.hypot(_errors(scene, found, free), precision(exact, motions))
    if len(motions):
        steps = np.array([_least_known(scene, found, k) for k in range(len(views))])
        told[~told] = outlines.hold(best, steps[~told]) & (errors[~told] < LOOSE)
    held = _held(scene, given.poses, best.poses, told)
    now = probe.agreement(replace(best, poses=held).apply(views))
    apart = np.swapaxes(given.poses[:, :3, :3], 1, 2) @ held[:, :3, :3]
    return Poses(
        held,
        np.degrees([_angle(turn) for turn in apart]),
        np.linalg.norm(held[:, :3, 3] - given.poses[:, :3, 3], axis=1),
        _moved_pixels(scene, given.poses, held),
        errors,
        told,
        ~_within(scene, given.poses, held),
        was.consistency,
        now.consistency,
        now.lead(was),
        found.median_gap / scene.footprint,
    )


def _found_again(
    scene: Scene,
    given: State,
    best: State,
    found: Equations,
    free: NDArray[np.bool_],
    probe: Probe,
) -> tuple[State, NDArray[np.bool_]]:
    """Return the state once views that are lost were looked for beside the others, and which views
    (N,) tell their poses then.
    """
    told, before = _told(scene, best, found, free), np.zeros(len(best.poses), np.bool_)
    for again in range(SEARCHES):
        lost = _lost(best, told, probe, scene)
        if not lost.any() or told.mean() <= HALF or (lost == before).all():
            break
        before = lost
        best = replace(best, poses=_held(scene, given.poses, best.poses, told))
        best = _searched(scene, given, best, ~lost, probe.seed + again)
        best, found = adjust(scene, best, free, gate=GATE * scene.footprint, rounds=ROUNDS)
        told = _told(scene, best, found, free)
    return best, told


def _lost(best: State, told: NDArray[np.bool_], probe: Probe, scene: Scene) -> NDArray[np.bool_]:
    """Return which views (N,) contradict others, and do not tell their poses."""
    return ~told & _contradicted(probe.agreement(best.apply(scene.views)))


def _fitted(
    outlines: Outlines, best: State, free: NDArray[np.bool_], rounds: int
) -> tuple[State, Equations]:
    """Return the state where smooth surfaces lie together, and outlines too, in turn, and the
    equations of the surfaces.
    """
    # Creases are bent between pixels, and bias what is told of a view by little else.
    exact, fewest = outlines.scene, np.inf
    for _ in range(rounds):
        settled, equal = adjust(exact, best, free, gate=exact.footprint, rounds=ROUNDS)
        moved, past = outlines.decide(settled, equal)
        if past < fewest:
            best, found = moved, equal
        if past > WORTH * fewest or _moved_pixels(exact, settled.poses, moved.poses).max() < FAR:
            break
        fewest = past
    return best, found


def _contradicted(said: Agreement) -> NDArray[np.bool_]:
    """Return which views (N,) the others look past: a view that agrees is not lost, if it says
    little of its pose.
    """
    past = np.count_nonzero(said.scores < 0, axis=(1, 2))
    return np.asarray(past > PAST * np.count_nonzero(said.scores, axis=(1, 2)))


def _told(
    scene: Scene, best: State, found: Equations, free: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return which views (N,) say all of their poses by their surfaces."""
    shown = np.array([_tells(scene, best, found, k) for k in range(len(best.poses))])
    return shown & (_errors(scene, found, free) < LOOSE)


def _within(
    scene: Scene, given: NDArray[np.float64], best: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return which views (N,) are no farther from where they were given than is sought."""
    turns = np.swapaxes(given[:, :3, :3], 1, 2) @ best[:, :3, :3]
    turned = np.array([_angle(turn) for turn in turns]) <= FARTHEST * TURNED
    shifts = np.linalg.norm(best[:, :3, 3] - given[:, :3, 3], axis=1)
    return np.asarray(turned & (shifts <= FARTHEST * SHIFTED * scene.typical_depth))


def _searched(scene: Scene, given: State, best: State, told: NDArray[np.bool_], seed: int) -> State:
    """Return the state in which views that are lost beside the others are looked for anew, one by
    one: at random about where they were given, and from the best places by Gauss-Newton.
    """
    rng = np.random.default_rng(seed)
    poses = best.poses.copy()
    for k in np.flatnonzero(~told).tolist():
        lost = ~told
        lost[k] = False
        others = scene.without(lost)
        starts = np.repeat(poses[None], TRIES, axis=0)
        starts[1:, k] = _shaken(given.poses[k], SHIFTED * scene.typical_depth, TRIES - 1, rng)
        scores = _scores(others, starts, k, COARSE)
        tried = [poses]
        own = np.zeros(TWIST * len(poses) + SHARED, bool)
        own[TWIST * k : TWIST * k + TWIST] = True
        for start in starts[np.argsort(-scores, kind="stable")[:STARTS]]:
            gate = COARSE * scene.footprint
            settled, _ = adjust(others.seen_from(k), State(start), own, gate=gate, rounds=ALONE)
            tried.append(settled.poses)
        poses = tried[int(np.argmax(_scores(others, np.stack(tried), k, FINE)))]
    return replace(best, poses=poses)


def _scores(
    scene: Scene, poses: NDArray[np.float64], view: int, footprints: float
) -> NDArray[np.float64]:
    as_given = np.tile([1.0, 1.0, 0.0], (len(poses), 1))
    tolerance = footprints * scene.footprint
    return score_candidates(
        scene, as_given, poses, tolerance=tolerance, samples=SEARCHED, view=view
    )


def _shaken(
    pose: NDArray[np.float64], shift: float, count: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return poses (count, 4, 4) turned by up to `TURNED` and moved by up to `shift` an axis."""
    shaken = np.repeat(pose[None], count, axis=0)
    turns = rng.uniform(-TURNED, TURNED, (count, 3))
    shaken[:, :3, :3] = pose[:3, :3] @ Rotation.from_rotvec(turns).as_matrix()
    shaken[:, :3, 3] += rng.uniform(-shift, shift, (count, 3))
    return shaken


def _tells(scene: Scene, best: State, found: Equations, view: int) -> bool:
    """Return whether the motion of a view that parts its surface least from the others' shows."""
    seen, step = scene.seen_from(view), _least_known(scene, found, view)
    return all(shows(seen, best, sign * step) for sign in (-1.0, 1.0))


def _least_known(scene: Scene, found: Equations, view: int) -> NDArray[np.float64]:
    """Return the step of a view, `PROBED` footprints, that parts its surface least."""
    own = slice(TWIST * view, TWIST * view + TWIST)
    # turns and shifts weighed by how far they move the scene
    size = np.repeat([1 / scene.radius, 1.0], 3)
    weakest = np.linalg.eigh(size[:, None] * found.square[own, own] * size)[1][:, 0] * size
    step = np.zeros(len(found.square))
    step[own] = PROBED * scene.footprint * weakest
    return step


def _held(
    scene: Scene,
    given: NDArray[np.float64],
    best: NDArray[np.float64],
    told: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Return the best poses, moved as one so that most views are where they were given.

    The rigid motion that least squares of weights 1 / distance settle on: the geometric median
    (Weiszfeld 1937), so that a few views that are far off do not drag the others along.
    """
    # points about the scene, as each camera was given, and as it is now
    frame = scene.middle + scene.radius * np.vstack([np.eye(3), -np.eye(3)])
    changes = best @ np.linalg.inv(given)
    moved = frame @ np.swapaxes(changes[:, :3, :3], 1, 2) + changes[:, None, :3, 3]
    counted = told.astype(np.float64) if told.any() else np.ones(len(told))
    weights, motion = counted, np.eye(4)
    for _ in range(SETTLE):
        motion = _rigid(moved, np.broadcast_to(frame, moved.shape), weights)
        apart = moved @ motion[:3, :3].T + motion[:3, 3] - frame
        off = np.sqrt((apart**2).sum(axis=2).mean(axis=1))
        weights = counted / np.maximum(off, 1e-3 * scene.footprint)
    held: NDArray[np.float64] = motion @ best
    return held


def _rigid(
    source: NDArray[np.float64], target: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the rigid motion (4, 4) that brings points (N, P, 3) nearest to others (Kabsch)."""
    share = np.repeat(weights / weights.sum() / source.shape[1], source.shape[1])[:, None]
    a, b = source.reshape(-1, 3), target.reshape(-1, 3)
    from_, to = (share * a).sum(axis=0), (share * b).sum(axis=0)
    u, _, vt = np.linalg.svd((share * (b - to)).T @ (a - from_))
    motion = np.eye(4)
    motion[:3, :3] = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
    motion[:3, 3] = to - motion[:3, :3] @ from_
    return motion


def _angle(turn: NDArray[np.float64]) -> float:
    """Return a rotation's angle in radians, exact for small ones too."""
    axis = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
    return float(np.arctan2(np.linalg.norm(axis), np.trace(turn) - 1))


def _moved_pixels(
    scene: Scene, given: NDArray[np.float64], best: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return how far the samples of each view move in its image, in the mean, (N,)."""
    moved = np.zeros(len(best))
    rig = scene.views.rig
    old = replace(rig, world_from_camera=given)
    for k, camera in enumerate(replace(rig, world_from_camera=best)):
        pixels = scene.pixels[k][~np.isnan(scene.pixels[k, :, 0])]
        if len(pixels):
            depth = scene.depth[k][tuple(pixels.astype(int).T[::-1])]
            now, _ = camera.project(old[k].unproject(pixels, depth))
            moved[k] = np.linalg.norm(now - pixels, axis=1).mean()
    return moved


def _errors(scene: Scene, found: Equations, free: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the standard error of each view's pose in pixels, about, (N,)."""
    errors = standard_errors(found, free)[: TWIST * len(scene.pixels)].reshape(-1, TWIST)
    apart = np.hstack([errors[:, :3] * scene.radius, errors[:, 3:]]) / scene.footprint
    return np.asarray(np.sqrt((apart**2).sum(axis=1)))
