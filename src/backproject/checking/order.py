"""Whether the images are in the order of the cameras."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from backproject.checking.probe import SIGNIFICANT, Agreement, Label, Probe
from backproject.geometry.rig import Rig, invert_poses
from backproject.geometry.views import ViewSet
from backproject.progress import Progress, silent

AS_GIVEN = "as given"
PERMUTED = "another order"
SEARCHED_VIEWS = 64
"""Of more views only the named orders are tried: the table of a search has N^4 numbers."""
_LOOK_UPS = 2e7
"""About how many points a search looks up: some seconds."""
_SAMPLES = 100
"""How many samples of a view are enough for the search; what it finds is compared with all."""
_BEAM = 400
"""How many partial orders the search follows at once."""
_CLIMBED = 8
"""How many complete orders are improved by swaps."""
_ROUNDING = 1e-4
"""A gain above this is none of 32-bit sums of scores."""
_STAGE = "ordering images"
_FINALISTS = 20
"""How many of the best other orders are held against the best, sample by sample."""
_SAME_POSE = 1e-3
"""By how much numbers of two poses may differ and be the same, of the rig's radius for positions:
directions come with six digits at best.
"""


@dataclass(frozen=True)
class Order:
    """Which camera took each image: image k belongs to camera `best[k]`, (N,).

    `name`: what that order is called. `given_score`, `best_score`: the consistency of the views as
    given and mended. `lead`: by how many standard errors the best explains the samples better than
    the given, 0 if they are the same. `scores`: the consistency of each named order. `symmetries`:
    orders that give the same scene, moved as a whole, because the rig comes upon itself when moved
    so; no views can tell them apart, and `best` is one of them. `ties`: other orders that fit as
    well, or nearly: the shape is symmetric. `searched`: whether any permutation was tried, or the
    named ones alone. `consistent`: whether the mended views confirm each other more than they
    contradict each other; if not, something else is wrong too.
    """

    best: Label
    name: str
    given_score: float
    best_score: float
    lead: float
    scores: dict[str, float]
    symmetries: tuple[Label, ...]
    ties: tuple[Label, ...]
    searched: bool
    consistent: bool

    @property
    def given(self) -> Label:
        """The order that the given views stand for."""
        return np.arange(len(self.best))

    @property
    def wrong(self) -> bool:
        """Whether the images are in another order for sure."""
        return self.lead >= SIGNIFICANT and self.consistent

    @property
    def untold(self) -> NDArray[np.bool_]:
        """Which images (N,) may as well belong to another camera, as far as the shape tells."""
        others = [tie != self.best for tie in self.ties]
        return np.asarray(np.any([np.zeros(len(self.best), np.bool_), *others], axis=0))

    def apply(self, views: ViewSet) -> ViewSet:
        """Return the views with each camera's image at the camera's place."""
        return reordered(views, self.best)


def reordered(views: ViewSet, cameras: Label) -> ViewSet:
    """Return views with image k at camera `cameras[k]`."""
    images = np.argsort(cameras)
    colors = None if views.colors is None else views.colors[images]
    return replace(views, depth=views.depth[images], colors=colors)


def named_orders(count: int) -> dict[str, Label]:
    """Return the orders that files and lists come in by mistake: the camera of each image."""
    numbers = np.arange(count)
    from_zero = np.array(sorted(range(count), key=str))
    from_one = np.array(sorted(range(1, count + 1), key=str)) - 1
    named = {
        AS_GIVEN: numbers,
        "text order (0 1 10 11 ...)": from_zero,
        "text order (1 10 11 ...)": from_one,
        "reversed": numbers[::-1],
        "cameras in text order (0 1 10 11 ...)": np.argsort(from_zero),
        "cameras in text order (1 10 11 ...)": np.argsort(from_one),
        "one camera on": np.roll(numbers, -1),
        "one camera back": np.roll(numbers, 1),
    }
    distinct: dict[tuple[int, ...], str] = {}
    for name, order in named.items():
        distinct.setdefault(tuple(order.tolist()), name)
    return {name: np.array(order) for order, name in distinct.items()}


def rig_symmetries(rig: Rig) -> tuple[Label, ...]:
    """Return all orders (N,) in which moving the rig as a whole puts camera k where camera
    `order[k]` stood, the trivial one first.
    """
    poses = rig.world_from_camera
    middle = poses[:, :3, 3].mean(axis=0)
    radius = float(np.linalg.norm(poses[:, :3, 3] - middle, axis=1).max()) or 1.0
    shape = np.array([1, 1, 1, radius])
    found = [np.arange(len(rig))]
    for k in range(1, len(rig)):
        moved = poses[k] @ invert_poses(poses[0]) @ poses
        gaps = np.abs((moved[:, None] - poses[None]) / shape)[:, :, :3].max(axis=(2, 3))
        gaps += np.abs(rig.intrinsics[:, None] - rig.intrinsics[None]).max(axis=(2, 3)) > 0.01
        order = gaps.argmin(axis=1)
        if gaps.min(axis=1).max() < _SAME_POSE and len(set(order.tolist())) == len(rig):
            found.append(order)
    return tuple(found)


def find_order(
    views: ViewSet,
    probe: Probe | None = None,
    *,
    search: bool = True,
    progress: Progress = silent,
) -> Order:
    """Return which camera took each image: the order of highest consistency.

    Named orders are tried as they are. For any permutation, all pairs of images are scored at all
    pairs of cameras, which makes it a quadratic assignment (Koopmans & Beckmann 1957): a beam
    search gives cameras to one image after the other, and swaps of two improve what it finds. What
    is close to the best is compared with it sample by sample. Of the orders that cannot be told
    apart the given one is kept, else a named one.
    """
    probe = probe or Probe.of(views)
    named = named_orders(len(views))

    def judged(order: Label) -> Agreement:
        return probe.agreement(views, cameras=order)

    given = judged(named[AS_GIVEN])
    scored = [(order, judged(order)) for order in named.values()]
    scores = {
        name: agreement.consistency for name, (_, agreement) in zip(named, scored, strict=True)
    }
    searched = search and 2 < len(views) <= SEARCHED_VIEWS
    if searched:
        starts = list(named.values())
        scored += [(order, judged(order)) for order in _search(views, probe, starts, progress)]
    top = max((agreement for _, agreement in scored), key=lambda each: each.consistency)
    equal = [order for order, each in scored if top.lead(each) < SIGNIFICANT]
    symmetries = rig_symmetries(views.rig)
    best, name = _simplest(equal, named, symmetries)
    agreement = judged(best)
    same = {tuple(symmetry[best].tolist()) for symmetry in symmetries}
    return Order(
        best,
        name,
        given.consistency,
        agreement.consistency,
        agreement.lead(given),
        scores,
        tuple(symmetry[best] for symmetry in symmetries[1:]),
        tuple(order for order in _distinct(equal) if tuple(order.tolist()) not in same),
        searched,
        agreement.lead_over_chance() >= SIGNIFICANT,
    )


def _simplest(
    equal: list[Label], named: dict[str, Label], symmetries: tuple[Label, ...]
) -> tuple[Label, str]:
    """Return the first named order among those that are equally good, else of the best one and its
    twins by the rig's symmetry the one that moves the fewest images.
    """
    known = {tuple(order.tolist()) for order in equal}
    known |= {tuple(symmetry[order].tolist()) for order in equal for symmetry in symmetries}
    for name, order in named.items():
        if tuple(order.tolist()) in known:
            return order, name
    twins = [symmetry[equal[0]] for symmetry in symmetries]
    return min(twins, key=lambda twin: np.count_nonzero(twin != np.arange(len(twin)))), PERMUTED


def _distinct(orders: list[Label]) -> Iterator[Label]:
    return map(np.array, dict.fromkeys(tuple(order.tolist()) for order in orders))


def _search(views: ViewSet, probe: Probe, starts: list[Label], progress: Progress) -> list[Label]:
    """Return the best permutations that were found, best first, and those near the best one."""
    table = _table(views, probe, progress)
    partial = _beam(table)[:_CLIMBED]
    ends = list(_distinct([_climbed(table, start) for start in [*partial, *starts]]))
    ends.sort(key=lambda order: -_total(table, order))
    gains = _swap_gains(table, ends[0])
    first, second = np.triu_indices(len(views), 1)
    near = np.argsort(-gains[first, second])[:_FINALISTS]
    swapped = [_swapped(ends[0], first[k], second[k]) for k in near]
    return ends[:_FINALISTS] + swapped


def _table(views: ViewSet, probe: Probe, progress: Progress) -> NDArray[np.float32]:
    """Return how well images i and j at cameras p and q go together, (N, N, N, N), [i, p, j, q]."""
    count = len(views)
    samples = int(np.clip(_LOOK_UPS / count**4, 1, _SAMPLES))
    cameras = np.repeat(np.arange(count)[None], count, axis=0)
    few = probe.fewer(samples)
    return few.table(views, cameras, np.zeros_like(cameras), progress=progress, stage=_STAGE)


def _beam(table: NDArray[np.float32]) -> list[Label]:
    """Return complete orders, best first, from giving one image after the other every free camera
    and following the best partial orders.
    """
    count = len(table)
    orders, scores = np.arange(count)[:, None], np.zeros(count)
    for image in range(1, count):
        gain = np.zeros((len(orders), count))
        for placed in range(image):
            gain += table[placed, orders[:, placed], image]
        np.put_along_axis(gain, orders, -np.inf, axis=1)
        totals = (scores[:, None] + gain).ravel()
        kept = np.argsort(-totals)[:_BEAM]
        kept = kept[np.isfinite(totals[kept])]
        orders = np.column_stack([orders[kept // count], kept % count])
        scores = totals[kept]
    return list(orders)


def _climbed(table: NDArray[np.float32], order: Label) -> Label:
    """Return the order after the best swap of two images, again and again until none helps."""
    while True:
        gains = _swap_gains(table, order)
        first, second = np.unravel_index(int(gains.argmax()), gains.shape)
        if not gains[first, second] > _ROUNDING:
            return order
        order = _swapped(order, int(first), int(second))


def _swap_gains(table: NDArray[np.float32], order: Label) -> NDArray[np.float64]:
    """Return what the total gains if images i and j swap cameras, (N, N)."""
    images = np.arange(len(order))
    # at[i, p]: image i at camera p against the others where they are
    at = table[:, :, images, order].astype(np.float64)
    total = at.sum(axis=2)  # of an image with itself there is nothing
    now = total[images, order]
    there = total[:, order]  # image i at the camera of image j, j itself still counted
    counted = at[:, order, :][:, images, images]
    pair_now = at[images, order]
    pair_then = table[images[:, None], order[None], images[None], order[:, None]]
    without = now[:, None] - pair_now
    moved = there - counted
    return np.asarray(moved + moved.T + pair_then - without - without.T - pair_now)


def _swapped(order: Label, first: int, second: int) -> Label:
    order = order.copy()
    order[[first, second]] = order[[second, first]]
    return order


def _total(table: NDArray[np.float32], order: Label) -> float:
    images = np.arange(len(order))
    chosen = table[images, order][:, images, order]
    return float(chosen.sum(dtype=np.float64)) / 2
