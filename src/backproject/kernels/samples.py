"""Which depth pixels are samples of the surface, and how much each one counts."""

import numpy as np
from numba import njit

from backproject.kernels import ANY_ORDER
from backproject.kernels.field import UNMEASURED, depth_in, height_over
from backproject.kernels.slopes import BESIDE, ROWS, hold_rows, slopes_of_row

STEEP = 4.0
"""Footprints between neighbouring pixels beyond which a surface is too steep to be filled in."""
BATCH = 256
"""Samples that are taken into a view together."""
ONE = np.uint64(1)
UNSURE = 0.1
"""Weight of a sample whose slope is not known: a wire, a speck, the pixel at a jump. Its normal is
a guess.
"""


@njit(cache=True, nogil=True)
def weigh_samples(start, stop, points, normals, view_of, eyes, weights, continued):
    """Fill the weights of samples [start, stop): the cosine between normal and line of sight,
    `UNSURE` without a normal; and `continued` with whether they have one.

    `eyes` (N, 4) are where the cameras stand, (x, y, z, 1), or for orthographic ones the direction
    to where they do, (x, y, z, 0).

    A sample without a normal gets the direction to its camera: what is narrower than a pixel is
    seen where it faces the camera.
    """
    for k in range(start, stop):
        eye = eyes[view_of[k]]
        dx = eye[0] - eye[3] * points[k, 0]
        dy = eye[1] - eye[3] * points[k, 1]
        dz = eye[2] - eye[3] * points[k, 2]
        away = np.sqrt(dx * dx + dy * dy + dz * dz)
        facing = (normals[k, 0] * dx + normals[k, 1] * dy + normals[k, 2] * dz) / away
        continued[k] = facing == facing
        if facing > 0.0:
            weights[k] = facing
        else:
            normals[k, 0], normals[k, 1], normals[k, 2] = dx / away, dy / away, dz / away
            weights[k] = UNSURE


@njit(cache=True, nogil=True)
def judge_samples(
    start, stop, w, cameras, eyes, points, normals, view_of, tolerance, begins, votes, confirmed
):
    """Let the other views vote on the samples of batches [start, stop): `votes` is those for minus
    those against. Batch b is samples [begins[b], begins[b + 1]), at most `BATCH`, whose places are
    rounded relative to the first of them.

    A view is against a sample that lies before the nearest of the four pixels around it, and for
    one that lies between them, each by a height of `tolerance`, see `kernels.field`; otherwise, and
    where it would see the back of the sample's surface, it has no say. Rays
    that miss a wire or a sheet seen edge-on are against it, but not as many as hit it.
    `confirmed` tells whether any of those for it saw a surface there, within half the tolerance:
    between a flying pixel and its neighbours there is none.
    """
    batch, camera = np.zeros((8, BATCH), np.float32), np.empty((5, 4), np.float32)
    pixels = np.empty(BATCH, np.int32)
    spreads, nears = np.empty(BATCH, np.float32), np.empty(BATCH, np.float32)
    asked, around = np.empty(BATCH + 1, np.int32), np.zeros((4, BATCH), np.float32)
    balance, sure = np.empty(BATCH, np.int32), np.empty(BATCH, np.int32)
    off, near = np.float32(tolerance), np.float32(0.75 * tolerance)
    size, width = w.shape[1] * w.shape[2], w.shape[2]
    everywhere = w.ravel()
    for number in range(start, stop):
        begin = begins[number]
        count = begins[number + 1] - begin
        x, y, z = points[begin, 0], points[begin, 1], points[begin, 2]
        for s in range(count):
            k = begin + s
            batch[0, s], batch[1, s], batch[2, s] = (
                points[k, 0] - x,
                points[k, 1] - y,
                points[k, 2] - z,
            )
            for axis in range(3):
                batch[3 + axis, s] = normals[k, axis]
            batch[6, s] = view_of[k]
            batch[7, s] = (
                batch[3, s] * batch[0, s] + batch[4, s] * batch[1, s] + batch[5, s] * batch[2, s]
            )
        balance[:] = 0
        sure[:] = 0
        for view in range(w.shape[0]):
            set_camera(cameras[view], eyes[view], x, y, z, camera)
            find_pixels(batch, np.float32(view), camera, w[view], pixels, spreads, nears)
            total = 0
            for s in range(count):
                asked[total] = s
                total += pixels[s] >= 0
            for n in range(total):
                s = asked[n]
                pixel = np.uint64(view * size + pixels[s])
                below = pixel + np.uint64(width)
                around[0, s], around[1, s] = everywhere[pixel], everywhere[pixel + ONE]
                around[2, s], around[3, s] = everywhere[below], everywhere[below + ONE]
            if total > 0:
                count_votes(pixels, spreads, nears, around, off, near, balance, sure)
        for s in range(count):
            votes[begin + s] = balance[s]
            confirmed[begin + s] = sure[s] > 0


@njit(cache=True, nogil=True)
def count_votes(pixels, spreads, nears, around, off, near, balance, sure):
    """Add one view's votes on a batch of samples to their `balance`, and mark those in `sure` that
    are on a surface it saw; `around` (4, BATCH) are the inverse depths of the four pixels,
    `spreads` and `nears` the samples' h and g.

    A background pixel confirms nothing: the farthest is that of those that hit. And what lies
    between a surface and another behind it is on neither.
    """
    none = np.float32(0)
    for s in range(BATCH):
        h, g = spreads[s], nears[s]
        a, b, c, d = around[0, s], around[1, s], around[2, s], around[3, s]
        nearest = max(max(a, b), max(c, d))
        farthest = min(
            min(a if a > none else UNMEASURED, b if b > none else UNMEASURED),
            min(c if c > none else UNMEASURED, d if d > none else UNMEASURED),
        )
        hit = (abs(h * a - g) < near) | (abs(h * b - g) < near)
        hit |= (abs(h * c - g) < near) | (abs(h * d - g) < near)
        told = (pixels[s] >= 0) & (nearest < UNMEASURED)
        against = told & (h * nearest < g - off)
        agrees = told & (h * nearest >= g - off) & (h * farthest < g + off)
        balance[s] += (1 if agrees else 0) - (1 if against else 0)
        sure[s] |= 1 if agrees & hit else 0


@njit(cache=True, nogil=True)
def set_camera(camera, eye, x, y, z, near):
    """Fill `near` (5, 4) with a camera, see `kernels.field`, for places relative to (x, y, z): the
    way to u h, v h, and depth less its depth, which is the last; its h, g, and what they grow by
    with depth; where it stands.
    """
    for row in range(3):
        a, b, c = camera[4 * row], camera[4 * row + 1], camera[4 * row + 2]
        near[row, 0], near[row, 1], near[row, 2] = a, b, c
        near[row, 3] = a * x + b * y + c * z + camera[4 * row + 3]
    depth = depth_in(camera, x, y, z)
    near[3, 0], near[3, 1] = camera[16] * depth + camera[17], camera[18] + camera[19] * depth
    near[3, 2], near[3, 3] = camera[16], camera[19]
    near[4, 0], near[4, 1] = eye[0] - eye[3] * x, eye[1] - eye[3] * y
    near[4, 2], near[4, 3] = eye[2] - eye[3] * z, eye[3]


@njit(cache=True, nogil=True, forceinline=True, error_model="numpy", fastmath=ANY_ORDER)
def find_pixels(batch, view, camera, w, pixels, spreads, nears):
    """Fill `spreads` and `nears` with h and g of a batch of samples in a view, see `kernels.field`,
    and `pixels` with the upper left of the four pixels around each, -1 where the view has no say.

    `batch` (8, BATCH): places, normals, views, and the product of place and normal; `camera` (5, 4)
    as in `set_camera`. All are float32: places are relative to one of the samples.
    """
    width = w.shape[1]
    right, bottom = np.float32(width - 1), np.float32(w.shape[0] - 1)
    zero, one, behind = np.float32(0), np.float32(1), -camera[2, 3]
    h0, g0, p, b = camera[3, 0], camera[3, 1], camera[3, 2], camera[3, 3]
    cx, cy, cz, at = camera[4, 0], camera[4, 1], camera[4, 2], camera[4, 3]
    for s in range(BATCH):
        x, y, z = batch[0, s], batch[1, s], batch[2, s]
        beyond = camera[2, 0] * x + camera[2, 1] * y + camera[2, 2] * z
        facing = batch[3, s] * cx + batch[4, s] * cy + batch[5, s] * cz - at * batch[7, s]
        h = h0 + p * beyond
        near = one / h
        u = (camera[0, 0] * x + camera[0, 1] * y + camera[0, 2] * z + camera[0, 3]) * near
        v = (camera[1, 0] * x + camera[1, 1] * y + camera[1, 2] * z + camera[1, 3]) * near
        seen = (beyond > behind) & (u >= zero) & (v >= zero) & (u < right) & (v < bottom)
        seen &= (facing >= zero) & (batch[6, s] != view)
        pixel = np.int32(v if seen else zero) * width + np.int32(u if seen else zero)
        pixels[s] = pixel if seen else -1
        spreads[s] = h
        nears[s] = g0 + b * beyond


@njit(cache=True, nogil=True)
def keep_samples(points, continued, votes, confirmed, least, kept):
    """Fill `kept` (S,) with the samples that count: those that continue into a neighbour and have
    `least` votes, and the others that are confirmed and not outvoted.

    Of these, only points in the box of the confirmed are kept, widened by half its diagonal. If
    most are not confirmed, views do not overlap and all stay. Returns how many are kept.
    """
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    sure, all_kept = 0, 0
    for k in range(points.shape[0]):
        kept[k] = votes[k] >= least if continued[k] else confirmed[k] & (votes[k] >= 0)
        all_kept += kept[k]
        if kept[k] and confirmed[k]:
            sure += 1
            for axis in range(3):
                low[axis] = min(low[axis], points[k, axis])
                high[axis] = max(high[axis], points[k, axis])
    if 2 * sure <= all_kept:
        return all_kept
    square = 0.0
    for axis in range(3):
        square += (high[axis] - low[axis]) ** 2
    margin = 0.5 * np.sqrt(square)
    all_kept = 0
    for k in range(points.shape[0]):
        for axis in range(3):
            place = points[k, axis]
            kept[k] &= (place >= low[axis] - margin) & (place <= high[axis] + margin)
        all_kept += kept[k]
    return all_kept


@njit(cache=True, nogil=True)
def close_ranks(kept, continued, points, normals, weights, view_of, tally):
    """Move the kept samples to the front of their arrays and return how many there are; `tally`
    (N, 2, 2) how many of each view are not continued and are, not kept and kept.

    In place, because the system takes longer to hand out fresh memory than this to move.
    """
    count = 0
    tally[:] = 0
    for k in range(kept.shape[0]):
        tally[view_of[k], int(continued[k]), int(kept[k])] += 1
        if kept[k]:
            if count < k:
                for axis in range(3):
                    points[count, axis] = points[k, axis]
                    normals[count, axis] = normals[k, axis]
                weights[count] = weights[k]
                view_of[count] = view_of[k]
            count += 1
    return count


@njit(cache=True, nogil=True)
def linked(here, there, slope_here, slope_there, flat):
    """Return whether two neighbouring pixels lie on one surface, by inverse depths and slopes."""
    slope = 0.5 * (slope_here + slope_there)
    return abs(there - here - slope) <= 0.2 * abs(slope) + flat  # false for nan


@njit(cache=True, nogil=True)
def fill_gaps(
    start, stop, depth, kept, begin, intrinsics, orthographic, world_from_camera, longest, step,
    first, points,
):  # fmt: skip
    """Put points between samples of rows [start, stop) of all views that lie on one surface.

    `kept` (S,) are the finite pixels that count, from index `begin` of each row. Where four pixels
    of one surface are more than `longest` apart, the patch between them, bilinear in inverse depth
    (in depth, where a view is `orthographic`), is covered with points at most `step` apart, from
    index `first` of the row. If `points` is empty, they are only counted, in `first`.
    """
    height, width = depth.shape[1], depth.shape[2]
    around = np.full((ROWS, width + 2 * BESIDE), np.nan)
    du, dv = np.empty((2, width)), np.empty((2, width))
    good, good_below = np.empty(width, np.bool_), np.empty(width, np.bool_)
    far = np.empty(width, np.bool_)
    for item in range(start, stop):
        view, row = item // height, item % height
        if points.shape[0] == 0:
            first[item] = 0
        if row == height - 1 or begin[item] == begin[item + 1]:
            continue
        if points.shape[0] > 0 and first[item] == first[item + 1]:
            continue
        fx, fy = intrinsics[view, 0, 0], intrinsics[view, 1, 1]
        cx, cy = intrinsics[view, 0, 2], intrinsics[view, 1, 2]
        pose = world_from_camera[view]
        flat, parallel = 0.1 / max(fx, fy), orthographic[view]
        across, down = (1.0 - cx) / fx, (row + 1 - cy) / fy
        if not find_far(
            depth[view, row], depth[view, row + 1], across, down, fx, fy, parallel, longest, far
        ):
            continue
        spread_row(depth[view, row], kept, begin[item], good)
        spread_row(depth[view, row + 1], kept, begin[item + 1], good_below)
        sloped = False
        count = 0
        for column in range(width - 1):
            if not far[column]:
                continue
            if not (good[column] and good[column + 1]):
                continue
            if not (good_below[column] and good_below[column + 1]):
                continue
            z00, z01 = (
                np.float64(depth[view, row, column]),
                np.float64(depth[view, row, column + 1]),
            )
            z10 = np.float64(depth[view, row + 1, column])
            z11 = np.float64(depth[view, row + 1, column + 1])
            across, down = gaps_between(
                z00, z01, z10, z11, (column + 1 - cx) / fx, (row + 1 - cy) / fy, fx, fy, parallel
            )
            across, down = np.sqrt(across), np.sqrt(down)
            if max(across * fx, down * fy) > STEEP * (1.0 if parallel else z00):
                continue
            if not sloped:
                for n in range(2):
                    hold_rows(depth, view, row + n, n == 0, parallel, around)
                    slopes_of_row(around, row + n, 1.0 / fx, 1.0 / fy, parallel, du[n], dv[n])
                sloped = True
            w00, w01, w10, w11 = 1.0 / z00, 1.0 / z01, 1.0 / z10, 1.0 / z11
            flat00, flat01, flat10 = flat * w00, flat * w01, flat * w10
            if parallel:
                w00, w01, w10, w11 = -z00, -z01, -z10, -z11
                flat00 = flat01 = flat10 = flat
            if not (
                linked(w00, w01, du[0, column], du[0, column + 1], flat00)
                and linked(w10, w11, du[1, column], du[1, column + 1], flat10)
                and linked(w00, w10, dv[0, column], dv[1, column], flat00)
                and linked(w01, w11, dv[0, column + 1], dv[1, column + 1], flat01)
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
                    pz = -w if parallel else 1.0 / w
                    spread = 1.0 if parallel else pz
                    px = (column + 0.5 + s - cx) / fx * spread
                    py = (row + 0.5 + t - cy) / fy * spread
                    for axis in range(3):
                        points[first[item] + count, axis] = (
                            pose[axis, 0] * px + pose[axis, 1] * py + pose[axis, 2] * pz
                        ) + pose[axis, 3]
                    count += 1
        if points.shape[0] == 0:
            first[item] = count


@njit(cache=True, nogil=True, inline="always")
def gaps_between(z00, z01, z10, z11, x, y, fx, fy, orthographic):
    """Return the squares of the widest gaps between four pixels around (x, y) at unit depth, across
    and down.
    """
    long = 1.0 if orthographic else x * x + y * y + 1.0
    wide = 1.0 if orthographic else z00
    across = max((z01 - z00) ** 2, (z11 - z10) ** 2) * long + (wide / fx) ** 2
    down = max((z10 - z00) ** 2, (z11 - z01) ** 2) * long + (wide / fy) ** 2
    return across, down


@njit(cache=True, nogil=True, error_model="numpy")
def find_far(depth, below, x, y, fx, fy, orthographic, longest, far):
    """Fill `far` (W,) with where four pixels of two rows may be more than `longest` apart, and
    return whether any are; (x, y) is the middle of the first four at unit depth.
    """
    limit, some = longest * longest, 0
    for column in range(depth.shape[0] - 1):
        across, down = gaps_between(
            np.float64(depth[column]), np.float64(depth[column + 1]),
            np.float64(below[column]), np.float64(below[column + 1]),
            x + column / fx, y, fx, fy, orthographic,
        )  # fmt: skip
        widest = max(across, down)
        here = (widest > limit) & (widest < np.inf)
        far[column] = here
        some += here
    return some > 0


@njit(cache=True, nogil=True)
def spread_row(depth, kept, begin, good):
    """Fill `good` (W,) with which pixels of a row of `depth` (W,) are kept samples."""
    k = begin
    for column in range(depth.shape[0]):
        finite = depth[column] < np.inf
        good[column] = finite and kept[k]
        k += finite


@njit(cache=True, nogil=True)
def measure_gaps(
    start, stop, chosen, w, cameras, eyes, steepest, points, normals, weights, view_of, limit, gaps,
):  # fmt: skip
    """Fill `gaps` (N, M): how far samples `chosen` (M,) lie before the surface another view saw,
    in standard deviations of depth if that is 1: a pixel's error and the mean of four, by bilinear
    weights 4/9 of a pixel's variance on average, each times the cosine to its own line of sight.

    nan where they do not, where the view looks at the surface from less than 30 degrees, or saw
    another surface: one a height of more than `limit` away.
    """
    for m in range(start, stop):
        k = chosen[m]
        x, y, z = points[k, 0], points[k, 1], points[k, 2]
        for view in range(w.shape[0]):
            gaps[view, m] = np.nan
            at = eyes[view, 3]
            dx, dy, dz = eyes[view, 0] - at * x, eyes[view, 1] - at * y, eyes[view, 2] - at * z
            facing = normals[k, 0] * dx + normals[k, 1] * dy + normals[k, 2] * dz
            square = facing * facing / (dx * dx + dy * dy + dz * dz)
            if view == view_of[k] or facing < 0.0 or square < 0.25:
                continue
            # g - h w; the distance to the tangent plane would depend on noisy slopes
            camera = cameras[view]
            height, _ = height_over(w, view, camera, x, y, z, steepest)
            if 0.0 < height < limit:
                gap = height / (1.0 - height) * depth_in(camera, x, y, z)
                if at == 0.0:
                    gap = -height / camera[19]
                gaps[view, m] = gap / np.sqrt(weights[k] * weights[k] / square + 4.0 / 9.0)
