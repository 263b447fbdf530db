"""Wavefront OBJ: `v` and `f` lines, and `v x y z r g b` where vertices have colours, which is how
MeshLab, Blender and others write them.

Read here and not with trimesh, which fans out polygons, splits vertices along texture seams (a
closed mesh opens) and takes indices that do not exist for others. Positions and faces are two kinds
of line; everything else in the file is appearance.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from backproject.geometry.mesh import Mesh
from backproject.io.polygons import Polygons, Surface, colors_in_file


def read_obj(path: Path) -> Surface:
    """Return vertices, with colours if all have them, and the polygons of all objects and groups.

    Raises:
        ValueError: a line that does not hold what its first word says.

    """
    text = path.read_text("utf-8", errors="replace")  # names and comments may be in any encoding
    lines = text.replace("\\\n", " ").splitlines()
    return _all_at_once(lines) or _line_by_line(lines)


def _all_at_once(lines: list[str]) -> Surface | None:
    """Return the same as `_line_by_line`, five times as fast; None of files that it does not
    understand, and of those in which something is wrong.
    """
    if any(_is_odd(head) for head in {line[:2] for line in lines}):
        return None
    vertices = [line for line in lines if line.startswith("v ")]
    faces = [line for line in lines if line.startswith("f ")]
    words = " ".join(vertices).split()
    if words[::4].count("v") != len(vertices) or len(words) != 4 * len(vertices):
        return None  # other than `v x y z`
    try:
        del words[::4]
        points = np.fromiter(map(float, words), np.float64, len(words)).reshape(-1, 3)
        words = re.sub(r"/\S*", "", "\n".join(faces)).split()
        starts = np.array([at for at, word in enumerate(words) if word == "f"], np.int64)
        sizes = np.diff(starts, append=len(words)) - 1
        corners = np.fromiter((int(w) for w in words if w != "f"), np.int64, sizes.sum())
    except (ValueError, OverflowError):
        return None
    if len(starts) != len(faces) or (corners.size and corners.min() < 1):
        return None  # an `f` that begins no line; corners counted back from the vertices so far
    return Surface(points, Polygons(corners - 1, sizes))


def _is_odd(head: str) -> bool:
    """Return whether the first two letters may begin a vertex or a face in another way."""
    is_ours = head[:1] in ("v", "f") and (len(head) == 1 or head[1].isspace())
    return head[:1].isspace() or (is_ours and head[1:] != " ")


def _line_by_line(lines: list[str]) -> Surface:
    vertices: list[tuple[float, float, float]] = []
    colors: list[tuple[float, float, float]] = []
    loops: list[list[int]] = []
    line = ""
    try:
        for line in lines:
            match line.split():
                case ["v", x, y, z, *rest]:
                    vertices.append((float(x), float(y), float(z)))
                    if len(rest) == 3:  # one more alone is a weight
                        colors.append((float(rest[0]), float(rest[1]), float(rest[2])))
                case ["f", *corners]:
                    loops.append([_index(corner, len(vertices)) for corner in corners])
                case ["v", *_]:
                    raise ValueError("expected three coordinates")
    except ValueError as error:
        raise ValueError(f"the line `{line.strip()[:60]}`: {error}") from error
    return Surface(
        np.array(vertices, np.float64).reshape(-1, 3),
        Polygons.from_lists(loops),
        colors=colors_in_file(np.array(colors)) if len(colors) == len(vertices) else None,
    )


def _index(word: str, count: int) -> int:
    """Return the vertex of a corner: `7`, `7/2/3` or, counted back from the last, `-1//4`."""
    index = int(word.partition("/")[0])
    if index == 0 or index < -count:
        raise ValueError(f"vertex {index} does not exist")
    return index - 1 if index > 0 else count + index


def write_obj(mesh: Mesh, path: Path) -> None:
    """Write vertices with 17 digits, so that reading gives the same float64 numbers, and colours
    from 0 to 1.
    """
    rows, format = mesh.vertices, "v %.17g %.17g %.17g"
    if mesh.colors is not None:
        rows, format = np.hstack([rows, mesh.colors / 255]), f"{format} %.4g %.4g %.4g"
    with path.open("w", encoding="utf-8") as file:
        np.savetxt(file, rows, fmt=format)
        np.savetxt(file, mesh.faces + 1, fmt="f %d %d %d")
