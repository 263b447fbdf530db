"""Which depth pixels are samples of the surface, and how much each one counts."""

import numpy as np
from numba import njit

from backproject.kernels.field import UNMEASURED, column_in, depth_in, height_over, row_in

STEEP = 4.0
"""Footprints between neighbouring pixels beyond which a surface is too steep to be filled in."""
UNSURE = 0.1
"""Weight of a sample whose slope is not known: a wire, a speck, the pixel at a jump. Its normal is
a guess.
"""


@njit(cache=True, nogil=True)
def weigh_samples(start, stop, points, normals, view_of, centers, weights):
    """Fill the weights of samples [start, stop): the cosine between normal and line of sight,
    `UNSURE` without a normal.

    A sample without a normal gets the direction to its camera: what is narrower than a pixel is
    seen where it faces the camera.
    """
    for k in range(start, stop):
        center = centers[view_of[k]]
        dx, dy, dz = center[0] - points[k, 0], center[1] - points[k, 1], center[2] - points[k, 2]
        away = np.sqrt(dx * dx + dy * dy + dz * dz)
        facing = (normals[k, 0] * dx + normals[k, 1] * dy + normals[k, 2] * dz) / away
        if facing > 0.0:
            weights[k] = facing
        else:
            normals[k, 0], normals[k, 1], normals[k, 2] = dx / away, dy / away, dz / away
            weights[k] = UNSURE


@njit(cache=True, nogil=True)
def farthest_hit(a, b, c, d):
    """Return the least inverse depth above 0 of four: background confirms nothing."""
    least = np.inf
    for w in (a, b, c, d):
        if 0.0 < w < least:
            least = w
    return least


@njit(cache=True, nogil=True)
def judge_samples(
    start, stop, w, cameras, centers, points, normals, view_of, tolerance, votes, confirmed
):
    """Let the other views vote on samples [start, stop): `votes` is those for minus those against.

    A view is against a sample that lies before the nearest of the four pixels around it, and for
    one that lies between them, each by `tolerance` times its depth; otherwise, and
    where it would see the back of the sample's surface, it has no say. Rays
    that miss a wire or a sheet seen edge-on are against it, but not as many as hit it.
    `confirmed` tells whether any was for it.
    """
    height, width = w.shape[1], w.shape[2]
    for k in range(start, stop):
        votes[k] = 0
        confirmed[k] = False
    for view in range(w.shape[0]):
        camera = cameras[view]
        for k in range(start, stop):
            if view == view_of[k]:
                continue
            x, y, z = points[k, 0], points[k, 1], points[k, 2]
            facing = (
                normals[k, 0] * (centers[view, 0] - x)
                + normals[k, 1] * (centers[view, 1] - y)
                + normals[k, 2] * (centers[view, 2] - z)
            )
            depth = depth_in(camera, x, y, z)
            if depth <= 0.0 or facing < 0.0:
                continue
            per_depth = 1.0 / depth
            u = column_in(camera, x, y, z, per_depth)
            v = row_in(camera, x, y, z, per_depth)
            if not (u >= 0.0 and v >= 0.0 and u < width - 1.0 and v < height - 1.0):
                continue
            column, row = int(u), int(v)
            w00, w01 = w[view, row, column], w[view, row, column + 1]
            w10, w11 = w[view, row + 1, column], w[view, row + 1, column + 1]
            nearest = max(max(w00, w01), max(w10, w11))
            if nearest >= UNMEASURED:
                continue
            if depth * nearest < 1.0 - tolerance:
                votes[k] -= 1
            elif depth * farthest_hit(w00, w01, w10, w11) < 1.0 + tolerance:
                votes[k] += 1
                confirmed[k] = True


@njit(cache=True, nogil=True)
def linked(here, there, slope_here, slope_there, flat):
    """Return whether two neighbouring pixels lie on one surface, by inverse depths and slopes."""
    slope = 0.5 * (slope_here + slope_there)
    return abs(there - here - slope) <= 0.2 * abs(slope) + flat  # false for nan


@njit(cache=True, nogil=True)
def fill_gaps(
    start, stop, depth, du, dv, kept, intrinsics, world_from_camera, longest, step, first, points
):  # fmt: skip
    """Put points between samples of rows [start, stop) of all views that lie on one surface.

    Where four pixels of one surface are more than `longest` apart, the patch between them, bilinear
    in inverse depth, is covered with points at most `step` apart, from index `first` of the row. If
    `points` is empty, they are only counted, in `first`.
    """
    height, width = depth.shape[1], depth.shape[2]
    for item in range(start, stop):
        view, row = item // height, item % height
        fx, fy = intrinsics[view, 0, 0], intrinsics[view, 1, 1]
        pose = world_from_camera[view]
        flat = 0.1 / max(fx, fy)
        count = 0
        for column in range(width - 1 if row < height - 1 else 0):
            if not (
                kept[view, row, column]
                and kept[view, row, column + 1]
                and kept[view, row + 1, column]
                and kept[view, row + 1, column + 1]
            ):
                continue
            w00 = 1.0 / depth[view, row, column]
            w01 = 1.0 / depth[view, row, column + 1]
            w10 = 1.0 / depth[view, row + 1, column]
            w11 = 1.0 / depth[view, row + 1, column + 1]
            x = (column + 1 - intrinsics[view, 0, 2]) / fx
            y = (row + 1 - intrinsics[view, 1, 2]) / fy
            long = np.sqrt(x * x + y * y + 1.0)
            across = max(abs(1.0 / w01 - 1.0 / w00), abs(1.0 / w11 - 1.0 / w10)) * long
            down = max(abs(1.0 / w10 - 1.0 / w00), abs(1.0 / w11 - 1.0 / w01)) * long
            across = np.sqrt(across * across + (1.0 / (fx * w00)) ** 2)
            down = np.sqrt(down * down + (1.0 / (fy * w00)) ** 2)
            if across <= longest and down <= longest:
                continue
            if max(across * fx, down * fy) * w00 > STEEP:
                continue
            if not (
                linked(w00, w01, du[view, row, column], du[view, row, column + 1], flat * w00)
                and linked(
                    w10, w11, du[view, row + 1, column], du[view, row + 1, column + 1], flat * w10
                )
                and linked(w00, w10, dv[view, row, column], dv[view, row + 1, column], flat * w00)
                and linked(
                    w01, w11, dv[view, row, column + 1], dv[view, row + 1, column + 1], flat * w01
                )
            ):
                continue
            n, m = int(np.ceil(across / step)), int(np.ceil(down / step))
            if points.shape[0] == 0:
                count += n * m
                continue
            for i in range(m):
                t = (i + 0.5) / m
                for j in range(n):
                    s = (j + 0.5) / n
                    w = (1 - t) * ((1 - s) * w00 + s * w01) + t * ((1 - s) * w10 + s * w11)
                    px = (column + 0.5 + s - intrinsics[view, 0, 2]) / fx / w
                    py = (row + 0.5 + t - intrinsics[view, 1, 2]) / fy / w
                    for axis in range(3):
                        points[first[item] + count, axis] = (
                            pose[axis, 0] * px + pose[axis, 1] * py + pose[axis, 2] / w
                        ) + pose[axis, 3]
                    count += 1
        if points.shape[0] == 0:
            first[item] = count


@njit(cache=True, nogil=True)
def measure_gaps(
    start, stop, chosen, w, cameras, centers, steepest, points, normals, view_of, limit, gaps
):  # fmt: skip
    """Fill `gaps` (M, N): how far samples `chosen` (M,) lie before the surface another view saw.

    nan where they do not, where the view looks at the surface from less than 60 degrees, or saw
    another surface: one more than `limit` times the depth away.
    """
    for m in range(start, stop):
        k = chosen[m]
        x, y, z = points[k, 0], points[k, 1], points[k, 2]
        for view in range(w.shape[0]):
            gaps[m, view] = np.nan
            dx, dy, dz = centers[view, 0] - x, centers[view, 1] - y, centers[view, 2] - z
            facing = normals[k, 0] * dx + normals[k, 1] * dy + normals[k, 2] * dz
            square = facing * facing / (dx * dx + dy * dy + dz * dz)
            if view == view_of[k] or facing < 0.0 or square < 0.25:
                continue
            height, squared = height_over(w, view, cameras[view], x, y, z, steepest)
            gap = height / np.sqrt(squared)
            if 0.0 < gap < limit * depth_in(cameras[view], x, y, z):
                gaps[m, view] = gap
