"""Whether the views confirm or contradict each other's points.

A sample is a pixel of one image with its depth. Put into the world by a camera and looked up in
another image through that image's camera, it scores +1 on the surface seen there, -2 where that
view sees past it, 0 where it is hidden, outside, or nothing was measured. A placement of an image
is a camera and a turn: the image is a camera's true image after x -> turn @ x about its centre.
"""

import numpy as np
from numba import njit

CONFIRMED = 1
"""The score of a sample on the surface that another view sees."""
CONTRADICTED = -2
"""The score of a sample in front of all that another view sees there: a wrong guess about cameras
lands points in free space more often than on the surface, and each such point is impossible."""


@njit(cache=True, nogil=True, error_model="numpy")
def judge(a, b, c, d, z, tolerance):
    """Return the score of a point of depth `z` amid four pixels with the depths a, b, c, d."""
    if np.isnan(a) or np.isnan(b) or np.isnan(c) or np.isnan(d):
        return 0
    if z < min(min(a, b), min(c, d)) - tolerance:
        return CONTRADICTED
    farthest = max(max(finite(a), finite(b)), max(finite(c), finite(d)))
    return CONFIRMED if z <= farthest + tolerance else 0


@njit(cache=True, nogil=True, error_model="numpy")
def finite(depth):
    """Return the depth, 0 for background."""
    return depth if depth < np.inf else np.float32(0)


@njit(cache=True, nogil=True, error_model="numpy")
def put_into_world(i, pixels, sampled, turns, t, focal, center, middle, poses, p, points):
    """Fill `points` (S, 4) with the world points of image i's samples, turned by turn t and seen by
    camera p, and the footprints of their pixels there: 0 for those that are none.
    """
    for s in range(pixels.shape[1]):
        z = sampled[i, s]
        if not z > 0.0:
            points[s, 3] = 0.0
            continue
        dx, dy = pixels[i, s, 0] - middle[0], pixels[i, s, 1] - middle[1]
        # the inverse of a turn is its transpose
        u = turns[t, 0, 0] * dx + turns[t, 1, 0] * dy + middle[0] - center[p, 0]
        v = turns[t, 0, 1] * dx + turns[t, 1, 1] * dy + middle[1] - center[p, 1]
        x, y = u / focal[p, 0] * z, v / focal[p, 1] * z
        for axis in range(3):
            points[s, axis] = (
                poses[p, axis, 0] * x + poses[p, axis, 1] * y + poses[p, axis, 2] * z
                + poses[p, axis, 3]
            )  # fmt: skip
        points[s, 3] = z / min(focal[p, 0], focal[p, 1])


@njit(cache=True, nogil=True, error_model="numpy")
def look_up(
    points, depth, j, turns, t, focal, center, middle, poses, q, footprints, step, scores
):  # fmt: skip
    """Fill `scores` (S,) with those of world points, see `put_into_world`, in image j with turn t,
    of camera q, whose pose (camera from world) is among `poses`; return their sum.

    The tolerance is `footprints` pixels, where they are larger: here or where the point was seen,
    and the step of depth.
    """
    height, width = depth.shape[1], depth.shape[2]
    fx, fy, least = focal[q, 0], focal[q, 1], min(focal[q, 0], focal[q, 1])
    cx, cy = center[q, 0] - middle[0], center[q, 1] - middle[1]
    total = 0
    for s in range(len(points)):
        scores[s] = 0
        x, y, z = points[s, 0], points[s, 1], points[s, 2]
        x, y, z = (
            poses[q, 0, 0] * x + poses[q, 0, 1] * y + poses[q, 0, 2] * z + poses[q, 0, 3],
            poses[q, 1, 0] * x + poses[q, 1, 1] * y + poses[q, 1, 2] * z + poses[q, 1, 3],
            poses[q, 2, 0] * x + poses[q, 2, 1] * y + poses[q, 2, 2] * z + poses[q, 2, 3],
        )
        if not (z > 0.0 and points[s, 3] > 0.0):
            continue
        x, y = fx * x / z + cx, fy * y / z + cy
        u = turns[t, 0, 0] * x + turns[t, 0, 1] * y + middle[0]
        v = turns[t, 1, 0] * x + turns[t, 1, 1] * y + middle[1]
        if not (0.5 <= u < width - 0.5 and 0.5 <= v < height - 0.5):
            continue
        # indices that cannot be negative need no test
        row, column = np.uint64(v - 0.5), np.uint64(u - 0.5)
        below, right = row + np.uint64(1), column + np.uint64(1)
        scores[s] = judge(
            depth[j, row, column], depth[j, row, right], depth[j, below, column],
            depth[j, below, right], z, footprints * max(points[s, 3], z / least) + step,
        )  # fmt: skip
        total += scores[s]
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def score_placements(
    start, stop, pixels, sampled, depth, focal, center, world_from_camera, camera_from_world,
    cameras, turns, all_turns, footprints, step, out_score,
):  # fmt: skip
    """Fill `out_score[i, m, j, n]`: image i placed by its placement m, looked up in image j by
    its placement n; items are the N images i.

    pixels, sampled   (N, S, 2), (N, S) float64: the samples, depth 0 for none
    depth             (N, H, W) float32
    focal, center     (N, 2) float64 in pixels, of the cameras
    poses             (N, 4, 4) float64, both ways
    cameras, turns    (N, M) of integers: the placements of each image
    all_turns         (L, 2, 2) float64
    out_score         (N, M, N, M) float32
    """
    images, placements = cameras.shape
    middle = depth.shape[2] / 2, depth.shape[1] / 2
    points, scores = np.empty((pixels.shape[1], 4)), np.empty(pixels.shape[1], np.int8)
    for i in range(start, stop):
        for m in range(placements):
            p = cameras[i, m]
            put_into_world(
                i, pixels, sampled, all_turns, turns[i, m], focal, center, middle,
                world_from_camera, p, points,
            )  # fmt: skip
            # one image after the other, which the caches hold
            for j in range(images):
                for n in range(placements if j != i else 0):
                    if cameras[j, n] != p:
                        out_score[i, m, j, n] = look_up(
                            points, depth, j, all_turns, turns[j, n], focal, center, middle,
                            camera_from_world, cameras[j, n], footprints, step, scores,
                        )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def score_samples(
    start, stop, pixels, sampled, depth, focal, center, world_from_camera, camera_from_world,
    cameras, turns, all_turns, footprints, step, about, out_score,
):  # fmt: skip
    """Write `out_score[i, s, j]`, (N, S, N) int8: sample s of image i in image j; `cameras`,
    `turns` (N,) are the placement of each image, all else as above. With `about` 0 or more, only
    pairs with that image are scored.
    """
    middle = depth.shape[2] / 2, depth.shape[1] / 2
    points, scores = np.empty((pixels.shape[1], 4)), np.empty(pixels.shape[1], np.int8)
    for i in range(start, stop):
        put_into_world(
            i, pixels, sampled, all_turns, turns[i], focal, center, middle, world_from_camera,
            cameras[i], points,
        )  # fmt: skip
        for j in range(len(depth)):
            if j == i or not (about < 0 or i == about or j == about):
                continue
            look_up(
                points, depth, j, all_turns, turns[j], focal, center, middle, camera_from_world,
                cameras[j], footprints, step, scores,
            )  # fmt: skip
            out_score[i, :, j] = scores
