"""Whether images are turned or mirrored, each for itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproject.checking.probe import SIGNIFICANT, TURNS, Agreement, Label, Probe
from backproject.geometry.views import ViewSet
from backproject.progress import Progress, silent

_STAGE = "turning images"
_SWEEPS = 50
"""More passes than improving one image at a time ever takes."""
_MANY = 3000
"""How many samples of each view tell an image's label from one that is nearly as good."""
_FINALISTS = 8
"""How many of the best other labellings are held against the best, sample by sample."""


@dataclass(frozen=True)
class Turns:
    """What was done to each image: `best` (N,), a label of `probe.TURNS`; 0 is as it should be.

    `given_score`, `best_score`: the consistency of the views as given and mended. `lead`: by how
    many standard errors the best explains the samples better than the given, 0 if they are the
    same. `leads` (N, 8): the same of the best over each other label of one image, nan for labels
    that were not tried; below `SIGNIFICANT` the two cannot be told apart. `ties`: labellings of
    several images that are as good as the best. `consistent`: whether the mended views confirm
    each other more than they contradict each other; if not, something else is wrong too.
    """

    best: Label
    given_score: float
    best_score: float
    lead: float
    leads: NDArray[np.float64]
    ties: tuple[Label, ...]
    consistent: bool

    @property
    def given(self) -> Label:
        """The labels that the given views stand for: nothing was turned."""
        return np.zeros_like(self.best)

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """Which images (N,) are turned for sure: as given they fit clearly worse."""
        return np.asarray((self.best != 0) & (self.leads[:, 0] >= SIGNIFICANT) & self.consistent)

    @property
    def untold(self) -> NDArray[np.bool_]:
        """Which images (N,) fit as well, or nearly, with another label."""
        rivals = np.nan_to_num(self.leads, nan=np.inf)
        rivals[np.arange(len(self.best)), self.best] = np.inf
        alone = rivals.min(axis=1) < SIGNIFICANT
        together = [tie != self.best for tie in self.ties]
        return np.asarray(np.any([alone, *together], axis=0))

    def apply(self, views: ViewSet) -> ViewSet:
        """Return the views with every image turned back."""
        return turned_back(views, self.best)


def turned_back(views: ViewSet, labels: Label) -> ViewSet:
    """Return views whose images were turned by `TURNS[labels]`, (N,), as they were before."""
    colors = None if views.colors is None else _all_back(views.colors, labels)
    return replace(views, depth=_all_back(views.depth, labels), colors=colors)


def turned(views: ViewSet, labels: Label) -> ViewSet:
    """Return views with each image mirrored and turned by `TURNS[labels]`, (N,)."""
    # a mirror undoes itself; a quarter turn is undone by three
    undoing = np.array([0, 3, 2, 1, 4, 5, 6, 7])
    return turned_back(views, undoing[labels])


def describe_turn(label: int) -> str:
    """Return in words what was done to an image."""
    quarter = ("as it is", "turned left", "turned by 180 degrees", "turned right")
    mirrored = (
        "mirrored left to right", "mirrored, then turned left", "mirrored top to bottom",
        "mirrored, then turned right",
    )  # fmt: skip
    return (quarter + mirrored)[label]


def possible_turns(width: int, height: int) -> Label:
    """Return the labels that keep the image's shape."""
    return np.arange(8) if width == height else np.array([0, 2, 4, 6])


def find_turns(views: ViewSet, probe: Probe | None = None, *, progress: Progress = silent) -> Turns:
    """Return how each image was turned and mirrored: the labels of highest consistency.

    All pairs of images are scored under all pairs of labels; then one image at a time takes its
    best label while the others keep theirs, from each common label and from what each image under
    each label makes of the others (iterated conditional modes, Besag 1986, on the pairwise scores).
    What is close to the best is compared with it sample by sample. Images of an object that is
    symmetric under a turn keep the label they were given.
    """
    probe = probe or Probe.of(views)
    labels = possible_turns(views.rig.width, views.rig.height)
    table = _table(views, probe, labels, progress)
    found = _labellings(table)
    given = probe.agreement(views)

    many = Probe.of(views, samples=_MANY, seed=probe.seed)

    def judged(picks: NDArray[np.int64], about: int = -1) -> Agreement:
        return probe.agreement(views, turns=labels[picks], about=about)

    def closely(picks: NDArray[np.int64], about: int) -> Agreement:
        return many.agreement(views, turns=labels[picks], about=about)

    best, agreement = _preferred(found, table, judged, closely)
    leads = _leads(best, labels, judged)
    others = [pick for pick in found[: _FINALISTS + 1] if (pick != best).any()]
    ties = [pick for pick in others if agreement.lead(judged(pick)) < SIGNIFICANT]
    return Turns(
        labels[best],
        given.consistency,
        agreement.consistency,
        agreement.lead(given),
        leads,
        tuple(labels[pick] for pick in ties),
        agreement.lead_over_chance() >= SIGNIFICANT,
    )


def _all_back(images: NDArray[Any], labels: Label) -> NDArray[Any]:
    return np.stack([_back(*each) for each in zip(images, labels.tolist(), strict=True)])


def _back(image: NDArray[Any], label: int) -> NDArray[Any]:
    upright = np.rot90(image, -(label % 4))
    return np.fliplr(upright) if label >= 4 else upright


def _table(views: ViewSet, probe: Probe, labels: Label, progress: Progress) -> NDArray[np.float32]:
    count = len(views)
    cameras = np.repeat(np.arange(count)[:, None], len(labels), axis=1)
    turns = np.repeat(labels[None], count, axis=0)
    return probe.table(views, cameras, turns, progress=progress, stage=_STAGE)


def _labellings(table: NDArray[np.float32]) -> list[NDArray[np.int64]]:
    """Return labellings that no change of one image improves, best first, and the given one."""
    count, labels = table.shape[:2]
    starts = [np.full(count, label) for label in range(labels)]
    for image in range(count):
        for label in range(labels):
            start = table[image, label].argmax(axis=-1)
            start[image] = label
            starts.append(start)
    ends = {tuple(_climbed(table, start).tolist()) for start in starts} | {(0,) * count}
    return sorted(map(np.array, ends), key=lambda picks: -_total(table, picks))


def _climbed(table: NDArray[np.float32], picks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the labels after each image in turn has taken its best, until none wants another."""
    picks = picks.copy()
    images = np.arange(len(picks))
    for _ in range(_SWEEPS):
        before = picks.copy()
        for image in images:
            gain = table[image][:, images, picks].sum(axis=1)  # nothing of the image itself
            if gain.max() > gain[picks[image]]:
                picks[image] = gain.argmax()
        if (picks == before).all():
            break
    return picks


def _total(table: NDArray[np.float32], picks: NDArray[np.int64]) -> float:
    images = np.arange(len(picks))
    chosen = table[images, picks][:, images, picks]
    return float(chosen.sum(dtype=np.float64)) / 2


def _preferred(
    found: list[NDArray[np.int64]],
    table: NDArray[np.float32],
    judged: Callable[[NDArray[np.int64]], Agreement],
    closely: Callable[[NDArray[np.int64], int], Agreement],
) -> tuple[NDArray[np.int64], Agreement]:
    """Return the simplest of the labellings that are as good as the best: the given one, else one
    that leaves images alone, or treats them as most others. What few samples cannot tell of one
    image is asked of many.
    """
    top = judged(found[0])
    equal = [pick for pick in found[: _FINALISTS + 1] if top.lead(judged(pick)) < SIGNIFICANT]
    given = np.zeros_like(found[0])
    if top.lead(judged(given)) < SIGNIFICANT:
        return given, judged(given)
    best = min(equal, key=lambda pick: (np.count_nonzero(pick), -_total(table, pick)))
    for simpler in (0, int(np.bincount(best).argmax())):
        for image in np.flatnonzero(best != simpler).tolist():
            closer = best.copy()
            closer[image] = simpler
            if best[image] == 0 or top.lead(judged(closer)) >= SIGNIFICANT:
                continue
            if closely(best, image).lead(closely(closer, image)) < SIGNIFICANT:
                best = closer
    return best, judged(best)


def _leads(
    best: NDArray[np.int64],
    labels: Label,
    judged: Callable[[NDArray[np.int64], int], Agreement],
) -> NDArray[np.float64]:
    """Return by how much each image's label leads over each other, (N, 8)."""
    leads = np.full((len(best), len(TURNS)), np.nan)
    for image, pick in enumerate(best.tolist()):
        ours = judged(best, image)
        for other, label in enumerate(labels.tolist()):
            rival = best.copy()
            rival[image] = other
            leads[image, label] = 0.0 if other == pick else ours.lead(judged(rival, image))
    return leads
