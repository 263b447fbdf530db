# SPDX-License-Identifier: GPL-3.0-or-later
"""Backproject in Blender: depth maps of an object, and back to the object.

The library does the work. Here are its doors: the operators `bpy.ops.backproject.*`, and the panel
in the 3D View's sidebar.
"""

import bpy

from .operators import OPERATORS
from .panel import PANELS
from .settings import Settings

CLASSES = (Settings, *OPERATORS, *PANELS)


def register() -> None:
    """Make operators, panels and the scene's settings known to Blender."""
    for each in CLASSES:
        bpy.utils.register_class(each)
    bpy.types.Scene.backproject = bpy.props.PointerProperty(type=Settings)


def unregister() -> None:
    """Undo it."""
    del bpy.types.Scene.backproject
    for each in reversed(CLASSES):
        bpy.utils.unregister_class(each)
