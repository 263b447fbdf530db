"""Creases and corners: where the planes that samples around a vertex lie on meet."""

import numpy as np
from numba import njit

from backproject.kernels import ANY_ORDER
from backproject.kernels.bins import AWAY, ONE, POOL, ZERO, padded

QUARTER = np.float32(0.25)
LEFT, PASSED = np.float32(-1), np.float32(-2)
"""What stands for the plane of a sample that has none yet, or will have none."""
SURE = np.float32(0.15)
"""Samples of less weight do not tell a plane: seen at grazing angles, or without slope."""
ALIKE = np.float32(0.97)
"""Cosine between the normals of one plane: 14 degrees."""
COPLANAR = np.float32(0.3)
"""How many voxels a sample may lie off the plane of another."""
ON = np.float32(0.02)
"""How many voxels off a plane a sample still lies on it, whatever its normal: beside an edge the
slope of depth is that of neither side.
"""
STRAY = 0.1
"""A crease lies between planes: of the samples around, no larger share may belong to none."""
MEMBERS = np.float32(3)
"""Fewer samples are no plane."""
TRIES = 8
"""How many samples that begin no plane are tried: around a rounded edge all are such."""
SHARP = 0.34
"""Sine of the least angle between planes that counts as a crease: 20 degrees."""


@njit(cache=True, nogil=True)
def bring_together(side, pool, begin, end, apart, near, places):
    """Copy the samples that count to `near` (10, POOL + 1), padded by some without weight; `places`
    (POOL + 1,), whole numbers, is for its own use.
    """
    held = np.uint64(0)  # indices that cannot be negative need no test
    for s in range(begin, end):
        places[held] = np.int32(s)  # always written, and kept by counting
        held += np.uint64(apart[s] == ZERO)
    for n in range(held):
        place = np.uint64(places[n])
        for field in range(3):
            near[field, n] = pool[field, place]
            near[3 + field, n] = side * pool[3 + field, place]
        near[6, n] = pool[6, place]
    count = np.int64(held)
    for n in range(count, padded(count)):
        for field in range(7):
            near[field, n] = ZERO


@njit(cache=True, nogil=True, forceinline=True, error_model="numpy", fastmath=ANY_ORDER)
def spread_out(x, y, z, near, lanes):
    """Fill `near[7]` with the weights of samples around a point, `near[8]` with their squared
    distances and `near[9]` with `LEFT`, or `PASSED` for those that do not tell a plane; return the
    sum of weights, and the number, of those that do.
    """
    everything = number = ZERO
    for s in range(lanes):
        dx, dy, dz = near[0, s] - x, near[1, s] - y, near[2, s] - z
        square = dx * dx + dy * dy + dz * dz
        weight = near[6, s] / (square + QUARTER)
        sure = ONE if near[6, s] > SURE else ZERO  # as a number, which SIMD can choose by
        near[7, s], near[8, s] = weight, square
        near[9, s] = PASSED + sure * (LEFT - PASSED)
        everything += weight * sure
        number += sure
    return everything, number


@njit(cache=True, nogil=True)
def nearest_left(near, lanes, squares, bits):
    """Return the nearest of the samples that are left; see `snap.measure`."""
    for s in range(lanes):
        square = near[8, s]  # loaded at any rate: SIMD wants no load that depends on a test
        squares[s] = square if near[9, s] == LEFT else AWAY
    least = bits[0]
    for s in range(lanes):
        least = min(least, bits[s])
    bits[POOL] = least
    nearest = 0
    while bits[nearest] != least:
        nearest += 1
    return nearest


@njit(cache=True, nogil=True, forceinline=True, fastmath=ANY_ORDER)
def add_up_plane(seed, near, lanes, plane, sums):
    """Give the samples that lie on the plane of one of them the number `plane`, and fill `sums`
    with their weighted normals and heights over it, weights and number.
    """
    px, py, pz = near[0, seed], near[1, seed], near[2, seed]
    nx, ny, nz = near[3, seed], near[4, seed], near[5, seed]
    sx = sy = sz = height = total = members = ZERO
    near[9, seed] = plane
    for s in range(lanes):
        rise = (near[0, s] - px) * nx + (near[1, s] - py) * ny + (near[2, s] - pz) * nz
        cosine = near[3, s] * nx + near[4, s] * ny + near[5, s] * nz
        before = near[9, s]
        on = (before == LEFT) & (cosine >= ALIKE) & (abs(rise) <= COPLANAR) | (before == plane)
        one = ONE if on else ZERO
        weight = near[7, s] * one
        sx += weight * near[3, s]
        sy += weight * near[4, s]
        sz += weight * near[5, s]
        height += weight * rise
        total += weight
        members += one
        near[9, s] = before + one * (plane - before)
    sums[0], sums[1], sums[2], sums[3], sums[4], sums[5] = sx, sy, sz, height, total, members


@njit(cache=True, nogil=True, forceinline=True, fastmath=ANY_ORDER)
def give_rest(near, lanes, planes, found):
    """Give samples without a plane that lie on one its number, and return the weight of the others
    that tell any.
    """
    for p in range(found):
        nx, ny = np.float32(planes[p, 0]), np.float32(planes[p, 1])
        nz, offset = np.float32(planes[p, 2]), np.float32(planes[p, 3])
        for s in range(lanes):
            rise = near[0, s] * nx + near[1, s] * ny + near[2, s] * nz - offset
            before = near[9, s]
            on = (before < ZERO) & (near[6, s] > ZERO) & (abs(rise) <= ON)
            near[9, s] = np.float32(p) if on else before
    total = ZERO
    for s in range(lanes):
        total += near[7, s] if (near[9, s] < ZERO) & (near[6, s] > SURE) else ZERO
    return total


@njit(cache=True, nogil=True, forceinline=True, fastmath=ANY_ORDER)
def pass_over(plane, near, lanes):
    """Let the samples with the number `plane` have none, and begin none."""
    for s in range(lanes):
        before = near[9, s]
        near[9, s] = before + (ONE if before == plane else ZERO) * (PASSED - before)


@njit(cache=True, nogil=True, forceinline=True)
def group_into_planes(x, y, z, near, count, squares, bits, sums, planes):
    """Fit at most three planes to the samples around a point, the nearest first; return how many.

    `planes` (3, 7) is filled with normals and offsets; `near[9]` on return holds the plane of
    each sample, or a negative number. Returns 0 if the samples are not those of a few planes that
    meet: a rounded edge is no crease.
    """
    lanes = padded(count)
    everything, left = spread_out(np.float32(x), np.float32(y), np.float32(z), near, lanes)
    found, failed = 0, 0
    while found < 3 and failed < TRIES and left >= MEMBERS:
        seed = nearest_left(near, lanes, squares, bits)
        add_up_plane(seed, near, lanes, np.float32(found), sums)
        left -= sums[5]
        if sums[5] < MEMBERS:
            failed += 1
            pass_over(np.float32(found), near, lanes)
            continue
        sx, sy, sz = np.float64(sums[0]), np.float64(sums[1]), np.float64(sums[2])
        length = np.sqrt(sx * sx + sy * sy + sz * sz)
        rise = sums[3] / sums[4]
        offset = 0.0
        for axis in range(3):
            planes[found, axis] = sums[axis] / length
            offset += planes[found, axis] * (near[axis, seed] + rise * near[3 + axis, seed])
        planes[found, 3] = offset
        found += 1
    if found < 2 or give_rest(near, lanes, planes, found) > STRAY * everything:
        return 0
    return found


@njit(cache=True, nogil=True, forceinline=True)
def sharpen(start, near, count, inset, squares, bits, sums, planes, place):
    """Move `place` onto the crease or corner that the samples show and the vertex belongs to.

    The vertex lies on the nearest plane of its samples. It belongs to the crease with another if,
    put on the first from its `start` on the net, `inset` voxels outside, it lies past the other, or
    so near before it that no other vertex of the net will be nearer. Dual contouring (Ju et al.
    2002) has the same aim; here the planes are found first, so no tolerance of singular values
    decides what is sharp.
    """
    found = group_into_planes(
        place[0], place[1], place[2], near, count, squares, bits, sums, planes
    )
    if found < 2:
        return
    x, y, z = start[0], start[1], start[2]
    used = 0
    for p in range(found):
        # the direction in which plane p is met without leaving those before
        ux, uy, uz = planes[p, 0], planes[p, 1], planes[p, 2]
        for q in range(used):
            along = ux * planes[q, 4] + uy * planes[q, 5] + uz * planes[q, 6]
            ux -= along * planes[q, 4]
            uy -= along * planes[q, 5]
            uz -= along * planes[q, 6]
        sine = np.sqrt(ux * ux + uy * uy + uz * uz)
        height = planes[p, 0] * x + planes[p, 1] * y + planes[p, 2] * z - planes[p, 3]
        if p > 0:
            cosine = np.sqrt(max(0.0, 1.0 - sine * sine))
            past = inset * (1.0 - cosine) + 0.5 * sine
            if sine < SHARP or height < -0.3 * sine or height > past:
                continue
        step = height / sine
        planes[used, 4], planes[used, 5], planes[used, 6] = ux / sine, uy / sine, uz / sine
        x -= step * planes[used, 4]
        y -= step * planes[used, 5]
        z -= step * planes[used, 6]
        if p > 0 and not measured(x, y, z, near, count, p):
            return
        used += 1
    if used > 1 and measured(x, y, z, near, count, 0):
        place[0], place[1], place[2] = x, y, z


@njit(cache=True, nogil=True, forceinline=True, fastmath=ANY_ORDER)
def measured(x, y, z, near, count, plane):
    """Return whether a sample of a plane lies within a voxel: no plane goes on unseen."""
    x, y, z, plane = np.float32(x), np.float32(y), np.float32(z), np.float32(plane)
    within = ZERO
    for s in range(padded(count)):
        dx, dy, dz = near[0, s] - x, near[1, s] - y, near[2, s] - z
        counts = (dx * dx + dy * dy + dz * dz <= ONE) & (near[9, s] == plane)
        within += ONE if counts else ZERO
    return within > ZERO
