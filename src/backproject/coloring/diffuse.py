"""Values that are known at some vertices spread over the mesh to the others."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

PRECISION = 1e-4
"""The relative error of the solution, by its residual: colours are rounded to a 255th."""
ROUNDS = 1000
"""Steps of conjugate gradients, at most."""


def diffuse(
    faces: NDArray[np.int32], values: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return values (V, C) that spread from where they are known over the edges of `faces` (F, 3).

    Where `weights` (V,) are inf, `values` stand as they are. Elsewhere each is the mean of its
    neighbours and of its own given value, which counts `weights` times a neighbour; 0 is unknown.
    So values change smoothly and stay between those that are given: the end of diffusion, a
    screened discrete harmonic function. Pieces of the mesh of which nothing is known get the mean
    of all that is. Solved by conjugate gradients.
    """
    from scipy.sparse import diags_array
    from scipy.sparse.csgraph import connected_components
    from scipy.sparse.linalg import cg

    told, fixed = weights > 0, np.isinf(weights)
    mean = values[told].mean(axis=0)
    links = _links(faces, len(values))
    pieces, piece = connected_components(links, directed=False)
    reached = np.bincount(piece, told, pieces)[piece] > 0
    free = np.flatnonzero(reached & ~fixed)
    result = np.where(told[:, None], values, mean)
    if len(free) == 0:
        return result
    rows, given = links[free], np.where(fixed[:, None], values - mean, 0.0)
    total = rows.sum(axis=1) + weights[free]
    matrix = diags_array(total) - rows[:, free]
    wanted = rows @ given + weights[free, None] * (result[free] - mean)
    for channel, column in enumerate(wanted.T):
        off, _ = cg(matrix, column, rtol=PRECISION, maxiter=ROUNDS, M=diags_array(1 / total))
        known = values[told, channel]
        result[free, channel] = np.clip(mean[channel] + off, known.min(), known.max())
    return result


def _links(faces: NDArray[np.int32], count: int) -> Any:
    """Return a sparse matrix (V, V) with 1 where an edge joins two vertices."""
    from scipy.sparse import coo_array

    start, end = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    pairs = np.concatenate([start, end]), np.concatenate([end, start])
    links = coo_array((np.ones(len(pairs[0])), pairs), shape=(count, count)).tocsr()
    links.data[:] = 1.0  # an edge counts once, however many faces share it
    return links
