"""Points spread evenly over a surface."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backproject.geometry.mesh import Mesh


def sample_surface(
    mesh: Mesh, count: int, *, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return `count` points (P, 3) uniform over the mesh's area, and the face of each (P,).

    Stratified: the area, laid out face after face, is cut into `count` equal parts, and each gets
    one point. The same seed gives the same points, moved along, for a mesh that was moved.
    """
    random = np.random.default_rng(seed)
    upto = np.cumsum(mesh.face_areas)
    at = (np.arange(count) + random.random(count)) / count * upto[-1]
    face = np.minimum(np.searchsorted(upto, at, side="right"), len(upto) - 1)
    # the square root spreads points evenly over a triangle (Osada et al. 2002, eq. 1)
    root = np.sqrt(random.random(count))[:, None]
    along = random.random(count)[:, None]
    a, b, c = np.moveaxis(mesh.triangles[face], 1, 0)
    return (1 - root) * a + root * (1 - along) * b + root * along * c, face
