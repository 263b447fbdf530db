"""The views' colours go onto a mesh."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from backproject.coloring.diffuse import diffuse
from backproject.errors import InputError
from backproject.geometry.colors import as_bytes
from backproject.geometry.mesh import Mesh
from backproject.geometry.views import ViewSet
from backproject.kernels import parallel
from backproject.kernels.colors import GRAZING, color_vertices, find_edges
from backproject.progress import Progress, silent

DEVIATIONS = 3.0
"""Depth is taken to be off by so many standard deviations of its noise at most."""
NOISE_VERTICES = 4000
"""So many vertices tell the noise of each view."""
SURE = 0.25
"""The least trust in a colour that stands: the pixels that may be mixtures are then in it by less
than a level (`kernels.colors.EDGE_TRUST`).
"""
DOUBTFUL = 0.05
"""How much other colours weigh against a neighbour's: little beside those that stand, and all where
there are none, on wires.
"""
NORMAL = 0.6745
"""The median of what is normally distributed, without signs, in standard deviations."""


def colorize(mesh: Mesh, views: ViewSet, *, threads: int = 0, progress: Progress = silent) -> Mesh:
    """Return `mesh` with `colors` at its vertices, of the views that see each of them best.

    A view sees a vertex if the depth map has the vertex's surface where it projects, so nothing
    before or behind it lends its colour. Of those views the one counts most in which the surface
    covers most pixels, for nearness, angle and focal length (the best view: Lempitsky & Ivanov
    2007; Waechter, Moehrle & Goesele 2014), and others down to half as many: their mean hides seams
    (view-dependent weights: Debevec, Taylor & Malik 1996). Vertices that no view sees, or none away
    from an edge, get the colours of those around them, see `coloring.diffuse`. docs/colour.md tells
    the method.

    The mesh lies in the views' scene, its faces counter-clockwise from outside. If no view sees any
    of it, it comes back without colours.

    Raises:
        InputError: views without colours.

    """
    if views.colors is None:
        raise InputError(
            f"views: got {len(views)} without colours, expected `colors` (N, H, W, 3) uint8"
        )
    progress("colouring", 0.0)
    rig, normals = views.rig, vertex_normals(mesh)
    slack = max(views.step / 2, DEVIATIONS * _noise(mesh, normals, views))
    edge = np.empty(views.depth.shape, np.bool_)
    footprint = 1 / rig.intrinsics[:, (0, 1), (0, 1)].min(axis=1)
    rows = len(views) * rig.height
    parallel.run(
        find_edges, rows, views.depth, footprint, rig.orthographic, slack, edge, threads=threads
    )
    found, trust = np.empty((len(normals), 3)), np.empty(len(normals))
    parallel.run(
        color_vertices, len(normals), mesh.vertices, normals, views.depth, views.colors, edge,
        rig.intrinsics, rig.orthographic, rig.camera_from_world, slack, found, trust,
        threads=threads, on_chunk=lambda share: progress("colouring", 0.8 * share),
    )  # fmt: skip
    if not trust.any():
        return replace(mesh, colors=None)
    weights = np.where(trust >= SURE, np.inf, np.where(trust > 0, DOUBTFUL, 0.0))
    found = diffuse(mesh.faces, found, weights)
    progress("colouring", 1.0)
    return replace(mesh, colors=as_bytes(found))


def vertex_normals(mesh: Mesh) -> NDArray[np.float64]:
    """Return the mean normals (V, 3) of the faces at each vertex, weighted by their areas; 0 where
    they cancel out or there are none.
    """
    corners, count = mesh.faces.ravel(), len(mesh.vertices)
    weights = np.repeat(mesh.area_vectors, 3, axis=0).T
    normals = np.zeros((count, 3))
    for axis, weight in enumerate(weights):
        normals[:, axis] = np.bincount(corners, weight, count)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    np.divide(normals, lengths, out=normals, where=lengths > 0)
    return normals


def _noise(mesh: Mesh, normals: NDArray[np.float64], views: ViewSet) -> float:
    """Return the standard deviation of depth, the median of the views', by how far each is from the
    mesh: a view of wrong pose does not excuse itself.

    Only depth behind the mesh counts: what hides the mesh lies before it, and noise is on both
    sides. Gaps are measured along the ray, to the vertices' tangent planes.
    """
    chosen = np.unique(np.linspace(0, len(normals) - 1, NOISE_VERTICES).astype(np.intp))
    points, normals = mesh.vertices[chosen], normals[chosen]
    noise = []
    for k, camera in enumerate(views.rig):
        pixels, z = camera.project(points)
        with np.errstate(invalid="ignore"):
            inside = (z > 0) & ((pixels >= 0) & (pixels < (camera.width, camera.height))).all(
                axis=1
            )
        column, row = pixels[inside].astype(np.intp).T
        depth = views.depth[k, row, column].astype(np.float64)
        hit = np.isfinite(depth)
        near = np.stack([column, row], axis=1)[hit] + 0.5
        shown = camera.unproject(near, depth[hit])
        rays = camera.unproject(near, depth[hit] + 1) - shown
        planes, across = points[inside][hit], normals[inside][hit]
        slopes = (across * rays).sum(axis=1)
        facing = slopes < -GRAZING * np.linalg.norm(rays, axis=1)
        gaps = ((shown - planes) * across).sum(axis=1)[facing] / slopes[facing]
        if (gaps > 0).any():
            noise.append(np.median(gaps[gaps > 0]) / NORMAL)
    return float(np.median(noise)) if noise else 0.0
