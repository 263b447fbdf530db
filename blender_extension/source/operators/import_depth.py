# SPDX-License-Identifier: GPL-3.0-or-later
"""Import Depth Maps: any source that the library can read, with its cameras."""

from pathlib import Path
from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, StringProperty
from bpy.types import Operator

from backproject.errors import InputError

from .. import places
from ..settings import BESIDE_BLEND, BY_SOURCE
from ..working import Steps, Stepwise, Told, aside

NOT_SAID = {"SOURCE", ""}
"""What an option holds that leaves it to the source; numbers count only once they are set."""


class ReadingOptions:
    """What you know of the source: it wins over the source's own convention."""

    encoding: EnumProperty(
        name="Encoding",
        items=(
            BY_SOURCE,
            ("planar", "Planar", "Depth along the optical axis"),
            ("ray", "Ray", "Distance along the pixel's ray"),
        ),
    )
    depth_scale: FloatProperty(
        name="Depth Scale", description="Scene units for each stored number", precision=6
    )
    near: FloatProperty(
        name="Near",
        description="With Far: depth of the least stored number (of the greatest if inverted)",
    )
    far: FloatProperty(
        name="Far", description="Depth of the greatest stored number (of the least if inverted)"
    )
    inverted: BoolProperty(name="Inverted", description="White is near")
    not_inverted: BoolProperty(
        name="Not Inverted", description="Black is near, although the source's convention is white"
    )
    background: FloatProperty(
        name="Background", description="Stored number of a pixel whose ray hits nothing"
    )
    pixel_center: EnumProperty(
        name="Pixel Centre",
        items=(
            BY_SOURCE,
            ("0.5", "0.5", "The first pixel's corner is at 0"),
            ("0", "0", "The principal point counts from the first pixel's centre"),
        ),
    )
    axes: EnumProperty(
        name="Axes",
        items=(
            BY_SOURCE,
            ("opencv", "OpenCV", "y down, z forward"),
            ("opengl", "OpenGL", "y up, z back: Blender's, too"),
        ),
    )
    pose: EnumProperty(
        name="Pose",
        items=(
            BY_SOURCE,
            ("camera-to-world", "Camera to World", "What the matrices are"),
            ("world-to-camera", "World to Camera", "What the matrices are"),
        ),
    )
    camera_file: StringProperty(
        name="Camera File",
        description="Cameras for depth images that come without",
        subtype="FILE_PATH",
        options=BESIDE_BLEND,
    )
    fov: FloatProperty(
        name="Field of View", description="Vertical, in degrees, for cameras that come without"
    )
    distance: FloatProperty(
        name="Distance", description="Of the cameras from the centre, for camera directions"
    )
    model: StringProperty(name="Model", description="Which one, where a source holds several")
    cell: IntProperty(
        name="Cell", description="Width and height of one image in a sprite sheet, in pixels"
    )
    allow_outside: BoolProperty(
        name="Allow Outside", description="Follow paths in files that leave the source's folder"
    )


class ImportDepth(ReadingOptions, Stepwise, Operator):
    """Read depth maps with their cameras from a capture, or any source of a known kind"""

    bl_idname = "backproject.import_depth"
    bl_label = "Import Depth Maps"

    filepath: StringProperty(
        name="Source",
        description="A file or a folder",
        subtype="FILE_PATH",
        options={"SKIP_SAVE"} | BESIDE_BLEND,
    )
    out: StringProperty(
        name="Out",
        description="Folder for a capture of a source that is none; empty: beside the .blend",
        subtype="DIR_PATH",
        options={"SKIP_SAVE"} | BESIDE_BLEND,
    )

    def invoke(self, context: Any, event: Any) -> set[str]:
        """Ask for the source."""
        if self.properties.is_property_set("filepath") or bpy.app.background:
            return super().invoke(context, event)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def steps(self, context: Any) -> Steps:
        """Read the source, keep it as a capture, and add its cameras."""
        from backproject.blender.cameras import add_rig
        from backproject.io.captures import is_own_capture
        from backproject.io.checked import load_views
        from backproject.io.sources.source import Asked

        if not self.filepath:
            raise InputError("filepath: got none, expected a source of depth maps")
        path = Path(bpy.path.abspath(self.filepath))
        asked = Asked(**self._said())
        yield Told(f"reading {path}", 0.0)
        views = yield aside(load_views, path, asked)
        folder = path
        if asked != Asked() or self.out or not is_own_capture(path):
            folder = places.new_capture(context, self.out)
            yield Told(f"writing {folder}", 0.5)
            yield aside(views.save, folder)
        cameras = add_rig(views.rig, f"{path.stem} rig", context.scene)
        context.scene.backproject.cameras = cameras[0].users_collection[0]
        places.remember(context, folder)
        for each in views.assumptions:
            self.report({"INFO"}, f"{each.about}: {each.taken} ({each.because})")
        return f"{len(views)} depth maps of {views.rig.width} x {views.rig.height} pixels: {path}"

    def _said(self) -> dict[str, Any]:
        """Return the options that were given."""
        given = [
            each for each in ReadingOptions.__annotations__ if self.properties.is_property_set(each)
        ]
        values = {
            each: getattr(self, each) for each in given if getattr(self, each) not in NOT_SAID
        }
        if "pixel_center" in values:
            values["pixel_center"] = float(values["pixel_center"])
        if "camera_file" in values:
            values["camera_file"] = Path(bpy.path.abspath(values["camera_file"]))
        return values
