# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's meshes to this package's, and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from backproject.errors import InputError
from backproject.geometry.cloud import PointCloud
from backproject.geometry.colors import Colors, as_bytes
from backproject.geometry.mesh import Mesh

ATTRIBUTE_TYPES = {"i": ("INT", np.int32), "f": ("FLOAT", np.float32)}
"""How Blender calls numbers of a kind, and how it keeps them."""


@dataclass(frozen=True)
class _Part:
    """The triangles of one object or instance, in world coordinates."""

    vertices: NDArray[np.float64]
    faces: NDArray[np.int32]
    support: NDArray[np.int32] | None
    colors: Colors | None


def mesh_of(objects: Sequence[Any], depsgraph: Any) -> Mesh:
    """Return the surface of some objects as `depsgraph` has them, in world coordinates: with
    modifiers, instances (collections', particles', geometry nodes'), text and curves, triangulated
    as Blender does it. A negative scale turns faces over, so that their outside stays outside.

    `support` and `colors` come back if all of them carry the attribute of that name, as `add_mesh`
    writes it.

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
    return Mesh(
        np.concatenate([part.vertices for part in parts]),
        np.concatenate([part.faces + start for part, start in zip(parts, offsets, strict=False)]),
        _joined([part.support for part in parts]),
        _joined([part.colors for part in parts]),
    )


def _joined(values: Sequence[NDArray[Any] | None]) -> NDArray[Any] | None:
    """Return what is known of the vertices of all parts, None if of one it is not."""
    known = [each for each in values if each is not None]
    return np.concatenate(known) if len(known) == len(values) else None


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
        support = _values(mesh, "support", "INT", "value", np.int32, 1)
        colors = _values(mesh, "colors", "BYTE_COLOR", "color_srgb", np.float32, 4)
    finally:
        evaluated.to_mesh_clear()
    if np.linalg.det(world_from_object[:3, :3]) < 0:
        faces = faces[:, ::-1]
    vertices = points @ world_from_object[:3, :3].T + world_from_object[:3, 3]
    return _Part(
        vertices,
        faces,
        None if support is None else support[:, 0],
        None if colors is None else as_bytes(255 * colors[:, :3]),
    )


def _values(
    mesh: Any, name: str, kind: str, part: str, dtype: type, width: int
) -> NDArray[Any] | None:
    """Return an attribute of the vertices, (V, width), None if there is none of that `kind`."""
    found = mesh.attributes.get(name)
    if found is None or (found.domain, found.data_type) != ("POINT", kind):
        return None
    return _column(found.data, part, dtype, width)


def _column(collection: Any, name: str, dtype: type, width: int) -> NDArray[Any]:
    """Return a property of all items, (N, width)."""
    flat: NDArray[Any] = np.empty(len(collection) * width, dtype)
    collection.foreach_get(name, flat)
    return flat.reshape(-1, width)


def add_mesh(name: str, mesh: Mesh, collection: Any) -> Any:
    """Return a new object of `mesh` in `collection`, at the origin, its vertices in world
    coordinates. What the mesh knows of each vertex becomes an attribute of that name: `support`,
    and `colors` a colour attribute.

    Blender keeps single precision.
    """
    data = _new_data(name, mesh.vertices, mesh.faces)
    if mesh.support is not None:
        add_attribute(data, "support", mesh.support)
    if mesh.colors is not None:
        add_colors(data, "colors", mesh.colors)
    return _linked(name, data, collection)


def add_cloud(name: str, cloud: PointCloud, collection: Any) -> Any:
    """Return a new object of the points of `cloud` in `collection`: a mesh of vertices alone, with
    the attributes `normal` (zero where unknown), `view_index` (-1 where unknown), and `colors` if
    it has some.
    """
    data = _new_data(name, cloud.points, np.empty((0, 3), np.int32))
    add_attribute(data, "normal", np.nan_to_num(cloud.normals, nan=0.0))
    add_attribute(data, "view_index", cloud.view_index)
    if cloud.colors is not None:
        add_colors(data, "colors", cloud.colors)
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


def add_colors(data: Any, name: str, colors: Colors) -> None:
    """Give a mesh (`bpy.types.Mesh`) colours (V, 3) of its vertices, and show these of all it has.

    They are sRGB in 8 bits, as Blender's own `BYTE_COLOR` is.
    """
    attribute = data.color_attributes.new(name, "BYTE_COLOR", "POINT")
    opaque = np.concatenate([colors, np.full((len(colors), 1), 255)], axis=1)
    attribute.data.foreach_set("color_srgb", (opaque / 255).astype(np.float32).ravel())
    data.color_attributes.active_color = attribute


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
