"""Scenes and measures that several tests need."""

import json
from pathlib import Path

import bpy
import numpy as np

HEADPHONES = Path(__file__).parents[2] / "examples" / "data" / "cc0_headphones_ngons.obj"
KINDS = (
    "objects", "meshes", "cameras", "collections", "materials", "images", "textures", "scenes",
    "node_groups", "worlds",
)  # fmt: skip


def add_monkey():
    """Add a monkey that is turned, scaled and away from the origin."""
    bpy.ops.mesh.primitive_monkey_add(size=3, location=(4, -2, 1), rotation=(0.3, 0.2, 1.1))
    monkey = bpy.context.active_object
    monkey.scale = (1.2, 1.0, 0.8)
    return monkey


def add_headphones():
    """Add the headphones of the examples."""
    bpy.ops.wm.obj_import(filepath=str(HEADPHONES), forward_axis="Y", up_axis="Z")
    return bpy.context.active_object


def render(target, directory, **rig):
    """Add a rig around an object, and render its depth maps by the library's own renderer."""
    select(target)
    bpy.ops.backproject.add_rig(**{"size": 96, **rig})
    bpy.ops.backproject.render_depth(directory=str(directory), renderer="embedded")


def select(*chosen):
    """Select some objects; the first is the active one."""
    bpy.ops.object.select_all(action="DESELECT")
    for each in chosen:
        each.select_set(True)
    bpy.context.view_layer.objects.active = chosen[0]


def settings():
    """Return what the scene remembers."""
    return bpy.context.scene.backproject


def scores_of(scored):
    """Return the scores that Compare left."""
    return json.loads(scored["backproject_scores"])["scores"]


def world_vertices(shown):
    """Return the vertices (V, 3) of an object as it is shown, in world coordinates."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    evaluated = shown.evaluated_get(depsgraph)
    mesh = evaluated.to_mesh()
    flat = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", flat)
    evaluated.to_mesh_clear()
    pose = np.array(shown.matrix_world)
    return flat.reshape(-1, 3) @ pose[:3, :3].T + pose[:3, 3]


def values(mesh, name, key="value"):
    """Return the values of an attribute."""
    data = mesh.attributes[name].data
    width = {"vector": 3, "color_srgb": 4}.get(key, 1)
    dtype = {"INT": np.int32, "BOOLEAN": np.bool_}.get(mesh.attributes[name].data_type, np.float32)
    flat = np.empty(len(data) * width, dtype)
    data.foreach_get(key, flat)
    return flat.reshape(-1, width) if width > 1 else flat


def inventory():
    """Return the names of all that the file holds, by kind."""
    return {kind: {each.name for each in getattr(bpy.data, kind)} for kind in KINDS}


def added(before):
    """Return how many things of each kind there are that were not there before."""
    now = inventory()
    return {kind: len(now[kind] - before[kind]) for kind in KINDS if now[kind] - before[kind]}


def orphans():
    """Return what nothing uses: left behind, and gone once the file is saved."""
    unused = [each for kind in KINDS for each in getattr(bpy.data, kind)]
    return [each.name for each in unused if each.users == 0]
