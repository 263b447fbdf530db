"""Whether mended views are the true ones, up to what no view can tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

import backproject as bp
from backproject.checking.diagnosis import Diagnosis
from backproject.checking.probe import FOOTPRINTS, SETTLED, TURNS, Probe
from backproject.checking.turns import possible_turns, turned
from benchmarks.faults import MIRRORED, Fault, Planted

SAME_POSE = 1e-3
"""By how much poses may differ and be the same: directions come with six digits at best."""
MOST = 95
"""Which percentile of depth's errors is meant: most of an image, and no pixel on an edge."""


NEARNESS = (FOOTPRINTS, FOOTPRINTS / 4)
"""Footprints within which points agree: those of the check, and so few that small errors of numbers
and poses show as well.
"""


@dataclass(frozen=True)
class Twin:
    """The same scene moved as a whole so that the rig comes upon itself: the image of camera k is
    that of camera `cameras[k]` then, turned by `labels[k]`; `mirrored`, if the move is no motion.
    """

    cameras: NDArray[np.int64]
    labels: NDArray[np.int64]
    mirrored: bool

    def apply(self, views: bp.ViewSet) -> bp.ViewSet:
        """Return the views of the scene that was moved so."""
        there = turned(views, self.labels)
        return replace(views, depth=there.depth[np.argsort(self.cameras)])


@dataclass(frozen=True)
class Errors:
    """How far mended views are from the truth, after the similarity that brings them nearest.

    Errors of `focal` length, of most `depth` and of the cameras' places (`distance`), of
    themselves; `pixels`, by which what a view saw moves in its image, in the mean; `seen`, the
    share of pixels that show something in one of the two only. Each is that of the worst view.
    `mirrored`: the views are nearer to those of the mirrored scene.
    """

    focal: float
    depth: float
    distance: float
    pixels: float
    seen: float
    mirrored: bool

    @property
    def numbers(self) -> float:
        """The largest error of a number."""
        return max(self.focal, self.depth, self.distance)


@dataclass(frozen=True)
class Verdict:
    """What an answer is worth.

    `named`: the hypotheses that it calls wrong are those planted. `mended`: the views it mends are
    the truth. `untold`: nobody could tell, as the faulty views agree with each other as well as the
    true ones do. `invented`: it calls wrong what was not planted, and the views it mends are not
    the truth. `errors` is None where views are missing or too many.
    """

    named: bool
    mended: bool
    untold: bool
    invented: bool
    errors: Errors | None

    @property
    def right(self) -> bool:
        """Whether the fault was named and mended."""
        return self.named and self.mended


def judge(fault: Fault, planted: Planted, diagnosis: Diagnosis) -> Verdict:
    """Return what the answer for planted views is worth."""
    mended = diagnosis.apply(planted.views)
    wrong = {each.hypothesis for each in diagnosis.findings if each.verdict == "wrong"}
    known = fault.also.union(*fault.named)
    errors = compare(mended, planted.truth)
    good = errors is not None and is_mended(fault, mended, planted.truth, errors)
    return Verdict(
        named=wrong <= known and all(wrong & group for group in fault.named),
        mended=good,
        untold=bool(fault.named) and agree_as_well(planted.views, planted.truth),
        invented=not wrong <= known and not good,
        errors=errors,
    )


def is_mended(fault: Fault, mended: bp.ViewSet, truth: bp.ViewSet, errors: Errors) -> bool:
    """Return whether errors are within what a fault leaves, and all images are as they should be,
    or turned and exchanged so that nobody can tell.
    """
    rim = fault.numbers * max(truth.rig.width, truth.rig.height) / 2
    pixels = rim if fault.pixels is None else fault.pixels
    close = errors.numbers <= fault.numbers and errors.pixels <= pixels
    return close and (errors.seen == 0 or agree_as_well(mended, truth))


def agree_as_well(views: bp.ViewSet, truth: bp.ViewSet) -> bool:
    """Return whether the views contradict each other as little as the true ones, the worst one
    too, and however near a point must lie to agree.
    """
    return all(
        clashes(views, near).max() <= clashes(truth, near).max() + SETTLED for near in NEARNESS
    )


def clashes(views: bp.ViewSet, footprints: float) -> NDArray[np.float64]:
    """Return the share of contradictions among what each view says of the others' samples, and
    they of its, (N,); 1 of a view of which nothing is said. Points within so many `footprints`
    agree.
    """
    scores = Probe.of(views).agreement(views, footprints=footprints).scores
    against, said = _of_views(scores < 0), _of_views(scores != 0)
    return np.asarray(np.where(said > 0, against / np.maximum(said, 1), 1.0))


def _of_views(marked: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.asarray(marked.sum(axis=(1, 2)) + marked.sum(axis=(0, 1)))


def compare(mended: bp.ViewSet, truth: bp.ViewSet) -> Errors | None:
    """Return how far mended views are from the truth, moved as a whole as fits best; None if they
    are not as many, or show nothing in common.

    An image that is turned together with its camera shows the same. A mirrored scene is another.
    """
    if mended.depth.shape != truth.depth.shape:
        return None
    labels = possible_turns(truth.rig.width, truth.rig.height)
    rolls = [rolled(mended, label) for label in labels.tolist() if label < MIRRORED]
    moves = twins(truth.rig)
    ours = [_nearness(each) for each in rolls]
    theirs = [_nearness(move.apply(truth)) for move in moves]
    apart = np.array([[np.abs(one - other).sum() for one in ours] for other in theirs])
    proper = np.array([not move.mirrored for move in moves])
    move, roll = np.unravel_index(int(apart[proper].argmin()), apart[proper].shape)
    there = [each for each in moves if not each.mirrored][move].apply(truth)
    mirrored = bool(apart.min() < apart[proper].min())
    return _errors(rolls[roll], there, mirrored)


def rolled(views: bp.ViewSet, label: int) -> bp.ViewSet:
    """Return the same views with all cameras rolled about their axes, so that their images are
    turned by `TURNS[label]`, which is no mirror.
    """
    rig, turn = views.rig, TURNS[label]
    poses, intrinsics = rig.world_from_camera.copy(), rig.intrinsics.copy()
    poses[:, :3, :2] = poses[:, :3, :2] @ turn.T
    half = np.array([rig.width, rig.height]) / 2
    intrinsics[:, :2, 2] = (intrinsics[:, :2, 2] - half) @ turn.T + half
    intrinsics[:, (0, 1), (0, 1)] = intrinsics[:, (0, 1), (0, 1)] @ np.abs(turn).T
    images = turned(views, np.full(len(views), label))
    return replace(images, rig=replace(rig, intrinsics=intrinsics, world_from_camera=poses))


def _nearness(views: bp.ViewSet) -> NDArray[np.float32]:
    """Return one over depth, 0 where nothing is seen or known."""
    known = np.where(views.silhouettes, views.depth, np.float32(np.inf))
    return np.asarray(1 / known)


def _errors(mended: bp.ViewSet, truth: bp.ViewSet, mirrored: bool) -> Errors | None:
    common = mended.silhouettes & truth.silhouettes
    either = mended.silhouettes | truth.silhouettes
    ours, theirs = list(_points(mended, common)), list(_points(truth, common))
    if not common.any():
        return None
    fit = nearest_similarity(np.concatenate(ours), np.concatenate(theirs))
    shown = [k for k in range(len(truth)) if common[k].any()]
    pixels, depths = [], []
    back = fit.inverse()
    for k in shown:
        there, _ = mended.rig[k].project(back.apply(theirs[k]))
        pixels.append(np.linalg.norm(there - _centers(common[k]), axis=1).mean())
        ratio = fit.scale * mended.depth[k][common[k]] / truth.depth[k][common[k]]
        depths.append(np.percentile(np.abs(ratio - 1), MOST))
    at = truth.rig.centers_world
    away = np.linalg.norm(at - np.concatenate(theirs).mean(axis=0), axis=1)
    gaps = np.linalg.norm(fit.apply(mended.rig.centers_world) - at, axis=1)
    focal = mended.rig.intrinsics[:, (0, 1), (0, 1)] / truth.rig.intrinsics[:, (0, 1), (0, 1)]
    unequal = (common != either).sum(axis=(1, 2)) / np.maximum(either.sum(axis=(1, 2)), 1)
    return Errors(
        float(np.abs(focal - 1).max()), float(max(depths)), float((gaps / away).max()),
        float(max(pixels)), float(unequal.max()), mirrored,
    )  # fmt: skip


def _points(views: bp.ViewSet, where: NDArray[np.bool_]) -> Iterator[NDArray[np.float64]]:
    """Yield what each view sees at the pixels marked, in the world, (P, 3)."""
    for camera, depth, marked in zip(views.rig, views.depth, where, strict=True):
        yield camera.unproject(_centers(marked), depth[marked])


def _centers(marked: NDArray[np.bool_]) -> NDArray[np.float64]:
    rows, columns = np.nonzero(marked)
    return np.stack([columns, rows], axis=1) + 0.5


def nearest_similarity(source: NDArray[np.float64], target: NDArray[np.float64]) -> bp.Similarity:
    """Return the similarity that brings points (P, 3) nearest to others (Umeyama 1991)."""
    from_, to = source.mean(axis=0), target.mean(axis=0)
    u, stretch, vt = np.linalg.svd((target - to).T @ (source - from_))
    proper = np.array([1.0, 1.0, np.linalg.det(u @ vt)])
    rotation = u @ np.diag(proper) @ vt
    scale = float((stretch * proper).sum() / ((source - from_) ** 2).sum())
    return bp.Similarity(scale, rotation, to - scale * rotation @ from_)


def twins(rig: bp.Rig) -> list[Twin]:
    """Return all moves of the scene that bring a rig of equal cameras upon itself, its images
    turned and mirrored as they may be; to stay is the first, mirrors come last.
    """
    turns = np.zeros((len(TURNS), 4, 4))
    turns[:, :2, :2], turns[:, 2, 2], turns[:, 3, 3] = TURNS, 1, 1
    poses = rig.world_from_camera
    turned_poses = poses[:, None] @ turns  # camera j, as if its image were turned back
    first = np.linalg.inv(poses[0])
    found = []
    for label in range(len(TURNS)):
        for camera in range(len(rig)):
            moved = turned_poses[camera, label] @ first @ poses
            gaps = np.abs(moved[:, None, None] - turned_poses).max(axis=(3, 4))
            flat = gaps.reshape(len(rig), -1)
            cameras, labels = np.divmod(flat.argmin(axis=1), len(TURNS))
            if flat.min(axis=1).max() < SAME_POSE and len(set(cameras.tolist())) == len(rig):
                found.append(Twin(cameras, labels, label >= MIRRORED))
    return found
