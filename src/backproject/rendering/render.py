"""A mesh and a rig become depth maps."""

from __future__ import annotations

from backproject.errors import InputError
from backproject.geometry.mesh import Mesh
from backproject.geometry.rig import Rig
from backproject.geometry.views import ViewSet
from backproject.progress import Progress, silent
from backproject.rendering.raster import paint, rasterise


def render(mesh: Mesh, rig: Rig, *, threads: int = 0, progress: Progress = silent) -> ViewSet:
    """Return what the cameras of `rig` see of `mesh`.

    Depth is planar z at pixel centres, inf where a ray hits nothing. Faces are drawn from both
    sides, and only what lies in front of the camera's plane. `threads` 0 takes all cores; the
    result does not depend on it. If the mesh has colours, so do the views, black where a ray hits
    nothing. A z-buffer of inverse depth in double precision; see
    `kernels.raster` for why a watertight mesh has no holes.

    Raises:
        InputError: the mesh has no faces.

    """
    if len(mesh.faces) == 0:
        raise InputError(
            f"mesh of {len(mesh.vertices)} vertices: no faces, so there is nothing to render"
        )
    depth = rasterise(mesh, rig, threads=threads, progress=progress)
    if mesh.colors is None:
        return ViewSet(depth, rig)
    colors = paint(mesh, depth, rig, threads=threads, progress=progress)
    return ViewSet(depth, rig, colors=colors)
