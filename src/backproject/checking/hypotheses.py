"""Each kind of hypothesis, tried on views: what it finds in words, and what mends the views."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from backproject.checking.meaning import AS_READ, ASPECTS, Reading, find_meaning
from backproject.checking.numbers import FARTHEST, Name, Number, Numbers, find_numbers
from backproject.checking.order import AS_GIVEN, find_order
from backproject.checking.outliers import find_outliers
from backproject.checking.poses import refine_poses
from backproject.checking.probe import SIGNIFICANT, agreement_of
from backproject.checking.turns import describe_turn, find_turns
from backproject.geometry.views import ViewSet
from backproject.progress import Progress, silent

Verdict = Literal["agrees", "wrong", "cannot be told"]
Mend = Callable[[ViewSet], ViewSet]
_ROUNDS = 4
"""How often field of view and depth are found from each other, at most."""
_STAYS = 1e-4
"""The change of the focal length, of itself, at which they stay."""
_LENS: tuple[Name, ...] = ("focal", "scale", "offset")
"""The numbers that contradictions depend on; the distance is no other than the scale."""
NOTICED = 0.1
"""Pixels by which a wrong number must move the images to be called wrong."""


@dataclass(frozen=True)
class Finding:
    """What became of one `hypothesis`: what was `given` and what fits `best`, in words, the
    consistency of both (`given_score`, `best_score`, from -2 to 1), and the `verdict`: "agrees",
    "wrong" or "cannot be told".
    """

    hypothesis: str
    given: str
    best: str
    given_score: float
    best_score: float
    verdict: Verdict

    @property
    def doubted(self) -> Finding:
        """The same, where it is not certain that it is wrong."""
        return replace(self, verdict="cannot be told") if self.verdict == "wrong" else self


@dataclass(frozen=True)
class Tried:
    """A kind of hypothesis, tried on some views: its rows, and what mends them, if anything.

    `small` is the same where something is wrong that alone nobody would notice: for views that
    contradict each other, and no longer do once it is mended. `doubtful` mends them too, where what
    it changes may as well be as given, and something else off.
    """

    rows: tuple[Finding, ...]
    mend: Mend | None = None
    small: Tried | None = None
    doubtful: Mend | None = None

    @property
    def found(self) -> tuple[Finding, ...]:
        """The rows of what is to be mended: what is wrong, or, if that is not certain, all."""
        return tuple(row for row in self.rows if row.verdict == "wrong") or self.rows


def _try_meaning(views: ViewSet, progress: Progress) -> Tried:
    found = find_meaning(views, progress=progress)
    rows = []
    for aspect in ASPECTS:
        wrong, untold = found.wrong(aspect), found.untold(aspect)
        verdict: Verdict = "wrong" if wrong else "cannot be told" if untold else "agrees"
        best = found.best.values[aspect] if wrong else " or ".join((AS_READ, *untold))
        rows.append(_row(aspect, AS_READ, best, found, verdict))
    wrong = any(row.verdict == "wrong" for row in rows)
    return Tried(tuple(rows), found.apply if wrong else None)


def _try_turns(views: ViewSet, progress: Progress) -> Tried:
    found = find_turns(views, progress=progress)
    wrong, untold = found.wrong, found.untold
    rows = []
    for label in sorted({*found.best[wrong].tolist()}):
        which = np.flatnonzero(wrong & (found.best == label))
        rows.append(
            _row("images", AS_GIVEN, f"{_named(which)} {describe_turn(label)}", found, "wrong")
        )
    if not rows:
        which = np.flatnonzero(untold)
        best = f"{_named(which)}: other turns fit as well" if len(which) else AS_GIVEN
        verdict: Verdict = "cannot be told" if len(which) else "agrees"
        rows.append(_row("images", AS_GIVEN, best, found, verdict))
    return Tried(tuple(rows), found.apply if wrong.any() else None)


def _try_order(views: ViewSet, progress: Progress) -> Tried:
    found = find_order(views, progress=progress)
    best, verdict = found.name, _verdict(found.wrong, bool(found.untold.any()))
    if len(found.symmetries) > 1:
        best += f", or {len(found.symmetries) - 1} more that move the scene as a whole"
    if found.wrong and len(found.ties):
        best += "; the shape is symmetric, others fit as well"
    row = _row("order of images", AS_GIVEN, best, found, verdict)
    return Tried((row,), found.apply if found.wrong else None)


def _try_numbers(views: ViewSet, progress: Progress) -> Tried:
    return _searched_numbers(views, ("focal", "distance"), progress)


def try_numbers_with(reading: Reading, views: ViewSet) -> Tried:
    """Return what the field of view and the distance are if depth is read otherwise.

    The length of a ray, which depth is read by, depends on the field of view, and that on depth:
    each is found from the other in turn, until they stay, or bring the views no nearer. Nothing is
    returned where they run away.
    """
    focal, best = 1.0, -np.inf
    for _ in range(_ROUNDS):
        read = reading.apply(_refocused(views, focal))
        found = find_numbers(read, free=("focal", "distance"))
        focal *= found.focal
        stays = abs(found.focal - 1) < _STAYS or found.lead <= SIGNIFICANT
        if stays or found.best < best or abs(np.log(focal)) > FARTHEST:
            break
        best = found.best
    if abs(np.log(focal)) > FARTHEST:
        return Tried(())
    last = replace(found, focal=1.0)
    numbers = tuple(
        replace(each, best=focal) if each.name == "focal" else each for each in found.numbers
    )
    tried = _tried_numbers(replace(found, numbers=numbers, lead=np.inf), views)
    ((aspect, value),) = [item for item in reading.values.items() if item[1] != AS_READ]
    row = Finding(aspect, AS_READ, value, found.given, found.best, "wrong")
    return Tried(
        (row, *tried.rows),
        lambda given: last.apply(reading.apply(_refocused(given, focal))),
    )


def _refocused(views: ViewSet, factor: float) -> ViewSet:
    intrinsics = views.rig.intrinsics.copy()
    intrinsics[:, (0, 1), (0, 1)] *= factor
    return replace(views, rig=replace(views.rig, intrinsics=intrinsics))


def _try_range(views: ViewSet, progress: Progress) -> Tried:
    return _searched_numbers(views, ("scale", "offset"), progress)


def _try_center(views: ViewSet, progress: Progress) -> Tried:
    return _searched_numbers(views, ("center",), progress)


def try_lens(views: ViewSet) -> Tried:
    """Return what field of view, depth's scale and offset are if all are unknown."""
    return _searched_numbers(views, _LENS, silent)


def _searched_numbers(views: ViewSet, free: tuple[Name, ...], progress: Progress) -> Tried:
    found = find_numbers(views, free=free, progress=progress)
    tried = _tried_numbers(found, views)
    given = agreement_of(views)
    if found.told or given.settled or not agreement_of(found.apply(views)).settles(given):
        return tried
    # Noise hides by how much numbers are off, and may yet not hide that they are.
    needed = tuple(
        replace(each, told=each.best != each.given and _is_needed(each.name, views))
        for each in found.numbers
    )
    tried = _tried_numbers(replace(found, numbers=needed), views)
    return tried if tried.mend else replace(tried, doubtful=found.apply)


def _is_needed(name: Name, views: ViewSet) -> bool:
    """Return whether views contradict each other whatever the other numbers are."""
    rest = [other for other in _LENS if other != name and {other, name} != {"scale", "distance"}]
    given = agreement_of(views)
    return not any(
        agreement_of(find_numbers(views, free=free).apply(views)).settles(given)
        for free in (tuple(rest), *((other,) for other in rest))
    )


def _tried_numbers(found: Numbers, views: ViewSet) -> Tried:
    noticed = _judged_numbers(found, views, partial(_unnoticed, views=views))
    if noticed.mend:
        return noticed
    small = _judged_numbers(found, views, lambda _: 0.0)
    return replace(noticed, small=small if small.mend else None)


def _judged_numbers(found: Numbers, views: ViewSet, least: Callable[[Number], float]) -> Tried:
    """Return the rows of numbers, each wrong if it is off by more than chance and the `least`."""
    rows = []
    for name in found.free:
        numbers = [number for number in found.numbers if number.name == name]
        off = any(
            abs(each.best - each.given) > max(least(each), SIGNIFICANT * each.error)
            for each in numbers
        )
        told = all(each.told for each in numbers)
        wrong = told and off and not found.agrees
        given, best = _in_words(numbers, views)
        verdict = _verdict(wrong, not told)
        rows.append(Finding(NUMBERS[name], given, best, found.given, found.best, verdict))
    wrong = any(row.verdict == "wrong" for row in rows)
    return Tried(tuple(rows), found.apply if wrong else None)


def _try_poses(views: ViewSet, progress: Progress) -> Tried:
    found = refine_poses(views, progress=progress)
    off = found.off
    wrong = bool(off.any()) and found.lead > SIGNIFICANT and not found.astray.any()
    best = AS_GIVEN
    if wrong:
        best = (
            f"{_named(np.flatnonzero(off))} off by up to {found.degrees[off].max():.2g} degrees"
            f" and {found.shifts[off].max():.2g}, {found.pixels[off].max():.2g} pixels"
        )
    row = Finding(
        "poses", AS_GIVEN, best, found.given, found.best, _verdict(wrong, not found.told.all())
    )
    return Tried((row,), found.apply if wrong else None)


def _try_outliers(views: ViewSet, progress: Progress) -> Tried:  # noqa: ARG001
    found = find_outliers(views)
    out = np.flatnonzero(found.outliers)
    best = f"without {_named(out)}" if len(out) else "all agree"
    if found.empty.any():
        best += f"; {_named(np.flatnonzero(found.empty))} empty"
    wrong = bool(len(out)) and found.consistent
    row = _row("single views", "all", best, found, _verdict(wrong, not found.consistent))
    return Tried((row,), found.apply if wrong else None)


KINDS: Mapping[str, Callable[[ViewSet, Progress], Tried]] = MappingProxyType(
    {
        "meaning": _try_meaning,
        "turns": _try_turns,
        "numbers": _try_numbers,
        "range": _try_range,
        "center": _try_center,
        "order": _try_order,
        "poses": _try_poses,
        "outliers": _try_outliers,
    }
)
"""The kinds of hypotheses, the simplest first."""
NUMBERS = {
    "focal": "field of view", "distance": "distance", "scale": "depth's scale",
    "offset": "depth's offset", "center": "principal point",
}  # fmt: skip
ABOUT: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "meaning": frozenset(ASPECTS),
        "turns": frozenset({"images"}),
        "numbers": frozenset({NUMBERS["focal"], NUMBERS["distance"]}),
        "range": frozenset({NUMBERS["scale"], NUMBERS["offset"]}),
        "center": frozenset({NUMBERS["center"]}),
        "order": frozenset({"order of images"}),
        "poses": frozenset({"poses"}),
        "outliers": frozenset({"single views"}),
    }
)
"""The hypotheses that the rows of each kind are about."""


class _Scored(Protocol):
    """What every kind of hypothesis tells."""

    @property
    def given_score(self) -> float: ...
    @property
    def best_score(self) -> float: ...


def _row(hypothesis: str, given: str, best: str, found: _Scored, verdict: Verdict) -> Finding:
    return Finding(hypothesis, given, best, found.given_score, found.best_score, verdict)


def _verdict(wrong: bool, untold: bool) -> Verdict:
    return "wrong" if wrong else "cannot be told" if untold else "agrees"


def _unnoticed(number: Number, views: ViewSet) -> float:
    """Return how far off a number may be without moving images by more than `NOTICED` pixels, or
    depth by a step that it was stored in.
    """
    if number.name == "center":
        return NOTICED
    rig = views.rig
    focal = float(np.median(rig.intrinsics[:, (0, 1), (0, 1)]))
    typical = float(np.median(views.depth[views.silhouettes]))
    if number.name == "focal":
        return NOTICED / (max(rig.width, rig.height) / 2)
    depth = max(NOTICED * typical / focal, views.step)
    return depth if number.name == "offset" else depth / typical


def _in_words(numbers: list[Number], views: ViewSet) -> tuple[str, str]:
    """Return the numbers of one name as given and as they fit best, with their unit."""
    rig, number = views.rig, numbers[0]
    if number.name == "center":
        across, down = (each.best for each in numbers)
        return "as given", f"moved by ({across:+.2f}, {down:+.2f}) pixels"
    if number.name == "focal":
        half = rig.height / 2 / rig.intrinsics[0, 1, 1]
        angles = [2 * np.degrees(np.arctan(half / factor)) for factor in (1.0, number.best)]
        return f"{angles[0]:.2f} degrees", f"{angles[1]:.2f} degrees"
    if number.name == "offset":
        return "0", f"{number.best:+.4g}"
    return "as given", f"times {number.best:.4g}"


def _named(which: NDArray[np.intp]) -> str:
    if len(which) == 1:
        return f"view {which[0]}"
    told = ", ".join(map(str, which[:6].tolist())) + (", ..." if len(which) > 6 else "")
    return f"{len(which)} views ({told})"
