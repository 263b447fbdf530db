"""PLY: named elements with named properties, for meshes and clouds alike.

Read here and not with trimesh, which refuses binary files that mix triangles with larger polygons
(Blender writes them), fans out polygons, and writes float32 only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproject.geometry.colors import Colors
from backproject.geometry.mesh import Mesh
from backproject.io.polygons import Polygons, Surface, colors_in_file

_DTYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4",
    "float": "f4", "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2",
    "int32": "i4", "uint32": "u4", "float32": "f4", "float64": "f8",
}  # fmt: skip
_NAMES = {"f8": "double", "f4": "float", "i4": "int", "u1": "uchar"}
_COLORS = ("red", "green", "blue")


@dataclass(frozen=True)
class Lists:
    """A property with a list a row, one after the other: `sizes` sum to the number of `values`."""

    values: NDArray[Any]
    sizes: NDArray[np.int64]


Column = NDArray[Any] | Lists
"""A property of an element, in the file's types (ASCII: float64): a number or a list a row."""


@dataclass(frozen=True)
class _Property:
    name: str
    dtype: np.dtype[Any]
    count_dtype: np.dtype[Any] | None  # of a list's length; None for a single number


@dataclass(frozen=True)
class _Element:
    name: str
    count: int
    properties: list[_Property]


def read_ply(path: Path) -> dict[str, dict[str, Column]]:
    """Return the columns of every element, ASCII or binary, by element and property name.

    Raises:
        ValueError: not a PLY file, or one that does not hold what its header says.

    """
    content = path.read_bytes()
    head, end, body = content.partition(b"end_header")
    if not content.startswith(b"ply") or not end:
        raise ValueError("no PLY header from `ply` to `end_header`")
    elements, ascii_numbers = _parse_header(head.decode("utf-8", errors="replace"))
    body = body.partition(b"\n")[2]
    if ascii_numbers:
        # Words become a binary body of float64, which holds every int32: one parser for both.
        body = np.array(body.split(), np.float64).tobytes()
    result, offset = {}, 0
    for element in elements:
        columns, offset = _read_element(element, body, offset)
        result[element.name] = columns
    return result


def _parse_header(head: str) -> tuple[list[_Element], bool]:
    elements: list[_Element] = []
    order = ""
    for line in head.splitlines()[1:]:
        match line.split():
            case ["format", "ascii", *_]:
                order = "ascii"
            case ["format", "binary_little_endian", *_]:
                order = "<"
            case ["format", "binary_big_endian", *_]:
                order = ">"
            case ["element", name, count] if int(count) >= 0:
                elements.append(_Element(name, int(count), []))
            case ["property", "list", length, kind, name] if elements and order:
                dtypes = _dtype(kind, order), _dtype(length, order)
                elements[-1].properties.append(_Property(name, *dtypes))
            case ["property", kind, name] if elements and order:
                elements[-1].properties.append(_Property(name, _dtype(kind, order), None))
            case [] | ["comment" | "obj_info", *_]:
                pass
            case _:
                raise ValueError(f"header line `{line.strip()[:60]}` is not understood")
    if not order:
        raise ValueError("header without a known format line")
    return elements, order == "ascii"


def _dtype(kind: str, order: str) -> np.dtype[Any]:
    if kind not in _DTYPES:
        raise ValueError(f"header names the unknown type `{kind}`")
    return np.dtype("<f8") if order == "ascii" else np.dtype(order + _DTYPES[kind])


def _read_element(element: _Element, body: bytes, offset: int) -> tuple[dict[str, Column], int]:
    """Return the columns of the element that starts at `offset`, and the offset after it.

    Rows whose lists have the same lengths have one layout and are read at once, window by window.
    """
    blocks = []
    left, window = element.count if element.properties else 0, 4096
    while left:
        rows = _alike_rows(element, body, offset, min(window, left))
        window = 2 * window if len(rows) == window else 16
        blocks.append(rows)
        offset += rows.nbytes
        left -= len(rows)
    columns = {
        p.name: _column(p, [b[f"value{i}"] for b in blocks])
        for i, p in enumerate(element.properties)
    }
    return columns, offset


def _column(property: _Property, blocks: list[NDArray[Any]]) -> Column:
    values = np.concatenate([np.empty(0, property.dtype), *(block.reshape(-1) for block in blocks)])
    if property.count_dtype is None:
        return values
    sizes = [np.full(len(block), block.shape[1], np.int64) for block in blocks]
    return Lists(values, np.concatenate([np.empty(0, np.int64), *sizes]))


def _alike_rows(element: _Element, body: bytes, offset: int, window: int) -> NDArray[Any]:
    """Return the next rows, at most `window`, up to where a list's length changes."""
    layout, counts, at = [], {}, offset
    try:
        for i, p in enumerate(element.properties):
            size = 1
            if p.count_dtype:
                size = int(np.frombuffer(body, p.count_dtype, 1, at)[0])
                layout.append((f"count{i}", p.count_dtype, (1,)))
                counts[f"count{i}"] = size
            layout.append((f"value{i}", p.dtype, (size,)))
            at = offset + np.dtype(layout).itemsize
        row = np.dtype(layout)
        rows = np.frombuffer(body, row, min(window, (len(body) - offset) // row.itemsize), offset)
    except (ValueError, OverflowError) as error:
        raise ValueError(_too_short(element)) from error
    if not len(rows):
        raise ValueError(_too_short(element))
    alike = np.ones(len(rows) + 1, np.bool_)
    alike[-1] = False
    for name, size in counts.items():
        alike[:-1] &= rows[name][:, 0] == size
    return rows[: np.argmin(alike)]


def _too_short(element: _Element) -> str:
    return f"ends before the {element.count} rows of `{element.name}` that its header says"


def write_ply(
    path: Path, columns: Mapping[str, NDArray[Any]], faces: NDArray[np.int32] | None = None
) -> None:
    """Write a binary little-endian file: a vertex property a column, and triangles if given."""
    layout = [(name, column.dtype.newbyteorder("<")) for name, column in columns.items()]
    vertex = np.empty(len(next(iter(columns.values()))), layout)
    for name, column in columns.items():
        vertex[name] = column
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(vertex)}"]
    header += [f"property {_NAMES[c.dtype.str[1:]]} {name}" for name, c in columns.items()]
    body = vertex.tobytes()
    if faces is not None:
        header += [f"element face {len(faces)}", "property list uchar int vertex_indices"]
        rows = np.empty(len(faces), [("size", "u1"), ("corners", "<i4", (3,))])
        rows["size"], rows["corners"] = 3, faces
        body += rows.tobytes()
    path.write_bytes("\n".join([*header, "end_header\n"]).encode() + body)


def read_ply_mesh(path: Path) -> Surface:
    """Return vertices as in the file, polygons, and support and colours if they are there.

    Raises:
        ValueError: as `read_ply`, or no x, y, z, or no faces.

    """
    elements = read_ply(path)
    vertices = columns_of(elements.get("vertex", {}), "xyz")
    if vertices is None:
        raise ValueError("vertices without x, y and z")
    face = elements.get("face", {})
    loops = face.get("vertex_indices", face.get("vertex_index"))
    if not isinstance(loops, Lists):
        raise ValueError("no faces with vertex_indices")
    polygons = Polygons(loops.values.astype(np.int64), loops.sizes)
    vertex = elements["vertex"]
    return Surface(vertices, polygons, _support_of(vertex), colors_of(vertex))


def _support_of(vertex: Mapping[str, Column]) -> NDArray[np.int32] | None:
    """Return the numbers of views (V,), or None: also where the name means something else, as it
    does if it does not hold whole numbers from 0.
    """
    column = vertex.get("support")
    if not isinstance(column, np.ndarray):
        return None
    counts = (column >= 0) & (column <= np.iinfo(np.int32).max) & (column == np.floor(column))
    return column.astype(np.int32) if counts.all() else None


def colors_of(vertex: Mapping[str, Column]) -> Colors | None:
    """Return the colours (V, 3) of vertices or points, or None: also where the names mean something
    else.
    """
    numbers = columns_of(vertex, _COLORS)
    if numbers is None:
        return None
    columns = (vertex[name] for name in _COLORS)
    if all(isinstance(each, np.ndarray) and each.dtype == np.uint8 for each in columns):
        return numbers.astype(np.uint8)
    return colors_in_file(numbers)


def color_columns(colors: Colors | None) -> dict[str, Colors]:
    """Return the columns to write of colours (V, 3), by name: none if there are none."""
    return {} if colors is None else dict(zip(_COLORS, colors.T, strict=True))


def columns_of(element: Mapping[str, Column], names: Iterable[str]) -> NDArray[np.float64] | None:
    """Return the named columns side by side (rows, names), or None if one of them is not there."""
    found = [element.get(name) for name in names]
    if not all(isinstance(column, np.ndarray) for column in found):
        return None
    return np.stack([np.asarray(column, np.float64) for column in found], axis=1)


def write_ply_mesh(mesh: Mesh, path: Path) -> None:
    """Write double vertices, and what there is of support and colours: reading gives the same."""
    columns: dict[str, NDArray[Any]] = dict(zip("xyz", mesh.vertices.T, strict=True))
    if mesh.support is not None:
        columns["support"] = mesh.support
    write_ply(path, columns | color_columns(mesh.colors), mesh.faces)
