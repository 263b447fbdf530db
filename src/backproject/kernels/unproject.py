"""Back-project pixels, and ask the other views about the points."""

import numpy as np
from numba import njit

from backproject.kernels.slopes import BESIDE, ROWS, hold_rows, slopes_of_row


@njit(cache=True, nogil=True, error_model="numpy")
def unproject_rows(
    start, stop, depth, intrinsics, orthographic, world_from_camera, first, points, normals,
    view_index,
):  # fmt: skip
    """Write the points of the pixels with finite depth; items are the N H rows of `depth`.

    `first` (N H) is the index of each row's first point. The normal follows from the slopes of
    inverse depth w: a plane n.p = d has w = (n.ray)/d, linear in the pixel, so m = (fx du, fy dv, w
    - du (u - cx) - dv (v - cy)) is n/d, which points away from the camera. In a view that is
    `orthographic` (N,), w = -z, and it is (fx du, fy dv, 1) that is normal to the plane.
    """
    height, width = depth.shape[1], depth.shape[2]
    around = np.full((ROWS, width + 2 * BESIDE), np.nan)
    du, dv = np.empty(width), np.empty(width)
    for item in range(start, stop):
        view, row = item // height, item % height
        fx, fy = intrinsics[view, 0, 0], intrinsics[view, 1, 1]
        parallel = orthographic[view]
        hold_rows(depth, view, row, item == start, parallel, around)
        slopes_of_row(around, row, 1.0 / fx, 1.0 / fy, parallel, du, dv)
        pose = world_from_camera[view]
        v = row + 0.5 - intrinsics[view, 1, 2]
        k = first[item]
        for column in range(width):
            z = np.float64(depth[view, row, column])
            if not z < np.inf:
                continue
            u = column + 0.5 - intrinsics[view, 0, 2]
            a, b = du[column], dv[column]
            spread = 1.0 if parallel else z
            x, y = u / fx * spread, v / fy * spread
            mx, my, mz = fx * a, fy * b, 1.0 if parallel else 1.0 / z - a * u - b * v
            shrink = -1.0 / np.sqrt(mx * mx + my * my + mz * mz)
            for axis in range(3):
                r0, r1, r2 = pose[axis, 0], pose[axis, 1], pose[axis, 2]
                points[k, axis] = r0 * x + r1 * y + r2 * z + pose[axis, 3]
                normals[k, axis] = (r0 * mx + r1 * my + r2 * mz) * shrink
            view_index[k] = view
            k += 1


@njit(cache=True, nogil=True, error_model="numpy")
def confirm_points(
    start,
    stop,
    points,
    view_index,
    depth,
    covered,
    du,
    dv,
    intrinsics,
    orthographic,
    camera_from_world,
    confirmed,
):
    """Set `confirmed` (P,) to whether every view but a point's own allows the point.

    `covered` (N, H, W) are the silhouettes.
    """
    for k in range(start, stop):
        confirmed[k] = True
        for view in range(len(depth)):
            if view != view_index[k] and not allows(
                points[k], depth[view], covered[view], du[view], dv[view], intrinsics[view],
                orthographic[view], camera_from_world[view],
            ):  # fmt: skip
                confirmed[k] = False
                break


@njit(cache=True, nogil=True, error_model="numpy")
def allows(point, depth, covered, du, dv, intrinsics, orthographic, pose):
    """Return whether a view leaves room for a surface at `point`: its silhouette and its depth.

    Asked are the 3 x 3 pixels around the projection. One pixel that knows nothing is enough, and so
    is one whose surface is not farther than the point by more than a tolerance: in inverse depth
    (less depth, if `orthographic`), a pixel's footprint plus |du| |delta u| + |dv| |delta v| of its
    slopes, whichever way they lead. For the silhouette, one covered pixel is enough.
    """
    x = pose[0, 0] * point[0] + pose[0, 1] * point[1] + pose[0, 2] * point[2] + pose[0, 3]
    y = pose[1, 0] * point[0] + pose[1, 1] * point[1] + pose[1, 2] * point[2] + pose[1, 3]
    z = pose[2, 0] * point[0] + pose[2, 1] * point[1] + pose[2, 2] * point[2] + pose[2, 3]
    if z <= 0.0:
        return True
    spread = 1.0 if orthographic else z
    w_point = -z if orthographic else 1.0 / z
    u = intrinsics[0, 0] * x / spread + intrinsics[0, 2]
    v = intrinsics[1, 1] * y / spread + intrinsics[1, 2]
    height, width = depth.shape
    if not (0.0 <= u < width and 0.0 <= v < height):
        return True
    column, row = int(u), int(v)
    if column < 1 or row < 1 or column > width - 2 or row > height - 2:
        return True  # part of the nine lies outside the image, where nothing is known
    inside, behind = False, False
    for nth in range(9):
        # the pixel of the projection first: it mostly settles the matter
        i, j = row + (nth // 3 + 1) % 3 - 1, column + (nth + 1) % 3 - 1
        z_here = np.float64(depth[i, j])
        if np.isnan(z_here):
            return True
        inside |= covered[i, j]
        if not behind and z_here < np.inf:
            w = -z_here if orthographic else 1.0 / z_here
            reach = (1.0 if orthographic else w) * (1.0 / min(intrinsics[0, 0], intrinsics[1, 1]))
            if not np.isnan(du[i, j]):
                reach += abs(du[i, j] * (u - j - 0.5))
            if not np.isnan(dv[i, j]):
                reach += abs(dv[i, j] * (v - i - 0.5))
            behind = w_point <= w + reach
        if inside and behind:
            return True
    return False
