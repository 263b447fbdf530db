"""What no view saw, and what few views see through, cut into regions: the graph on which the least
unsupported surface is found.

A region is a connected set of corners of one part of a block: a word of 64 bits, see
`kernels.blocks.grow`. Part p of block b is number 8 b + p.
"""

import numpy as np
from numba import njit

from backproject.kernels.blocks import (
    FREE,
    HIDDEN,
    INSIDE,
    NOT_FIRST_I,
    NOT_FIRST_J,
    NOT_FIRST_K,
    NOT_LAST_I,
    NOT_LAST_J,
    NOT_LAST_K,
    NOTHING,
    ONE,
    PART,
    SIDE,
    corner_of,
    grow,
    lowest_of,
    part_bits,
    size_of,
)
from backproject.kernels.field import height_over

THROUGH = 4
"""Corners across the shell around a sheet without thickness, at most."""
STEP = np.array([16, 4, 1], np.uint64)
"""By how many bits the next corner of a part lies apart, for each axis."""
STAYS = np.array(
    [[NOT_LAST_I, NOT_FIRST_I], [NOT_LAST_J, NOT_FIRST_J], [NOT_LAST_K, NOT_FIRST_K]], np.uint64
)
"""The corners of a part, for each axis back and ahead, that lie next to others of the part."""


@njit(cache=True, nogil=True)
def find_hidden(start, stop, rows, hidden, shell):
    """Fill `hidden` and `shell` (8 B,) with the corners of each part of blocks [start, stop) that
    no view sees, and those that are next to a sample. `rows` (B, 64) are the states.
    """
    for part in range(8 * start, 8 * stop):
        solid = part_bits(rows[part >> 3], part & 7, 0)
        second = part_bits(rows[part >> 3], part & 7, 1)
        hidden[part], shell[part] = solid & ~second, solid & second


@njit(cache=True, nogil=True)
def count_faces(start, stop, blocks, table, hidden, shell, walls, backs):
    """Fill how many faces the hidden corners of each of blocks [start, stop) have to free ones,
    `walls` (B,), and to the shell, `backs` (B,).
    """
    for block in range(start, stop):
        walls[block] = backs[block] = 0
        for part in range(8 * block, 8 * block + 8):
            for direction in range(12 if hidden[part] != NOTHING else 0):
                axis, ahead, leaving = direction >> 2, direction >> 1 & 1, direction & 1
                faces, next_part = moved(hidden[part], axis, ahead, leaving), part
                if leaving:
                    next_part, x, y, z = part_beside(part, axis, ahead, blocks, table)
                if next_part >= 0:
                    backs[block] += size_of(faces & shell[next_part])
                    walls[block] += size_of(faces & ~shell[next_part] & ~hidden[next_part])
                elif table[x, y, z] != INSIDE:
                    walls[block] += size_of(faces)


@njit(cache=True, nogil=True)
def label_regions(start, stop, hidden, shell, doubtful, first, regions):
    """Fill `regions` with the connected hidden corners within each part of blocks [start, stop),
    and with the connected free ones if those are `doubtful`, from `first` (8 B,) of the part.

    If `regions` is empty, they are only counted, in `first`. Regions do not go on from one part to
    another, so that one that reaches through a hole in the shell stays small.
    """
    for part in range(8 * start, 8 * stop):
        number = 0
        for kind in range(2 if doubtful else 1):
            left = ~(hidden[part] | shell[part]) if kind else hidden[part]
            while left != NOTHING:
                region = grow(left & (~left + ONE), left)
                left &= ~region
                if regions.shape[0] > 0:
                    regions[first[part] + number] = region
                number += 1
        if regions.shape[0] == 0:
            first[part] = number


@njit(cache=True, nogil=True, inline="always")
def witnesses(w, cameras, steepest, x, y, z, most):
    """Return how many views see past a point; no more than `most` + 1."""
    count = 0
    for view in range(w.shape[0]):
        if height_over(w, view, cameras[view], x, y, z, steepest)[0] > 0.0:
            count += 1
            if count > most:
                break
    return count


@njit(cache=True, nogil=True)
def describe_regions(
    start, stop, blocks, state, first, regions, w, cameras, steepest, origin, voxel, most,
    sizes, seen_past,
):  # fmt: skip
    """Fill the number of corners of the regions of blocks [start, stop), and how many views see
    past a corner in the middle of each; 0 of hidden ones.
    """
    for part in range(8 * start, 8 * stop):
        block = part >> 3
        i0, j0, k0 = PART * (part >> 2 & 1), PART * (part >> 1 & 1), PART * (part & 1)
        for node in range(first[part], first[part + 1]):
            left = regions[node]
            sizes[node] = size_of(left)
            seen_past[node] = 0
            if state[block, corner_of(i0, j0, k0, lowest_of(left))] == HIDDEN:
                continue
            for _ in range(sizes[node] // 2):
                left &= left - ONE
            # Not every corner was looked at: where the middle one is seen past by none, ask on.
            while left != NOTHING and seen_past[node] == 0:
                c = lowest_of(left)
                left &= left - ONE
                x = origin[0] + voxel * (blocks[block, 0] * SIDE + i0 + (c >> 4))
                y = origin[1] + voxel * (blocks[block, 1] * SIDE + j0 + (c >> 2 & 3))
                z = origin[2] + voxel * (blocks[block, 2] * SIDE + k0 + (c & 3))
                seen_past[node] = witnesses(w, cameras, steepest, x, y, z, most)
            if seen_past[node] == 0:
                seen_past[node] = most + 1  # there the scene has ended


@njit(cache=True, nogil=True)
def describe_blocks(start, stop, blocks, w, cameras, steepest, origin, voxel, most, seen_past):
    """Fill how many views see past the middle of blocks [start, stop), which are not stored."""
    for block in range(start, stop):
        x = origin[0] + voxel * (blocks[block, 0] + 0.5) * SIDE
        y = origin[1] + voxel * (blocks[block, 1] + 0.5) * SIDE
        z = origin[2] + voxel * (blocks[block, 2] + 0.5) * SIDE
        seen_past[block] = witnesses(w, cameras, steepest, x, y, z, most)


@njit(cache=True, nogil=True)
def find_open(start, stop, first, regions, shell, certain, seen_past, enough, open_at):
    """Fill `open_at` (8 B,) with the corners of each part of blocks [start, stop) that more than
    `enough` views see past.
    """
    for part in range(8 * start, 8 * stop):
        closed = shell[part]
        for node in range(first[part], first[part + 1]):
            if not certain[node] and seen_past[node] <= enough:
                closed |= regions[node]
        open_at[part] = ~closed


@njit(cache=True, nogil=True)
def find_shown(start, stop, blocks, table, node_of, seen_past, enough, shell, open_at, shown):
    """Fill `shown` (8 B,) with the corners of the `shell` of each part of blocks [start, stop) that
    show: along an axis, at most `THROUGH` corners on and with none but shell between, lies one that
    more than `enough` views see past.
    """
    for part in range(8 * start, 8 * stop):
        here = shell[part]
        shown[part] = NOTHING
        for direction in range(6 if here != NOTHING else 0):
            axis, ahead = direction >> 1, direction & 1
            beyond, x, y, z = part_beside(part, axis, ahead, blocks, table)
            there, far = NOTHING, NOTHING
            if beyond >= 0:
                there, far = shell[beyond], open_at[beyond]
            elif node_of[x, y, z] < 0 or seen_past[node_of[x, y, z]] > enough:
                far = ~NOTHING
            near = open_at[part]
            for _ in range(THROUGH):
                near = here & (
                    moved(near, axis, 1 - ahead, False) | moved(far, axis, 1 - ahead, True)
                )
                far = there & moved(far, axis, 1 - ahead, False)
                shown[part] |= near


@njit(cache=True, nogil=True, inline="always")
def part_beside(part, axis, ahead, blocks, table):
    """Return the number of the next part in one direction, -1 if its block is not stored, and where
    in `table` that is.
    """
    block, bit = part >> 3, 4 >> axis
    x, y, z = blocks[block, 0], blocks[block, 1], blocks[block, 2]
    home = block
    if (part & bit != 0) == ahead:
        step = 2 * ahead - 1
        x += step if axis == 0 else 0
        y += step if axis == 1 else 0
        z += step if axis == 2 else 0
        home = np.int64(table[x, y, z])
    return 8 * home + (part & 7 ^ bit) if home >= 0 else -1, x, y, z


@njit(cache=True, nogil=True)
def moved(region, axis, ahead, leaving):
    """Return the corners of a region one step on in one direction: those in its part, or those in
    the next part if `leaving`.
    """
    step = STEP[axis]
    if leaving:
        across = step * np.uint64(PART - 1)
        return (region >> across if ahead else region << across) & ~STAYS[axis, ahead]
    return (region << step if ahead else region >> step) & STAYS[axis, ahead]


@njit(cache=True, nogil=True)
def connect(
    start, stop, blocks, table, first, regions, shell, shown, certain, node_of, seen_past, enough,
    walls, backs, edges, used,
):  # fmt: skip
    """Count the faces between corners, for the nodes of blocks [start, stop).

    `walls` of a node are its faces to corners that are free for certain; `backs` those to the
    shell, but not those that a node of free corners has to what is `shown` of it, see `find_shown`.
    Pairs of nodes go to `edges` (blocks, E, 3) with the number of faces they share; `used`
    (blocks,) of them are filled. A block of more than E pairs forgets the rest. The first nodes are
    the `regions`, the others those in `node_of`, of blocks that are not stored.
    """
    for block in range(start, stop):
        count = 0
        for part in range(8 * block, 8 * block + 8):
            for node in range(first[part], first[part + 1]):
                if certain[node]:
                    continue
                own = count  # where this node's pairs begin
                for direction in range(12):
                    axis, ahead, leaving = direction >> 2, direction >> 1 & 1, direction & 1
                    faces = moved(regions[node], axis, ahead, leaving)
                    if not leaving:
                        faces &= ~regions[node]
                    if faces == NOTHING:
                        continue
                    next_part = part
                    if leaving:
                        next_part, x, y, z = part_beside(part, axis, ahead, blocks, table)
                    if next_part < 0:
                        if node_of[x, y, z] < 0:
                            walls[node] += size_of(faces)
                        else:
                            count = note_pair(
                                node, node_of[x, y, z], size_of(faces), edges[block], own, count
                            )
                        continue
                    touched = faces & shell[next_part]
                    faces &= ~touched
                    if seen_past[node] == 0:
                        backs[node] += size_of(touched)
                    # One that more views see past is itself where the shell shows.
                    elif seen_past[node] <= enough:
                        backs[node] += size_of(touched & ~shown[next_part])
                    for other in range(first[next_part], first[next_part + 1]):
                        common = faces & regions[other]
                        if common == NOTHING or certain[other]:
                            continue
                        faces &= ~common
                        if other > node:
                            count = note_pair(
                                node, other, size_of(common), edges[block], own, count
                            )
                    walls[node] += size_of(faces)
        used[block] = count


@njit(cache=True, nogil=True)
def note_pair(node, other, faces, edges, own, count):
    """Add `faces` to a pair of `edges` (E, 3) from `own` to `count`, and return the new count."""
    for e in range(own, count):
        if edges[e, 1] == other:
            edges[e, 2] += faces
            return count
    if count < edges.shape[0]:
        edges[count, 0], edges[count, 1], edges[count, 2] = node, other, faces
        count += 1
    return count


@njit(cache=True, nogil=True)
def settle_regions(start, stop, first, regions, free, state):
    """Set the corners of blocks [start, stop) free whose region is in `free` (nodes,), and hidden
    those whose region is not.
    """
    for part in range(8 * start, 8 * stop):
        i0, j0, k0 = PART * (part >> 2 & 1), PART * (part >> 1 & 1), PART * (part & 1)
        for node in range(first[part], first[part + 1]):
            kind, left = FREE if free[node] else HIDDEN, regions[node]
            if state[part >> 3, corner_of(i0, j0, k0, lowest_of(left))] == kind:
                continue
            while left != NOTHING:
                state[part >> 3, corner_of(i0, j0, k0, lowest_of(left))] = kind
                left &= left - ONE
