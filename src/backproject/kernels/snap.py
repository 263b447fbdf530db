"""Move the vertices of the net onto the surface that the samples of all views define together."""

import numpy as np
from numba import njit

from backproject.kernels import ANY_ORDER
from backproject.kernels.bins import (
    AWAY,
    BINS,
    ONE,
    PART,
    POOL,
    ZERO,
    across_of,
    hold_near,
    padded,
    part_end,
    pool_around,
    span,
)
from backproject.kernels.carving import is_free
from backproject.kernels.sharpen import bring_together, sharpen

FACING = np.float32(0.1)
"""Least cosine between a sample's normal and the way a vertex faces."""
BEYOND = np.float32(-0.2)
"""The same of samples on the other side of a crease; those on the back of a sheet are below it."""
ALONE = 0.45
"""A vertex may lie on a plane past its end if no sample is nearer than so many widths."""
FIRST = 1.1
"""Samples count in the first step out to so many times as far as any can be."""
SMOOTH = 0.99
"""Length of the mean normal above which no crease is looked for."""
BENT = 0.998
"""The same, above which a surface is as bent as its normals say; below may be the end of a crease.
"""
EIGHTH = np.float32(0.125)
NOTHING = (ZERO,) * 9
CHORD = 0.116
"""Triangles lie so many times the mean curvature off a surface that their corners lie on, in
voxels: a 24th of the sum of their squared edges, the mean over a sphere's net.
"""


@njit(cache=True, nogil=True, forceinline=True, fastmath=ANY_ORDER)
def choose(x, y, z, ox, oy, oz, facing, reach, pool, begin, end, apart):
    """Let those samples count that lie within `reach` of a point and whose normals have a cosine of
    at least `facing` to (ox, oy, oz): 0 in `apart`, else `AWAY`. Returns how many they are. All
    numbers are float32.
    """
    limit = reach * reach
    count = ZERO
    for s in range(begin, end):
        dx, dy, dz = pool[0, s] - x, pool[1, s] - y, pool[2, s] - z
        cosine = pool[3, s] * ox + pool[4, s] * oy + pool[5, s] * oz
        counts = (dx * dx + dy * dy + dz * dz <= limit) & (cosine >= facing)
        apart[s] = ZERO if counts else AWAY
        count += ONE if counts else ZERO
    return int(count)


@njit(cache=True, nogil=True, forceinline=True, fastmath=ANY_ORDER)
def measure(x, y, z, pool, begin, end, apart, squares, bits):
    """Fill `squares` with the squared distances of the samples that count, more than `AWAY` for the
    others, and return the least.

    `bits` are the same numbers as integers, which order alike if none is negative: SIMD finds the
    least of integers, but not of floats, because of nan.
    """
    for s in range(begin, end):
        dx, dy, dz = pool[0, s] - x, pool[1, s] - y, pool[2, s] - z
        squares[s] = dx * dx + dy * dy + dz * dz + apart[s]
    least = bits[begin]
    for s in range(begin, end):
        least = min(least, bits[s])
    bits[POOL] = least
    return squares[POOL]


@njit(cache=True, nogil=True, forceinline=True, fastmath=ANY_ORDER)
def leave_far(limit, begin, end, squares, apart):
    """Let samples count no longer whose squared distance, as `measure` filled it, is not under
    `limit`; if but few would stay, all do. Returns how many count.
    """
    before = count = ZERO
    for s in range(begin, end):
        before += ONE if squares[s] < AWAY else ZERO
        count += ONE if squares[s] < limit else ZERO
    if count <= 3:
        return int(before)
    for s in range(begin, end):
        apart[s] = ZERO if squares[s] < limit else AWAY
    return int(count)


@njit(cache=True, nogil=True, inline="always")
def added(sums, dx, dy, dz, square, inverse, weight, pool, s):
    """Return `sums` with one sample more: of the bumps of the samples' weights, and of these times
    normals, ways (dx, dy, dz), their products and squared distances.
    """
    bump = max(ZERO, ONE - square * inverse)
    bump = bump * bump * weight
    nx, ny, nz = pool[3, s], pool[4, s], pool[5, s]
    return (
        sums[0] + bump,
        sums[1] + bump * nx,
        sums[2] + bump * ny,
        sums[3] + bump * nz,
        sums[4] + bump * dx,
        sums[5] + bump * dy,
        sums[6] + bump * dz,
        sums[7] + bump * (dx * nx + dy * ny + dz * nz),
        sums[8] + bump * square,
    )


@njit(cache=True, nogil=True, forceinline=True, fastmath=ANY_ORDER)
def first_step(
    x, y, z, ox, oy, oz, inset, reach, inverse, side, trust, rest, pool, begin, end, apart
):
    """Choose the samples that count for a vertex at (x, y, z) on the net, which lies about `inset`
    outside the surface in the direction (ox, oy, oz), as `choose` does around where the surface may
    be; return what `step_to_surface` does, and how many they are.
    """
    limit, inset = reach * reach, side * inset
    count, sums = ZERO, NOTHING
    for s in range(begin, end):
        dx, dy, dz = pool[0, s] - x, pool[1, s] - y, pool[2, s] - z
        px, py, pz = dx + inset * ox, dy + inset * oy, dz + inset * oz
        cosine = pool[3, s] * ox + pool[4, s] * oy + pool[5, s] * oz
        counts = (px * px + py * py + pz * pz <= limit) & (cosine >= FACING)
        one = ONE if counts else ZERO
        apart[s] = ZERO if counts else AWAY
        count += one
        square = dx * dx + dy * dy + dz * dz
        sums = added(sums, dx, dy, dz, square, inverse, pool[6, s] * one, pool, s)
    return int(count), solve(sums, inverse, side, trust, rest)


@njit(cache=True, nogil=True, forceinline=True, fastmath=ANY_ORDER)
def step_to_surface(x, y, z, inverse, side, trust, rest, pool, begin, end, apart):
    """Return the normal and the shift along it that bring (x, y, z) onto the samples, the length of
    the mean normal, 0 if none counted, and the mean curvature: that of a sphere of which all
    (n_i - n) d_i are d_i^2 over the radius.

    Implicit moving least squares with two changes: the weight of a sample is compact, (1 - d^2 /
    h^2)^2, with `inverse` for 1 / h^2, and h is to be wider where samples are sparse; and a
    sample's plane is tilted half-way to the mean normal, because the chord between two points of a
    sphere is perpendicular to the sum of their normals: exact on planes and spheres (Rusinkiewicz
    2019 uses it in registration). `side` is -1 where normals are to be turned round; `rest` is 2 -
    `trust`.
    """
    sums = NOTHING
    for s in range(begin, end):
        dx, dy, dz = pool[0, s] - x, pool[1, s] - y, pool[2, s] - z
        square = dx * dx + dy * dy + dz * dz + apart[s]
        sums = added(sums, dx, dy, dz, square, inverse, pool[6, s], pool, s)
    return solve(sums, inverse, side, trust, rest)


@njit(cache=True, nogil=True, inline="always")
def solve(sums, inverse, side, trust, rest):
    """Return what `step_to_surface` does, from the sums of `added`."""
    weight, nx, ny, nz, cx, cy, cz, lift, spread = sums
    length = np.sqrt(nx * nx + ny * ny + nz * nz)
    if length == ZERO:
        return ZERO, ZERO, ZERO, ZERO, ZERO, ZERO
    turn = side / length
    nx *= turn
    ny *= turn
    nz *= turn
    # the sum of bump (trust (n_i + n) + 2 (1 - trust) n) . d over the same with n in place of d
    flat = cx * nx + cy * ny + cz * nz
    above = trust * side * lift + rest * flat
    # A few samples close by do not tell: over a disk the mean of d^2 is h^2 / 4.
    bend = (side * lift - flat) / max(spread, EIGHTH * weight / inverse)
    return nx, ny, nz, above / (trust * length + rest * weight), length / weight, bend


@njit(cache=True, nogil=True)
def views_within(x, y, z, reach, pool, begin, end, apart, views):
    """Return how many of the `views` have a sample that counts within `reach` of a point."""
    total, limit = 0, reach * reach
    for first in range(0, views, 32):
        seen = np.int32(0)
        for s in range(begin, end):
            dx, dy, dz = pool[0, s] - x, pool[1, s] - y, pool[2, s] - z
            view = np.int32(np.int32(pool[7, s]) - np.int32(first))
            counts = dx * dx + dy * dy + dz * dz + apart[s] <= limit
            counts &= (view >= 0) & (view < 32)
            seen = np.int32(seen | np.int32(np.int32(counts) << (view & np.int32(31))))
        while seen:
            seen &= seen - 1
            total += 1
    return total


@njit(cache=True, nogil=True)
def snap(
    start, stop, net, outward, origin, voxel, table, first, filed,
    reach, inset, kept, width, trust, rounds, beside, views, vertices, support,
):  # fmt: skip
    """Put the vertices of the parts of `net` that begin in [start, stop) onto the samples around
    them.

    `net` (V, 3), like all lengths, is in voxels from `origin`; `filed` are the samples, sorted by
    bin (`first`). `vertices` is filled with the places in the scene; `outward` is rough on entry
    and the surface's normal on return. Where all samples within `reach` face the other way, the
    vertex is on the back of a sheet and rests on its front. `support` tells how many of the `views`
    have samples within `beside` of the vertex on its own side; -1 where it rests on nothing.
    """
    pool, near = np.empty((8, POOL + 1), np.float32), np.empty((10, POOL + 1), np.float32)
    apart, squares = np.empty(POOL, np.float32), np.empty(POOL + 1, np.float32)
    bits = squares.view(np.int32)
    slabs = np.empty(BINS * max(table.shape[0], table.shape[1]) + 1, np.int64)
    planes, box = np.empty((3, 7)), np.empty((2, 3))
    sums = np.empty(6, np.float32)
    corner, from_net, place = np.empty(3), np.empty(3), np.empty(3)
    trust, rest = np.float32(trust), np.float32(2.0 - trust)
    settled = np.float32(1e-4 * width)
    alone = np.float32((ALONE * width) ** 2)
    widest = np.float32((FIRST * (reach + inset)) ** -2.0)  # all that count have weight
    away, ball, far = np.float32(inset), np.float32(reach), np.float32(kept * kept)
    begin = start if start == 0 else part_end(start - 1, net)
    end = begin
    while begin < stop or begin < end:
        if begin == end:
            end = part_end(begin, net)
            for axis in range(3):
                corner[axis] = int(net[begin, axis]) // PART * PART + 0.5 * PART
            across = across_of(begin, end, outward)
        held, pooled, stride = pool_around(
            begin, end, net, outward, inset, reach, corner, across, table, first, filed, pool, box,
            slabs,
        )  # fmt: skip
        for v in range(begin, pooled):
            for axis in range(3):
                from_net[axis] = net[v, axis] - corner[axis]
            x, y, z = np.float32(from_net[0]), np.float32(from_net[1]), np.float32(from_net[2])
            ox = np.float32(outward[v, 0])
            oy = np.float32(outward[v, 1])
            oz = np.float32(outward[v, 2])
            middle = from_net[across] + corner[across] - inset * outward[v, across]
            low, high = span(middle, reach, held, box, across, table, slabs)
            side = ONE
            count, found = first_step(
                x, y, z, ox, oy, oz, away, ball, widest, side, trust, rest, pool, low, high, apart
            )
            if count == 0:
                side = -ONE
                count, found = first_step(
                    x, y, z, -ox, -oy, -oz, away, ball, widest, side, trust, rest, pool, low, high,
                    apart,
                )  # fmt: skip
            nx, ny, nz, shift, straight, bend = found
            least, steps, inverse = ZERO, 0, widest
            if straight == ZERO:
                nx, ny, nz, straight = ox, oy, oz, ONE
            else:
                x, y, z = x + shift * nx, y + shift * ny, z + shift * nz
                steps = rounds - 1
                if stride > 1:
                    # Many samples were passed over: take all of those that matter.
                    held = hold_near(
                        x, y, z, kept, corner, across, table, first, filed, pool, box, slabs
                    )
                    low, high = np.uint64(0), np.uint64(padded(held))
                    count = choose(
                        x, y, z, side * nx, side * ny, side * nz, FACING, np.float32(kept), pool,
                        low, high, apart,
                    )  # fmt: skip
                    if count == 0:  # where voxels are wide, the first step can end far from them
                        held = pool_around(
                            v, v + 1, net, outward, inset, reach, corner, across, table, first,
                            filed, pool, box, slabs,
                        )[0]  # fmt: skip
                        high = np.uint64(padded(held))
                        count, _ = first_step(
                            np.float32(from_net[0]), np.float32(from_net[1]),
                            np.float32(from_net[2]), side * ox, side * oy, side * oz, away, ball,
                            widest, side, trust, rest, pool, low, high, apart,
                        )  # fmt: skip
                # as far as `width`, and farther where samples are sparse
                least = measure(x, y, z, pool, low, high, apart, squares, bits)
                inverse = ONE / (np.float32(width * width) + least)
                if inverse * far < ONE and stride == 1:
                    count = leave_far(far, low, high, squares, apart)
            length = abs(shift)
            for _ in range(steps):
                found = step_to_surface(x, y, z, inverse, side, trust, rest, pool, low, high, apart)
                if found[4] == ZERO:
                    break
                nx, ny, nz, shift, straight, bend = found
                x, y, z = x + shift * nx, y + shift * ny, z + shift * nz
                length, before = abs(shift), length
                if length * length < before * settled:
                    break  # as much shorter again, the next step would be nothing
            outward[v, 0], outward[v, 1], outward[v, 2] = nx, ny, nz
            place[0], place[1], place[2] = x, y, z
            creased = 0
            if least > alone and side == ONE and stride == 1:
                middle = corner[across] + place[across]
                low, high = span(middle, reach, held, box, across, table, slabs)
                creased = choose(x, y, z, nx, ny, nz, BEYOND, ball, pool, low, high, apart)
            elif straight < SMOOTH:
                creased = leave_far(far, low, high, squares, apart)
            elif straight > BENT:
                # The triangles, not their corners, lie on the surface: nothing is thinned.
                lift = CHORD * bend
                place[0], place[1], place[2] = x + lift * nx, y + lift * ny, z + lift * nz
            if creased > 3:
                bring_together(side, pool, low, high, apart, near, bits)
                sharpen(from_net, near, creased, inset, squares, bits, sums, planes, place)
            for axis in range(3):
                vertices[v, axis] = origin[axis] + voxel * (corner[axis] + place[axis])
            support[v] = 0 if count else -1
            if count and side == ONE:
                x, y, z = np.float32(place[0]), np.float32(place[1]), np.float32(place[2])
                support[v] = views_within(
                    x, y, z, np.float32(beside), pool, low, high, apart, views
                )
        begin = pooled


@njit(cache=True, nogil=True)
def settle_walls(start, stop, vertices, outward, support, w, cameras, steepest, length):
    """Move vertices [start, stop) that rest on no sample to where the views' free space begins, by
    bisection.

    The boundary is looked for within `length` along `outward`; a vertex stays where it is if there
    is none.
    """
    everyone = np.arange(w.shape[0])
    for v in range(start, stop):
        if support[v] >= 0:
            continue
        support[v] = 0
        x, y, z = vertices[v, 0], vertices[v, 1], vertices[v, 2]
        dx, dy, dz = outward[v, 0], outward[v, 1], outward[v, 2]
        inner, outer = -length, length
        if is_free(
            w,
            cameras,
            steepest,
            x + inner * dx,
            y + inner * dy,
            z + inner * dz,
            0.0,
            everyone,
            len(everyone),
        ) or not is_free(
            w,
            cameras,
            steepest,
            x + outer * dx,
            y + outer * dy,
            z + outer * dz,
            0.0,
            everyone,
            len(everyone),
        ):
            continue
        for _ in range(8):
            middle = 0.5 * (inner + outer)
            if is_free(
                w,
                cameras,
                steepest,
                x + middle * dx,
                y + middle * dy,
                z + middle * dz,
                0.0,
                everyone,
                len(everyone),
            ):
                outer = middle
            else:
                inner = middle
        vertices[v, 0] += outer * dx
        vertices[v, 1] += outer * dy
        vertices[v, 2] += outer * dz
