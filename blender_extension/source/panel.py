# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel in the 3D View's sidebar: the operators in the order of work, and what they found."""

import json
from typing import Any

from bpy.types import Panel

from .operators import (
    AddRig,
    CheckCameras,
    Compare,
    DisplacedPlanes,
    Fuse,
    ImportDepth,
    MakePointCloud,
    RenderDepth,
)
from .scene import SCORES
from .settings import (
    CloudOptions,
    CompareOptions,
    FuseOptions,
    PlanesOptions,
    RenderOptions,
    RigOptions,
    names_of,
)


class _InSidebar:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Backproject"


class MainPanel(_InSidebar, Panel):
    """What it is about: an object, and where its depth maps are."""

    bl_idname = "VIEW3D_PT_backproject"
    bl_label = "Backproject"

    def draw(self, context: Any) -> None:
        """Draw the object and the folder."""
        layout = _column(self)
        settings = context.scene.backproject
        layout.prop(settings, "object")
        layout.prop(settings, "directory")


class _Section(_InSidebar):
    bl_parent_id = MainPanel.bl_idname


class CamerasPanel(_Section, Panel):
    """Cameras around the object."""

    bl_idname = "VIEW3D_PT_backproject_cameras"
    bl_label = "Cameras"

    def draw(self, context: Any) -> None:
        """Draw the rig's options and its button."""
        _offer(_column(self), context, AddRig, RigOptions, icon="OUTLINER_OB_CAMERA")


class DepthPanel(_Section, Panel):
    """Depth maps: rendered, or from elsewhere, and whether their cameras fit."""

    bl_idname = "VIEW3D_PT_backproject_depth"
    bl_label = "Depth Maps"

    def draw(self, context: Any) -> None:
        """Draw the ways to depth maps, and what the check found."""
        layout = _column(self)
        _offer(layout, context, RenderDepth, RenderOptions, icon="RENDER_STILL")
        layout.separator()
        layout.operator(ImportDepth.bl_idname, icon="IMPORT")
        layout.separator()
        layout.operator(CheckCameras.bl_idname, icon="VIEWZOOM").mend = False
        layout.operator(CheckCameras.bl_idname, text="Check and Mend").mend = True
        _draw_findings(layout, context.scene.backproject.findings)


class ResultPanel(_Section, Panel):
    """From depth maps to a cloud or a surface."""

    bl_idname = "VIEW3D_PT_backproject_result"
    bl_label = "Reconstruction"

    def draw(self, context: Any) -> None:
        """Draw cloud and fusion."""
        layout = _column(self)
        _offer(layout, context, MakePointCloud, CloudOptions, icon="OUTLINER_OB_POINTCLOUD")
        layout.separator()
        _offer(layout, context, Fuse, FuseOptions, icon="MESH_MONKEY")


class ComparePanel(_Section, Panel):
    """How near the active object is to another."""

    bl_idname = "VIEW3D_PT_backproject_compare"
    bl_label = "Comparison"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Any) -> None:
        """Draw the comparison, the active object's scores, and how the viewport shows the error."""
        layout = _column(self)
        layout.prop(context.scene.backproject, "truth")
        _offer(layout, context, Compare, CompareOptions, icon="DRIVER_DISTANCE")
        active = context.active_object
        if active is not None and SCORES in active:
            _draw_scores(layout, json.loads(active[SCORES]))
        if context.space_data is not None:
            layout.prop(context.space_data.shading, "color_type", text="Show")


class PlanesPanel(_Section, Panel):
    """A preview of the depth maps."""

    bl_idname = "VIEW3D_PT_backproject_planes"
    bl_label = "Displaced Planes"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Any) -> None:
        """Draw the planes' options, and the slider of those that are there."""
        layout = _column(self)
        _offer(layout, context, DisplacedPlanes, PlanesOptions, icon="MOD_DISPLACE")
        planes = context.scene.backproject.planes
        if planes is not None and "strength" in planes:
            layout.prop(planes, '["strength"]', text=planes.name, slider=True)


PANELS = (MainPanel, CamerasPanel, DepthPanel, ResultPanel, ComparePanel, PlanesPanel)


def _column(panel: Any) -> Any:
    panel.layout.use_property_split = True
    panel.layout.use_property_decorate = False
    return panel.layout.column()


def _offer(layout: Any, context: Any, operator: Any, options: type, *, icon: str) -> None:
    """Draw the scene's options for an operator, and the button that takes them."""
    settings = context.scene.backproject
    for name in names_of(options):
        layout.prop(settings, name)
    button = layout.operator(operator.bl_idname, icon=icon)
    for name in names_of(options):
        setattr(button, name, getattr(settings, name))


def _draw_findings(layout: Any, findings: str) -> None:
    if not findings:
        return
    told = json.loads(findings)
    box = layout.box().column(align=True)
    box.label(text=told["summary"])
    for hypothesis, _, best, _, _, verdict in told["table"][1:]:
        if verdict == "wrong":
            box.label(text=f"{hypothesis}: {best}", icon="ERROR")


def _draw_scores(layout: Any, told: dict[str, Any]) -> None:
    box = layout.box().column(align=True)
    box.label(text=f"Against {told['truth']}")
    for name, value, _ in told["table"]:
        row = box.split(factor=0.55)
        row.label(text=name)
        row.label(text=value)
