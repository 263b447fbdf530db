"""The embedded renderer: a z-buffer rasteriser, always there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproject.geometry.colors import Colors
from backproject.geometry.mesh import Mesh
from backproject.geometry.rig import Rig
from backproject.kernels import paint as painting
from backproject.kernels import parallel, raster
from backproject.progress import Progress

BAND_PIXELS = 1 << 22
"""Most pixels drawn at a time by one thread: their inverse depth takes 32 MB."""
Scratch = tuple[NDArray[Any], ...]


def rasterise(mesh: Mesh, rig: Rig, *, threads: int, progress: Progress) -> NDArray[np.float32]:
    """Return planar depth (N, H, W) at the pixel centres, inf where nothing is hit."""
    depth = np.empty((len(rig), rig.height, rig.width), np.float32)

    def scratch(pixels: int) -> Scratch:
        return *_scratch(mesh), np.zeros(pixels + raster.LANES)

    def heard(share: float) -> None:
        progress("render", share)

    _over_bands(raster.draw_bands, mesh, rig, scratch, (depth,), threads=threads, heard=heard)
    return depth


def paint(
    mesh: Mesh, depth: NDArray[np.float32], rig: Rig, *, threads: int, progress: Progress
) -> Colors:
    """Return the colours (N, H, W, 3) of what depth maps (N, H, W) show, which `rasterise` made of
    `mesh` and `rig`; black where nothing is hit. Linear between the vertices of a face.
    """
    assert mesh.colors is not None
    colors = np.zeros((*depth.shape, 3), np.uint8)

    def scratch(_pixels: int) -> Scratch:
        return _scratch(mesh)

    def heard(share: float) -> None:
        progress("render colours", share)

    out = (mesh.colors, depth, colors)
    _over_bands(painting.paint_bands, mesh, rig, scratch, out, threads=threads, heard=heard)
    return colors


def _over_bands(
    kernel: Callable[..., None],
    mesh: Mesh,
    rig: Rig,
    scratch: Callable[[int], Scratch],
    images: tuple[NDArray[Any], ...],
    *,
    threads: int,
    heard: Callable[[float], None],
) -> None:
    """Call `kernel(start, stop, bands, ..., *scratch, *images)` over all views' bands of rows.

    `scratch(pixels)` makes what one thread draws with in a band of so many pixels.
    """
    threads = threads or parallel.available_threads()
    # Few views are cut into bands of rows, so that every thread has work.
    bands = max(-(-threads // len(rig)), -(-rig.height * rig.width // BAND_PIXELS))
    bands = min(bands, rig.height)
    faces = mesh.faces.view(np.uint32)  # an index that cannot be negative needs no test
    points = np.ascontiguousarray(mesh.vertices.T)  # rows can be loaded as vectors
    planes = np.empty((4, len(faces)), np.float32)
    raster.find_planes(points, faces, planes)
    scene = (points, faces, planes)
    cameras = (
        rig.intrinsics,
        np.ascontiguousarray(rig.camera_from_world[:, :3, :3]),
        np.ascontiguousarray(rig.centers_world),
        rig.eyes_world,
        _beyond(mesh, rig),
    )
    pixels = -(-rig.height // bands) * rig.width
    idle: list[Scratch] = []

    def draw(start: int, stop: int) -> None:
        # Taking from a list is atomic under the GIL: no two threads share their scratch.
        try:
            mine = idle.pop()
        except IndexError:
            mine = scratch(pixels)
        kernel(start, stop, bands, *scene, *cameras, *mine, *images)
        idle.append(mine)

    items = len(rig) * bands
    parallel.run(
        draw,
        items,
        threads=threads,
        chunks_per_thread=items,  # one by one: no thread waits long for the last
        on_chunk=heard,
    )


def _beyond(mesh: Mesh, rig: Rig) -> NDArray[np.float64]:
    """Return for each orthographic view (N,) a depth beyond the mesh, above 0, and 0 of pinholes.

    As far beyond as the mesh is deep, and no farther, because that costs digits.
    """
    beyond = np.zeros(len(rig))
    for k in np.flatnonzero(rig.orthographic).tolist():
        _, depth = rig[k].project(mesh.vertices[np.unique(mesh.faces)])
        near, far = max(depth.min(), 0.0), depth.max()
        beyond[k] = 2 * far - near if far > near else 2 * far if far > 0 else 1.0
    return beyond


def _scratch(mesh: Mesh) -> Scratch:
    """Return `screen`, `cells` and `order`, see `raster.draw_bands`."""
    return (
        np.empty((len(mesh.vertices), 3)),
        np.empty(len(mesh.vertices), np.int64),
        np.empty(len(mesh.faces), np.uint32),
    )
