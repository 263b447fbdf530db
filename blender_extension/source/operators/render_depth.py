# SPDX-License-Identifier: GPL-3.0-or-later
"""Render Depth Maps: what the cameras see of an object, to a capture folder."""

from contextlib import closing
from typing import Any

import numpy as np
from bpy.props import StringProperty
from bpy.types import Operator

from backproject.errors import ReconstructionError

from .. import places
from ..scene import cameras_of, target_of
from ..settings import CaptureOptions, RenderOptions
from ..working import Steps, Stepwise, Told, aside, listening


class RenderDepth(RenderOptions, CaptureOptions, Stepwise, Operator):
    """Render depth maps of an object from the selected cameras, or else from the rig's"""

    bl_idname = "backproject.render_depth"
    bl_label = "Render Depth Maps"

    object: StringProperty(
        name="Object", description="The object's name; empty: the panel's, or the active one"
    )

    def steps(self, context: Any) -> Steps:
        """Render one view after the other, and write them."""
        from backproject.blender.cameras import rig_of

        target, cameras = target_of(context, self.object), cameras_of(context)
        rig = rig_of(cameras, context.scene)
        folder = places.new_capture(context, self.directory)
        draw = self._by_cycles if self.renderer == "blender" else self._embedded
        views = yield from draw(context, target, rig)
        if not views.silhouettes.any():
            raise ReconstructionError(
                f"object {target.name!r}: none of the {len(rig)} cameras sees it; expected some"
                " pixels on it: turn the cameras to it, or add a rig"
            )
        yield Told(f"writing {folder}", 1.0)
        yield aside(views.save, folder)
        places.remember(context, folder)
        context.scene.backproject.object = target
        return f"{len(rig)} depth maps of {target.name}: {folder}"

    def _by_cycles(self, context: Any, target: Any, rig: Any) -> Any:
        from backproject.blender.render import depth_maps
        from backproject.geometry.views import ViewSet

        depth = []
        with closing(depth_maps([target], rig, context.scene)) as maps:
            for each in maps:
                depth.append(each)
                yield Told(f"view {len(depth)} of {len(rig)}", len(depth) / len(rig))
        return ViewSet(np.stack(depth), rig)

    def _embedded(self, context: Any, target: Any, rig: Any) -> Any:
        from backproject.blender.scenes import mesh_alone
        from backproject.rendering.render import render

        return (yield listening(render, mesh_alone([target], context.scene), rig))
