"""Depth maps as PNG: integers only, so a `DepthCode` says what they mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backproject.io.depth_checks import read_with_pillow


def read_png(path: Path) -> NDArray[Any]:
    """Return the numbers of a file, (H, W): uint8 or uint16.

    Raises:
        ValueError, OSError: not such an image, one that is not whole, or not grey.
        Warning: an image so large that it looks like an attack.

    """
    stored = read_with_pillow(path, "PNG")
    return stored if stored.dtype == np.uint8 else stored.astype(np.uint16)


def write_png(stored: NDArray[Any], path: Path) -> None:
    """Write uint16 numbers."""
    Image.fromarray(stored).save(path, format="PNG")
