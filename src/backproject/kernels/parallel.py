"""Spread a kernel's items over threads."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def available_threads() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run(
    kernel: Callable[..., None],
    count: int,
    *arguments: Any,
    threads: int = 0,
    chunks_per_thread: int = 8,
    on_chunk: Callable[[float], None] | None = None,
) -> None:
    """Call `kernel(start, stop, *arguments)` over ranges that cover `[0, count)`, on `threads`
    threads (0: all cores).

    Ranges are several to a thread, so that uneven items even out. `on_chunk` hears the finished
    share from 0 to 1. An exception of any range is raised here.
    """
    threads = threads or available_threads()
    chunks = max(1, min(count, threads * chunks_per_thread))
    bounds = [count * k // chunks for k in range(chunks + 1)]
    if threads == 1 or chunks == 1:
        for k in range(chunks):
            kernel(bounds[k], bounds[k + 1], *arguments)
            if on_chunk is not None:
                on_chunk((k + 1) / chunks)
        return
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(kernel, bounds[k], bounds[k + 1], *arguments) for k in range(chunks)]
        try:
            for done, future in enumerate(futures, start=1):
                future.result()
                if on_chunk is not None:
                    on_chunk(done / chunks)
        except BaseException:
            # an error or Ctrl-C: do not begin what has not begun
            pool.shutdown(cancel_futures=True)
            raise
