"""Spread a kernel's items over threads."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

CHUNKS_HEARD = 16
"""At least so many ranges where somebody listens to the progress."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class _Team:
    """How many threads to use (0: one a core), and the helpers beside this one, if any."""

    threads: int = 0
    helpers: ThreadPoolExecutor | None = None


_ALONE = _Team()
_team = ContextVar("team", default=_ALONE)


@contextmanager
def at_most(threads: int) -> Iterator[None]:
    """Let kernels that are run within take so many threads (0: as many as so far), unless told
    otherwise.

    For work of many small steps: they need not pass the number on from each to the next, and the
    helpers wait for the next kernel instead of being started for each.
    """
    threads = threads or available_threads()
    # Not kept for longer: a process with threads cannot be forked safely.
    pool = ThreadPoolExecutor(threads - 1) if threads > 1 else None
    token = _team.set(_Team(threads, pool))
    try:
        yield
    finally:
        _team.reset(token)
        if pool is not None:
            pool.shutdown(cancel_futures=True)


def available_threads() -> int:
    """Return how many threads to use where nobody says: as `at_most` tells, else one a core that
    this process may use.
    """
    if _team.get().threads:
        return _team.get().threads
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def beside(work: Callable[..., Result], *arguments: Any) -> Callable[[], Result]:
    """Let a helper of `at_most` do work while this thread goes on; return what waits for its end.

    Without helpers it is done now. Such work is to take one thread: that helper is it.
    """
    pool = _team.get().helpers
    if pool is not None:
        return pool.submit(work, *arguments).result
    result = work(*arguments)
    return lambda: result


def run(
    kernel: Callable[..., None],
    count: int,
    *arguments: Any,
    threads: int = 0,
    chunks_per_thread: int = 4,
    on_chunk: Callable[[float], None] | None = None,
) -> None:
    """Call `kernel(start, stop, *arguments)` over ranges that cover `[0, count)`, on `threads`
    threads (0: as `available_threads` tells), this one among them.

    Ranges are several to a thread, so that uneven items even out. `on_chunk` hears the finished
    share from 0 to 1, on this thread. After an exception in any range no further one begins, and
    it is raised here.
    """
    threads = threads or available_threads()
    chunks = max(1, min(count, threads * chunks_per_thread if threads > 1 else 1))
    if on_chunk is not None:
        chunks = max(chunks, min(count, CHUNKS_HEARD))
    bounds = [count * k // chunks for k in range(chunks + 1)]
    ranges = iter(list(zip(range(1, chunks + 1), bounds[:-1], bounds[1:], strict=True)))
    failures: list[BaseException] = []

    def work(listener: Callable[[float], None] | None = None) -> None:
        # Threads share the iterator: taking the next range is atomic under the GIL.
        for number, start, stop in ranges:
            if failures:
                return
            try:
                kernel(start, stop, *arguments)
                if listener is not None:
                    listener(number / chunks)
            except BaseException as failure:  # Ctrl-C too: it must stop the other threads
                failures.append(failure)

    helpers = min(threads, chunks) - 1
    helped: list[Future[None]] = []
    with _pool_of(helpers) as pool:
        try:
            for _ in range(helpers):
                helped.append(pool.submit(work))
            work(on_chunk)
            _wait_for(helped)
        except BaseException as failure:  # Ctrl-C while waiting
            failures.append(failure)
            _wait_for(helped)
    if failures:
        raise failures[0]
    if on_chunk is not None:
        on_chunk(1.0)


def _pool_of(helpers: int) -> AbstractContextManager[ThreadPoolExecutor]:
    """Return the pool of `at_most` if it has so many helpers, else one for this time."""
    kept = _team.get().helpers
    if kept is not None and helpers < available_threads():
        return nullcontext(kept)
    return ThreadPoolExecutor(max(1, helpers))  # starts none before they are needed


def _wait_for(helped: list[Future[None]]) -> None:
    """Wait for the helpers that began; the others are not needed any more."""
    for future in helped:
        if not future.cancel():
            future.result()
