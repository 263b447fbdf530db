"""Anti-aliased silhouettes: pixels that are a mixture of surface and background.

A mixed pixel has a depth where nothing is: between the surface and what is behind it. Seen alone it
cannot be told from a surface at a grazing angle. But a renderer either mixes along all silhouettes
or along none, and that is plain to see.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from backproject.geometry.rig import Rig
from backproject.geometry.views import Assumption

STEEP = 10.0
"""A step of depth to the next pixel, in pixel footprints, that few surfaces make: they are turned
away by more than 84 degrees.
"""
MOSTLY = 0.5
"""The share of the pixels along silhouettes that must lie in mid-air for the views to be
anti-aliased. It is 0.02 to 0.23 in exact renderings of chairs, lamps, animals and a cage of thin
wires, and 0.84 to 0.92 if those are averaged from 4 x 4 finer pixels.
"""
SELDOM = 0.25
"""The share of the other pixels of surfaces that may: more of them are noise, no anti-aliasing. It
is 0.01 to 0.1 in those averages.
"""
_LINES = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Rows and columns to the next pixel along the four lines through one."""
Depth = NDArray[np.float32]


def without_mixed(depth: Depth, rig: Rig) -> tuple[Depth, Assumption]:
    """Return depth (N, H, W) with nan where it is a mixture, and what to tell of it.

    Where silhouettes are sharp, all of it is kept.
    """
    mixed = np.stack([in_mid_air(each, focal, flat) for each, focal, flat in _views(depth, rig)])
    edge = np.stack([_at_silhouette(each) for each in depth])
    share = _share(mixed, edge)
    told = f"{np.nan_to_num(share):.0%} of the pixels along them lie between surface and background"
    if not share >= MOSTLY or not _share(mixed, np.isfinite(depth) & ~edge) <= SELDOM:
        return depth, Assumption("silhouettes", "as they are: nothing dropped", told)
    taken = f"anti-aliased: {int(mixed.sum())} pixels in mid-air are not measured"
    return np.where(mixed, np.float32(np.nan), depth), Assumption("silhouettes", taken, told)


def in_mid_air(depth: Depth, focal: float, orthographic: bool = False) -> NDArray[np.bool_]:
    """Return where a depth map (H, W) lies between a nearer surface and what is beyond it, on some
    line through three pixels, and steeply (`STEEP`) on both sides.
    """
    steep = np.float32(STEEP / focal) * (np.ones_like(depth) if orthographic else depth)
    found = np.zeros(depth.shape, bool)
    with np.errstate(invalid="ignore"):  # inf - inf; nan compares as False
        for one, other in _neighbours(depth):
            for near, beyond in ((one, other), (other, one)):
                found |= (depth - near > steep) & ((beyond - depth > steep) | np.isnan(beyond))
    return found & np.isfinite(depth)


def _share(found: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
    """Return which share is found among some pixels; nan of none, on which there is no verdict."""
    count = int(among.sum())
    return float((found & among).sum()) / count if count else float("nan")


def _views(depth: Depth, rig: Rig) -> Iterator[tuple[Depth, float, bool]]:
    """Yield each view's depth map, the greater of its focal lengths in pixels, and whether it is
    orthographic.
    """
    focal = rig.intrinsics[:, (0, 1), (0, 1)].max(axis=1)
    yield from zip(depth, focal.tolist(), rig.orthographic.tolist(), strict=True)


def _at_silhouette(depth: Depth) -> NDArray[np.bool_]:
    """Return where a pixel (H, W) of a surface is next to one without."""
    sides = [side for pair in list(_neighbours(depth))[:2] for side in pair]
    return np.isfinite(depth) & ~np.isfinite(sides).all(axis=0)


def _neighbours(depth: Depth) -> Iterator[tuple[Depth, Depth]]:
    """Yield the pixels on both sides (H, W), along each of the four lines; beyond the image's edge
    it goes on as at the edge.
    """
    height, width = depth.shape
    padded = np.pad(depth, 1, mode="edge")

    def moved(rows: int, columns: int) -> Depth:
        return padded[1 + rows : 1 + rows + height, 1 + columns : 1 + columns + width]

    for rows, columns in _LINES:
        yield moved(rows, columns), moved(-rows, -columns)
