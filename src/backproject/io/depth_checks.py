"""What readers of depth images share: the size that a file may claim, and what counts as grey."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MOST_PIXELS = 2**30 // 12
"""The largest image that is read, 9459 x 9459 pixels: 0.34 GiB as a depth map. The number is
Pillow's, which takes anything larger for an attack: a compressed file of a few bytes can claim any
size.
"""
_CHANNELS = 4
"""How many channels of such an image are read: red, green, blue and alpha."""


def check_size(width: int, height: int, channels: int = 1) -> None:
    """Refuse an image by the size in its header, before memory is spent on it.

    Raises:
        ValueError: it has no pixels, or is larger than `MOST_PIXELS`.

    """
    if width < 1 or height < 1:
        raise ValueError(f"{width} x {height} pixels, expected at least one")
    if width * height * max(channels / _CHANNELS, 1) > MOST_PIXELS:
        raise ValueError(
            f"claims {width} x {height} pixels in {channels} channels,"
            f" expected no more than {MOST_PIXELS} pixels in {_CHANNELS}"
        )


def grey(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return the one plane (H, W) of an image (H, W) or (H, W, C): grey, grey in three equal
    channels, or either with an alpha channel that is opaque everywhere.

    Raises:
        ValueError: colour, transparency, or another number of channels.

    """
    if pixels.ndim == 2:
        return pixels
    channels = pixels.shape[2] if pixels.ndim == 3 else 0
    if channels not in (1, 2, 3, 4):
        raise ValueError(f"holds an array of shape {pixels.shape}, expected a grey image")
    if channels in (2, 4) and (pixels[..., -1] != _opaque(pixels.dtype)).any():
        raise ValueError(
            "some pixels are transparent, expected opaque ones: transparency can mean empty or not"
            " measured; store it as a number or as a mask beside"
        )
    first = pixels[..., 0]
    if channels >= 3 and not all(_same(first, pixels[..., k]) for k in (1, 2)):
        raise ValueError("is a colour image, expected grey, or three equal channels")
    return np.array(first)


def one_plane(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array (H, W), (H, W, 1) or (1, H, W) of numbers as (H, W).

    Raises:
        ValueError: another shape, or no numbers.

    """
    plane = array
    if array.ndim == 3 and 1 in (array.shape[2], array.shape[0]):
        plane = array[..., 0] if array.shape[2] == 1 else array[0]
    if plane.ndim != 2 or plane.size == 0 or plane.dtype.kind not in "fiu":
        raise ValueError(f"holds {array.dtype} of shape {array.shape}, expected numbers (H, W)")
    return np.array(plane)


def read_with_pillow(path: Path, format: str) -> NDArray[Any]:
    """Return the numbers of an image file of one of Pillow's formats, (H, W).

    Raises:
        ValueError, OSError: not such an image, one that is not whole, or not grey.
        Warning: an image so large that it looks like an attack.

    """
    with large_images_refused(), Image.open(path, formats=[format]) as image:
        check_size(*image.size)
        if image.mode in ("I", "I;16", "I;16B", "F"):
            return np.array(image)
        if any("16" in str(tile.args) for tile in image.tile):
            raise ValueError(
                "holds 16 bits in each of several channels, of which half would be lost;"
                " expected 16-bit grey"
            )
        if image.mode == "P" or "transparency" in image.info:
            has_alpha = "transparency" in image.info
            return grey(np.asarray(image.convert("RGBA" if has_alpha else "RGB")))
        if image.mode not in ("1", "L", "LA", "RGB", "RGBA"):
            raise ValueError(f"pixels of mode {image.mode}, expected grey")
        return grey(np.array(image.convert("L") if image.mode == "1" else image))


@contextmanager
def large_images_refused() -> Iterator[None]:
    """Let Pillow raise what it would warn of: an image so large that it looks like an attack."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _same(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def _opaque(dtype: np.dtype[Any]) -> float:
    return float(np.iinfo(dtype).max) if dtype.kind in "iu" else 1.0
