"""Blender as it starts, for each test."""

import pytest


@pytest.fixture(autouse=True)
def scene():
    """Blender's factory scene, emptied."""
    import bpy

    bpy.ops.wm.read_factory_settings(use_empty=True)
    return bpy.context.scene
