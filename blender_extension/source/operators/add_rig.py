# SPDX-License-Identifier: GPL-3.0-or-later
"""Add Rig: cameras around an object."""

from typing import Any

from bpy.props import StringProperty
from bpy.types import Operator

from ..scene import target_of
from ..settings import RigOptions
from ..working import Steps, Stepwise, Told


class AddRig(RigOptions, Stepwise, Operator):
    """Add cameras around an object, centred on its surface; the scene takes their image size"""

    bl_idname = "backproject.add_rig"
    bl_label = "Add Rig"

    object: StringProperty(
        name="Object", description="The object's name; empty: the panel's, or the active one"
    )

    def steps(self, context: Any) -> Steps:
        """Add the cameras, and remember them and the object."""
        from backproject.blender.around import rig_around
        from backproject.blender.cameras import add_rig
        from backproject.blender.scenes import mesh_alone
        from backproject.geometry.rig import RigSettings

        yield Told("looking at the object", 0.0)
        target = target_of(context, self.object)
        rig = RigSettings(self.rig, self.size, self.fov, self.distance).build()
        around = rig_around(mesh_alone([target], context.scene), rig)
        cameras = add_rig(around, f"{target.name} rig", context.scene)
        settings = context.scene.backproject
        settings.cameras = cameras[0].users_collection[0]
        settings.object = target
        return f"{len(cameras)} cameras around {target.name}"
