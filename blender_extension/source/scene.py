# SPDX-License-Identifier: GPL-3.0-or-later
"""What the operators take from the scene and leave in it."""

import re
from typing import Any

import bpy

from backproject.errors import InputError

SCORES = "backproject_scores"
"""The property of an object that keeps its scores, as JSON."""


def named_object(name: str) -> Any:
    """Return the object of that name.

    Raises:
        InputError: there is none.

    """
    found = bpy.data.objects.get(name)
    if found is None:
        known = ", ".join(sorted(each.name for each in bpy.data.objects)) or "none"
        raise InputError(f"object: got {name!r}, expected one of this file's: {known}")
    return found


def target_of(context: Any, name: str) -> Any:
    """Return the object that was named, or the scene's, or the active one.

    Raises:
        InputError: none of them is there, or it has no surface.

    """
    target = named_object(name) if name else context.scene.backproject.object
    target = target or context.active_object
    if target is None or target.name not in context.view_layer.objects:
        raise InputError("object: got none, expected one of this view layer: select it, or name it")
    return target


def cameras_of(context: Any) -> list[Any]:
    """Return the selected cameras in the order of their names, or else those of the rig.

    Raises:
        InputError: there are none.

    """
    selected = [each for each in context.selected_objects if each.type == "CAMERA"]
    if selected:
        return sorted(selected, key=_natural)
    rig = context.scene.backproject.cameras
    cameras = [each for each in rig.objects if each.type == "CAMERA"] if rig else []
    if not cameras:
        raise InputError("cameras: got none, expected a rig (Add Rig), or selected cameras")
    return cameras


def select_only(context: Any, chosen: Any) -> None:
    """Select one object, and make it the active one."""
    for each in context.selected_objects:
        each.select_set(False)
    chosen.select_set(True)
    context.view_layer.objects.active = chosen


def _natural(each: Any) -> list[Any]:
    """Return what sorts `Camera 2` before `Camera 10`: text and numbers in turn, text first."""
    pieces = re.split(r"(\d+)", each.name)
    return [int(piece) if odd % 2 else piece for odd, piece in enumerate(pieces)]


def result_name(context: Any, word: str) -> str:
    """Return a name for a new object: what it is, after the object that it is of, if known."""
    target = context.scene.backproject.object
    return f"{target.name} {word}" if target else word.capitalize()
