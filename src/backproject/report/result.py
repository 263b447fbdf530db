"""What a report is about: a mesh, and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backproject.geometry.cloud import PointCloud
from backproject.geometry.mesh import Mesh
from backproject.geometry.views import ViewSet
from backproject.metrics.compare import Measured
from backproject.report.display import Stage
from backproject.report.making import Making
from backproject.report.selftest import SelfTest


@dataclass(frozen=True)
class Result:
    """A mesh and what is known of it: what is None is not known.

    With `truth` come the distances that were `measured`; with `views` their `cloud` and the
    self-`test`.
    """

    mesh: Mesh
    truth: Mesh | None
    views: ViewSet | None
    cloud: PointCloud | None
    measured: Measured | None
    test: SelfTest | None
    stage: Stage
    making: Making
    threads: int = 0

    @property
    def depth_scale(self) -> tuple[float, float]:
        """The nearest and the farthest depth of all views, in scene units."""
        hit = self.views.depth[self.views.silhouettes] if self.views else np.zeros(0)
        if len(hit) == 0:
            return 0.0, 1.0
        near, far = float(hit.min()), float(hit.max())
        return near, far if far > near else near + 1
