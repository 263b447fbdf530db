"""Take the noise out of depth maps, view by view, and leave jumps and creases."""

import numpy as np
from numba import njit

SPAN = 2
"""Pixels to each side over which the first slopes are taken."""
INLIERS = 2.5
"""Standard deviations within which a pixel belongs to the same surface: 1 in 80 is lost."""
BENT = 5.0
"""Radius of curvature, in pixels, at which a surface is bent as much as a pixel's noise is off."""
FEWEST = 9
"""Pixels of one surface that a fit needs, of three by three."""
ROUNDS = 2
"""Fits, each to the pixels that the one before found."""
TERMS = 6


@njit(cache=True, nogil=True, error_model="numpy")
def smooth_rows(start, stop, depth, intrinsics, orthographic, noise, radius, smoothed):
    """Fill `smoothed` with rows [start, stop) of all views' `depth` (N, H, W), each pixel moved
    onto the quadric in inverse depth (less depth in a view that is `orthographic`) that the pixels
    up to `radius` (N,) around it fit.

    `noise` (N,) is the standard deviation of each view's depth. Only pixels within `INLIERS` of the
    surface count: first of the plane, out of nine through the pixel, on which most of them lie,
    which is that of one side at a crease or a jump; then of the quadric. So planes and, to third
    order, curved surfaces stay where they are. A pixel that lies on no surface, or off that of its
    neighbours, is not moved.
    """
    height, width = depth.shape[1], depth.shape[2]
    most = 2 * radius.max() + 1
    window, fit = np.empty((most, most)), np.empty(TERMS)
    sums, matrix = np.empty((5, 5)), np.empty((TERMS, TERMS))
    for item in range(start, stop):
        view, row = item // height, item % height
        reach = radius[view]
        near = window[: 2 * reach + 1, : 2 * reach + 1]
        for column in range(width):
            z = np.float64(depth[view, row, column])
            smoothed[view, row, column] = depth[view, row, column]
            if not z < np.inf:
                continue
            parallel = orthographic[view]
            middle = -z if parallel else 1.0 / z
            step = 1.0 if parallel else middle  # w changes by it over f at 45 degrees
            unit = noise[view] * step * step
            hold_window(depth[view], row, column, middle, unit, parallel, near)
            fit[:] = 0.0
            if first_plane(near, fit) < FEWEST:
                continue
            bend = 0.5 * step / (BENT * max(intrinsics[view, 0, 0], intrinsics[view, 1, 1]))
            count = FEWEST
            for _ in range(ROUNDS):
                if count >= FEWEST:
                    count = fit_quadric(near, (unit / bend) ** 2, sums, matrix, fit)
            if count >= FEWEST and abs(fit[0]) <= INLIERS:
                w = middle + unit * fit[0]
                moved = -w if parallel else 1.0 / w
                if moved > 0.0:  # a surface at the camera may be moved behind it
                    smoothed[view, row, column] = moved


@njit(cache=True, nogil=True, error_model="numpy")
def hold_window(depth, row, column, middle, unit, orthographic, near):
    """Fill `near` with the inverse depths (less depths, if `orthographic`) around a pixel, above
    the `middle` one and in a `unit`; nan where there is none.
    """
    reach = near.shape[0] // 2
    for i in range(near.shape[0]):
        for j in range(near.shape[1]):
            r, c = row + i - reach, column + j - reach
            near[i, j] = np.nan
            if 0 <= r < depth.shape[0] and 0 <= c < depth.shape[1] and depth[r, c] < np.inf:
                z = np.float64(depth[r, c])
                near[i, j] = ((-z if orthographic else 1.0 / z) - middle) / unit


@njit(cache=True, nogil=True, error_model="numpy")
def first_plane(near, fit):
    """Write to `fit` the slopes of the plane through the middle on which most pixels around lie,
    and return how many do. Each slope is that over both sides, or over one.
    """
    m = near.shape[0] // 2
    most = 0
    for a in range(3):
        across = slope_over(near[m, m - SPAN], near[m, m + SPAN], a)
        for b in range(3):
            down = slope_over(near[m - SPAN, m], near[m + SPAN, m], b)
            count = 0
            for i in range(-SPAN, SPAN + 1):
                for j in range(-SPAN, SPAN + 1):
                    count += abs(near[m + i, m + j] - across * j - down * i) <= INLIERS
            if count > most:
                most = count
                fit[1], fit[2] = across, down
    return most


@njit(cache=True, nogil=True, inline="always", error_model="numpy")
def slope_over(before, after, side):
    """Return the slope over both sides of 0, or over one of them."""
    if side == 0:
        return (after - before) / (2.0 * SPAN)
    return -before / SPAN if side == 1 else after / SPAN


@njit(cache=True, nogil=True, error_model="numpy")
def fit_quadric(near, stiff, sums, matrix, fit):
    """Fit `fit` (1, x, y, xx, xy, yy) anew to the pixels that lie on it, by least squares, and
    return how many they are.

    `stiff` is the variance of a pixel over that of a bend: where pixels lie to one side only, a
    bend that few of them tell is not made up.
    """
    reach = near.shape[0] // 2
    sums[:] = 0.0
    count = 0
    s0 = s1 = s2 = s3 = s4 = s5 = 0.0
    for i in range(near.shape[0]):
        y = float(i - reach)
        for j in range(near.shape[1]):
            x = float(j - reach)
            value = near[i, j]
            flat = fit[0] + fit[1] * x + fit[2] * y
            bent = fit[3] * x * x + fit[4] * x * y + fit[5] * y * y
            if not abs(value - flat - bent) <= INLIERS:  # nan too
                continue
            count += 1
            power = 1.0
            for p in range(5):
                sums[p, 0] += power
                sums[p, 1] += power * y
                sums[p, 2] += power * y * y
                sums[p, 3] += power * y * y * y
                sums[p, 4] += power * y * y * y * y
                power *= x
            s0 += value
            s1 += value * x
            s2 += value * y
            s3 += value * x * x
            s4 += value * x * y
            s5 += value * y * y
    if count < FEWEST:
        return count
    across, down = (0, 1, 0, 2, 1, 0), (0, 0, 1, 0, 1, 2)
    for a in range(TERMS):
        for b in range(a + 1):
            matrix[a, b] = sums[across[a] + across[b], down[a] + down[b]]
        # In one line of pixels there is no slope across it: none then.
        matrix[a, a] += stiff if a > 2 else 1e-6
    fit[0], fit[1], fit[2], fit[3], fit[4], fit[5] = s0, s1, s2, s3, s4, s5
    solve(matrix, fit)
    return count


@njit(cache=True, nogil=True, error_model="numpy")
def solve(matrix, x):
    """Solve the symmetric positive system with right side `x`, in place, by Cholesky."""
    for a in range(TERMS):
        for b in range(a + 1):
            rest = matrix[a, b]
            for k in range(b):
                rest -= matrix[a, k] * matrix[b, k]
            matrix[a, b] = np.sqrt(rest) if a == b else rest / matrix[b, b]
    for a in range(TERMS):
        for k in range(a):
            x[a] -= matrix[a, k] * x[k]
        x[a] /= matrix[a, a]
    for a in range(TERMS - 1, -1, -1):
        for k in range(a + 1, TERMS):
            x[a] -= matrix[k, a] * x[k]
        x[a] /= matrix[a, a]
