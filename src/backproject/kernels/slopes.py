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


BESIDE = 3
"""How many pixels to each side of a pixel its slopes depend on."""
ROWS = 2 * BESIDE + 1


@njit(cache=True, nogil=True, error_model="numpy")
def slope_rows(start, stop, depth, intrinsics, du, dv):
    """Fill `du`, `dv` (N, H, W): the change of 1/z per pixel right and down, nan where unknown.

    Items are the N H rows of `depth` (N, H, W), planar z. A pixel without depth has no slope; nor
    has one without a neighbour on its own surface along that axis. See `slope` for how the stencil
    is chosen.
    """
    height, width = depth.shape[1], depth.shape[2]
    around = np.full((ROWS, width + 2 * BESIDE), np.nan)
    for item in range(start, stop):
        view, row = item // height, item % height
        hold_rows(depth, view, row, item == start, around)
        slopes_of_row(
            around, row, 1.0 / intrinsics[view, 0, 0], 1.0 / intrinsics[view, 1, 1],
            du[view, row], dv[view, row],
        )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def hold_rows(depth, view, row, anew, around):
    """Keep in `around` (7, W + 6) the inverse depths of the rows from `row` - 3 to `row` + 3, nan
    where there is none: row r in line r % 7, with three columns of nan to each side.

    The rows before are still there unless `anew`.
    """
    height, width = depth.shape[1], depth.shape[2]
    begin = row - BESIDE if anew or row == 0 else row + BESIDE
    for r in range(begin, row + BESIDE + 1):
        line = around[r % ROWS]
        if r < 0 or r >= height:
            line[:] = np.nan
            continue
        for column in range(width):
            z = np.float64(depth[view, r, column])
            line[column + BESIDE] = 1.0 / z if z < np.inf else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def slopes_of_row(around, row, across, down, du, dv):
    """Fill `du`, `dv` (W,) with the slopes of the middle one of the held rows."""
    first, second, third = (
        around[(row - 3) % ROWS],
        around[(row - 2) % ROWS],
        around[(row - 1) % ROWS],
    )
    line = around[row % ROWS]
    fifth, sixth, last = (
        around[(row + 1) % ROWS],
        around[(row + 2) % ROWS],
        around[(row + 3) % ROWS],
    )
    for column in range(du.shape[0]):
        c = column + BESIDE
        if np.isnan(line[c]):
            du[column] = dv[column] = np.nan
            continue
        du[column] = slope(
            line[c - 3], line[c - 2], line[c - 1], line[c], line[c + 1], line[c + 2], line[c + 3],
            across,
        )  # fmt: skip
        dv[column] = slope(
            first[c], second[c], third[c], line[c], fifth[c], sixth[c], last[c], down
        )


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
