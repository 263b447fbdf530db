"""Mesh files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from types import MappingProxyType

import numpy as np

from backproject.errors import FileMissingError, FormatError, InputError
from backproject.geometry.mesh import Mesh
from backproject.io.atomic import atomic_file
from backproject.io.obj import read_obj, write_obj
from backproject.io.off import read_off, write_off
from backproject.io.ply import read_ply_mesh, write_ply_mesh
from backproject.io.polygons import Surface, triangulate
from backproject.io.scenes import read_scene, write_scene


@dataclass(frozen=True)
class MeshFormat:
    """A mesh format: `read` gives what is in the file; `write` may be missing."""

    name: str
    read: Callable[[Path], Surface]
    write: Callable[[Mesh, Path], None] | None


MESH_FORMATS: Mapping[str, MeshFormat] = MappingProxyType(
    {
        ".ply": MeshFormat("PLY", read_ply_mesh, write_ply_mesh),
        ".obj": MeshFormat("OBJ", read_obj, write_obj),
        ".stl": MeshFormat("STL", read_scene, write_scene),
        ".off": MeshFormat("OFF", read_off, write_off),
        ".glb": MeshFormat("GLB", read_scene, write_scene),
        ".gltf": MeshFormat("glTF", read_scene, None),
    }
)
"""The formats by suffix, lower case."""


def read_mesh(path: str | PathLike[str]) -> Mesh:
    """Return the mesh of a PLY, OBJ, STL, OFF, GLB or glTF file, in the file's coordinates.

    All objects of the file together, with their transforms. Polygons are ear-clipped
    (`polygons.triangulate`). Vertices and faces keep their number and order, but for STL and GLB,
    where vertices at exactly the same place become one. `support` comes back from the PLY files
    that `write_mesh` made of a fused mesh; it is None otherwise. `colors` are those of vertices, in
    PLY, OBJ and GLB; textures, and colours of faces, are passed over.

    Raises:
        FileMissingError: no such file.
        FormatError: a folder, an unknown suffix, content that is not whole, no faces, indices out
            of range, numbers that are not finite.

    """
    path = Path(path)
    format = _format_of(path, tuple(MESH_FORMATS), "read")
    if not path.exists():
        raise FileMissingError(f"{path}: no such file, expected a mesh")
    if path.is_dir():
        raise FormatError(f"{path}: is a folder, expected a mesh file")
    try:
        return _checked(format.read(path))
    # Not only ValueError: on damaged files trimesh raises whatever its loaders run into.
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise FormatError(
            f"{path}: cannot be read as {format.name}: {reason}; expected a whole mesh file"
            " with faces: export it again"
        ) from error


def _checked(surface: Surface) -> Mesh:
    vertices, polygons = surface.vertices, surface.polygons
    if not len(polygons.sizes):
        raise ValueError(f"{len(vertices)} vertices and no faces")
    bad = int((~np.isfinite(vertices).all(axis=1)).sum())
    if bad:
        raise ValueError(f"{bad} of {len(vertices)} vertices hold nan or infinite numbers")
    faces = triangulate(vertices, polygons)
    return Mesh(vertices, faces, surface.support, surface.colors)


def write_mesh(mesh: Mesh, path: str | PathLike[str]) -> None:
    """Write a .ply, .obj, .stl, .off or .glb file, by suffix, whole or not at all.

    PLY and STL are binary. PLY, OBJ and OFF keep the float64 vertices exactly; STL and GLB hold
    float32. Only PLY keeps `support`: the others lose which part of the surface was seen. PLY, OBJ
    and GLB keep `colors`.

    Raises:
        FormatError: a suffix that cannot be written.
        InputError: a mesh without faces.
        OutputError: a place that cannot be written.

    """
    path = Path(path)
    format = writable_format(path)
    if not len(mesh.faces):
        raise InputError(f"{path}: the mesh to write has no faces, expected at least one")
    assert format.write is not None
    with atomic_file(path) as beside:
        format.write(mesh, beside)


def writable_format(path: Path) -> MeshFormat:
    """Return the format that `path` would be written in, by suffix: to be asked before long work.

    Raises:
        FormatError: a suffix that cannot be written.

    """
    writable = tuple(suffix for suffix, format in MESH_FORMATS.items() if format.write)
    return _format_of(path, writable, "written")


def _format_of(path: Path, suffixes: tuple[str, ...], verb: str) -> MeshFormat:
    suffix = path.suffix.lower()
    if suffix not in suffixes:
        raise FormatError(
            f"{path}: suffix `{path.suffix}` cannot be {verb} as a mesh,"
            f" expected one of {' '.join(suffixes)}"
        )
    return MESH_FORMATS[suffix]
