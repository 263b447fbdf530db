"""Arrays to images that a page can hold: PNG as `data:` URIs."""

from __future__ import annotations

import base64
import io
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backproject.report.colors import (
    DEPTH_STOPS,
    ERROR_STOPS,
    INK,
    UNMEASURED,
    Stops,
    error_share,
    hex_of,
    ramp,
)

LEVELS = 252
"""Colours of a scale in an image; the rest of its palette is for what is on no scale."""
WHITE = "#ffffff"
MISSING = INK
"""The view has depth where the mesh shows none."""
EXTRA = "#4a7fc1"
"""The mesh shows a surface where the view saw nothing."""
LARGEST = 320
"""The side of the largest image in a page, in pixels."""
Palette = NDArray[np.uint8]
_Number = TypeVar("_Number", np.float32, np.uint8)
_EMPTY, _UNMEASURED, _MISSING, _EXTRA = range(LEVELS, LEVELS + 4)


def depth_image(depth: NDArray[np.float32], near: float, far: float) -> str:
    """Return a depth map (H, W): near is bright, empty white, not measured pink."""
    depth = smaller(depth)
    return _of_palette(_levels((depth - near) / (far - near), depth), DEPTH_STOPS)


def silhouette_image(depth: NDArray[np.float32]) -> str:
    """Return where a depth map (H, W) holds a surface: dark; empty white, not measured pink."""
    depth = smaller(depth)
    return _of_palette(_levels(np.ones(depth.shape), depth), DEPTH_STOPS)


def difference_image(given: NDArray[np.float32], shown: NDArray[np.float32], unit: float) -> str:
    """Return how far two depth maps (H, W) are apart, in `unit`s on the error's scale.

    Where only the given one has a surface is dark, where only the other has one blue, and where
    nothing was measured pink.
    """
    given, shown = smaller(given), smaller(shown)
    both = np.isfinite(given) & np.isfinite(shown)
    apart = np.zeros(given.shape)
    apart[both] = np.abs(given[both] - shown[both]) / unit
    index = _levels(error_share(apart), np.where(both, given, np.inf))
    index[np.isfinite(given) & ~both] = _MISSING
    index[np.isposinf(given) & np.isfinite(shown)] = _EXTRA
    index[np.isnan(given)] = _UNMEASURED
    return _of_palette(index, ERROR_STOPS)


def color_image(colors: NDArray[np.uint8]) -> str:
    """Return a view's colours (H, W, 3), smaller as depth maps are."""
    return _png(Image.fromarray(smaller(colors)))


def shaded_image(image: NDArray[np.float64]) -> str:
    """Return colours (H, W, 3) from 0 to 1."""
    return _png(Image.fromarray(np.round(image * 255).astype(np.uint8)))


def smaller(image: NDArray[_Number], largest: int = LARGEST) -> NDArray[_Number]:
    """Return every n-th pixel of an image (H, W, ...), so that no side is longer than `largest`."""
    step = -(-max(image.shape[:2]) // largest)
    return image[step // 2 :: step, step // 2 :: step]


def _levels(share: NDArray[np.floating], depth: NDArray[np.float32]) -> Palette:
    """Return the palette's index for each pixel: its level on the scale, where there is depth."""
    index = np.full(depth.shape, _EMPTY, np.uint8)
    hit = np.isfinite(depth)
    index[hit] = np.clip(np.round(share[hit] * (LEVELS - 1)), 0, LEVELS - 1)
    index[np.isnan(depth)] = _UNMEASURED
    return index


def _of_palette(index: Palette, stops: Stops) -> str:
    scale = ramp(stops, np.linspace(0, 1, LEVELS))
    image = Image.frombytes("P", index.shape[::-1], index.tobytes())
    special = bytes.fromhex(
        "".join(color[1:] for color in (WHITE, hex_of(UNMEASURED), MISSING, EXTRA))
    )
    image.putpalette(np.round(scale * 255).astype(np.uint8).tobytes() + special)
    return _png(image)


def _png(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "png", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")
