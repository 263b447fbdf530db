"""A report's sections view by view: the depth maps, and the self-test in each."""

from __future__ import annotations

import numpy as np

from backproject.geometry.views import ViewSet
from backproject.report.colors import DEPTH_STOPS, UNMEASURED, hex_of
from backproject.report.images import (
    EXTRA,
    LARGEST,
    MISSING,
    color_image,
    depth_image,
    difference_image,
    silhouette_image,
)
from backproject.report.markup import Markup, element, joined
from backproject.report.page import (
    color_scale,
    distance_scale,
    gallery,
    image,
    key,
    picture,
    section,
    swatch,
)
from backproject.report.selftest import Difference, SelfTest

VIEWS = 60
"""The most views whose images a page shows; of more, as many, evenly chosen."""
SELF_TEST = (
    "The mesh is rendered by the cameras that it was made of, and its depth compared with what they"
    " gave. This needs no truth. Where a surface is seen at a grazing angle, or ends, a small"
    " distance is a large difference of depth. Under each view stand the median difference, and the"
    " missing and extra pixels as shares of those with depth."
)


def section_of_depth_maps(views: ViewSet, near: float, far: float) -> Markup:
    """Return the section of the depth maps, silhouettes and colours, if there are; depth on a scale
    from near to far.
    """
    colors = views.colors
    figures = [
        element(
            "figure",
            element(
                "button",
                image(depth_image(views.depth[k], near, far), f"depth of view {k}"),
                type="button",
                title=f"look at the 3D views from camera {k}",
                data_look=k,
            ),
            element(
                "figcaption",
                element("span", _number(k), f" {views.silhouettes[k].mean():.0%} on the surface"),
                image(silhouette_image(views.depth[k]), f"silhouette of view {k}"),
                *([] if colors is None else [image(color_image(colors[k]), f"colour of view {k}")]),
            ),
            class_="view",
        )
        for k in _chosen(len(views))
    ]
    ticks = [(at, f"{near + at * (far - near):.4g}") for at in (0.0, 0.25, 0.5, 0.75, 1.0)]
    return section(
        "Depth maps",
        element(
            "div",
            color_scale(DEPTH_STOPS, ticks, "depth along the camera's axis, in scene units"),
            key(
                swatch("#ffffff", "empty"),
                swatch(hex_of(UNMEASURED), "not measured"),
                swatch(DEPTH_STOPS[-1][1], "in the silhouettes below: a surface was seen"),
            ),
            class_="legend",
        ),
        gallery(figures, class_="gallery views"),
        id_="depth-maps",
        about=f"{_how_many(len(views))} Choose one to look at the 3D views from its camera.",
    )


def section_of_self_test(views: ViewSet, test: SelfTest) -> Markup:
    """Return the section of the difference in each view."""
    figures = [
        picture(
            difference_image(views.depth[k], test.shown[k], test.diameter),
            f"difference in view {k}",
            joined(_number(k), f" {_told(test.each[k])}"),
            class_="view",
        )
        for k in _chosen(len(views))
    ]
    return section(
        "Self-test: the mesh in each view",
        element(
            "div",
            distance_scale("|depth of the mesh - given depth|, in diameters"),
            key(
                swatch(MISSING, "missing: the view has depth, the mesh no surface"),
                swatch(EXTRA, "extra: a surface where the view saw nothing"),
                swatch(hex_of(UNMEASURED), "not measured"),
            ),
            class_="legend",
        ),
        gallery(figures, class_="gallery views"),
        id_="self-test",
        about=SELF_TEST,
    )


def _told(difference: Difference) -> str:
    if np.isnan(difference.median):
        return "no pixel to compare"
    lost = f"{difference.missing:.1%} missing, {difference.extra:.1%} extra"
    return f"{difference.median:.1e}, {lost}"


def _number(k: int) -> Markup:
    return element("b", str(k))


def _chosen(count: int) -> list[int]:
    """Return which of the views are shown."""
    return [int(k) for k in np.unique(np.linspace(0, count - 1, min(count, VIEWS)).round())]


def _how_many(count: int) -> str:
    shown = len(_chosen(count))
    told = f"{count} view{'s' * (count != 1)}" if shown == count else f"{shown} of {count} views"
    return f"{told}, counted from 0, in images of at most {LARGEST} pixels a side."
