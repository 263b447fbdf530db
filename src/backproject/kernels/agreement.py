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
def judge(depth, u, v, z, tolerance):
    """Return the score of a point of depth `z` at pixel (u, v) of a depth map (H, W)."""
    height, width = depth.shape
    if not (0.5 <= u < width - 0.5 and 0.5 <= v < height - 0.5):
        return 0
    column, row = int(u - 0.5), int(v - 0.5)
    nearest, farthest = np.inf, 0.0
    for nth in range(4):
        d = depth[row + nth // 2, column + nth % 2]
        if np.isnan(d):
            return 0
        nearest = min(nearest, d)
        if d < np.inf:
            farthest = max(farthest, d)
    if z < nearest - tolerance:
        return CONTRADICTED
    if z <= farthest + tolerance:
        return CONFIRMED
    return 0


@njit(cache=True, nogil=True, error_model="numpy")
def put_into_world(x, y, z, turn, focal, center, middle, pose, out_point):
    """Write the world point of pixel (x, y) at depth z, of an image turned by `turn`."""
    dx, dy = x - middle[0], y - middle[1]
    # the inverse of a turn is its transpose
    a = (turn[0, 0] * dx + turn[1, 0] * dy + middle[0] - center[0]) / focal[0] * z
    b = (turn[0, 1] * dx + turn[1, 1] * dy + middle[1] - center[1]) / focal[1] * z
    for axis in range(3):
        out_point[axis] = pose[axis, 0] * a + pose[axis, 1] * b + pose[axis, 2] * z + pose[axis, 3]


@njit(cache=True, nogil=True, error_model="numpy")
def look_up(point, depth, turn, focal, center, middle, pose, footprints, footprint, step):
    """Return the score of a world point in an image turned by `turn`, of a camera with the pose
    `pose` (camera from world).

    The tolerance is `footprints` pixels, where they are larger: here or where the point was seen
    (`footprint`, in scene units), and the step of depth.
    """
    x = pose[0, 0] * point[0] + pose[0, 1] * point[1] + pose[0, 2] * point[2] + pose[0, 3]
    y = pose[1, 0] * point[0] + pose[1, 1] * point[1] + pose[1, 2] * point[2] + pose[1, 3]
    z = pose[2, 0] * point[0] + pose[2, 1] * point[1] + pose[2, 2] * point[2] + pose[2, 3]
    if not z > 0.0:
        return 0
    u = focal[0] * x / z + center[0] - middle[0]
    v = focal[1] * y / z + center[1] - middle[1]
    here = z / min(focal[0], focal[1])
    return judge(
        depth,
        turn[0, 0] * u + turn[0, 1] * v + middle[0],
        turn[1, 0] * u + turn[1, 1] * v + middle[1],
        z,
        footprints * max(footprint, here) + step,
    )


@njit(cache=True, nogil=True, error_model="numpy")
def score_placements(
    start, stop, pixels, sampled, depth, focal, center, world_from_camera, camera_from_world,
    cameras, turns, all_turns, footprints, step, out_score,
):  # fmt: skip
    """Add up `out_score[i, m, j, n]`: image i placed by its placement m, looked up in image j by
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
    middle = np.array([depth.shape[2] / 2, depth.shape[1] / 2])
    point = np.empty(3)
    for i in range(start, stop):
        for m in range(placements):
            p = cameras[i, m]
            for s in range(pixels.shape[1]):
                z = sampled[i, s]
                if not z > 0.0:
                    continue
                put_into_world(
                    pixels[i, s, 0], pixels[i, s, 1], z, all_turns[turns[i, m]], focal[p],
                    center[p], middle, world_from_camera[p], point,
                )  # fmt: skip
                footprint = z / min(focal[p, 0], focal[p, 1])
                for j in range(images):
                    if j == i:
                        continue
                    for n in range(placements):
                        q = cameras[j, n]
                        if q == p:
                            continue
                        out_score[i, m, j, n] += look_up(
                            point, depth[j], all_turns[turns[j, n]], focal[q], center[q], middle,
                            camera_from_world[q], footprints, footprint, step,
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
    middle = np.array([depth.shape[2] / 2, depth.shape[1] / 2])
    point = np.empty(3)
    for i in range(start, stop):
        p = cameras[i]
        for s in range(pixels.shape[1]):
            z = sampled[i, s]
            if not z > 0.0:
                continue
            put_into_world(
                pixels[i, s, 0], pixels[i, s, 1], z, all_turns[turns[i]], focal[p], center[p],
                middle, world_from_camera[p], point,
            )  # fmt: skip
            footprint = z / min(focal[p, 0], focal[p, 1])
            for j in range(len(depth)):
                q = cameras[j]
                if j != i and (about < 0 or i == about or j == about):
                    out_score[i, s, j] = look_up(
                        point, depth[j], all_turns[turns[j]], focal[q], center[q], middle,
                        camera_from_world[q], footprints, footprint, step,
                    )  # fmt: skip
