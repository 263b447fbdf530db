"""What one view says about a point: in its free space, or not.

Depth is held as inverse depth `w`, which is linear across the image of a plane and has room for the
two special values: 0 where the ray hits nothing (any point is in front of infinity) and
`UNMEASURED` where nothing is known (no point is in front).

Orthographic views obey the same laws, with other numbers: the image of a plane is linear in depth
itself. A point of camera coordinates (x, y, z) lies at u = fx x/h + cx, v = fy y/h + cy and has
w = g/h, where h = p z + q and g = a + b z:

                  p  q     a      b
    pinhole       1  0     1      0
    orthographic  0  1  s far    -s     w = s (far - z)

The plane `far` lies beyond all that was seen, by so much that a surface beside nothing is a jump,
and s makes a pixel's footprint as high as it is in a pinhole's view. A point beyond `far` is taken
to lie on it.
"""

import numpy as np
from numba import njit

ON_FAR = 1e-30
"""The least g: behind every surface, and before nothing."""
UNMEASURED = np.float32(1e30)
"""Inverse depth of a pixel that was not measured: a surface so near that nothing lies before it."""


@njit(cache=True, nogil=True, inline="always")
def depth_in(camera, x, y, z):
    """Return the planar depth of a world point; `camera` is described in `clearance`."""
    return camera[8] * x + camera[9] * y + camera[10] * z + camera[11]


@njit(cache=True, nogil=True, inline="always")
def column_in(camera, x, y, z, per_h):
    """Return the column of a world point, counted from the first pixel's centre."""
    return (camera[0] * x + camera[1] * y + camera[2] * z + camera[3]) * per_h


@njit(cache=True, nogil=True, inline="always")
def row_in(camera, x, y, z, per_h):
    """Return the row of a world point, counted from the first pixel's centre."""
    return (camera[4] * x + camera[5] * y + camera[6] * z + camera[7]) * per_h


@njit(cache=True, nogil=True)
def clearance(w, view, camera, x, y, z, steepest):
    """Return how far the point (x, y, z) lies in the free space of a view, in scene units.

    The distance to the tangent plane of the depth map where the point projects: positive before the
    surface, negative behind it, -inf where the view has no say (outside the image, not measured)
    and where the point lies behind all four pixels around it, +inf before background. Between pixel
    centres `w` (N, H, W) is interpolated bilinearly, which is exact on planes; across a jump (a
    relative change per pixel above `steepest`) the nearest of the four pixels counts alone, so that
    a ray clears only what surely lies before both surfaces.

    `camera` (20,) is the 3 x 4 matrix from the world to (u h, v h, z), whose first two rows count
    from the first pixel's centre, then fx, fy, the principal point so counted, and p, q, a, b.
    """
    height, squared = height_over(w, view, camera, x, y, z, steepest)
    return height / np.sqrt(squared)


@njit(cache=True, nogil=True, inline="always")
def height_over(w, view, camera, x, y, z, steepest):
    """Return two numbers: `clearance` is the first over the root of the second, which is not 0."""
    depth = depth_in(camera, x, y, z)
    if depth <= 0.0:
        return -np.inf, 1.0
    h = camera[16] * depth + camera[17]
    per_h = 1.0 / h
    u = column_in(camera, x, y, z, per_h)
    v = row_in(camera, x, y, z, per_h)
    height, width = w.shape[1], w.shape[2]
    if not (u > -0.5 and v > -0.5 and u < width - 0.5 and v < height - 0.5):
        return -np.inf, 1.0
    # Half a pixel of border has no four neighbours: the outermost patch is continued.
    column = min(int(u), width - 2)
    row = min(int(v), height - 2)
    return height_over_patch(
        np.float64(w[view, row, column]), np.float64(w[view, row, column + 1]),
        np.float64(w[view, row + 1, column]), np.float64(w[view, row + 1, column + 1]),
        u - column, v - row, u - camera[14], v - camera[15], camera[12], camera[13],
        camera[16], camera[17], camera[19], h, max(camera[18] + camera[19] * depth, ON_FAR),
        steepest,
    )  # fmt: skip


@njit(cache=True, nogil=True, inline="always")
def height_over_patch(
    w00, w01, w10, w11, s, t, across, down, fx, fy, p, q, b, h, g, steepest
):  # fmt: skip
    """Return the same for a point whose inverse depth is `g` / `h` and which projects to (s, t)
    among four pixels, `across` and `down` from the principal point. Without branches, for SIMD.
    """
    farthest = min(min(w00, w01), min(w10, w11))
    nearest = max(max(w00, w01), max(w10, w11))
    jump = nearest - farthest > steepest * (p * nearest + q)
    w00 = nearest if jump else w00
    w01 = nearest if jump else w01
    w10 = nearest if jump else w10
    w11 = nearest if jump else w11
    top = w00 + s * (w01 - w00)
    bottom = w10 + s * (w11 - w10)
    surface = top + t * (bottom - top)
    slope_u = (1.0 - t) * (w01 - w00) + t * (w11 - w10)
    slope_v = bottom - top
    # g - h w, of the plane through the patch, is linear in camera coordinates: m is its gradient.
    mx = fx * slope_u
    my = fy * slope_v
    mz = p * (surface - slope_u * across - slope_v * down) - b
    height = g - h * surface
    height = np.inf if nearest == 0.0 else height
    height = -np.inf if h * farthest >= g else height
    return height, 1.0 if nearest == 0.0 else mx * mx + my * my + mz * mz
