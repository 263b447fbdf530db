# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of an object's surface, as attributes and materials that show it."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from mathutils import Color
from numpy.typing import ArrayLike, NDArray

from backproject.errors import InputError

SEEN, UNSEEN = "Backproject seen", "Backproject unseen"
ERROR = "Backproject error"


def show_unseen(
    fused: Any, unseen: NDArray[np.bool_], *, seen_color: ArrayLike, color: ArrayLike
) -> None:
    """Give the faces of an object that no camera saw the attribute `unseen` and a material of
    their own; the others one, too. `unseen` (F,); the colours (3,) are sRGB, from 0 to 1.
    """
    data = fused.data
    marks = data.attributes.new("unseen", "BOOLEAN", "FACE")
    marks.data.foreach_set("value", np.ascontiguousarray(unseen, np.bool_))
    data.materials.append(_plain_material(SEEN, seen_color))
    data.materials.append(_plain_material(UNSEEN, color))
    data.polygons.foreach_set("material_index", np.asarray(unseen, np.int32))


def show_error(shown: Any, distance: NDArray[np.float64], colors: NDArray[np.float64]) -> None:
    """Give the vertices of an object the attribute `error`, a distance (V,) in scene units, and the
    colour attribute `error_color`, (V, 3) sRGB from 0 to 1, with a material that shows it. What it
    had of these names is replaced.

    Raises:
        InputError: an object that is no mesh.

    """
    if shown.type != "MESH":
        raise InputError(f"object {shown.name!r}: is of type {shown.type}, expected a mesh")
    data = shown.data
    for name in ("error", "error_color"):
        if name in data.attributes:
            data.attributes.remove(data.attributes[name])
    error = data.attributes.new("error", "FLOAT", "POINT")
    error.data.foreach_set("value", np.ascontiguousarray(distance, np.float32))
    color = data.color_attributes.new("error_color", "BYTE_COLOR", "POINT")
    opaque = np.concatenate([colors, np.ones((len(colors), 1))], axis=1)
    color.data.foreach_set("color_srgb", np.ascontiguousarray(opaque, np.float32).ravel())
    data.color_attributes.active_color = color
    _give_material(data, _error_material())


def vertices_of(shown: Any) -> NDArray[np.float64]:
    """Return the vertices (V, 3) of a mesh object in world coordinates, before its modifiers."""
    data = shown.data
    flat = np.empty(3 * len(data.vertices), np.float32)
    data.vertices.foreach_get("co", flat)
    world_from_object = np.array(shown.matrix_world, np.float64)
    return flat.reshape(-1, 3) @ world_from_object[:3, :3].T + world_from_object[:3, 3]


def _give_material(data: Any, material: Any) -> None:
    """Show one material on all of a mesh; it keeps its others."""
    known = [each.name if each else "" for each in data.materials]
    if material.name not in known:
        data.materials.append(material)
        known.append(material.name)
    chosen = np.full(len(data.polygons), known.index(material.name), np.int32)
    data.polygons.foreach_set("material_index", chosen)
    data.update()


def _plain_material(name: str, color: ArrayLike) -> Any:
    """Return the material of that name, made when there is none: one colour, in every shading."""
    known = bpy.data.materials.get(name)
    if known is not None:
        return known
    made = bpy.data.materials.new(name)
    linear = (*Color(np.asarray(color, float).tolist()).from_srgb_to_scene_linear(), 1.0)
    made.diffuse_color = linear  # what Solid shading shows
    _shader(made).inputs["Base Color"].default_value = linear
    return made


def _error_material() -> Any:
    known = bpy.data.materials.get(ERROR)
    if known is not None:
        return known
    made = bpy.data.materials.new(ERROR)
    shader = _shader(made)
    colors = made.node_tree.nodes.new("ShaderNodeVertexColor")
    colors.layer_name = "error_color"
    colors.location = (-300, 200)
    made.node_tree.links.new(colors.outputs["Color"], shader.inputs["Base Color"])
    return made


def _shader(material: Any) -> Any:
    """Return the shader of a new material."""
    if material.node_tree is None:  # before Blender 5, where every material has nodes
        material.use_nodes = True
    return material.node_tree.nodes["Principled BSDF"]
