"""A report in 3D: two views that turn alike, and pictures that stand for them on paper."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from backproject.geometry.rig import Rig
from backproject.report.colors import CLAY, INFERRED, TRUTH, hex_of
from backproject.report.display import FRONT, POINTS, DrawnMesh
from backproject.report.images import shaded_image
from backproject.report.markup import Markup, element
from backproject.report.page import distance_scale, gallery, key, picture, section, swatch
from backproject.report.result import Result
from backproject.report.scene import Scene
from backproject.report.shading import camera_around, shaded, shaded_by_error

STILL = 420
"""The side of a picture that stands for a 3D view on paper, in pixels."""
BEHIND = np.array([-0.7, 0.6, -0.35])
"""From where the second row is taken, on the stage; the first is what a page shows at first."""
LOOKS = {
    "start": "the start",
    "front": "the front",
    "back": "the back",
    "left": "the left",
    "right": "the right",
    "above": "above",
    "below": "below",
}
HINT = "Drag to turn, wheel or pinch to zoom, right button to shift."
NAMES = {"mesh": "the reconstruction", "truth": "the truth"}


def section_in_3d(result: Result, scene: Scene, drawn: Mapping[str, DrawnMesh]) -> Markup:
    """Return the section; `drawn` are the meshes as the scene draws them."""
    panels = [
        element(
            "div",
            element("div", id_=f"plot-{side}", class_="plot"),
            scene.controls(side),
            class_="panel",
        )
        for side in (0, 1)
    ]
    scale = [distance_scale("error: distance to the truth, in diameters")] if result.truth else []
    return section(
        "In 3D",
        element("div", _bar(result), element("div", *panels, class_="panels"), class_="live"),
        element("p", "", id_="no-webgl", class_="about"),
        gallery(_stills(result), class_="gallery stills"),
        element("div", key(*_meanings(result)), *scale, class_="legend"),
        id_="in-3d",
        about=" ".join(_left_out(result, drawn)),
    )


def _bar(result: Result) -> Markup:
    """Return what moves both views."""
    cameras = range(len(result.views) if result.views else 0)
    looks = LOOKS | {str(k): f"camera {k}" for k in cameras}
    options = [element("option", label, value=name) for name, label in looks.items()]
    linked = element("input", type="checkbox", id_="linked", checked=True)
    return element(
        "div",
        element("label", "Look from ", element("select", *options, id_="look")),
        element("label", linked, " both turn alike"),
        element("span", HINT, class_="hint"),
        class_="bar-of-views",
    )


def _meanings(result: Result) -> Iterator[Markup]:
    yield swatch(hex_of(CLAY), "surface")
    if result.truth:
        yield swatch(hex_of(TRUTH), "truth, in the overlay: mottled where both agree")
    if result.mesh.support is not None:
        yield swatch(hex_of(INFERRED), "inferred: no camera saw it")


def _left_out(result: Result, drawn: Mapping[str, DrawnMesh]) -> Iterator[str]:
    """Yield sentences about what the screen does not show."""
    fewer = [
        f"{NAMES[name]} in {len(each.faces):,} of its {each.given:,} triangles"
        for name, each in drawn.items()
        if len(each.faces) < each.given
    ]
    if fewer:
        yield f"To turn smoothly, this draws {' and '.join(fewer)}; nothing is measured on them."
    if result.cloud is not None and len(result.cloud) > POINTS:
        yield f"Of the {len(result.cloud):,} points it draws {POINTS:,}, coloured by view."
    if result.mesh.support is None:
        yield "The mesh does not tell which part of it was seen."


def _stills(result: Result) -> Iterator[Markup]:
    about, stage = result.truth or result.mesh, result.stage
    up = stage.in_world(np.array([0.0, 0.0, 1.0]))
    for direction, side in ((FRONT, ""), (BEHIND, ", from behind")):
        rig = camera_around(about, stage.in_world(direction), STILL, up=up)
        for name, image in _pictures(result, rig):
            yield picture(shaded_image(image), name + side, name + side)


def _pictures(result: Result, rig: Rig) -> Iterator[tuple[str, NDArray[np.float64]]]:
    mesh, truth, threads = result.mesh, result.truth, result.threads
    yield "reconstruction", shaded(mesh, rig, inferred=INFERRED, threads=threads)
    if truth:
        yield "truth", shaded(truth, rig, threads=threads)
        yield "error", shaded_by_error(mesh, truth, rig, threads=threads)
