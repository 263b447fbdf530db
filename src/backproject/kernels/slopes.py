"""How inverse depth changes from pixel to pixel on the surface that a pixel sees.

Inverse depth w = 1/z is linear in the pixel on a plane, so its differences are exact there. What
must not be differenced is told apart by the surface itself, in units of the step w/f that a surface
at 45 degrees makes from pixel to pixel.
"""

import numpy as np
from numba import njit

STEEPEST = np.tan(np.radians(85.0))
"""A step larger than a surface seen at 85 degrees would make is a jump."""
FLAT = 0.05
"""Steps of 45 degrees by which slopes may always differ: three degrees."""
NOISE = 5e-7
"""Relative error of a second difference of depths that were rounded to float32 (four roundings of
6e-8, doubled).
"""


@njit(cache=True, nogil=True, error_model="numpy")
def slope_rows(start, stop, depth, intrinsics, du, dv):
    """Fill `du`, `dv` (N, H, W): the change of 1/z per pixel right and down, nan where unknown.

    Items are the N H rows of `depth` (N, H, W), planar z. A pixel without depth has no slope; nor
    has one without a neighbour on its own surface along that axis. See `slope` for how the stencil
    is chosen.
    """
    height, width = depth.shape[1], depth.shape[2]
    for item in range(start, stop):
        view, row = item // height, item % height
        across, down = 1.0 / intrinsics[view, 0, 0], 1.0 / intrinsics[view, 1, 1]
        # the seven pixels around the current one, moved along the row
        w3, w2, w1 = np.nan, np.nan, np.nan
        w4 = inverse(depth, view, row, 0)
        w5 = inverse(depth, view, row, 1)
        w6 = inverse(depth, view, row, 2)
        for column in range(width):
            w0, w1, w2, w3, w4, w5 = w1, w2, w3, w4, w5, w6
            if column == 0:
                w0, w1, w2 = np.nan, np.nan, np.nan
            w6 = inverse(depth, view, row, column + 3)
            du[view, row, column] = slope(w0, w1, w2, w3, w4, w5, w6, across)
            dv[view, row, column] = slope(
                inverse(depth, view, row - 3, column),
                inverse(depth, view, row - 2, column),
                inverse(depth, view, row - 1, column),
                w3,
                inverse(depth, view, row + 1, column),
                inverse(depth, view, row + 2, column),
                inverse(depth, view, row + 3, column),
                down,
            )


@njit(cache=True, nogil=True, error_model="numpy")
def inverse(depth, view, row, column):
    """Return 1/z at a pixel, nan where there is none."""
    if row < 0 or column < 0 or row >= depth.shape[1] or column >= depth.shape[2]:
        return np.nan
    z = np.float64(depth[view, row, column])
    return 1.0 / z if z < np.inf else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def joined(before, first, second, after, step):
    """Return whether the surface goes on from `first` to `second`.

    `before` and `after` are the pixels beyond, or nan. On a continuous surface, smooth or creased
    in between, the step from one to the next lies between the slopes of the two sides; over a jump
    it lies far outside. Far is more than one step of 45 degrees, or the neighbouring slope doubled.
    """
    unit = step * min(first, second)
    change = second - first
    if not abs(change) <= STEEPEST * unit:  # nan too
        return False
    left, right = first - before, after - second
    if np.isnan(left):
        left = right
    if np.isnan(right):
        right = left
    if np.isnan(left):
        return True
    if change > max(left, right):
        nearest = max(left, right)
    elif change < min(left, right):
        nearest = min(left, right)
    else:
        return True
    return abs(change - nearest) <= unit + abs(nearest)


@njit(cache=True, nogil=True, error_model="numpy")
def slope(w0, w1, w2, w3, w4, w5, w6, step):
    """Return the slope at `w3`, the middle of seven pixels; nan if it is alone on its surface.

    The stencil of three pixels whose second difference is smallest is the one that no crease or
    jump runs through (ENO: Harten, Engquist, Osher & Chakravarthy 1987); the central one is
    preferred where all agree. Every stencil is exact on a plane and of second order on a curved
    surface.
    """
    if np.isnan(w3):
        return np.nan
    left, right = joined(w1, w2, w3, w4, step), joined(w2, w3, w4, w5, step)
    if not left and not right:
        return np.nan
    bend_left, bend_here, bend_right = np.inf, np.inf, np.inf
    if left and joined(w0, w1, w2, w3, step):
        bend_left = w3 - 2.0 * w2 + w1
    if left and right:
        bend_here = w4 - 2.0 * w3 + w2
    if right and joined(w3, w4, w5, w6, step):
        bend_right = w5 - 2.0 * w4 + w3
    if abs(bend_here) < np.inf and abs(bend_here) <= (
        2.0 * min(abs(bend_left), abs(bend_right)) + NOISE * w3
    ):
        return 0.5 * (w4 - w2)
    if abs(bend_left) <= abs(bend_right) and abs(bend_left) < np.inf:
        return one_sided(w3 - w2, bend_left, w2 - 2.0 * w1 + w0, step * w3)
    if abs(bend_right) < np.inf:
        return -one_sided(w3 - w4, bend_right, w4 - 2.0 * w5 + w6, step * w3)
    # two pixels are all there is of this surface
    return w3 - w2 if left else w4 - w3


@njit(cache=True, nogil=True, error_model="numpy")
def one_sided(change, bend, bend_before, unit):
    """Return the slope at the end of a stencil, nan if it bends as the three before did not."""
    if abs(bend) > 4.0 * abs(bend_before) + FLAT * unit:
        return np.nan
    return change + 0.5 * bend
