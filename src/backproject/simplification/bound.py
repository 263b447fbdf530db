"""Prove that one surface lies within a distance of another, on every point of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backproject.kernels import nearness, parallel

LEAF = 4
"""Triangles to a leaf of the tree."""
BITS = 20
"""Bits of each coordinate of the curve that orders the triangles."""


@dataclass(frozen=True)
class Target:
    """Triangles (T, 3, 3), near ones next to each other, and the tree of their boxes (N, 2, 3)."""

    triangles: NDArray[np.float64]
    boxes: NDArray[np.float64]

    @classmethod
    def of(cls, triangles: NDArray[np.float64]) -> Target:
        """Return the surface of at least one triangle (F, 3, 3)."""
        ordered = triangles[np.argsort(_along_a_curve(triangles.mean(axis=1)), kind="stable")]
        leaves = 1 << max(0, int(np.ceil(np.log2(len(ordered) / LEAF))))
        # the last one again and again, so that every leaf holds as many
        index = np.minimum(np.arange(leaves * LEAF), len(ordered) - 1)
        ordered = ordered[index]
        corners = ordered.reshape(leaves, -1, 3)
        levels = [np.stack([corners.min(axis=1), corners.max(axis=1)], axis=1)]
        while len(levels[0]) > 1:
            pairs = levels[0].reshape(-1, 2, 2, 3)
            union = [pairs[:, :, 0].min(axis=1), pairs[:, :, 1].max(axis=1)]
            levels.insert(0, np.stack(union, axis=1))
        return cls(ordered, np.concatenate(levels))

    def leaves_out(
        self, triangles: NDArray[np.float64], reach: float, *, threads: int = 0
    ) -> NDArray[np.bool_]:
        """Return which of the triangles (A, 3, 3) are not known to lie within `reach`, (A,).

        One that is not marked lies within `reach` with every point of it. One that is marked leaves
        it, or comes within 10 % of doing so.
        """
        outside = np.zeros(len(triangles), np.bool_)
        parallel.run(
            nearness.mark_outside, len(triangles), np.ascontiguousarray(triangles), float(reach),
            self.triangles, self.boxes, outside, threads=threads, chunks_per_thread=64,
        )  # fmt: skip
        return outside


def _along_a_curve(points: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Return each point's place along the Z-order curve of the points' box, (P,)."""
    low, size = points.min(axis=0), float(np.ptp(points, axis=0).max())
    cells = ((points - low) / (size or 1.0) * (2**BITS - 1)).astype(np.uint64)
    place = np.zeros(len(points), np.uint64)
    for bit in range(BITS):
        for axis in range(3):
            one = cells[:, axis] >> np.uint64(bit) & np.uint64(1)
            place |= one << np.uint64(3 * bit + axis)
    return place
