"""Depth maps as JPEG: 8 bits, and ringing around every silhouette."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from backproject.io.depth_checks import read_with_pillow


def read_jpg(path: Path) -> NDArray[Any]:
    """Return the numbers of a file, (H, W) uint8.

    Raises:
        ValueError, OSError: not such an image, one that is not whole, or not grey.
        Warning: an image so large that it looks like an attack.

    """
    return read_with_pillow(path, "JPEG")
