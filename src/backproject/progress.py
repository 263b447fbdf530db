"""How a long stage tells what it is doing, without knowing who listens."""

from collections.abc import Callable

Progress = Callable[[str, float], None]
"""Called with what is being done and the share of it that is finished, from 0 to 1."""


def silent(_stage: str, _fraction: float) -> None:
    """Listen to nothing."""
