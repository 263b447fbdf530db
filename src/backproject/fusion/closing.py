"""Close what no view saw with the least surface that nothing supports."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from backproject.fusion.solid import Solid
from backproject.kernels import blocks as kernel
from backproject.kernels import parallel, regions

BACK_COST = 0.5
"""What a face of a sheet's back costs, against 1 for a face that nothing supports.

Above 0, so that the inside of a closed shell stays solid; below 1, because the back of a sheet lies
where a surface was measured and an unsupported wall where none was.
"""
SCALE = 2
"""Capacities are whole numbers of half faces."""
PAIRS = 128
"""How many pairs of neighbouring regions of a block are kept: a handful, but for noise."""


def close(solid: Solid, *, threads: int) -> None:
    """Decide which hidden space is solid, by a minimum cut, and free the rest.

    Hidden space is bounded by the shell around the samples and by walls towards free space, where
    no view saw a surface. Solid regions pay for their walls, freed ones for the backs of the shell
    that they lay bare, and neighbours that differ for the faces between them: the cheapest
    labelling is a minimum cut (visibility cuts: Labatut, Pons & Keriven 2009), over regions of
    connected hidden corners within blocks. A body seen from all sides has no walls and stays solid;
    a pocket behind a fan's cage that is mostly wall becomes free, and the sheets around it keep
    their shell.
    """
    table, state = solid.table, solid.state
    count = len(solid.blocks)
    region = np.empty(state.shape, np.int16)
    counts = np.empty(count, np.int64)
    parallel.run(regions.label_regions, count, state, region, counts, threads=threads)
    first = np.concatenate([[0], np.cumsum(counts)])
    # Deep inside nothing is stored, and nothing there is wall or shell: one node a piece.
    pieces, found = ndimage.label(table == kernel.INSIDE)
    node_of = np.where(pieces > 0, first[-1] + pieces - 1, -1)
    nodes = int(first[-1]) + found
    walls, backs = np.zeros(nodes, np.int64), np.zeros(nodes, np.int64)
    edges, used = np.empty((count, PAIRS, 3), np.int32), np.empty(count, np.int64)
    parallel.run(
        regions.connect, count, solid.blocks, table, state, region, first, node_of,
        walls, backs, edges, used, threads=threads,
    )  # fmt: skip
    if not walls.any():
        return
    free = _minimum_cut(edges[np.arange(PAIRS) < used[:, None]], walls, backs)
    parallel.run(regions.free_regions, count, region, first, free, state, threads=threads)
    table[np.append(free, False)[node_of]] = kernel.OUTSIDE
    _store_between(solid)


def _minimum_cut(
    edges: NDArray[np.int32],
    walls: NDArray[np.int64],
    backs: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Return which nodes fall to the free side; `edges` (E, 3) are two nodes and a capacity."""
    nodes = len(walls)
    solid_end, free_end = nodes, nodes + 1
    numbers = np.arange(nodes)
    rows = np.concatenate([edges[:, 0], edges[:, 1], np.full(nodes, solid_end), numbers])
    columns = np.concatenate([edges[:, 1], edges[:, 0], numbers, np.full(nodes, free_end)])
    values = np.concatenate(
        [edges[:, 2] * SCALE, edges[:, 2] * SCALE, backs * BACK_COST * SCALE, walls * SCALE]
    )
    graph = sparse.csr_matrix((values.astype(np.int32), (rows, columns)), (nodes + 2, nodes + 2))
    graph.sum_duplicates()
    graph.eliminate_zeros()
    residual = graph - csgraph.maximum_flow(graph, solid_end, free_end, method="dinic").flow
    residual.eliminate_zeros()
    # Free is only what can still reach the free end: where both are equal, hidden space stays
    # solid.
    reached = csgraph.breadth_first_order(residual.T.tocsr(), free_end, return_predecessors=False)
    free = np.zeros(nodes + 2, bool)
    free[reached] = True
    return free[:nodes]


def _store_between(solid: Solid) -> None:
    """Store the unstored blocks whose unstored neighbours now differ from them: the surface runs
    between.
    """
    between = np.zeros(solid.table.shape, bool)
    for axis in range(3):
        here = tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))
        there = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
        a, b = solid.table[here], solid.table[there]
        differ = (a < 0) & (b < 0) & (a != b)
        between[here] |= differ
        between[there] |= differ
    solid.store_as_is(np.argwhere(between))
