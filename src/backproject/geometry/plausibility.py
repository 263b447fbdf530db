"""Whether views can be of one scene: what shows that a unit or an image is wrong, beyond doubt."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from backproject.geometry.rig import Camera
from backproject.geometry.views import ViewSet

UNITS = (1e-3, 1e-2, 1e-1, 1e1, 1e2, 1e3)
"""What depth is off by where millimetres, centimetres, decimetres and metres are mixed up."""
_VIEWS, _POINTS = 12, 256
"""How many views are compared, and how many points of each."""
_AGREES = 0.05
"""The share of its depth by which a point may be off the other view's: units differ by far more."""
_ENOUGH = 0.25
"""The share of the points in sight of another view that must agree with it: the others are hidden
from it. A third to a half do of 3 to 20 views around headphones and a slim box.
"""
_FAR_BETTER = 0.1
"""The share of that agreement which depth may have as it is: neighbours that look the same way
agree in any unit.
"""
_IN_SIGHT = 0.1
"""The share of the points that must be in sight of other views, for a verdict at all."""


def fitting_unit(views: ViewSet) -> float | None:
    """Return the factor of `UNITS` by which depth would fit the cameras' positions, if it does not
    as it is; None where nothing speaks against it.

    Points that one view sees are looked up in the others. Only where few agree, and a quarter would
    with depth in another unit, is there a verdict: never of a single view, of views
    that do not overlap, or of cameras that turn on the spot.
    """
    some = views.subset(np.linspace(0, len(views) - 1, min(len(views), _VIEWS)).astype(int))
    compared, agreeing_now, _ = _agreement(some, 1.0)
    if agreeing_now >= _FAR_BETTER * compared:  # no unit can fit so much better
        return None
    for unit in UNITS:
        compared, agreeing, in_sight = _agreement(some, unit)
        overlaps = in_sight > _IN_SIGHT * compared and agreeing > _ENOUGH * in_sight
        if overlaps and agreeing_now < _FAR_BETTER * agreeing:
            return unit
    return None


def blind_view(views: ViewSet) -> tuple[int, float] | None:
    """Return a view that says that there is nothing where others see a surface, and the share of
    the others' points that it says it of; None if there is none.

    Such a view has no finite depth, and at least half of the others' points lie before it. It would
    carve them away.
    """
    seeing = views.silhouettes.any(axis=(1, 2))
    if not seeing.any():
        return None
    some = np.flatnonzero(seeing)
    some = some[np.linspace(0, len(some) - 1, min(len(some), _VIEWS)).astype(int)]
    points = np.concatenate([_points(views.rig[k], views.depth[k], 1.0) for k in some.tolist()])
    for k in np.flatnonzero(~seeing).tolist():
        stored, _ = _looked_up(points, views.rig[k], views.depth[k])
        share = float(np.isposinf(stored).mean())
        if share >= 0.5:
            return k, share
    return None


def _agreement(views: ViewSet, unit: float) -> tuple[int, int, int]:
    """Return how many pairs of a view's point and another view there are, in how many the point
    lies as far as the other view says, and in how many that view says something.
    """
    pairs = [*_pairs(views, unit), (0, 0, 0)]
    compared, agreeing, in_sight = np.sum(pairs, axis=0).tolist()
    return compared, agreeing, in_sight


def _pairs(views: ViewSet, unit: float) -> Iterator[tuple[int, int, int]]:
    for i in range(len(views)):
        points = _points(views.rig[i], views.depth[i], unit)
        for j in range(len(views)):
            if i != j:
                stored, depth = _looked_up(points, views.rig[j], views.depth[j])
                known = np.isfinite(stored)
                off = np.abs(depth[known] - unit * stored[known])
                agreeing = off < _AGREES * unit * stored[known]
                yield len(points), int(agreeing.sum()), int(known.sum())


def _points(camera: Camera, depth: NDArray[np.float32], unit: float) -> NDArray[np.float64]:
    """Return some of the world points (P, 3) of a depth map, evenly chosen."""
    rows, columns = np.nonzero(np.isfinite(depth))
    chosen = np.linspace(0, len(rows) - 1, min(len(rows), _POINTS)).astype(int)
    rows, columns = rows[chosen], columns[chosen]
    pixels = np.stack([columns, rows], axis=1) + 0.5
    return camera.unproject(pixels, depth[rows, columns] * np.float64(unit))


def _looked_up(
    points: NDArray[np.float64], camera: Camera, depth_map: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what a depth map holds where points (P, 3) project to, (P,), nan outside it, and their
    depth (P,).
    """
    pixels, depth = camera.project(points)
    size = np.array([camera.width, camera.height])
    inside = ((pixels >= 0) & (pixels < size)).all(axis=1) & (depth > 0)
    columns, rows = pixels[inside].astype(int).T
    stored = np.full(len(points), np.nan)
    stored[inside] = depth_map[rows, columns]
    return stored, depth
