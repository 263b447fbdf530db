"""The colours of a mesh's vertices, as the cameras see them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backproject.geometry.colors import Colors, as_bytes
from backproject.geometry.mesh import Mesh
from backproject.geometry.rig import Rig


def seen_colors(mesh: Mesh, depth: NDArray[np.float32], rig: Rig) -> Colors:
    """Return the colours (N, H, W, 3) of what depth maps (N, H, W) of `mesh` show, at the pixels'
    centres; black where nothing is hit. Linear between the vertices of a face.

    Depth is looked up on the mesh again, as the nearest point: where two surfaces lie nearer to one
    another than float32 can tell, that may be the other one.
    """
    import igl

    assert mesh.colors is not None
    hit = np.isfinite(depth)
    row, column = np.indices(depth.shape[1:])
    centres = np.stack([column, row], axis=-1) + 0.5
    seen = (
        camera.unproject(centres[here], each[here])
        for camera, each, here in zip(rig, depth, hit, strict=True)
    )
    points = np.concatenate(list(seen))
    colors = np.zeros((*depth.shape, 3), np.uint8)
    if len(points):
        _, face, nearest = igl.point_mesh_squared_distance(points, mesh.vertices, mesh.faces)
        corners = mesh.faces[face]
        shares = _shares(nearest, mesh.vertices[corners])
        colors[hit] = as_bytes((shares[..., None] * mesh.colors[corners]).sum(axis=1))
    return colors


def _shares(points: NDArray[np.float64], triangles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the barycentric coordinates (P, 3) of points (P, 3) on triangles (P, 3, 3); thirds
    where a triangle has no area.
    """
    ahead = np.roll(triangles, -1, axis=1), np.roll(triangles, -2, axis=1)
    opposite = np.cross(ahead[0] - points[:, None], ahead[1] - points[:, None])
    shares = np.asarray(np.linalg.norm(opposite, axis=-1), np.float64)
    total = shares.sum(axis=1, keepdims=True)
    shares[total[:, 0] == 0] = 1 / 3
    return shares / np.where(total > 0, total, 1)
