"""The carved solid on a sparse grid: blocks of 8 x 8 x 8 corners, stored only near the surface."""

import numpy as np
from numba import njit

from backproject.kernels.field import ON_FAR, height_over, height_over_patch

SIDE = 8
"""Corners along a block's edge."""
OUTSIDE, INSIDE, UNKNOWN, QUEUED = -1, -2, -3, -4
"""What the block table holds for a block that is not stored: all free, all solid, not looked at,
about to be stored.
"""
TILE = 4
"""Pixels along the edge of a tile, for which the range of inverse depth is known beforehand."""
LEVELS = 4
"""Squares of 1, 2, 4 ... tiles: balls up to twice the last, or 64 pixels, are judged at once."""
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
FREE_CORNERS, HIDDEN_CORNERS, SPREAD = np.uint64(FREE), np.uint64(HIDDEN), np.uint64(0x204081)
SEVEN, FOURTEEN, TWENTY_EIGHT = np.uint64(7), np.uint64(14), np.uint64(28)
LANES = 8
"""Points that are asked about together, which SIMD takes at a time."""
X, Y, Z, FREED, H, G, U, V, COLUMN, ROW, W00, W01, W10, W11, ROWS = range(0, 15 * LANES, LANES)
SAY, LEFT, TOP, RIGHT, BOTTOM, SPAN, DEPTH = U, COLUMN, ROW, W01, W10, V, H
"""Where the numbers of the points that are asked about begin, one after the other."""
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
    """Fill `tiles` (2, LEVELS, views, rows, columns) of views [start, stop): the least and greatest
    inverse depth that a look-up can meet in the square of 2^level x 2^level tiles that begins at
    one, each of `TILE` x `TILE` pixel cells.
    """
    height, width = w.shape[1], w.shape[2]
    rows, columns = tiles.shape[3], tiles.shape[4]
    low, high = np.empty(width, np.float32), np.empty(width, np.float32)
    for view in range(start, stop):
        for row in range(rows):
            low[:] = w[view, row * TILE]
            high[:] = w[view, row * TILE]
            for r in range(row * TILE + 1, min(row * TILE + TILE + 1, height)):
                for c in range(width):
                    low[c] = min(low[c], w[view, r, c])
                    high[c] = max(high[c], w[view, r, c])
            for column in range(columns):
                least, greatest = low[column * TILE], high[column * TILE]
                for c in range(column * TILE + 1, min(column * TILE + TILE + 1, width)):
                    least, greatest = min(least, low[c]), max(greatest, high[c])
                tiles[0, 0, view, row, column] = least
                tiles[1, 0, view, row, column] = greatest
        for level in range(1, LEVELS):
            ahead = 1 << (level - 1)
            for row in range(rows):
                below = min(row + ahead, rows - 1)
                one, other = tiles[0, level - 1, view, row], tiles[0, level - 1, view, below]
                for c in range(columns):
                    low[c] = min(one[c], other[c])
                one, other = tiles[1, level - 1, view, row], tiles[1, level - 1, view, below]
                for c in range(columns):
                    high[c] = max(one[c], other[c])
                least, greatest = tiles[0, level, view, row], tiles[1, level, view, row]
                for c in range(columns - ahead):
                    least[c] = min(low[c], low[c + ahead])
                    greatest[c] = max(high[c], high[c + ahead])
                for c in range(max(columns - ahead, 0), columns):
                    least[c] = min(low[c], low[columns - 1])
                    greatest[c] = max(high[c], high[columns - 1])


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def judges(asked, radius, w, tiles, cameras, margin, chosen, counts):
    """List in `chosen` (LANES, views) which views could call a point free that lies within `radius`
    of one of `LANES` places, and in `counts` (LANES,) how many; -1 if one calls all of them free,
    by `margin` along its axis.

    A view that sees a surface before the whole ball, or does not see the ball at all, has nothing
    to say. `asked` (ROWS,) holds the places as in `ask`. The least and greatest inverse depth
    around a ball are those of four squares of tiles that overlap (a sparse table: Bender &
    Farach-Colton 2000).
    """
    height, width = w.shape[1], w.shape[2]
    counts[:] = 0
    for s in range(LANES):
        asked[FREED + s] = 0.0
    for view in range(w.shape[0]):
        camera = cameras[view]
        c0, c1, c2, c3 = camera[0], camera[1], camera[2], camera[3]
        c4, c5, c6, c7 = camera[4], camera[5], camera[6], camera[7]
        c8, c9, c10, c11 = camera[8], camera[9], camera[10], camera[11]
        fx, fy, cx, cy = camera[12], camera[13], camera[14], camera[15]
        p, q, a, b = camera[16], camera[17], camera[18], camera[19]
        right_most, low_most = max(width - 2.0, 0.0), max(height - 2.0, 0.0)
        for s in range(LANES):
            x, y, z = asked[X + s], asked[Y + s], asked[Z + s]
            depth = c8 * x + c9 * y + c10 * z + c11
            before = depth > radius
            h = p * depth + q
            per_h = 1.0 / (h if before else 1.0)
            u = (c0 * x + c1 * y + c2 * z + c3) * per_h
            v = (c4 * x + c5 * y + c6 * z + c7) * per_h
            half = radius / (h - p * radius if before else 1.0)
            half_u = half * (fx + p * abs(u - cx))
            half_v = half * (fy + p * abs(v - cy))
            seen = (u + half_u > -0.5) & (v + half_v > -0.5)
            seen &= (u - half_u < width - 0.5) & (v - half_v < height - 0.5)
            whole = (u - half_u > -0.5) & (v - half_v > -0.5)
            whole &= (u + half_u < width - 0.5) & (v + half_v < height - 0.5)
            left = np.floor(min(max(u - half_u, 0.0), right_most) * (1.0 / TILE))
            right = np.floor(min(max(u + half_u, 0.0), right_most) * (1.0 / TILE))
            top = np.floor(min(max(v - half_v, 0.0), low_most) * (1.0 / TILE))
            bottom = np.floor(min(max(v + half_v, 0.0), low_most) * (1.0 / TILE))
            asked[DEPTH + s] = depth
            # 2: it may call the whole ball free; 1: some of it; 0: it has no say
            say = (2.0 if whole else 1.0) if seen else 0.0
            asked[SAY + s] = say if before else (1.0 if depth + radius > 0.0 else 0.0)
            asked[LEFT + s] = left
            asked[TOP + s] = top
            asked[RIGHT + s] = right
            asked[BOTTOM + s] = bottom
            span = max(right - left, bottom - top) + 1.0
            asked[SPAN + s] = span if before & seen else 0.0
        widest = 0.0
        for s in range(LANES):
            widest = max(widest, asked[SPAN + s])
        level, size = 0, 1
        while 2 * size < widest:
            level, size = level + 1, 2 * size
        if level < LEVELS:
            lows, highs = tiles[0, level, view], tiles[1, level, view]
            for s in range(LANES):
                left, top = np.int64(asked[LEFT + s]), np.int64(asked[TOP + s])
                right = max(np.int64(asked[RIGHT + s]) - size + 1, left)
                bottom = max(np.int64(asked[BOTTOM + s]) - size + 1, top)
                asked[W00 + s] = min(
                    min(lows[top, left], lows[top, right]),
                    min(lows[bottom, left], lows[bottom, right]),
                )
                asked[W11 + s] = max(
                    max(highs[top, left], highs[top, right]),
                    max(highs[bottom, left], highs[bottom, right]),
                )
        else:  # so near that nothing is known beforehand
            for s in range(LANES):
                asked[W00 + s], asked[W11 + s] = 0.0, np.inf
        freed = 0.0
        for s in range(LANES):
            depth, least, greatest = asked[DEPTH + s], asked[W00 + s], asked[W11 + s]
            say = asked[SAY + s]
            near, far = depth - radius, depth + radius + margin
            behind = (near > 0.0) & ((p * near + q) * least > max(a + b * near, 0.0))
            whole = (say == 2.0) & ((p * far + q) * greatest < a + b * far)
            here = 1.0 if whole else asked[FREED + s]
            asked[FREED + s] = here
            asked[SAY + s] = 0.0 if behind else say
            freed += here
        if freed == LANES:
            break
        for s in range(LANES):
            chosen[s, counts[s]] = view
            counts[s] += asked[SAY + s] > 0.0
    for s in range(LANES):
        if asked[FREED + s] > 0.0:
            counts[s] = -1


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


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def ask(asked, w, cameras, steepest, margin, chosen, count):
    """Do as `is_free` for `LANES` points at once, and return how many are free.

    `asked` (ROWS,) holds their places from `X`, `Y` and `Z`, and from `FREED` 1 for those that are
    free anyway; on return for all that are free. The rest is room to work in: of one array, because
    then it is clear that what is written is not what is read.
    """
    height, width = w.shape[1], w.shape[2]
    freed = 0.0
    for s in range(LANES):
        freed += asked[FREED + s]
    for nth in range(count):
        if freed == LANES:
            break
        view = chosen[nth]
        camera = cameras[view]
        c0, c1, c2, c3 = camera[0], camera[1], camera[2], camera[3]
        c4, c5, c6, c7 = camera[4], camera[5], camera[6], camera[7]
        c8, c9, c10, c11 = camera[8], camera[9], camera[10], camera[11]
        fx, fy, cx, cy = camera[12], camera[13], camera[14], camera[15]
        p, q, a, b = camera[16], camera[17], camera[18], camera[19]
        for s in range(LANES):
            x, y, z = asked[X + s], asked[Y + s], asked[Z + s]
            depth = c8 * x + c9 * y + c10 * z + c11
            before = depth > 0.0
            h = p * depth + q
            per_h = 1.0 / (h if before else 1.0)
            u = (c0 * x + c1 * y + c2 * z + c3) * per_h
            v = (c4 * x + c5 * y + c6 * z + c7) * per_h
            seen = before & (u > -0.5) & (v > -0.5) & (u < width - 0.5) & (v < height - 0.5)
            asked[H + s] = h
            g = max(a + b * depth, ON_FAR)
            asked[G + s] = g if seen else -np.inf
            asked[U + s] = u
            asked[V + s] = v
            asked[COLUMN + s] = min(max(np.floor(u), 0.0), width - 2.0)
            asked[ROW + s] = min(max(np.floor(v), 0.0), height - 2.0)
        for s in range(LANES):
            row, column = np.uint64(asked[ROW + s]), np.uint64(asked[COLUMN + s])
            asked[W00 + s], asked[W01 + s] = w[view, row, column], w[view, row, column + ONE]
            asked[W10 + s] = w[view, row + ONE, column]
            asked[W11 + s] = w[view, row + ONE, column + ONE]
        before, freed = freed, 0.0
        for s in range(LANES):
            u, v, h, g = asked[U + s], asked[V + s], asked[H + s], asked[G + s]
            above, squared = height_over_patch(
                asked[W00 + s], asked[W01 + s], asked[W10 + s], asked[W11 + s],
                u - asked[COLUMN + s], v - asked[ROW + s], u - cx, v - cy, fx, fy, p, q, b, h, g,
                steepest,
            )  # fmt: skip
            past = (above > 0.0) & (above * above > margin * margin * squared)
            here = 1.0 if past else asked[FREED + s]
            asked[FREED + s] = here
            freed += here
        if freed > before:
            chosen[nth] = chosen[0]
            chosen[0] = view
    return int(freed)


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
    chosen, counts = np.empty((LANES, w.shape[0] + 1), np.int64), np.empty(LANES, np.int64)
    asked, at = np.empty(ROWS), np.empty(LANES, np.int64)
    states = state.view(np.uint64)
    middle = 0.5 * (PART - 1)
    radius = voxel * middle * np.sqrt(3.0)
    for block in range(start, stop):
        rows = states[block]
        x, y, z = blocks[block]
        for part in range(8):
            asked[X + part] = origin[0] + voxel * (SIDE * x + PART * (part >> 2) + middle)
            asked[Y + part] = origin[1] + voxel * (SIDE * y + PART * (part >> 1 & 1) + middle)
            asked[Z + part] = origin[2] + voxel * (SIDE * z + PART * (part & 1) + middle)
        judges(asked, radius, w, tiles, cameras, margin, chosen, counts)
        for part in range(8):
            undecided = part_bits(rows, part, 1) & ~part_bits(rows, part, 0)
            if undecided == NOTHING:
                continue
            i, j, k = PART * (part >> 2), PART * (part >> 1 & 1), PART * (part & 1)
            i, j, k = SIDE * x + i, SIDE * y + j, SIDE * z + k
            if counts[part] < 0:
                set_corners(rows, part, undecided, FREE_CORNERS)
                continue
            while undecided != NOTHING:
                piece = grow(undecided & (~undecided + ONE), undecided)
                undecided &= ~piece
                for s in range(8):
                    c = _first_of(piece, s)
                    di, dj, dk = c >> 4, c >> 2 & 3, c & 3
                    place(asked, s, i + di, j + dj, k + dk, origin, voxel, low, high)
                free = ask(asked, w, cameras, steepest, margin, chosen[part], counts[part])
                if free == 0 or free == LANES:
                    set_corners(rows, part, piece, FREE_CORNERS if free else HIDDEN_CORNERS)
                    continue
                while piece != NOTHING:
                    some = NOTHING
                    for s in range(LANES):
                        if piece != NOTHING:  # else the last once more
                            c = lowest_of(piece)
                            piece &= piece - ONE
                        at[s] = c
                        some |= ONE << np.uint64(c)
                        di, dj, dk = c >> 4, c >> 2 & 3, c & 3
                        place(asked, s, i + di, j + dj, k + dk, origin, voxel, low, high)
                    ask(asked, w, cameras, steepest, margin, chosen[part], counts[part])
                    free_ones = NOTHING
                    for s in range(LANES):
                        free_ones |= np.uint64(asked[FREED + s]) << np.uint64(at[s])
                    set_corners(rows, part, free_ones, FREE_CORNERS)
                    set_corners(rows, part, some & ~free_ones, HIDDEN_CORNERS)


@njit(cache=True, nogil=True, inline="always")
def place(asked, s, i, j, k, origin, voxel, low, high):
    """Make corner (i, j, k) the s-th of those that are `asked` about, see `ask`; outside of the box
    it is free.
    """
    asked[X + s] = origin[0] + voxel * i
    asked[Y + s] = origin[1] + voxel * j
    asked[Z + s] = origin[2] + voxel * k
    within = (i >= low[0]) & (j >= low[1]) & (k >= low[2])
    within &= (i <= high[0]) & (j <= high[1]) & (k <= high[2])
    asked[FREED + s] = 0.0 if within else 1.0


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


@njit(cache=True, nogil=True)
def look_beyond(
    start, stop, blocks, w, tiles, cameras, steepest, origin, voxel, margin, low, high, table,
    state, beyond,
):  # fmt: skip
    """Tell what lies beyond the six faces of blocks [start, stop) where no block is stored.

    Fills `beyond` (blocks, 6): `QUEUED` if the surface crosses the face or runs in the neighbour's
    first layer, else `OUTSIDE` or `INSIDE`; `UNKNOWN` where the neighbour is stored.
    """
    chosen, counts = np.empty((LANES, w.shape[0] + 1), np.int64), np.empty(LANES, np.int64)
    asked, there = np.empty(ROWS), np.empty(3, np.int64)
    for block in range(start, stop):
        for face in range(6):
            axis, ahead = face // 2, face % 2
            for other in range(3):
                there[other] = blocks[block, other]
            there[axis] += 2 * ahead - 1
            beyond[block, face] = UNKNOWN
            if table[there[0], there[1], there[2]] >= 0:
                continue
            beyond[block, face] = QUEUED
            solids = 0
            for c in range(SIDE * SIDE):
                i, j, k = in_layer(axis, (SIDE - 1) * ahead, c // SIDE, c % SIDE)
                solids += state[block, (i * SIDE + j) * SIDE + k] & 1
            if 0 < solids < SIDE * SIDE:
                continue
            for other in range(3):
                there[other] *= SIDE
            there[axis] += (SIDE - 1) * (1 - ahead)
            if layer_is(
                solids > 0, axis, there, w, tiles, cameras, steepest, origin, voxel, margin,
                low, high, asked, chosen, counts,
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
    solid, axis, corner, w, tiles, cameras, steepest, origin, voxel, margin, low, high,
    asked, chosen, counts,
):  # fmt: skip
    """Return whether all corners of a block's layer across an axis, from `corner` (3,), are hidden,
    or whether all are free if not `solid`. It is looked at in quarters; the rest is room to work.
    """
    for s in range(LANES):
        i, j, k = in_layer(axis, 0, PART * (s >> 1 & 1), PART * (s & 1))
        di, dj, dk = in_layer(axis, 0, 0.5 * (PART - 1), 0.5 * (PART - 1))
        asked[X + s] = origin[0] + voxel * (corner[0] + i + di)
        asked[Y + s] = origin[1] + voxel * (corner[1] + j + dj)
        asked[Z + s] = origin[2] + voxel * (corner[2] + k + dk)
    radius = voxel * 0.5 * (PART - 1) * np.sqrt(2.0)
    judges(asked, radius, w, tiles, cameras, margin, chosen, counts)
    for quarter in range(4):
        if counts[quarter] < 0:
            if solid:
                return False
            continue
        for half in range(2):
            for s in range(LANES):
                a, b = PART * (quarter >> 1) + 2 * half + (s >> 2), PART * (quarter & 1) + (s & 3)
                i, j, k = in_layer(axis, 0, a, b)
                i, j, k = corner[0] + i, corner[1] + j, corner[2] + k
                place(asked, s, i, j, k, origin, voxel, low, high)
            free = ask(asked, w, cameras, steepest, margin, chosen[quarter], counts[quarter])
            if free != (0 if solid else LANES):
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
