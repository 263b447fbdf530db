"""Which corners of the blocks some view sees past: many asked at once, or a ball for all in it."""

import numpy as np
from numba import njit

from backproject.kernels import ANY_ORDER
from backproject.kernels.blocks import (
    FREE,
    HIDDEN,
    INSIDE,
    NOTHING,
    ONE,
    OUTSIDE,
    PART,
    QUEUED,
    SIDE,
    UNKNOWN,
    grow,
    lowest_of,
    part_bits,
    set_corners,
)
from backproject.kernels.field import ON_FAR, UNMEASURED, height_over, height_over_patch

TILE = 4
"""Pixels along the edge of a tile, for which the range of inverse depth is known beforehand."""
LEVELS = 4
"""Squares of 1, 2, 4 ... tiles: balls up to twice the last, or 64 pixels, are judged at once."""
FREE_CORNERS, HIDDEN_CORNERS = np.uint64(FREE), np.uint64(HIDDEN)
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


@njit(cache=True, nogil=True, error_model="numpy")
def invert(depth, far, scale, w):
    """Fill `w` (H, W) with the inverse of a view's `depth`: 0 where a ray hits nothing,
    `UNMEASURED` where it is nan; what lies before the plane `far`, times `scale`, if that is not
    nan.
    """
    for row in range(depth.shape[0]):
        for c in range(depth.shape[1]):
            z = depth[row, c]
            inverse = np.float32(1) / z
            if far == far:  # what is farther, and what is nowhere, is free all along
                inverse = np.float32(max(scale * (far - z), 0.0))
            w[row, c] = inverse if z == z else UNMEASURED


@njit(cache=True, nogil=True)
def summarise(start, stop, depth, fars, scales, w, tiles):
    """Fill the inverse depth `w` of views [start, stop), see `invert`, and its `tiles` (2, LEVELS,
    views, rows, columns): the least and greatest that a look-up can meet in the square of
    2^level x 2^level tiles that begins at one, each of `TILE` x `TILE` pixel cells.
    """
    height, width = w.shape[1], w.shape[2]
    rows, columns = tiles.shape[3], tiles.shape[4]
    low, high = np.empty(width, np.float32), np.empty(width, np.float32)
    for view in range(start, stop):
        invert(depth[view], fars[view], scales[view], w[view])
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


@njit(cache=True, nogil=True, forceinline=True, error_model="numpy", fastmath=ANY_ORDER)
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


@njit(cache=True, nogil=True, forceinline=True, error_model="numpy", fastmath=ANY_ORDER)
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


@njit(cache=True, nogil=True, forceinline=True)
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
