"""Depth maps as NumPy arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from backproject.io.depth_checks import one_plane


def read_npy(path: Path) -> NDArray[Any]:
    """Return the array of a file, (H, W), of integers or floats.

    Raises:
        ValueError: not such an array; pickled objects are never opened.

    """
    # Mapped: a file cut short, or a header that claims a giant, is refused before any memory is
    # spent, and an array of Python objects cannot be mapped at all.
    return one_plane(open_memmap(path, mode="r"))


def write_npy(stored: NDArray[Any], path: Path) -> None:
    """Write the array as it is."""
    np.save(path, stored, allow_pickle=False)
