"""Fewer triangles by libigl's `qslim`, with vertices that stay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Surface:
    """Triangles over shared vertices: `vertices` (V, 3), `faces` (F, 3)."""

    vertices: NDArray[np.float64]
    faces: NDArray[np.int32]

    @classmethod
    def manifold(cls, vertices: NDArray[np.float64], faces: NDArray[np.int32]) -> Surface:
        """Return the faces, cut where they are no manifold.

        They are cut along edges that do not join exactly two faces in opposite directions, and at
        vertices where fans of faces touch: each side then has its own copy of the vertex.
        """
        used, fans = _fans(faces, len(vertices))
        return cls(vertices[used], fans)

    @property
    def triangles(self) -> NDArray[np.float64]:
        """The corners of every face, (F, 3, 3)."""
        return self.vertices[self.faces]

    def nearest_faces(self, points: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return which face is nearest to each point (P, 3), (P,)."""
        import igl

        _, face, _ = igl.point_mesh_squared_distance(
            np.ascontiguousarray(points), self.vertices, self.faces.astype(np.int64)
        )
        return np.asarray(face)


def decimated(surface: Surface, held: NDArray[np.bool_], target: int) -> Surface:
    """Return the surface in `target` faces, or as few as libigl finds, by quadric errors.

    The vertices that are `held` (V,) stay, and so do all faces that have one.
    """
    import igl

    # A held vertex is nan: so are then the quadrics of the vertices of its faces, and the cost of
    # their edges, which libigl takes for infinite. It never collapses them.
    moved, faces, _, vertex = igl.qslim(
        np.asfortranarray(np.where(held[:, None], np.nan, surface.vertices)),
        np.asfortranarray(surface.faces),
        max(1, target),
    )
    if len(faces) == 0:  # libigl declines
        return surface
    vertices = np.where(held[vertex, None], surface.vertices[vertex], moved)
    return Surface(np.ascontiguousarray(vertices), np.ascontiguousarray(faces, np.int32))


def _fans(faces: NDArray[np.int32], count: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return which vertex each fan of faces is around, and the faces (F, 3) over the fans.

    Two corners at one vertex are of one fan if a chain of faces leads from one to the other, over
    edges that join exactly two faces in opposite directions.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    start = faces.astype(np.int64).ravel()
    corner = np.arange(len(start)).reshape(-1, 3)
    after = np.roll(corner, -1, axis=1).ravel()  # the corner at which a corner's edge ends
    end = start[after]
    edge = np.minimum(start, end) * count + np.maximum(start, end)
    order = np.argsort(edge, kind="stable")
    new = np.flatnonzero(np.diff(edge[order], prepend=-1))
    uses = np.diff(np.append(new, len(edge)))
    one, other = order[new[uses == 2]], order[new[uses == 2] + 1]
    opposite = start[one] == end[other]
    one, other = one[opposite], other[opposite]
    links = np.concatenate([one, after[one]]), np.concatenate([after[other], other])
    graph = coo_array((np.ones(len(links[0]), np.bool_), links), shape=(len(start),) * 2)
    fans, fan = connected_components(graph, directed=False)
    used = np.empty(fans, np.int64)
    used[fan] = start
    return used, fan.reshape(-1, 3).astype(np.int32)
