"""Which assumption about cameras and depth is wrong, and the views mended.

Depth maps of one rigid shape over-determine their cameras: what one view measured, the others must
see too, or have something before it. Every hypothesis is tried on that score (`checking.probe`),
first alone, then one upon another (`checking.explanation`). The first explanation under which the
views stop contradicting each other is taken; the numbers and the poses are then refined.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from backproject.checking.explanation import Trials, betters, explain
from backproject.checking.hypotheses import ABOUT, KINDS, Finding, Mend
from backproject.checking.meaning import NEAR_AND_FAR
from backproject.checking.probe import SETTLED, agreement_of
from backproject.errors import InputError
from backproject.geometry.views import ViewSet
from backproject.kernels import parallel
from backproject.progress import Progress, silent


@dataclass(frozen=True)
class Diagnosis:
    """What the views say about their own cameras and depth.

    `findings`: a row for each hypothesis. `clash_given`, `clash_mended`: the share of contradiction
    in what views say of each other, before and after. `explained`: whether the views agree, as
    given or once mended. `mends` turn the views given into those mended, one after the other; there
    are none unless the views agree then.
    """

    findings: tuple[Finding, ...]
    clash_given: float
    clash_mended: float
    explained: bool
    mends: tuple[Mend, ...]

    @property
    def agrees(self) -> bool:
        """Whether the views agree as given, and nothing was found wrong."""
        return self.explained and not self.mends

    def apply(self, views: ViewSet) -> ViewSet:
        """Return the views mended; as they are where nothing is wrong, or nothing explains it."""
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
        if self.explained:
            wrong = [each.hypothesis for each in self.findings if each.verdict == "wrong"]
            what = ", ".join(wrong) or "one of several things that explain it as well"
            return f"{share}; {self.clash_mended:.1%} once mended: {what}"
        if self.clash_given <= SETTLED:
            return "the views say too little of each other: hardly any sees what another sees"
        return f"{share}, and no single hypothesis or pair that was tried explains it"

    def to_dict(self) -> dict[str, Any]:
        """Return all of it but the mends, for JSON."""
        return {
            "findings": [vars(each) for each in self.findings],
            "clash_given": self.clash_given,
            "clash_mended": self.clash_mended,
            "agrees": self.agrees,
            "explained": self.explained,
        }


def check(views: ViewSet, *, threads: int = 0, progress: Progress = silent) -> Diagnosis:
    """Return what the views say about their own cameras and depth, and how to mend them.

    Single hypotheses are tried first, then pairs: a change of all images alike, and one of the
    others upon it. What is found is taken only if the views agree then; else nothing is mended, and
    nothing is called wrong. Every other hypothesis is tried on the mended views, so that the table
    tells what cannot be known: a sphere shows no turn, and a symmetric rig comes back moved.

    Raises:
        InputError: fewer than two views that see anything, or orthographic ones.

    """
    if views.rig.orthographic.any():
        raise InputError(
            f"views: {int(views.rig.orthographic.sum())} of {len(views)} are orthographic,"
            " expected pinholes: what is checked is checked of pinholes alone"
        )
    seeing = int(np.count_nonzero(views.silhouettes.any(axis=(1, 2))))
    if seeing < 2:
        raise InputError(
            f"views: {seeing} of {len(views)} see anything, expected at least 2 to compare"
        )
    # a hundred unknowns are too few to share: waiting threads of a BLAS take forty times as long
    with parallel.at_most(threads), threadpool_limits(1, user_api="blas"):
        return _checked(replace(views, colors=None), progress)  # colours would be turned along


def _checked(views: ViewSet, progress: Progress) -> Diagnosis:
    given = agreement_of(views)
    trials = Trials(views)
    path = () if given.settled else explain(trials, progress)
    rows: list[Finding] = []
    mends: list[Mend] = []
    for tried in path:
        assert tried.mend is not None
        rows += tried.found
        mends.append(tried.mend)
        views = tried.mend(views)
    trials = Trials(views) if mends else trials
    agree = bool(path) or given.settled
    told = {row.hypothesis for row in rows}
    # Of what else is off, the rest of what is wrong already comes first: swapped depth is told from
    # a sum of near and far that is only about right.
    kinds = sorted(KINDS, key=lambda kind: kind != "range") if NEAR_AND_FAR in told else list(KINDS)
    for number, kind in enumerate(kinds):
        if ABOUT[kind] <= told:
            continue
        progress(f"checking {kind}", number / len(kinds))
        tried = trials.of(kind)
        fresh = [row for row in tried.rows if row.hypothesis not in told]
        news = any(row.verdict == "wrong" for row in fresh)
        if agree and news and tried.mend and betters(views, tried):
            mends.append(tried.mend)
            views = tried.mend(views)
            trials = Trials(views)
            told |= {row.hypothesis for row in tried.rows}
        else:
            fresh = [row.doubted for row in fresh]
        rows += fresh
    mended = agreement_of(views) if mends else given
    progress("checked", 1.0)
    return Diagnosis(tuple(rows), given.clash, mended.clash, mended.settled, tuple(mends))
