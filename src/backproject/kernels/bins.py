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


@njit(cache=True, nogil=True)
def bins_of(box, axis, table):
    """Return the bins along an axis of the grid that a box touches, from the first to before the
    last. Where pixels are much wider than voxels, it goes beyond the table.
    """
    first = max(int(np.floor(box[0, axis] / BIN)), 0)
    return first, min(int(np.floor(box[1, axis] / BIN)) + 1, table.shape[axis] * BINS)


@njit(cache=True, nogil=True)
def collect(box, corner, across, stride, table, first, filed, pool, slabs):
    """Copy every `stride`-th of the samples in a box to `pool` (8, POOL + 1), their places relative
    to `corner`, and return how many there are, also if the pool has no room for them.

    They come bin by bin along axis `across`, 0 or 1: those in bin n begin at slabs[n].
    """
    x0, x1 = np.float32(box[0, 0] - corner[0]), np.float32(box[1, 0] - corner[0])
    y0, y1 = np.float32(box[0, 1] - corner[1]), np.float32(box[1, 1] - corner[1])
    z0, z1 = np.float32(box[0, 2] - corner[2]), np.float32(box[1, 2] - corner[2])
    u0, u1 = bins_of(box, across, table)
    v0, v1 = bins_of(box, 1 - across, table)
    k0, k1 = bins_of(box, 2, table)
    held = 0
    for u in range(u0, u1):
        slabs[u] = held
        for v in range(v0, v1):
            i, j = (v, u) if across else (u, v)
            bx, by = i // BINS, j // BINS
            from_x, from_y = np.float32(bx * SIDE - corner[0]), np.float32(by * SIDE - corner[1])
            for bz in range(k0 // BINS, (k1 + BINS - 1) // BINS):
                block = table[bx, by, bz]
                if block < 0:
                    continue
                from_z = np.float32(bz * SIDE - corner[2])
                row = ((block * BINS + i % BINS) * BINS + j % BINS) * BINS - bz * BINS
                begin = first[row + max(k0, bz * BINS)]
                end = first[row + min(k1, (bz + 1) * BINS)]
                for s in range((begin + stride - 1) // stride * stride, end, stride):
                    x, y, z = filed[s, 0] + from_x, filed[s, 1] + from_y, filed[s, 2] + from_z
                    # Always written, and kept by counting: faster than a guess gone wrong.
                    place = min(held, POOL)
                    pool[0, place], pool[1, place], pool[2, place] = x, y, z
                    for field in range(3, 8):
                        pool[field, place] = filed[s, field]
                    within = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
                    held += within & (z >= z0) & (z <= z1)
    slabs[u1] = held
    for s in range(held, padded(held) if held < POOL else held):
        for field in range(8):
            pool[field, s] = ZERO
        pool[0, s] = AWAY  # out of reach of all
    return held


@njit(cache=True, nogil=True, inline="always")
def span(place, reach, held, box, across, table, slabs):
    """Return where those of the `held` samples of a pool begin and end that may lie within `reach`
    of a `place` along axis `across`, as `collect` left them; a multiple of `LANES` lie between.
    """
    begin, end = bins_of(box, across, table)
    low = min(max(int((place - reach) / BIN), begin), end)
    high = min(max(int((place + reach) / BIN) + 1, begin), end)
    count = padded(slabs[high] - slabs[low])
    start = min(slabs[low], padded(held) - count)
    return np.uint64(start), np.uint64(start + count)


@njit(cache=True, nogil=True)
def collect_some(box, corner, across, table, first, filed, pool, slabs):
    """Do as `collect` for so many that the pool has room for them, and return how many it holds and
    of how many samples every one is one.
    """
    stride = 1
    held = collect(box, corner, across, stride, table, first, filed, pool, slabs)
    while held > POOL:
        stride *= held // POOL + 1
        held = collect(box, corner, across, stride, table, first, filed, pool, slabs)
    return held, stride


@njit(cache=True, nogil=True)
def hold_near(x, y, z, reach, corner, across, table, first, filed, pool, box, slabs):
    """Hold the samples in a box around a place relative to `corner`, up to `reach` to each side, or
    as many of them as there is room for, and return how many.
    """
    for axis, along in enumerate((x, y, z)):
        middle = corner[axis] + along
        box[0, axis], box[1, axis] = middle - reach, middle + reach
    return collect_some(box, corner, across, table, first, filed, pool, slabs)[0]


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
def across_of(begin, end, outward):
    """Return the axis, 0 or 1, along which the surface of vertices from `begin` to `end` goes on
    farther.
    """
    x = y = 0.0
    for v in range(begin, end):
        x += outward[v, 0]
        y += outward[v, 1]
    return int(abs(x) > abs(y))


@njit(cache=True, nogil=True)
def pool_around(
    begin, end, net, outward, inset, reach, corner, across, table, first, filed, pool, box, slabs,
):  # fmt: skip
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
        held = collect(box, corner, across, 1, table, first, filed, pool, slabs)
        if held <= POOL:
            return held, end, 1
        if end == begin + 1:
            held, stride = collect_some(box, corner, across, table, first, filed, pool, slabs)
            return held, end, stride
        end = begin + max(1, (end - begin) * POOL // held)
