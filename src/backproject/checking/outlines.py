"""Motions of the views that surfaces leave open, decided by what the views look past.

Surfaces that slide along themselves part nowhere: views of a prism's top and views of its bottom
share its sides alone, and slide along its axis. Where they do, points of one view stand out beyond
the outlines and the edges that another sees. How many do is counted, not measured, so the best
place is searched, by steps that are halved (Hooke & Jeeves 1961), along the motions that least
squares know worst.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from backproject.checking.adjustment import Equations, Scene, State
from backproject.checking.probe import SIGNIFICANT, Probe
from backproject.kernels.adjust import SHARED, TWIST

OPEN = 1.0
"""A motion is open if, of a pixel of it, all gaps together part by less than that of one sample
that it moves along its normal.
"""
MOST = 30
"""Open motions that are searched, at most."""
STEPS = (2.0, 1.0, 0.5, 0.25, 0.125, 0.0625)
"""Steps of the search, in pixels of the view that moves most."""
SWEEPS = 10
"""How often each motion is searched with each step, at most: others move its best place."""
STALLED = 0.98
"""A sweep that leaves at least so much of the count is the last."""
SAMPLES = 600
"""Samples of each view."""
HELD = 1e4
"""Samples that are as much as what outlines hold."""
TOLERANCE = 0.25
"""How far past a point a view looks, in footprints, to count."""


@dataclass(frozen=True)
class Outlines:
    """The edges of a scene: samples of what is seen and not in the midst of smooth surface."""

    scene: Scene
    probe: Probe

    @classmethod
    def of(cls, scene: Scene, *, seed: int) -> Outlines:
        """Return the outlines of a scene, whose samples are drawn by the `seed`."""
        edges = np.isfinite(scene.views.depth) & np.isnan(scene.surface)
        return cls(scene, Probe.among(edges, samples=SAMPLES, seed=seed))

    def decide(self, start: State, found: Equations) -> tuple[State, int]:
        """Return the state moved along the motions that its equations leave open, to where the
        views look past fewest points, and how many these are; not moved at all where that is not
        beyond doubt.
        """
        motions = open_motions(self.scene, found)
        state = start
        before = after = self._looked_past(start)
        for step in STEPS if len(motions) and before.any() else ():
            for _ in range(SWEEPS):
                last = after.sum()
                for motion in motions:
                    state, after = self._slid(state, step * motion, after)
                if after.sum() >= STALLED * last:
                    break
        better = _clearly_fewer(after, before)
        return (state, int(after.sum())) if better else (start, int(before.sum()))

    def hold(self, state: State, steps: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return for each of several steps of the unknowns (K, 6 N + 5) whether, beyond doubt, more
        points are looked past after it, either way.
        """
        here = self._looked_past(state)
        return np.array(
            [
                all(
                    _clearly_fewer(here, self._looked_past(self._moved(state, sign * step)))
                    for sign in (-1.0, 1.0)
                )
                for step in steps
            ],
            np.bool_,
        )

    def _slid(
        self, state: State, motion: NDArray[np.float64], past: NDArray[np.int64]
    ) -> tuple[State, NDArray[np.int64]]:
        """Return the best state along a motion, either way, and what is looked past there."""
        best, steps = state, 0
        for sign in (-1, 1):
            while not steps * sign < 0:  # not back again
                moved = self._moved(state, (steps + sign) * motion)
                there = self._looked_past(moved)
                if there.sum() >= past.sum():
                    break
                best, steps, past = moved, steps + sign, there
        return best, past

    def _moved(self, state: State, step: NDArray[np.float64]) -> State:
        return state.moved(step, self.scene.middle)

    def _looked_past(self, state: State) -> NDArray[np.int64]:
        """Return how many views look past each sample, (N, S)."""
        rig = replace(self.scene.views.rig, world_from_camera=state.poses)
        said = self.probe.agreement(replace(self.scene.views, rig=rig), footprints=TOLERANCE)
        return np.asarray(np.count_nonzero(said.scores < 0, axis=2))


def _clearly_fewer(past: NDArray[np.int64], other: NDArray[np.int64]) -> bool:
    fewer = other - past
    return bool(fewer.sum() > SIGNIFICANT * np.sqrt((fewer**2).sum()))


def open_motions(scene: Scene, found: Equations) -> NDArray[np.float64]:
    """Return steps of the unknowns (K, 6 N + 5), the most open first, that move one view by a
    pixel, about, and the others by no more. Motions of all views as one are none.
    """
    size = len(found.square) - SHARED
    unit = _pixel(scene, size)
    # what is left of all motions without those of the scene as a whole
    whole = np.tile(np.eye(TWIST), (size // TWIST, 1))
    apart = np.linalg.svd(whole)[0][:, TWIST:]
    square = found.square[:size, :size] * unit * unit[:, None] / scene.footprint**2
    weights, motions = np.linalg.eigh(apart.T @ square @ apart)
    motions = apart @ motions[:, weights < OPEN][:, :MOST]
    views = motions.reshape(size // TWIST, TWIST, motions.shape[1])
    steps = np.zeros((motions.shape[1], len(found.square)))
    steps[:, :size] = (motions / np.linalg.norm(views, axis=1).max(axis=0) * unit[:, None]).T
    return steps


def stiffened(scene: Scene, found: Equations, held: NDArray[np.float64]) -> Equations:
    """Return the equations where motions (K, 6 N + 5), see `open_motions`, are `held`."""
    size = len(found.square) - SHARED
    unit = _pixel(scene, size)
    across = held[:, :size] / unit / np.linalg.norm(held[:, :size] / unit, axis=1)[:, None] / unit
    square = found.square.copy()
    square[:size, :size] += HELD * scene.footprint**2 * across.T @ across
    return replace(found, square=square)


def precision(scene: Scene, held: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how exactly outlines hold each view against motions (K, 6 N + 5), in pixels, (N,)."""
    size = len(held.T) - SHARED
    moved = (held[:, :size] / _pixel(scene, size)).reshape(len(held), size // TWIST, TWIST)
    return np.asarray(STEPS[-1] * np.sqrt((moved**2).sum(axis=(0, 2))))


def _pixel(scene: Scene, size: int) -> NDArray[np.float64]:
    """Return by how much each of the poses' unknowns moves a view by a pixel, about."""
    pixel = np.repeat([scene.footprint / scene.radius, scene.footprint], 3)
    return np.tile(pixel, size // TWIST)
