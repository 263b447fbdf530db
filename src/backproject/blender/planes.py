# SPDX-License-Identifier: GPL-3.0-or-later
"""Displaced planes: each view a flat grid before its camera, that a slider moves to where it was
seen.

A preview that every Blender can show and animate. Each pixel moves along its own ray, so
perspective depth is exact. The sheets stay one beside the other, views that contradict each other
included, and what no view saw stays open: for a surface, fuse.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bmesh
import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from backproject.blender.sheets import Sheet, offsets_of, sheets_of, tiled, uv_of
from backproject.errors import InputError, ReconstructionError
from backproject.geometry.conventions import FLIP
from backproject.geometry.views import ViewSet

STRENGTH = "strength"
"""The name of the collection's property that drives all planes, from 0 to 1."""
MODIFIER = "Depth"


def add_planes(name: str, views: ViewSet, parent: Any, *, strength: float = 1.0) -> Any:
    """Return a new collection in `parent` with a displaced plane for each view that sees something.

    The collection's property `strength` moves them all, from 0, flat at the depth of the nearest
    pixel, to 1, where each pixel was seen. The ways of all pixels are one image, a sprite sheet,
    packed into the .blend.

    Raises:
        ReconstructionError: no view holds two by two pixels of one surface.

    """
    sheets = sheets_of(views)
    if not any(len(sheet.quads) for sheet in sheets):
        raise ReconstructionError(
            f"depth: none of the {len(sheets)} views holds a surface of two by two pixels"
        )
    collection = bpy.data.collections.new(name)
    parent.children.link(collection)
    collection[STRENGTH] = float(strength)
    collection.id_properties_ui(STRENGTH).update(
        min=0.0, max=1.0, description="Of the displacement"
    )
    texture = _texture(name, _sprite_sheet(sheets, views))
    digits = len(str(len(sheets) - 1))
    for k, sheet in enumerate(sheets):
        if len(sheet.quads):
            uv = uv_of(sheet, k, len(sheets), views.depth.shape[1:])
            plane = bpy.data.objects.new(f"{name} {k:0{digits}}", _grid(name, sheet, uv))
            plane.matrix_world = Matrix((views.rig.world_from_camera[k] * FLIP).tolist())
            collection.objects.link(plane)
            _displace(plane, texture, collection)
    return collection


def apply_planes(collection: Any, depsgraph: Any) -> None:
    """Make the displacement of all planes part of their meshes, as it stands. The slider goes, and
    so do the sprite sheet and its texture.
    """
    depsgraph.update()
    texture = collection.objects[0].modifiers[MODIFIER].texture
    for plane in collection.objects:
        flat, name = plane.data, plane.data.name
        plane.data = bpy.data.meshes.new_from_object(plane.evaluated_get(depsgraph))
        plane.driver_remove(f'modifiers["{MODIFIER}"].strength')
        plane.modifiers.clear()
        bpy.data.meshes.remove(flat)
        plane.data.name = name
    bpy.data.images.remove(texture.image)
    bpy.data.textures.remove(texture)
    del collection[STRENGTH]


def join_planes(collection: Any, name: str, *, merge: float = 0.0) -> Any:
    """Return one object of all planes of a collection, which are gone; they were applied before.
    Its vertices are in world coordinates; those up to `merge` apart become one.

    Raises:
        InputError: planes that still have their displacement.

    """
    planes = list(collection.objects)
    if any(plane.modifiers for plane in planes):
        raise InputError(f"collection {collection.name!r}: its planes are not applied yet")
    joined = bmesh.new()
    try:
        for plane in planes:
            data = plane.data
            data.transform(plane.matrix_world)
            joined.from_mesh(data)
            bpy.data.objects.remove(plane)
            bpy.data.meshes.remove(data)
        if merge > 0:
            bmesh.ops.remove_doubles(joined, verts=joined.verts, dist=merge)
        data = bpy.data.meshes.new(name)
        joined.to_mesh(data)
    finally:
        joined.free()
    made = bpy.data.objects.new(name, data)
    collection.objects.link(made)
    return made


def _sprite_sheet(sheets: Sequence[Sheet], views: ViewSet) -> NDArray[np.float64]:
    """Return the offsets of all pixels, in the axes of Blender's cameras, as one image."""
    shape = (views.rig.height, views.rig.width)
    return tiled(np.stack([offsets_of(sheet, shape) * FLIP[:3] for sheet in sheets]))


def _texture(name: str, pixels: NDArray[np.float64]) -> Any:
    """Return a texture that gives the numbers of an image (H, W, 3) as they are."""
    height, width = pixels.shape[:2]
    image = bpy.data.images.new(name, width, height, alpha=True, float_buffer=True, is_data=True)
    opaque = np.concatenate([pixels, np.ones((height, width, 1))], axis=2)
    image.pixels.foreach_set(np.ascontiguousarray(opaque[::-1], np.float32).ravel())
    image.update()
    image.pack()
    texture = bpy.data.textures.new(name, "IMAGE")
    texture.image = image
    texture.extension = "EXTEND"
    texture.use_clamp = False  # ways to the left and down are negative
    texture.use_interpolation = False
    return texture


def _grid(name: str, sheet: Sheet, uv: NDArray[np.float64]) -> Any:
    """Return a new mesh of the flat sheet, in the axes of Blender's cameras."""
    data = bpy.data.meshes.new(name)
    corners = sheet.quads.ravel()
    data.vertices.add(len(sheet.flat))
    data.vertices.foreach_set("co", (sheet.flat * FLIP[:3]).astype(np.float32).ravel())
    data.loops.add(len(corners))
    data.loops.foreach_set("vertex_index", corners)
    data.polygons.add(len(sheet.quads))
    data.polygons.foreach_set("loop_start", np.arange(0, len(corners), 4, dtype=np.int32))
    places = data.uv_layers.new(name="UVMap")
    places.data.foreach_set("uv", uv[corners].astype(np.float32).ravel())
    data.update(calc_edges=True)
    data.validate()
    return data


def _displace(plane: Any, texture: Any, collection: Any) -> None:
    """Move the plane's vertices by the texture, as far as the collection's strength says."""
    modifier = plane.modifiers.new(MODIFIER, "DISPLACE")
    modifier.texture = texture
    modifier.texture_coords = "UV"
    modifier.uv_layer = "UVMap"
    modifier.direction = "RGB_TO_XYZ"
    modifier.space = "LOCAL"
    modifier.mid_level = 0.0
    driver = modifier.driver_add("strength").driver
    driver.type = "SUM"
    variable = driver.variables.new()
    variable.targets[0].id_type = "COLLECTION"
    variable.targets[0].id = collection
    variable.targets[0].data_path = f'["{STRENGTH}"]'
