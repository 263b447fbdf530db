"""The embedded renderer: a z-buffer rasteriser, always there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backproject.geometry.mesh import Mesh
from backproject.geometry.rig import Rig
from backproject.kernels import parallel, raster
from backproject.progress import Progress

Scratch = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.uint32], NDArray[np.float64]]
"""What one thread draws with: the last four arguments of `draw_bands` before the depth."""
BAND_PIXELS = 1 << 22
"""Most pixels drawn at a time by one thread: their inverse depth takes 32 MB."""


def rasterise(mesh: Mesh, rig: Rig, *, threads: int, progress: Progress) -> NDArray[np.float32]:
    """Return planar depth (N, H, W) at the pixel centres, inf where nothing is hit."""
    threads = threads or parallel.available_threads()
    depth = np.empty((len(rig), rig.height, rig.width), np.float32)
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
            scratch = idle.pop()
        except IndexError:
            scratch = _scratch(len(mesh.vertices), len(faces), pixels)
        raster.draw_bands(start, stop, bands, *scene, *cameras, *scratch, depth)
        idle.append(scratch)

    items = len(rig) * bands
    parallel.run(
        draw,
        items,
        threads=threads,
        chunks_per_thread=items,  # one by one: no thread waits long for the last
        on_chunk=lambda share: progress("render", share),
    )
    return depth


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


def _scratch(vertices: int, faces: int, pixels: int) -> Scratch:
    return (
        np.empty((vertices, 3)),
        np.empty(vertices, np.int64),
        np.empty(faces, np.uint32),
        np.zeros(pixels + raster.LANES),
    )
