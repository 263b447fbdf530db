# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's meshes to this package's, and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from backproject.errors import InputError
from backproject.geometry.cloud import PointCloud
from backproject.geometry.mesh import Mesh

ATTRIBUTE_TYPES = {"i": ("INT", np.int32), "f": ("FLOAT", np.float32)}
"""How Blender calls numbers of a kind, and how it keeps them."""


@dataclass(frozen=True)
class _Part:
    """The triangles of one object or instance, in world coordinates."""

    vertices: NDArray[np.float64]
    faces: NDArray[np.int32]
    support: NDArray[np.int32] | None


def mesh_of(objects: Sequence[Any], depsgraph: Any) -> Mesh:
    """Return the surface of some objects as `depsgraph` has them, in world coordinates: with
    modifiers, instances (collections', particles', geometry nodes'), text and curves, triangulated
    as Blender does it. A negative scale turns faces over, so that their outside stays outside.

    `support` comes back if all of them carry the attribute of that name, as `add_mesh` writes it.

    Raises:
        InputError: the objects have no faces there, or are hidden from it.

    """
    parts = list(_parts(objects, depsgraph))
    if not sum(len(part.faces) for part in parts):
        raise InputError(
            f"objects {', '.join(repr(each.name) for each in objects) or '(none)'}: no faces in"
            " this view layer; expected meshes, surfaces, text or instances, and not hidden"
        )
    offsets = np.cumsum([0] + [len(part.vertices) for part in parts])
    supports = [part.support for part in parts if part.support is not None]
    return Mesh(
        np.concatenate([part.vertices for part in parts]),
        np.concatenate([part.faces + start for part, start in zip(parts, offsets, strict=False)]),
        np.concatenate(supports) if len(supports) == len(parts) else None,
    )


def _parts(objects: Sequence[Any], depsgraph: Any) -> Iterator[_Part]:
    """Yield what the objects show of themselves, and their instances."""
    depsgraph.update()
    wanted = set(objects)
    for instance in depsgraph.object_instances:
        # of an instance of an instance too, the parent is the object in the scene
        owner = instance.parent if instance.is_instance else instance.object
        if owner.original not in wanted or not (instance.is_instance or instance.show_self):
            continue
        part = _part(instance.object, np.array(instance.matrix_world, np.float64))
        if part is not None:
            yield part


def _part(evaluated: Any, world_from_object: NDArray[np.float64]) -> _Part | None:
    try:
        mesh = evaluated.to_mesh()
    except RuntimeError:  # Blender's word for an object that has no surface: a lamp, an empty
        return None
    try:
        points = _column(mesh.vertices, "co", np.float32, 3).astype(np.float64)
        mesh.calc_loop_triangles()
        faces = _column(mesh.loop_triangles, "vertices", np.int32, 3)
        support = mesh.attributes.get("support")
        kept = support is not None and (support.domain, support.data_type) == ("POINT", "INT")
        values = _column(support.data, "value", np.int32, 1)[:, 0] if kept else None
    finally:
        evaluated.to_mesh_clear()
    if np.linalg.det(world_from_object[:3, :3]) < 0:
        faces = faces[:, ::-1]
    vertices = points @ world_from_object[:3, :3].T + world_from_object[:3, 3]
    return _Part(vertices, faces, values)


def _column(collection: Any, name: str, dtype: type, width: int) -> NDArray[Any]:
    """Return a property of all items, (N, width)."""
    flat: NDArray[Any] = np.empty(len(collection) * width, dtype)
    collection.foreach_get(name, flat)
    return flat.reshape(-1, width)


def add_mesh(name: str, mesh: Mesh, collection: Any) -> Any:
    """Return a new object of `mesh` in `collection`, at the origin, its vertices in world
    coordinates. What the mesh knows of each vertex, `support`, becomes an attribute of that name.

    Blender keeps single precision.
    """
    data = _new_data(name, mesh.vertices, mesh.faces)
    for key, values in _vertex_values(mesh):
        add_attribute(data, key, values)
    return _linked(name, data, collection)


def add_cloud(name: str, cloud: PointCloud, collection: Any) -> Any:
    """Return a new object of the points of `cloud` in `collection`: a mesh of vertices alone, with
    the attributes `normal` (zero where unknown) and `view_index` (-1 where unknown).
    """
    data = _new_data(name, cloud.points, np.empty((0, 3), np.int32))
    add_attribute(data, "normal", np.nan_to_num(cloud.normals, nan=0.0))
    add_attribute(data, "view_index", cloud.view_index)
    return _linked(name, data, collection)


def add_attribute(data: Any, name: str, values: NDArray[Any]) -> None:
    """Give a mesh (`bpy.types.Mesh`) an attribute of its vertices: numbers (V,) or vectors (V, 3).

    Raises:
        InputError: values of another shape.

    """
    count = len(data.vertices)
    if values.shape not in ((count,), (count, 3)):
        raise InputError(
            f"attribute {name!r}: got shape {values.shape}, expected ({count},) or ({count}, 3)"
        )
    if values.ndim == 2:
        attribute = data.attributes.new(name, "FLOAT_VECTOR", "POINT")
        attribute.data.foreach_set("vector", np.ascontiguousarray(values, np.float32).ravel())
        return
    kind, dtype = ATTRIBUTE_TYPES["f" if values.dtype.kind == "f" else "i"]
    attribute = data.attributes.new(name, kind, "POINT")
    attribute.data.foreach_set("value", np.ascontiguousarray(values, dtype))


def _vertex_values(mesh: Mesh) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield name and values of all that a mesh knows of each of its vertices."""
    for field in fields(mesh):
        values = getattr(mesh, field.name)
        if field.name not in ("vertices", "faces") and values is not None:
            yield field.name, np.asarray(values)


def _new_data(name: str, vertices: NDArray[np.float64], faces: NDArray[np.int32]) -> Any:
    """Return a new `bpy.types.Mesh`."""
    data = bpy.data.meshes.new(name)
    data.vertices.add(len(vertices))
    data.vertices.foreach_set("co", vertices.astype(np.float32).ravel())
    data.loops.add(3 * len(faces))
    data.loops.foreach_set("vertex_index", faces.ravel())
    data.polygons.add(len(faces))
    data.polygons.foreach_set("loop_start", np.arange(0, 3 * len(faces), 3, dtype=np.int32))
    data.update(calc_edges=True)
    data.validate()
    return data


def _linked(name: str, data: Any, collection: Any) -> Any:
    added = bpy.data.objects.new(name, data)
    collection.objects.link(added)
    return added
