# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare: how near one object is to another."""

import json
from typing import Any

from bpy.props import StringProperty
from bpy.types import Operator

from backproject.errors import InputError

from .. import places
from ..scene import SCORES, named_object
from ..settings import CaptureOptions, CompareOptions
from ..working import Steps, Stepwise, Told, aside, listening


class Compare(CompareOptions, CaptureOptions, Stepwise, Operator):
    """Score the active object against another, and colour it by its distance"""

    bl_idname = "backproject.compare"
    bl_label = "Compare"

    truth: StringProperty(
        name="Truth",
        description="The other object's name; empty: the panel's, or the other selected one",
    )

    @classmethod
    def why_not(cls, context: Any) -> str | None:
        """Return why it cannot be done now, if so."""
        active = context.active_object
        if active is None or active.type != "MESH":
            return "Make the mesh to be scored the active object first"
        return super().why_not(context)

    def steps(self, context: Any) -> Steps:
        """Score, and paint the error on the active object. With a directory, only for what its
        cameras see.
        """
        from backproject.blender.scenes import mesh_alone
        from backproject.blender.showing import show_error, vertices_of
        from backproject.metrics.compare import compare, distances_to
        from backproject.report.shading import error_colors

        scored, other = context.active_object, self._truth(context)
        views = (yield from places.read(context, self.directory)) if self.directory else None
        # the other is often hidden, as the two lie in one place
        reconstruction, truth = (mesh_alone([each], context.scene) for each in (scored, other))
        options = {"views": views, "samples": self.samples, "seed": self.seed}
        scores = yield listening(compare, reconstruction, truth, **options)
        yield Told("painting the error", 1.0)
        distance = yield aside(distances_to, truth, vertices_of(scored))
        show_error(scored, distance, error_colors(distance / scores.truth_diameter))
        told = {"truth": other.name, "table": scores.table(), "scores": scores.to_dict()}
        scored[SCORES] = json.dumps(told)
        tight = min(scores.f_scores, key=lambda each: each.tau)
        return (
            f"{scored.name} against {other.name}: Chamfer {scores.chamfer:.3g} diameters,"
            f" F-score at {tight.tau:g} {tight.f:.4f}"
        )

    def _truth(self, context: Any) -> Any:
        scored = context.active_object
        selected = [each for each in context.selected_objects if each != scored]
        if self.truth:
            truth = named_object(self.truth)
        else:
            truth = context.scene.backproject.truth or (selected[0] if len(selected) == 1 else None)
        if truth is None:
            raise InputError(
                "truth: got none, expected an object to compare with: name or select it"
            )
        if truth == scored:
            raise InputError(f"truth: got {truth.name!r} itself, expected another object")
        return truth
