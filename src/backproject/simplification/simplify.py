"""Fewer triangles for the same surface, within a tolerance that is proved."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproject.errors import InputError
from backproject.geometry.mesh import Mesh
from backproject.progress import Progress, silent
from backproject.simplification.bound import Target
from backproject.simplification.decimate import Surface, decimated

FIRST_STEP = 8.0
"""How many times fewer triangles are asked for at first; where that is too much, its root."""
MANY = 0.02
"""The share of the new triangles that may leave the tolerance, or else the step was too long."""
ONE_COLLAPSE = 2
"""So many triangles go when an edge collapses: a shorter step there is not."""
WORTH = 0.1
"""The share of the triangles that a round must remove, or it was the last."""
ROUNDS = 16
"""How often triangles are asked for, at most."""


def simplify(
    mesh: Mesh, *, tolerance: float, threads: int = 0, progress: Progress = silent
) -> Mesh:
    """Return `mesh` in fewer triangles, each surface within `tolerance` of the other.

    `tolerance` is in the mesh's own units. Every point of the result lies within it of the given
    surface, and every point of that within it of the result: proved on all triangles, up to
    rounding, and not sampled. Where fewer triangles would break the bound they stay as they were;
    if nothing can be left out, the mesh comes back itself.

    What is closed stays closed, and what is oriented stays oriented. A mesh that is no manifold is
    cut where it is not: at edges of three faces, and vertices where only corners touch. A vertex
    has the support and colour of the given mesh's nearest one. docs/fusion.md tells the method.

    Raises:
        InputError: a tolerance that is negative or not finite.

    """
    if not 0 <= tolerance < np.inf:
        raise InputError(f"tolerance: got {tolerance}, expected a finite distance of 0 or more")
    distinct = (mesh.faces != np.roll(mesh.faces, -1, axis=1)).all(axis=1)
    if tolerance == 0 or not distinct.any():
        return mesh
    # about the middle, so that a scene's place does not cost digits
    middle = (mesh.vertices.min(axis=0) + mesh.vertices.max(axis=0)) / 2
    given = Surface.manifold(mesh.vertices - middle, mesh.faces[distinct])
    result = _within(given, tolerance, threads, progress)
    if len(result.faces) == len(given.faces):
        return mesh
    vertices = result.vertices + middle
    return Mesh(vertices, result.faces, **_attributes(mesh, vertices))


def _within(given: Surface, tolerance: float, threads: int, progress: Progress) -> Surface:
    """Return the surface of fewest triangles that was found and proved to be within `tolerance`."""
    bound = _Bound(given.triangles, tolerance, threads)
    best, step = given, FIRST_STEP
    held, target = _nothing_held(best, step)
    rings = 0
    for round_ in range(ROUNDS):
        progress(f"{len(best.faces):,} triangles", round_ / ROUNDS)
        fewer = decimated(best, held, target)
        removed = len(best.faces) - len(fewer.faces)
        if removed <= WORTH * len(best.faces):
            break
        astray = bound.astray(fewer)
        if not astray.any():
            best, rings = fewer, 0
            held, target = _nothing_held(best, step)
        elif astray.mean() > MANY and removed > ONE_COLLAPSE:
            step, rings = step**0.5, 0
            held, target = _nothing_held(best, step)
        else:
            astray = _widened(astray, fewer.faces, rings)
            wider = held | astray[fewer.nearest_faces(best.vertices)]
            rings += 1
            # what is held now comes back; all else has as many triangles as it had
            back = held[best.faces].any(axis=1) != wider[best.faces].any(axis=1)
            held, target = wider, len(fewer.faces) + int(back.sum() - astray.sum())
    progress(f"{len(best.faces):,} triangles", 1.0)
    return best


def _nothing_held(surface: Surface, step: float) -> tuple[NDArray[np.bool_], int]:
    return np.zeros(len(surface.vertices), np.bool_), int(len(surface.faces) / step)


def _widened(chosen: NDArray[np.bool_], faces: NDArray[np.int32], rings: int) -> NDArray[np.bool_]:
    """Return the chosen faces (F,) and so many rings of faces around them."""
    for _ in range(rings):
        around = np.zeros(faces.max() + 1, np.bool_)
        around[faces[chosen]] = True
        chosen = np.asarray(around[faces].any(axis=1))
    return chosen


class _Bound:
    """The given surface, how far from it is allowed, and which triangles were proved already."""

    def __init__(self, given: NDArray[np.float64], tolerance: float, threads: int) -> None:
        self._given, self._tolerance, self._threads = given, tolerance, threads
        self._target = Target.of(given)
        self._near = _names(given)

    def astray(self, fewer: Surface) -> NDArray[np.bool_]:
        """Return which faces (F,) leave the given surface, or are nearest to where it leaves them.

        If none does, each surface is proved to be within the tolerance of the other.
        """
        triangles = fewer.triangles
        names = _names(triangles)
        astray = ~np.isin(names, self._near)
        astray[astray] = self._target.leaves_out(
            triangles[astray], self._tolerance, threads=self._threads
        )
        self._near = np.union1d(self._near, names[~astray])
        lost = Target.of(triangles).leaves_out(self._given, self._tolerance, threads=self._threads)
        if lost.any():
            astray[fewer.nearest_faces(self._given[lost].mean(axis=1))] = True
        return astray


def _names(triangles: NDArray[np.float64]) -> NDArray[np.void]:
    """Return something for each triangle (F, 3, 3) that only the very same one shares, (F,)."""
    return np.ascontiguousarray(triangles).reshape(-1, 9).view("V72").ravel()


def _attributes(mesh: Mesh, points: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    """Return the support and colour of the mesh's vertex that is nearest to each point (P, 3)."""
    from scipy.spatial import cKDTree

    both = {"support": mesh.support, "colors": mesh.colors}
    held = {name: values for name, values in both.items() if values is not None}
    if not held:
        return {}
    used = np.unique(mesh.faces)
    _, nearest = cKDTree(mesh.vertices[used]).query(points)
    return {name: values[used[nearest]] for name, values in held.items()}
