"""Views that disagree with all others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backproject.checking.probe import SIGNIFICANT, Agreement, Probe
from backproject.geometry.views import ViewSet

_FEWEST = 3
"""Of fewer views that agree nobody knows which of them are right."""


@dataclass(frozen=True)
class Outliers:
    """Which views (N,) contradict the others for sure, and which are `empty`: nothing finite.

    `leads` (N,): by how many standard errors confirmations outweigh contradictions between a view
    and those that are no outliers; a view is one below -SIGNIFICANT. `given_score`, `best_score`:
    the consistency of all views, and of those that are left. `consistent`: whether more than half
    of the views are left and they confirm each other; if not, it is not single views that are
    wrong, and none is called an outlier.
    """

    outliers: NDArray[np.bool_]
    empty: NDArray[np.bool_]
    leads: NDArray[np.float64]
    given_score: float
    best_score: float
    consistent: bool

    @property
    def given(self) -> NDArray[np.bool_]:
        """Which views (N,) are used as given: all."""
        return np.ones(len(self.outliers), np.bool_)

    @property
    def best(self) -> NDArray[np.bool_]:
        """Which views (N,) should be used."""
        return ~self.outliers

    def apply(self, views: ViewSet) -> ViewSet:
        """Return the views without the outliers."""
        return views.subset(self.best)


def find_outliers(views: ViewSet, probe: Probe | None = None) -> Outliers:
    """Return the views that contradict the others more than they confirm them.

    The worst view is left out, and the rest asked again, until no view is contradicted for sure: a
    wrong view spoils the scores of the right ones, so they leave one at a time (backward
    elimination). A view fits so badly only if it shows another thing, from another place, turned,
    or nothing: one that is off by little still agrees more than not.
    """
    probe = probe or Probe.of(views)
    agreement = probe.agreement(views)
    kept = np.ones(len(views), np.bool_)
    leads = _leads(agreement, kept)
    while kept.any():
        worst = int(np.where(kept, leads, np.inf).argmin())
        if leads[worst] > -SIGNIFICANT:
            break
        kept[worst] = False
        leads = _leads(agreement, kept)
    rest = _among(agreement, kept)
    told = kept.sum() >= _FEWEST and 2 * kept.sum() > len(views)
    consistent = bool(told and rest.lead_over_chance() >= SIGNIFICANT)
    if not consistent:
        kept[:] = True
        rest, leads = agreement, _leads(agreement, kept)
    empty = np.asarray(~views.silhouettes.any(axis=(1, 2)))
    score = rest.consistency
    return Outliers(~kept, empty, leads, agreement.consistency, score, consistent)


def _leads(agreement: Agreement, kept: NDArray[np.bool_]) -> NDArray[np.float64]:
    everyone = np.arange(len(kept))
    return np.array([agreement.lead_of_view(k, kept & (everyone != k)) for k in everyone.tolist()])


def _among(agreement: Agreement, kept: NDArray[np.bool_]) -> Agreement:
    return Agreement(agreement.scores[kept][:, :, kept], agreement.counts[kept])
