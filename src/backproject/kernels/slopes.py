"""How inverse depth changes from pixel to pixel on the surface that a pixel sees.

Inverse depth w = 1/z is linear in the pixel on a plane, so its differences are exact there. In an
orthographic view depth itself is: there w = -z stands for it, which too is larger where it is
nearer. What must not be differenced is told apart by the surface itself, in units of the step that
a surface at 45 degrees makes from pixel to pixel: w/f of a pinhole, 1/f of an orthographic view.
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
def slope_rows(start, stop, depth, intrinsics, orthographic, du, dv):
    """Fill `du`, `dv` (N, H, W): the change of w per pixel right and down, nan where unknown.

    Items are the N H rows of `depth` (N, H, W), planar z; w is 1/z, or -z in the views that are
    `orthographic` (N,). A pixel without depth has no slope; nor
    has one without a neighbour on its own surface along that axis. See `slopes_along` for how the
    stencil is chosen.
    """
    height, width = depth.shape[1], depth.shape[2]
    around = np.full((ROWS, width + 2 * BESIDE), np.nan)
    for item in range(start, stop):
        view, row = item // height, item % height
        hold_rows(depth, view, row, item == start, orthographic[view], around)
        slopes_of_row(
            around, row, 1.0 / intrinsics[view, 0, 0], 1.0 / intrinsics[view, 1, 1],
            orthographic[view], du[view, row], dv[view, row],
        )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def hold_rows(depth, view, row, anew, orthographic, around):
    """Keep in `around` (7, W + 6) the w of the rows from `row` - 3 to `row` + 3, nan where there is
    none: row r in line r % 7, with three columns of nan to each side.

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
            line[column + BESIDE] = (-z if orthographic else 1.0 / z) if z < np.inf else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def slopes_of_row(around, row, across, down, orthographic, du, dv):
    """Fill `du`, `dv` (W,) with the slopes of the middle one of the held rows; `across`, `down` are
    the widths of a pixel at unit depth.
    """
    width, end = du.shape[0], du.shape[0] + BESIDE
    line = around[row % ROWS]
    begin = BESIDE
    while begin < end and np.isnan(line[begin]):
        begin += 1
    while end > begin and np.isnan(line[end - 1]):
        end -= 1
    for filled in (du, dv):
        filled[: begin - BESIDE] = np.nan
        filled[end - BESIDE : width] = np.nan
    slopes_along(
        line[begin - 3 : end - 3], line[begin - 2 : end - 2], line[begin - 1 : end - 1],
        line[begin:end], line[begin + 1 : end + 1], line[begin + 2 : end + 2],
        line[begin + 3 : end + 3], across, orthographic, du[begin - BESIDE : end - BESIDE],
    )  # fmt: skip
    slopes_along(
        around[(row - 3) % ROWS][begin:end], around[(row - 2) % ROWS][begin:end],
        around[(row - 1) % ROWS][begin:end], line[begin:end],
        around[(row + 1) % ROWS][begin:end], around[(row + 2) % ROWS][begin:end],
        around[(row + 3) % ROWS][begin:end], down, orthographic,
        dv[begin - BESIDE : end - BESIDE],
    )  # fmt: skip


@njit(cache=True, nogil=True, inline="always", error_model="numpy")
def joined(before, first, second, after, step, level):
    """Return whether the surface goes on from `first` to `second`; a step of 45 degrees is `step` w
    + `level`.

    `before` and `after` are the pixels beyond, or nan. On a continuous surface, smooth or creased
    in between, the step from one to the next lies between the slopes of the two sides; over a jump
    it lies far outside. Far is more than one step of 45 degrees, or the neighbouring slope doubled.
    """
    unit = step * min(first, second) + level
    change = second - first
    left, right = first - before, after - second
    left = right if np.isnan(left) else left
    right = left if np.isnan(right) else right
    low, high = min(left, right), max(left, right)
    nearest = high if change > high else low
    between = (change >= low) & (change <= high)
    near = abs(change - nearest) <= unit + abs(nearest)
    return (abs(change) <= STEEPEST * unit) & (np.isnan(left) | between | near)  # nan: false


@njit(cache=True, nogil=True, error_model="numpy")
def slopes_along(w0, w1, w2, w3, w4, w5, w6, width, orthographic, slopes):
    """Fill `slopes` with those at `w3`, the middle of seven lines of pixels; nan where it is alone
    on its surface. Without branches, for SIMD.

    The stencil of three pixels whose second difference is smallest is the one that no crease or
    jump runs through (ENO: Harten, Engquist, Osher & Chakravarthy 1987); the central one is
    preferred where all agree. Every stencil is exact on a plane and of second order on a curved
    surface.
    """
    step, level = (0.0, width) if orthographic else (width, 0.0)
    for k in range(slopes.shape[0]):
        a, b, c, d, e, f, g = w0[k], w1[k], w2[k], w3[k], w4[k], w5[k], w6[k]
        left, right = joined(b, c, d, e, step, level), joined(c, d, e, f, step, level)
        bend_left = d - 2.0 * c + b if left & joined(a, b, c, d, step, level) else np.inf
        bend_here = e - 2.0 * d + c if left & right else np.inf
        bend_right = f - 2.0 * e + d if right & joined(d, e, f, g, step, level) else np.inf
        least = min(abs(bend_left), abs(bend_right))
        # two pixels may be all there is of this surface
        found = d - c if left else (e - d if right else np.nan)
        if least < np.inf:
            on_left = abs(bend_left) <= abs(bend_right)
            bend = bend_left if on_left else bend_right
            before = c - 2.0 * b + a if on_left else e - 2.0 * f + g
            change = (d - c if on_left else d - e) + 0.5 * bend
            # nan where it bends as the three before did not
            told = not abs(bend) > 4.0 * abs(before) + FLAT * (step * d + level)
            found = (change if on_left else -change) if told else np.nan
        central = (abs(bend_here) < np.inf) & (abs(bend_here) <= 2.0 * least + NOISE * abs(d))
        slopes[k] = 0.5 * (e - c) if central else found
