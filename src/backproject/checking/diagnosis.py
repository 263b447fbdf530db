"""Which assumption about cameras and depth is wrong, and the views mended.

Depth maps of one rigid shape over-determine their cameras: what one view measured, the others must
see too, or have something before it. Every hypothesis is tried on that score (`checking.probe`),
first alone, then one upon another. The first explanation under which the views stop contradicting
each other is taken; the numbers and the poses are then refined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from backproject.checking.meaning import (
    AS_READ,
    ASPECTS,
    BOTH,
    ENCODINGS,
    INVERSE,
    OPENGL,
    Reading,
    find_meaning,
)
from backproject.checking.numbers import Number, Numbers, find_numbers
from backproject.checking.order import AS_GIVEN, find_order, named_orders, reordered
from backproject.checking.outliers import find_outliers
from backproject.checking.poses import refine_poses
from backproject.checking.probe import SIGNIFICANT, Agreement, Probe
from backproject.checking.turns import describe_turn, find_turns, possible_turns, turned_back
from backproject.errors import InputError
from backproject.geometry.views import ViewSet
from backproject.progress import Progress, silent

Verdict = Literal["agrees", "wrong", "cannot be told"]
NOTICED = 0.1
"""Pixels by which a wrong number must move the images to be called wrong."""
SETTLED = 0.02
"""The share of contradictions among what views say of each other under which they agree. Exact and
8-bit depth have up to 0.01, a focal length that is 1 % off 0.02 and more.
"""
CLASHING = 0.1
"""The share at which views contradict each other badly."""


def clash(agreement: Agreement) -> float:
    """Return the share of contradictions among what views say of each other's samples."""
    said = np.count_nonzero(agreement.scores)
    return float(np.count_nonzero(agreement.scores < 0) / said) if said else 1.0


@dataclass(frozen=True)
class Finding:
    """What became of one hypothesis: what was `given` and what fits `best`, in words, the
    consistency of both (from -2 to 1), and the verdict.
    """

    hypothesis: str
    given: str
    best: str
    given_score: float
    best_score: float
    verdict: Verdict


@dataclass(frozen=True)
class Diagnosis:
    """What the views say about their own cameras and depth.

    `findings`: a row for each hypothesis. `clash_given`, `clash_mended`: the share of contradiction
    in what views say of each other, before and after. `mends` turn the views given into those
    mended, one after the other.
    """

    findings: tuple[Finding, ...]
    clash_given: float
    clash_mended: float
    mends: tuple[Callable[[ViewSet], ViewSet], ...]

    @property
    def agrees(self) -> bool:
        """Whether nothing was found wrong."""
        return not self.mends and self.clash_given <= SETTLED

    @property
    def explained(self) -> bool:
        """Whether the views agree, as given or once mended."""
        return self.clash_mended <= SETTLED

    def apply(self, views: ViewSet) -> ViewSet:
        """Return the views mended; as they are where nothing is wrong."""
        for mend in self.mends:
            views = mend(views)
        return views

    def table(self) -> list[tuple[str, ...]]:
        """Return rows of words: hypothesis, given, best, the scores of both, verdict."""
        rows: list[tuple[str, ...]] = [
            ("hypothesis", "given", "fits best", "score", "best score", "verdict")
        ]
        for each in self.findings:
            scores = (f"{each.given_score:.3f}", f"{each.best_score:.3f}")
            rows.append((each.hypothesis, each.given, each.best, *scores, each.verdict))
        return rows

    def summary(self) -> str:
        """Return in one line what was found."""
        share = f"{self.clash_given:.1%} of what the views say of each other is contradiction"
        if self.agrees:
            return f"the views agree: {share}"
        wrong = [each.hypothesis for each in self.findings if each.verdict == "wrong"]
        if wrong and self.explained:
            return f"{share}; {self.clash_mended:.1%} once mended: {', '.join(wrong)}"
        return f"{share}, and no single hypothesis or pair that was tried explains it"

    def to_dict(self) -> dict[str, Any]:
        """Return all of it but the mends, for JSON."""
        return {
            "findings": [vars(each) for each in self.findings],
            "clash_given": self.clash_given,
            "clash_mended": self.clash_mended,
            "explained": self.explained,
        }


@dataclass(frozen=True)
class _Tried:
    """A kind of hypothesis, tried on some views: its rows, and what mends them, if anything."""

    rows: tuple[Finding, ...]
    mend: Callable[[ViewSet], ViewSet] | None


def check(views: ViewSet, *, progress: Progress = silent) -> Diagnosis:
    """Return what the views say about their own cameras and depth, and how to mend them.

    Single hypotheses first, the simplest first: the meaning of the numbers, turned images, field of
    view and distance, near and far, the order of the images, poses, single wrong views. If none of
    them makes the views agree, pairs: a turn of all images, a reading or a named order, and one of
    the others upon it. What is found is taken only if the views agree then; else nothing is mended.
    Every other hypothesis is tried on the mended views, so that the table tells what cannot be
    known: a sphere shows no turn, and a symmetric rig comes back moved.

    Raises:
        InputError: fewer than two views.

    """
    if len(views) < 2:
        raise InputError(f"views: got {len(views)}, expected at least 2 to compare")
    start = clash(Probe.of(views).agreement(views))
    path = () if start <= SETTLED else _explanation(views, progress)
    mended = views
    rows: list[Finding] = []
    for _, tried in path:
        rows += [row for row in tried.rows if row.verdict == "wrong"]
        assert tried.mend is not None
        mended = tried.mend(mended)
    mends = [tried.mend for _, tried in path if tried.mend]
    told = {row.hypothesis for row in rows}
    for name, kind in KINDS.items():
        progress(f"checking {name}", 0.0)
        tried = kind(mended, silent)
        rows += [row for row in tried.rows if row.hypothesis not in told]
        if tried.mend and name in REFINED:
            told |= {row.hypothesis for row in tried.rows}
            mends.append(tried.mend)
            mended = tried.mend(mended)
    end = clash(Probe.of(mended).agreement(mended))
    progress("checked", 1.0)
    return Diagnosis(tuple(rows), start, end, tuple(mends))


def _explanation(views: ViewSet, progress: Progress) -> tuple[tuple[str, _Tried], ...]:
    """Return the simplest hypotheses under which the views agree, in order; none if none do."""
    for k, (name, kind) in enumerate(KINDS.items()):
        progress(f"trying {name}", k / len(KINDS))
        tried = kind(views, silent)
        if _settles(views, tried):
            return ((name, tried),)
    firsts = list(_firsts(views))
    for k, (first, kinds) in enumerate(firsts):
        progress("trying pairs", k / len(firsts))
        assert first.mend is not None
        changed = first.mend(views)
        for name in kinds:
            tried = KINDS[name](changed, silent)
            if _settles(changed, tried):
                return (("first", first), (name, tried))
    return ()


def _settles(views: ViewSet, tried: _Tried) -> bool:
    """Return whether the views agree once mended so."""
    if tried.mend is None:
        return False
    mended = tried.mend(views)
    return clash(Probe.of(mended).agreement(mended)) <= SETTLED


def _firsts(views: ViewSet) -> Iterator[tuple[_Tried, tuple[str, ...]]]:
    """Yield what may be wrong beside something else, with the kinds to try upon it."""
    score = Probe.of(views).agreement(views).consistency

    def first(hypothesis: str, best: str, mend: Callable[[ViewSet], ViewSet]) -> _Tried:
        return _Tried((Finding(hypothesis, "as given", best, score, score, "wrong"),), mend)

    rig = views.rig
    for label in possible_turns(rig.width, rig.height)[1:].tolist():
        back = partial(turned_back, labels=np.full(len(views), label))
        yield first("images", f"all {describe_turn(label)}", back), ("order",)
    for name, order in named_orders(len(views)).items():
        if name != AS_GIVEN:
            yield (
                first("order of images", name, partial(reordered, cameras=order)),
                ("turns", "numbers", "meaning"),
            )
    readings = [Reading(depth=encoding) for encoding in ENCODINGS[1:]]
    readings += [Reading(poses=poses) for poses in (OPENGL, INVERSE, BOTH)]
    for reading in readings:
        (aspect,) = (name for name, value in reading.values.items() if value != AS_READ)
        yield first(aspect, reading.values[aspect], reading.apply), ("numbers", "range", "turns")


def _try_meaning(views: ViewSet, progress: Progress) -> _Tried:
    found = find_meaning(views, progress=progress)
    rows = []
    for aspect in ASPECTS:
        wrong, untold = found.wrong(aspect), found.untold(aspect)
        verdict: Verdict = "wrong" if wrong else "cannot be told" if untold else "agrees"
        best = found.best.values[aspect] if wrong else " or ".join((AS_READ, *untold))
        rows.append(_row(aspect, AS_READ, best, found, verdict))
    wrong = any(row.verdict == "wrong" for row in rows)
    return _Tried(tuple(rows), found.apply if wrong else None)


def _try_turns(views: ViewSet, progress: Progress) -> _Tried:
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
    return _Tried(tuple(rows), found.apply if wrong.any() else None)


def _try_order(views: ViewSet, progress: Progress) -> _Tried:
    found = find_order(views, progress=progress)
    best, verdict = found.name, _verdict(found.wrong, bool(found.untold.any()))
    if len(found.symmetries) > 1:
        best += f", or {len(found.symmetries) - 1} more that move the scene as a whole"
    if found.wrong and len(found.ties):
        best += "; the shape is symmetric, others fit as well"
    row = _row("order of images", AS_GIVEN, best, found, verdict)
    return _Tried((row,), found.apply if found.wrong else None)


def _try_numbers(views: ViewSet, progress: Progress) -> _Tried:
    return _tried_numbers(find_numbers(views, free=("focal", "distance"), progress=progress), views)


def _try_range(views: ViewSet, progress: Progress) -> _Tried:
    return _tried_numbers(find_numbers(views, free=("scale", "offset"), progress=progress), views)


def _tried_numbers(found: Numbers, views: ViewSet) -> _Tried:
    rows = []
    for number in found.numbers:
        off = abs(number.best - number.given) > _unnoticed(number, views)
        wrong = number.told and off and not found.agrees
        given, best = _in_words(number, views)
        verdict = _verdict(wrong, not number.told)
        rows.append(Finding(NUMBERS[number.name], given, best, found.given, found.best, verdict))
    wrong = any(row.verdict == "wrong" for row in rows)
    return _Tried(tuple(rows), found.apply if wrong else None)


def _try_poses(views: ViewSet, progress: Progress) -> _Tried:
    found = refine_poses(views, progress=progress)
    off = found.off
    wrong = bool(off.any()) and found.lead > SIGNIFICANT
    best = AS_GIVEN
    if wrong:
        best = (
            f"{_named(np.flatnonzero(off))} off by up to {found.degrees[off].max():.2g} degrees"
            f" and {found.shifts[off].max():.2g}, {found.pixels[off].max():.2g} pixels"
        )
    row = Finding(
        "poses", AS_GIVEN, best, found.given, found.best, _verdict(wrong, not found.told.all())
    )
    return _Tried((row,), found.apply if wrong else None)


def _try_outliers(views: ViewSet, progress: Progress) -> _Tried:  # noqa: ARG001
    found = find_outliers(views)
    out = np.flatnonzero(found.outliers)
    best = f"without {_named(out)}" if len(out) else "all agree"
    if found.empty.any():
        best += f"; {_named(np.flatnonzero(found.empty))} empty"
    wrong = bool(len(out)) and found.consistent
    row = _row("single views", "all", best, found, _verdict(wrong, not found.consistent))
    return _Tried((row,), found.apply if wrong else None)


KINDS: Mapping[str, Callable[[ViewSet, Progress], _Tried]] = MappingProxyType(
    {
        "meaning": _try_meaning,
        "turns": _try_turns,
        "numbers": _try_numbers,
        "range": _try_range,
        "order": _try_order,
        "poses": _try_poses,
        "outliers": _try_outliers,
    }
)
"""The kinds of hypotheses, the simplest first."""
REFINED = ("numbers", "range", "poses")
"""Those that may be off a little although the views agree."""
NUMBERS = {
    "focal": "field of view", "distance": "distance", "scale": "depth's scale",
    "offset": "depth's offset",
}  # fmt: skip


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
    depth by half the step that it was stored in.
    """
    rig = views.rig
    focal = float(np.median(rig.intrinsics[:, (0, 1), (0, 1)]))
    typical = float(np.median(views.depth[views.silhouettes]))
    if number.name == "focal":
        return NOTICED / (max(rig.width, rig.height) / 2)
    depth = max(NOTICED * typical / focal, views.step / 2)
    return depth if number.name == "offset" else depth / typical


def _in_words(number: Number, views: ViewSet) -> tuple[str, str]:
    """Return a number as given and as it fits best, with its unit."""
    rig = views.rig
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
