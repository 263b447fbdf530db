"""From the carved solid to a closed surface: one vertex a mixed cell, one quadrilateral a crossed
edge.

Surface nets (Gibson 1998) of a *well-composed* set (Latecki 1997): where no two solid corners touch
only along a diagonal, the boundary is a 2-manifold, so cells that would touch themselves are mended
first by filling the fewest corners.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from backproject.kernels.blocks import HIDDEN, SIDE, apron_mask, cell_mask, gather_apron
from backproject.kernels.slivers import is_thin

CORNERS = SIDE * SIDE * SIDE
ROUNDING = 2.4e-7
"""Error of a slope, at most, for each pixel of focal length: that of depths in float32, 6e-8, times
the sum of weights in a one-sided difference of second order, 4.
"""


def mending_table() -> NDArray[np.uint8]:
    """Return for each of the 256 cells its solid corners and those it needs to be well-composed.

    The fewest more: a cell is well-composed unless the solid or the free corners of one of its six
    faces, or of the cell, are two that lie opposite.
    """
    masks = np.arange(256)
    well = np.ones(256, bool)
    for corner in range(4):
        pair = 1 << corner | 1 << (7 - corner)
        well &= (masks != pair) & (masks != 255 ^ pair)
    for axis in range(3):
        for side in range(2):
            face = [c for c in range(8) if (c >> axis & 1) == side]
            a, b, c, d = (masks >> corner & 1 for corner in face)
            well &= ~((a == d) & (b == c) & (a != b))
    solids = (masks[:, None] >> np.arange(8) & 1).sum(axis=1)
    covers = (masks[:, None] & masks[None, :]) == masks[:, None]
    fewest = np.where(covers & well, solids, 9).argmin(axis=1)
    return np.asarray(fewest, np.uint8)


@njit(cache=True, nogil=True)
def mixed_rows(apron, rows):
    """Fill `rows` (8, 8) with the mixed cells of a gathered block, bit k of [i, j] for cell (i, j,
    k); return whether there are any.
    """
    found = 0
    for i in range(SIDE):
        for j in range(SIDE):
            a, b, c, d = apron[i, j], apron[i, j + 1], apron[i + 1, j], apron[i + 1, j + 1]
            some, every = a | b | c | d, a & b & c & d
            rows[i, j] = (some | some >> 1) & ~(every & every >> 1) & 255
            found |= rows[i, j]
    return found != 0


@njit(cache=True, nogil=True)
def find_mixed(apron, mixed):
    """List in `mixed` the mixed cells of a gathered block, part by part of 4 x 4 x 4 corners, so
    that vertices of a part get numbers in a row; return how many there are.
    """
    rows = np.empty((SIDE, SIDE), np.int64)
    if not mixed_rows(apron, rows):
        return 0
    count = 0
    for part in range(8):
        for row in range(16):
            i, j = 4 * (part >> 2) + (row >> 2), 4 * (part >> 1 & 1) + (row & 3)
            k, bits = 4 * (part & 1), rows[i, j] >> 4 * (part & 1) & 15
            while bits:
                if bits & 1:
                    mixed[count] = (i * SIDE + j) * SIDE + k
                    count += 1
                bits >>= 1
                k += 1
    return count


@njit(cache=True, nogil=True)
def find_flaws(start, stop, blocks, table, rows, mended, flawed):
    """Mark in `flawed` (blocks,) those of blocks [start, stop) that own a cell which is not
    well-composed.
    """
    apron = np.empty((SIDE + 1, SIDE + 1), np.int64)
    mixed = np.empty(CORNERS, np.int16)
    for block in range(start, stop):
        x, y, z = blocks[block]
        gather_apron(x, y, z, table, rows, apron)
        flawed[block] = 0
        for nth in range(find_mixed(apron, mixed)):
            corner = mixed[nth]
            mask = apron_mask(apron, corner >> 6, corner >> 3 & 7, corner & 7)
            if mended[mask] != mask:
                flawed[block] = 1
                break


@njit(cache=True, nogil=True)
def mend(flawed, blocks, table, rows, state, mended, wanted):
    """Fill corners until all cells of the blocks marked in `flawed` (B,), and all they touch, are
    well-composed.

    Returns how many unstored blocks had to be changed but could not, listed in `wanted` (K, 3);
    store them and mend again.
    """
    apron = np.empty((SIDE + 1, SIDE + 1), np.int64)
    mixed = np.empty(CORNERS, np.int16)
    missing = 0
    for block in np.flatnonzero(flawed):
        x, y, z = blocks[block]
        gather_apron(x, y, z, table, rows, apron)
        for nth in range(find_mixed(apron, mixed)):
            corner = np.int64(mixed[nth])
            i, j, k = corner >> 6, corner >> 3 & 7, corner & 7
            mask = apron_mask(apron, i, j, k)
            if mended[mask] != mask:
                i, j, k = x * SIDE + i, y * SIDE + j, z * SIDE + k
                missing = mend_cell(i, j, k, table, state, mended, wanted, missing)
    return missing


@njit(cache=True, nogil=True)
def mend_cell(i, j, k, table, state, mended, wanted, missing):
    """Fill corners of a cell, and of those that this spoils, until all are well-composed; return
    how many blocks are `wanted` then, `missing` of them before.
    """
    stack = [(i, j, k)]
    while len(stack) > 0:
        i, j, k = stack.pop()
        mask = cell_mask(table, state, i, j, k)
        extra = mended[mask] ^ mask
        if extra == 0:
            continue
        for bit in range(8):
            if not (extra >> bit) & 1:
                continue
            ci, cj, ck = i + (bit >> 2), j + (bit >> 1 & 1), k + (bit & 1)
            block = table[ci // SIDE, cj // SIDE, ck // SIDE]
            if block >= 0:
                state[block, ((ci % SIDE) * SIDE + cj % SIDE) * SIDE + ck % SIDE] = HIDDEN
                for near in range(8):
                    stack.append((ci - (near >> 2), cj - (near >> 1 & 1), ck - (near & 1)))
            elif missing < wanted.shape[0]:
                wanted[missing] = (ci // SIDE, cj // SIDE, ck // SIDE)
                missing += 1
    return missing


@njit(cache=True, nogil=True)
def find_homeless(start, stop, unstored, table, rows, homeless):
    """Mark in `homeless` (K,) those of blocks [start, stop) of `unstored` (K, 3) that own a mixed
    cell.
    """
    apron = np.empty((SIDE + 1, SIDE + 1), np.int64)
    mixed = np.empty((SIDE, SIDE), np.int64)
    for block in range(start, stop):
        x, y, z = unstored[block]
        gather_apron(x, y, z, table, rows, apron)
        homeless[block] = mixed_rows(apron, mixed)


@njit(cache=True, nogil=True)
def count_elements(start, stop, blocks, table, rows, vertex_of, counts):
    """Give numbers to the mixed cells within each block [start, stop); count them and the crossed
    edges in `counts`.
    """
    apron = np.empty((SIDE + 1, SIDE + 1), np.int64)
    mixed = np.empty(CORNERS, np.int16)
    for block in range(start, stop):
        x, y, z = blocks[block]
        gather_apron(x, y, z, table, rows, apron)
        vertices = find_mixed(apron, mixed)
        quads = 0
        for nth in range(vertices):
            corner = mixed[nth]
            mask = apron_mask(apron, corner >> 6, corner >> 3 & 7, corner & 7)
            vertex_of[block, corner] = nth
            here = mask & 1
            quads += (mask >> 4 & 1) != here
            quads += (mask >> 2 & 1) != here
            quads += (mask >> 1 & 1) != here
        counts[block, 0] = vertices
        counts[block, 1] = quads


@njit(cache=True, nogil=True)
def fill_elements(start, stop, blocks, table, rows, vertex_of, first, vertices, outward, quads):
    """Write the elements of blocks [start, stop): vertices in grid units, rough outward directions,
    quadrilaterals.

    A vertex starts at the mean of the middles of its cell's crossed edges. `first` (blocks, 2)
    holds the first vertex and first quadrilateral of each block.
    """
    apron = np.empty((SIDE + 1, SIDE + 1), np.int64)
    mixed = np.empty(CORNERS, np.int16)
    places, directions = np.zeros((256, 3)), np.zeros((256, 3))
    for mask in range(1, 255):
        _place(mask, places[mask], directions[mask])
    for block in range(start, stop):
        x, y, z = blocks[block]
        bx, by, bz = SIDE * x, SIDE * y, SIDE * z
        gather_apron(x, y, z, table, rows, apron)
        quad = first[block, 1]
        for nth in range(find_mixed(apron, mixed)):
            corner = mixed[nth]
            vertex = first[block, 0] + vertex_of[block, corner]
            i, j, k = bx + (corner >> 6), by + (corner >> 3 & 7), bz + (corner & 7)
            mask = apron_mask(apron, corner >> 6, corner >> 3 & 7, corner & 7)
            vertices[vertex, 0] = i + places[mask, 0]
            vertices[vertex, 1] = j + places[mask, 1]
            vertices[vertex, 2] = k + places[mask, 2]
            for axis in range(3):
                outward[vertex, axis] = directions[mask, axis]
            here = mask & 1
            for axis in range(3):
                if (mask >> (4 >> axis) & 1) == here:
                    continue
                # The four cells around the edge, counter-clockwise seen from the edge's far end.
                for n in range(4):
                    turn = n if here else 3 - n
                    back_a = 1 if turn == 1 or turn == 2 else 0
                    back_b = 1 if turn >= 2 else 0
                    ci, cj, ck = i, j, k
                    if axis == 0:
                        cj -= back_a
                        ck -= back_b
                    elif axis == 1:
                        ck -= back_a
                        ci -= back_b
                    else:
                        ci -= back_a
                        cj -= back_b
                    home = table[ci >> 3, cj >> 3, ck >> 3]
                    cell = ((ci & 7) * SIDE + (cj & 7)) * SIDE + (ck & 7)
                    quads[quad, n] = first[home, 0] + vertex_of[home, cell]
                quad += 1


@njit(cache=True, nogil=True)
def _place(mask, vertex, direction):
    """Fill in the mean of the middles of a cell's crossed edges, and the direction outwards."""
    x = y = z = 0.0
    dx = dy = dz = 0.0
    count = 0
    for bit in range(8):
        inside = mask >> bit & 1
        sx, sy, sz = bit >> 2, bit >> 1 & 1, bit & 1
        sign = -1.0 if inside else 1.0
        dx += sign * (2 * sx - 1)
        dy += sign * (2 * sy - 1)
        dz += sign * (2 * sz - 1)
        for axis in range(3):
            step = 4 >> axis
            if bit & step or (mask >> (bit | step) & 1) == inside:
                continue
            x += sx + (0.5 if axis == 0 else 0.0)
            y += sy + (0.5 if axis == 1 else 0.0)
            z += sz + (0.5 if axis == 2 else 0.0)
            count += 1
    vertex[0], vertex[1], vertex[2] = x / count, y / count, z / count
    length = np.sqrt(dx * dx + dy * dy + dz * dz)
    if length > 0.0:
        direction[0] = dx / length
        direction[1] = dy / length
        direction[2] = dz / length
    else:
        direction[0] = direction[1] = direction[2] = 0.0


@njit(cache=True, nogil=True)
def split_quads(start, stop, quads, vertices, normals, pixel, limit, faces, thin):
    """Write two triangles for each of the quadrilaterals [start, stop), to `faces` (2 Q, 3), and
    whether their least heights are at most `limit`, in scene units, to `thin` (2 Q,).

    They are cut along the diagonal that lies better in the planes of its ends: along a crease.
    `pixel` is the width of a pixel for each unit of depth.
    """
    rounding = ROUNDING / pixel
    for q in range(start, stop):
        first, _ = lift(vertices, normals, quads[q, 0], quads[q, 2])
        second, length = lift(vertices, normals, quads[q, 1], quads[q, 3])
        # on a plane both are nothing but rounding, which must not decide
        turn = 0 if first <= second + rounding * length else 1
        for n in range(3):
            faces[2 * q, n] = quads[q, (turn + n) % 4]
            faces[2 * q + 1, n] = quads[q, (turn + (0 if n == 0 else n + 1)) % 4]
        a, b, c = faces[2 * q, 0], faces[2 * q, 1], faces[2 * q, 2]
        thin[2 * q] = is_thin(vertices, a, b, c, limit * limit)
        thin[2 * q + 1] = is_thin(vertices, a, c, faces[2 * q + 1, 2], limit * limit)


@njit(cache=True, nogil=True, inline="always")
def lift(vertices, normals, here, there):
    """Return how far a diagonal leads out of the tangent planes of its ends, and its length, the
    sum of three.
    """
    rise_here = rise_there = length = 0.0
    for axis in range(3):
        chord = vertices[there, axis] - vertices[here, axis]
        rise_here += chord * normals[here, axis]
        rise_there += chord * normals[there, axis]
        length += abs(chord)
    return abs(rise_here) + abs(rise_there), length


@njit(cache=True, nogil=True)
def find_pieces(polygons, piece):
    """Fill `piece` (V,) with one vertex of each vertex's connected piece, by union-find."""
    for v in range(piece.shape[0]):
        piece[v] = v
    for q in range(polygons.shape[0]):
        here = polygons[q, 0]
        while piece[here] != here:
            piece[here] = piece[piece[here]]
            here = piece[here]
        for n in range(1, polygons.shape[1]):
            there = polygons[q, n]
            if piece[there] == here:
                continue
            while piece[there] != there:
                piece[there] = piece[piece[there]]
                there = piece[there]
            if here < there:
                piece[there] = here
            else:
                piece[here] = there
                here = there
    for v in range(piece.shape[0]):
        piece[v] = piece[piece[v]]
        while piece[piece[v]] != piece[v]:
            piece[v] = piece[piece[v]]


@njit(cache=True, nogil=True)
def find_large(polygons, least, large):
    """Fill `large` (V,) with the vertices of connected pieces of at least so many polygons, and
    return how many there are.
    """
    piece, sizes = np.empty(large.shape[0], np.int32), np.zeros(large.shape[0], np.int32)
    find_pieces(polygons, piece)
    for q in range(polygons.shape[0]):
        sizes[piece[polygons[q, 0]]] += 1
    count = 0
    for v in range(large.shape[0]):
        large[v] = sizes[piece[v]] >= least
        count += large[v]
    return count


@njit(cache=True, nogil=True)
def drop_pieces(kept, vertices, outward, support, quads):
    """Move the vertices that are `kept` (V,) to the front of their arrays, and the quadrilaterals
    between them; return how many of each there are. In place, as `kernels.samples.close_ranks`.
    """
    renumbered = np.empty(kept.shape[0], np.int32)
    count = 0
    for v in range(kept.shape[0]):
        if kept[v]:
            renumbered[v] = count
            for axis in range(3):
                vertices[count, axis] = vertices[v, axis]
                outward[count, axis] = outward[v, axis]
            support[count] = support[v]
            count += 1
    polygons = 0
    for q in range(quads.shape[0]):
        if kept[quads[q, 0]]:
            for n in range(4):
                quads[polygons, n] = renumbered[quads[q, n]]
            polygons += 1
    return count, polygons
