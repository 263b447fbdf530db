"""Which depth pixels are samples of the surface, and how much each one counts."""

import numpy as np
from numba import njit

from backproject.kernels.field import column_in, depth_in, row_in

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
def judge_samples(start, stop, w, cameras, points, view_of, tolerance, through, confirmed):
    """Count for samples [start, stop) the other views that see through them and those that see a
    surface there.

    A view sees through a sample that lies before the nearest of the four pixels around it, and
    confirms one that lies between them, each by `tolerance` times its depth. Counting stops at two
    views that see through.
    """
    height, width = w.shape[1], w.shape[2]
    for k in range(start, stop):
        x, y, z = points[k, 0], points[k, 1], points[k, 2]
        through[k] = 0
        confirmed[k] = 0
        for view in range(w.shape[0]):
            if view == view_of[k]:
                continue
            camera = cameras[view]
            depth = depth_in(camera, x, y, z)
            if depth <= 0.0:
                continue
            u = column_in(camera, x, y, z, depth)
            v = row_in(camera, x, y, z, depth)
            if not (u >= 0.0 and v >= 0.0 and u < width - 1.0 and v < height - 1.0):
                continue
            column, row = int(u), int(v)
            w00, w01 = w[view, row, column], w[view, row, column + 1]
            w10, w11 = w[view, row + 1, column], w[view, row + 1, column + 1]
            nearest = max(max(w00, w01), max(w10, w11))
            if depth * nearest < 1.0 - tolerance:
                through[k] += 1
                if through[k] == 2:
                    break
            elif depth * min(min(w00, w01), min(w10, w11)) < 1.0 + tolerance:
                confirmed[k] += 1
