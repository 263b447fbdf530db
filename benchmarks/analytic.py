"""Score shapes that are known exactly, few views of them, and thin parts, against the peers.

    python -m benchmarks.analytic                    everything
    python -m benchmarks.analytic spot.obj --methods backproject seen

A sphere and a torus are seen and scored by geometry alone, without a mesh of them. A box, a drilled
box and `tm_featuretype` (if it is among the meshes) are meshes that are the shape itself, so that
edges can be told from what lies away from them. All given meshes are searched for double layers and
degenerate triangles.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import backproject as bp
from backproject.metrics.compare import TAUS, distances_to
from backproject.metrics.sampling import sample_surface
from backproject.metrics.visibility import seen_by
from benchmarks import methods as of_methods
from benchmarks import results as of
from benchmarks import solids
from benchmarks.clock import Times
from benchmarks.meshes import BUNDLED, chosen_meshes, find_meshes, is_closed, load_unit
from benchmarks.methods import METHODS, OURS, Runner, scores_against
from benchmarks.tables import Grid, parser_of, publish

Row = dict[str, Any]
CREASED = "tm_featuretype"
"""Of the meshes given, the one with many creases and little else: it is scored as the boxes are."""
SAMPLES = 100_000
"""Points spread over each surface."""
SHARP = 20.0
"""Faces that meet at more degrees than this meet at an edge: the drilled hole's do at 1.4."""
AWAY = 0.0106
"""So far from all edges, in diameters, is away from them: two pixels' footprints at 224 px."""
NEAREST_HIT = 1e-10
"""Sphere tracing ends so near to the surface, in diameters."""
TOLERANCES = (0.0026, 0.0053, 0.0106)
"""A box is asked back within these, in diameters: half a pixel's footprint, one, and two."""
FEW = {
    "1": partial(bp.Rig.fibonacci, 1),
    "3": partial(bp.Rig.fibonacci, 3),
    "6": partial(bp.Rig.fibonacci, 6),
    "6 in a ring": partial(bp.Rig.turntable, 6),
}
"""Rigs of few cameras."""
LINES = 50_000
"""How many lines count the layers of a mesh."""


@dataclass(frozen=True)
class Round:
    """All points `tube` away from a circle of radius `ring` about the y axis: a torus or, where
    `ring` is 0, a sphere. `mesh` is near to it, and tells where there is how much of it.
    """

    ring: float
    tube: float
    mesh: bp.Mesh

    def height(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how far the points (..., 3) lie outside of it."""
        return np.asarray(np.linalg.norm(self._from_ring(points), axis=-1) - self.tube)

    def normals(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the normals (..., 3) where the points are nearest to it."""
        away = self._from_ring(points)
        return np.asarray(away / np.linalg.norm(away, axis=-1, keepdims=True))

    def spread(self, count: int) -> NDArray[np.float64]:
        """Return points (count, 3) on it, as even as those of the mesh."""
        points, _ = sample_surface(self.mesh, count)
        return np.asarray(points - self.height(points)[:, None] * self.normals(points))

    def _from_ring(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        across = np.hypot(points[..., 0], points[..., 2])[..., None]
        ring = self.ring * points * (1, 0, 1) / np.maximum(across, np.finfo(float).tiny)
        return np.asarray(points - ring)


ROUND = {
    "sphere": Round(0.0, 0.5, solids.sphere()),
    "torus": Round(0.35, 0.15, solids.torus()),
}
"""The round ones of `solids`, exactly."""
EDGED = {"box": solids.box, "drilled box": solids.drilled_box}
THIN = {"square": solids.square, "wire": solids.wire, "sheet bowl": lambda: solids.sheet().shape}


def main() -> None:
    """Run the benchmark: known shapes, the simplified box, few views, and layers."""
    options = _options()
    rig = bp.Rig.dodecahedron(size=options.size)
    runner = Runner(options.methods, resolution=options.resolution, repeat=options.repeat)
    given = {path.stem: load_unit(path) for path in chosen_meshes(options.meshes)}
    edged = {name: bp.normalize(make()).mesh for name, make in EDGED.items()}
    thin = {name: bp.normalize(make()).mesh for name, make in THIN.items()}
    known = [measure_round(name, shape, rig, runner) for name, shape in ROUND.items()]
    creased = {**edged, **{name: mesh for name, mesh in given.items() if name == CREASED}}
    known += [measure_edged(name, mesh, rig, runner) for name, mesh in creased.items()]
    few = {"sphere": ROUND["sphere"].mesh, "drilled box": edged["drilled box"]}
    few |= {path.stem: load_unit(path) for path in find_meshes([BUNDLED])}
    rows = [
        measure_few(name, mesh, count, options.size, runner)
        for name, mesh in few.items()
        for count in FEW
    ]
    layered = {name: shape.mesh for name, shape in ROUND.items()} | edged | thin | given
    layers = [line for name, mesh in layered.items() for line in layer_lines(name, mesh, options)]
    notes = [
        f"20 views of {options.size} px, if nothing else is said, resolution {options.resolution},"
        " exact depth; distances in the shape's diameters.",
        f"Sphere and torus: depth and distances by geometry. Away from edges: by {AWAY:g} from"
        f" where faces meet at over {SHARP:g} degrees.",
    ]
    grids = [
        _known_table(known),
        _box_table(edged["box"], options),
        _few_table(rows),
        _layer_table(layers),
        *of.error_table([*known, *rows]),
    ]
    publish("analytic", grids, notes, options.markdown)


def measure_round(name: str, shape: Round, rig: bp.Rig, runner: Runner) -> Row:
    """Return a row: each method's seconds, and its scores by geometry."""
    judge = partial(_judge_round, shape)
    return {"mesh": name, "methods": runner.run(name, traced(shape, rig), judge)}


def measure_edged(name: str, truth: bp.Mesh, rig: bp.Rig, runner: Runner) -> Row:
    """Return a row: each method's seconds, scores, and mean error away from the truth's edges."""
    views = bp.render(truth, rig)
    scores, away = scores_against(truth, views), away_from_edges(truth, views)

    def judge(mesh: bp.Mesh) -> Row:
        return {**scores(mesh), "away": away(mesh)}

    return {"mesh": name, "methods": runner.run(name, views, judge)}


def measure_few(name: str, truth: bp.Mesh, count: str, size: int, runner: Runner) -> Row:
    """Return a row: each method's seconds and scores, and how far it reaches, from few views."""
    views = bp.render(truth, FEW[count](size=size))
    scores = scores_against(truth, views)

    def judge(mesh: bp.Mesh) -> Row:
        return {**scores(mesh), "reach": reach(mesh, views)}

    results = runner.run(f"{name}, {count}", views, judge)
    return {"mesh": f"{name}, {count}", "views": count, "shape": name, "methods": results}


def traced(shape: Round, rig: bp.Rig) -> bp.ViewSet:
    """Return the exact depth maps of a shape by its distance (sphere tracing: Hart 1996)."""
    depth = np.full((len(rig), rig.height * rig.width), np.inf)
    column, row = np.meshgrid(np.arange(rig.width) + 0.5, np.arange(rig.height) + 0.5)
    pixels = np.stack([column, row], axis=-1).reshape(-1, 2)
    for k, camera in enumerate(rig):
        origin = camera.center_world
        direction = camera.unproject(pixels, np.ones(len(pixels))) - origin
        length = np.linalg.norm(direction, axis=1)
        beyond = np.linalg.norm(origin) + shape.ring + shape.tube
        alive, z = np.arange(len(pixels)), np.zeros(len(pixels))
        while len(alive):
            gap = shape.height(origin + z[alive, None] * direction[alive])
            z[alive] += gap / length[alive]
            hit = alive[gap < NEAREST_HIT]
            depth[k, hit] = z[hit]
            alive = alive[(gap >= NEAREST_HIT) & (z[alive] < beyond)]
    return bp.ViewSet(depth.reshape(len(rig), rig.height, rig.width), rig)


def _judge_round(shape: Round, mesh: bp.Mesh) -> Row:
    """Return the scores of `bp.compare`, by geometry on the truth's side."""
    diameter = 2 * (shape.ring + shape.tube)
    points, face = sample_surface(mesh, SAMPLES)
    height = shape.height(points) / diameter
    wanted = shape.spread(SAMPLES)
    missed = distances_to(mesh, wanted) / diameter
    accuracy, completeness = float(np.abs(height).mean()), float(missed.mean())
    mean_error = (accuracy + completeness) / 2
    cosine = np.einsum("pk,pk->p", mesh.face_normals[face], shape.normals(points))
    corners = shape.height(mesh.vertices[np.unique(mesh.faces)]) / diameter
    scores = {
        "accuracy": accuracy,
        "completeness": completeness,
        "chamfer": mean_error,
        "hausdorff": float(max(np.abs(height).max(), np.abs(corners).max(), missed.max())),
        "signed_bias": float(height.mean()),
        "normal_consistency": float(np.abs(cosine).mean()),
        "f_score": {f"{tau:g}": _f(np.abs(height) <= tau, missed <= tau) for tau in TAUS},
        "watertight": mesh.is_watertight,
    }
    return {"scores": scores, "away": mean_error}


def _f(precise: NDArray[np.bool_], recalled: NDArray[np.bool_]) -> float:
    precision, recall = float(precise.mean()), float(recalled.mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def away_from_edges(truth: bp.Mesh, views: bp.ViewSet) -> Callable[[bp.Mesh], float]:
    """Return what tells a mesh's mean error, both ways, at the points away from the truth's edges.

    `truth` is of diameter 1, and only what the views saw of it is asked for.
    """
    from scipy.spatial import cKDTree

    tree = cKDTree(edge_points(truth))

    def smooth_part(mesh: bp.Mesh) -> NDArray[np.float64]:
        points, _ = sample_surface(mesh, SAMPLES)
        return np.asarray(points[tree.query(points)[0] > AWAY])

    wanted = smooth_part(truth)
    wanted = wanted[seen_by(wanted, views)]

    def mean_error(mesh: bp.Mesh) -> float:
        there, back = distances_to(truth, smooth_part(mesh)), distances_to(mesh, wanted)
        return float(there.mean() + back.mean()) / 2

    return mean_error


def edge_points(mesh: bp.Mesh, *, step: float = AWAY / 20) -> NDArray[np.float64]:
    """Return points (P, 3) at most `step` apart along the edges at which faces meet sharply."""
    import trimesh

    merged = trimesh.Trimesh(mesh.vertices, mesh.faces, process=True)
    sharp = np.degrees(merged.face_adjacency_angles) > SHARP
    start, end = np.moveaxis(merged.vertices[merged.face_adjacency_edges[sharp]], 1, 0)
    lengths = np.linalg.norm(end - start, axis=1)
    parts = [
        np.linspace(a, b, int(np.ceil(length / step)) + 1)
        for a, b, length in zip(start, end, lengths, strict=True)
    ]
    return np.concatenate(parts)


def reach(mesh: bp.Mesh, views: bp.ViewSet) -> float:
    """Return how many pixels beyond the views' silhouettes a vertex projects, at most."""
    from scipy.ndimage import distance_transform_edt

    farthest = 0.0
    limit = (views.rig.width - 1, views.rig.height - 1)
    for camera, silhouette in zip(views.rig, views.silhouettes, strict=True):
        pixels, _ = camera.project(mesh.vertices)
        column, row = np.clip(pixels.astype(int), 0, limit).T
        farthest = max(farthest, float(distance_transform_edt(~silhouette)[row, column].max()))
    return farthest


def layer_lines(name: str, truth: bp.Mesh, options: argparse.Namespace) -> list[list[str]]:
    """Return rows of cells: what our closed and our seen surface have too much of."""
    views = bp.render(truth, bp.Rig.dodecahedron(size=options.size))
    area = truth.face_areas.sum() * _layers(truth)
    rows = []
    for method in OURS:
        mesh = METHODS[method](views, options.resolution)
        rows.append([
            name, method, f"{len(mesh.faces):,}", f"{np.count_nonzero(mesh.face_areas == 0)}",
            f"{_components(truth)}", f"{_components(mesh)}", f"{mesh.face_areas.sum() / area:.4f}",
            f"{turned_over(mesh, truth):.3%}" if truth.is_watertight else "-",
            f"{double_layers(mesh, truth):.3%}",
        ])  # fmt: skip
    return rows


def _layers(truth: bp.Mesh) -> int:
    """Return how many layers a surface may have: a sheet comes back as a closed slab, which has two
    for each of its own.
    """
    return 1 if is_closed(truth) else 2


def turned_over(mesh: bp.Mesh, truth: bp.Mesh) -> float:
    """Return the share of a mesh's area that faces against the nearest face of the truth: folds."""
    import igl

    middles = np.ascontiguousarray(mesh.triangles.mean(axis=1))
    faces = truth.faces.astype(np.int64)
    _, nearest, _ = igl.point_mesh_squared_distance(middles, truth.vertices, faces)
    against = np.einsum("fk,fk->f", mesh.area_vectors, truth.area_vectors[nearest]) < 0
    return float(mesh.face_areas[against].sum() / mesh.face_areas.sum())


def double_layers(mesh: bp.Mesh, truth: bp.Mesh, *, seed: int = 0) -> float:
    """Return the share of random lines through the truth that cross `mesh` more often than that,
    or than twice that if the truth is open.
    """
    random = np.random.default_rng(seed)
    points, _ = sample_surface(truth, LINES, seed=seed)
    along = random.normal(size=points.shape)
    along *= 2 * truth.radius / np.linalg.norm(along, axis=1, keepdims=True)
    rays = np.concatenate([points - along, along], axis=1).astype(np.float32)
    allowed = _crossings(truth, rays) * _layers(truth)
    return float((_crossings(mesh, rays) > allowed).mean())


def _crossings(mesh: bp.Mesh, rays: NDArray[np.float32]) -> NDArray[np.int64]:
    import open3d as o3d

    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(
        o3d.core.Tensor(mesh.vertices.astype(np.float32)),
        o3d.core.Tensor(mesh.faces.astype(np.uint32)),
    )
    return np.asarray(scene.count_intersections(o3d.core.Tensor(rays)).numpy(), np.int64)


def _components(mesh: bp.Mesh) -> int:
    """Return into how many pieces a mesh falls, once equal corners are one."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    _, index = np.unique(mesh.vertices[mesh.faces.ravel()], axis=0, return_inverse=True)
    start = index.reshape(-1)
    end = np.roll(start.reshape(-1, 3), -1, axis=1).ravel()
    count = int(start.max()) + 1
    links = coo_array((np.ones(len(start), np.bool_), (start, end)), shape=(count, count))
    return int(connected_components(links, directed=False)[0])


def _known_table(rows: list[Row]) -> Grid:
    head = ["shape", "method", "mean error", "away from edges", "Hausdorff", "normals"]
    head += ["bias / mean error", "F@0.001", "seconds"]
    body = []
    for row in rows:
        for name, result in of.good_results(row).items():
            scores = result["scores"]
            body.append([
                row["mesh"], name, f"{scores['chamfer']:.2e}", f"{result['away']:.2e}",
                f"{scores['hausdorff']:.1e}", f"{scores['normal_consistency']:.5f}",
                f"{scores['signed_bias'] / scores['chamfer']:+.3f}", f"{of.f_score(result):.4f}",
                f"{result['seconds']:.2f}",
            ])  # fmt: skip
    return "Known shapes", head, body


def _box_table(box: bp.Mesh, options: argparse.Namespace) -> Grid:
    """Return what simplifying the fused box leaves of it."""
    views = bp.render(box, bp.Rig.dodecahedron(size=options.size))
    fused = of_methods.backproject(views, options.resolution)
    body = []
    for tolerance in TOLERANCES:
        times = Times()
        mesh = times.add(partial(bp.simplify, fused, tolerance=tolerance))
        apart = np.linalg.norm(box.vertices[:, None] - mesh.vertices, axis=2).min(axis=1)
        cells = [f"{tolerance:g}", f"{len(fused.faces):,}", f"{len(mesh.faces):,}"]
        body.append([*cells, f"{apart.max():.1e}", f"{times.seconds:.1f}"])
    head = ["tolerance", "triangles before", "after", "corners off by, at most", "seconds"]
    return "The box, simplified", head, body


def _few_table(rows: list[Row]) -> Grid:
    head = ["shape", "views", "method", "inferred", "pixels beyond the silhouettes", "accuracy"]
    head += ["accuracy, seen", "completeness", "F@0.001", "F@0.005"]
    body = []
    for row in rows:
        for name, result in of.good_results(row).items():
            scores = result["scores"]
            seen = scores["accuracy_seen"]
            body.append([
                row["shape"], row["views"], name, f"{scores['inferred_fraction']:.0%}",
                f"{result['reach']:.1f}", f"{scores['accuracy']:.1e}",
                "-" if seen is None else f"{seen:.1e}", f"{scores['completeness']:.1e}",
                f"{of.f_score(result):.3f}", f"{scores['f_score']['0.005']:.3f}",
            ])  # fmt: skip
    return "Few views", head, body


def _layer_table(body: list[list[str]]) -> Grid:
    head = ["shape", "surface", "triangles", "degenerate", "pieces of the truth", "pieces"]
    return (
        "Layers",
        [*head, "area / what it may be", "turned over", "lines with a layer too many"],
        body,
    )


def _options() -> argparse.Namespace:
    parser = parser_of(__doc__, repeat=1, help_repeat="timed runs, while they are short")
    parser.add_argument("--size", type=int, default=224, help="side of the images in pixels")
    parser.add_argument("--resolution", type=int, default=256, help="voxels along the diameter")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    return parser.parse_args()


if __name__ == "__main__":
    main()
