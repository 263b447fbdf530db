"""Scores as tables and curves, each with its unit and what it means."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproject.metrics.compare import Measured
from backproject.metrics.scores import Scores
from backproject.report.colors import ERROR_STOPS
from backproject.report.selftest import SelfTest

HEAD = ("score", "value", "unit", "what it is", "best")
SHOWN = (1e-8, 1e-1)
"""The ends of the curves' axis, in diameters."""
BINS = 84
"""Bins of the histogram: twelve to a power of ten."""
_SHARE = "0 to 1"
_UNIT = "diameters"
Row = tuple[str, str, str, str, str]


def score_rows(scores: Scores) -> list[Row]:
    """Return rows under `HEAD`; docs/scores.md defines the same in more words."""
    lengths = [
        ("accuracy", scores.accuracy, "mean distance, reconstruction to truth"),
        ("accuracy, median", scores.accuracy_median, "median of the same"),
        (
            "accuracy, seen",
            scores.accuracy_seen,
            "accuracy of the part of the reconstruction that some camera saw",
        ),
        ("completeness", scores.completeness, "mean distance, seen truth to reconstruction"),
        ("completeness, median", scores.completeness_median, "median of the same"),
        ("Chamfer", scores.chamfer, "mean of accuracy and completeness; not squared, not summed"),
        ("Hausdorff", scores.hausdorff, "largest distance, either way"),
    ]
    f_scores = [
        row
        for each in scores.f_scores
        for row in (
            (
                f"F-score at {each.tau:g}",
                f"{each.f:.4f}",
                _SHARE,
                "harmonic mean of the next two",
                "1",
            ),
            (
                f"precision at {each.tau:g}",
                f"{each.precision:.4f}",
                _SHARE,
                f"share of the reconstruction within {each.tau:g} diameters of the truth",
                "1",
            ),
            (
                f"recall at {each.tau:g}",
                f"{each.recall:.4f}",
                _SHARE,
                f"share of the seen truth within {each.tau:g} diameters of the reconstruction",
                "1",
            ),
        )
    ]
    return [
        *f_scores,
        *((name, _length(value), _UNIT, meaning, "0") for name, value, meaning in lengths),
        (
            "signed bias",
            f"{scores.signed_bias:+.2e}",
            _UNIT,
            "mean height over the truth: above 0 the reconstruction is thicker",
            "0",
        ),
        (
            "normal consistency",
            f"{scores.normal_consistency:.4f}",
            _SHARE,
            "mean |cosine| of the normals at nearest points, both ways",
            "1",
        ),
        (
            "watertight",
            "yes" if scores.watertight else "no",
            "",
            "every edge joins exactly two faces, alike oriented",
            "yes",
        ),
        (
            "truth seen",
            _share(scores.seen_fraction),
            "of its area",
            "what some camera sees of the truth, and what completeness and recall ask for",
            "",
        ),
        (
            "inferred",
            _share(scores.inferred_fraction),
            "of its area",
            "what no camera saw of the reconstruction",
            "",
        ),
        ("vertices", f"{scores.vertices:,}", "", "of the reconstruction", ""),
        ("faces", f"{scores.faces:,}", "", "its triangles", ""),
        ("components", f"{scores.components:,}", "", "its connected pieces", ""),
        ("truth's diameter", f"{scores.truth_diameter:.6g}", "scene units", "one diameter", ""),
    ]


def self_test_rows(test: SelfTest) -> list[Row]:
    """Return rows under `HEAD` of what needs no truth."""
    told = test.overall
    return [
        (
            "depth, median",
            _length(told.median),
            _UNIT,
            "median of |depth of the mesh - given depth|, where both have depth",
            "0",
        ),
        ("depth, 95 %", _length(told.most), _UNIT, "95 % of those pixels differ by less", "0"),
        (
            "depth, bias",
            "not known" if np.isnan(told.bias) else f"{told.bias:+.2e}",
            _UNIT,
            "median with its sign: above 0 the mesh lies behind what was seen",
            "0",
        ),
        (
            "missing",
            _share(told.missing),
            "of pixels with depth",
            "the mesh shows no surface there",
            "0",
        ),
        (
            "extra",
            _share(told.extra),
            "as many as pixels with depth",
            "pixels known to be empty where the mesh shows a surface",
            "0",
        ),
        (
            "diameter",
            f"{test.diameter:.6g}",
            "scene units",
            "the unit of these distances: twice the mesh's radius about its centre",
            "",
        ),
    ]


def curves(measured: Measured) -> dict[str, Any]:
    """Return what the page draws of the distances: a histogram, and the share within a distance.

    Bins are even on the logarithm; what is smaller than the first or larger than the last counts
    there.
    """
    edges = np.geomspace(*SHOWN, BINS + 1)
    return {
        "middle": _rounded(np.sqrt(edges[1:] * edges[:-1])),
        "edge": _rounded(edges),
        "tau": [each.tau for each in measured.scores.f_scores],
        "span": list(SHOWN),
        "sides": [
            _side("reconstruction to truth", measured.to_truth, edges, ERROR_STOPS[2][1]),
            _side("seen truth to reconstruction", measured.to_reconstruction, edges, "#ea7f35"),
        ],
    }


def _side(
    name: str, distances: NDArray[np.float64], edges: NDArray[np.float64], color: str
) -> dict[str, Any]:
    counts, _ = np.histogram(np.clip(distances, edges[0], edges[-1]), edges)
    within = np.searchsorted(np.sort(distances), edges, side="right") / len(distances)
    return {
        "name": name,
        "color": color,
        "share": _rounded(counts / len(distances)),
        "within": _rounded(within),
    }


def _rounded(values: NDArray[np.float64]) -> list[float]:
    return [float(f"{value:.5g}") for value in values]


def _length(value: float | None) -> str:
    return "not known" if value is None or np.isnan(value) else f"{value:.2e}"


def _share(value: float | None) -> str:
    return "not known" if value is None else f"{value:.1%}"
