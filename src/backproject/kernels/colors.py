"""The colour that the views show of each vertex."""

import numpy as np
from numba import njit

SURFACE = 1.0
"""How far from a vertex's tangent plane, in pixel footprints, a pixel's point may lie to be of its
surface: a fused crease is rounded by about as much.
"""
STEEP = 4.0
"""Neighbouring depths that differ by more, in footprints, may be two surfaces: 76 degrees."""
EDGE_TRUST = 1e-3
"""How much less a pixel counts that has another surface, or none, beside it: the colours of such
pixels are often mixtures.
"""
GRAZING = 0.1
"""The least cosine between the normal and the line of sight, 84 degrees: beyond, pixels that adjoin
lie ten and more footprints apart on the surface.
"""
RIVAL = 0.5
"""Views count that show a vertex in more than so many pixels beside the view that has most."""


@njit(cache=True, nogil=True, error_model="numpy")
def find_edges(start, stop, depth, footprint, orthographic, slack, edge):
    """Set `edge` (N, H, W) to where one of the eight pixels around shows another surface, or none;
    items are the N H rows of `depth` (N, H, W). `footprint` (N,) are pixels' widths at unit depth,
    or at any in views that are `orthographic` (N,); `slack` is how far depth may be off for its
    noise.
    """
    height, width = depth.shape[1], depth.shape[2]
    for item in range(start, stop):
        view, row = item // height, item % height
        for column in range(width):
            z = depth[view, row, column]
            found = False
            for i in range(max(row - 1, 0), min(row + 2, height)):
                for j in range(max(column - 1, 0), min(column + 2, width)):
                    other = depth[view, i, j]
                    spread = 1.0 if orthographic[view] else min(z, other)
                    far = STEEP * footprint[view] * spread + 2.0 * slack
                    found |= not abs(other - z) <= far  # so that nan and inf are edges
            edge[view, row, column] = found


@njit(cache=True, nogil=True, error_model="numpy")
def color_vertices(
    start, stop, vertices, normals, depth, colors, edge, intrinsics, orthographic,
    camera_from_world, slack, found, trust,
):  # fmt: skip
    """Fill `found` (V, 3) with the colours, from 0 to 255, that the views show of `vertices`, and
    `trust` (V,) with how well they see them: from 0, nobody, by `EDGE_TRUST`, edges only, to 1.

    normals           (V, 3) float64, unit and outward, or 0 where unknown: seen by nobody
    depth             (N, H, W) float32: planar z
    colors            (N, H, W, 3) uint8
    edge              (N, H, W) bool, see `find_edges`
    intrinsics        (N, 3, 3), camera_from_world (N, 4, 4) float64; orthographic (N,) bool
    slack             how far depth may be off for its noise

    A view shows the vertex in as many pixels as a unit of its surface covers there, times how sure
    they are. The mean is weighted by the squares of what those exceed `RIVAL` times the most by: so
    no weight jumps where another view becomes the best. Views are asked from the most covered
    pixels down, until the next can no longer count.
    """
    count = len(depth)
    covered, share, sure = np.empty(count), np.empty(count), np.empty(count)
    shown = np.empty((count, 3))
    for v in range(start, stop):
        for k in range(count):
            covered[k] = cover(
                vertices[v], normals[v], intrinsics[k], orthographic[k], camera_from_world[k]
            )
            share[k] = 0.0
        most = 0.0
        while True:
            k = int(np.argmax(covered))
            if covered[k] <= RIVAL * most:
                break
            sure[k] = look(
                vertices[v], normals[v], depth[k], colors[k], edge[k], intrinsics[k],
                orthographic[k], camera_from_world[k], slack, shown[k],
            )  # fmt: skip
            share[k] = covered[k] * sure[k]
            most = max(most, share[k])
            covered[k] = 0.0
        total = 0.0
        found[v], trust[v] = 0.0, 0.0
        for k in range(count):
            if share[k] > RIVAL * most:
                trust[v] = max(trust[v], sure[k])
                weight = (share[k] / most - RIVAL) ** 2
                total += weight
                for c in range(3):
                    found[v, c] += weight * shown[k, c]
        if total > 0.0:
            for c in range(3):
                found[v, c] /= total


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def in_camera(point, pose, moved):
    """Return a point, or a direction if not `moved` (1 or 0), in the camera's frame."""
    return (
        pose[0, 0] * point[0] + pose[0, 1] * point[1] + pose[0, 2] * point[2] + moved * pose[0, 3],
        pose[1, 0] * point[0] + pose[1, 1] * point[1] + pose[1, 2] * point[2] + moved * pose[1, 3],
        pose[2, 0] * point[0] + pose[2, 1] * point[1] + pose[2, 2] * point[2] + moved * pose[2, 3],
    )


@njit(cache=True, nogil=True, error_model="numpy")
def cover(vertex, normal, intrinsics, orthographic, pose):
    """Return how many pixels a unit of the surface at a vertex covers in a view; 0 where it faces
    away, or nearly.
    """
    x, y, z = in_camera(vertex, pose, 1.0)
    nx, ny, nz = in_camera(normal, pose, 0.0)
    pixels = intrinsics[0, 0] * intrinsics[1, 1]
    if orthographic:
        return pixels * -nz if z > 0.0 and -nz > GRAZING else 0.0
    toward = -(nx * x + ny * y + nz * z)  # how far the camera stands before the tangent plane
    if z <= 0.0 or not toward > GRAZING * np.sqrt(x * x + y * y + z * z):
        return 0.0
    return pixels * toward / (z * z * z)


@njit(cache=True, nogil=True, error_model="numpy")
def look(vertex, normal, depth, colors, edge, intrinsics, orthographic, pose, slack, shown):
    """Return how sure it is that a view shows a vertex that faces it, from 0 to 1, and fill `shown`
    (3,) with the colour there.

    Bilinear over those of the four pixel centres around the projection whose points lie on the
    vertex's tangent plane: a surface before it, and one behind it, give none of their colour.
    """
    height, width = depth.shape
    x, y, z = in_camera(vertex, pose, 1.0)
    nx, ny, nz = in_camera(normal, pose, 0.0)
    toward = -(nx * x + ny * y + nz * z)
    fx, fy = intrinsics[0, 0], intrinsics[1, 1]
    spread = 1.0 if orthographic else z
    u = fx * x / spread + intrinsics[0, 2]
    v = fy * y / spread + intrinsics[1, 2]
    if not (0.0 <= u <= width and 0.0 <= v <= height):
        return 0.0
    near = SURFACE * spread / min(fx, fy)
    left, top = int(np.floor(u - 0.5)), int(np.floor(v - 0.5))
    total = 0.0
    shown[:] = 0.0
    for i in range(max(top, 0), min(top + 2, height)):
        for j in range(max(left, 0), min(left + 2, width)):
            d = np.float64(depth[i, j])
            aside = nx * (j + 0.5 - intrinsics[0, 2]) / fx + ny * (i + 0.5 - intrinsics[1, 2]) / fy
            slope = nz if orthographic else nz + aside
            above = d * slope + toward + (aside if orthographic else 0.0)
            if not abs(above) <= near + slack * abs(slope):
                continue
            weight = (1.0 - abs(u - 0.5 - j)) * (1.0 - abs(v - 0.5 - i))
            weight *= EDGE_TRUST if edge[i, j] else 1.0
            total += weight
            for c in range(3):
                shown[c] += weight * colors[i, j, c]
    if total > 0.0:
        for c in range(3):
            shown[c] /= total
    return total
