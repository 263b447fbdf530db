"""Depth maps as text: one image row a line, the top row first, numbers between spaces."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproject.io.depth_checks import one_plane


def read_txt(path: Path) -> NDArray[Any]:
    """Return the numbers of a file, (H, W) float64.

    Raises:
        ValueError: words that are no numbers, or lines of several lengths.
        Warning: no numbers at all.

    """
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an empty file is only warned of
        return one_plane(np.loadtxt(path, ndmin=2, encoding="utf-8"))
