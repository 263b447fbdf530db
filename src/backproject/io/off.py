"""OFF: counts, vertices, polygons. Read here and not with trimesh, which fans out the polygons."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from backproject.geometry.mesh import Mesh
from backproject.io.polygons import Polygons, Surface

# ModelNet's files lack the line break between the word and the counts.
_HEADER = re.compile(r"\s*(?:ST)?C?N?OFF(?!\s*BINARY)")


def read_off(path: Path) -> Surface:
    """Return vertices and polygons of an ASCII file; colours and normals are passed over.

    Raises:
        ValueError: the file does not start with OFF or does not hold what its counts say.

    """
    text = re.sub(r"#.*", "", path.read_text("utf-8", errors="replace"))
    header = _HEADER.match(text)
    if not header:
        raise ValueError(f"starts with `{text[:20].strip()}`, expected ASCII with the word OFF")
    lines = [words for line in text[header.end() :].splitlines() if (words := line.split())]
    if not lines or len(lines[0]) < 2:
        raise ValueError("no line with the numbers of vertices and faces")
    vertex_count, face_count = int(lines[0][0]), int(lines[0][1])
    if min(vertex_count, face_count) < 0 or len(lines) < 1 + vertex_count + face_count:
        raise ValueError(
            f"{len(lines) - 1} lines after the counts, expected {vertex_count} vertices"
            f" and {face_count} faces"
        )
    rows = lines[1 : 1 + vertex_count]
    vertices = np.array([row[:3] for row in rows], np.float64).reshape(-1, 3)
    loops = [_loop(row) for row in lines[1 + vertex_count :][:face_count]]
    return Surface(vertices, Polygons.from_lists(loops))


def _loop(row: list[str]) -> list[int]:
    size = int(row[0])
    if not 0 <= size < len(row):
        raise ValueError(f"face `{' '.join(row)[:60]}` lacks corners")
    return [int(word) for word in row[1 : 1 + size]]


def write_off(mesh: Mesh, path: Path) -> None:
    """Write vertices with 17 digits, so that reading gives the same float64 numbers."""
    with path.open("w", encoding="utf-8") as file:
        file.write(f"OFF\n{len(mesh.vertices)} {len(mesh.faces)} 0\n")
        np.savetxt(file, mesh.vertices, fmt="%.17g %.17g %.17g")
        np.savetxt(file, mesh.faces, fmt="3 %d %d %d")
