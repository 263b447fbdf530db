"""Colour images: those that belong to depth maps, brought to their pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from backproject.errors import FormatError
from backproject.geometry.colors import Colors
from backproject.geometry.views import Assumption
from backproject.io.depth_checks import check_size, large_images_refused

COLOR_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
"""Pillow's modes of 8 bits a channel, which it turns into red, green and blue."""

Size = tuple[int, int]
"""Width and height."""


def read_color_image(file: Path, size: Size) -> Colors:
    """Return the colours (H, W, 3) of an image, resampled to `size` if it has another.

    Both show the same field of view, so their outer edges coincide. Shrinking takes the mean of
    what each pixel covers, weighted by a triangle; enlarging is bilinear (Pillow's BILINEAR).
    Transparency is passed over: the colour beneath it stays.

    Raises:
        FormatError: not a whole image of 8 bits a channel, or one too large.

    """
    with _opened(file) as image:
        if image.mode not in _MODES:
            raise ValueError(f"pixels of mode {image.mode}, expected 8 bits a channel")
        return resampled(image.convert("RGB"), size)


@contextmanager
def _opened(file: Path) -> Iterator[Image.Image]:
    """Yield an open image; whatever Pillow runs into in the block becomes an error of ours."""
    try:
        with large_images_refused(), Image.open(file, formats=_FORMATS) as image:
            check_size(*image.size)
            yield image
    # Not only ValueError: on damaged files Pillow raises whatever it runs into.
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise FormatError(
            f"{file}: cannot be read as colours: {reason}; expected a whole image, or"
            " --without-color to leave colours out"
        ) from error


def resampled(image: Image.Image, size: Size) -> Colors:
    """Return an image of red, green and blue at another size, as `read_color_image` says."""
    if image.size != size:
        image = image.resize(size, Image.Resampling.BILINEAR)
    return np.array(image)


def write_color_image(colors: Colors, file: Path) -> None:
    """Write colours (H, W, 3) as PNG, exactly."""
    Image.fromarray(colors).save(file, format="PNG")


def read_color_images(
    files: Sequence[Path], size: Size, because: str
) -> tuple[list[Colors] | None, list[Assumption]]:
    """Return the colours (H, W, 3) of each view at its depth map's `size`, and what to tell: None
    if an image is missing, or of other proportions, which another camera took.

    Raises:
        FormatError: an image that is there and cannot be read.

    """
    missing = [file for file in files if not is_file(file)]
    if missing:
        count = f"{len(missing)} of {len(files)} images are not there: {missing[0].name}"
        return None, [Assumption("colour", "none", count + (", ..." if len(missing) > 1 else ""))]
    sizes = []
    for file in files:
        with _opened(file) as image:
            sizes.append(image.size)
    for file, each in zip(files, sizes, strict=True):
        if not same_proportions(each, size):
            pixels = f"{file.name} has {_told(each)} pixels and its depth map {_told(size)}"
            return None, [Assumption("colour", "none", f"{pixels}: another camera took it")]
    others = sorted(set(sizes) - {size})
    taken = f"resampled from {_told(others[0])} to {_told(size)} pixels" if others else "as it is"
    colors = [read_color_image(file, size) for file in files]
    return colors, [Assumption("colour", taken, because)]


def is_file(path: Path) -> bool:
    """Tell whether a path leads to a file; a name that the system refuses does not."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def same_proportions(one: Size, other: Size) -> bool:
    """Tell whether two images may show the same field of view, up to rounding to whole pixels."""
    across, down = other[0] / one[0], other[1] / one[1]
    return abs(across - down) <= 0.5 / one[0] + 0.5 / one[1]


def _told(size: Size) -> str:
    return f"{size[0]} x {size[1]}"
