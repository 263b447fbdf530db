# SPDX-License-Identifier: GPL-3.0-or-later
"""Displaced Planes: a preview of the depth maps as grids that a slider moves."""

from typing import Any

from bpy.types import Operator

from .. import places
from ..scene import result_name, select_only
from ..settings import CaptureOptions, PlanesOptions
from ..working import Steps, Stepwise, Told


class DisplacedPlanes(PlanesOptions, CaptureOptions, Stepwise, Operator):
    """Show each depth map as a grid, displaced along its rays by one slider. A preview: the sheets
    stay apart, overlap, and leave open what no camera saw. Fuse makes one closed surface
    """

    bl_idname = "backproject.displaced_planes"
    bl_label = "Displaced Planes"

    def steps(self, context: Any) -> Steps:
        """Add the planes; apply, join and merge them if asked."""
        from backproject.blender.planes import add_planes, apply_planes, join_planes

        views = yield from places.read(context, self.directory)
        yield Told("adding planes", 0.8)
        name = result_name(context, "planes")
        planes = add_planes(name, views, context.scene.collection, strength=self.strength)
        count = len(planes.objects)
        if self.apply or self.join:
            apply_planes(planes, context.evaluated_depsgraph_get())
        if self.join:
            select_only(context, join_planes(planes, name, merge=self.merge))
        context.scene.backproject.planes = planes
        return f"{count} planes" + (", joined" if self.join else "")
