# SPDX-License-Identifier: GPL-3.0-or-later
"""Each depth map as a sheet of squares that can be flattened: what displaced planes are made of."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from backproject.geometry.rig import Camera
from backproject.geometry.views import ViewSet
from backproject.kernels.visibility import CONTINUOUS


@dataclass(frozen=True)
class Sheet:
    """The surface that one view sees, as a grid in the frame of its camera (OpenCV axes).

    `flat` (V, 3) are pixel centres on the plane at the depth of the nearest one, `offset` (V, 3)
    the way from there along each pixel's ray to where it was seen: `flat + offset` is the view's
    cloud.
    `quads` (Q, 4) int32 join neighbouring pixels of one surface, counter-clockwise seen from the
    camera; pixels of no quad are left out. `pixels` (V, 2) are column and row of each vertex.
    """

    flat: NDArray[np.float64]
    offset: NDArray[np.float64]
    quads: NDArray[np.int32]
    pixels: NDArray[np.int64]


def sheets_of(views: ViewSet) -> list[Sheet]:
    """Return the sheet of each view; one of an empty view has no vertices.

    Four pixels are joined where all have depth and are of one surface: depths that differ by less
    than four pixel footprints, as the scores know surfaces (docs/scores.md). Jumps stay open.
    """
    return [_sheet(depth, camera) for depth, camera in zip(views.depth, views.rig, strict=True)]


def offsets_of(sheet: Sheet, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return the offset of each pixel as an image (H, W, 3) in the camera's frame, 0 where none."""
    image = np.zeros((*shape, 3))
    image[sheet.pixels[:, 1], sheet.pixels[:, 0]] = sheet.offset
    return image


def tiling(count: int) -> tuple[int, int]:
    """Return columns and rows of a sprite sheet of `count` images, about as many of each."""
    columns = int(np.ceil(np.sqrt(count)))
    return columns, -(-count // columns)


def tiled(images: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return images (N, H, W, C) as one sprite sheet, from the left, row by row from the top."""
    columns, rows = tiling(len(images))
    height, width, channels = images.shape[1:]
    full = np.zeros((rows * columns, height, width, channels))
    full[: len(images)] = images
    grid = full.reshape(rows, columns, height, width, channels)
    return grid.swapaxes(1, 2).reshape(rows * height, columns * width, channels)


def uv_of(sheet: Sheet, k: int, count: int, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return where each vertex of view `k` of `count` finds its pixel's centre on the sprite sheet,
    (V, 2) from 0 to 1, from the lower left.
    """
    columns, rows = tiling(count)
    cell = np.array([k % columns, k // columns])
    places = cell + (sheet.pixels + 0.5) / np.array([shape[1], shape[0]])
    u, v = (places / (columns, rows)).T
    return np.stack([u, 1 - v], axis=1)


def _sheet(depth: NDArray[np.float32], camera: Camera) -> Sheet:
    quads = _quads(depth, camera)
    used, corners = np.unique(quads, return_inverse=True)
    rows, columns = np.divmod(used, depth.shape[1])
    z = depth.ravel()[used].astype(np.float64)
    pixels = np.stack([columns, rows], axis=1)
    at_origin = replace(camera, world_from_camera=np.eye(4))
    nearest = np.full(len(z), z.min() if len(z) else 0.0)
    flat = at_origin.unproject(pixels + 0.5, nearest)
    faces = corners.reshape(-1, 4).astype(np.int32)
    return Sheet(flat, at_origin.unproject(pixels + 0.5, z) - flat, faces, pixels)


def _quads(depth: NDArray[np.float32], camera: Camera) -> NDArray[np.int64]:
    """Return the corners (Q, 4) of the squares between pixels of one surface, as flat indices."""
    height, width = depth.shape
    focal = float(camera.intrinsics[(0, 1), (0, 1)].min())
    index = np.arange(height * width).reshape(height, width)
    z = depth.astype(np.float64)
    corners = [(slice(None, -1), slice(None, -1)), (slice(1, None), slice(None, -1))]
    corners += [(slice(1, None), slice(1, None)), (slice(None, -1), slice(1, None))]
    four = np.stack([z[corner] for corner in corners])
    nearest = four.min(axis=0)
    with np.errstate(invalid="ignore"):  # inf - inf: no surface
        footprint = (1.0 if camera.orthographic else nearest) / focal
        one_surface = four.max(axis=0) - nearest <= CONTINUOUS * footprint
    return np.stack([index[corner][one_surface] for corner in corners], axis=1)
