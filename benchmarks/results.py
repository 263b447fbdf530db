"""Rows of results to tables: medians, each mesh, and ratios against the peers.

A row is a mesh: its name under `mesh` and, under `methods`, each method's result. A result has
`seconds`, `busy` (the processor's seconds) and `scores`, or else an `error`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.methods import METHODS, OURS
from benchmarks.tables import Grid

Row = dict[str, Any]
ValueOf = Callable[[dict[str, Any]], float]
Best = Callable[[Iterable[float]], float]
DISTANCES = ("accuracy", "completeness", "chamfer", "hausdorff", "signed_bias")
MEDIAN_HEAD = [
    *("F@0.001", "F@0.0025", "F@0.005", "accuracy", "completeness", "Chamfer", "Hausdorff"),
    *("bias", "bias / Chamfer", "normals", "watertight", "seconds"),
]
BEST_PEER = "best peer of each mesh"


def score(key: str) -> ValueOf:
    """Return what reads one of the scores."""
    return lambda result: float(result["scores"][key])


def f_score(result: dict[str, Any]) -> float:
    """Return the F-score at 0.001."""
    return float(result["scores"]["f_score"]["0.001"])


def bias_share(result: dict[str, Any]) -> float:
    """Return the size of the signed bias as a share of the mean error (Chamfer)."""
    scores = result["scores"]
    return abs(scores["signed_bias"]) / scores["chamfer"] if scores["chamfer"] else 0.0


def seconds(result: dict[str, Any]) -> float:
    """Return the median seconds by the clock."""
    return float(result["seconds"])


def busy(result: dict[str, Any]) -> float:
    """Return the median seconds of the processor."""
    return float(result["busy"])


def good_results(row: Row) -> dict[str, dict[str, Any]]:
    """Return the results of those methods that ended with a mesh."""
    return {name: result for name, result in row["methods"].items() if "scores" in result}


def method_names(rows: list[Row]) -> list[str]:
    """Return which methods the rows tell of, ours first."""
    return [name for name in METHODS if any(name in row["methods"] for row in rows)]


def median_cells(results: list[dict[str, Any]]) -> list[str]:
    """Return the medians of the results, cells under `MEDIAN_HEAD`."""
    scores = [result["scores"] for result in results]
    f_scores = [_median(s["f_score"][tau] for s in scores) for tau in scores[0]["f_score"]]
    distances = [_median(s[key] for s in scores) for key in DISTANCES]
    return [
        *(f"{value:.4f}" for value in f_scores),
        *(f"{value:.2e}" for value in distances),
        f"{_median(bias_share(result) for result in results):.3f}",
        f"{_median(s['normal_consistency'] for s in scores):.4f}",
        f"{sum(s['watertight'] for s in scores)}",
        f"{_median(result['seconds'] for result in results):.2f}",
    ]


def median_table(title: str, rows: list[Row], names: list[str]) -> Grid:
    """Return a table of each method's medians over the rows."""
    body = []
    for name in names:
        good = [results[name] for row in rows if name in (results := good_results(row))]
        label = name if len(good) == len(rows) else f"{name} ({len(good)} of {len(rows)})"
        cells = median_cells(good) if good else ["no result", *[""] * (len(MEDIAN_HEAD) - 1)]
        body.append([label, *cells])
    return title, ["method", *MEDIAN_HEAD], body


def mesh_table(
    title: str, rows: list[Row], names: list[str], value_of: ValueOf, form: str, best: Best
) -> Grid:
    """Return a table with a row for each mesh and a column for each method, the best bold.

    The last column is our value over the best peer's.
    """
    body = []
    for row in rows:
        values = {name: value_of(result) for name, result in good_results(row).items()}
        texts = {name: format(value, form) for name, value in values.items()}
        winner = format(best(values.values()), form) if values else None
        cells = [texts.get(name, "-") for name in names]
        cells = [f"**{cell}**" if cell == winner else cell for cell in cells]
        theirs = best_peer(values, best)
        ours = values.get("backproject")
        ratio = f"{ours / theirs:.2f}" if ours is not None and theirs else "-"
        body.append([row["mesh"], *cells, ratio])
    return title, ["mesh", *names, "backproject / best peer"], body


def best_peer(values: dict[str, float], best: Best) -> float | None:
    """Return the best of the peers' values, None if there are none."""
    theirs = [value for name, value in values.items() if name not in OURS]
    return best(theirs) if theirs else None


def error_table(rows: list[Row]) -> list[Grid]:
    """Return a table of the methods that failed, if any did."""
    failed = [
        [row["mesh"], name, result["error"]]
        for row in rows
        for name, result in row["methods"].items()
        if "error" in result
    ]
    return [("Errors", ["mesh", "method", "error"], failed)] if failed else []


def ratio_table(rows: list[Row]) -> Grid:
    """Return our mean errors and times over each peer's, and on how many meshes our F is higher.

    A ratio is the geometric mean over the meshes that both have a result for. The last column takes
    for each mesh the peer that is best on it, in the quantity of the row.
    """
    names = method_names(rows)
    peers = [name for name in names if name not in OURS]
    quantities: list[tuple[str, ValueOf]] = [
        ("mean error (Chamfer)", score("chamfer")),
        ("seconds", seconds),
        ("processor's seconds", busy),
    ]
    body = []
    for ours in (name for name in names if name in OURS):
        for label, value_of in quantities:
            cells = [_ratio_cell(pairs(rows, ours, peer, value_of, min)) for peer in peers]
            cells.append(_ratio_cell(pairs(rows, ours, None, value_of, min)))
            body.append([f"{ours}: {label}", *cells])
        cells = [_wins_cell(pairs(rows, ours, peer, f_score, max)) for peer in peers]
        cells.append(_wins_cell(pairs(rows, ours, None, f_score, max)))
        body.append([f"{ours}: F@0.001 higher on", *cells])
    title = "Ratios to the peers: geometric mean over the meshes (the least to the most)"
    return title, ["ours over", *peers, BEST_PEER], body


def pairs(
    rows: list[Row], ours: str, peer: str | None, value_of: ValueOf, best: Best
) -> list[tuple[float, float]]:
    """Return our value and the peer's (None: of the best one) for each mesh that has both."""
    found = []
    for row in rows:
        values = {name: value_of(result) for name, result in good_results(row).items()}
        theirs = best_peer(values, best) if peer is None else values.get(peer)
        if ours in values and theirs is not None:
            found.append((values[ours], theirs))
    return found


def geometric_mean(values: Iterable[float]) -> float:
    """Return the mean that a ratio and its inverse agree on; values above 0."""
    return math.exp(statistics.fmean(math.log(value) for value in values))


def _ratio_cell(found: list[tuple[float, float]]) -> str:
    ratios = [ours / theirs for ours, theirs in found]
    if not ratios:
        return "-"
    return f"{geometric_mean(ratios):.3f} ({min(ratios):.2f} to {max(ratios):.2f})"


def _wins_cell(found: list[tuple[float, float]]) -> str:
    return f"{sum(ours > theirs for ours, theirs in found)} of {len(found)}" if found else "-"


def _median(values: Iterable[float]) -> float:
    return float(statistics.median(values))
