"""Which points the depth maps show."""

import numpy as np
from numba import njit

CONTINUOUS = 4.0
"""Four depths are one surface if they differ by less than this, in pixel footprints: 76 degrees."""
FLAT_TOLERANCE = 0.1
"""How far behind the interpolated depth a point may lie, in footprints: room for curvature."""
SLOPE_TOLERANCE = 0.25
"""The same, for each footprint that the four depths differ by: a crease bends with its slope."""
EDGE_TOLERANCE = 1.0
"""At an edge, how far from one of the four depths, in footprints: 45 degrees over a pixel."""


@njit(cache=True, nogil=True)
def mark_seen(start, stop, points, depth, focal, center, orthographic, camera_from_world, out_seen):
    """Set `out_seen[p]` where some view sees `points[p]`.

    points            (P, 3) float64
    depth             (N, H, W) float32: planar z, inf = nothing there, nan = not measured
    focal, center     (N, 2) float64 in pixels
    orthographic      (N,) bool
    camera_from_world (N, 4, 4) float64
    out_seen          (P,) bool
    """
    for p in range(start, stop):
        seen = False
        for k in range(len(depth)):
            pose = camera_from_world[k]
            x = pose[0, 3]
            y = pose[1, 3]
            z = pose[2, 3]
            for j in range(3):
                x += pose[0, j] * points[p, j]
                y += pose[1, j] * points[p, j]
                z += pose[2, j] * points[p, j]
            if z <= 0.0:
                continue
            spread = 1.0 if orthographic[k] else z
            u = focal[k, 0] * x / spread + center[k, 0]
            v = focal[k, 1] * y / spread + center[k, 1]
            footprint = spread / min(focal[k, 0], focal[k, 1])
            if _is_in_front(depth[k], u, v, z, footprint, orthographic[k]):
                seen = True
                break
        out_seen[p] = seen


@njit(cache=True, nogil=True)
def _is_in_front(depth, u, v, z, footprint, orthographic):
    """Return whether a point at pixel (u, v) is not behind what the four centres around it see."""
    height, width = depth.shape
    if not (0.0 <= u <= width and 0.0 <= v <= height):
        return False
    # beyond the outermost centres the last two pixels are extrapolated, half a pixel at most
    column = min(max(int(np.floor(u - 0.5)), 0), max(width - 2, 0))
    row = min(max(int(np.floor(v - 0.5)), 0), max(height - 2, 0))
    right = min(column + 1, width - 1)
    below = min(row + 1, height - 1)
    corners = (depth[row, column], depth[row, right], depth[below, column], depth[below, right])
    nearest = np.inf
    farthest = 0.0
    measured = 0
    on_one = False
    for d in corners:
        if np.isnan(d):
            continue
        measured += 1
        nearest = min(nearest, d)
        farthest = max(farthest, d)
        on_one |= abs(z - d) <= EDGE_TOLERANCE * footprint
    if measured == 0:
        return False
    if z <= nearest:
        return True
    span = farthest - nearest
    if measured == 4 and span <= CONTINUOUS * footprint:
        across = u - 0.5 - column
        down = v - 0.5 - row
        if orthographic:
            upper = (1.0 - across) * corners[0] + across * corners[1]
            lower = (1.0 - across) * corners[2] + across * corners[3]
            surface = (1.0 - down) * upper + down * lower
        else:
            upper = (1.0 - across) / corners[0] + across / corners[1]
            lower = (1.0 - across) / corners[2] + across / corners[3]
            surface = 1.0 / ((1.0 - down) * upper + down * lower)
        return z <= surface + FLAT_TOLERANCE * footprint + SLOPE_TOLERANCE * span
    return on_one
