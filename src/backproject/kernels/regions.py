"""What no view saw, and what few views see through, cut into regions: the graph on which the least
unsupported surface is found.
"""

import numpy as np
from numba import njit

from backproject.kernels.blocks import FREE, HIDDEN, SHELL, SIDE
from backproject.kernels.field import height_over

CORNERS = SIDE * SIDE * SIDE
PART = SIDE // 2
"""Corners along the edge of a part of a block: regions do not go on from one part to another, so
that a region that reaches through a hole in the shell stays small.
"""
THROUGH = 4
"""Corners across the shell around a sheet without thickness, at most."""
WALL, BACK = -1, -2
"""What stands for a neighbour that is no node: free for certain, or next to a sample."""


@njit(cache=True, nogil=True)
def label_regions(start, stop, state, doubtful, region, counts):
    """Give numbers to the connected hidden corners within each part of blocks [start, stop), and to
    the connected free ones if those are `doubtful`; -1 elsewhere. Count the regions.
    """
    stack = np.empty(CORNERS, np.int32)
    for block in range(start, stop):
        region[block, :] = -1
        number = 0
        for seed in range(CORNERS):
            kind = state[block, seed]
            if region[block, seed] >= 0 or not (kind == HIDDEN or (doubtful and kind == FREE)):
                continue
            region[block, seed] = number
            stack[0] = seed
            size = 1
            while size > 0:
                size -= 1
                corner = stack[size]
                for axis in range(3):
                    stride = 1 << 3 * axis
                    place = corner >> 3 * axis & 7
                    for step in (-1, 1):
                        if (place + step) // PART != place // PART:
                            continue
                        other = corner + step * stride
                        if state[block, other] == kind and region[block, other] < 0:
                            region[block, other] = number
                            stack[size] = other
                            size += 1
            number += 1
        counts[block] = number


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
    start, stop, blocks, state, region, first, w, cameras, steepest, origin, voxel, most,
    sizes, seen_past,
):  # fmt: skip
    """Fill the number of corners of the regions of blocks [start, stop), by `first` of their block,
    and how many views see past a corner in the middle of each; 0 of hidden ones.
    """
    for block in range(start, stop):
        for corner in range(CORNERS):
            if region[block, corner] >= 0:
                sizes[first[block] + region[block, corner]] += 1
        passed = np.zeros(first[block + 1] - first[block], np.int64)
        for corner in range(CORNERS):
            number = region[block, corner]
            if number < 0 or state[block, corner] == HIDDEN:
                continue
            node = first[block] + number
            passed[number] += 1
            # Not every corner was looked at: where the middle one is seen past by none, ask on.
            if 2 * passed[number] > sizes[node] and seen_past[node] == 0:
                x = origin[0] + voxel * (blocks[block, 0] * SIDE + (corner >> 6))
                y = origin[1] + voxel * (blocks[block, 1] * SIDE + (corner >> 3 & 7))
                z = origin[2] + voxel * (blocks[block, 2] * SIDE + (corner & 7))
                seen_past[node] = witnesses(w, cameras, steepest, x, y, z, most)
                if passed[number] == sizes[node] and seen_past[node] == 0:
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
def _node_at(i, j, k, table, state, region, first, certain, node_of):
    """Return the node of a corner, or `WALL` or `BACK`."""
    home = table[i >> 3, j >> 3, k >> 3]
    if home < 0:
        return node_of[i >> 3, j >> 3, k >> 3]
    corner = ((i & 7) * SIDE + (j & 7)) * SIDE + (k & 7)
    if state[home, corner] == SHELL:
        return BACK
    if region[home, corner] < 0 or certain[first[home] + region[home, corner]]:
        return WALL
    return first[home] + region[home, corner]


@njit(cache=True, nogil=True)
def _shows_elsewhere(i, j, k, seen_past, enough, table, state, region, first, certain, node_of):
    """Return whether space that more than `enough` views see past lies behind the shell at a
    corner, in any direction.
    """
    for side in range(6):
        axis, step = side // 2, 2 * (side % 2) - 1
        dx = step if axis == 0 else 0
        dy = step if axis == 1 else 0
        dz = step if axis == 2 else 0
        for far in range(1, THROUGH + 1):
            node = _node_at(
                i + far * dx, j + far * dy, k + far * dz,
                table, state, region, first, certain, node_of,
            )  # fmt: skip
            if node == WALL or (node >= 0 and seen_past[node] > enough):
                return True
            if node != BACK:
                break
    return False


@njit(cache=True, nogil=True)
def connect(
    start, stop, blocks, table, state, region, first, certain, node_of, seen_past, enough,
    walls, backs, edges, used,
):  # fmt: skip
    """Count the faces between corners, for the regions of blocks [start, stop).

    `walls` of a node are its faces to corners that are free for certain; `backs` those to the
    shell, but not those that a node of free corners has to a sheet which shows its other side to
    certainly free space. Pairs of nodes go to `edges` (blocks, E, 3) with the number of faces they
    share; `used` (blocks,) of them are filled. A block of more than E pairs forgets the rest. Nodes
    are the regions, by `first` of their block, unless `certain`ly free, and behind them those of
    `node_of`, pieces of blocks that are not stored.
    """
    node = np.full((SIDE + 2, SIDE + 2, SIDE + 2), WALL, np.int32)
    around = node.reshape(-1)
    strides = np.array([(SIDE + 2) ** 2, SIDE + 2, 1])
    stored = first[-1]
    fields = (table, state, region, first, certain, node_of)
    for block in range(start, stop):
        used[block] = 0
        if not _gather_nodes(block, blocks, *fields, node):
            continue
        count = 0
        for corner in range(CORNERS):
            i, j, k = corner >> 6, corner >> 3 & 7, corner & 7
            place = ((i + 1) * (SIDE + 2) + j + 1) * (SIDE + 2) + k + 1
            here = around[place]
            if here < 0:
                continue
            for side in range(6):
                axis, step = side >> 1, 2 * (side & 1) - 1
                other = around[place + step * strides[axis]]
                if other == here:
                    continue
                if other == WALL:
                    walls[here] += 1
                elif other == BACK:
                    backs[here] += state[block, corner] == HIDDEN or not _shows_elsewhere(
                        blocks[block, 0] * SIDE + i + (step if axis == 0 else 0),
                        blocks[block, 1] * SIDE + j + (step if axis == 1 else 0),
                        blocks[block, 2] * SIDE + k + (step if axis == 2 else 0),
                        seen_past, enough, *fields,
                    )  # fmt: skip
                elif step == 1 or other >= stored:
                    e = count - 1
                    while e >= 0 and (edges[block, e, 0] != here or edges[block, e, 1] != other):
                        e -= 1
                    if e >= 0:
                        edges[block, e, 2] += 1
                    elif count < edges.shape[1]:
                        edges[block, count, 0] = here
                        edges[block, count, 1] = other
                        edges[block, count, 2] = 1
                        count += 1
        used[block] = count


@njit(cache=True, nogil=True)
def _gather_nodes(block, blocks, table, state, region, first, certain, node_of, node):
    """Fill `node` (10, 10, 10) with what a block's corners are, and the nearest layers of its six
    neighbours: nodes, or `WALL` or `BACK`. Returns whether any of its own corners is of a node.
    """
    some = False
    for side in range(7):
        axis = (side - 1) // 2
        step = 0 if side == 0 else 2 * ((side - 1) % 2) - 1
        dx = step if axis == 0 else 0
        dy = step if axis == 1 else 0
        dz = step if axis == 2 else 0
        bx, by, bz = blocks[block, 0] + dx, blocks[block, 1] + dy, blocks[block, 2] + dz
        home = table[bx, by, bz]
        for i in range(SIDE - 1 if dx < 0 else 0, 1 if dx > 0 else SIDE):
            for j in range(SIDE - 1 if dy < 0 else 0, 1 if dy > 0 else SIDE):
                for k in range(SIDE - 1 if dz < 0 else 0, 1 if dz > 0 else SIDE):
                    what = WALL
                    if home < 0:
                        what = node_of[bx, by, bz]
                    else:
                        corner = (i * SIDE + j) * SIDE + k
                        number = region[home, corner]
                        if number >= 0:
                            if not certain[first[home] + number]:
                                what = first[home] + number
                        elif state[home, corner] == SHELL:
                            what = BACK
                    node[1 + i + SIDE * dx, 1 + j + SIDE * dy, 1 + k + SIDE * dz] = what
                    some |= what >= 0
        if side == 0 and not some:
            return False
    return True


@njit(cache=True, nogil=True)
def settle_regions(start, stop, region, first, free, state):
    """Set the corners of blocks [start, stop) free whose region is in `free` (nodes,), and hidden
    those whose region is not.
    """
    for block in range(start, stop):
        for corner in range(CORNERS):
            if region[block, corner] >= 0:
                node = first[block] + region[block, corner]
                state[block, corner] = FREE if free[node] else HIDDEN
