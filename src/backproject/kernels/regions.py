"""What no view saw, and what few views see through, cut into regions: the graph on which the least
unsupported surface is found.
"""

import numpy as np
from numba import njit

from backproject.kernels.blocks import (
    FREE,
    HIDDEN,
    NOTHING,
    ONE,
    PART,
    SHELL,
    SIDE,
    corner_of,
    grow,
)
from backproject.kernels.field import height_over

CORNERS = SIDE * SIDE * SIDE
THROUGH = 4
"""Corners across the shell around a sheet without thickness, at most."""
WALL, BACK = -1, -2
"""What stands for a neighbour that is no node: free for certain, or next to a sample."""


@njit(cache=True, nogil=True)
def label_regions(start, stop, state, doubtful, region, counts):
    """Give numbers to the connected hidden corners within each part of blocks [start, stop), and to
    the connected free ones if those are `doubtful`; -1 elsewhere. Count the regions.

    They do not go on from one part to another, so that a region that reaches through a hole in the
    shell stays small.
    """
    for block in range(start, stop):
        region[block, :] = -1
        number = 0
        for part in range(8):
            i0, j0, k0 = PART * (part >> 2), PART * (part >> 1 & 1), PART * (part & 1)
            for kind in (HIDDEN, FREE) if doubtful else (HIDDEN, HIDDEN):
                left = NOTHING
                for c in range(PART**3):
                    corner = corner_of(i0, j0, k0, c)
                    if state[block, corner] == kind and region[block, corner] < 0:
                        left |= ONE << np.uint64(c)
                while left != NOTHING:
                    piece = grow(left & (~left + ONE), left)
                    left &= ~piece
                    for c in range(PART**3):
                        if piece >> np.uint64(c) & ONE:
                            region[block, corner_of(i0, j0, k0, c)] = number
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
def name_nodes(start, stop, state, region, first, certain, node):
    """Fill `node` (B, 512) of blocks [start, stop) with each corner's node, or `WALL` where it is
    free for certain, or `BACK` in the shell.
    """
    for block in range(start, stop):
        for corner in range(CORNERS):
            number = region[block, corner]
            if number >= 0:
                name = first[block] + number
                node[block, corner] = WALL if certain[name] else name
            else:
                node[block, corner] = BACK if state[block, corner] == SHELL else WALL


@njit(cache=True, nogil=True)
def _shows_elsewhere(i, j, k, seen_past, enough, table, node, node_of):
    """Return whether space that more than `enough` views see past lies behind the shell at a
    corner, in any direction.
    """
    for side in range(6):
        axis, step = side // 2, 2 * (side % 2) - 1
        dx = step if axis == 0 else 0
        dy = step if axis == 1 else 0
        dz = step if axis == 2 else 0
        for far in range(1, THROUGH + 1):
            x, y, z = i + far * dx, j + far * dy, k + far * dz
            home = table[x >> 3, y >> 3, z >> 3]
            if home < 0:
                what = node_of[x >> 3, y >> 3, z >> 3]
            else:
                what = node[home, ((x & 7) * SIDE + (y & 7)) * SIDE + (z & 7)]
            if what == WALL or (what >= 0 and seen_past[what] > enough):
                return True
            if what != BACK:
                break
    return False


@njit(cache=True, nogil=True)
def connect(
    start, stop, blocks, table, node, node_of, stored, seen_past, enough, walls, backs, edges, used
):
    """Count the faces between corners, for the nodes of blocks [start, stop).

    `walls` of a node are its faces to corners that are free for certain; `backs` those to the
    shell, but not those that a node of free corners has to a sheet which shows on its other side.
    Pairs of nodes go to `edges` (blocks, E, 3) with the number of faces they share; `used`
    (blocks,) of them are filled. A block of more than E pairs forgets the rest. The first `stored`
    nodes are in `node` (B, 512), the others in `node_of`, for blocks that are not stored.
    """
    for block in range(start, stop):
        used[block] = 0
        own = node[block]
        if own.max() < 0:
            continue
        bx, by, bz = blocks[block, 0], blocks[block, 1], blocks[block, 2]
        count = 0
        for side in range(6):
            axis, ahead = side >> 1, side & 1
            dx = 2 * ahead - 1 if axis == 0 else 0
            dy = 2 * ahead - 1 if axis == 1 else 0
            dz = 2 * ahead - 1 if axis == 2 else 0
            home = table[bx + dx, by + dy, bz + dz]
            beyond = node_of[bx + dx, by + dy, bz + dz]
            shift = 6 - 3 * axis
            stride = (2 * ahead - 1) << shift
            for corner in range(CORNERS):
                here = own[corner]
                if here < 0:
                    continue
                if corner >> shift & 7 != 7 * ahead:
                    other = own[corner + stride]
                elif home < 0:
                    other = beyond
                else:
                    other = node[home, corner - 7 * stride]
                if other == here:
                    continue
                if other == WALL:
                    walls[here] += 1
                elif other == BACK:
                    backs[here] += seen_past[here] == 0 or not _shows_elsewhere(
                        bx * SIDE + (corner >> 6) + dx,
                        by * SIDE + (corner >> 3 & 7) + dy,
                        bz * SIDE + (corner & 7) + dz,
                        seen_past, enough, table, node, node_of,
                    )  # fmt: skip
                elif ahead == 1 or other >= stored:
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
def settle_regions(start, stop, region, first, free, state):
    """Set the corners of blocks [start, stop) free whose region is in `free` (nodes,), and hidden
    those whose region is not.
    """
    for block in range(start, stop):
        for corner in range(CORNERS):
            if region[block, corner] >= 0:
                node = first[block] + region[block, corner]
                state[block, corner] = FREE if free[node] else HIDDEN
