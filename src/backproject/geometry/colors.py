"""Colours: red, green and blue from 0 to 255, uint8, as an image file holds them (mostly sRGB)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproject.errors import InputError

Colors = NDArray[np.uint8]


def checked_colors(colors: Any, shape: tuple[int, ...], name: str) -> Colors:
    """Return colours (*shape, 3), contiguous; `name` is what to call them in errors.

    Raises:
        InputError: another type than uint8, or another shape.

    """
    colors = np.asarray(colors)
    if colors.dtype != np.uint8:
        raise InputError(
            f"{name}: got {colors.dtype}, expected uint8, red, green and blue from 0 to 255"
        )
    if colors.shape != (*shape, 3):
        raise InputError(f"{name}: got shape {colors.shape}, expected {(*shape, 3)}")
    return np.ascontiguousarray(colors)


def as_bytes(colors: NDArray[Any]) -> Colors:
    """Return colours (..., 3) of numbers from 0 to 255 as the nearest uint8."""
    return np.asarray(np.clip(np.rint(colors), 0, 255), np.uint8)
