"""Depth maps as NumPy arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray


def read_npy(path: Path) -> NDArray[Any]:
    """Return the array of a file, (H, W), of integers or floats.

    Raises:
        ValueError: not such an array; pickled objects are never opened.

    """
    # Mapped first: a file cut short, or a header that claims a giant, is refused before any
    # memory is spent, and an array of Python objects cannot be mapped at all.
    stored: NDArray[Any] = open_memmap(path, mode="r")
    if stored.ndim == 3 and stored.shape[2] == 1:
        stored = stored[..., 0]
    if stored.ndim != 2 or stored.dtype.kind not in "fiu":
        raise ValueError(f"holds {stored.dtype} of shape {stored.shape}, expected numbers (H, W)")
    return np.array(stored)


def write_npy(stored: NDArray[Any], path: Path) -> None:
    """Write the array as it is."""
    np.save(path, stored, allow_pickle=False)
