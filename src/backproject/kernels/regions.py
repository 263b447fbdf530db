"""What no view saw, cut into regions: the graph on which the least unsupported surface is found."""

import numpy as np
from numba import njit

from backproject.kernels.blocks import HIDDEN, INSIDE, SHELL, SIDE

CORNERS = SIDE * SIDE * SIDE


@njit(cache=True, nogil=True)
def label_regions(start, stop, state, region, counts):
    """Give numbers to the connected hidden corners within each block [start, stop), from 0; -1
    elsewhere; count the regions.
    """
    stack = np.empty(CORNERS, np.int32)
    for block in range(start, stop):
        region[block, :] = -1
        number = 0
        for seed in range(CORNERS):
            if state[block, seed] != HIDDEN or region[block, seed] >= 0:
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
                        if place + step < 0 or place + step >= SIDE:
                            continue
                        other = corner + step * stride
                        if state[block, other] == HIDDEN and region[block, other] < 0:
                            region[block, other] = number
                            stack[size] = other
                            size += 1
            number += 1
        counts[block] = number


@njit(cache=True, nogil=True, inline="always")
def _node(table, region, state, first, node_of, bx, by, bz, corner):
    """Return the node a corner belongs to, or -1 if it is free, -2 if it is shell."""
    block = table[bx, by, bz]
    if block >= 0:
        if state[block, corner] == HIDDEN:
            return first[block] + region[block, corner]
        return -2 if state[block, corner] == SHELL else -1
    if block == INSIDE:
        return node_of[bx, by, bz]
    return -1


@njit(cache=True, nogil=True)
def connect(blocks, table, state, region, first, node_of, walls, backs, edges, capacity):
    """Count the faces between neighbouring corners: `walls` to free space and `backs` to the shell
    of each node, and between nodes.

    Faces between two nodes go to `edges` (E, 2) with their number in `capacity`, of which the first
    returned number are filled (an edge can come several times). `blocks` lists the stored blocks
    and, after them, the unstored hidden ones.
    """
    count = 0
    for b in range(blocks.shape[0]):
        bx, by, bz = blocks[b, 0], blocks[b, 1], blocks[b, 2]
        stored = table[bx, by, bz] >= 0
        for axis in range(3):
            stride = 1 << 3 * (2 - axis)
            last_a, last_b = -3, -3
            for corner in range(CORNERS):
                place = corner >> 3 * (2 - axis) & 7
                if place < SIDE - 1:
                    if not stored:
                        continue
                    a = _node(table, region, state, first, node_of, bx, by, bz, corner)
                    o = _node(table, region, state, first, node_of, bx, by, bz, corner + stride)
                else:
                    a = _node(table, region, state, first, node_of, bx, by, bz, corner)
                    o = _node(
                        table,
                        region,
                        state,
                        first,
                        node_of,
                        bx + (axis == 0),
                        by + (axis == 1),
                        bz + (axis == 2),
                        corner - (SIDE - 1) * stride,
                    )
                if a == o or (a < 0 and o < 0):
                    continue
                if a == -1:
                    walls[o] += 1
                elif o == -1:
                    walls[a] += 1
                elif a == -2:
                    backs[o] += 1
                elif o == -2:
                    backs[a] += 1
                elif a == last_a and o == last_b:
                    capacity[count - 1] += 1
                else:
                    if count == edges.shape[0]:
                        return -1
                    edges[count, 0], edges[count, 1] = a, o
                    capacity[count] = 1
                    last_a, last_b = a, o
                    count += 1
    return count
