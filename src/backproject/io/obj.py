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
from numpy.typing import NDArray

from backproject.geometry.mesh import Mesh
from backproject.io.polygons import Polygons, Surface, colors_in_file

_ODD = (
    *("\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x1f"),
    *("\n ", "\n\t", "\nv\t", "\nf\t", "\nv\n", "\nf\n"),
)
"""Lines that end, or begin a vertex or a face, in another way than `v ` or `f ` and a newline."""
_SLASH = re.compile(r"/\S*")


def read_obj(path: Path) -> Surface:
    """Return vertices, with colours if all have them, and the polygons of all objects and groups.

    Raises:
        ValueError: a line that does not hold what its first word says.

    """
    text = path.read_text("utf-8", errors="replace")  # names and comments may be in any encoding
    text = text.replace("\\\n", " ")
    return _all_at_once(text) or _line_by_line(text)


def _all_at_once(text: str) -> Surface | None:
    """Return the same as `_line_by_line`, about five times as fast; None of texts that it does not
    understand, and of those in which something is wrong.
    """
    text = f"\n{text}\n"
    if not text.isascii() or any(each in text for each in _ODD):
        return None
    try:
        words, sizes = _words_of("v", text)
        if not (sizes == 3).all():
            return None  # more, or less, than `v x y z`
        points = np.fromiter(map(float, words), np.float64, len(words)).reshape(-1, 3)
        words, sizes = _words_of("f", text)
        corners = np.fromiter(map(int, words), np.int64, len(words))
    except (ValueError, OverflowError):
        return None
    if corners.size and corners.min() < 1:
        return None  # counted back from the vertices so far
    return Surface(points, Polygons(corners - 1, sizes))


def _words_of(name: str, text: str) -> tuple[list[str], NDArray[np.int64]]:
    """Return the words of all lines of a name but the name itself, each up to its first slash, and
    how many there are on each line.

    Raises:
        ValueError: the name is among the words.

    """
    lines = re.findall(f"\n{name} .*", text)
    joined = "".join(lines)
    words = (_SLASH.sub("", joined) if name == "f" and "/" in joined else joined).split()
    each, rest = divmod(len(words), max(len(lines), 1))
    if not rest and words[:: each or 1].count(name) == len(lines) == words.count(name):
        del words[:: each or 1]
        return words, np.full(len(lines), each - 1, np.int64)
    starts = np.array([at for at, word in enumerate(words) if word == name], np.int64)
    if len(starts) != len(lines):
        raise ValueError(f"`{name}` within a line")
    sizes = np.diff(starts, append=len(words)) - 1
    return [word for word in words if word != name], sizes


def _line_by_line(text: str) -> Surface:
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
