"""The carved solid on a sparse grid: blocks of 8 x 8 x 8 corners, stored only near the surface."""

import numpy as np
from numba import njit

from backproject.kernels.field import column_in, depth_in, height_over, row_in

SIDE = 8
"""Corners along a block's edge."""
OUTSIDE, INSIDE, UNKNOWN, QUEUED = -1, -2, -3, -4
"""What the block table holds for a block that is not stored: all free, all solid, not looked at,
about to be stored.
"""
TILE = 4
"""Pixels along the edge of a tile, for which the range of inverse depth is known beforehand."""
PART = SIDE // 2
"""Corners along the edge of a part of a block: 64 corners, a set of which is the bits of a word."""
FREE, HIDDEN, OPEN, SHELL = 0, 1, 2, 3
"""What a stored corner is: seen to be free, seen by no view, not yet decided, or next to a sample.
Odd is solid.
"""

NOTHING, ONE, FOUR, SIXTEEN = np.uint64(0), np.uint64(1), np.uint64(4), np.uint64(16)
FIFTEEN = np.uint64(15)
NOT_FIRST_K, NOT_LAST_K = np.uint64(0xEEEEEEEEEEEEEEEE), np.uint64(0x7777777777777777)
NOT_FIRST_I, NOT_LAST_I = np.uint64(0xFFFFFFFFFFFF0000), np.uint64(0x0000FFFFFFFFFFFF)
NOT_FIRST_J, NOT_LAST_J = np.uint64(0xFFF0FFF0FFF0FFF0), np.uint64(0x0FFF0FFF0FFF0FFF)
LOWEST, BYTE = np.uint64(0x0101010101010101), np.uint64(255)
"""The lowest bits of the eight bytes of a word, and the first byte."""
SEVEN, FOURTEEN, TWENTY_EIGHT = np.uint64(7), np.uint64(14), np.uint64(28)
OUTERMOST = np.argsort(
    np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    @ np.indices((PART, PART, PART)).reshape(3, -1),
    kind="stable",
)
"""The corners of a part in the eight directions' order, the outermost first."""


@njit(cache=True, nogil=True)
def extent(points):
    """Return the low and high end of the points' box, and its middle's distance to the farthest."""
    low, high = points[0].copy(), points[0].copy()
    for k in range(points.shape[0]):
        for axis in range(3):
            low[axis] = min(low[axis], points[k, axis])
            high[axis] = max(high[axis], points[k, axis])
    farthest = 0.0
    for k in range(points.shape[0]):
        squared = 0.0
        for axis in range(3):
            squared += (points[k, axis] - 0.5 * (low[axis] + high[axis])) ** 2
        farthest = max(farthest, squared)
    return low, high, np.sqrt(farthest)


@njit(cache=True, nogil=True)
def mark_blocks(start, stop, points, origin, voxel, reach, table):
    """Queue every block that holds a corner within `reach` voxels of points [start, stop). Threads
    may write the same block: the same value.
    """
    per_voxel = 1.0 / voxel
    first, last = np.zeros(3, np.int64), np.zeros(3, np.int64)
    for k in range(start, stop):
        alike = True
        for axis in range(3):
            place = (points[k, axis] - origin[axis]) * per_voxel
            low, high = int(place - reach) >> 3, int(place + reach) >> 3
            alike &= low == first[axis] and high == last[axis]
            first[axis], last[axis] = low, high
        if alike:  # as the sample before, as a rule
            continue
        for bx in range(first[0], last[0] + 1):
            for by in range(first[1], last[1] + 1):
                for bz in range(first[2], last[2] + 1):
                    if table[bx, by, bz] == UNKNOWN:
                        table[bx, by, bz] = QUEUED


@njit(cache=True, nogil=True)
def splat(start, stop, points, origin, voxel, radius, table, state):
    """Make every corner within `radius` voxels, less than 1, of points [start, stop) solid. Threads
    may write the same corner: the same value.
    """
    per_voxel = 1.0 / voxel
    near = np.empty(9, np.int64)
    for k in range(start, stop):
        gx = (points[k, 0] - origin[0]) * per_voxel
        gy = (points[k, 1] - origin[1]) * per_voxel
        gz = (points[k, 2] - origin[2]) * per_voxel
        i0, j0, m0 = int(gx + 1.0 - radius), int(gy + 1.0 - radius), int(gz + 1.0 - radius)
        count = 0
        for c in range(8):
            dx, dy, dz = i0 + (c >> 2) - gx, j0 + (c >> 1 & 1) - gy, m0 + (c & 1) - gz
            near[count] = c
            count += dx * dx + dy * dy + dz * dz <= radius * radius
        for n in range(count):
            c = near[n]
            i, j, m = i0 + (c >> 2), j0 + (c >> 1 & 1), m0 + (c & 1)
            block = table[i >> 3, j >> 3, m >> 3]
            if block >= 0:
                state[block, ((i & 7) * SIDE + (j & 7)) * SIDE + (m & 7)] = SHELL


@njit(cache=True, nogil=True)
def summarise(start, stop, w, tiles):
    """Fill `tiles` (views, rows, columns, 2) of views [start, stop): the least and greatest inverse
    depth that a look-up in a tile of `TILE` x `TILE` pixel cells can meet.
    """
    height, width = w.shape[1], w.shape[2]
    for view in range(start, stop):
        for row in range(tiles.shape[1]):
            for column in range(tiles.shape[2]):
                least, greatest = np.float32(np.inf), np.float32(0.0)
                for r in range(row * TILE, min(row * TILE + TILE + 1, height)):
                    for c in range(column * TILE, min(column * TILE + TILE + 1, width)):
                        least = min(least, w[view, r, c])
                        greatest = max(greatest, w[view, r, c])
                tiles[view, row, column, 0] = least
                tiles[view, row, column, 1] = greatest


@njit(cache=True, nogil=True)
def judges(w, tiles, cameras, asked, many, x, y, z, radius, margin, chosen):
    """List in `chosen` those of the first `many` views `asked` that could call a point within
    `radius` of (x, y, z) free, and return how many there are.

    Returns -1 - view if that view calls all of them free, by `margin` along its axis. A view that
    sees a surface before the whole ball, or does not see the ball at all, has nothing to say.
    """
    count = 0
    height, width = w.shape[1], w.shape[2]
    for nth in range(many):
        view = asked[nth]
        camera = cameras[view]
        depth = depth_in(camera, x, y, z)
        nearest = depth - radius
        if depth + radius <= 0.0:
            continue
        if nearest <= 0.0:
            chosen[count] = view
            count += 1
            continue
        per_depth = 1.0 / depth
        u = column_in(camera, x, y, z, per_depth)
        v = row_in(camera, x, y, z, per_depth)
        half_u = radius * (camera[12] + abs(u - camera[14])) / nearest
        half_v = radius * (camera[13] + abs(v - camera[15])) / nearest
        if (
            u + half_u <= -0.5
            or v + half_v <= -0.5
            or u - half_u >= width - 0.5
            or v - half_v >= height - 0.5
        ):
            continue
        whole = (
            u - half_u > -0.5
            and v - half_v > -0.5
            and u + half_u < width - 0.5
            and v + half_v < height - 0.5
        )
        left = int(min(max(u - half_u, 0.0), max(width - 2.0, 0.0))) // TILE
        right = int(min(max(u + half_u, 0.0), max(width - 2.0, 0.0))) // TILE
        top = int(min(max(v - half_v, 0.0), max(height - 2.0, 0.0))) // TILE
        bottom = int(min(max(v + half_v, 0.0), max(height - 2.0, 0.0))) // TILE
        least, greatest = np.float32(np.inf), np.float32(0.0)
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                least = min(least, tiles[view, row, column, 0])
                greatest = max(greatest, tiles[view, row, column, 1])
        if nearest * least > 1.0:
            continue
        if whole and (depth + radius + margin) * greatest < 1.0:
            return -1 - view
        chosen[count] = view
        count += 1
    return count


@njit(cache=True, nogil=True)
def judges_of_box(
    w, tiles, cameras, origin, voxel, margin, i, j, k, ni, nj, nk, asked, many, chosen
):  # fmt: skip
    """Do as `judges` for the ni x nj x nk corners from (i, j, k)."""
    di, dj, dk = 0.5 * (ni - 1), 0.5 * (nj - 1), 0.5 * (nk - 1)
    return judges(
        w, tiles, cameras, asked, many,
        origin[0] + voxel * (i + di), origin[1] + voxel * (j + dj), origin[2] + voxel * (k + dk),
        voxel * np.sqrt(di * di + dj * dj + dk * dk), margin, chosen,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def is_free(w, cameras, steepest, x, y, z, margin, chosen, count):
    """Return whether any of the `chosen` views sees past the point by more than `margin`; that view
    is asked first next time.
    """
    for k in range(count):
        view = chosen[k]
        height, squared = height_over(w, view, cameras[view], x, y, z, steepest)
        if height > 0.0 and height * height > margin * margin * squared:
            chosen[k] = chosen[0]
            chosen[0] = view
            return True
    return False


@njit(cache=True, nogil=True)
def grow(seed, within):
    """Return the corners of a part that are connected to those in `seed` through those in
    `within`: sets as bits 16 i + 4 j + k.
    """
    while seed != within:
        more = seed | seed << SIXTEEN | seed >> SIXTEEN
        more |= seed << FOUR & NOT_FIRST_J | seed >> FOUR & NOT_LAST_J
        more |= seed << ONE & NOT_FIRST_K | seed >> ONE & NOT_LAST_K
        more &= within
        if more == seed:
            break
        seed = more
    return seed


@njit(cache=True, nogil=True)
def part_bits(rows, part, plane):
    """Return the lowest bit, or with `plane` 1 the second, of a block's corners in a part: a set.

    `rows` (64,) uint64 are the block's states, eight to a number.
    """
    bits = NOTHING
    first = 4 * SIDE * (part >> 2) + 4 * (part >> 1 & 1)
    half = np.uint64(4 * (part & 1))
    for row in range(16):
        word = rows[first + SIDE * (row >> 2) + (row & 3)] >> np.uint64(plane)
        four = lowest_bits(word) >> half & FIFTEEN
        bits |= four << np.uint64(4 * row)
    return bits


@njit(cache=True, nogil=True, inline="always")
def size_of(bits):
    """Return how many corners are in a set."""
    size = 0
    while bits != NOTHING:
        bits &= bits - ONE
        size += 1
    return size


@njit(cache=True, nogil=True, inline="always")
def lowest_of(bits):
    """Return the first corner of a set that is not empty."""
    return size_of(~bits & (bits - ONE))


@njit(cache=True, nogil=True)
def carve(
    start, stop, blocks, w, tiles, cameras, steepest, origin, voxel, margin, low, high, state
):
    """Decide the open corners of blocks [start, stop): free if any view sees past them by more than
    `margin`, else hidden.

    Corners outside of the box from `low` to `high` (corner indices) are free: there the scene ends.
    Connected open corners of a part whose outermost ones agree are of one kind: a wall that nothing
    supports and that bulges by less is not worth finding.
    """
    everyone = np.arange(w.shape[0])
    likely, chosen = np.empty_like(everyone), np.empty_like(everyone)
    rows = state.view(np.uint64)
    for block in range(start, stop):
        corners = state[block]
        bx, by, bz = blocks[block, 0] * SIDE, blocks[block, 1] * SIDE, blocks[block, 2] * SIDE
        many = judges_of_box(
            w, tiles, cameras, origin, voxel, margin, bx, by, bz, SIDE, SIDE, SIDE,
            everyone, len(everyone), likely,
        )  # fmt: skip
        for part in range(8):
            i0, j0, k0 = PART * (part >> 2), PART * (part >> 1 & 1), PART * (part & 1)
            undecided = part_bits(rows[block], part, 1) & ~part_bits(rows[block], part, 0)
            if undecided == NOTHING:
                continue
            count = many
            if many > 0:
                count = judges_of_box(
                    w, tiles, cameras, origin, voxel, margin, bx + i0, by + j0, bz + k0,
                    PART, PART, PART, likely, many, chosen,
                )  # fmt: skip
            while undecided != NOTHING:
                lowest = undecided & (~undecided + ONE)
                piece = grow(lowest, undecided)
                undecided &= ~piece
                answers, asked = 0, 0
                for c in range(8 + PART**3):
                    # first the outermost in the eight directions, then all if those disagree
                    if c == 8 and (answers == 0 or answers == asked):
                        break
                    at = _first_of(piece, c) if c < 8 else c - 8
                    corner = corner_of(i0, j0, k0, at)
                    if corners[corner] != OPEN or not piece >> np.uint64(at) & ONE:
                        continue
                    i, j = bx + i0 + (at >> 4), by + j0 + (at >> 2 & 3)
                    k = bz + k0 + (at & 3)
                    free = count < 0 or not _within(i, j, k, low, high)
                    if not free and count > 0:
                        free = is_free(
                            w, cameras, steepest,
                            origin[0] + voxel * i, origin[1] + voxel * j, origin[2] + voxel * k,
                            margin, chosen, count,
                        )  # fmt: skip
                    asked += 1
                    answers += free
                    corners[corner] = FREE if free else HIDDEN
                if answers == 0 or answers == asked:
                    while piece != NOTHING:
                        corner = corner_of(i0, j0, k0, lowest_of(piece))
                        corners[corner] = FREE if answers else HIDDEN
                        piece &= piece - ONE


@njit(cache=True, nogil=True, inline="always")
def corner_of(i0, j0, k0, c):
    """Return the corner of a block that is the c-th of the part at (i0, j0, k0)."""
    return ((i0 + (c >> 4)) * SIDE + j0 + (c >> 2 & 3)) * SIDE + k0 + (c & 3)


@njit(cache=True, nogil=True, inline="always")
def _first_of(piece, direction):
    """Return the outermost of the corners in `piece` in one of the eight directions."""
    for place in range(PART**3):
        if piece >> np.uint64(OUTERMOST[direction, place]) & ONE:
            return OUTERMOST[direction, place]
    return 0


@njit(cache=True, nogil=True, inline="always")
def _within(i, j, k, low, high):
    return low[0] <= i <= high[0] and low[1] <= j <= high[1] and low[2] <= k <= high[2]


@njit(cache=True, nogil=True)
def look_beyond(
    start,
    stop,
    blocks,
    w,
    tiles,
    cameras,
    steepest,
    origin,
    voxel,
    margin,
    low,
    high,
    table,
    state,
    beyond,
):
    """Tell what lies beyond the six faces of blocks [start, stop) where no block is stored.

    Fills `beyond` (blocks, 6): `QUEUED` if the surface crosses the face or runs in the neighbour's
    first layer, else `OUTSIDE` or `INSIDE`; `UNKNOWN` where the neighbour is stored.
    """
    everyone = np.arange(w.shape[0])
    likely, chosen = np.empty_like(everyone), np.empty_like(everyone)
    for block in range(start, stop):
        for face in range(6):
            axis, ahead = face // 2, face % 2
            nx = blocks[block, 0] + (2 * ahead - 1 if axis == 0 else 0)
            ny = blocks[block, 1] + (2 * ahead - 1 if axis == 1 else 0)
            nz = blocks[block, 2] + (2 * ahead - 1 if axis == 2 else 0)
            beyond[block, face] = UNKNOWN
            if table[nx, ny, nz] >= 0:
                continue
            beyond[block, face] = QUEUED
            solids = 0
            for c in range(SIDE * SIDE):
                i, j, k = in_layer(axis, (SIDE - 1) * ahead, c // SIDE, c % SIDE)
                solids += state[block, (i * SIDE + j) * SIDE + k] & 1
            if 0 < solids < SIDE * SIDE:
                continue
            i, j, k = in_layer(axis, (SIDE - 1) * (1 - ahead), 0, 0)
            if layer_is(
                solids > 0, axis, nx * SIDE + i, ny * SIDE + j, nz * SIDE + k,
                w, tiles, cameras, steepest, origin, voxel, margin, low, high,
                everyone, likely, chosen,
            ):  # fmt: skip
                beyond[block, face] = INSIDE if solids else OUTSIDE


@njit(cache=True, nogil=True, inline="always")
def in_layer(axis, at, a, b):
    """Return the corner (a, b) of the layer that lies at `at` along an axis."""
    return (
        at if axis == 0 else a,
        at if axis == 1 else (a if axis == 0 else b),
        at if axis == 2 else b,
    )


@njit(cache=True, nogil=True)
def layer_is(
    solid, axis, i0, j0, k0, w, tiles, cameras, steepest, origin, voxel, margin, low, high,
    everyone, likely, chosen,
):  # fmt: skip
    """Return whether all corners of a block's layer across an axis, from corner (i0, j0, k0), are
    hidden, or whether all are free if not `solid`.
    """
    ni, nj, nk = in_layer(axis, 1, SIDE, SIDE)
    many = judges_of_box(
        w, tiles, cameras, origin, voxel, margin, i0, j0, k0, ni, nj, nk,
        everyone, len(everyone), likely,
    )  # fmt: skip
    ni, nj, nk = in_layer(axis, 1, PART, PART)
    for quarter in range(4):
        a0, b0 = PART * (quarter >> 1), PART * (quarter & 1)
        count = many
        if many > 0:
            i, j, k = in_layer(axis, 0, a0, b0)
            count = judges_of_box(
                w, tiles, cameras, origin, voxel, margin, i0 + i, j0 + j, k0 + k, ni, nj, nk,
                likely, many, chosen,
            )  # fmt: skip
        for c in range(PART * PART):
            i, j, k = in_layer(axis, 0, a0 + c // PART, b0 + c % PART)
            i, j, k = i0 + i, j0 + j, k0 + k
            free = count < 0 or not _within(i, j, k, low, high)
            if not free and count > 0:
                free = is_free(
                    w, cameras, steepest,
                    origin[0] + voxel * i, origin[1] + voxel * j, origin[2] + voxel * k,
                    margin, chosen, count,
                )  # fmt: skip
            if free == solid:
                return False
    return True


@njit(cache=True, nogil=True, inline="always")
def lowest_bits(word):
    """Return the lowest bits of the eight bytes of a word, side by side."""
    word &= LOWEST
    word |= word >> SEVEN  # from bit 8 k to bit k in three moves
    word |= word >> FOURTEEN
    word |= word >> TWENTY_EIGHT
    return word & BYTE


@njit(cache=True, nogil=True)
def gather_apron(x, y, z, table, rows, apron):
    """Fill `apron` (9, 9) with the solid corners of block (x, y, z) and of the layer behind its far
    faces: bit k of [i, j] is corner (i, j, k). `rows` (B, 64) are the states.
    """
    for side in range(4):
        dx, dy = side >> 1, side & 1
        home, far = table[x + dx, y + dy, z], table[x + dx, y + dy, z + 1]
        for i in range(SIDE * dx, SIDE + dx):
            for j in range(SIDE * dy, SIDE + dy):
                row = (i & 7) * SIDE + (j & 7)
                apron[i, j] = (1 << SIDE) - 1 if home == INSIDE else 0
                if home >= 0:
                    apron[i, j] = lowest_bits(rows[home, row])
                if far == INSIDE or (far >= 0 and rows[far, row] & ONE != NOTHING):
                    apron[i, j] |= 1 << SIDE


@njit(cache=True, nogil=True, inline="always")
def apron_mask(apron, i, j, k):
    """Return which of the 8 corners of a gathered block's cell are solid: bit 4 dx + 2 dy + dz."""
    return (
        (apron[i, j] >> k & 3)
        | (apron[i, j + 1] >> k & 3) << 2
        | (apron[i + 1, j] >> k & 3) << 4
        | (apron[i + 1, j + 1] >> k & 3) << 6
    )


@njit(cache=True, nogil=True, inline="always")
def corner_state(table, state, i, j, k):
    """Return what the corner (i, j, k) is, stored or not."""
    block = table[i >> 3, j >> 3, k >> 3]
    if block >= 0:
        return state[block, ((i & 7) * SIDE + (j & 7)) * SIDE + (k & 7)]
    return HIDDEN if block == INSIDE else FREE


@njit(cache=True, nogil=True)
def cell_mask(table, state, i, j, k):
    """Return which of the 8 corners of the cell at (i, j, k) are solid: bit 4 dx + 2 dy + dz."""
    mask = 0
    for bit in range(8):
        if corner_state(table, state, i + (bit >> 2), j + (bit >> 1 & 1), k + (bit & 1)) & 1:
            mask |= 1 << bit
    return mask
