"""The colours of all pictures and pages, and what they stand for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Stops = tuple[tuple[float, str], ...]
"""Colours `#rrggbb` along a scale from 0 to 1; between two of them it is linear in sRGB."""

INK = "#2b2f36"
QUIET = "#7a808a"
CLAY = np.array([0.78, 0.80, 0.84])
INFERRED = np.array([0.66, 0.52, 0.86])
"""Violet, which no other colour here is: surface that no camera saw."""
TRUTH = np.array([0.93, 0.62, 0.34])
"""The truth, where it is drawn over the reconstruction."""
UNMEASURED = (0.96, 0.72, 0.78)
"""Pixels that were not measured (`nan`)."""
DEPTH_STOPS: Stops = (
    *((0.0, "#dde9ee"), (0.25, "#a9c3d0"), (0.5, "#5f879f")),
    *((0.75, "#34526b"), (1.0, "#1b2638")),
)
"""Near to far."""
ERROR_STOPS: Stops = (
    *((0.0, "#e6ebee"), (1 / 3, "#b5dcd2"), (0.66, "#3f9f8c")),
    *((0.67, "#f6d667"), (0.83, "#ea7f35"), (1.0, "#a81428")),
)
"""Along the error's scale: grey to green up to two thirds; beyond it yellow to red."""
ERRORS = (1e-5, 1e-2)
"""The ends of the error's colours, in diameters: from what no one sees to what anyone sees."""


def ramp(stops: Stops, share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the colours (..., 3), sRGB from 0 to 1, at places (...) from 0 to 1 of a scale."""
    places = [place for place, _ in stops]
    channels = np.array([list(bytes.fromhex(name[1:])) for _, name in stops]).T / 255
    return np.stack([np.interp(share, places, channel) for channel in channels], axis=-1)


def error_share(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the place of each distance (...), in diameters, on the error's scale: logarithmic
    between the two of `ERRORS`.
    """
    low, high = np.log(ERRORS)
    return np.asarray((np.log(np.clip(distance, *ERRORS)) - low) / (high - low))


def error_colors(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the colour (..., 3) of each distance (...) in diameters."""
    return ramp(ERROR_STOPS, error_share(distance))


def view_colors(count: int) -> NDArray[np.float64]:
    """Return a colour for each of `count` views, (count, 3), neighbours told apart by hue."""
    hue = np.arange(count) * 0.618034 % 1  # the golden ratio never comes back near itself
    value, saturation = 0.88, 0.62
    wheel = np.abs(hue[:, None] * 6 % 6 - np.array([3.0, 2.0, 4.0])) * np.array([1.0, -1.0, -1.0])
    pure = np.clip(wheel + np.array([-1.0, 2.0, 2.0]), 0, 1)
    return np.asarray(value * (1 - saturation * (1 - pure)))


def hex_of(color: NDArray[np.float64] | tuple[float, ...]) -> str:
    """Return a colour (3,) as `#rrggbb`."""
    return "#" + bytes(np.round(np.asarray(color) * 255).astype(np.uint8)).hex()
