"""Move the vertices of the net onto the surface that the samples of all views define together."""

import numpy as np
from numba import njit

from backproject.kernels.blocks import SIDE, is_free

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
ZERO, QUARTER, ONE = np.float32(0), np.float32(0.25), np.float32(1)
LEFT, PASSED = np.float32(-1), np.float32(-2)
"""What stands for the plane of a sample that has none yet, or will have none."""
FACING = np.float32(0.1)
"""Least cosine between a sample's normal and the way a vertex faces."""
FIRST = 1.1
"""Samples count in the first step out to so many times as far as any can be."""
SURE = np.float32(0.15)
"""Samples of less weight do not tell a plane: seen at grazing angles, or without slope."""
ALIKE = np.float32(0.97)
"""Cosine between the normals of one plane: 14 degrees."""
COPLANAR = np.float32(0.3)
"""How many voxels a sample may lie off the plane of another."""
STRAY = 0.1
"""A crease lies between planes: of the samples around, no larger share may belong to none."""
SMOOTH = 0.99
"""Length of the mean normal above which no crease is looked for."""
SHARP = 0.34
"""Sine of the least angle between planes that counts as a crease: 20 degrees."""


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
    for field in range(8):
        for s in range(held, padded(held) if held < POOL else held):
            pool[field, s] = ZERO
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


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def choose(x, y, z, ox, oy, oz, reach, pool, lanes, apart):
    """Let those samples count that lie within `reach` of a point and face the way of (ox, oy, oz):
    0 in `apart`, else `AWAY`. Returns how many they are. All numbers are float32.
    """
    limit = reach * reach
    count = ZERO
    for s in range(lanes):
        dx, dy, dz = pool[0, s] - x, pool[1, s] - y, pool[2, s] - z
        cosine = pool[3, s] * ox + pool[4, s] * oy + pool[5, s] * oz
        counts = (dx * dx + dy * dy + dz * dz <= limit) & (cosine >= FACING)
        apart[s] = ZERO if counts else AWAY
        count += ONE if counts else ZERO
    return int(count)


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def measure(x, y, z, pool, lanes, apart, squares, bits):
    """Fill `squares` with the squared distances of the samples that count, more than `AWAY` for the
    others, and return the least.

    `bits` are the same numbers as integers, which order alike if none is negative: SIMD finds the
    least of integers, but not of floats, because of nan.
    """
    for s in range(lanes):
        dx, dy, dz = pool[0, s] - x, pool[1, s] - y, pool[2, s] - z
        squares[s] = dx * dx + dy * dy + dz * dz + apart[s]
    least = bits[0]
    for s in range(lanes):
        least = min(least, bits[s])
    bits[POOL] = least
    return squares[POOL]


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def leave_far(limit, lanes, squares, apart):
    """Let samples count no longer whose squared distance is not under `limit`; if but few would
    stay, all do. Returns how many stay, 0 for all.
    """
    count = ZERO
    for s in range(lanes):
        count += ONE if squares[s] < limit else ZERO
    if count <= 3:
        return 0
    for s in range(lanes):
        apart[s] = ZERO if squares[s] < limit else AWAY
    return int(count)


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def step_to_surface(x, y, z, inverse, side, trust, rest, pool, lanes, apart, result):
    """Fill `result` with the normal and the shift along it that bring (x, y, z) onto the samples,
    and, in its fifth place, the length of the mean normal; return whether any counted.

    Implicit moving least squares with two changes: the weight of a sample is compact, (1 - d^2 /
    h^2)^2, with `inverse` for 1 / h^2, and h is to be wider where samples are sparse; and a
    sample's plane is tilted half-way to the mean normal, because the chord between two points of a
    sphere is perpendicular to the sum of their normals: exact on planes and spheres (Rusinkiewicz
    2019 uses it in registration). `side` is -1 where normals are to be turned round; `rest` is 2 -
    `trust`.
    """
    weight = nx = ny = nz = cx = cy = cz = lift = ZERO
    for s in range(lanes):
        dx, dy, dz = pool[0, s] - x, pool[1, s] - y, pool[2, s] - z
        square = dx * dx + dy * dy + dz * dz + apart[s]
        bump = max(ZERO, ONE - square * inverse)
        bump = bump * bump * pool[6, s]
        weight += bump
        nx += bump * pool[3, s]
        ny += bump * pool[4, s]
        nz += bump * pool[5, s]
        cx += bump * dx
        cy += bump * dy
        cz += bump * dz
        lift += bump * (dx * pool[3, s] + dy * pool[4, s] + dz * pool[5, s])
    length = np.sqrt(nx * nx + ny * ny + nz * nz)
    if length == ZERO:
        return False
    turn = side / length
    nx *= turn
    ny *= turn
    nz *= turn
    # the sum of bump (trust (n_i + n) + 2 (1 - trust) n) . d over the same with n in place of d
    result[0] = nx
    result[1] = ny
    result[2] = nz
    above = trust * side * lift + rest * (cx * nx + cy * ny + cz * nz)
    result[3] = above / (trust * length + rest * weight)
    result[4] = length / weight
    return True


@njit(cache=True, nogil=True)
def views_within(x, y, z, reach, pool, lanes, apart, views):
    """Return how many of the `views` have a sample that counts within `reach` of a point."""
    total, limit = 0, reach * reach
    for begin in range(0, views, 32):
        seen = 0
        for s in range(lanes):
            dx, dy, dz = pool[0, s] - x, pool[1, s] - y, pool[2, s] - z
            view = int(pool[7, s]) - begin
            counts = dx * dx + dy * dy + dz * dz + apart[s] <= limit
            counts &= (view >= 0) & (view < 32)
            seen |= int(counts) << (view & 31)
        while seen:
            seen &= seen - 1
            total += 1
    return total


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
    planes, result, box = np.empty((3, 7)), np.empty(5, np.float32), np.empty((2, 3))
    sums = np.empty(6, np.float32)
    corner, from_net, place = np.empty(3), np.empty(3), np.empty(3)
    trust, rest = np.float32(trust), np.float32(2.0 - trust)
    settled, inverse = np.float32(1e-4 * width), ONE
    widest = np.float32((FIRST * (reach + inset)) ** -2.0)  # all that count have weight
    begin = start if start == 0 else part_end(start - 1, net)
    end = begin
    while begin < stop or begin < end:
        if begin == end:
            end = part_end(begin, net)
            for axis in range(3):
                corner[axis] = int(net[begin, axis]) // PART * PART + 0.5 * PART
        held, pooled, stride = pool_around(
            begin, end, net, outward, inset, reach, corner, table, first, filed, pool, box
        )
        lanes = padded(held)
        for v in range(begin, pooled):
            for axis in range(3):
                from_net[axis] = net[v, axis] - corner[axis]
            x, y, z = np.float32(from_net[0]), np.float32(from_net[1]), np.float32(from_net[2])
            ox = np.float32(outward[v, 0])
            oy = np.float32(outward[v, 1])
            oz = np.float32(outward[v, 2])
            # The net lies about `inset` outside of the surface.
            away = np.float32(inset)
            inner = x - away * ox, y - away * oy, z - away * oz
            ball = np.float32(reach)
            side = ONE
            count = choose(*inner, ox, oy, oz, ball, pool, lanes, apart)
            if count == 0:
                count = choose(*inner, -ox, -oy, -oz, ball, pool, lanes, apart)
                side = -ONE
            result[4], length, fitted = ONE, ZERO, False
            for step in range(rounds if count else 0):
                if step == 1:
                    # as far as `width`, and farther where samples are sparse
                    least = measure(x, y, z, pool, lanes, apart, squares, bits)
                    inverse = ONE / (np.float32(width * width) + least)
                    if stride == 1:
                        stay = leave_far(np.float32(kept * kept), lanes, squares, apart)
                        count = stay if stay else count
                if not step_to_surface(
                    x, y, z, inverse if step else widest, side, trust, rest, pool, lanes, apart,
                    result,
                ):  # fmt: skip
                    break
                x += result[3] * result[0]
                y += result[3] * result[1]
                z += result[3] * result[2]
                length, before, fitted = abs(result[3]), length, True
                if step > 0 and length * length < before * settled:
                    break  # as much shorter again, the next step would be nothing
                if step == 0 and stride > 1:
                    # Many samples were passed over: take all of those that matter.
                    for axis, along in enumerate((x, y, z)):
                        middle = corner[axis] + along
                        box[0, axis], box[1, axis] = middle - kept, middle + kept
                    held, _ = collect_some(box, corner, table, first, filed, pool)
                    lanes = padded(held)
                    count = choose(
                        x, y, z, side * result[0], side * result[1], side * result[2],
                        np.float32(kept), pool, lanes, apart,
                    )  # fmt: skip
                    if count == 0:
                        held = pool_around(
                            v, v + 1, net, outward, inset, reach, corner, table, first, filed,
                            pool, box,
                        )[0]  # fmt: skip
                        lanes = padded(held)
                        count = choose(
                            *inner, side * ox, side * oy, side * oz, ball, pool, lanes, apart
                        )
            if fitted:
                outward[v, 0], outward[v, 1], outward[v, 2] = result[0], result[1], result[2]
            place[0], place[1], place[2] = x, y, z
            if count > 3 and result[4] < SMOOTH:
                count = bring_together(side, pool, lanes, apart, near)
                sharpen(from_net, near, count, inset, squares, bits, sums, planes, place)
            for axis in range(3):
                vertices[v, axis] = origin[axis] + voxel * (corner[axis] + place[axis])
            support[v] = 0 if count else -1
            if count and side == ONE:
                x, y, z = np.float32(place[0]), np.float32(place[1]), np.float32(place[2])
                support[v] = views_within(x, y, z, np.float32(beside), pool, lanes, apart, views)
        begin = pooled


@njit(cache=True, nogil=True)
def bring_together(side, pool, lanes, apart, near):
    """Copy the samples that count to `near` (10, POOL + 1) and return their number."""
    count = 0
    for s in range(lanes):
        near[9, count] = s  # always written, and kept by counting
        count += apart[s] == ZERO
    for n in range(count):
        s = int(near[9, n])
        near[0, n], near[1, n], near[2, n], near[6, n] = (
            pool[0, s],
            pool[1, s],
            pool[2, s],
            pool[6, s],
        )
        for field in range(3, 6):
            near[field, n] = side * pool[field, s]
    for n in range(count, padded(count)):
        for field in range(7):
            near[field, n] = ZERO
    return count


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def spread_out(x, y, z, near, lanes):
    """Fill `near[7]` with the weights of samples around a point, `near[8]` with their squared
    distances and `near[9]` with `LEFT`, or `PASSED` for those that do not tell a plane; return the
    sum of weights.
    """
    everything = ZERO
    for s in range(lanes):
        dx, dy, dz = near[0, s] - x, near[1, s] - y, near[2, s] - z
        square = dx * dx + dy * dy + dz * dz
        weight = near[6, s] / (square + QUARTER)
        sure = near[6, s] > SURE
        near[7, s], near[8, s] = weight, square
        near[9, s] = LEFT if sure else PASSED
        everything += weight if sure else ZERO
    return everything


@njit(cache=True, nogil=True)
def nearest_left(near, lanes, squares, bits):
    """Return the nearest of the samples that are left, -1 if none is; see `measure`."""
    for s in range(lanes):
        squares[s] = near[8, s] if near[9, s] == LEFT else AWAY
    least = bits[0]
    for s in range(lanes):
        least = min(least, bits[s])
    bits[POOL] = least
    if squares[POOL] == AWAY:
        return -1
    nearest = 0
    while bits[nearest] != least:
        nearest += 1
    return nearest


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
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
        on = (near[9, s] == LEFT) & (cosine >= ALIKE) & (abs(rise) <= COPLANAR)
        on |= near[9, s] == plane
        weight = near[7, s] if on else ZERO
        sx += weight * near[3, s]
        sy += weight * near[4, s]
        sz += weight * near[5, s]
        height += weight * rise
        total += weight
        members += ONE if on else ZERO
        near[9, s] = plane if on else near[9, s]
    sums[0], sums[1], sums[2], sums[3], sums[4], sums[5] = sx, sy, sz, height, total, members


@njit(cache=True, nogil=True)
def group_into_planes(x, y, z, near, count, squares, bits, sums, planes):
    """Fit at most three planes to the samples around a point, the nearest first; return how many.

    `planes` (3, 7) is filled with normals and offsets; `near[9]` on return holds the plane of
    each sample, or a negative number. Returns 0 if the samples are not those of a few planes that
    meet: a rounded edge is no crease.
    """
    lanes = padded(count)
    everything = spread_out(np.float32(x), np.float32(y), np.float32(z), near, lanes)
    found, stray = 0, 0.0
    while stray <= STRAY * everything:
        seed = nearest_left(near, lanes, squares, bits)
        if seed < 0:
            return found
        add_up_plane(seed, near, lanes, np.float32(found), sums)
        if sums[5] < 3 or found == 3:
            stray += sums[4]
            for s in range(lanes):
                near[9, s] = PASSED if near[9, s] == found else near[9, s]
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
    return 0


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def measured(x, y, z, near, count, plane):
    """Return whether a sample of a plane lies within a voxel: no plane goes on unseen."""
    for s in range(count):
        if near[9, s] == plane:
            dx, dy, dz = near[0, s] - x, near[1, s] - y, near[2, s] - z
            if dx * dx + dy * dy + dz * dz <= 1.0:
                return True
    return False


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
