"""Depth maps as PFM: 32-bit floats, one channel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from backproject.io.depth_checks import read_with_pillow


def read_pfm(path: Path) -> NDArray[Any]:
    """Return the numbers of a file, (H, W) float32, the top row first; PFM stores it last.

    The scale in its header tells the order of bytes by its sign, and is not multiplied by: no two
    programs agree on what else it means.

    Raises:
        ValueError, OSError: not such an image, one that is not whole, or not of one channel.
        Warning: an image so large that it looks like an attack.

    """
    return read_with_pillow(path, "PPM")
