"""The self-test: what the views saw against what they would see of the mesh made of them.

It needs no truth. A mesh may pass it and be wrong where no view looked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from backproject.geometry.mesh import Mesh
from backproject.geometry.views import ViewSet
from backproject.progress import Progress, silent
from backproject.rendering.render import render


@dataclass(frozen=True)
class Difference:
    """How far the depth of some pixels is from the mesh's, in diameters; shares are from 0 to 1.

    median, most    of |mesh - given| over the pixels where both have depth; 95 % lie below `most`;
                    nan where there are none
    bias            the median of mesh - given: above 0 the mesh lies behind what was seen
    missing         pixels with depth where the mesh shows none, as a share of those with depth
    extra           empty pixels where the mesh shows a surface, as a share of those with depth
    """

    median: float
    most: float
    bias: float
    missing: float
    extra: float

    @classmethod
    def between(
        cls, given: NDArray[np.float32], shown: NDArray[np.float32], unit: float
    ) -> Difference:
        """Return the difference of depth (...) that was given and that of the mesh, in `unit`s."""
        hit, shows = np.isfinite(given), np.isfinite(shown)
        both = hit & shows
        apart = (shown[both].astype(np.float64) - given[both]) / unit
        median, most, bias = np.nan, np.nan, np.nan
        if len(apart):
            median, most = np.percentile(np.abs(apart), (50, 95))
            bias = np.median(apart)
        count = max(1, int(hit.sum()))
        return cls(
            median=float(median),
            most=float(most),
            bias=float(bias),
            missing=float((hit & ~shows).sum() / count),
            extra=float((np.isposinf(given) & shows).sum() / count),
        )


@dataclass(frozen=True)
class SelfTest:
    """The mesh in every view, `shown` (N, H, W), and how it differs: `each` view and `overall`.

    Differences are in units of `diameter`, which is in scene units.
    """

    shown: NDArray[np.float32]
    each: tuple[Difference, ...]
    overall: Difference
    diameter: float


def self_test(
    mesh: Mesh,
    views: ViewSet,
    diameter: float,
    *,
    threads: int = 0,
    progress: Progress = silent,
) -> SelfTest:
    """Return how the views differ from those of `mesh` by the same cameras."""
    plain = replace(mesh, colors=None)  # they would be drawn, too
    shown = render(plain, views.rig, threads=threads, progress=progress).depth
    each = tuple(
        Difference.between(given, now, diameter)
        for given, now in zip(views.depth, shown, strict=True)
    )
    return SelfTest(shown, each, Difference.between(views.depth, shown, diameter), diameter)
