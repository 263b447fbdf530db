# SPDX-License-Identifier: GPL-3.0-or-later
"""Fuse: depth maps to a mesh."""

from typing import Any

from bpy.types import Operator

from .. import places
from ..scene import result_name, select_only
from ..settings import CaptureOptions, FuseOptions
from ..working import Steps, Stepwise, listening


class Fuse(FuseOptions, CaptureOptions, Stepwise, Operator):
    """Fuse the depth maps to a mesh that lies where the object was; unseen surface is violet"""

    bl_idname = "backproject.fuse"
    bl_label = "Fuse"

    def steps(self, context: Any) -> Steps:
        """Fuse, simplify if asked, and add the mesh."""
        from backproject.blender.meshes import add_mesh
        from backproject.blender.showing import show_unseen
        from backproject.cli.checks import check_resolution
        from backproject.fusion.fuse import fuse
        from backproject.metrics.visibility import inferred_fraction
        from backproject.report.shading import CLAY, INFERRED
        from backproject.simplification.simplify import simplify

        check_resolution(self.resolution)
        views = yield from places.read(context, self.directory)
        noise = self.noise if self.noise >= 0 else None
        mesh = yield listening(
            fuse, views, resolution=self.resolution, surface=self.surface, noise=noise
        )
        if self.simplify >= 0:
            mesh = yield listening(simplify, mesh, tolerance=self.simplify)
        added = add_mesh(result_name(context, "fused"), mesh, context.collection)
        show_unseen(added, ~mesh.seen_faces, seen_color=CLAY, color=INFERRED)
        select_only(context, added)
        inferred = f"{inferred_fraction(mesh):.1%} of the surface inferred, no camera saw it"
        return f"{len(mesh.faces):,} triangles; {inferred}"
