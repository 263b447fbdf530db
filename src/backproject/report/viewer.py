"""Views, clouds and meshes in rerun's viewer, live or as a file.

rerun knows pinhole cameras and depth images as what they are, and its files open wherever its
viewer is. It comes with the extra `view`, and is imported here alone.
"""

from __future__ import annotations

from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproject.cloud.unproject import backproject
from backproject.errors import InputError
from backproject.geometry.mesh import Mesh
from backproject.geometry.rig import Camera, Rig
from backproject.geometry.views import ViewSet
from backproject.io.atomic import atomic_file
from backproject.report.colors import CLAY, INFERRED, view_colors
from backproject.report.display import split_at_creases, up_axis
from backproject.simplification.decimate import Surface

TIMELINE = "view"
"""Step k shows the views 0 to k; meshes come a step later."""
IMAGE_AT = 0.15
"""Where a camera's image is drawn, as a share of its median depth."""
TABS = 40
"""The most depth maps that have a tab of their own at first; the tree on the left has all."""
WORLD, CAMERAS, POINTS, MESHES = "world", "world/cameras", "world/points", "world/meshes"


def check_rerun(cause: str) -> None:
    """Import rerun, before any work.

    Raises:
        InputError: it is not there.

    """
    try:
        import rerun  # noqa: F401
    except ImportError:
        raise InputError(
            f"{cause}: needs rerun's viewer, expected rerun-sdk to be installed:"
            " pip install 'backproject[view]'"
        ) from None


class Viewer:
    """A recording that views and meshes are added to: `with Viewer("name", save=path) as viewer`.

    With `save` it goes to a file, which `rerun FILE.rrd` opens, whole or not at all; without, a
    viewer opens on this screen and shows what is added at once.

    Raises:
        InputError: rerun is not there.
        OutputError: the file cannot be written.

    """

    def __init__(self, name: str, *, save: Path | None = None) -> None:
        check_rerun("viewer")
        import rerun

        self._rerun: Any = rerun
        self._recording: Any = rerun.RecordingStream(f"backproject: {name}")
        self._file = atomic_file(save) if save else None
        self._step = 0
        self._meshes: list[str] = []

    def __enter__(self) -> Viewer:
        if self._file:
            self._recording.save(self._file.__enter__())
        else:
            self._recording.spawn()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._recording.flush()
        self._recording.disconnect()
        if self._file:
            self._file.__exit__(kind, error, trace)

    def add_views(self, views: ViewSet, *, threads: int = 0) -> None:
        """Add cameras, depth maps and points, view after view, each a step of the timeline."""
        self._lay_out(len(views))
        self._upright(views.rig)
        colors = np.round(view_colors(len(views)) * 255).astype(np.uint8)
        for k in range(len(views)):
            self._recording.set_time(TIMELINE, sequence=self._step)
            self._add_view(views.subset([k]), f"{k:03d}", colors[k], threads)
            self._step += 1

    def add_mesh(self, mesh: Mesh, name: str) -> None:
        """Add a mesh in its own colours; without any, what no camera saw of it (`Mesh.support` is
        0) is violet. A name that another mesh has gets a number.
        """
        rerun = self._rerun
        source, faces, normals = split_at_creases(Surface(mesh.vertices, mesh.faces))
        colors = np.broadcast_to(CLAY, (len(source), 3))
        if mesh.colors is not None:
            colors = mesh.colors[source] / 255
        elif mesh.support is not None:
            colors = np.where(mesh.support[source][:, None] == 0, INFERRED, colors)
        self._recording.set_time(TIMELINE, sequence=self._step)
        self._recording.log(
            f"{MESHES}/{self._new_name(_part(name))}",
            rerun.Mesh3D(
                vertex_positions=mesh.vertices[source].astype(np.float32),
                triangle_indices=faces,
                vertex_normals=normals.astype(np.float32),
                vertex_colors=np.round(colors * 255).astype(np.uint8),
            ),
        )

    def _new_name(self, name: str) -> str:
        """Return a name that no mesh has yet: what has the same name would take its place."""
        numbered = (name if k == 1 else f"{name}-{k}" for k in count(1))
        self._meshes.append(next(each for each in numbered if each not in self._meshes))
        return self._meshes[-1]

    def _upright(self, rig: Rig) -> None:
        """Tell which axis is up: the one nearest to up in the cameras."""
        axis, sign = up_axis(rig)
        up = f"RIGHT_HAND_{'XYZ'[axis]}_{'UP' if sign > 0 else 'DOWN'}"
        self._recording.log(WORLD, getattr(self._rerun.ViewCoordinates, up), static=True)

    def _add_view(self, view: ViewSet, name: str, color: Any, threads: int) -> None:
        rerun, log = self._rerun, self._recording.log
        camera, depth = view.rig[0], view.depth[0]
        hit = np.isfinite(depth)
        pose = camera.world_from_camera
        log(
            f"{CAMERAS}/{name}",
            rerun.Transform3D(translation=pose[:3, 3], mat3x3=pose[:3, :3]),
            self._outline(camera) if camera.orthographic else self._pinhole(camera, depth[hit]),
        )
        # rerun's 0 is our inf and nan alike
        log(f"{CAMERAS}/{name}/depth", rerun.DepthImage(np.where(hit, depth, 0), meter=1.0))
        cloud = backproject(view, threads=threads)
        log(f"{POINTS}/{name}", rerun.Points3D(cloud.points.astype(np.float32), colors=color))

    def _pinhole(self, camera: Camera, seen: NDArray[np.float32]) -> Any:
        return self._rerun.Pinhole(
            image_from_camera=camera.intrinsics,
            width=camera.width,
            height=camera.height,
            camera_xyz=self._rerun.ViewCoordinates.RDF,
            image_plane_distance=IMAGE_AT * float(np.median(seen)) if len(seen) else None,
        )

    def _outline(self, camera: Camera) -> Any:
        """Return an image's outline where its camera stands: rerun has no such cameras."""
        ends = np.array([(0, 0), (camera.width, camera.height)])
        (left, top), (right, bottom) = (ends - camera.intrinsics[:2, 2]) / np.diag(
            camera.intrinsics
        )[:2]
        corners = [(left, top, 0), (right, top, 0), (right, bottom, 0), (left, bottom, 0)]
        return self._rerun.LineStrips3D([[*corners, corners[0]]])

    def _lay_out(self, views: int) -> None:
        """Tell what is shown where at first: all in 3D, and beside it a tab for each depth map.

        rerun makes points of its own of depth images; ours are exact at the pixels' centres.
        """
        blueprint = self._rerun.blueprint
        names = [f"{k:03d}" for k in range(views)]
        hidden = [f"- /{CAMERAS}/{name}/depth" for name in names]
        in_3d = blueprint.Spatial3DView(
            origin=WORLD, name="in 3D", contents=[f"+ /{WORLD}/**", *hidden]
        )
        maps = [
            blueprint.Spatial2DView(origin=f"{CAMERAS}/{name}", name=name) for name in names[:TABS]
        ]
        beside = blueprint.Horizontal(in_3d, blueprint.Tabs(*maps), column_shares=[2, 1])
        self._recording.send_blueprint(blueprint.Blueprint(beside))


def _part(name: str) -> str:
    """Return a name as a part of rerun's path: letters, digits, `-`, `_` and `.`."""
    return "".join(each if each.isalnum() or each in "-_." else "_" for each in name)
