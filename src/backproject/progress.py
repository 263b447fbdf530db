"""How a long stage tells what it is doing, without knowing who listens, and how long it took."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[str, float], None]
"""Called with what is being done and the share of it that is finished, from 0 to 1."""


def silent(_stage: str, _fraction: float) -> None:
    """Listen to nothing."""


@contextmanager
def timed(stage: str, seconds: dict[str, float]) -> Iterator[None]:
    """Note the seconds that the block took under the stage's name."""
    begin = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - begin
