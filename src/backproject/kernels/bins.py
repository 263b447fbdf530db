"""Samples sorted into bins within the stored blocks; those around a part of one, held together."""

import numpy as np
from numba import njit

from backproject.kernels.blocks import SIDE

BIN = 2
"""Corners along a bin's edge: samples are sorted into bins within the stored blocks."""
BINS = SIDE // BIN
PART = 4
"""Cells along the edge of a part of a block, whose vertices look for samples together."""
POOL = 512
"""How many samples around a part are held at once, at most: 16 KB."""
LANES = 32
"""Samples are padded to a multiple of so many, which SIMD takes at a time."""
AWAY = np.float32(1e9)
"""Squared distance, in voxels, of samples that do not count."""
ZERO, ONE = np.float32(0), np.float32(1)


@njit(cache=True, nogil=True)
def find_bins(start, stop, points, origin, voxel, table, bins):
    """Fill `bins` (S,) with the bin that each of points [start, stop) lies in, -1 if in no block.

    Bin `((block * BINS + i) * BINS + j) * BINS + k` subdivides a stored block.
    """
    for p in range(start, stop):
        i = int((points[p, 0] - origin[0]) / voxel)
        j = int((points[p, 1] - origin[1]) / voxel)
        k = int((points[p, 2] - origin[2]) / voxel)
        block = table[i // SIDE, j // SIDE, k // SIDE]
        bins[p] = -1
        if block >= 0:
            inner = ((i % SIDE // BIN) * BINS + j % SIDE // BIN) * BINS + k % SIDE // BIN
            bins[p] = block * BINS**3 + inner


@njit(cache=True, nogil=True)
def sort_bins(bins, first, places):
    """Fill `first` (bins + 1,) with where each bin begins and `places` (S,) with where each sample
    goes, -1 if into no bin. Within a bin samples keep their order.
    """
    first[:] = 0
    for p in range(bins.shape[0]):
        if bins[p] >= 0:
            first[bins[p] + 1] += 1
    for b in range(1, first.shape[0]):
        first[b] += first[b - 1]
    cursor = first[:-1].copy()
    for p in range(bins.shape[0]):
        places[p] = -1
        if bins[p] >= 0:
            places[p] = cursor[bins[p]]
            cursor[bins[p]] += 1


@njit(cache=True, nogil=True)
def file_samples(start, stop, points, normals, weights, view_of, origin, voxel, places, filed):
    """Write samples [start, stop) to their places in `filed` (S, 8) float32: x, y, z in voxels from
    the corner of their block, which keeps them to 5e-7 voxels, normal, weight and view.
    """
    for p in range(start, stop):
        place = places[p]
        if place < 0:
            continue
        for axis in range(3):
            along = (points[p, axis] - origin[axis]) / voxel
            filed[place, axis] = along - int(along) // SIDE * SIDE
            filed[place, 3 + axis] = normals[p, axis]
        filed[place, 6] = weights[p]
        filed[place, 7] = view_of[p]


@njit(cache=True, nogil=True, inline="always")
def bins_between(low, high, block):
    """Return the bins of a block along one axis that lie between two places, from the first to
    before the last.
    """
    begin = block * BINS
    return max(int(low) // BIN - begin, 0), min(int(high) // BIN + 1 - begin, BINS)


@njit(cache=True, nogil=True)
def collect(box, corner, stride, table, first, filed, pool):
    """Copy every `stride`-th of the samples in a box to `pool` (8, POOL + 1), their places relative
    to `corner`, and return how many there are, also if the pool has no room for them.
    """
    x0, x1 = np.float32(box[0, 0] - corner[0]), np.float32(box[1, 0] - corner[0])
    y0, y1 = np.float32(box[0, 1] - corner[1]), np.float32(box[1, 1] - corner[1])
    z0, z1 = np.float32(box[0, 2] - corner[2]), np.float32(box[1, 2] - corner[2])
    held = 0
    # Where pixels are much wider than voxels, the box goes beyond the table.
    for bx in range(
        max(int(box[0, 0]) // SIDE, 0), min(int(box[1, 0]) // SIDE + 1, table.shape[0])
    ):
        i0, i1 = bins_between(box[0, 0], box[1, 0], bx)
        from_x = np.float32(bx * SIDE - corner[0])
        for by in range(
            max(int(box[0, 1]) // SIDE, 0), min(int(box[1, 1]) // SIDE + 1, table.shape[1])
        ):
            j0, j1 = bins_between(box[0, 1], box[1, 1], by)
            from_y = np.float32(by * SIDE - corner[1])
            for bz in range(
                max(int(box[0, 2]) // SIDE, 0), min(int(box[1, 2]) // SIDE + 1, table.shape[2])
            ):
                if table[bx, by, bz] < 0:
                    continue
                k0, k1 = bins_between(box[0, 2], box[1, 2], bz)
                from_z = np.float32(bz * SIDE - corner[2])
                for n in range((i1 - i0) * (j1 - j0)):
                    i, j = i0 + n // (j1 - j0), j0 + n % (j1 - j0)
                    row = ((table[bx, by, bz] * BINS + i) * BINS + j) * BINS
                    begin = (first[row + k0] + stride - 1) // stride * stride
                    for s in range(begin, first[row + k1], stride):
                        x, y, z = filed[s, 0] + from_x, filed[s, 1] + from_y, filed[s, 2] + from_z
                        # Always written, and kept by counting: faster than a guess gone wrong.
                        place = min(held, POOL)
                        pool[0, place], pool[1, place], pool[2, place] = x, y, z
                        for field in range(3, 8):
                            pool[field, place] = filed[s, field]
                        within = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
                        held += within & (z >= z0) & (z <= z1)
    for s in range(held, padded(held) if held < POOL else held):
        for field in range(8):
            pool[field, s] = ZERO
        pool[0, s] = AWAY  # out of reach of all
    return held


@njit(cache=True, nogil=True)
def collect_some(box, corner, table, first, filed, pool):
    """Do as `collect` for so many that the pool has room for them, and return how many it holds and
    of how many samples every one is one.
    """
    stride = 1
    held = collect(box, corner, stride, table, first, filed, pool)
    while held > POOL:
        stride *= held // POOL + 1
        held = collect(box, corner, stride, table, first, filed, pool)
    return held, stride


@njit(cache=True, nogil=True, inline="always")
def padded(count):
    """Return the next multiple of `LANES`: a loop over so many leaves no scalar remainder."""
    return (count + LANES - 1) & -LANES


@njit(cache=True, nogil=True)
def part_end(begin, vertices):
    """Return the end of the run of vertices that lie in the same part as vertex `begin`."""
    i, j, k = part_of(vertices, begin)
    end = begin + 1
    while end < vertices.shape[0] and part_of(vertices, end) == (i, j, k):
        end += 1
    return end


@njit(cache=True, nogil=True, inline="always")
def part_of(vertices, v):
    """Return the part of a block that a vertex on the net lies in."""
    return int(vertices[v, 0]) // PART, int(vertices[v, 1]) // PART, int(vertices[v, 2]) // PART


@njit(cache=True, nogil=True)
def pool_around(begin, end, net, outward, inset, reach, corner, table, first, filed, pool, box):
    """Fill `pool` with the samples in reach of the vertices from `begin` to `end`, or of so many
    of them that there is room.

    Returns how many it holds, for vertices up to which, and of how many samples every one is one: a
    vertex alone may have more than there is room for.
    """
    while True:
        for axis in range(3):
            low = high = net[begin, axis] - inset * outward[begin, axis]
            for v in range(begin + 1, end):
                along = net[v, axis] - inset * outward[v, axis]
                low, high = min(low, along), max(high, along)
            box[0, axis], box[1, axis] = low - reach, high + reach
        held = collect(box, corner, 1, table, first, filed, pool)
        if held <= POOL:
            return held, end, 1
        if end == begin + 1:
            held, stride = collect_some(box, corner, table, first, filed, pool)
            return held, end, stride
        end = begin + max(1, (end - begin) * POOL // held)
