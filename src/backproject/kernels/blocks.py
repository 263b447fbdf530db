"""A solid on a sparse grid: blocks of 8 x 8 x 8 corners, stored only near the surface."""

import numpy as np
from numba import njit

SIDE = 8
"""Corners along a block's edge."""
OUTSIDE, INSIDE, UNKNOWN, QUEUED = -1, -2, -3, -4
"""What the block table holds for a block that is not stored: all free, all solid, not looked at,
about to be stored.
"""
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
SPREAD = np.uint64(0x204081)
SEVEN, FOURTEEN, TWENTY_EIGHT = np.uint64(7), np.uint64(14), np.uint64(28)


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
def set_corners(rows, part, bits, kind):
    """Make the corners in a set of a part what `kind` is; `rows` (64,) as in `part_bits`."""
    first = 4 * SIDE * (part >> 2) + 4 * (part >> 1 & 1)
    half = np.uint64(32 * (part & 1))
    for row in range(16):
        four = bits >> np.uint64(4 * row) & FIFTEEN
        if four != NOTHING:
            bytes_of = (four * SPREAD & LOWEST) << half
            at = first + SIDE * (row >> 2) + (row & 3)
            rows[at] = rows[at] & ~(bytes_of * BYTE) | bytes_of * kind


@njit(cache=True, nogil=True, inline="always")
def corner_of(i0, j0, k0, c):
    """Return the corner of a block that is the c-th of the part at (i0, j0, k0)."""
    return ((i0 + (c >> 4)) * SIDE + j0 + (c >> 2 & 3)) * SIDE + k0 + (c & 3)


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
