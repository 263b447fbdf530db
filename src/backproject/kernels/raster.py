"""Draw triangles into inverse-depth buffers.

Inverse depth 1/z is linear in pixel coordinates on a plane, so a triangle is three half-planes and
one linear function of the pixel. In an orthographic view it is depth that is linear: there far - z,
with `far` beyond the mesh, stands for inverse depth. Every triangle is dilated by `SLACK` pixels.
Rounding moves an edge by some 1e-12 pixels, a thousand times less: neighbours overlap whatever
their vertices, so no pixel falls between them, and the nearest surface is kept whoever draws it.

Most triangles of a fine mesh reach no pixel centre, or are hidden. The former are sorted out by
the cells of their corners. Of the rest those that face the camera are drawn first, and the others
only where they are not behind the farthest of what is drawn: the depth is the same in any order.
The loops over vertices, faces and the pixels of a row have no branches, so that the compiler makes
vector instructions of them.
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
BLOCK = 128
"""Vertices or faces looked at together: their numbers stay in the fastest cache."""
LANES = 16
"""Pixels of a row tested together: few enough to waste little, and so many that the compiler does
not unroll the loop, which it would then not turn into vector instructions.
"""
TILE = 8
"""Side, in pixels, of the squares whose farthest depth is known."""

COLUMN = (1 << 32) - 1
ROW = COLUMN >> 1 << 32
ON_CENTRE = 1 << 30
"""A vertex's cell: the bits of its column, those of its row, and the highest bit of either, set
where the vertex itself reaches the pixel centres of a column or row.
"""

# A block's rows. Corners of the faces in pixels from the principal point, and their 1/z:
UA, VA, WA, UB, VB, WB, UC, VC, WC = range(9)
# The pixels around them, first and last:
LEFT, RIGHT, UPPER, LOWER = range(9, 13)
# Half-planes `down` v - `along` u + `constant` >= 0, one an edge, and one for the camera's plane:
DOWN, ALONG, CONSTANT = 13, 17, 21
# 1/z = `GU` u + `GV` v + `G0`, and its bounds:
GU, GV, G0, FARTHEST, CLOSEST = range(25, 30)
ROWS = 30


@njit(cache=True, nogil=True, error_model="numpy")
def draw_bands(
    start, stop, bands, points, faces, planes, intrinsics, rotation, centers, eyes, beyond, screen,
    cells, order, inverse, depth,
):  # fmt: skip
    """Fill `depth` (N, H, W): planar z at the pixel centres, inf where nothing is hit.

    Item k is band k % `bands` of rows in view k // `bands`. `points` (3, V) are the vertices,
    `planes` (4, F) is from `find_planes`. `rotation` (N, 3, 3) is the camera's from the world's
    axes, `centers` (N, 3) where the cameras stand, `eyes` (N, 4) the same as in `Rig.eyes_world`.
    `beyond` (N,) is a depth beyond the mesh of orthographic views, 0 of pinholes. `screen` (V, 3),
    `cells` (V,) and `order` (F,) are scratch, and so is `inverse`, zeros for the largest band and
    `LANES` more.
    """
    height, width = depth.shape[1], depth.shape[2]
    tiles = np.empty((-(-height // TILE), -(-width // TILE)))
    for item in range(start, stop):
        view = item // bands
        top = height * (item % bands) // bands
        bottom = height * (item % bands + 1) // bands
        tame = project_vertices(
            points, intrinsics[view], rotation[view], centers[view], beyond[view], width, top,
            bottom, screen, cells,
        )  # fmt: skip
        front, back = sort_faces(faces, planes, eyes[view], cells, order)
        frame = (intrinsics[view, 0, 2], intrinsics[view, 1, 2], width, top, bottom)
        tiles[:] = 0.0  # nothing is hidden yet
        draw_faces(order[:front], faces, screen, frame, tiles, inverse)
        find_farthest(inverse, bottom - top, width, tiles)
        draw_faces(order[back:], faces, screen, frame, tiles, inverse)
        if not tame:
            camera = (intrinsics[view], rotation[view], centers[view], beyond[view])
            draw_wild(order[:front], points, faces, screen, camera, frame, inverse)
            draw_wild(order[back:], points, faces, screen, camera, frame, inverse)
        finish(inverse, beyond[view], depth[view, top:bottom].reshape(-1))


@njit(cache=True, nogil=True, error_model="numpy")
def find_planes(points, faces, planes):
    """Fill `planes` (4, F) with each face's normal n, of any length, and n.p on it."""
    for k in range(len(faces)):
        a, b, c = faces[k, 0], faces[k, 1], faces[k, 2]
        x, y, z = points[0, a], points[1, a], points[2, a]
        bx, by, bz = points[0, b] - x, points[1, b] - y, points[2, b] - z
        cx, cy, cz = points[0, c] - x, points[1, c] - y, points[2, c] - z
        nx, ny, nz = by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx
        planes[0, k] = nx
        planes[1, k] = ny
        planes[2, k] = nz
        planes[3, k] = nx * x + ny * y + nz * z


@njit(cache=True, nogil=True, error_model="numpy")
def project_vertices(
    points, intrinsics, rotation, center, beyond, width, top, bottom, screen, cells
):  # fmt: skip
    """Return whether every vertex is tame, and fill `screen` (V, 3) and `cells` (V,).

    `screen` holds x, y in pixels from the principal point and 1/z, or `beyond` - z, and nan for the
    x of a wild vertex. `cells` holds between which columns and rows of pixel centres a vertex lies,
    those beside the image and the band being one: corners in one column or row of cells have no
    pixel centre between them. One behind the camera reaches everywhere.
    """
    fx, fy, cx, cy = intrinsics[0, 0], intrinsics[1, 1], intrinsics[0, 2], intrinsics[1, 2]
    xx, xy, xz = rotation[0, 0], rotation[0, 1], rotation[0, 2]
    yx, yy, yz = rotation[1, 0], rotation[1, 1], rotation[1, 2]
    zx, zy, zz = rotation[2, 0], rotation[2, 1], rotation[2, 2]
    px, py, pz = center[0], center[1], center[2]
    right, above, below = width - 0.5, top - 0.5, bottom - 0.5
    block = np.empty((3, BLOCK))
    us, vs, ws = block[0], block[1], block[2]
    wild, orthographic = 0, beyond > 0.0
    for start in range(0, len(cells), BLOCK):
        stop = min(start + BLOCK, len(cells))
        xs, ys, zs = points[0, start:stop], points[1, start:stop], points[2, start:stop]
        cell = cells[start:stop]
        for k in range(stop - start):
            dx, dy, dz = xs[k] - px, ys[k] - py, zs[k] - pz
            x = xx * dx + xy * dy + xz * dz
            y = yx * dx + yy * dy + yz * dz
            z = zx * dx + zy * dy + zz * dz
            ahead = z > 1.0 / NEAREST
            w = 1.0 / (z if ahead else 1.0)
            shrink = 1.0 if orthographic else w
            w = beyond - z if orthographic else w
            u = fx * x * shrink
            v = fy * y * shrink
            tame = ahead & (abs(u) < WILD) & (abs(v) < WILD)
            wild += 0 if tame else 1
            us[k] = u if tame else np.nan
            vs[k] = v
            ws[k] = w
            # clamped before the conversion: the integers have an end
            column, row = u + cx - 0.5, v + cy - 0.5
            column = column if column > -0.5 else -0.5
            column = column if column < right else right
            row = row if row > above else above
            row = row if row < below else below
            on_column = (np.ceil(column - SLACK) <= np.floor(column + SLACK)) | (not ahead)
            on_row = (np.ceil(row - SLACK) <= np.floor(row + SLACK)) | (not ahead)
            i = np.int64(np.int32(np.floor(column))) + 1 + on_column * ON_CENTRE
            j = np.int64(np.int32(np.floor(row))) + 1 + on_row * ON_CENTRE
            cell[k] = i | (j << 32)
        for k in range(stop - start):
            screen[start + k, 0] = us[k]
            screen[start + k, 1] = vs[k]
            screen[start + k, 2] = ws[k]
    return wild == 0


@njit(cache=True, nogil=True, error_model="numpy")
def sort_faces(faces, planes, eye, cells, order):
    """Return where in `order` the faces seen from their front end, and where the others begin.

    Fills `order` (F,) from both ends, with the faces that reach a pixel centre.
    """
    x, y, z, at = np.float32(eye[0]), np.float32(eye[1]), np.float32(eye[2]), np.float32(eye[3])
    facing = np.empty(BLOCK, np.bool_)
    front, back = 0, len(faces) - 1
    for start in range(0, len(faces), BLOCK):
        stop = min(start + BLOCK, len(faces))
        nx, ny, nz = planes[0, start:stop], planes[1, start:stop], planes[2, start:stop]
        offset = planes[3, start:stop]
        for k in range(stop - start):
            facing[k] = nx[k] * x + ny[k] * y + nz[k] * z > offset[k] * at
        some = faces[start:stop]
        for k in range(stop - start):
            a, b, c = cells[some[k, 0]], cells[some[k, 1]], cells[some[k, 2]]
            apart = (a ^ b) | (a ^ c) | ((a | b | c) & (ON_CENTRE << 32 | ON_CENTRE))
            reaches = ((apart & COLUMN) != 0) & ((apart & ROW) != 0)
            order[front] = start + k
            order[back] = start + k
            front += reaches & facing[k]
            back -= reaches & (not facing[k])
    return front, back + 1


@njit(cache=True, nogil=True, error_model="numpy")
def draw_faces(order, faces, screen, frame, tiles, inverse):
    """Raise `inverse` to the inverse depth of the faces `order`, where they cover pixel centres.

    `inverse` has the rows from `top` on, one after another, and `LANES` more; `frame` is (cx, cy,
    width, top, bottom). A face behind all of its `tiles` changes nothing and is passed over.
    """
    cx, cy, width, top, _ = frame
    block = np.empty((ROWS, BLOCK))
    for start in range(0, len(order), BLOCK):
        count = min(BLOCK, len(order) - start)
        gather(order[start : start + count], faces, screen, block)
        set_up(count, frame, block)
        for k in range(count):
            x0, x1 = int(block[LEFT, k]), int(block[RIGHT, k])
            y0, y1 = int(block[UPPER, k]), int(block[LOWER, k])
            closest = block[CLOSEST, k]
            if is_hidden(tiles, x0, x1, y0 - top, y1 - top, closest):
                continue
            if x1 - x0 >= LANES:
                draw_wide(block, k, 3, frame, inverse)
                continue
            last, left = x1 - x0, x0 + 0.5 - cx
            along0, along1, along2 = block[ALONG, k], block[ALONG + 1, k], block[ALONG + 2, k]
            gu, farthest = block[GU, k], block[FARTHEST, k]
            for row in range(y0, y1 + 1):
                v = row + 0.5 - cy
                edge0 = block[DOWN, k] * v + block[CONSTANT, k]
                edge1 = block[DOWN + 1, k] * v + block[CONSTANT + 1, k]
                edge2 = block[DOWN + 2, k] * v + block[CONSTANT + 2, k]
                base = block[GV, k] * v + block[G0, k]
                first = (row - top) * width + x0
                pixels = inverse[first : first + LANES]
                for lane in range(LANES):
                    u = left + lane
                    w = min(max(gu * u + base, farthest), closest)
                    covered = (edge0 >= along0 * u) & (edge1 >= along1 * u) & (edge2 >= along2 * u)
                    raised = covered & (lane <= last) & (w > pixels[lane])
                    pixels[lane] = w if raised else pixels[lane]


# These two are inlined, so that the compiler knows where the rows of the block lie and that they do
# not overlap: up to five times as fast.
@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def gather(order, faces, screen, block):
    """Copy the corners of the faces `order` to the top of `block`."""
    for k in range(len(order)):
        face = order[k]
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        block[UA, k], block[VA, k], block[WA, k] = screen[a, 0], screen[a, 1], screen[a, 2]
        block[UB, k], block[VB, k], block[WB, k] = screen[b, 0], screen[b, 1], screen[b, 2]
        block[UC, k], block[VC, k], block[WC, k] = screen[c, 0], screen[c, 1], screen[c, 2]


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def set_up(count, frame, block):
    """Fill `block` below its corners, for its first `count` faces.

    A face too flat to be drawn, or with a wild vertex, has no pixels around it.
    """
    cx, cy, width, top, bottom = frame
    for k in range(count):
        ua, va, wa = block[UA, k], block[VA, k], block[WA, k]
        ub, vb, wb = block[UB, k], block[VB, k], block[WB, k]
        uc, vc, wc = block[UC, k], block[VC, k], block[WC, k]
        abu, abv = ub - ua, vb - va
        bcu, bcv = uc - ub, vc - vb
        cau, cav = ua - uc, va - vc
        area = abv * cau - abu * cav
        longest = largest(abu * abu + abv * abv, bcu * bcu + bcv * bcv, cau * cau + cav * cav)
        drawn = area * area > FLAT * FLAT * longest
        scale = 1.0 / (area if drawn else 1.0)
        gu = ((wb - wa) * cav + (wc - wa) * abv) * -scale
        gv = ((wb - wa) * cau + (wc - wa) * abu) * scale
        sign = 1.0 if area > 0.0 else -1.0
        abu, abv, bcu, bcv, cau, cav = (
            sign * abu, sign * abv, sign * bcu, sign * bcv, sign * cau, sign * cav,
        )  # fmt: skip
        x0 = smallest(ua, ub, uc) + cx - 0.5 - SLACK
        x1 = largest(ua, ub, uc) + cx - 0.5 + SLACK
        y0 = smallest(va, vb, vc) + cy - 0.5 - SLACK
        y1 = largest(va, vb, vc) + cy - 0.5 + SLACK
        block[LEFT, k] = np.ceil(x0 if drawn & (x0 > 0.0) else 0.0)
        block[RIGHT, k] = np.floor(x1 if drawn & (x1 < width - 1.0) else width - 1.0)
        block[UPPER, k] = np.ceil(y0 if drawn & (y0 > top) else float(top))
        y1 = y1 if y1 < bottom - 1.0 else bottom - 1.0
        block[LOWER, k] = np.floor(y1 if drawn else top - 1.0)
        block[DOWN, k] = abu
        block[DOWN + 1, k] = bcu
        block[DOWN + 2, k] = cau
        block[ALONG, k] = abv
        block[ALONG + 1, k] = bcv
        block[ALONG + 2, k] = cav
        block[CONSTANT, k] = abv * ua - abu * va + SLACK * (abs(abu) + abs(abv))
        block[CONSTANT + 1, k] = bcv * ub - bcu * vb + SLACK * (abs(bcu) + abs(bcv))
        block[CONSTANT + 2, k] = cav * uc - cau * vc + SLACK * (abs(cau) + abs(cav))
        block[GU, k] = gu
        block[GV, k] = gv
        block[G0, k] = wa - gu * ua - gv * va
        block[FARTHEST, k] = smallest(wa, wb, wc)
        block[CLOSEST, k] = largest(wa, wb, wc)


@njit(cache=True, nogil=True, error_model="numpy")
def smallest(a, b, c):
    """Return the least of three numbers, in instructions that a vector has too."""
    a = a if a < b else b
    return a if a < c else c


@njit(cache=True, nogil=True, error_model="numpy")
def largest(a, b, c):
    """Return the greatest of three numbers, in instructions that a vector has too."""
    a = a if a > b else b
    return a if a > c else c


@njit(cache=True, nogil=True, error_model="numpy")
def is_hidden(tiles, x0, x1, y0, y1, closest):
    """Return whether nothing at inverse depth `closest` is before what `tiles` hold there."""
    for i in range(y0 // TILE, y1 // TILE + 1):
        for j in range(x0 // TILE, x1 // TILE + 1):
            if tiles[i, j] < closest:
                return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def find_farthest(inverse, height, width, tiles):
    """Fill `tiles` with the least inverse depth of each square of `TILE` by `TILE` pixels."""
    line = np.empty(width)
    for top in range(0, height, TILE):
        line[:] = np.inf
        for row in range(top, min(top + TILE, height)):
            pixels = inverse[row * width : (row + 1) * width]
            for k in range(width):
                line[k] = pixels[k] if pixels[k] < line[k] else line[k]
        for left in range(0, width, TILE):
            least = np.inf
            for k in range(left, min(left + TILE, width)):
                least = line[k] if line[k] < least else least
            tiles[top // TILE, left // TILE] = least


@njit(cache=True, nogil=True, error_model="numpy")
def draw_wide(block, k, edges, frame, inverse):
    """Raise `inverse` by face `k` of `block`, row by row from where one of its `edges` crosses the
    row.
    """
    cx, cy, width, top, _ = frame
    gu, farthest, closest = block[GU, k], block[FARTHEST, k], block[CLOSEST, k]
    for row in range(int(block[UPPER, k]), int(block[LOWER, k]) + 1):
        v = row + 0.5 - cy
        left, right = block[LEFT, k], block[RIGHT, k]
        for edge in range(edges):
            along = block[ALONG + edge, k]
            if along == 0.0:
                along = -1e-200  # the row lies wholly on one side: as good as crossed far away
            crossing = (block[DOWN + edge, k] * v + block[CONSTANT + edge, k]) / along + cx - 0.5
            if along < 0.0:
                left = crossing if crossing > left else left
            else:
                right = crossing if crossing < right else right
        if left > right:
            continue
        first, last = int(np.ceil(left)), int(right)
        base = block[GV, k] * v + block[G0, k]
        pixels = inverse[(row - top) * width + first : (row - top) * width + last + 1]
        for column in range(len(pixels)):
            w = min(max(gu * (column + first + 0.5 - cx) + base, farthest), closest)
            pixels[column] = w if w > pixels[column] else pixels[column]


@njit(cache=True, nogil=True, error_model="numpy")
def draw_wild(order, points, faces, screen, camera, frame, inverse):
    """Raise `inverse` by those of the faces `order` that have a wild vertex."""
    block = np.empty((ROWS, 1))
    for k in order:
        a, b, c = faces[k, 0], faces[k, 1], faces[k, 2]
        if not np.isnan(screen[a, 0] + screen[b, 0] + screen[c, 0]):
            continue
        if camera[3] > 0.0:
            if set_parallel(points, faces[k], camera, frame, block):
                draw_wide(block, 0, 4, frame, inverse)
        elif set_wild(points, faces[k], camera, frame, block):
            draw_wide(block, 0, 3, frame, inverse)


@njit(cache=True, nogil=True, error_model="numpy")
def set_wild(points, face, camera, frame, block):
    """Return whether a face with wild vertices can be seen, and fill `block` (.., 1) for it.

    Rays r that hit the triangle (a, b, c) in front of the camera are those with r.(b x c),
    r.(c x a), r.(a x b) of the sign of a.(b x c): homogeneous half-planes need no vertex to be in
    front, so nothing has to be clipped (Olano & Greer 1997).
    """
    intrinsics = camera[0]
    _, _, width, top, bottom = frame
    fx, fy = intrinsics[0, 0], intrinsics[1, 1]
    corners = np.empty((3, 3))
    if not take_corners(points, face, camera, corners):
        return False
    ab = corners[1] - corners[0]
    ac = corners[2] - corners[0]
    normal = cross(ab, ac)
    volume = (normal * corners[0]).sum()
    area = (normal * normal).sum()
    longest = max((ab * ab).sum(), (ac * ac).sum())
    # a needle, or a face seen exactly edge-on: its neighbours meet without it
    if area <= 1e-24 * longest * longest:
        return False
    if volume * volume <= 1e-24 * area * (corners[0] * corners[0]).sum():
        return False
    sign = 1.0 if volume > 0.0 else -1.0
    for k in range(3):
        first, second = corners[(k + 1) % 3], corners[(k + 2) % 3]
        edge = cross(first, second - first)
        across, down = sign * edge[0] / fx, sign * edge[1] / fy
        block[DOWN + k, 0] = down
        block[ALONG + k, 0] = -across
        block[CONSTANT + k, 0] = sign * edge[2] + SLACK * (abs(across) + abs(down))
    block[GU, 0] = normal[0] / (volume * fx)
    block[GV, 0] = normal[1] / (volume * fy)
    block[G0, 0] = normal[2] / volume
    block[FARTHEST, 0], block[CLOSEST, 0] = 0.0, NEAREST
    block[LEFT, 0], block[RIGHT, 0] = 0.0, width - 1.0
    block[UPPER, 0], block[LOWER, 0] = top, bottom - 1.0
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def set_parallel(points, face, camera, frame, block):
    """Do as `set_wild` in an orthographic view: there the corners' places in the image are good
    wherever they are, and a fourth half-plane holds what lies before the camera's plane.
    """
    intrinsics, far = camera[0], camera[3]
    corners = np.empty((3, 3))
    if not take_corners(points, face, camera, corners):
        return False
    for k in range(3):
        block[UA + 3 * k, 0] = intrinsics[0, 0] * corners[k, 0]
        block[VA + 3 * k, 0] = intrinsics[1, 1] * corners[k, 1]
        block[WA + 3 * k, 0] = far - corners[k, 2]
    set_up(1, frame, block)
    drawn = block[LOWER, 0] >= frame[3]
    gu, gv, g0 = block[GU, 0], block[GV, 0], block[G0, 0]
    block[DOWN + 3, 0], block[ALONG + 3, 0], block[CONSTANT + 3, 0] = -gv, gu, far - g0
    block[CLOSEST, 0] = min(block[CLOSEST, 0], far)
    return drawn


@njit(cache=True, nogil=True, error_model="numpy")
def take_corners(points, face, camera, corners):
    """Return whether a face has a corner ahead of a camera, and fill `corners` (3, 3) with all in
    its frame.
    """
    _, rotation, center, _ = camera
    ahead = 0
    for k in range(3):
        for axis in range(3):
            corners[k, axis] = (
                rotation[axis, 0] * (points[0, face[k]] - center[0])
                + rotation[axis, 1] * (points[1, face[k]] - center[1])
                + rotation[axis, 2] * (points[2, face[k]] - center[2])
            )
        ahead += corners[k, 2] > 0.0
    return ahead > 0


@njit(cache=True, nogil=True, error_model="numpy")
def cross(a, b):
    """Return the vector product of two (3,) vectors."""
    return np.array(
        [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
    )


@njit(cache=True, nogil=True, error_model="numpy")
def finish(inverse, beyond, depth):
    """Turn inverse depth, or what is left to `beyond` if above 0, into `depth` (P,), inf where it
    is 0, and leave zeros behind.
    """
    if beyond > 0.0:
        for k in range(len(depth)):
            z = max(beyond - inverse[k], 1.0 / NEAREST)
            depth[k] = z if inverse[k] > 0.0 else np.inf
            inverse[k] = 0.0
        return
    for k in range(len(depth)):
        depth[k] = 1.0 / inverse[k] if inverse[k] > 0.0 else np.inf
        inverse[k] = 0.0
