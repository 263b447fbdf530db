"""Values that are known at some vertices spread over the mesh to the others."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

PRECISION = 1e-4
"""The relative error of the solution, by its residual: colours are rounded to a 255th."""
ROUNDS = 60
"""Steps of conjugate gradients, at most: enough for what is fewer edges across, and beyond that to
smooth where the colours from several sides meet.
"""


def diffuse(
    faces: NDArray[np.int32], values: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return values (V, C) that spread from where they are known over the edges of `faces` (F, 3).

    Where `weights` (V,) are inf, `values` stand as they are. Elsewhere each is the mean of its
    neighbours and of its own given value, which counts `weights` times a neighbour; 0 is unknown.
    So values change smoothly and stay between those that are given: the end of diffusion, a
    screened discrete harmonic function. Pieces of the mesh of which nothing is known get the mean
    of all that is. Solved by conjugate gradients, which start from the nearest known value, by the
    number of edges.
    """
    from scipy.sparse import diags_array
    from scipy.sparse.linalg import cg

    told, fixed = weights > 0, np.isinf(weights)
    links = _links(faces, len(values))
    nearest = _nearest(links, told)
    mean = values[told].mean(axis=0)
    result = np.where(nearest[:, None] >= 0, values[nearest], mean)
    free = np.flatnonzero((nearest >= 0) & ~fixed)
    if len(free) == 0:
        return result
    rows = links[free]
    total = rows.sum(axis=1) + weights[free]
    matrix, scale = diags_array(total) - rows[:, free], diags_array(1 / total)
    wanted = rows @ np.where(fixed[:, None], values - mean, 0.0)
    wanted += weights[free, None] * (result[free] - mean)
    for k, column in enumerate(wanted.T):
        start = result[free, k] - mean[k]
        off, _ = cg(matrix, column, start, rtol=PRECISION, maxiter=ROUNDS, M=scale)
        known = values[told, k]
        result[free, k] = np.clip(mean[k] + off, known.min(), known.max())
    return result


def _nearest(links: Any, told: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return for each vertex (V,) the one that is `told` and fewest edges away; -1 if none is."""
    from scipy.sparse import block_array, csr_array
    from scipy.sparse.csgraph import breadth_first_order

    count = len(told)
    # one more vertex, joined to all that are told: the search begins there
    source = csr_array(told[None].astype(np.float64))
    whole = block_array([[links, None], [source, csr_array((1, 1))]], format="csr")
    _, before = breadth_first_order(whole, count, directed=True)
    nearest = np.where(before < 0, -1, before)[:count].astype(np.intp)
    nearest[told] = np.flatnonzero(told)
    while True:  # each looks where the one before it looks: twice as far every time
        further = np.where(nearest >= 0, nearest[nearest], -1)
        if (further == nearest).all():
            return nearest
        nearest = further


def _links(faces: NDArray[np.int32], count: int) -> Any:
    """Return a sparse matrix (V, V) with 1 where an edge joins two vertices."""
    from scipy.sparse import coo_array

    start, end = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    pairs = np.concatenate([start, end]), np.concatenate([end, start])
    links = coo_array((np.ones(len(pairs[0])), pairs), shape=(count, count)).tocsr()
    links.data[:] = 1.0  # an edge counts once, however many faces share it
    return links
