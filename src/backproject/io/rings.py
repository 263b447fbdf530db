"""JPEG's rings: how bright the background becomes around a silhouette."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from backproject.errors import FormatError
from backproject.geometry.views import Assumption
from backproject.io.depth_images import DepthCode

JPEG = (".jpg", ".jpeg")
NEARLY_ALL, ALL = 2.0, 5.0
"""Rings by the rounding error's standard deviation: of the background within 8 pixels of the
silhouettes of chairs, animals and headphones, at qualities of 50 to 95, 99 % was darker than 2.2 of
it, and all than 4.7.
"""


def rings_are_empty(code: DepthCode, files: Iterable[Path]) -> tuple[DepthCode, list[Assumption]]:
    """Return a code by which the rings in JPEG files are background, and what to tell; the code as
    it is if there are none such.

    What is darker than most rings is background. What a ring can be but rarely is, is not measured.

    Raises:
        FormatError: a file that cannot be read.

    """
    jpegs = dict.fromkeys(file for file in files if file.suffix.lower() in JPEG)
    sigma = max(map(_rounding_error, jpegs), default=0.0)
    if not sigma or code.empty is None:
        return code, []
    because = "JPEG rings around silhouettes, as bright as its quantisation table allows"
    code, told = as_of_jpeg(code, sigma, because)
    return code, [told]


def as_of_jpeg(code: DepthCode, sigma: float, because: str) -> tuple[DepthCode, Assumption]:
    """Return a code with an empty number, for images whose numbers JPEG changed by an error of
    standard deviation `sigma`, and what to tell.
    """
    tolerance, doubt = round(NEARLY_ALL * sigma), round(ALL * sigma)
    taken = f"stored numbers up to {tolerance} from {code.empty:g}; up to {doubt} not measured"
    told = Assumption("background", taken, because)
    return replace(code, tolerance=float(tolerance), doubt=float(doubt)), told


def _rounding_error(file: Path) -> float:
    """Return the standard deviation of a pixel where each of its block's 64 coefficients is rounded
    to a step of the file's table: the transform is orthonormal, and keeps the sum of squares.
    """
    try:
        with Image.open(file, formats=["JPEG"]) as image:
            # absent from Pillow's types: only its JPEG images have it
            tables: dict[int, list[int]] = getattr(image, "quantization", {})
    except Exception as error:  # on damaged files Pillow raises whatever it runs into
        raise FormatError(f"{file}: cannot be read as JPEG: {error}") from error
    steps = np.array(tables.get(0, [0]), np.float64)
    return float(np.sqrt((steps**2).mean() / 12))
