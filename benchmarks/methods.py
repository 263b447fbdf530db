"""Run this package and its peers on the same views, and judge what comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import backproject as bp
from benchmarks import peers
from benchmarks.clock import timed
from benchmarks.tables import console

Fuse = Callable[[bp.ViewSet, int], bp.Mesh]
Judge = Callable[[bp.Mesh], dict[str, Any]]


def backproject(views: bp.ViewSet, resolution: int = 256) -> bp.Mesh:
    """Return what this package makes of the views, with its defaults."""
    return bp.fuse(views, resolution=resolution)


def seen(views: bp.ViewSet, resolution: int = 256) -> bp.Mesh:
    """Return the part of it that some camera saw."""
    return bp.fuse(views, resolution=resolution, surface="seen")


OURS: dict[str, Fuse] = {"backproject": backproject, "seen": seen}
METHODS: dict[str, Fuse] = {**OURS, **peers.METHODS}


class Runner:
    """Runs methods, each once uncounted first, and tells of each result in a line."""

    def __init__(self, methods: list[str], *, resolution: int, repeat: int) -> None:
        self._methods, self._resolution, self._repeat = methods, resolution, repeat
        self._warm: set[str] = set()
        self._console = console(stderr=True)

    def run(self, label: str, given: bp.ViewSet, judge: Judge) -> dict[str, dict[str, Any]]:
        """Return each method's times and what `judge` says of its mesh, or its error."""
        results = {}
        for name in self._methods:
            results[name] = self._run_method(name, given, judge)
            self._console.print(f"{label:30} {name:12} {in_short(results[name])}")
        return results

    def _run_method(self, name: str, given: bp.ViewSet, judge: Judge) -> dict[str, Any]:
        method = METHODS[name]
        try:
            if name not in self._warm:
                method(given, self._resolution)
                self._warm.add(name)
            times, mesh = timed(lambda: method(given, self._resolution), self._repeat)
            judged = judge(mesh)
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}"}
        return {
            "seconds": times.seconds,
            "all_seconds": times.all_seconds,
            "busy": times.busy,
            **judged,
        }


def scores_against(truth: bp.Mesh, views: bp.ViewSet) -> Judge:
    """Return what scores a mesh; what was seen of the truth is judged by the exact `views`."""
    return lambda mesh: {"scores": bp.compare(mesh, truth, views=views).to_dict()}


def in_short(result: dict[str, Any]) -> str:
    """Return a result as one line."""
    if "error" in result:
        return str(result["error"])
    scores = result["scores"]
    return (
        f"{result['seconds']:6.2f} s  F@0.001 {scores['f_score']['0.001']:.4f}"
        f"  Chamfer {scores['chamfer']:.2e}  Hausdorff {scores['hausdorff']:.4f}"
        f"  bias {scores['signed_bias']:+.1e}  {'watertight' if scores['watertight'] else 'open'}"
    )
