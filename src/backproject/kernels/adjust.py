"""Gaps between the surfaces of several views, and the equations of the unknowns that close them."""

import numpy as np
from numba import njit

TWIST = 6
"""Unknowns of a view: its turn about the scene's middle, and its shift."""
SHARED = 5
"""Unknowns of all views: the logarithms of focal length and depth scale, the depth's offset, and
the principal point's two coordinates.
"""
UNKNOWNS = 2 * TWIST + SHARED
STEEPEST = 4.0
"""Footprints that depth may differ by over a pixel: 76 degrees."""
FACING = 0.5
"""The cosine of the most by which the normals of one place may differ between two views."""
DISTINCT = TWIST + SHARED
POINT = 10
"""Numbers held of a sample, see `place_samples`."""
SEEN_PAST = 2
"""What a view takes off that looks past a point, where one that agrees adds one: free space is the
surer sign, as a point of a wrong place often lies near some surface.
"""


@njit(cache=True, nogil=True, error_model="numpy")
def pair_equations(
    start, stop, pixels, depth, surface, reach, intrinsics, world_from_camera, camera_from_world,
    middle, scale, offset, gate, squares, rights, pulls, energies, gaps,
):  # fmt: skip
    """Write the gaps of the samples of views [start, stop) to every other view's surface, and the
    normal equations of those gaps, pair by pair.

    pixels            (N, S, 2) float64, pixel centres; nan where a view has no more samples
    depth             (N, H, W) float32, planar, not finite where nothing is seen
    surface           (N, H, W) float32, the same; nan off the midst of smooth surface
    reach             (N, 2) the least and the largest depth of each view
    intrinsics, world_from_camera, camera_from_world  as in a rig
    middle            (3,) the point that views turn about
    scale, offset     depth is scale * stored + offset
    gate              gaps of more are another surface's
    squares           (N, N, UNKNOWNS, UNKNOWNS): J^T W J, its lower half
    rights, pulls     (N, N, UNKNOWNS): J^T W gap, and J^T W 1, as if all gaps were 1
    energies          (N, N): W gap^2, added up
    gaps              (N, N, S), signed, positive before the other's surface; nan where none

    The gap is that to the plane through the other view's surface where the point projects to (Chen
    & Medioni 1992); its weight is Tukey's. Unknowns of a pair: the twist of its own view, of the
    other, and the shared ones. A plane n.p = d has an inverse depth that is linear in the pixel.
    """
    count, samples = len(depth), pixels.shape[1]
    patch, points = np.empty(4), np.empty((samples, POINT))
    jacobian, weighted = np.empty((DISTINCT, samples)), np.empty((DISTINCT, samples))
    weights, apart = np.empty(samples), np.empty(samples)
    for i in range(start, stop):
        pose = world_from_camera[i]
        fi, gi = intrinsics[i, 0, 0], intrinsics[i, 1, 1]
        known = place_samples(pixels[i], depth[i], intrinsics[i], pose, scale, offset, points)
        # The other view outside: its image stays in the cache.
        for j in range(count):
            if j == i:
                continue
            # views of arrays are made here, as each costs a count that all threads share
            to, back = camera_from_world[j], world_from_camera[j]
            image, lens = surface[j], intrinsics[j]
            fj, gj, cj, hj = lens[0, 0], lens[1, 1], lens[0, 2], lens[1, 2]
            nearest, farthest = reach[j, 0] - gate, reach[j, 1] + gate
            met = 0
            for s in range(known):
                x0, x1, x2 = points[s, 0], points[s, 1], points[s, 2]
                z, ai, bi = points[s, 3], points[s, 4], points[s, 5]
                zj = to[2, 0] * x0 + to[2, 1] * x1 + to[2, 2] * x2 + to[2, 3]
                # far off all that the other view sees: hidden, or another surface
                if zj < nearest or zj > farthest or zj <= 0.0:
                    continue
                xj = to[0, 0] * x0 + to[0, 1] * x1 + to[0, 2] * x2 + to[0, 3]
                yj = to[1, 0] * x0 + to[1, 1] * x1 + to[1, 2] * x2 + to[1, 3]
                aj, bj = xj / zj, yj / zj
                uj, vj = fj * aj + cj, gj * bj + hj
                if not plane_at(image, uj, vj, lens, scale, offset, gate, patch):
                    continue
                gap = (1.0 - zj * patch[3]) / np.sqrt(patch[0] ** 2 + patch[1] ** 2 + patch[2] ** 2)
                if abs(gap) > gate:
                    continue
                shrink = -1.0 / np.sqrt(patch[0] ** 2 + patch[1] ** 2 + patch[2] ** 2)
                m0, m1, m2 = patch[0] * shrink, patch[1] * shrink, patch[2] * shrink
                n0 = back[0, 0] * m0 + back[0, 1] * m1 + back[0, 2] * m2
                n1 = back[1, 0] * m0 + back[1, 1] * m1 + back[1, 2] * m2
                n2 = back[2, 0] * m0 + back[2, 1] * m1 + back[2, 2] * m2
                if n0 * points[s, 6] + n1 * points[s, 7] + n2 * points[s, 8] < FACING:
                    continue
                gaps[i, j, int(points[s, 9])] = gap
                d0, d1, d2 = x0 - middle[0], x1 - middle[1], x2 - middle[2]
                jacobian[0, met] = d1 * n2 - d2 * n1
                jacobian[1, met] = d2 * n0 - d0 * n2
                jacobian[2, met] = d0 * n1 - d1 * n0
                jacobian[3, met], jacobian[4, met], jacobian[5, met] = n0, n1, n2
                # the normal in the frame of the point's own view
                p0 = pose[0, 0] * n0 + pose[1, 0] * n1 + pose[2, 0] * n2
                p1 = pose[0, 1] * n0 + pose[1, 1] * n1 + pose[2, 1] * n2
                p2 = pose[0, 2] * n0 + pose[1, 2] * n1 + pose[2, 2] * n2
                far = 1.0 / patch[3]
                along_i = p0 * ai + p1 * bi + p2
                along_j = m0 * aj + m1 * bj + m2
                jacobian[6, met] = (m0 * aj + m1 * bj) * far - (p0 * ai + p1 * bi) * z
                jacobian[7, met] = along_i * (z - offset) - along_j * (far - offset)
                jacobian[8, met] = along_i - along_j
                jacobian[9, met] = m0 * far / fj - p0 * z / fi
                jacobian[10, met] = m1 * far / gj - p1 * z / gi
                apart[met] = gap
                weights[met] = (1.0 - (gap / gate) ** 2) ** 2
                met += 1
            weigh(jacobian[:, :met], weights, weighted)
            multiply(
                jacobian[:, :met], weighted, weights, apart,
                squares[i, j], rights[i, j], pulls[i, j], energies[i, j : j + 1],
            )  # fmt: skip


@njit(cache=True, nogil=True, inline="always")
def weigh(jacobian, weights, weighted):
    """Write the rows (DISTINCT, n) times the weights to `weighted`."""
    for p in range(DISTINCT):
        for s in range(jacobian.shape[1]):
            weighted[p, s] = weights[s] * jacobian[p, s]


@njit(cache=True, nogil=True, forceinline=True, fastmath={"reassoc", "nsz"})
def multiply(jacobian, weighted, weights, gaps, square, right, pull, energy):
    """Write what the gaps of a pair add up to, see `pair_equations`, of the derivatives by its
    distinct unknowns: those by the other view's twist are the negative of its own.

    Sums along the samples, in any order, so that SIMD takes several at a time.
    """
    met = jacobian.shape[1]
    for p in range(DISTINCT):
        to_gap = total = 0.0
        for s in range(met):
            to_gap += weighted[p, s] * gaps[s]
            total += weighted[p, s]
        sign = -1.0 if p < TWIST else 1.0
        right[TWIST + p], pull[TWIST + p] = sign * to_gap, sign * total
        if p < TWIST:
            right[p], pull[p] = to_gap, total
        for q in range(p + 1):
            product = 0.0
            for s in range(met):
                product += weighted[p, s] * jacobian[q, s]
            if p < TWIST:
                square[p, q] = square[TWIST + p, TWIST + q] = product
                square[TWIST + p, q] = square[TWIST + q, p] = -product
            elif q < TWIST:
                square[TWIST + p, q], square[TWIST + p, TWIST + q] = product, -product
            else:
                square[TWIST + p, TWIST + q] = product
    energy[0] = 0.0
    for s in range(met):
        energy[0] += weights[s] * gaps[s] ** 2


@njit(cache=True, nogil=True, error_model="numpy")
def place_samples(pixels, depth, intrinsics, pose, scale, offset, points):
    """Write a view's samples that lie on a surface to `points` (S, POINT): the place in the world,
    depth, the ray's slopes, the normal in the world, the sample's number. Return how many do.
    """
    plane = np.empty(4)
    known = 0
    for s in range(len(pixels)):
        u, v = pixels[s, 0], pixels[s, 1]
        if not u >= 0.0:
            continue
        z = scale * np.float64(depth[int(v), int(u)]) + offset
        if z <= 0.0:
            continue
        if not plane_beside(depth, int(v), int(u), intrinsics, scale, offset, plane):
            continue
        a, b = (u - intrinsics[0, 2]) / intrinsics[0, 0], (v - intrinsics[1, 2]) / intrinsics[1, 1]
        point = points[known]
        for k in range(3):
            point[k] = pose[k, 0] * a * z + pose[k, 1] * b * z + pose[k, 2] * z + pose[k, 3]
            point[6 + k] = pose[k, 0] * plane[0] + pose[k, 1] * plane[1] + pose[k, 2] * plane[2]
        point[3], point[4], point[5], point[9] = z, a, b, s
        known += 1
    return known


@njit(cache=True, nogil=True)
def add_up_pairs(squares, rights, pulls, energies, square, pull, together, energy):
    """Add the equations of all pairs of views that meet, see `pair_equations`, up to those of all
    unknowns, M = 6 N + 5: `square` (M, M) and `pull` (M,); return how many pairs meet.

    Of each pair, whichever looks at the other, `together` (P, M) is filled with the right side and
    `energy` (P,) with the `energies` (N, N).
    """
    count, size = len(squares), len(square)
    number, where = np.full((count, count), -1), np.empty(UNKNOWNS, np.int64)
    pairs = 0
    for i in range(count):
        for j in range(count):
            if not squares[i, j].any():
                continue
            first, second = min(i, j), max(i, j)
            if number[first, second] < 0:
                number[first, second] = pairs
                pairs += 1
            n = number[first, second]
            for p in range(UNKNOWNS):
                view = i if p < TWIST else j
                where[p] = size - UNKNOWNS + p if p >= 2 * TWIST else TWIST * view + p % TWIST
            for p in range(UNKNOWNS):
                pull[where[p]] += pulls[i, j, p]
                together[n, where[p]] += rights[i, j, p]
                for q in range(UNKNOWNS):
                    square[where[p], where[q]] += squares[i, j, max(p, q), min(p, q)]
            energy[n] += energies[i, j]
    return pairs


@njit(cache=True, nogil=True, error_model="numpy")
def plane_at(depth, u, v, intrinsics, scale, offset, gate, plane):
    """Write the surface at pixel coordinates (u, v) as (nx, ny, nz, w): the normal over the plane's
    distance, away from the camera, and the inverse depth. Return False where no plane is: at jumps,
    at what was not seen, and where the four pixels around bend by more than the `gate`.
    """
    column, row = int(np.floor(u - 0.5)), int(np.floor(v - 0.5))
    if column < 0 or row < 0 or column > depth.shape[1] - 2 or row > depth.shape[0] - 2:
        return False
    w00 = 1.0 / (scale * np.float64(depth[row, column]) + offset)
    w01 = 1.0 / (scale * np.float64(depth[row, column + 1]) + offset)
    w10 = 1.0 / (scale * np.float64(depth[row + 1, column]) + offset)
    w11 = 1.0 / (scale * np.float64(depth[row + 1, column + 1]) + offset)
    least = min(min(w00, w01), min(w10, w11))
    most = max(max(w00, w01), max(w10, w11))
    fx, fy = intrinsics[0, 0], intrinsics[1, 1]
    if not (least > 0.0 and most - least <= STEEPEST * most / min(fx, fy)):  # nan too
        return False
    across, down = u - 0.5 - column, v - 0.5 - row
    bend = w00 - w01 - w10 + w11
    du = w01 - w00 + down * bend
    dv = w10 - w00 + across * bend
    w = w00 + across * (w01 - w00) + down * dv
    hold_plane(w, du, dv, u, v, intrinsics, plane)
    return abs(bend) <= 4.0 * gate * np.sqrt(plane[0] ** 2 + plane[1] ** 2 + plane[2] ** 2)


@njit(cache=True, nogil=True, error_model="numpy")
def plane_beside(depth, row, column, intrinsics, scale, offset, plane):
    """Write the unit normal, to the camera, of the surface at an inner pixel from its neighbours'
    differences, and its inverse depth; return False where there is none.
    """
    left = 1.0 / (scale * np.float64(depth[row, column - 1]) + offset)
    right = 1.0 / (scale * np.float64(depth[row, column + 1]) + offset)
    above = 1.0 / (scale * np.float64(depth[row - 1, column]) + offset)
    below = 1.0 / (scale * np.float64(depth[row + 1, column]) + offset)
    w = 1.0 / (scale * np.float64(depth[row, column]) + offset)
    du, dv = 0.5 * (right - left), 0.5 * (below - above)
    hold_plane(w, du, dv, column + 0.5, row + 0.5, intrinsics, plane)
    length = np.sqrt(plane[0] ** 2 + plane[1] ** 2 + plane[2] ** 2)
    for k in range(3):
        plane[k] /= -length
    return length < np.inf  # not nan


@njit(cache=True, nogil=True, inline="always", error_model="numpy")
def hold_plane(w, du, dv, u, v, intrinsics, plane):
    """Write the plane of an inverse depth and its slopes, as in `kernels.unproject`."""
    plane[0] = intrinsics[0, 0] * du
    plane[1] = intrinsics[1, 1] * dv
    plane[2] = w - du * (u - intrinsics[0, 2]) - dv * (v - intrinsics[1, 2])
    plane[3] = w


@njit(cache=True, nogil=True, error_model="numpy")
def tally(
    start, stop, candidates, pixels, depth, intrinsics, world_from_camera, camera_from_world,
    tolerance, about, agree, past,
):  # fmt: skip
    """Count for each candidate (focal factor, depth scale, offset) in [start, stop) the samples
    that lie on another view's surface, within `tolerance` over the focal factor, to `agree`, and
    those that another view looks past, to `past`, both (candidates,). Poses are (1 or candidates,
    N, 4, 4). Only pairs with the view `about` count, or all if it is negative. Other names are
    those of `pair_equations`.
    """
    count, height, width = depth.shape
    to, lens = np.empty((12, count)), np.empty((4, count))
    zs, columns, rows = np.empty(count), np.empty(count), np.empty(count)
    for c in range(start, stop):
        factor, scale, offset = candidates[c, 0], candidates[c, 1], candidates[c, 2]
        near = tolerance / factor  # as wide as a pixel is then
        which = min(c, len(world_from_camera) - 1)
        pose = world_from_camera[which]
        for j in range(count):  # side by side, so that SIMD takes several views at a time
            for k in range(12):
                to[k, j] = camera_from_world[which, j, k // 4, k % 4]
            lens[0, j], lens[1, j] = factor * intrinsics[j, 0, 0], factor * intrinsics[j, 1, 1]
            lens[2, j], lens[3, j] = intrinsics[j, 0, 2], intrinsics[j, 1, 2]
        agreeing = looking_past = 0
        for i in range(count):
            for s in range(pixels.shape[1]):
                u, v = pixels[i, s, 0], pixels[i, s, 1]
                if not u >= 0.0:
                    continue
                z = scale * np.float64(depth[i, int(v), int(u)]) + offset
                if z <= 0.0:
                    continue
                a = (u - lens[2, i]) / lens[0, i] * z
                b = (v - lens[3, i]) / lens[1, i] * z
                x0 = pose[i, 0, 0] * a + pose[i, 0, 1] * b + pose[i, 0, 2] * z + pose[i, 0, 3]
                x1 = pose[i, 1, 0] * a + pose[i, 1, 1] * b + pose[i, 1, 2] * z + pose[i, 1, 3]
                x2 = pose[i, 2, 0] * a + pose[i, 2, 1] * b + pose[i, 2, 2] * z + pose[i, 2, 3]
                for j in range(count):
                    xj = to[0, j] * x0 + to[1, j] * x1 + to[2, j] * x2 + to[3, j]
                    yj = to[4, j] * x0 + to[5, j] * x1 + to[6, j] * x2 + to[7, j]
                    zj = to[8, j] * x0 + to[9, j] * x1 + to[10, j] * x2 + to[11, j]
                    zs[j] = zj
                    columns[j] = lens[0, j] * xj / zj + lens[2, j]
                    rows[j] = lens[1, j] * yj / zj + lens[3, j]
                for j in range(count):
                    column, row = columns[j], rows[j]
                    if not (0.0 <= column < width and 0.0 <= row < height and zs[j] > 0.0):
                        continue
                    if j == i or (about >= 0 and i != about and j != about):
                        continue
                    d = depth[j, np.uint64(row), np.uint64(column)]
                    seen = scale * np.float64(d) + offset
                    agreeing += abs(zs[j] - seen) <= near
                    looking_past += zs[j] < seen - near
        agree[c], past[c] = agreeing, looking_past
