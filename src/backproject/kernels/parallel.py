"""Spread a kernel's items over threads."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Thread
from typing import Any

CHUNKS_HEARD = 16
"""At least so many ranges where somebody listens to the progress."""

_most = ContextVar("most", default=0)


@contextmanager
def at_most(threads: int) -> Iterator[None]:
    """Let kernels that are run within take so many threads (0: all cores), unless told otherwise.

    For stages of many small steps, which need not pass the number on from each to the next.
    """
    token = _most.set(threads)
    try:
        yield
    finally:
        _most.reset(token)


def available_threads() -> int:
    """Return how many threads to use where nobody says: as `at_most` tells, else one a core that
    this process may use.
    """
    if _most.get():
        return _most.get()
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run(
    kernel: Callable[..., None],
    count: int,
    *arguments: Any,
    threads: int = 0,
    chunks_per_thread: int = 4,
    on_chunk: Callable[[float], None] | None = None,
) -> None:
    """Call `kernel(start, stop, *arguments)` over ranges that cover `[0, count)`, on `threads`
    threads (0: all cores), this one among them.

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

    helpers = [Thread(target=work, daemon=True) for _ in range(min(threads, chunks) - 1)]
    try:
        for helper in helpers:
            helper.start()
        work(on_chunk)
        for helper in helpers:
            helper.join()
    except BaseException as failure:  # Ctrl-C while waiting
        failures.append(failure)
        for helper in helpers:
            if helper.ident is not None:
                helper.join()
    if failures:
        raise failures[0]
    if on_chunk is not None:
        on_chunk(1.0)
