"""START HERE: the way of a shape through the package, and back.

    Mesh + Rig -- observe --> ViewSet --+-- cloud --> PointCloud
                                        +-- fuse ---> Mesh -- compare (with the truth) --> Scores

Each stage is a function of values; none calls another, and no reconstruction sees the truth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from backproject.cloud.unproject import backproject
from backproject.fusion.fuse import fuse
from backproject.geometry.cloud import PointCloud
from backproject.geometry.mesh import Mesh, normalize
from backproject.geometry.rig import Rig
from backproject.geometry.views import ViewSet
from backproject.metrics.compare import Measured, measure
from backproject.metrics.scores import Scores
from backproject.progress import Progress, silent, timed
from backproject.rendering.render import render

Renderer = Callable[..., ViewSet]
"""Called as `rendering.render.render`: with mesh, rig, `threads=` and `progress=`."""


@dataclass(frozen=True)
class RoundTrip:
    """What came of a shape, the `truth`: `views`, `cloud` and `reconstruction`, all in the shape's
    own coordinates, the scores and the distances behind them, `measured`, and the `seconds` that
    each stage took.
    """

    truth: Mesh
    views: ViewSet
    cloud: PointCloud
    reconstruction: Mesh
    measured: Measured
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def scores(self) -> Scores:
        """How near the reconstruction is to the truth."""
        return self.measured.scores


def observe(
    mesh: Mesh,
    rig: Rig,
    *,
    renderer: Renderer = render,
    threads: int = 0,
    progress: Progress = silent,
) -> ViewSet:
    """Return the depth maps of `mesh`, in its own coordinates, from `rig` around its centre.

    The rig is given for the unit frame (centroid at the origin, diameter 1) and moved to where the
    mesh is, so that everything made of the views lies on the mesh. Another `renderer` is
    `backproject.blender.render.render`.
    """
    unit = normalize(mesh)
    views = renderer(unit.mesh, rig, threads=threads, progress=progress)
    return views.transformed(unit.world_from_unit)


def roundtrip(
    mesh: Mesh,
    rig: Rig | None = None,
    *,
    resolution: int = 256,
    threads: int = 0,
    progress: Progress = silent,
) -> RoundTrip:
    """Return the depth maps of a shape, the cloud and the mesh made of them alone, and its scores.

    `rig` stands around the origin and is scaled to the shape; by default the paper's dodecahedron.
    `resolution` is the number of voxels along the diameter of the shape.
    """
    seconds: dict[str, float] = {}
    with timed("render", seconds):
        rig = rig or Rig.dodecahedron()
        views = observe(mesh, rig, threads=threads, progress=progress)
    with timed("cloud", seconds):
        cloud = backproject(views, threads=threads)
    with timed("fuse", seconds):
        reconstruction = fuse(views, resolution=resolution, threads=threads, progress=progress)
    with timed("compare", seconds):
        measured = measure(reconstruction, mesh, views=views, threads=threads, progress=progress)
    return RoundTrip(mesh, views, cloud, reconstruction, measured, seconds)
