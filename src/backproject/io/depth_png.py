"""Depth maps as 16-bit grey PNG: integers only, so a `DepthCode` says what they mean."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def read_png(path: Path) -> NDArray[Any]:
    """Return the numbers of a file, (H, W) uint16.

    Raises:
        ValueError, OSError: not such an image, or one that is not whole.
        Warning: an image so large that it looks like an attack.

    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path, formats=["PNG"]) as image:
            if image.mode not in ("I;16", "I"):
                raise ValueError(f"pixels of mode {image.mode}, expected 16-bit grey")
            return np.asarray(image).astype(np.uint16)


def write_png(stored: NDArray[Any], path: Path) -> None:
    """Write uint16 numbers."""
    Image.fromarray(stored).save(path, format="PNG")
