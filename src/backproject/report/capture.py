"""What a set of views holds, in a few lines: what was understood, and what is odd."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backproject.geometry.rig import Rig
from backproject.geometry.views import ViewSet


def facts_of(views: ViewSet) -> list[tuple[str, str]]:
    """Return rows of what and how much: sizes, cameras, depth, and what is missing."""
    rig, depth = views.rig, views.depth
    hit = np.isfinite(depth)
    empty, unknown = np.isposinf(depth), np.isnan(depth)
    rows = [
        ("views", str(len(views))),
        ("image size", f"{rig.width} x {rig.height} pixels"),
        *_lenses(rig),
    ]
    centre = common_centre(rig)
    if centre is None:
        rows.append(("common centre", "none: the cameras do not look at one point"))
    else:
        away = np.linalg.norm(rig.centers_world - centre, axis=1)
        rows += [
            ("common centre", "({:.4g}, {:.4g}, {:.4g})".format(*centre)),
            ("cameras' distances", f"{_span(away)} from the common centre"),
        ]
    rows += [
        ("depth", _span(depth[hit]) if hit.any() else "none"),
        ("step of depth", f"{views.step:.4g}" if views.step else "none: stored as floats"),
        ("on a surface", f"{hit.mean():.1%} of the pixels"),
        ("background", f"{empty.mean():.1%} of the pixels"),
        ("not measured", f"{unknown.mean():.1%} of the pixels"),
    ]
    return rows + [("missing", lack) for lack in missing(views)]


def missing(views: ViewSet) -> list[str]:
    """Return what a reconstruction from these views will lack."""
    hit = np.isfinite(views.depth).any(axis=(1, 2))
    lacks = []
    if not hit.all():
        lacks.append(f"a surface in {_listed(np.flatnonzero(~hit))}")
    if not np.isposinf(views.depth).any():
        lacks.append("background: no pixel is known to be empty, so silhouettes carve nothing")
    return lacks


def assumptions_of(views: ViewSet) -> list[tuple[str, str, str]]:
    """Return rows of what was assumed about the source, and why."""
    return [(each.about, each.taken, each.because) for each in views.assumptions]


def common_centre(rig: Rig) -> NDArray[np.float64] | None:
    """Return the point nearest to all optical axes, (3,), if those meet before the cameras.

    Least squares over distances to lines; None for one camera, axes that are parallel, or a point
    that lies behind half of the cameras or more.
    """
    axes = rig.world_from_camera[:, :3, 2]
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    normal = across.sum(axis=0)
    if np.linalg.eigvalsh(normal)[0] < 1e-6 * len(rig):
        return None
    centre = np.linalg.solve(normal, (across @ rig.centers_world[:, :, None]).sum(axis=0)[:, 0])
    ahead = ((centre - rig.centers_world) * axes).sum(axis=1) > 0
    return np.asarray(centre) if ahead.mean() > 0.5 else None


def _lenses(rig: Rig) -> list[tuple[str, str]]:
    """Return rows of what the cameras take in: an angle, or a height of orthographic ones."""
    flat, heights = rig.orthographic, rig.height / rig.intrinsics[:, 1, 1]
    rows = []
    if not flat.all():
        angles = np.degrees(2 * np.arctan(heights[~flat] / 2))
        rows.append(("field of view", f"{_span(angles)} degrees, vertical"))
    if flat.any():
        told = f"{flat.sum()} of {len(rig)} views, images {_span(heights[flat])} high"
        rows.append(("orthographic", told))
    return rows


def _span(values: NDArray[np.floating]) -> str:
    """Return the range of some numbers, or the one that they all are."""
    low, high = f"{values.min():.4g}", f"{values.max():.4g}"
    return low if low == high else f"{low} to {high}"


def _listed(numbers: NDArray[np.intp]) -> str:
    told = ", ".join(map(str, numbers[:8])) + (", ..." if len(numbers) > 8 else "")
    return f"view{'s' if len(numbers) > 1 else ''} {told}"
