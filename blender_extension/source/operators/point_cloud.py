# SPDX-License-Identifier: GPL-3.0-or-later
"""Point Cloud: the union of the depth maps' points."""

from typing import Any

from bpy.types import Operator

from .. import places
from ..scene import result_name, select_only
from ..settings import CaptureOptions, CloudOptions
from ..working import Steps, Stepwise, Told, aside


class MakePointCloud(CloudOptions, CaptureOptions, Stepwise, Operator):
    """Make a mesh of points of all depth maps, with normals and view index as attributes"""

    bl_idname = "backproject.point_cloud"
    bl_label = "Point Cloud"

    def steps(self, context: Any) -> Steps:
        """Back-project the depth maps, and add the points."""
        from backproject.blender.meshes import add_cloud
        from backproject.cloud.unproject import backproject

        views = yield from places.read(context, self.directory)
        yield Told("back-projecting", 0.5)
        cloud = yield aside(backproject, views, consistent=self.consistent)
        added = add_cloud(result_name(context, "cloud"), cloud, context.collection)
        select_only(context, added)
        return f"{len(cloud):,} points"
