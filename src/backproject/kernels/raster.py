"""Draw triangles into inverse-depth buffers.

Inverse depth 1/z is linear in pixel coordinates on a plane, so a triangle is three half-planes and
one linear function of the pixel. Every triangle is dilated by `SLACK` pixels. Rounding moves an
edge by some 1e-12 pixels, a thousand times less: neighbours overlap whatever their vertices, so no
pixel falls between them, and the nearest surface is kept whoever draws it.
"""

import numpy as np
from numba import njit

SLACK = 1e-8
"""Pixels by which a triangle reaches beyond its edges."""
FLAT = 1e-9
"""Triangles that appear thinner than this, in pixels, are left out: their neighbours' slack covers
them.
"""
WILD = 1e5
"""Vertices farther than this from the principal point, in pixels, or behind the camera, are never
divided by their depth.
"""
NEAREST = 1e37
"""Largest inverse depth: float32 still holds its reciprocal."""
BATCH = 1024
"""Faces looked at together."""


@njit(cache=True, nogil=True, error_model="numpy")
def draw_bands(start, stop, bands, vertices, faces, intrinsics, rotation, centers, depth):
    """Fill `depth` (N, H, W): planar z at the pixel centres, inf where nothing is hit.

    Item k is band k % `bands` of rows in view k // `bands`. `rotation` (N, 3, 3) is the camera's
    from the world's axes, `centers` (N, 3) where the cameras stand.
    """
    height, width = depth.shape[1], depth.shape[2]
    screen = np.empty((len(vertices), 3))
    reach = np.empty((len(vertices), 4), np.int32)
    scratch = np.empty((BATCH, 5), np.int32), np.empty((3, 4))
    projected = -1
    for item in range(start, stop):
        view = item // bands
        top = height * (item % bands) // bands
        bottom = height * (item % bands + 1) // bands
        inverse = np.zeros((bottom - top, width))
        if view != projected:
            project_vertices(
                vertices, intrinsics[view], rotation[view], centers[view], width, height,
                screen, reach,
            )  # fmt: skip
            projected = view
        draw_faces(
            vertices, faces, intrinsics[view], rotation[view], centers[view], screen, reach, top,
            scratch, inverse,
        )  # fmt: skip
        for row in range(bottom - top):
            for column in range(width):
                w = inverse[row, column]
                depth[view, top + row, column] = 1.0 / w if w > 0.0 else np.inf


@njit(cache=True, nogil=True, error_model="numpy")
def project_vertices(vertices, intrinsics, rotation, center, width, height, screen, reach):
    """Fill `screen` (V, 3), the vertices in the image, and `reach` (V, 4), the pixels around them.

    `screen` holds x, y in pixels from the principal point and 1/z. `reach` holds the first pixel
    centre not left of the vertex and the last not right of it, then the same for rows, within the
    image: minima of the former and maxima of the latter bound a triangle, and are empty for one
    beside the image. A wild vertex has nan on the screen; one behind the camera reaches everywhere.
    """
    fx, fy, cx, cy = intrinsics[0, 0], intrinsics[1, 1], intrinsics[0, 2], intrinsics[1, 2]
    for k in range(len(vertices)):
        dx = vertices[k, 0] - center[0]
        dy = vertices[k, 1] - center[1]
        dz = vertices[k, 2] - center[2]
        x = rotation[0, 0] * dx + rotation[0, 1] * dy + rotation[0, 2] * dz
        y = rotation[1, 0] * dx + rotation[1, 1] * dy + rotation[1, 2] * dz
        z = rotation[2, 0] * dx + rotation[2, 1] * dy + rotation[2, 2] * dz
        if z <= 1.0 / NEAREST:
            screen[k, 0] = screen[k, 1] = screen[k, 2] = np.nan
            reach[k, 0] = reach[k, 2] = 0
            reach[k, 1] = width - 1
            reach[k, 3] = height - 1
            continue
        w = 1.0 / z
        u = fx * x * w
        v = fy * y * w
        # clamped before the conversion: the integers have an end
        column = min(max(u + cx - 0.5, -2.0), width + 1.0)
        row = min(max(v + cy - 0.5, -2.0), height + 1.0)
        reach[k, 0] = min(max(np.int32(np.ceil(column - SLACK)), 0), width)
        reach[k, 1] = min(max(np.int32(np.floor(column + SLACK)), -1), width - 1)
        reach[k, 2] = min(max(np.int32(np.ceil(row - SLACK)), 0), height)
        reach[k, 3] = min(max(np.int32(np.floor(row + SLACK)), -1), height - 1)
        tame = abs(u) < WILD and abs(v) < WILD
        screen[k, 0] = u if tame else np.nan
        screen[k, 1] = v
        screen[k, 2] = w


@njit(cache=True, nogil=True, error_model="numpy")
def draw_faces(vertices, faces, intrinsics, rotation, center, screen, reach, top, scratch, inverse):
    """Raise `inverse` (rows from `top`, W) to the inverse depth of what covers its pixel centres.

    `scratch` is (boxes (BATCH, 5) int32, half-planes (3, 4)). Faces that reach no pixel centre, the
    better half of a fine mesh, are sorted out a batch at a time: in a loop without branches, which
    the processor would guess wrongly.
    """
    boxes, halves = scratch
    cx, cy = intrinsics[0, 2], intrinsics[1, 2]
    last = top + len(inverse) - 1
    for batch in range(0, len(faces), BATCH):
        found = 0
        for k in range(batch, min(batch + BATCH, len(faces))):
            a, b, c = faces[k, 0], faces[k, 1], faces[k, 2]
            x0 = min(reach[a, 0], reach[b, 0], reach[c, 0])
            x1 = max(reach[a, 1], reach[b, 1], reach[c, 1])
            y0 = max(min(reach[a, 2], reach[b, 2], reach[c, 2]), top)
            y1 = min(max(reach[a, 3], reach[b, 3], reach[c, 3]), last)
            boxes[found, 0] = x0
            boxes[found, 1] = x1
            boxes[found, 2] = y0
            boxes[found, 3] = y1
            boxes[found, 4] = k
            found += (x0 <= x1) & (y0 <= y1)
        for box in range(found):
            x0, x1, y0, y1 = boxes[box, 0], boxes[box, 1], boxes[box, 2], boxes[box, 3]
            k = boxes[box, 4]
            a, b, c = faces[k, 0], faces[k, 1], faces[k, 2]
            ua, va, wa = screen[a, 0], screen[a, 1], screen[a, 2]
            ub, vb, wb = screen[b, 0], screen[b, 1], screen[b, 2]
            uc, vc, wc = screen[c, 0], screen[c, 1], screen[c, 2]
            abu, abv = ub - ua, vb - va
            bcu, bcv = uc - ub, vc - vb
            cau, cav = ua - uc, va - vc
            area = abv * cau - abu * cav
            if area == area:  # no wild vertex
                longest = max(abu * abu + abv * abv, bcu * bcu + bcv * bcv, cau * cau + cav * cav)
                if area * area <= FLAT * FLAT * longest:
                    continue
                scale = 1.0 / area
                gu = ((wb - wa) * cav + (wc - wa) * abv) * -scale
                gv = ((wb - wa) * cau + (wc - wa) * abu) * scale
                if area < 0.0:
                    abu, abv, bcu, bcv, cau, cav = -abu, -abv, -bcu, -bcv, -cau, -cav
                farthest, nearest = min(wa, wb, wc), max(wa, wb, wc)
                g0 = wa - gu * ua - gv * va
                a0 = abv * ua - abu * va + SLACK * (abs(abu) + abs(abv))
                b0 = bcv * ub - bcu * vb + SLACK * (abs(bcu) + abs(bcv))
                c0 = cav * uc - cau * vc + SLACK * (abs(cau) + abs(cav))
                set_half(halves, 0, -abv, abu, a0)
                set_half(halves, 1, -bcv, bcu, b0)
                set_half(halves, 2, -cav, cau, c0)
            else:
                drawn, gu, gv, g0 = set_wild(
                    vertices, faces[k], intrinsics, rotation, center, halves
                )
                if not drawn:
                    continue
                farthest, nearest = 0.0, NEAREST
            for row in range(y0, y1 + 1):
                v = row + 0.5 - cy
                left, right = float(x0), float(x1)
                for half in range(3):
                    crossing = (halves[half, 1] * v + halves[half, 2]) * halves[half, 3] + cx - 0.5
                    if halves[half, 0] > 0.0:
                        left = max(left, crossing)
                    else:
                        right = min(right, crossing)
                if left > right:
                    continue
                base = gv * v + g0
                for column in range(int(np.ceil(left)), int(right) + 1):
                    w = min(max(gu * (column + 0.5 - cx) + base, farthest), nearest)
                    inverse[row - top, column] = max(inverse[row - top, column], w)


@njit(cache=True, nogil=True, error_model="numpy")
def set_half(halves, half, across, down, constant):
    """Write the half-plane `across` u + `down` v + `constant` >= 0, and what solves it for u."""
    if across == 0.0:
        across = 1e-200  # a row lies wholly on one side: its crossing is as good as infinitely far
    halves[half, 0] = across
    halves[half, 1] = down
    halves[half, 2] = constant
    halves[half, 3] = -1.0 / across


@njit(cache=True, nogil=True, error_model="numpy")
def set_wild(vertices, face, intrinsics, rotation, center, halves):
    """Return whether a face with wild vertices can be seen, and du, dv, constant of its 1/z.

    Fills `halves`. Rays r that hit the triangle (a, b, c) in front of the camera are those with
    r.(b x c), r.(c x a), r.(a x b) of the sign of a.(b x c): homogeneous half-planes need no vertex
    to be in front, so nothing has to be clipped (Olano & Greer 1997).
    """
    corners = np.empty((3, 3))
    ahead = False
    for k in range(3):
        offset = vertices[face[k]] - center
        for axis in range(3):
            corners[k, axis] = (
                rotation[axis, 0] * offset[0]
                + rotation[axis, 1] * offset[1]
                + rotation[axis, 2] * offset[2]
            )
        ahead |= corners[k, 2] > 0.0
    if not ahead:
        return False, 0.0, 0.0, 0.0
    ab = corners[1] - corners[0]
    ac = corners[2] - corners[0]
    normal = cross(ab, ac)
    volume = (normal * corners[0]).sum()
    area = (normal * normal).sum()
    longest = max((ab * ab).sum(), (ac * ac).sum())
    # a needle, or a face seen exactly edge-on: its neighbours meet without it
    if area <= 1e-24 * longest * longest:
        return False, 0.0, 0.0, 0.0
    if volume * volume <= 1e-24 * area * (corners[0] * corners[0]).sum():
        return False, 0.0, 0.0, 0.0
    sign = 1.0 if volume > 0.0 else -1.0
    fx, fy = intrinsics[0, 0], intrinsics[1, 1]
    for k in range(3):
        first, second = corners[(k + 1) % 3], corners[(k + 2) % 3]
        edge = cross(first, second - first)
        across, down = sign * edge[0] / fx, sign * edge[1] / fy
        set_half(halves, k, across, down, sign * edge[2] + SLACK * (abs(across) + abs(down)))
    return True, normal[0] / (volume * fx), normal[1] / (volume * fy), normal[2] / volume


@njit(cache=True, nogil=True, error_model="numpy")
def cross(a, b):
    """Return the vector product of two (3,) vectors."""
    return np.array(
        [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
    )
