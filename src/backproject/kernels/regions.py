"""What no view saw, cut into regions: the graph on which the least unsupported surface is found."""

import numpy as np
from numba import njit

from backproject.kernels.blocks import FREE, HIDDEN, INSIDE, SHELL, SIDE

CORNERS = SIDE * SIDE * SIDE
PART = SIDE // 2
"""Corners along the edge of a part of a block: regions do not go on from one part to another, so
that a region that reaches through a hole in the shell stays small.
"""


@njit(cache=True, nogil=True)
def label_regions(start, stop, state, region, counts):
    """Give numbers to the connected hidden corners within each part of blocks [start, stop), -1
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
                        if (place + step) // PART != place // PART:
                            continue
                        other = corner + step * stride
                        if state[block, other] == HIDDEN and region[block, other] < 0:
                            region[block, other] = number
                            stack[size] = other
                            size += 1
            number += 1
        counts[block] = number


@njit(cache=True, nogil=True)
def connect(start, stop, blocks, table, state, region, first, node_of, walls, backs, edges, used):
    """Count the faces between corners, for the regions of blocks [start, stop).

    `walls` of a node are its faces to free corners, `backs` those to the shell. Pairs of nodes go
    to `edges` (blocks, E, 3) with the number of faces they share; `used` (blocks,) of them are
    filled. A block of more than E pairs forgets the rest. Nodes are the regions, by `first` of
    their block, and behind them those of `node_of`, one a piece of unstored hidden blocks.
    """
    node = np.empty((SIDE + 2, SIDE + 2, SIDE + 2), np.int32)
    stored = first[-1]
    for block in range(start, stop):
        used[block] = 0
        bx, by, bz = blocks[block, 0], blocks[block, 1], blocks[block, 2]
        if first[block] == first[block + 1]:
            continue
        for side in range(7):
            # the block itself, then its six neighbours' nearest layers
            axis = (side - 1) // 2
            step = 0 if side == 0 else 2 * ((side - 1) % 2) - 1
            dx = step if axis == 0 else 0
            dy = step if axis == 1 else 0
            dz = step if axis == 2 else 0
            home = table[bx + dx, by + dy, bz + dz]
            whole = node_of[bx + dx, by + dy, bz + dz] if home == INSIDE else -1
            for i in range(SIDE - 1 if dx < 0 else 0, 1 if dx > 0 else SIDE):
                for j in range(SIDE - 1 if dy < 0 else 0, 1 if dy > 0 else SIDE):
                    for k in range(SIDE - 1 if dz < 0 else 0, 1 if dz > 0 else SIDE):
                        number = whole
                        if home >= 0:
                            corner = (i * SIDE + j) * SIDE + k
                            if state[home, corner] == HIDDEN:
                                number = first[home] + region[home, corner]
                            elif state[home, corner] == SHELL:
                                number = -2
                        node[1 + i + SIDE * dx, 1 + j + SIDE * dy, 1 + k + SIDE * dz] = number
        count = 0
        for side in range(6):
            axis, ahead = side // 2, side % 2
            dx = 2 * ahead - 1 if axis == 0 else 0
            dy = 2 * ahead - 1 if axis == 1 else 0
            dz = 2 * ahead - 1 if axis == 2 else 0
            for i in range(1, SIDE + 1):
                for j in range(1, SIDE + 1):
                    for k in range(1, SIDE + 1):
                        here, other = node[i, j, k], node[i + dx, j + dy, k + dz]
                        if here < 0 or here == other:
                            continue
                        if other == -1:
                            walls[here] += 1
                        elif other == -2:
                            backs[here] += 1
                        elif ahead == 1 or other >= stored:
                            e = count - 1
                            while e >= 0 and (
                                edges[block, e, 0] != here or edges[block, e, 1] != other
                            ):
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
def free_regions(start, stop, region, first, free, state):
    """Set the corners of blocks [start, stop) free whose region is in `free` (nodes,)."""
    for block in range(start, stop):
        for corner in range(CORNERS):
            if region[block, corner] >= 0 and free[first[block] + region[block, corner]]:
                state[block, corner] = FREE
