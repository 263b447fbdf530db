"""The driver: jobs to rows, a bounded number of them at a time, whatever fails."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from backproject.batch.executors import CrashedError, Engine, OverdueError
from backproject.batch.job import Failure, Job, Made, attempt
from backproject.batch.ledger import Row
from backproject.errors import OutputError

AHEAD = 2
"""Jobs submitted for each that can run: the next is there when one ends."""
_TICK = 1.0


@dataclass
class Tally:
    """How far a run is: shapes `done` and `failed` by it, `there` before it, of `total`."""

    total: int
    there: int = 0
    done: int = 0
    failed: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    begun: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> int:
        """Shapes not yet ended."""
        return self.total - self.there - self.done - self.failed

    @property
    def rate(self) -> float:
        """Shapes a second, of this run."""
        return (self.done + self.failed) / max(time.monotonic() - self.begun, 1e-9)

    def told(self) -> str:
        """Return it as one line."""
        line = f"{self.done + self.there} done, {self.failed} failed, {self.left} left"
        if self.done + self.failed:
            line += f", {60 * self.rate:.3g} a minute"
            if self.left:
                line += f", {_lasting(self.left / self.rate)} to go"
        return line


def _lasting(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


Listener = Callable[[Tally, Row | None], None]
"""Called with how far the run is, after each row, and each second without one (None)."""


@dataclass
class _Try:
    job: Job
    number: int = 1


def drive(
    jobs: Iterable[Job],
    engine: Engine,
    record: Callable[[Row], None],
    tally: Tally,
    *,
    retries: int = 0,
    do: Callable[[Job], Made | Failure] = attempt,
    listen: Listener = lambda _tally, _row: None,
) -> None:
    """Do all jobs, and `record` a row for each that ends; `jobs` is taken from as there is room.

    Raises:
        OutputError: there is no room left for results.

    """
    coming, again = iter(jobs), deque[_Try]()
    running: dict[Future[Made | Failure], _Try] = {}
    while True:
        for each in _taken(coming, again, AHEAD * engine.slots - len(running)):
            running[engine.submit(do, each.job)] = each
        if not running:
            return
        ended, _ = wait(running, _TICK, FIRST_COMPLETED)
        for future in ended:
            tried = running.pop(future)
            result = _result_of(future)
            if isinstance(result, Failure) and result.kind == "full":
                raise OutputError(
                    f"{tried.job.input.name}: {result.reason}: no room for results, expected some:"
                    " make room, then run the same command again"
                )
            if isinstance(result, Failure) and result.may_pass and tried.number <= retries:
                again.append(_Try(tried.job, tried.number + 1))
                continue
            row = row_of(tried.job, result, tried.number)
            record(row)
            _count(tally, result)
            listen(tally, row)
        if not ended:
            listen(tally, None)


def _taken(coming: Iterator[Job], again: deque[_Try], room: int) -> Iterator[_Try]:
    for _ in range(room):
        if again:
            yield again.popleft()
            continue
        job = next(coming, None)
        if job is None:
            return
        yield _Try(job)


def _result_of(future: Future[Made | Failure]) -> Made | Failure:
    try:
        return future.result()
    except OverdueError as error:
        return Failure("timeout", str(error))
    except CrashedError as error:
        return Failure("crash", str(error))
    except MemoryError as error:
        return Failure("memory", f"MemoryError: {error}")
    except Exception as error:
        return Failure("bug", f"{type(error).__name__}: {error}")


def _count(tally: Tally, result: Made | Failure) -> None:
    if isinstance(result, Failure):
        tally.failed += 1
        tally.reasons[result.kind] = tally.reasons.get(result.kind, 0) + 1
    else:
        tally.done += 1


def row_of(job: Job, result: Made | Failure, attempts: int) -> Row:
    """Return the ledger's row of a job that ended."""
    row: dict[str, Any] = {
        "input": job.input.name,
        "status": "failed" if isinstance(result, Failure) else "done",
        "task": job.settings.task,
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "attempts": attempts,
    }
    if isinstance(result, Failure):
        return row | {"kind": result.kind, "reason": result.reason, "where": result.where}
    return row | {
        "stamp": job.input.stamp,
        "recipe": job.settings.recipe,
        "folder": result.folder,
        "content": result.content,
        "digest": result.digest,
        "fresh": result.fresh,
        "seconds": result.seconds,
        "busy": result.busy,
        "bytes": result.bytes,
        "peak": result.peak,
        "host": result.host,
        "warnings": result.warnings,
        "facts": result.facts,
    }
