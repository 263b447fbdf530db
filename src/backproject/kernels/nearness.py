"""Whether whole triangles lie within a distance of a surface: proved, not sampled."""

import numpy as np
from numba import njit

UNDECIDED = 0.1
"""A piece smaller than this, in reaches, that is not known to be inside counts as outside."""
DEPTH = 64
"""How many pieces, and nodes of a tree, can wait: one a level of either is left behind."""


@njit(cache=True, nogil=True)
def squared_distance(p, o, a, b):
    """Return the squared distance of point `p` (3,) from the triangle (o, a, b).

    Ericson, Real-Time Collision Detection, 5.1.5: by the region that holds the point's projection.
    """
    ab0, ab1, ab2 = a[0] - o[0], a[1] - o[1], a[2] - o[2]
    ac0, ac1, ac2 = b[0] - o[0], b[1] - o[1], b[2] - o[2]
    x, y, z = p[0] - o[0], p[1] - o[1], p[2] - o[2]
    d1, d2 = ab0 * x + ab1 * y + ab2 * z, ac0 * x + ac1 * y + ac2 * z
    bb = ab0 * ab0 + ab1 * ab1 + ab2 * ab2
    bc = ab0 * ac0 + ab1 * ac1 + ab2 * ac2
    cc = ac0 * ac0 + ac1 * ac1 + ac2 * ac2
    d3, d4, d5, d6 = d1 - bb, d2 - bc, d1 - bc, d2 - cc
    va, vb, vc = d3 * d6 - d5 * d4, d5 * d2 - d1 * d6, d1 * d4 - d3 * d2
    if d1 <= 0 and d2 <= 0:
        s, t = 0.0, 0.0
    elif d3 >= 0 and d4 <= d3:
        s, t = 1.0, 0.0
    elif d6 >= 0 and d5 <= d6:
        s, t = 0.0, 1.0
    elif vc <= 0 and d1 >= 0 and d3 <= 0:
        s, t = (d1 / (d1 - d3) if d1 > d3 else 0.0), 0.0
    elif vb <= 0 and d2 >= 0 and d6 <= 0:
        s, t = 0.0, (d2 / (d2 - d6) if d2 > d6 else 0.0)
    elif va <= 0 and d4 >= d3 and d5 >= d6:
        rest = (d4 - d3) + (d5 - d6)
        t = (d4 - d3) / rest if rest > 0 else 0.0
        s = 1.0 - t
    else:
        rest = va + vb + vc
        s, t = (vb / rest, vc / rest) if rest > 0 else (0.0, 0.0)
    # whatever rounding does to needles, this is a point of the triangle: never nearer than it is
    s = min(max(s, 0.0), 1.0)
    t = min(max(t, 0.0), 1.0 - s)
    x, y, z = x - s * ab0 - t * ac0, y - s * ab1 - t * ac1, z - s * ab2 - t * ac2
    return x * x + y * y + z * z


@njit(cache=True, nogil=True)
def box_distance(p, box):
    """Return the squared distance of point `p` (3,) from a box (2, 3)."""
    total = 0.0
    for k in range(3):
        gap = max(box[0, k] - p[k], p[k] - box[1, k])
        if gap > 0:
            total += gap * gap
    return total


@njit(cache=True, nogil=True)
def one_reaches(points, reach, triangles, boxes, waiting):
    """Return whether one of the `triangles` lies within `reach` of all `points` (P, 3).

    `boxes` (N, 2, 3) is a full binary tree over them: node n has the children 2n + 1 and 2n + 2,
    and each of its leaves as many triangles as any other, in order.
    """
    limit = reach * reach
    leaves = (len(boxes) + 1) // 2
    size = len(triangles) // leaves
    waiting[0], left = 0, 1
    while left > 0:
        left -= 1
        node = waiting[left]
        near = True
        for k in range(len(points)):
            near = near and box_distance(points[k], boxes[node]) <= limit
        if not near:
            continue
        leaf = node - leaves + 1
        if leaf < 0:
            waiting[left], waiting[left + 1] = 2 * node + 1, 2 * node + 2
            left += 2
            continue
        for t in range(leaf * size, (leaf + 1) * size):
            near = True
            for k in range(len(points)):
                near = near and (
                    squared_distance(points[k], triangles[t, 0], triangles[t, 1], triangles[t, 2])
                    <= limit
                )
            if near:
                return True
    return False


@njit(cache=True, nogil=True)
def mark_outside(start, stop, asked, reach, triangles, boxes, outside):
    """Mark in `outside` the `asked` triangles (A, 3, 3) that are not known to lie within `reach`.

    A piece is inside if its corners are near enough to one and the same triangle, because the
    distance from a convex set is convex; or if its centre is, with room for what lies around it,
    because no distance grows faster than the way gone. Any other is halved, unless its centre is
    outside or it is too small to go on. After Tang, Lee & Kim 2009.
    """
    pieces, waiting = np.empty((DEPTH, 3, 3)), np.empty(DEPTH, np.int64)
    centre = np.empty((1, 3))
    for k in range(start, stop):
        pieces[0], left = asked[k], 1
        while left > 0:
            piece = pieces[left - 1]
            if one_reaches(piece, reach, triangles, boxes, waiting):
                left -= 1
                continue
            radius = spread(piece, centre)
            if radius < reach:
                if one_reaches(centre, reach - radius, triangles, boxes, waiting):
                    left -= 1
                    continue
                small = radius < UNDECIDED * reach or left == DEPTH
                if small or not one_reaches(centre, reach, triangles, boxes, waiting):
                    outside[k] = True
                    break
            elif left == DEPTH:
                outside[k] = True
                break
            halve(pieces, left - 1)
            left += 1


@njit(cache=True, nogil=True)
def spread(piece, centre):
    """Put a piece's centre into `centre` (1, 3), and return how far its corners are from it."""
    for i in range(3):
        centre[0, i] = (piece[0, i] + piece[1, i] + piece[2, i]) / 3
    farthest = 0.0
    for j in range(3):
        x, y, z = piece[j, 0] - centre[0, 0], piece[j, 1] - centre[0, 1], piece[j, 2] - centre[0, 2]
        farthest = max(farthest, x * x + y * y + z * z)
    return np.sqrt(farthest)


@njit(cache=True, nogil=True)
def halve(pieces, at):
    """Cut pieces[at] across its longest edge, into pieces[at] and pieces[at + 1]."""
    longest, far = 0, -1.0
    for j in range(3):
        length = 0.0
        for i in range(3):
            length += (pieces[at, (j + 1) % 3, i] - pieces[at, j, i]) ** 2
        if length > far:
            longest, far = j, length
    a, b = longest, (longest + 1) % 3
    for i in range(3):
        middle = (pieces[at, a, i] + pieces[at, b, i]) / 2
        for j in range(3):
            pieces[at + 1, j, i] = pieces[at, j, i]
        pieces[at, b, i] = middle
        pieces[at + 1, a, i] = middle
