"""Give the pixels of a depth map the colours of the triangles that drew it.

A second pass over the triangles, after `kernels.raster`: a triangle whose depth at a pixel is what
the map holds there, to the bit, gives the pixel its colour. The expressions are those of the first
pass, so their results are the same.
"""

import numpy as np
from numba import njit

from backproject.kernels.raster import (
    ALONG,
    BLOCK,
    CLOSEST,
    CONSTANT,
    DOWN,
    FARTHEST,
    G0,
    GU,
    GV,
    LANES,
    LEFT,
    LOWER,
    NEAREST,
    RIGHT,
    ROWS,
    SLACK,
    UPPER,
    WA,
    gather,
    project_vertices,
    set_parallel,
    set_up,
    set_wild,
    sort_faces,
)


@njit(cache=True, nogil=True, error_model="numpy")
def paint_bands(
    start, stop, bands, points, faces, planes, intrinsics, rotation, centers, eyes, beyond, screen,
    cells, order, vertex_colors, depth, colors,
):  # fmt: skip
    """Fill `colors` (N, H, W, 3) where `depth` (N, H, W) is finite, by `vertex_colors` (V, 3).

    The other arguments are those of `raster.draw_bands`, which made `depth` of them. Where faces
    have the same depth, one that is seen from its front counts before others.
    """
    height, width = depth.shape[1], depth.shape[2]
    for item in range(start, stop):
        view = item // bands
        top = height * (item % bands) // bands
        bottom = height * (item % bands + 1) // bands
        project_vertices(
            points, intrinsics[view], rotation[view], centers[view], beyond[view], width, top,
            bottom, screen, cells,
        )  # fmt: skip
        front, back = sort_faces(faces, planes, eyes[view], cells, order)
        frame = (intrinsics[view, 0, 2], intrinsics[view, 1, 2], width, top, bottom)
        camera = (intrinsics[view], rotation[view], centers[view], beyond[view])
        image = (vertex_colors, depth[view], colors[view])
        paint_faces(order[back:], points, faces, screen, camera, frame, image)
        paint_faces(order[:front], points, faces, screen, camera, frame, image)


@njit(cache=True, nogil=True, error_model="numpy")
def paint_faces(order, points, faces, screen, camera, frame, image):
    """Paint the faces `order` where theirs is the depth of the `image`: colours of the vertices,
    depth (H, W) and colours (H, W, 3).
    """
    block, single = np.empty((ROWS, BLOCK)), np.empty((ROWS, 1))
    factors = np.ones(3)
    orthographic = camera[3] > 0.0
    for start in range(0, len(order), BLOCK):
        some = order[start : start + BLOCK]
        gather(some, faces, screen, block)
        set_up(len(some), frame, block)
        for k in range(len(some)):
            face = faces[some[k]]
            wild = np.isnan(screen[face[0], 0] + screen[face[1], 0] + screen[face[2], 0])
            if not wild:
                for corner in range(3):
                    factors[corner] = 1.0 if orthographic else block[WA + 3 * corner, k]
                paint(block, k, face, 1, factors, camera[3], frame, image)
                continue
            factors[:] = 1.0
            if orthographic:
                if set_parallel(points, face, camera, frame, single):
                    paint(single, 0, face, 1, factors, camera[3], frame, image)
            elif set_wild(points, face, camera, frame, single):
                paint(single, 0, face, 0, factors, camera[3], frame, image)


@njit(cache=True, nogil=True, error_model="numpy")
def paint(block, k, face, shift, factors, beyond, frame, image):
    """Paint face `k` of `block`.

    How far a pixel is from an edge, times the factor of the corner that the edge does not touch, is
    that corner's share of the colour. Corner c and edge (c + `shift`) % 3 do not touch.
    """
    cx, cy, _, _, _ = frame
    vertex_colors, depth, colors = image
    shares = np.empty(3)
    x0, x1 = int(block[LEFT, k]), int(block[RIGHT, k])
    narrow = block.shape[1] > 1 and x1 - x0 < LANES
    for row in range(int(block[UPPER, k]), int(block[LOWER, k]) + 1):
        v = row + 0.5 - cy
        base = block[GV, k] * v + block[G0, k]
        for column in range(x0, x1 + 1):
            # rounded as `draw_faces` does, or as `draw_wide`
            u = x0 + 0.5 - cx + (column - x0) if narrow else column + 0.5 - cx
            w = min(max(block[GU, k] * u + base, block[FARTHEST, k]), block[CLOSEST, k])
            if not w > 0.0:
                continue
            z = max(beyond - w, 1.0 / NEAREST) if beyond > 0.0 else 1.0 / w
            if np.float32(z) != depth[row, column]:
                continue
            covered = True
            for corner in range(3):
                edge = (corner + shift) % 3
                down, along = block[DOWN + edge, k], block[ALONG + edge, k]
                inward = down * v + block[CONSTANT + edge, k] - along * u
                # once more the slack: whether it is the face's pixel at all, depth has told
                covered &= inward >= -SLACK * (abs(down) + abs(along))
                shares[corner] = max(inward, 0.0) * factors[corner]
            total = shares.sum()
            if not (covered and total > 0.0):
                continue
            for channel in range(3):
                mixed = 0.0
                for corner in range(3):
                    mixed += shares[corner] * vertex_colors[face[corner], channel]
                colors[row, column, channel] = np.uint8(mixed / total + 0.5)
