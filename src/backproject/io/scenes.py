"""STL and GLB/glTF, whose faces are triangles by definition: read and written by trimesh."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backproject.geometry.mesh import Mesh
from backproject.io.polygons import Polygons


def read_scene(path: Path) -> tuple[NDArray[np.float64], Polygons]:
    """Return the vertices (V, 3) and triangles of all parts, each where its transforms put it.

    Vertices at exactly the same place become one: STL has no shared vertices, and GLB doubles them
    along creases and seams.
    """
    import trimesh

    with _quiet():
        scene = trimesh.load_scene(path, process=False)
        parts = [part for part in scene.dump() if isinstance(part, trimesh.Trimesh)]
    faces, offset = [np.empty((0, 3), np.int64)], 0
    for part in parts:
        faces.append(part.faces + offset)
        offset += len(part.vertices)
    vertices = np.concatenate([np.empty((0, 3)), *(part.vertices for part in parts)])
    return _merged(vertices, np.concatenate(faces))


def _merged(
    vertices: NDArray[np.float64], faces: NDArray[np.int64]
) -> tuple[NDArray[np.float64], Polygons]:
    """Return the distinct vertices, in the order in which they first appear, and the triangles."""
    if faces.size and (faces.min() < 0 or faces.max() >= len(vertices)):
        return vertices, Polygons.from_triangles(faces)  # left for the check of all formats
    _, first, which = np.unique(vertices, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return vertices[first[order]], Polygons.from_triangles(rank[which.reshape(-1)][faces])


def write_scene(mesh: Mesh, path: Path) -> None:
    """Write `path`'s format through trimesh: float32 vertices, as STL and GLB have no others."""
    import trimesh

    with _quiet():
        trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).export(path)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep trimesh's warnings and log lines off the terminal: what matters comes as an error."""
    logger, handler = logging.getLogger("trimesh"), logging.NullHandler()
    logger.addHandler(handler)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.removeHandler(handler)
