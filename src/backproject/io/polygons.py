"""Polygons of any size to triangles: ear clipping in each polygon's own plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import mapbox_earcut
import numpy as np
from numpy.typing import NDArray

from backproject.geometry.colors import Colors, as_bytes


@dataclass(frozen=True)
class Polygons:
    """F closed loops of vertex indices, one after the other.

    `corners` (C,) int64; `sizes` (F,) int64, which sum to C.
    """

    corners: NDArray[np.int64]
    sizes: NDArray[np.int64]

    @classmethod
    def from_lists(cls, loops: Sequence[Sequence[int]]) -> Polygons:
        """Return the polygons of a list of loops."""
        sizes = np.fromiter(map(len, loops), np.int64, len(loops))
        flat = (corner for loop in loops for corner in loop)
        return cls(np.fromiter(flat, np.int64, int(sizes.sum())), sizes)

    @classmethod
    def from_triangles(cls, faces: NDArray[np.integer]) -> Polygons:
        """Return the polygons of an (F, 3) array."""
        return cls(faces.reshape(-1).astype(np.int64), np.full(len(faces), 3, np.int64))


@dataclass(frozen=True)
class Surface:
    """What a mesh file holds: `vertices` (V, 3) as in the file, `polygons`, and `support` (V,) and
    `colors` (V, 3) if it has them.
    """

    vertices: NDArray[np.float64]
    polygons: Polygons
    support: NDArray[np.int32] | None = None
    colors: Colors | None = None


def colors_in_file(numbers: NDArray[np.float64]) -> Colors | None:
    """Return the colours that numbers (V, 3) of a text file, or floats, stand for: from 0 to 1, or
    whole from 0 to 255. None if they are neither: they mean something else.
    """
    if not numbers.size or not ((numbers >= 0) & (numbers <= 255)).all():
        return None
    if numbers.max() <= 1:
        return as_bytes(255 * numbers)
    return numbers.astype(np.uint8) if (numbers == np.floor(numbers)).all() else None


def triangulate(vertices: NDArray[np.float64], polygons: Polygons) -> NDArray[np.int32]:
    """Return triangles (T, 3) that cover the polygons, in their order and orientation.

    A polygon of n corners gives n - 2. It is projected along its area vector (Newell) and its ears
    are clipped there, so that a concave one keeps its shape. No corner is lost, collinear ones
    neither, so that neighbours along an edge stay joined.

    Raises:
        ValueError: a polygon with fewer than 3 corners or a corner that is no vertex.

    """
    corners, sizes = polygons.corners, polygons.sizes
    _check(vertices, polygons)
    if (sizes == 3).all():  # what most files hold
        return corners.reshape(-1, 3).astype(np.int32)
    starts = np.cumsum(sizes) - sizes
    triangles, owners = [np.empty((0, 3), np.int64)], [np.empty(0, np.int64)]
    for size in np.unique(sizes):
        chosen = np.flatnonzero(sizes == size)
        loops = corners[starts[chosen, None] + np.arange(size)]
        local = _triangulate_loops(vertices[loops]).reshape(len(chosen), -1)
        triangles.append(np.take_along_axis(loops, local, axis=1).reshape(-1, 3))
        owners.append(np.repeat(chosen, size - 2))
    order = np.argsort(np.concatenate(owners), kind="stable")
    return np.concatenate(triangles)[order].astype(np.int32)


def _check(vertices: NDArray[np.float64], polygons: Polygons) -> None:
    if len(polygons.sizes) and polygons.sizes.min() < 3:
        k = int(np.argmin(polygons.sizes))
        raise ValueError(f"face {k + 1} has {polygons.sizes[k]} corners, expected at least 3")
    corners = polygons.corners
    if len(corners) and (corners.min() < 0 or corners.max() >= len(vertices)):
        raise ValueError(
            f"faces name vertices {corners.min()} to {corners.max()} (counted from 0),"
            f" but there are {len(vertices)} vertices"
        )


def _triangulate_loops(points: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return local corner indices (N, k - 2, 3) for N loops of k points, (N, k, 3)."""
    count, size = points.shape[:2]
    result = np.empty((count, size - 2, 3), np.int64)
    open_loops = np.arange(count)
    areas = _area_vectors(points)
    # Where one of the first two corners sees the whole polygon, its fan is exact: all triangles,
    # convex polygons and quads are done here, many at a time. Only the rest is clipped one by one.
    for first in (0, 1):
        fan = (_fan(size) + first) % size
        seen = _faces_along(points[open_loops], fan, areas[open_loops]) | (size == 3)
        result[open_loops[seen]] = fan
        open_loops = open_loops[~seen]
    for k in open_loops:
        result[k] = _clip_ears(_project(points[k], areas[k]))
    return result


def _fan(size: int) -> NDArray[np.int64]:
    second = np.arange(1, size - 1)
    return np.stack([np.zeros_like(second), second, second + 1], axis=1)


def _area_vectors(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return twice the area vectors (N, 3) of loops (N, k, 3) (Newell)."""
    # Taken about a corner, so that a far offset does not eat the digits.
    local = points - points[:, :1]
    return np.asarray(np.cross(local, np.roll(local, -1, axis=1)).sum(axis=1))


def _faces_along(
    points: NDArray[np.float64], fan: NDArray[np.int64], areas: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Tell for which loops (N,) all triangles of the fan, and its apex, turn the polygon's way."""
    apex = fan[0, 0]
    size = points.shape[1]
    turns = np.concatenate([fan, [[apex - 1, apex, (apex + 1) % size]]])
    a, b, c = (points[:, turns[:, i]] for i in range(3))
    along = np.einsum("nti,ni->nt", np.cross(b - a, c - a), areas)
    return np.asarray((along > 0).all(axis=1))


def _project(points: NDArray[np.float64], area: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points (k, 2) in the plane across `area`, counter-clockwise, scaled to about 1."""
    right = np.cross(np.eye(3)[np.argmin(np.abs(area))], area)
    axes = np.stack([right, np.cross(area, right)])
    length = np.linalg.norm(axes, axis=1, keepdims=True)
    axes = np.divide(axes, length, out=np.zeros_like(axes), where=length > 0)
    flat = (points - points[0]) @ axes.T
    return np.asarray(flat / (np.abs(flat).max() or 1.0))


def _clip_ears(flat: NDArray[np.float64]) -> NDArray[np.int64]:
    size = len(flat)
    ends = np.array([size], np.uint32)
    clipped = mapbox_earcut.triangulate_float64(np.ascontiguousarray(flat), ends)
    triangles = _counter_clockwise(clipped.reshape(-1, 3).astype(np.int64), flat)
    whole = _with_dropped_corners(triangles, size)
    # A loop that crosses itself or has no area has no inside; a fan at least keeps its outline.
    return whole if _has_outline(whole, size) else _fan(size)


def _counter_clockwise(
    triangles: NDArray[np.int64], flat: NDArray[np.float64]
) -> NDArray[np.int64]:
    a, b, c = np.moveaxis(flat[triangles], 1, 0)
    doubled = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    return triangles if doubled.sum() >= 0 else triangles[:, ::-1]


def _with_dropped_corners(triangles: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Return the triangles, and one without area for each collinear corner that earcut drops."""
    kept = np.unique(triangles)
    slivers = []
    for start, end in zip(kept, np.roll(kept, -1), strict=True):
        between = np.arange(start + 1, end if end > start else end + size)
        ring = np.append(between, end) % size
        slivers += [(start, b, c) for b, c in pairwise(ring)]
    return np.concatenate([triangles, np.array(slivers, np.int64).reshape(-1, 3)])


def _has_outline(triangles: NDArray[np.int64], size: int) -> bool:
    """Tell whether the triangles' free edges are the loop's own, each once and in its direction."""
    if len(triangles) != size - 2:
        return False
    start, end = triangles, np.roll(triangles, -1, axis=1)
    forward = np.unique(start * size + end)
    free = np.setdiff1d(forward, end * size + start)
    corner = np.arange(size)
    outline = corner * size + np.roll(corner, -1)
    return forward.size == triangles.size and np.array_equal(free, np.sort(outline))
