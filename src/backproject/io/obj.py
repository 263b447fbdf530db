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
from backproject.kernels.obj_lines import count_lines, read_lines

_LARGE = 100_000
"""Bytes of a text that is worth a kernel, which may have to be compiled first."""
_WORD = re.compile(rb"\S+")


def read_obj(path: Path) -> Surface:
    """Return vertices, with colours if all have them, and the polygons of all objects and groups.

    Raises:
        ValueError: a line that does not hold what its first word says.

    """
    content = path.read_bytes()
    found = _all_at_once(content) if len(content) > _LARGE else None
    return found or _line_by_line(content)


def _all_at_once(content: bytes) -> Surface | None:
    """Return the same as `_line_by_line`, some thirty times as fast; None of texts that
    `kernels.obj_lines` does not understand, and of those in which something is wrong.
    """
    text = np.frombuffer(content, np.uint8)
    counts = np.zeros(4, np.int64)
    if not count_lines(text, counts):
        return None
    vertices, width, faces, corner_count = counts.tolist()
    if vertices and width not in (3, 6):
        return None
    numbers = np.empty(vertices * width)
    places = np.empty(numbers.size, np.int64)
    corners, sizes = np.empty(corner_count, np.int64), np.empty(faces, np.int64)
    later = read_lines(text, numbers, places, corners, sizes)
    if later < 0:
        return None
    words = (_WORD.search(content, place) for place in places[:later].tolist())
    numbers[np.isnan(numbers)] = [float(word[0]) for word in words if word]
    table = numbers.reshape(vertices, width)
    return Surface(
        np.ascontiguousarray(table[:, :3]),
        Polygons(corners, sizes),
        colors=colors_in_file(table[:, 3:]) if width == 6 else None,
    )


def _line_by_line(content: bytes) -> Surface:
    text = content.decode("utf-8", errors="replace")  # names and comments may be in any encoding
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\\\n", " ")
    vertices: list[tuple[float, float, float]] = []
    colors: list[tuple[float, float, float]] = []
    loops: list[list[int]] = []
    line = ""
    try:
        for line in text.splitlines():
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
