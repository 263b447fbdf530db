"""The embedded renderer: a z-buffer rasteriser, always there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backproject.geometry.mesh import Mesh
from backproject.geometry.rig import Rig
from backproject.kernels import parallel
from backproject.kernels.raster import draw_bands
from backproject.progress import Progress

BAND_PIXELS = 1 << 22
"""Most pixels drawn at a time by one thread: their inverse depth takes 32 MB."""


def rasterise(mesh: Mesh, rig: Rig, *, threads: int, progress: Progress) -> NDArray[np.float32]:
    """Return planar depth (N, H, W) at the pixel centres, inf where nothing is hit."""
    threads = threads or parallel.available_threads()
    depth = np.empty((len(rig), rig.height, rig.width), np.float32)
    # Few views are cut into bands of rows, so that every thread has work.
    bands = max(-(-threads // len(rig)), -(-rig.height * rig.width // BAND_PIXELS))
    bands = min(bands, rig.height)
    parallel.run(
        draw_bands,
        len(rig) * bands,
        bands,
        mesh.vertices,
        mesh.faces,
        rig.intrinsics,
        np.ascontiguousarray(rig.camera_from_world[:, :3, :3]),
        np.ascontiguousarray(rig.centers_world),
        depth,
        threads=threads,
        on_chunk=lambda share: progress("render", share),
    )
    return depth
