"""The solid's boundary as a mesh, on the samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backproject.errors import ReconstructionError
from backproject.fusion.evidence import EXACT, Evidence, Samples
from backproject.fusion.solid import SHELL, Solid
from backproject.geometry.mesh import Mesh
from backproject.kernels import bins, nets, parallel, residuals, slivers, snap
from backproject.kernels import blocks as kernel
from backproject.progress import Progress

REACH_VOXELS = 1.7
"""How far from its cell a vertex looks for samples: the shell's half thickness, half a cell's
diagonal, and as much to the side.
"""
REACH_PIXELS = 1.6
"""The same where pixels are wider than voxels: to the neighbouring samples of one view."""
WIDTH_PIXELS = 0.9
"""How far samples count around the vertex in its last steps. Twenty views put about seven samples
on a pixel's footprint.
"""
WIDER, WIDEST = 8.0, 3.0
"""How much farther they count per footprint of noise, and at most: more of them average it out."""
DOUBT = 0.15
"""Noise, in footprints, at which a sample's own normal, a difference of depths, is half trusted."""
ROUNDS = 5
STEPS, DAMPING = 2, 0.5
"""How often vertices step towards a fit of the triangles; so many samples at one halve its steps.
"""
CHANCE = 0.9
"""The ratio, see `residuals.compare_moves`, up to which moves may be chance. Where up to seven
samples are at a vertex, noisy ones were measured at 0.5 to 0.9, whatever the noise, and exact ones
at 2 and more. (A vertex has already been set on the mean of samples nearby, see `kernels.snap`, or
noise would give more.)
"""
BESIDE = 1.5
"""How many voxels or pixels from a vertex a sample still supports it, whichever are wider."""
THIN = 0.01
"""Triangles of less height, in voxels, are mended: vertices met in a corner or on a crease."""
CRUMB = 30
"""Fewer triangles make no body: the shell of a single sample has up to 28."""


@dataclass(frozen=True)
class Order:
    """The samples' places (S,) in the order of their bins, -1 if in none, and the first place of
    each bin, `first` (blocks * bins + 1,).
    """

    first: NDArray[np.int32]
    places: NDArray[np.int32]


def sort_samples(solid: Solid, samples: Samples) -> Callable[[], Order]:
    """Begin to sort the samples into bins within the solid's stored blocks, all of which lie in
    one; return what waits for the end. The solid may be changed meanwhile.
    """
    grid = (solid.origin, solid.voxel, solid.table.copy())
    return parallel.beside(_sorted, samples, grid, len(solid.blocks))


def _sorted(
    samples: Samples, grid: tuple[NDArray[np.float64], float, NDArray[np.int32]], blocks: int
) -> Order:
    count = len(samples.points)
    bin_of, places = np.empty(count, np.int32), np.empty(count, np.int32)
    first = np.empty(blocks * bins.BINS**3 + 1, np.int32)
    bins.find_bins(0, count, samples.points, *grid, bin_of)
    bins.sort_bins(bin_of, first, places)
    return Order(first, places)


def extract(
    solid: Solid,
    samples: Samples,
    order: Order,
    evidence: Evidence,
    *,
    threads: int,
    progress: Progress,
) -> Mesh:
    """Return the closed mesh of the solid's boundary, every vertex moved onto the samples around
    it, whose `order` was found when the solid had no more blocks than now.

    The net has one vertex a mixed cell and one quadrilateral a crossed edge (surface nets, Gibson
    1998). Vertices with samples in reach go to the zero of their implicit moving least squares
    (Kolluri 2008), see `kernels.snap`; the others to where the views' free space begins. Then all
    are moved so that the triangles between them lie on the samples as well as they can, in the mean
    square (Hoppe et al. 1993), see `kernels.residuals`, unless noise would move them as far. No
    value is interpolated on the grid.
    """
    net, outward, quads = _net(solid, threads=threads)
    kept = np.empty(len(net), np.bool_)
    large = parallel.beside(nets.find_large, quads, CRUMB // 2, kept)
    added = len(solid.blocks) * bins.BINS**3 + 1 - len(order.first)  # bins without samples
    first = np.append(order.first, np.full(added, order.first[-1]))
    filed = np.empty((first[-1], 8), np.float32)
    parallel.run(
        bins.file_samples, len(samples.points), samples.points, samples.normals, samples.weights,
        samples.view_of, solid.origin, solid.voxel, order.places, filed, threads=threads,
    )  # fmt: skip
    pixel = samples.footprint / solid.voxel
    reach = max(REACH_VOXELS, REACH_PIXELS * pixel)
    noise = max(0.0, samples.noise / samples.footprint - EXACT)
    width = WIDTH_PIXELS * min(1 + WIDER * noise, WIDEST) * pixel
    trust = 1 / (1 + (noise / DOUBT) ** 2)
    vertices, support = np.empty((len(net), 3)), np.empty(len(net), np.int32)
    parallel.run(
        snap.snap, len(net), net, outward, solid.origin, solid.voxel, solid.table, first, filed,
        reach, SHELL, max(1.5 * width, REACH_PIXELS * pixel), width, trust, ROUNDS,
        BESIDE * max(1.0, pixel), len(evidence.cameras), vertices, support,
        threads=threads, on_chunk=lambda share: progress("fitting the surface", share),
    )  # fmt: skip
    parallel.run(
        snap.settle_walls, len(vertices), vertices, outward, support, evidence.inverse_depth,
        evidence.cameras, evidence.steepest, solid.voxel, threads=threads,
    )  # fmt: skip
    if 0 < large() < len(net):  # specks and bubbles
        count, polygons = nets.drop_pieces(kept, vertices, outward, support, quads)
        vertices, support, quads = vertices[:count], support[:count], quads[:polygons]
    faces, thin = np.empty((2 * len(quads), 3), np.int32), np.empty(2 * len(quads), np.bool_)
    limit = THIN * solid.voxel
    parallel.run(
        nets.split_quads, len(quads), quads, vertices, outward, samples.pixel, limit, faces, thin,
        threads=threads,
    )  # fmt: skip
    if thin.any():  # vertices met in a corner or on a crease
        count, left = slivers.mend_slivers(faces, thin, limit, vertices, outward, support)
        vertices, support, faces = vertices[:count], support[:count], faces[:left]
    _fit_faces(faces, vertices, outward, solid, first, filed, support, threads=threads)
    return Mesh(vertices, faces, support)


def _fit_faces(
    faces: NDArray[np.int32],
    vertices: NDArray[np.float64],
    outward: NDArray[np.float64],
    solid: Solid,
    first: NDArray[np.int32],
    filed: NDArray[np.float32],
    support: NDArray[np.int32],
    *,
    threads: int,
) -> None:
    """Move the vertices so that the faces between them lie on the filed samples, as far as that is
    more than chance.
    """
    sums, moves = np.empty((len(faces), residuals.SUMS), np.float32), np.empty(len(vertices))
    groups = -(-len(faces) // residuals.TOGETHER)
    parallel.run(
        residuals.add_up_residuals, groups, faces, vertices, outward, solid.origin, solid.voxel,
        solid.table, first, filed, sums, threads=threads,
    )  # fmt: skip
    residuals.find_moves(faces, sums, DAMPING, STEPS, moves)
    ratios = np.empty(groups)
    parallel.run(residuals.compare_moves, groups, faces, sums, moves, ratios, threads=threads)
    told = ratios[~np.isnan(ratios)]
    if len(told):
        moves *= np.clip(np.median(told) / CHANCE - 1, 0, 1)
    moves[support == 0] = 0.0  # what is inferred stays within what the views left
    parallel.run(
        residuals.move, len(vertices), moves, outward, solid.voxel, vertices, threads=threads
    )


def seen_part(mesh: Mesh) -> Mesh:
    """Return the faces whose three corners some view saw, without pieces as small as crumbs.

    Open where nothing was seen: behind a sheet that was seen from one side only there is no second
    layer.
    """
    assert mesh.support is not None
    faces = mesh.faces[mesh.seen_faces]
    large = np.empty(len(mesh.vertices), np.bool_)
    nets.find_large(faces, CRUMB, large)
    faces = faces[large[faces[:, 0]]]
    if len(faces) == 0:
        raise ReconstructionError("surface: no view saw enough of any; try surface='solid'")
    used = np.zeros(len(mesh.vertices), bool)
    used[faces] = True
    renumbered = np.cumsum(used, dtype=np.int32) - 1
    colors = None if mesh.colors is None else mesh.colors[used]
    return Mesh(mesh.vertices[used], renumbered[faces], mesh.support[used], colors)


def _net(
    solid: Solid, *, threads: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int32]]:
    """Return vertices, in voxels, and rough outward directions (V, 3) and quadrilaterals (Q, 4)."""
    count = len(solid.blocks)
    vertex_of = np.empty((count, kernel.SIDE**3), np.int16)
    counts = np.empty((count, 2), np.int64)
    stored = (solid.blocks, solid.table, solid.rows, vertex_of)
    parallel.run(nets.count_elements, count, *stored, counts, threads=threads)
    first = np.concatenate([[[0, 0]], np.cumsum(counts, axis=0)])
    vertices, outward = np.empty((first[-1, 0], 3)), np.empty((first[-1, 0], 3))
    quads = np.empty((first[-1, 1], 4), np.int32)
    parallel.run(
        nets.fill_elements, count, *stored, first, vertices, outward, quads, threads=threads
    )
    return vertices, outward, quads
