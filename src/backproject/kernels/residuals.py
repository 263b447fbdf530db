"""How far samples lie off the triangles of a mesh, and its vertices moved so that they do less."""

import numpy as np
from numba import njit

from backproject.kernels import ANY_ORDER
from backproject.kernels.bins import BINS, ONE, POOL, ZERO, collect, collect_some, padded
from backproject.kernels.samples import UNSURE

ALIGNED = np.float32(0.9)
"""Least cosine between a triangle's normal and that of a sample that may lie on it: a triangle that
cuts an edge off stays as it is, as no move brings it onto both sides.
"""
GUESSED = np.float32(UNSURE)
"""Samples of no more weight, whose normal is a guess or seen edge-on, lie on no triangle."""
WITHIN = 0.5
"""How many voxels off a triangle a sample may lie and still belong to it."""
TOGETHER, ASIDE = 32, 5.0
"""So many faces look for samples together; fewer where they do not lie within so many voxels."""
STEP = 1.2
"""How far a step goes, in mean heights of the samples around a vertex; below 2 all converge."""
SUMS = 13
"""Numbers that are kept of each triangle."""
LEVEL = 2e-3
"""Heights of less, in voxels, in the root mean square, are nothing."""
FLAT = np.float32(1e-12)
"""Square of a parallelogram's area, in voxels, below which a triangle has no normal."""


@njit(cache=True, nogil=True, error_model="numpy")
def add_up_residuals(
    start, stop, faces, vertices, outward, origin, voxel, table, first, filed, sums
):
    """Fill `sums` (F, `SUMS`) float32 for groups [start, stop) of the `faces` (F, 3), `TOGETHER`
    each, of a mesh with `vertices` (V, 3), in scene units, and unit directions `outward` (V, 3).

    `filed` (S, 8) are the samples, sorted by the bins of the grid from `origin` (`table`, `first`),
    see `kernels.bins`. It is faster where faces that follow each other lie beside each other.

    A sample lies on a triangle if its foot does, it is within `WITHIN`, and has a normal that is
    `ALIGNED`. All that do count alike: where depth is exact, a slanting sample lies on the surface
    as truly as one that is seen head-on. The first ten are sums over them: their number, u, v,
    u u, u v, v v, h, u h, v h and h h, for their heights h, in voxels, and barycentric coordinates
    u of the second and v of the third corner. The last three are how far the triangle rises where
    each of its corners is moved along `outward`.
    """
    scale = 1.0 / voxel
    wide = ASIDE * voxel
    pool = np.empty((8, POOL + 1), np.float32)
    slabs = np.empty(BINS * max(table.shape[0], table.shape[1]) + 1, np.int64)
    low, high, corner, box = np.empty(3), np.empty(3), np.empty(3), np.empty((2, 3))
    begin, last = start * TOGETHER, min(stop * TOGETHER, len(faces))
    while begin < last:
        # A group begins where it does whoever works on it, and so does what it rounds from.
        end = min(last, (begin // TOGETHER + 1) * TOGETHER)
        while True:
            end = run_end(begin, end, faces, vertices, wide, low, high)
            for axis in range(3):
                box[0, axis] = (low[axis] - origin[axis]) * scale - WITHIN
                box[1, axis] = (high[axis] - origin[axis]) * scale + WITHIN
                corner[axis] = np.floor(box[0, axis])
            held, stride = collect(box, corner, 0, 1, table, first, filed, pool, slabs), 1
            if held <= POOL:
                break
            if end == begin + 1:
                held, stride = collect_some(box, corner, 0, table, first, filed, pool, slabs)
                break
            end = begin + max(1, (end - begin) * POOL // held)
        lanes, each = np.uint64(padded(held)), np.float32(stride)
        for axis in range(3):
            corner[axis] = origin[axis] + voxel * corner[axis]
        for f in range(begin, end):
            a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
            frame = frame_of(vertices, a, b, c, scale)
            x = np.float32((vertices[a, 0] - corner[0]) * scale)
            y = np.float32((vertices[a, 1] - corner[1]) * scale)
            z = np.float32((vertices[a, 2] - corner[2]) * scale)
            add_up(x, y, z, frame, pool, lanes, each, sums, f)
            nx, ny, nz = frame[0], frame[1], frame[2]
            sums[f, 10] = nx * outward[a, 0] + ny * outward[a, 1] + nz * outward[a, 2]
            sums[f, 11] = nx * outward[b, 0] + ny * outward[b, 1] + nz * outward[b, 2]
            sums[f, 12] = nx * outward[c, 0] + ny * outward[c, 1] + nz * outward[c, 2]
        begin = end


@njit(cache=True, nogil=True)
def run_end(begin, stop, faces, vertices, wide, low, high):
    """Return the end of the run of faces from `begin`, at most `stop`, that lie within a box no
    wider than `wide`, and fill in its corners `low` and `high` (3,).
    """
    for axis in range(3):
        low[axis], high[axis] = np.inf, -np.inf
    for f in range(begin, stop):
        x0, y0, z0, x1, y1, z1 = low[0], low[1], low[2], high[0], high[1], high[2]
        for n in range(3):
            v = faces[f, n]
            x, y, z = vertices[v, 0], vertices[v, 1], vertices[v, 2]
            x0, y0, z0 = min(x0, x), min(y0, y), min(z0, z)
            x1, y1, z1 = max(x1, x), max(y1, y), max(z1, z)
        if f > begin and max(x1 - x0, y1 - y0, z1 - z0) > wide:
            return f
        low[0], low[1], low[2], high[0], high[1], high[2] = x0, y0, z0, x1, y1, z1
    return stop


@njit(cache=True, nogil=True, inline="always")
def frame_of(vertices, a, b, c, scale):
    """Return the unit normal of a triangle and the gradients of the barycentric coordinates of its
    second and third corner, in voxels; zeros if it has no normal.
    """
    ex = np.float32((vertices[b, 0] - vertices[a, 0]) * scale)
    ey = np.float32((vertices[b, 1] - vertices[a, 1]) * scale)
    ez = np.float32((vertices[b, 2] - vertices[a, 2]) * scale)
    fx = np.float32((vertices[c, 0] - vertices[a, 0]) * scale)
    fy = np.float32((vertices[c, 1] - vertices[a, 1]) * scale)
    fz = np.float32((vertices[c, 2] - vertices[a, 2]) * scale)
    nx, ny, nz = ey * fz - ez * fy, ez * fx - ex * fz, ex * fy - ey * fx
    square = nx * nx + ny * ny + nz * nz
    inverse = ONE / square if square > FLAT else ZERO
    unit = np.sqrt(inverse)
    return (
        nx * unit,
        ny * unit,
        nz * unit,
        (fy * nz - fz * ny) * inverse,
        (fz * nx - fx * nz) * inverse,
        (fx * ny - fy * nx) * inverse,
        (ny * ez - nz * ey) * inverse,
        (nz * ex - nx * ez) * inverse,
        (nx * ey - ny * ex) * inverse,
    )


@njit(cache=True, nogil=True, forceinline=True, fastmath=ANY_ORDER)
def add_up(x, y, z, frame, pool, lanes, each, sums, f):
    """Fill the first ten of row `f` of `sums` for a triangle with its first corner at (x, y, z),
    in voxels from the corner of the pool, of whose samples `each` stands for so many.

    A triangle without a normal faces no sample.
    """
    nx, ny, nz, ux, uy, uz, vx, vy, vz = frame
    within = np.float32(WITHIN)
    number = su = sv = suu = suv = svv = sh = suh = svh = shh = ZERO
    for s in range(lanes):
        dx, dy, dz = pool[0, s] - x, pool[1, s] - y, pool[2, s] - z
        h = dx * nx + dy * ny + dz * nz
        u = dx * ux + dy * uy + dz * uz
        v = dx * vx + dy * vy + dz * vz
        cosine = pool[3, s] * nx + pool[4, s] * ny + pool[5, s] * nz
        on = (abs(h) <= within) & (u >= ZERO) & (v >= ZERO) & (u + v <= ONE)
        on &= (cosine >= ALIGNED) & (pool[6, s] > GUESSED)
        one = each if on else ZERO
        up, vp, hp = u * one, v * one, h * one
        number += one
        su += up
        sv += vp
        suu += u * up
        suv += u * vp
        svv += v * vp
        sh += hp
        suh += u * hp
        svh += v * hp
        shh += h * hp
    sums[f, 0], sums[f, 1], sums[f, 2] = number, su, sv
    sums[f, 3], sums[f, 4], sums[f, 5] = suu, suv, svv
    sums[f, 6], sums[f, 7], sums[f, 8], sums[f, 9] = sh, suh, svh, shh


@njit(cache=True, nogil=True, error_model="numpy")
def find_moves(faces, sums, damping, steps, moves):
    """Fill `moves` (V,) with how many voxels along their directions vertices go in so many `steps`
    towards where the samples lie off the `faces` (F, 3) least, in the mean square. `sums` are as
    `add_up_residuals` fills them.

    A step moves every vertex by the mean of what is left of the heights around, weighted by its
    barycentric coordinate there: Richardson's iteration for the normal equations, with the sums of
    their rows on the diagonal, by which it converges on any mesh. `damping`, in samples at the
    vertex, makes steps shorter where few samples are, and changes nothing in where they lead: it is
    few steps that leave alone what few samples tell.
    """
    count = len(moves)
    pull, weight = np.empty(count), np.full(count, damping)
    for f in range(len(faces)):
        weight[faces[f, 0]] += sums[f, 0] - sums[f, 1] - sums[f, 2]
        weight[faces[f, 1]] += sums[f, 1]
        weight[faces[f, 2]] += sums[f, 2]
    moves[:] = 0.0
    for _ in range(steps):
        pull[:] = 0.0
        for f in range(len(faces)):
            number = sums[f, 0]
            if number == ZERO:
                continue
            a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
            rise = moves[a] * sums[f, 10]
            in_u, in_v = moves[b] * sums[f, 11] - rise, moves[c] * sums[f, 12] - rise
            u, v, uv = sums[f, 1], sums[f, 2], sums[f, 4]
            left = sums[f, 6] - rise * number - in_u * u - in_v * v
            left_u = sums[f, 7] - rise * u - in_u * sums[f, 3] - in_v * uv
            left_v = sums[f, 8] - rise * v - in_u * uv - in_v * sums[f, 5]
            pull[a] += sums[f, 10] * (left - left_u - left_v)
            pull[b] += sums[f, 11] * left_u
            pull[c] += sums[f, 12] * left_v
        for v in range(count):
            if weight[v]:
                moves[v] += STEP * pull[v] / weight[v]


@njit(cache=True, nogil=True, error_model="numpy")
def compare_moves(start, stop, faces, sums, moves, ratios):
    """Fill `ratios` (G,) for groups [start, stop) of the `faces` (F, 3): the mean square of what
    `moves` (V,) do at their vertices, times the samples there, over the mean square of the heights
    that are left, see `find_moves`. It is inf where these are under `LEVEL`, nan without samples.

    Samples that scatter about their triangles move each vertex by as much as the mean of as many
    does; a surface that is not as the triangles are moves them farther than what is left tells.
    """
    for group in range(start, stop):
        moved = left = samples = 0.0
        begin, end = group * TOGETHER, min(group * TOGETHER + TOGETHER, len(faces))
        for f in range(begin, end):
            number = sums[f, 0]
            if number == ZERO:
                continue
            p, q, r = moves[faces[f, 0]], moves[faces[f, 1]], moves[faces[f, 2]]
            u, v, h, hu, hv = sums[f, 1], sums[f, 2], sums[f, 6], sums[f, 7], sums[f, 8]
            moved += p * p * (number - u - v) + q * q * u + r * r * v
            rise = p * sums[f, 10]
            in_u, in_v = q * sums[f, 11] - rise, r * sums[f, 12] - rise
            square = rise * rise * number + in_u * in_u * sums[f, 3] + in_v * in_v * sums[f, 5]
            mixed = rise * (in_u * u + in_v * v) + in_u * in_v * sums[f, 4]
            left += sums[f, 9] - 2 * (rise * h + in_u * hu + in_v * hv) + square + 2 * mixed
            samples += number
        if left > LEVEL * LEVEL * samples:
            ratios[group] = 2 * moved / (end - begin) / (left / samples)
        else:
            ratios[group] = np.inf if samples else np.nan


@njit(cache=True, nogil=True)
def move(start, stop, moves, outward, voxel, vertices):
    """Move `vertices` [start, stop) of (V, 3), in scene units, by `moves` (V,), in voxels, along
    `outward` (V, 3).
    """
    for v in range(start, stop):
        for axis in range(3):
            vertices[v, axis] += voxel * moves[v] * outward[v, axis]
