# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes: what a `.blend` file's shows, and one for some objects alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy

from backproject.blender.meshes import mesh_of
from backproject.errors import FileMissingError, FormatError, InputError
from backproject.geometry.mesh import Mesh

NAME = "backproject"
"""Of what is in Blender's data for a while."""
SURFACES = ("MESH", "CURVE", "SURFACE", "META", "FONT")
"""The types of object that have faces."""
MOST_LISTED = 20
"""The most names that an error lists."""


def open_blend(path: Path) -> Any:
    """Return the scene (`bpy.types.Scene`) that a `.blend` file was saved with.

    The file replaces all that Blender holds: this is not for use inside its window. Scripts in the
    file are not run.

    Raises:
        FileMissingError: no such file.
        FormatError: no `.blend` file, or of a newer Blender.

    """
    if not path.exists():
        raise FileMissingError(f"{path}: no such file, expected a .blend file")
    try:
        bpy.ops.wm.open_mainfile(filepath=str(path.resolve()), load_ui=False, use_scripts=False)
    except RuntimeError as error:
        reason = " ".join(str(error).removeprefix("Error: ").split())
        raise FormatError(
            f"{path}: cannot be read by Blender {bpy.app.version_string}: {reason};"
            " expected a .blend file of this version or an earlier one"
        ) from error
    return bpy.context.scene


def rendered_objects(scene: Any, names: Sequence[str] = ()) -> list[Any]:
    """Return the objects of `scene` with these names, or all that a render of it would show.

    Raises:
        InputError: a name that no object of the scene has, or nothing to be seen.

    """
    if names:
        return [_object_named(name, scene) for name in names]
    shown = [each for each in _shown(scene) if _has_surface(each)]
    if not shown:
        raise InputError(
            f"scene {scene.name!r}: a render of it shows no object with faces, expected at least"
            f" one; {_there_are(list(scene.objects))}"
        )
    return shown


def rendered_cameras(scene: Any) -> list[Any]:
    """Return the camera objects of `scene`, by name.

    Raises:
        InputError: there are none.

    """
    cameras = [each for each in scene.objects if each.type == "CAMERA"]
    if not cameras:
        raise InputError(f"scene {scene.name!r}: has no camera, expected at least one")
    return sorted(cameras, key=lambda each: each.name)


def _object_named(name: str, scene: Any) -> Any:
    found = scene.objects.get(name)
    if found is None:
        raise InputError(
            f"object {name!r}: is not in scene {scene.name!r};"
            f" {_there_are([each for each in scene.objects if _has_surface(each)])}"
        )
    return found


def _shown(scene: Any) -> list[Any]:
    """Return the objects that a render shows, once each: neither they nor a collection around them
    are hidden in renders.
    """
    inside = (
        each
        for layer in scene.view_layers
        if layer.use
        for each in _objects_shown_in(layer.layer_collection)
    )
    return list(dict.fromkeys(each for each in inside if not each.hide_render))


def _objects_shown_in(place: Any) -> Iterator[Any]:
    """Yield the objects of a `bpy.types.LayerCollection` and of those in it."""
    if place.collection.hide_render:
        return
    if not place.exclude:
        yield from place.collection.objects
    for child in place.children:
        yield from _objects_shown_in(child)


def _has_surface(thing: Any) -> bool:
    return thing.type in SURFACES or thing.instance_type != "NONE"


def _there_are(objects: Sequence[Any]) -> str:
    """Return the names of objects, as the end of an error."""
    if not objects:
        return "there are none with faces"
    names = sorted(repr(each.name) for each in objects)
    more = f", and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    return f"there are {', '.join(names[:MOST_LISTED])}{more}"


@contextmanager
def alone(objects: Sequence[Any], scene: Any) -> Iterator[Any]:
    """Yield a scene that links some objects and nothing else, at the frame of `scene`; it is gone
    afterwards, and the objects are as they were.

    It also links the children of those that repeat them on their vertices or faces: without the
    children in the same scene, Blender would put nothing there.
    """
    temporary = bpy.data.scenes.new(NAME)
    try:
        for each in _with_repeated_children(objects):
            temporary.collection.objects.link(each)
        temporary.frame_current = scene.frame_current
        temporary.frame_subframe = scene.frame_subframe
        temporary.render.fps = scene.render.fps
        temporary.render.fps_base = scene.render.fps_base
        yield temporary
    finally:
        bpy.data.scenes.remove(temporary)


def mesh_alone(objects: Sequence[Any], scene: Any) -> Mesh:
    """Return the surface of some objects at the frame of `scene`, even where its view layers hide
    them; see `meshes.mesh_of`.
    """
    with alone(objects, scene) as lonely:
        layer = lonely.view_layers[0]
        layer.update()  # or it has no depsgraph yet
        return mesh_of(objects, layer.depsgraph)


def _with_repeated_children(objects: Sequence[Any]) -> list[Any]:
    chosen = dict.fromkeys(objects)
    for each in objects:
        if each.instance_type in ("VERTS", "FACES"):
            chosen.update(dict.fromkeys(each.children_recursive))
    return list(chosen)
