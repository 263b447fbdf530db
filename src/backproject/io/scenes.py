"""STL and GLB/glTF, whose faces are triangles by definition: read and written by trimesh."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backproject.geometry.colors import Colors
from backproject.geometry.mesh import Mesh, vertex_colors
from backproject.io.polygons import Polygons, Surface


def read_scene(path: Path) -> Surface:
    """Return the vertices and triangles of all parts, each where its transforms put it, and their
    colours if the vertices of all parts have some.

    Vertices at exactly the same place become one: STL has no shared vertices, and GLB doubles them
    along creases and seams. The first one's colour is kept.
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
    colors = [found for part in parts if (found := vertex_colors(part)) is not None]
    told = len(colors) == len(parts) > 0
    return _merged(vertices, np.concatenate(faces), np.concatenate(colors) if told else None)


def _merged(
    vertices: NDArray[np.float64], faces: NDArray[np.int64], colors: Colors | None
) -> Surface:
    """Return the distinct vertices, in the order in which they first appear, and the triangles."""
    if faces.size and (faces.min() < 0 or faces.max() >= len(vertices)):
        return Surface(
            vertices, Polygons.from_triangles(faces)
        )  # left for the check of all formats
    _, first, which = np.unique(vertices, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return Surface(
        vertices[first[order]],
        Polygons.from_triangles(rank[which.reshape(-1)][faces]),
        colors=None if colors is None else colors[first[order]],
    )


def write_scene(mesh: Mesh, path: Path) -> None:
    """Write `path`'s format through trimesh: float32 vertices, as STL and GLB have no others. GLB
    keeps colours.
    """
    import trimesh

    with _quiet():
        colors = mesh.colors if path.suffix.lower() == ".glb" else None
        whole = trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_colors=colors, process=False)
        whole.export(path)


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
