"""The simplest hypotheses under which views stop contradicting each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations

import numpy as np

from backproject.checking.hypotheses import (
    KINDS,
    NOTICED,
    Finding,
    Mend,
    Tried,
    try_lens,
    try_numbers_with,
)
from backproject.checking.meaning import AS_READ, BOTH, ENCODINGS, INVERSE, OPENGL, Reading
from backproject.checking.order import AS_GIVEN, named_orders, reordered
from backproject.checking.probe import (
    FOOTPRINTS,
    SIGNIFICANT,
    Agreement,
    Label,
    Probe,
    agreement_of,
)
from backproject.checking.turns import describe_turn, possible_turns, turned_back
from backproject.geometry.views import ViewSet
from backproject.progress import Progress, silent

_SAMPLES = 100
"""How many samples of a view choose among many changes; the best are compared with all."""
_FINALISTS = 12
_FINE, _FINEST = 0.25, 0.06
"""The tolerances, in footprints, under which explanations that are nearly as good are compared."""
_ALIKE = 0.002
"""Clashes under it that differ by less are alike."""
_FEW = 0.25
"""The share of views that may be left out before all else is tried. What is wrong with all of them
leaves some that agree, too.
"""
_NUMBERS = ("numbers", "range", "center")
"""The kinds of hypotheses that are numbers, and simple ones."""
_TOLD = 2
"""How many other explanations a row tells in words."""
_NEAR = 8.0
"""How many times the usual tolerance brings together surfaces that are off by little."""
_GENTLE = 0.65
"""The clash that such a tolerance leaves, of what it was, where numbers or poses are off by little.
It only decides what is tried, and when: with images out of order 0.75 and more is left.
"""

Path = tuple[Tried, ...]


def settles(views: ViewSet, tried: Tried) -> bool:
    """Return whether the views agree once mended so."""
    return tried.mend is not None and agreement_of(tried.mend(views)).settles(agreement_of(views))


def betters(views: ViewSet, tried: Tried) -> bool:
    """Return whether views that agree already agree better once mended so, under a fine tolerance.

    Samples may be explained better beyond doubt by what nothing contradicts: a sphere of few pixels
    by many things that hardly move it.
    """
    if tried.mend is None or not settles(views, tried):
        return False
    return _fine_clash(views) > 2 * _fine_clash(tried.mend(views)) + _ALIKE


def _fine_clash(views: ViewSet, footprints: float = _FINE) -> float:
    return Probe.of(views).agreement(views, footprints=footprints).clash


@dataclass(frozen=True)
class Trials:
    """The kinds of hypotheses, each tried on the same views at most once."""

    views: ViewSet
    done: dict[str, Tried] = field(default_factory=dict)

    def of(self, kind: str) -> Tried:
        """Return what a kind of hypothesis finds."""
        if kind not in self.done:
            self.done[kind] = KINDS[kind](self.views, silent)
        return self.done[kind]

    def settling(self, kind: str) -> Path:
        """Return what a kind of hypothesis finds, if the views agree then."""
        tried = self.of(kind)
        return (tried,) if settles(self.views, tried) else ()


def explain(trials: Trials, progress: Progress) -> Path:
    """Return the simplest hypotheses under which the views agree, to be mended one after the other;
    none if none do.

    First all changes of all images alike, alone and two at a time, then what must be searched for,
    then that upon a change of all images. Views that agree with the rest once mended are not left
    out. What is likely comes first: where leaving out a few views helps, what may befall a single
    view, and that alone; where surfaces come together under a wide tolerance, what is off by
    little.
    """
    for number, (stage, attempt) in enumerate(_stages(trials)):
        progress(f"trying {stage}", min(number / _STAGES, 1.0))
        path = attempt()
        if path:
            return _measured(trials.views, path)
    return ()


Attempt = Callable[[], Path]
_STAGES = 15
"""How many stages there are, for the progress."""


def _stages(trials: Trials) -> Iterator[tuple[str, Attempt]]:
    """Yield what to try, by name, in order."""
    views, changes = trials.views, _changes(trials.views)

    def alone(kind: str) -> tuple[str, Attempt]:
        return kind, lambda: trials.settling(kind)

    def upon(hypothesis: str, *kinds: str) -> tuple[str, Attempt]:
        return f"{hypothesis}, with others", lambda: _upon(views, changes[hypothesis], kinds)

    def refocused() -> Path:
        return _refocused(views, changes["depth"])

    def numbers() -> Path:
        several = [trials.of(kind) for kind in _NUMBERS]
        simple = several
        if not any(settles(views, each) for each in simple):
            simple = [each.small for each in simple if each.small]
        if not any(settles(views, each) for each in simple):
            return ()
        return _better(views, [*simple, try_lens(views)], [*simple, *_doubtful(several)])

    def lens() -> Path:
        return _better(views, [try_lens(views)], [])

    def doubted() -> Path:
        simple = _doubtful([trials.of(kind) for kind in _NUMBERS])
        return _better(views, [*simple, *_doubtful([try_lens(views)])], simple)

    yield "all images alike", lambda: _in_focus(views, _alike(views, changes), changes["depth"])
    of_all = [("lens", lens), ("depth, with numbers", refocused)]
    of_each = [alone("turns"), alone("order")]
    poses, out = alone("poses"), alone("outliers")
    gentle = _is_gentle(views)
    if _leaves_few_out(views, trials.settling("outliers")):
        yield from [*of_each, ("numbers", numbers), *([poses] if gentle else []), out]
    elif gentle:
        yield from [("numbers", numbers), *of_all, poses, alone("meaning"), *of_each, out]
    else:
        yield from [("numbers", numbers), alone("meaning"), *of_each, *of_all, poses, out]
    yield "numbers that cannot be told", doubted
    yield upon("camera matrices", "numbers", "range", "turns")
    yield upon("depth", "range", "turns")
    yield upon("order of images", "turns", "numbers", "range", "meaning")
    yield upon("images", "order")


def _better(views: ViewSet, tried: list[Tried], rivals: list[Tried]) -> Path:
    """Return the first of several explanations by numbers that is as exact as any, or nearly. Each
    imitates the others to a pixel or so; under fine tolerances only the right one brings the
    surfaces together, but for the steps of depth. It is in doubt where one of the `rivals` does as
    well as it, and puts them elsewhere.
    """
    several = {id(each): each for each in [*tried, *rivals] if settles(views, each)}
    fine = {
        key: [_fine_clash(each.mend(views), tolerance) for tolerance in (_FINE, _FINEST)]
        for key, each in several.items()
        if each.mend
    }
    left = list(fine)
    for finer in range(2):
        most = 2 * min((fine[key][finer] for key in left), default=0.0) + _ALIKE
        left = [key for key in left if fine[key][finer] <= most]
    left += [key for key in fine if key not in left and _is_rounding(several[key], views)]
    chosen = next((each for each in tried if id(each) in left), None)
    if chosen is None:
        return ()
    equal = [each for each in rivals if id(each) in left and _rivals(views, chosen, each)]
    return (_in_doubt(chosen, [_in_words(each) for each in equal]) if equal else chosen,)


def _is_rounding(tried: Tried, views: ViewSet) -> bool:
    """Return whether nothing but the steps of depth is left against a way to mend views: what they
    make more than doubles where depth is rounded once more, what is wrong stays.
    """
    if tried.mend is None or views.step == 0.0:
        return False
    mended = tried.mend(views)
    rounding = mended.step * (np.random.default_rng(0).random(mended.depth.shape) - 0.5)
    again = replace(mended, depth=(mended.depth + rounding).astype(np.float32))
    return 2 * _fine_clash(mended) <= _fine_clash(again)


def _rivals(views: ViewSet, one: Tried, other: Tried) -> bool:
    """Return whether the other way to mend views is another one, by what images notice, and not
    clearly the worse one.
    """
    assert one.mend is not None
    assert other.mend is not None
    probe, few = Probe.of(views), Probe.of(views, samples=_SAMPLES)
    ours, theirs = one.mend(views), other.mend(views)
    moved = np.linalg.norm(few.images(ours) - few.images(theirs), axis=-1)
    if np.nanmedian(moved) <= NOTICED:
        return False
    one_fine, other_fine = (probe.agreement(each, footprints=_FINE) for each in (ours, theirs))
    return one_fine.lead_in_clash(other_fine) < SIGNIFICANT


def _doubtful(several: list[Tried]) -> list[Tried]:
    return [replace(each, mend=each.doubtful) for each in several if each.doubtful]


def _upon(views: ViewSet, changes: list[_Change], kinds: tuple[str, ...]) -> Path:
    for change in changes:
        upon = Trials(change.mend(views))
        for kind in kinds:
            path = upon.settling(kind)
            if path:
                return (change.tried, *path)
    return ()


def _refocused(views: ViewSet, changes: list[_Change]) -> Path:
    """Return a reading of depth with a field of view and distance, under which views agree.

    The length of a ray depends on the field of view, and that is found from depth: in turn.
    """
    for change in changes:
        assert change.reading is not None
        tried = try_numbers_with(change.reading, views)
        if settles(views, tried):
            return (tried,)
    return ()


def _in_focus(views: ViewSet, path: Path, changes: list[_Change]) -> Path:
    """Return the path, or, if all it does is to read depth otherwise, the field of view with it
    where that is more exact: what is left of both together looks like a distance too.
    """
    best = [row.best for tried in path for row in tried.rows]
    reading = next((each.reading for each in changes if [each.best] == best), None)
    if reading is None:
        return path
    left = _fine_clash(reading.apply(views))
    if left <= _ALIKE:
        return path
    tried = try_numbers_with(reading, views)
    if not settles(views, tried) or tried.mend is None:
        return path
    return (tried,) if left > 2 * _fine_clash(tried.mend(views)) + _ALIKE else path


def _leaves_few_out(views: ViewSet, outliers: Path) -> bool:
    return any(
        tried.mend is not None and len(tried.mend(views)) >= (1 - _FEW) * len(views)
        for tried in outliers
    )


def _is_gentle(views: ViewSet) -> bool:
    probe = Probe.of(views)
    wide = probe.agreement(views, footprints=_NEAR * FOOTPRINTS)
    return wide.clash < _GENTLE * probe.agreement(views).clash


@dataclass(frozen=True)
class _Change:
    """One change of all images alike: `best` is what the `hypothesis` is then. As numbers: the
    camera of each image, a turn of all, what depth and poses mean.
    """

    hypothesis: str
    best: str
    mend: Mend
    cameras: Label | None = None
    turn: int = 0
    reading: Reading | None = None

    @property
    def tried(self) -> Tried:
        """The change, as what was found to be wrong; its scores are not measured."""
        nan = float("nan")
        return Tried((Finding(self.hypothesis, AS_GIVEN, self.best, nan, nan, "wrong"),), self.mend)


def _changes(views: ViewSet) -> dict[str, list[_Change]]:
    """Return the changes of all images alike, by hypothesis."""
    count, rig = len(views), views.rig
    readings = [Reading(depth=encoding) for encoding in ENCODINGS[1:]]
    readings += [Reading(poses=poses) for poses in (OPENGL, INVERSE, BOTH)]
    orders = [
        _Change("order of images", name, partial(reordered, cameras=order), cameras=order)
        for name, order in named_orders(count).items()
        if name != AS_GIVEN
    ]
    turns = [
        _Change(
            "images",
            f"all {describe_turn(label)}",
            partial(turned_back, labels=np.full(count, label)),
            turn=label,
        )
        for label in possible_turns(rig.width, rig.height)[1:].tolist()
    ]
    changes = {"order of images": orders, "images": turns}
    for reading in readings:
        (aspect,) = (name for name, value in reading.values.items() if value != AS_READ)
        read = _Change(aspect, reading.values[aspect], reading.apply, reading=reading)
        changes.setdefault(aspect, []).append(read)
    return changes


def _alike(views: ViewSet, changes: Mapping[str, list[_Change]]) -> Path:
    """Return the one change of all images, or the two, under which they agree best; the fewest of
    those that are equally good.
    """
    sets: list[tuple[_Change, ...]] = [(each,) for several in changes.values() for each in several]
    sets += [
        (one, other)
        for first, second in combinations(changes.values(), 2)
        for one in first
        for other in second
    ]
    probe = Probe.of(views)
    few = probe.fewer(_SAMPLES)
    readings = {_joined([each.reading for each in changed if each.reading]) for changed in sets}
    read = {each: each.apply(views) if each else views for each in readings}
    scores = [_together(read, few, each).consistency for each in sets]
    best = [sets[k] for k in sorted(np.argsort(scores)[::-1][:_FINALISTS].tolist())]
    judged = [(each, _together(read, probe, each)) for each in best]
    given = probe.agreement(views)
    agreeing = [(each, said) for each, said in judged if said.settles(given)]
    if not agreeing:
        return ()
    top = max((said for _, said in agreeing), key=lambda said: said.consistency)
    equal = [each for each, said in agreeing if top.lead(said) < SIGNIFICANT]
    fewest = min(map(len, equal))
    chosen, *others = [each for each in equal if len(each) == fewest]
    path = tuple(change.tried for change in chosen)
    return _either(path, others) if others else path


def _either(path: Path, others: list[tuple[_Change, ...]]) -> Path:
    """Return the path, its rows in doubt: `others` explain the views as well."""
    words = [" and ".join(f"{each.hypothesis}: {each.best}" for each in other) for other in others]
    return tuple(_in_doubt(tried, words) for tried in path)


def _in_doubt(tried: Tried, others: list[str]) -> Tried:
    """Return the same, in doubt: `others`, in words, explain the views as well."""
    if len(others) > _TOLD:
        others = [*others[:_TOLD], f"{len(others) - _TOLD} more"]
    rows = (replace(row.doubted, best=" or ".join([row.best, *others])) for row in tried.found)
    return Tried(tuple(rows), tried.mend)


def _in_words(tried: Tried) -> str:
    return " and ".join(f"{row.hypothesis}: {row.best}" for row in tried.found)


def _together(
    read: Mapping[Reading | None, ViewSet], probe: Probe, changes: tuple[_Change, ...]
) -> Agreement:
    """Return how well views agree after several changes of different kinds; `read` holds them under
    each reading.
    """
    cameras = next((each.cameras for each in changes if each.cameras is not None), None)
    reading = _joined([each.reading for each in changes if each.reading])
    turns = np.full(len(probe.counts), max(each.turn for each in changes))
    return probe.agreement(read[reading], cameras=cameras, turns=turns)


def _joined(readings: list[Reading]) -> Reading | None:
    """Return one reading for those of different aspects."""
    if len(readings) < 2:
        return readings[0] if readings else None
    depth = next(each.depth for each in readings if each.depth != AS_READ)
    poses = next(each.poses for each in readings if each.poses != AS_READ)
    return Reading(depth=depth, poses=poses)


def _measured(views: ViewSet, path: Path) -> Path:
    """Return the path with each row's scores: with all that is mended but this, and with all."""

    def score(left_out: int) -> float:
        mended = views
        for k, tried in enumerate(path):
            if k != left_out and tried.mend:
                mended = tried.mend(mended)
        return agreement_of(mended).consistency

    best = score(len(path))
    return tuple(
        Tried(
            tuple(replace(row, given_score=score(k), best_score=best) for row in tried.rows),
            tried.mend,
        )
        for k, tried in enumerate(path)
    )
