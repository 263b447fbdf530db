"""The slopes of inverse depth of whole view sets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backproject.geometry.views import ViewSet
from backproject.kernels import parallel
from backproject.kernels.slopes import slope_rows

Slopes = tuple[NDArray[np.float64], NDArray[np.float64]]


def inverse_depth_slopes(views: ViewSet, *, threads: int = 0) -> Slopes:
    """Return the change of 1/z (of -z in orthographic views) per pixel to the right and down, each
    (N, H, W); nan where unknown.

    Never across a jump in depth, and on either side of a crease the slope of that side; see
    `kernels.slopes`.
    """
    du = np.empty(views.depth.shape)
    dv = np.empty(views.depth.shape)
    rows = len(views) * views.rig.height
    rig = views.rig
    fields = (views.depth, rig.intrinsics, rig.orthographic)
    parallel.run(slope_rows, rows, *fields, du, dv, threads=threads)
    return du, dv
