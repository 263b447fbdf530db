# SPDX-License-Identifier: GPL-3.0-or-later
"""The options: those of the operators, named as the command line's, and the scene's own.

Each group is told once. Operators take the groups they need, and the scene remembers all of them
for the panel (`scene.backproject`).
"""

from typing import Any

import bpy
from bpy.props import (
    BoolProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

BESIDE_BLEND = {"PATH_SUPPORTS_BLEND_RELATIVE"} if bpy.app.version >= (5, 0, 0) else set()
"""What lets a path be relative to the .blend (`//`): 5.0 asks for it, 4.2 does not know it."""
RIGS = ("dodecahedron", "fibonacci:40", "turntable:24")
BY_SOURCE = ("SOURCE", "By the source", "What the source's own convention says")


def _suggested_rigs(_owner: Any, _context: Any, _edited: str) -> tuple[str, ...]:
    return RIGS


class RigOptions:
    """Where the cameras stand, and what they are."""

    rig: StringProperty(
        name="Rig",
        description="dodecahedron (20 cameras), fibonacci:N, turntable:N, or a file of x y z lines",
        default="dodecahedron",
        search=_suggested_rigs,
        search_options={"SUGGESTION"},
    )
    size: IntProperty(
        name="Size",
        description="Width and height of a depth map, in pixels",
        default=224,
        min=4,
        soft_max=2048,
        subtype="PIXEL",
    )
    fov: FloatProperty(
        name="Field of View",
        description="Vertical, in degrees",
        default=43.0,
        min=0.1,
        max=179.0,
    )
    distance: FloatProperty(
        name="Distance",
        description="From the object's centre, in diameters of the object",
        default=1.5,
        min=0.01,
        soft_max=10.0,
    )


class RenderOptions:
    """What draws the depth maps."""

    renderer: EnumProperty(
        name="Renderer",
        description="What draws the depth maps",
        items=(
            ("blender", "Cycles", "What a render shows, at the render's subdivision levels"),
            ("embedded", "Embedded", "The library's own: what the viewport shows, faster"),
        ),
        default="blender",
    )


class CaptureOptions:
    """Where the depth maps are."""

    directory: StringProperty(
        name="Depth Maps",
        description="Folder with the depth maps and their cameras (a capture)",
        subtype="DIR_PATH",
        options={"SKIP_SAVE"} | BESIDE_BLEND,
    )


class CloudOptions:
    """Which points to keep."""

    consistent: BoolProperty(
        name="Consistent", description="Keep only the points that the other views confirm"
    )


class FuseOptions:
    """How depth maps become a mesh."""

    resolution: IntProperty(
        name="Resolution",
        description="Voxels along the diameter of the scene",
        default=256,
        min=8,
        soft_max=1024,
    )
    surface: EnumProperty(
        name="Surface",
        description="What becomes of surface that no camera saw",
        items=(
            ("solid", "Solid", "Closed: what no camera saw is inferred"),
            ("seen", "Seen", "Open: only what some camera saw"),
        ),
        default="solid",
    )
    noise: FloatProperty(
        name="Noise",
        description="Standard deviation of depth, in scene units; below 0: estimated",
        default=-1.0,
        min=-1.0,
        precision=4,
    )
    simplify: FloatProperty(
        name="Simplify",
        description="Leave triangles out within this distance, in scene units; below 0: keep all",
        default=-1.0,
        min=-1.0,
        precision=4,
    )


class CompareOptions:
    """How densely two surfaces are compared."""

    samples: IntProperty(
        name="Samples",
        description="Points spread over each surface",
        default=100_000,
        min=1,
        soft_max=1_000_000,
    )
    seed: IntProperty(name="Seed", description="Of the places of the points", min=0)


class PlanesOptions:
    """What becomes of the displaced planes."""

    strength: FloatProperty(
        name="Strength",
        description="0: flat planes. 1: every pixel where it was seen",
        default=1.0,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
    )
    apply: BoolProperty(
        name="Apply", description="Make the displacement part of the meshes: no slider any more"
    )
    join: BoolProperty(name="Join", description="Make one object of all planes; applies them too")
    merge: FloatProperty(
        name="Merge",
        description="Merge points of the joined planes up to this far apart; 0: none",
        min=0.0,
        precision=4,
    )


def _is_solid(_settings: Any, candidate: Any) -> bool:
    return candidate.type not in ("CAMERA", "LIGHT", "ARMATURE", "SPEAKER", "LIGHT_PROBE")


class Settings(
    RigOptions,
    RenderOptions,
    CloudOptions,
    FuseOptions,
    CompareOptions,
    PlanesOptions,
    bpy.types.PropertyGroup,
):
    """What the scene remembers."""

    object: PointerProperty(
        name="Object",
        description="What the depth maps are rendered of; none: the active object",
        type=bpy.types.Object,
        poll=_is_solid,
    )
    truth: PointerProperty(
        name="Truth",
        description="What the active object is compared with; none: the other selected object",
        type=bpy.types.Object,
        poll=_is_solid,
    )
    cameras: PointerProperty(
        name="Cameras",
        description="The collection of the rig's cameras",
        type=bpy.types.Collection,
    )
    planes: PointerProperty(
        name="Planes",
        description="The collection of the displaced planes, which has their strength",
        type=bpy.types.Collection,
    )
    directory: StringProperty(
        name="Depth Maps",
        description="Folder with the depth maps and their cameras (a capture)",
        subtype="DIR_PATH",
        options=BESIDE_BLEND,
    )
    findings: StringProperty(name="Findings", description="What the last check of cameras found")


def names_of(*groups: type) -> list[str]:
    """Return the names of the options of some groups, in order."""
    return [name for group in groups for name in group.__annotations__]
