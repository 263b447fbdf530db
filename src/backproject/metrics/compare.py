"""Score a reconstruction against the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backproject.errors import InputError
from backproject.geometry.mesh import Mesh
from backproject.geometry.transform import Similarity
from backproject.geometry.views import ViewSet
from backproject.metrics.sampling import sample_surface
from backproject.metrics.scores import FScore, Scores
from backproject.metrics.visibility import inferred_fraction, seen_by, shown_by
from backproject.progress import Progress, silent

TAUS = (0.001, 0.0025, 0.005)
"""The distances of the F-scores, in diameters of the truth."""


@dataclass(frozen=True)
class Measured:
    """Scores, and the distances that they are made of, in diameters of the truth.

    `to_truth` (P,) are of the samples on the reconstruction, and `to_reconstruction` (Q,) of those
    on the seen truth.
    """

    scores: Scores
    to_truth: NDArray[np.float64]
    to_reconstruction: NDArray[np.float64]


def compare(
    reconstruction: Mesh,
    truth: Mesh,
    *,
    views: ViewSet | None = None,
    samples: int = 100_000,
    seed: int = 0,
    threads: int = 0,
    progress: Progress = silent,
) -> Scores:
    """Return how near `reconstruction` is to `truth`, in diameters of the truth's bounding sphere.

    Both lie in the same coordinates, whatever their units and place, and so do `views`: with them,
    the reconstruction is only asked for the part of the truth that some camera sees. Which part of
    the reconstruction was seen its `support` tells, or else the views, if given. `samples`
    points are spread over each surface with a fixed `seed`; distances from them are exact, to the
    other surface's triangles (libigl's AABB tree). docs/scores.md defines each number. `threads`
    (0: all cores) bounds the visibility test; libigl's tree uses the cores as it sees fit.

    Raises:
        InputError: one of the meshes has no area, `samples` is below 1, or no view sees any of the
            truth.

    """
    return measure(
        reconstruction,
        truth,
        views=views,
        samples=samples,
        seed=seed,
        threads=threads,
        progress=progress,
    ).scores


def measure(
    reconstruction: Mesh,
    truth: Mesh,
    *,
    views: ViewSet | None = None,
    samples: int = 100_000,
    seed: int = 0,
    threads: int = 0,
    progress: Progress = silent,
) -> Measured:
    """Return what `compare` does, with the distances behind it.

    Raises:
        InputError: as `compare`.

    """
    if samples < 1:
        raise InputError(f"samples: got {samples}, expected at least 1")
    if seed < 0:
        raise InputError(f"seed: got {seed}, expected 0 or more")
    surface, truth = _surface_of(reconstruction, "reconstruction"), _surface_of(truth, "truth")
    diameter = 2 * truth.radius

    progress("sampling", 0.0)
    asked = _probe(truth, samples, seed)
    seen_fraction = None
    if views is not None:
        seen = seen_by(asked.points, views, threads=threads)
        seen_fraction = float(seen[:samples].mean())
        if not seen[:samples].any():
            raise InputError(
                f"truth: none of {samples} points on it is seen by any of the {len(views)} views;"
                " expected mesh and views in the same coordinates"
            )
        asked = asked.subset(seen)
    given = _probe(surface, samples, seed)
    seen_part, inferred = _told_apart(given, surface, views, threads=threads)

    # about the centre and in diameters, so that a scene's place and units do not cost digits
    unit_from_world = Similarity(diameter, translation=truth.centroid).inverse()
    progress("reconstruction to truth", 0.1)
    to_truth = _distances(given, truth, unit_from_world)
    progress("truth to reconstruction", 0.5)
    to_reconstruction = _distances(asked, surface, unit_from_world)
    progress("scores", 1.0)

    accuracy = to_truth.distance[: given.samples]
    completeness = to_reconstruction.distance[: asked.samples]
    scores = Scores(
        accuracy=float(accuracy.mean()),
        accuracy_median=float(np.median(accuracy)),
        accuracy_seen=_mean_or_none(accuracy, seen_part),
        completeness=float(completeness.mean()),
        completeness_median=float(np.median(completeness)),
        hausdorff=float(max(to_truth.distance.max(), to_reconstruction.distance.max())),
        signed_bias=float(to_truth.height.mean()),
        normal_consistency=float((to_truth.agreement + to_reconstruction.agreement) / 2),
        f_scores=tuple(
            FScore(tau, float((accuracy <= tau).mean()), float((completeness <= tau).mean()))
            for tau in TAUS
        ),
        seen_fraction=seen_fraction,
        inferred_fraction=inferred,
        watertight=reconstruction.is_watertight,
        vertices=len(np.unique(reconstruction.faces)),
        faces=len(reconstruction.faces),
        components=_components(reconstruction),
        truth_diameter=diameter,
    )
    return Measured(scores, accuracy, completeness)


def distances_to(mesh: Mesh, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distance of each point (P, 3) from the mesh's nearest triangle, (P,)."""
    squared, _, _ = _nearest(points, mesh)
    return np.asarray(np.sqrt(squared))


@dataclass(frozen=True)
class _Probe:
    """Points on a surface: first `samples` with normals (samples, 3), then the vertices.

    `face` (samples,) is the one that each sample lies on.
    """

    points: NDArray[np.float64]
    normals: NDArray[np.float64]
    face: NDArray[np.int64]

    @property
    def samples(self) -> int:
        return len(self.normals)

    def subset(self, chosen: NDArray[np.bool_]) -> _Probe:
        of_samples = chosen[: self.samples]
        return _Probe(self.points[chosen], self.normals[of_samples], self.face[of_samples])


@dataclass(frozen=True)
class _Distances:
    """Every point's `distance`; the samples' `height` over the other surface, and their normals."""

    distance: NDArray[np.float64]
    height: NDArray[np.float64]
    agreement: float


def _probe(mesh: Mesh, samples: int, seed: int) -> _Probe:
    points, face = sample_surface(mesh, samples, seed=seed)
    corners = mesh.vertices[np.unique(mesh.faces)]
    return _Probe(np.concatenate([points, corners]), mesh.face_normals[face], face)


def _told_apart(
    probe: _Probe, mesh: Mesh, views: ViewSet | None, *, threads: int
) -> tuple[NDArray[np.bool_], float] | tuple[None, None]:
    """Return which samples of the reconstruction were seen, and the share of its area that was not;
    or None, None if nothing tells.
    """
    if mesh.support is not None:
        return mesh.seen_faces[probe.face], inferred_fraction(mesh)
    if views is not None:
        shown = shown_by(probe.points[: probe.samples], probe.normals, views, threads=threads)
        return shown, float((~shown).mean())
    return None, None


def _mean_or_none(values: NDArray[np.float64], chosen: NDArray[np.bool_] | None) -> float | None:
    return None if chosen is None or not chosen.any() else float(values[chosen].mean())


def _distances(probe: _Probe, mesh: Mesh, unit_from_world: Similarity) -> _Distances:
    points = unit_from_world.apply(probe.points)
    squared, face, nearest = _nearest(points, mesh.transformed(unit_from_world))
    offset = (points - nearest)[: probe.samples]
    cosine = np.einsum("pk,pk->p", probe.normals, mesh.face_normals[face[: probe.samples]])
    return _Distances(
        np.sqrt(squared),
        np.einsum("pk,pk->p", offset, probe.normals),
        float(np.abs(cosine).mean()),
    )


def _nearest(
    points: NDArray[np.float64], mesh: Mesh
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Return squared distances (P,), nearest faces (P,) and the nearest points on them (P, 3)."""
    import igl  # imported here: it takes a while, and not all need it

    squared, face, nearest = igl.point_mesh_squared_distance(
        np.ascontiguousarray(points), mesh.vertices, mesh.faces.astype(np.int64)
    )
    return squared, face, nearest


def _surface_of(mesh: Mesh, name: str) -> Mesh:
    """Return the faces with area; those without have no normal, and lie on others' edges anyway."""
    with_area = mesh.face_areas > 0
    if not with_area.any():
        raise InputError(
            f"{name}: {len(mesh.faces)} faces without any area, so there is no surface to compare"
        )
    if with_area.all():
        return mesh
    return Mesh(mesh.vertices, mesh.faces[with_area], mesh.support, mesh.colors)


def _components(mesh: Mesh) -> int:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    used, faces = np.unique(mesh.faces, return_inverse=True)
    faces = faces.reshape(-1, 3)
    start, end = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    links = coo_array((np.ones(len(start), np.bool_), (start, end)), shape=(len(used), len(used)))
    return int(connected_components(links, directed=False)[0])
