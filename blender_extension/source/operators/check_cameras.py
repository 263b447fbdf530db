# SPDX-License-Identifier: GPL-3.0-or-later
"""Check Cameras: which assumption about cameras or depth is wrong."""

import json
from typing import Any

from bpy.props import BoolProperty, StringProperty
from bpy.types import Operator

from .. import places
from ..settings import BESIDE_BLEND, CaptureOptions
from ..working import Steps, Stepwise, Told, aside, listening


class CheckCameras(CaptureOptions, Stepwise, Operator):
    """Find out which assumption about cameras or depth is wrong, and mend it if asked"""

    bl_idname = "backproject.check_cameras"
    bl_label = "Check Cameras"

    mend: BoolProperty(
        name="Mend",
        description="If something is wrong: keep the mended depth maps, add their cameras",
    )
    out: StringProperty(
        name="Out",
        description="Folder for the mended depth maps; empty: beside the others",
        subtype="DIR_PATH",
        options={"SKIP_SAVE"} | BESIDE_BLEND,
    )

    def steps(self, context: Any) -> Steps:
        """Check, keep the findings for the panel, and mend if asked."""
        from backproject.blender.cameras import add_rig
        from backproject.checking.diagnosis import check

        folder = places.known_capture(context, self.directory)
        views = yield from places.read(context, self.directory)
        diagnosis = yield listening(check, views)
        settings = context.scene.backproject
        findings = json.dumps({"summary": diagnosis.summary(), "table": diagnosis.table()})
        settings.findings = findings
        if not (self.mend or self.out) or not diagnosis.mends:
            return diagnosis.summary()
        mended = diagnosis.apply(views)
        out = places.new_capture(context, self.out) if self.out else places.beside(folder, "mended")
        yield Told(f"writing {out}", 1.0)
        yield aside(mended.save, out)
        cameras = add_rig(mended.rig, f"{out.name} rig", context.scene)
        settings.cameras = cameras[0].users_collection[0]
        places.remember(context, out)
        settings.findings = findings
        return f"{diagnosis.summary()}; mended: {out}"
