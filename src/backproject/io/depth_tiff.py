"""Depth maps as TIFF, of floats or integers."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproject.io.depth_checks import check_size, grey, read_with_pillow

_READ_AS_STORED = ("MINISBLACK", "MINISWHITE", "RGB")
"""What pixels may mean: black is 0, white is 0, or red, green and blue."""


def read_tiff(path: Path) -> NDArray[Any]:
    """Return the numbers of a file of one image, (H, W).

    Raises:
        ValueError, OSError, Exception: not such an image, one that is not whole, or not grey.

    """
    import tifffile

    with _silent("tifffile"), tifffile.TiffFile(path) as file:
        if len(file.pages) != 1:
            raise ValueError(f"holds {len(file.pages)} images, expected one")
        page = file.pages.first
        check_size(page.imagewidth, page.imagelength * page.imagedepth, page.samplesperpixel)
        meaning = getattr(page.photometric, "name", str(page.photometric))
        if meaning not in _READ_AS_STORED:
            raise ValueError(f"pixels of kind {meaning}, expected grey")
        if page.dtype is None or page.dtype.kind not in "fiub":
            raise ValueError(f"pixels of type {page.dtype}, expected floats or integers")
        try:
            stored = page.asarray()
        except ValueError as error:
            # LZW and the predictors need a library that is far larger than this package; Pillow
            # brings libtiff, which has them.
            if "imagecodecs" not in str(error):
                raise
            return read_with_pillow(path, "TIFF")
    if page.planarconfig == 2 and stored.ndim == 3:  # one channel after the other
        stored = np.moveaxis(stored, 0, -1)
    return grey(stored.astype(np.uint8) if stored.dtype.kind == "b" else stored)


@contextmanager
def _silent(logger: str) -> Iterator[None]:
    """Keep a library from logging what it then raises or gets over."""
    log = logging.getLogger(logger)
    log.addFilter(_nothing)
    try:
        yield
    finally:
        log.removeFilter(_nothing)


def _nothing(_: logging.LogRecord) -> bool:
    return False
