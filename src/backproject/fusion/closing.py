"""Close what no view saw with the least surface that nothing supports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from backproject.fusion.evidence import Evidence
from backproject.fusion.solid import Solid
from backproject.kernels import blocks as kernel
from backproject.kernels import cut, parallel, regions

Slices: TypeAlias = tuple[slice, ...]

BACK_COST = 0.5
"""What a face of a sheet's back costs, against 1 for a face that nothing supports.

Above 0, so that the inside of a closed shell stays solid; below 1, because the back of a sheet lies
where a surface was measured and an unsupported wall where none was.
"""
CAP_COST = 3.0
"""What a face through free space costs: rays cross it, while along a wall none does."""
FRONT_COST = 4.0
"""What a face of measured surface costs that is filled up, unless it shows on its other side."""
DOUBTED = 2
"""One view in so many, at most, may see past what is filled up all the same."""
MANY = 0.02
"""More walls than so many for each face of the shell's back put free space in doubt."""
SHOWN = 8
"""More than one view in so many look at a sheet from its other side: there it shows. With fewer
views nothing that was seen to be free is in doubt.
"""
SCENES = 4.0
"""Filling up a layer as thick as one scene in so many costs as much, for each view that sees past
it, as a wall.
"""
SCALE = 64
"""Capacities are whole numbers of this part of a face."""
PAIRS = 128
"""How many pairs of neighbouring regions of a block are kept: a handful, but for noise."""


def close(solid: Solid, evidence: Evidence | None, *, threads: int) -> None:
    """Decide which hidden space is solid, by a minimum cut, and free the rest.

    Hidden space is bounded by the shell around the samples and by walls towards free space, where
    no view saw a surface. Solid regions pay for their walls, freed ones for the backs of the shell
    that they lay bare, and neighbours that differ for the faces between them: the cheapest
    labelling is a minimum cut (visibility cuts: Labatut, Pons & Keriven 2009), over regions of
    connected hidden corners within blocks. A body seen from all sides has no walls and stays solid;
    a pocket behind a fan's cage that is mostly wall becomes free, and the sheets around it keep
    their shell.

    If there are many walls, free space that few views see past is in doubt as well: rays that enter
    a scan through a hole leave walls all around them. Filling it up costs for the cap over the
    hole, by how many views see past what is filled, and for the measured surface that goes with it,
    unless that shows on its other side. Without `evidence` only hidden space is in doubt.
    """
    count = len(solid.blocks)
    hidden, shell = np.empty(8 * count, np.uint64), np.empty(8 * count, np.uint64)
    parallel.run(regions.find_hidden, count, solid.rows, hidden, shell, threads=threads)
    walls, backs = count_bounds(solid, hidden, shell, threads=threads)
    if walls == 0:
        return
    if evidence and (walls <= MANY * backs or len(evidence.cameras) < SHOWN):
        evidence = None
    found = _Regions.of(solid, hidden, shell, evidence, threads)
    graph = _Graph.of(solid, found, threads)
    free = _minimum_cut(found, graph)
    parallel.run(
        regions.settle_regions, len(solid.blocks), found.first, found.regions, free, solid.state,
        threads=threads,
    )  # fmt: skip
    chosen = found.node_of >= 0
    solid.table[chosen] = np.where(free[found.node_of[chosen]], kernel.OUTSIDE, kernel.INSIDE)
    _store_between(solid)


def count_bounds(
    solid: Solid, hidden: NDArray[np.uint64], shell: NDArray[np.uint64], *, threads: int
) -> tuple[int, int]:
    """Return how many faces hidden space has to free space and to the shell: all walls and backs.

    `hidden` and `shell` (8 B,) are the sets of corners of the stored blocks' parts.
    """
    count = len(solid.blocks)
    walls, backs = np.empty(count, np.int64), np.empty(count, np.int64)
    parallel.run(
        regions.count_faces, count, solid.blocks, solid.table, hidden, shell, walls, backs,
        threads=threads,
    )  # fmt: skip
    unstored = sum(int(np.count_nonzero(differ)) for *_, differ in _unlike(solid.table))
    return int(walls.sum()) + unstored * kernel.SIDE**2, int(backs.sum())


@dataclass(frozen=True)
class _Regions:
    """What is labelled solid or free as one: the nodes of the graph.

    `regions` (R,) are those of the stored blocks, sets of corners of their parts as in
    `kernels.regions`, from `first` (8 B + 1,) of each part; `shell` (8 B,) are the corners next to
    a sample. `node_of` (X, Y, Z) is the node of a block which is not stored, -1 if none. `sizes`
    (nodes,) in corners; `seen_past` (nodes,): how many views see past it, 0 if it is hidden, more
    than `most` if it is free for certain; more than `shown` look at what shows.
    """

    first: NDArray[np.int64]
    regions: NDArray[np.uint64]
    shell: NDArray[np.uint64]
    node_of: NDArray[np.int32]
    sizes: NDArray[np.int64]
    seen_past: NDArray[np.int64]
    most: int
    shown: int

    @classmethod
    def of(
        cls,
        solid: Solid,
        hidden_corners: NDArray[np.uint64],
        shell: NDArray[np.uint64],
        evidence: Evidence | None,
        threads: int,
    ) -> _Regions:
        """Return the regions of hidden space, and with evidence those of free space too."""
        table, count = solid.table, len(solid.blocks)
        counts = np.empty(8 * count, np.int64)
        label = (regions.label_regions, count, hidden_corners, shell, evidence is not None)
        parallel.run(*label, counts, np.empty(0, np.uint64), threads=threads)
        first = np.concatenate([[0], np.cumsum(counts)])
        stored = int(first[-1])
        found = np.empty(stored, np.uint64)
        if stored > 0:
            parallel.run(*label, first, found, threads=threads)
        # Deep inside nothing is stored, and nothing there is wall or shell: one node a piece.
        pieces, hidden = ndimage.label(table == kernel.INSIDE)
        node_of = np.where(pieces > 0, stored + pieces - 1, -1).astype(np.int32)
        sizes, seen_past = np.zeros(stored + hidden, np.int64), np.zeros(stored + hidden, np.int64)
        if evidence is None:
            return cls(first, found, shell, node_of, sizes, seen_past, 0, 0)
        most = len(evidence.cameras) // DOUBTED
        field = (
            evidence.inverse_depth, evidence.cameras, evidence.steepest, solid.origin, solid.voxel,
            most,
        )  # fmt: skip
        parallel.run(
            regions.describe_regions, count, solid.blocks, solid.state, first, found, *field,
            sizes, seen_past, threads=threads,
        )  # fmt: skip
        outside = np.argwhere(table == kernel.OUTSIDE)
        past = np.zeros(len(outside), np.int64)
        parallel.run(regions.describe_blocks, len(outside), outside, *field, past, threads=threads)
        doubtful = (past > 0) & (past <= most)
        node_of[tuple(outside[doubtful].T)] = len(sizes) + np.arange(np.count_nonzero(doubtful))
        sizes = np.append(sizes, np.full(np.count_nonzero(doubtful), kernel.SIDE**3))
        seen_past = np.append(seen_past, past[doubtful])
        shown = len(evidence.cameras) // SHOWN
        return cls(first, found, shell, node_of, sizes, seen_past, most, shown)

    @property
    def certain(self) -> NDArray[np.bool_]:
        """Which nodes (nodes,) are free for certain."""
        return np.asarray(self.seen_past > self.most)


@dataclass(frozen=True)
class _Graph:
    """How the nodes adjoin: `edges` (E, 3) are two nodes and their common faces; `walls` (nodes,)
    faces towards what is free for certain, `backs` those towards the shell.
    """

    edges: NDArray[np.int32]
    walls: NDArray[np.int64]
    backs: NDArray[np.int64]

    @classmethod
    def of(cls, solid: Solid, found: _Regions, threads: int) -> _Graph:
        """Return the graph of regions."""
        count, nodes = len(solid.blocks), len(found.sizes)
        walls, backs = np.zeros(nodes, np.int64), np.zeros(nodes, np.int64)
        edges, used = np.empty((count, PAIRS, 3), np.int32), np.empty(count, np.int64)
        shown = np.empty(8 * count if found.most else 0, np.uint64)
        if found.most:
            open_at = np.empty_like(shown)
            parallel.run(
                regions.find_open, count, found.first, found.regions, found.shell, found.certain,
                found.seen_past, found.shown, open_at, threads=threads,
            )  # fmt: skip
            parallel.run(
                regions.find_shown, count, solid.blocks, solid.table, found.node_of,
                found.seen_past, found.shown, found.shell, open_at, shown, threads=threads,
            )  # fmt: skip
        parallel.run(
            regions.connect, count, solid.blocks, solid.table, found.first, found.regions,
            found.shell, shown, found.certain, found.node_of, found.seen_past, found.shown,
            walls, backs, edges, used, threads=threads,
        )  # fmt: skip
        of_blocks = np.empty((int(used.sum()), 3), np.int32)
        cut.gather_pairs(edges, used, of_blocks)
        pairs = [of_blocks]
        for axis in range(3):
            here = tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))
            there = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
            unstored = (solid.table[here] < 0) & (solid.table[there] < 0)
            a, b = found.node_of[here][unstored], found.node_of[there][unstored]
            face = kernel.SIDE**2
            both = (a >= 0) & (b >= 0) & (a != b)
            pairs.append(np.stack([a[both], b[both], np.full(both.sum(), face, np.int32)], axis=1))
            for one, other in ((a, b), (b, a)):
                np.add.at(walls, one[(one >= 0) & (other < 0)], face)
        return cls(np.concatenate(pairs), walls, backs)


def _minimum_cut(found: _Regions, graph: _Graph) -> NDArray[np.bool_]:
    """Return which nodes fall to the free side: where both sides are equal, the fewest, so that
    hidden space stays solid.
    """
    hidden = found.seen_past == 0
    layer = SCENES / (max(found.node_of.shape) * kernel.SIDE)
    solid_cost = graph.walls * np.where(hidden, 1, CAP_COST) + np.where(
        hidden, 0.0, FRONT_COST * graph.backs + layer * found.seen_past * found.sizes
    )
    free_cost = np.where(hidden, BACK_COST * graph.backs, 0.0)
    a, b, faces = graph.edges.T
    face_cost = faces * np.where(hidden[a] | hidden[b], 1, CAP_COST)
    costs = ((SCALE * cost).astype(np.int64) for cost in (face_cost, solid_cost, free_cost))
    # The free side is the source: what costs the same on either stays solid.
    return np.asarray(cut.minimum_cut(graph.edges, *costs) | found.certain)


def _store_between(solid: Solid) -> None:
    """Store the unstored blocks whose unstored neighbours now differ from them: the surface runs
    between.
    """
    between = np.zeros(solid.table.shape, bool)
    for here, there, differ in _unlike(solid.table):
        between[here] |= differ
        between[there] |= differ
    solid.store_as_is(np.argwhere(between))


def _unlike(table: NDArray[np.int32]) -> Iterator[tuple[Slices, Slices, NDArray[np.bool_]]]:
    """Yield for each axis where blocks and those after them are in the table, and which of these
    pairs are not stored and differ.
    """
    for axis in range(3):
        here = tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))
        there = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
        a, b = table[here], table[there]
        yield here, there, (a < 0) & (b < 0) & (a != b)
