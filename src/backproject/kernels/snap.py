"""Move the vertices of the net onto the surface that the samples of all views define together."""

import numpy as np
from numba import njit

from backproject.kernels.blocks import SIDE, is_free

BIN = 2
"""Corners along a bin's edge: samples are sorted into bins within the stored blocks."""
BINS = SIDE // BIN
CAPACITY = 256
"""How many samples around a vertex are looked at, at most."""
SURE = 0.15
"""Samples of less weight do not tell a plane: seen at grazing angles, or without slope."""
ALIKE = 0.97
"""Cosine between the normals of one plane: 14 degrees."""
COPLANAR = 0.3
"""How many voxels a sample may lie off the plane of another."""
STRAY = 0.1
"""A crease lies between planes: of the samples around, no larger share may belong to none."""
SMOOTH = 0.99
"""Length of the mean normal above which no crease is looked for."""
SHARP = 0.34
"""Sine of the least angle between planes that counts as a crease: 20 degrees."""


@njit(cache=True, nogil=True)
def sort_into_bins(points, origin, voxel, table, first, order):
    """Sort points by the bin they lie in: `order[first[b]:first[b + 1]]` are those of bin b, in
    their own order.

    Bin `(block * BINS + i) * BINS + ...` subdivides a stored block; points elsewhere are left out.
    Returns how many were sorted.
    """
    bins = np.empty(points.shape[0], np.int32)
    first[:] = 0
    for p in range(points.shape[0]):
        i = int((points[p, 0] - origin[0]) / voxel)
        j = int((points[p, 1] - origin[1]) / voxel)
        k = int((points[p, 2] - origin[2]) / voxel)
        block = table[i // SIDE, j // SIDE, k // SIDE]
        bins[p] = -1
        if block >= 0:
            inner = ((i % SIDE // BIN) * BINS + j % SIDE // BIN) * BINS + k % SIDE // BIN
            bins[p] = block * BINS**3 + inner
            first[bins[p] + 1] += 1
    for b in range(1, first.shape[0]):
        first[b] += first[b - 1]
    cursor = first[:-1].copy()
    for p in range(points.shape[0]):
        if bins[p] >= 0:
            order[cursor[bins[p]]] = p
            cursor[bins[p]] += 1
    return first[-1]


@njit(cache=True, nogil=True)
def gather(
    x, y, z, ox, oy, oz, origin, voxel, table, first, points, normals, weights, view_of, reach, near
):  # fmt: skip
    """Copy to `near` the samples within `reach` of a point that face the way of (ox, oy, oz).

    If none does, those that face the other way, turned round. Returns how many there are, as a
    negative number if turned; where there are more than `CAPACITY`, every second one of them is
    taken, or third, and so on.
    """
    size = voxel * BIN
    # Where pixels are much wider than voxels, the reach goes beyond the table.
    i0 = max(int((x - reach - origin[0]) / size), 0)
    j0 = max(int((y - reach - origin[1]) / size), 0)
    k0 = max(int((z - reach - origin[2]) / size), 0)
    i1 = min(int((x + reach - origin[0]) / size) + 1, table.shape[0] * BINS)
    j1 = min(int((y + reach - origin[1]) / size) + 1, table.shape[1] * BINS)
    k1 = min(int((z + reach - origin[2]) / size) + 1, table.shape[2] * BINS)
    count = 0
    side = 1.0
    facing, backing, stride = 0, 0, 1
    for attempt in range(2):
        for i in range(i0, i1):
            for j in range(j0, j1):
                for k in range(k0, k1):
                    block = table[i >> 2, j >> 2, k >> 2]
                    if block < 0:
                        continue
                    b = block * BINS**3 + ((i & 3) * BINS + (j & 3)) * BINS + (k & 3)
                    for s in range(first[b], first[b + 1]):
                        dx, dy, dz = points[s, 0] - x, points[s, 1] - y, points[s, 2] - z
                        if dx * dx + dy * dy + dz * dz > reach * reach:
                            continue
                        cosine = normals[s, 0] * ox + normals[s, 1] * oy + normals[s, 2] * oz
                        if attempt == 0:
                            backing += cosine < -0.1
                        if side * cosine < 0.1:
                            continue
                        facing += 1
                        if facing % stride or count == CAPACITY:
                            continue
                        near[0, count] = points[s, 0]
                        near[1, count] = points[s, 1]
                        near[2, count] = points[s, 2]
                        near[3, count] = side * normals[s, 0]
                        near[4, count] = side * normals[s, 1]
                        near[5, count] = side * normals[s, 2]
                        near[6, count] = weights[s]
                        near[9, count] = view_of[s]
                        count += 1
        if attempt == 1:
            break
        if facing > CAPACITY:
            stride = facing // CAPACITY + 1
        elif facing == 0 and backing > 0:
            side = -1.0
            stride = backing // CAPACITY + 1
        else:
            break
        facing, count = 0, 0
    return count if side > 0.0 else -count


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def step_to_surface(x, y, z, h, trust, near, count, result):
    """Fill `result` with the normal and the shift along it that bring (x, y, z) onto the samples,
    and, in its fifth place, the length of the mean normal; return whether any counted.

    Implicit moving least squares with two changes: the weight of a sample is compact, (1 - d^2 /
    h^2)^2, and `h` is to be wider where samples are sparse; and a sample's plane is tilted half-way
    to the mean normal, because the chord between two points of a sphere is perpendicular to the sum
    of their normals: exact on planes and spheres (Rusinkiewicz 2019 uses it in registration).
    """
    inverse = 1.0 / (h * h)
    weight = nx = ny = nz = cx = cy = cz = rise = 0.0
    for s in range(count):
        dx, dy, dz = near[0, s] - x, near[1, s] - y, near[2, s] - z
        bump = max(0.0, 1.0 - (dx * dx + dy * dy + dz * dz) * inverse)
        bump = bump * bump * near[6, s]
        weight += bump
        nx += bump * near[3, s]
        ny += bump * near[4, s]
        nz += bump * near[5, s]
        cx += bump * dx
        cy += bump * dy
        cz += bump * dz
        rise += bump * (dx * near[3, s] + dy * near[4, s] + dz * near[5, s])
    length = np.sqrt(nx * nx + ny * ny + nz * nz)
    if length == 0.0:
        return False
    nx /= length
    ny /= length
    nz /= length
    # the sum of bump (trust (n_i + n) + 2 (1 - trust) n) . d over the same with n in place of d
    result[0] = nx
    result[1] = ny
    result[2] = nz
    above = trust * rise + (2.0 - trust) * (cx * nx + cy * ny + cz * nz)
    result[3] = above / (trust * length + (2.0 - trust) * weight)
    result[4] = length / weight
    return True


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def nearest_sample(x, y, z, near, count):
    """Return the squared distance of the nearest sample."""
    best = np.inf
    for s in range(count):
        dx, dy, dz = near[0, s] - x, near[1, s] - y, near[2, s] - z
        best = min(best, dx * dx + dy * dy + dz * dz)
    return best


@njit(cache=True, nogil=True)
def snap(
    start, stop, vertices, outward, origin, voxel, table, first, points, normals, weights, view_of,
    reach, inset, kept, width, trust, rounds, beside, support,
):  # fmt: skip
    """Move vertices [start, stop) onto the samples around them.

    `points`, `normals`, `weights`, `view_of` are sorted by bin (`first`). `outward` is rough on
    entry and the surface's normal on return. Where all samples within `reach` face the other way,
    the vertex is on the back of a sheet and rests on its front. `support` tells how many views have
    samples within `beside` of the vertex on its own side; -1 where it rests on nothing.
    """
    near = np.empty((10, CAPACITY))
    last_seen = np.full(view_of.max() + 1 if len(view_of) else 1, -1, np.int64)
    planes = np.empty((3, 7))
    result = np.empty(5)
    for v in range(start, stop):
        x, y, z = vertices[v, 0], vertices[v, 1], vertices[v, 2]
        ox, oy, oz = outward[v, 0], outward[v, 1], outward[v, 2]
        # The net lies about `inset` outside of the surface.
        count = gather(
            x - inset * ox, y - inset * oy, z - inset * oz, ox, oy, oz,
            origin, voxel, table, first, points, normals, weights, view_of, reach, near,
        )  # fmt: skip
        turned, count = count < 0, abs(count)
        result[4] = 1.0
        for step in range(rounds):
            h = width if step else 1.5 * reach
            h = np.sqrt(h * h + nearest_sample(x, y, z, near, count))
            if not step_to_surface(x, y, z, h, trust, near, count, result):
                break
            x += result[3] * result[0]
            y += result[3] * result[1]
            z += result[3] * result[2]
            outward[v, 0], outward[v, 1], outward[v, 2] = result[0], result[1], result[2]
            if step == 0 and count < CAPACITY // 2:
                count = keep_nearest(x, y, z, kept * kept, near, count)
            elif step == 0:
                # Many samples were passed over: take all of those that matter.
                again = gather(
                    x, y, z, result[0], result[1], result[2],
                    origin, voxel, table, first, points, normals, weights, view_of, kept, near,
                )  # fmt: skip
                count = again if again > 0 else count
            elif abs(result[3]) < 5e-4 * width:
                break
        result[0], result[1], result[2] = x, y, z
        if count > 3 and result[4] < SMOOTH:
            sharpen(vertices[v], near, count, voxel, inset / voxel, planes, result)
        x, y, z = result[0], result[1], result[2]
        vertices[v, 0], vertices[v, 1], vertices[v, 2] = x, y, z
        support[v] = -1 if count == 0 else 0
        for s in range(0 if turned else count):
            dx, dy, dz = near[0, s] - x, near[1, s] - y, near[2, s] - z
            view = int(near[9, s])
            if dx * dx + dy * dy + dz * dz <= beside * beside and last_seen[view] != v:
                last_seen[view] = v
                support[v] += 1


@njit(cache=True, nogil=True)
def group_into_planes(x, y, z, near, count, voxel, planes):
    """Fit at most three planes to the samples around a point, the nearest first; return how many.

    `planes` (3, 7) is filled with normals and offsets; `near[7]` on return holds the plane of
    each sample, or -1. Returns 0 if the samples are not those of a few planes that meet: a rounded
    edge is no crease.
    """
    everything = 0.0
    for s in range(count):
        dx, dy, dz = near[0, s] - x, near[1, s] - y, near[2, s] - z
        near[8, s] = dx * dx + dy * dy + dz * dz
        near[7, s] = -2.0
        if near[6, s] > SURE:
            near[7, s] = -1.0
            everything += near[6, s] / (near[8, s] + 0.25 * voxel * voxel)
    found, stray = 0, 0.0
    while stray <= STRAY * everything:
        seed, best = -1, np.inf
        for s in range(count):
            if near[7, s] == -1.0 and near[8, s] < best:
                seed, best = s, near[8, s]
        if seed < 0:
            return found
        px, py, pz = near[0, seed], near[1, seed], near[2, seed]
        nx, ny, nz = near[3, seed], near[4, seed], near[5, seed]
        sx = sy = sz = offset = total = 0.0
        members = 0
        for s in range(count):
            if near[7, s] != -1.0:
                continue
            rise = (near[0, s] - px) * nx + (near[1, s] - py) * ny + (near[2, s] - pz) * nz
            cosine = near[3, s] * nx + near[4, s] * ny + near[5, s] * nz
            if s != seed and (cosine < ALIKE or abs(rise) > COPLANAR * voxel):
                continue
            weight = near[6, s] / (near[8, s] + 0.25 * voxel * voxel)
            sx += weight * near[3, s]
            sy += weight * near[4, s]
            sz += weight * near[5, s]
            offset += weight * rise
            total += weight
            members += 1
            near[7, s] = found
        if members < 3 or found == 3:
            stray += total
            for s in range(count):
                if near[7, s] == found:
                    near[7, s] = -2.0
            continue
        length = np.sqrt(sx * sx + sy * sy + sz * sz)
        sx, sy, sz = sx / length, sy / length, sz / length
        planes[found, 0], planes[found, 1], planes[found, 2] = sx, sy, sz
        rise = offset / total
        planes[found, 3] = sx * (px + rise * nx) + sy * (py + rise * ny) + sz * (pz + rise * nz)
        found += 1
    return 0


@njit(cache=True, nogil=True)
def sharpen(start, near, count, voxel, inset, planes, place):
    """Move `place` onto the crease or corner that the samples show and the vertex belongs to.

    The vertex lies on the nearest plane of its samples. It belongs to the crease with another if,
    put on the first from its `start` on the net, `inset` voxels outside, it lies past the other, or
    so near before it that no other vertex of the net will be nearer. Dual contouring (Ju et al.
    2002) has the same aim; here the planes are found first, so no tolerance of singular values
    decides what is sharp.
    """
    found = group_into_planes(place[0], place[1], place[2], near, count, voxel, planes)
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
            past = (inset * (1.0 - cosine) + 0.5 * sine) * voxel
            if sine < SHARP or height < -0.3 * sine * voxel or height > past:
                continue
        step = height / sine
        planes[used, 4], planes[used, 5], planes[used, 6] = ux / sine, uy / sine, uz / sine
        x -= step * planes[used, 4]
        y -= step * planes[used, 5]
        z -= step * planes[used, 6]
        if p > 0 and not measured(x, y, z, near, count, p, voxel):
            return
        used += 1
    if used > 1 and measured(x, y, z, near, count, 0, voxel):
        place[0], place[1], place[2] = x, y, z


@njit(cache=True, nogil=True)
def measured(x, y, z, near, count, plane, voxel):
    """Return whether a sample of a plane lies within a voxel: no plane goes on unseen."""
    for s in range(count):
        if near[7, s] == plane:
            dx, dy, dz = near[0, s] - x, near[1, s] - y, near[2, s] - z
            if dx * dx + dy * dy + dz * dz <= voxel * voxel:
                return True
    return False


@njit(cache=True, nogil=True)
def keep_nearest(x, y, z, limit, near, count):
    """Move the samples with a squared distance under `limit` to the front and return their number;
    all, if those are few.
    """
    kept = 0
    for s in range(count):
        dx, dy, dz = near[0, s] - x, near[1, s] - y, near[2, s] - z
        if dx * dx + dy * dy + dz * dz < limit:
            for field in (0, 1, 2, 3, 4, 5, 6, 9):
                near[field, kept], near[field, s] = near[field, s], near[field, kept]
            kept += 1
    return kept if kept > 3 else count


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
