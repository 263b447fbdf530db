"""Triangles too thin to have a normal, removed while the surface stays a closed 2-manifold."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, inline="always")
def squared_extent(vertices, a, b, c):
    """Return the square of twice a triangle's area, and that of its longest edge: the first over
    the second is that of its least height.
    """
    ex = vertices[b, 0] - vertices[a, 0]
    ey = vertices[b, 1] - vertices[a, 1]
    ez = vertices[b, 2] - vertices[a, 2]
    fx = vertices[c, 0] - vertices[a, 0]
    fy = vertices[c, 1] - vertices[a, 1]
    fz = vertices[c, 2] - vertices[a, 2]
    gx, gy, gz = fx - ex, fy - ey, fz - ez
    nx, ny, nz = ey * fz - ez * fy, ez * fx - ex * fz, ex * fy - ey * fx
    e, f = ex * ex + ey * ey + ez * ez, fx * fx + fy * fy + fz * fz
    longest = max(e, f, gx * gx + gy * gy + gz * gz)
    return nx * nx + ny * ny + nz * nz, longest


@njit(cache=True, nogil=True, inline="always")
def area_vector(vertices, a, b, c):
    """Return the vector along a triangle's normal that is twice as long as its area."""
    ex = vertices[b, 0] - vertices[a, 0]
    ey = vertices[b, 1] - vertices[a, 1]
    ez = vertices[b, 2] - vertices[a, 2]
    fx = vertices[c, 0] - vertices[a, 0]
    fy = vertices[c, 1] - vertices[a, 1]
    fz = vertices[c, 2] - vertices[a, 2]
    return ey * fz - ez * fy, ez * fx - ex * fz, ex * fy - ey * fx


@njit(cache=True, nogil=True, inline="always")
def is_thin(vertices, a, b, c, square):
    """Return whether the square of a triangle's least height is at most `square`."""
    area, longest = squared_extent(vertices, a, b, c)
    return area <= square * longest


@njit(cache=True, nogil=True)
def mend_slivers(faces, thin, limit, vertices, outward, support):
    """Remove the triangles whose least height is at most `limit`, in scene units, from a closed
    2-manifold; `thin` (F,) marks them. Returns how many vertices and faces are left.

    An edge no longer than that is collapsed: one end stays, and gets the higher `support` of the
    two. Where a corner lies on the opposite edge, that edge is turned towards it; if this makes
    other thin ones, as along a crease, the shortest edge is collapsed, but only if no face leaves
    its plane by more than `limit`. Where neither leaves a 2-manifold, as between two layers of a
    sheet, the end of less support of the shortest edge moves by `limit` along `outward`. What is
    left moves to the front of its arrays, in its order.
    """
    count = len(vertices)
    rounds = link_corners(faces, count)
    gone = np.zeros(count, np.bool_)
    stamps, stamp = np.zeros(count, np.int32), 0
    square = limit * limit
    untried, again = thin.copy(), True  # to an end: each turn leaves fewer thin ones
    while again:
        again = False
        for f in range(len(faces)):
            if not untried[f]:
                continue
            untried[f] = False
            if faces[f, 0] < 0:
                continue
            if not is_thin(vertices, faces[f, 0], faces[f, 1], faces[f, 2], square):
                continue
            stamp += 2
            here, there = remove(f, faces, vertices, rounds, square, stamps, stamp)
            if here < 0:
                continue
            if there >= 0:
                gone[there] = True
                support[here] = max(support[here], support[there])
            # Edges around it end elsewhere now, and what stood in their way may be gone.
            after, some = rounds
            corner = some[here]
            while True:
                thin[corner // 3] = untried[corner // 3] = True
                corner = after[corner]
                if corner == some[here]:
                    break
            again = True
    for f in range(len(faces)):
        if not thin[f] or faces[f, 0] < 0:
            continue
        if is_thin(vertices, faces[f, 0], faces[f, 1], faces[f, 2], square):
            n, _ = shortest_edge(vertices, faces[f])
            # by their numbers, so that no other face moves the other end after it
            ends = faces[f, n], faces[f, (n + 1) % 3]
            here, there = min(ends), max(ends)
            moved = here if support[here] < support[there] else there
            for axis in range(3):
                vertices[moved, axis] += limit * outward[moved, axis]
    return close_ranks(faces, gone, vertices, outward, support)


@njit(cache=True, nogil=True)
def remove(f, faces, vertices, rounds, square, stamps, stamp):
    """Remove a thin face by turning its longest edge or collapsing its shortest, see
    `mend_slivers`; return a vertex of all faces that changed, and the one that is gone, each -1 if
    there is none.
    """
    n, length = shortest_edge(vertices, faces[f])
    ends = faces[f, n], faces[f, (n + 1) % 3]
    here, there = min(ends), max(ends)
    if length > square:
        turned = turn_longest(f, faces, vertices, rounds, square)
        if turned >= 0:
            return turned, np.int32(-1)
        if not is_in_plane(here, there, faces, vertices, rounds, square):
            here, there = there, here
            if not is_in_plane(here, there, faces, vertices, rounds, square):
                return np.int32(-1), np.int32(-1)
    if not is_collapsible(here, there, faces, rounds, stamps, stamp):
        return np.int32(-1), np.int32(-1)
    collapse(here, there, faces, rounds)
    return here, there


@njit(cache=True, nogil=True)
def link_corners(faces, count):
    """Return the next corner of the same vertex for each corner, 3 f + n, round and round (3 F,),
    and one corner of each of `count` vertices, -1 if it has none.
    """
    after, some = np.empty(3 * len(faces), np.int32), np.full(count, -1, np.int32)
    for f in range(len(faces)):
        for n in range(3):
            v, corner = faces[f, n], np.int32(3 * f + n)
            # the first of each is its own next
            last = some[v] if some[v] >= 0 else corner
            after[corner] = after[last] if some[v] >= 0 else corner
            after[last] = some[v] = corner
    return after, some


@njit(cache=True, nogil=True)
def join(corner, v, rounds):
    """Put a corner into the round of its vertex."""
    after, some = rounds
    if some[v] < 0:
        some[v] = after[corner] = corner
    else:
        after[corner] = after[some[v]]
        after[some[v]] = corner


@njit(cache=True, nogil=True)
def leave(corner, v, rounds):
    """Take a corner out of the round of its vertex, which has others."""
    after, some = rounds
    before = corner
    while after[before] != corner:
        before = after[before]
    after[before] = after[corner]
    some[v] = before


@njit(cache=True, nogil=True)
def squared_length(vertices, here, there):
    """Return the squared distance of two vertices."""
    square = 0.0
    for axis in range(3):
        square += (vertices[there, axis] - vertices[here, axis]) ** 2
    return square


@njit(cache=True, nogil=True)
def shortest_edge(vertices, face):
    """Return which edge of a triangle is the shortest, by its first corner, and its square."""
    best, least = 0, np.inf
    for n in range(3):
        square = squared_length(vertices, face[n], face[(n + 1) % 3])
        if square < least:
            best, least = n, square
    return best, least


@njit(cache=True, nogil=True)
def is_collapsible(here, there, faces, rounds, stamps, stamp):
    """Return whether the edge between two vertices can be collapsed and leave a 2-manifold: the
    link condition (Dey, Edelsbrunner, Guha & Nekhayev 1999), here that they have no neighbours in
    common but the two opposite corners, and are not of a tetrahedron.

    `stamps` (V,) are all under `stamp`; it and the next number are used up.
    """
    after, some = rounds
    corner = some[here]
    while True:
        f, n = corner // 3, corner % 3
        stamps[faces[f, (n + 1) % 3]] = stamps[faces[f, (n + 2) % 3]] = stamp
        corner = after[corner]
        if corner == some[here]:
            break
    shared = 0
    corner = some[there]
    while True:
        f, n = corner // 3, corner % 3
        for m in range(1, 3):
            v = faces[f, (n + m) % 3]
            if v != here and stamps[v] == stamp:
                stamps[v] = stamp + 1
                shared += 1
            if faces[f, (n + 3 - m) % 3] == here and valence(v, rounds) <= 3:
                return False
        corner = after[corner]
        if corner == some[there]:
            break
    return shared == 2


@njit(cache=True, nogil=True)
def is_in_plane(here, there, faces, vertices, rounds, square):
    """Return whether vertex `here` lies in the planes of the faces at vertex `there`, so that these
    stay where they are if the one takes the place of the other, but for the root of `square`. None
    of them turns over, and thin ones stay thin. Faces that have both do not count.
    """
    after, some = rounds
    corner = some[there]
    while True:
        f, n = corner // 3, corner % 3
        one, two = faces[f, (n + 1) % 3], faces[f, (n + 2) % 3]
        if one != here and two != here:
            x, y, z = area_vector(vertices, there, one, two)
            u, v, w = area_vector(vertices, here, one, two)
            if is_thin(vertices, there, one, two, square):
                if not is_thin(vertices, here, one, two, square):
                    return False  # which way it would face is not known
            elif x * u + y * v + z * w <= 0.0:
                return False
            else:
                off = x * (vertices[here, 0] - vertices[there, 0])
                off += y * (vertices[here, 1] - vertices[there, 1])
                off += z * (vertices[here, 2] - vertices[there, 2])
                if off * off > square * (x * x + y * y + z * z):
                    return False
        corner = after[corner]
        if corner == some[there]:
            return True


@njit(cache=True, nogil=True)
def valence(v, rounds):
    """Return how many corners a vertex has, at most 4."""
    after, some = rounds
    corner, count = some[v], 1
    while count < 4 and after[corner] != some[v]:
        corner = after[corner]
        count += 1
    return count


@njit(cache=True, nogil=True)
def collapse(here, there, faces, rounds):
    """Let all faces at vertex `there` have `here` instead; the two that would have it twice are
    left without corners: all three are -1.
    """
    after, some = rounds
    first, second = some[here], some[there]
    after[first], after[second] = after[second], after[first]  # all corners of both, in one round
    corner = first
    while True:
        f, n = corner // 3, corner % 3
        if faces[f, n] == there:
            faces[f, n] = here
        corner = after[corner]
        if corner == first:
            break
    for _ in range(2):
        corner = some[here]
        while True:
            f, n = corner // 3, corner % 3
            if faces[f, (n + 1) % 3] == here or faces[f, (n + 2) % 3] == here:
                break
            corner = after[corner]
        for n in range(3):
            leave(3 * f + n, faces[f, n], rounds)
        faces[f, 0] = faces[f, 1] = faces[f, 2] = -1


@njit(cache=True, nogil=True)
def turn_longest(f, faces, vertices, rounds, square):
    """Turn the longest edge of a face towards the opposite corner if that makes no thin triangle
    and no edge that is there already; return that corner's vertex, -1 if it is not turned.
    """
    after, some = rounds
    longest, n = -1.0, 0
    for m in range(3):
        length = squared_length(vertices, faces[f, m], faces[f, (m + 1) % 3])
        if length > longest:
            longest, n = length, m
    a, b, c = faces[f, n], faces[f, (n + 1) % 3], faces[f, (n + 2) % 3]
    corner = some[a]
    while faces[corner // 3, (corner + 2) % 3] != b:
        corner = after[corner]
    g = corner // 3
    d = faces[g, (corner + 1) % 3]
    if is_thin(vertices, a, d, c, square) or is_thin(vertices, d, b, c, square):
        return np.int32(-1)
    around = some[c]
    while True:
        if faces[around // 3, (around + 1) % 3] == d:
            return np.int32(-1)
        around = after[around]
        if around == some[c]:
            break
    other = 3 * f + (n + 1) % 3
    leave(other, b, rounds)
    leave(corner, a, rounds)
    faces[f, (n + 1) % 3] = d
    faces[g, corner % 3] = c
    join(other, d, rounds)
    join(corner, c, rounds)
    return c


@njit(cache=True, nogil=True)
def close_ranks(faces, gone, vertices, outward, support):
    """Move the vertices that are not `gone` (V,) to the front of their arrays, and the faces that
    have corners; return how many of each there are. In place, as `kernels.samples.close_ranks`.
    """
    renumbered = np.empty(len(gone), np.int32)
    count = 0
    for v in range(len(gone)):
        renumbered[v] = count
        if gone[v]:
            continue
        for axis in range(3):
            vertices[count, axis] = vertices[v, axis]
            outward[count, axis] = outward[v, axis]
        support[count] = support[v]
        count += 1
    left = 0
    for f in range(len(faces)):
        if faces[f, 0] >= 0:
            for n in range(3):
                faces[left, n] = renumbered[faces[f, n]]
            left += 1
    return count, left
