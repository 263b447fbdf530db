"""Time work by the clock and of the processor."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

PATIENCE = 6.0
"""Seconds after which work is not repeated again."""


@dataclass(frozen=True)
class Times:
    """The seconds of each run, by the clock and of the processor (`busy`: of all threads).

    On a machine that others use too, the processor's time says more.
    """

    all_seconds: list[float] = field(default_factory=list)
    all_busy: list[float] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """The median by the clock."""
        return statistics.median(self.all_seconds)

    @property
    def busy(self) -> float:
        """The median of the processor's time."""
        return statistics.median(self.all_busy)

    def add(self, work: Callable[[], Any]) -> Any:
        """Return what the work returns, and note how long it took."""
        start, start_busy = time.perf_counter(), time.process_time()
        result = work()
        self.all_busy.append(time.process_time() - start_busy)
        self.all_seconds.append(time.perf_counter() - start)
        return result


def timed(work: Callable[[], Any], repeat: int) -> tuple[Times, Any]:
    """Return the times of up to `repeat` runs, and the last one's result."""
    times, result = Times(), None
    while len(times.all_seconds) < repeat and sum(times.all_seconds) < PATIENCE:
        result = times.add(work)
    return times, result


def take_turns(works: Mapping[str, Callable[[], Any]], repeat: int) -> dict[str, Times]:
    """Return the times of `repeat` runs of each, which take turns at going first.

    So what else the machine does falls on all of them alike.
    """
    times = {key: Times() for key in works}
    for turn in range(repeat):
        for key in list(works) if turn % 2 == 0 else reversed(list(works)):
            times[key].add(works[key])
    return times
