"""The page's 3D views: what can be shown in them, and the arrays that `scene.js` draws."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproject.metrics.compare import distances_to
from backproject.report.colors import (
    CLAY,
    DEPTH_STOPS,
    ERROR_STOPS,
    INFERRED,
    INK,
    TRUTH,
    error_share,
    hex_of,
    ramp,
    view_colors,
)
from backproject.report.display import (
    FRONT,
    DrawnCameras,
    DrawnMesh,
    some_points,
)
from backproject.report.markup import Markup, element
from backproject.report.result import Result

MARGIN = 0.1
"""Around the farthest thing that is drawn, in diameters."""
HALF_ANGLE = np.radians(22.5)
"""Half of the angle that the 3D views show from bottom to top; the library's own."""
LEVELS = 256


@dataclass(frozen=True)
class Scene:
    """All that can be shown in 3D, and what each of the two views shows at first."""

    result: Result

    @property
    def surfaces(self) -> list[tuple[str, str]]:
        """The ways to show a surface, by name and label."""
        mesh = self.result.mesh
        of_truth = [("truth", "Truth"), ("overlay", "Overlay"), ("error", "Error")]
        return [
            ("mesh", "Reconstruction"),
            *([("color", "Colour")] if mesh.colors is not None else []),
            *(of_truth if self.result.truth else []),
            *([("seen", "Seen")] if mesh.support is not None else []),
            ("none", "None"),
        ]

    @property
    def first(self) -> list[dict[str, Any]]:
        """What the left and the right view show before anybody chooses."""
        colored = self.result.mesh.colors is not None
        left = {"surface": "color" if colored else "mesh", "points": False, "cameras": False}
        if self.result.truth:
            return [left, left | {"surface": "truth"}]
        if self.result.mesh.support is not None:
            return [left, left | {"surface": "seen"}]
        return [left, left | {"surface": "none", "points": True}]

    def controls(self, side: int) -> Markup:
        """Return the choices beside one of the two views."""
        first = self.first[side]
        surfaces = [
            _choice("radio", f"surface-{side}", name, label, checked=first["surface"] == name)
            for name, label in self.surfaces
        ]
        more = [
            *([("points", "Points")] if self.result.cloud is not None else []),
            *([("cameras", "Cameras")] if self.result.views is not None else []),
        ]
        also = [
            _choice("checkbox", f"{name}-{side}", name, label, checked=first[name])
            for name, label in more
        ]
        return element(
            "div",
            element("fieldset", element("legend", "Surface"), *surfaces),
            *([element("fieldset", element("legend", "Also"), *also)] if also else []),
            class_="controls",
        )

    def arrays(self) -> tuple[dict[str, Any], dict[str, DrawnMesh]]:
        """Return what `scene.js` draws, and the meshes as they are drawn, by name."""
        drawn = {"mesh": DrawnMesh.of(self.result.mesh, self.result.stage)}
        meshes: dict[str, Any] = {"mesh": _packed_mesh(drawn["mesh"])}
        if self.result.truth:
            drawn["truth"] = DrawnMesh.of(self.result.truth, self.result.stage)
            meshes["truth"] = _packed_mesh(drawn["truth"])
            there = self.result.mesh.vertices[drawn["mesh"].source]
            far = distances_to(self.result.truth, there) / (2 * self.result.truth.radius)
            meshes["mesh"]["error"] = packed(_levels(error_share(far)))
        if self.result.mesh.support is not None:
            unseen = self.result.mesh.support[drawn["mesh"].source] == 0
            meshes["mesh"]["unseen"] = packed(unseen.astype(np.uint8))
        if self.result.mesh.colors is not None:
            meshes["mesh"]["color"] = packed(self.result.mesh.colors[drawn["mesh"].source].ravel())
        cameras = self._cameras()
        content: dict[str, Any] = {
            "meshes": meshes,
            "cloud": self._points(),
            "cameras": packed_cameras(cameras) if cameras else None,
            "colors": {
                "mesh": hex_of(CLAY),
                "truth": hex_of(TRUTH),
                "unseen": hex_of(INFERRED),
                "frusta": INK,
                "error": _palette(ERROR_STOPS),
                "depth": [[place, color] for place, color in DEPTH_STOPS],
            },
            "first": self.first,
            "front": (FRONT / np.linalg.norm(FRONT)).tolist(),
        }
        corners = [each.vertices for each in drawn.values()]
        if cameras:
            corners.append(cameras.outline)
        reach = float(np.nanmax(np.linalg.norm(np.concatenate(corners), axis=1)))
        # the side of the cube that holds all, and from how far all of it is seen, in diameters
        content |= {"half": reach + MARGIN, "far": reach / np.sin(HALF_ANGLE)}
        return content, drawn

    def _cameras(self) -> DrawnCameras | None:
        about = self.result
        if about.views is None:
            return None
        return DrawnCameras.of(about.views, about.stage, *about.depth_scale)

    def _points(self) -> dict[str, Any] | None:
        if self.result.cloud is None or len(self.result.cloud) == 0:
            return None
        some = some_points(self.result.cloud)
        points = self.result.stage.stage_from_world.apply(some.points).astype(np.float32)
        count = max(int(some.view_index.max()) + 1, 1)
        return {
            "place": [packed(axis) for axis in points.T],
            "view": packed(np.maximum(some.view_index, 0).astype(np.int32)),
            "colors": [hex_of(color) for color in view_colors(count)],
        }


def packed_cameras(cameras: DrawnCameras) -> dict[str, Any]:
    """Return cameras as `scene.js` draws them; `eye` are the directions that they stand in."""
    away = np.linalg.norm(cameras.eye, axis=1, keepdims=True)
    # what stands at the object's centre is on no side of it: it is shown from the front
    eye = np.tile(FRONT / np.linalg.norm(FRONT), (len(away), 1))
    np.divide(cameras.eye, away, out=eye, where=away > 0)
    return {
        "outline": [packed(axis) for axis in cameras.outline.T],
        "place": [packed(axis) for axis in cameras.vertices.T],
        "faces": [packed(_least(axis, len(cameras.vertices))) for axis in cameras.faces.T],
        "share": packed(cameras.share),
        "eye": np.round(eye, 6).tolist(),
    }


def packed(values: NDArray[Any]) -> dict[str, str]:
    """Return an array (P,) as bytes in base64, which `scene.js` makes an array of the same type."""
    values = np.ascontiguousarray(values)
    little = values.astype(values.dtype.newbyteorder("<"))
    return {"type": values.dtype.name, "bytes": base64.b64encode(little.tobytes()).decode("ascii")}


def _packed_mesh(mesh: DrawnMesh) -> dict[str, Any]:
    return {
        "place": [packed(axis) for axis in mesh.vertices.T],
        "faces": [packed(_least(axis, len(mesh.vertices))) for axis in mesh.faces.T],
        "light": packed(_levels(mesh.light.astype(np.float64))),
    }


def _least(indices: NDArray[np.int32], count: int) -> NDArray[Any]:
    """Return indices below `count` in 16 bits, if those hold them."""
    return indices.astype(np.uint16 if count <= 1 << 16 else np.int32)


def _levels(share: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.round(share * (LEVELS - 1)).astype(np.uint8)


def _palette(stops: tuple[tuple[float, str], ...]) -> list[str]:
    return [hex_of(color) for color in ramp(stops, np.linspace(0, 1, LEVELS))]


def _choice(kind: str, group: str, name: str, label: str, *, checked: bool) -> Markup:
    box = element("input", type=kind, name=group, value=name, checked=checked)
    return element("label", box, element("span", label))
