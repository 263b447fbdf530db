"""The solid: what no view sees through and what lies next to a sample, on a sparse grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backproject.fusion.evidence import Evidence, Samples
from backproject.kernels import blocks as kernel
from backproject.kernels import carving, nets, parallel
from backproject.progress import Progress

SHELL = np.sqrt(3) / 2
"""Half the thickness of the shell around the samples, in voxels.

A digital plane sqrt(3) voxels thick has no tunnels, whatever its direction ("standard" planes,
Andres, Acharya & Sibata 1997): a sheet without thickness becomes a closed slab. The slab's sides
are moved onto the samples afterwards, so it costs no accuracy.
"""
FINEST = 4
"""Voxels across a pixel's footprint, at most: below that there is nothing to resolve."""
CLEARANCE = 0.75
"""By how many voxels a view must see past a corner to carve it: what is thinner than the sampling
keeps its place.
"""

COVER = 1.2
"""Voxels between points whose balls of radius `SHELL` still cover the surface: sqrt(2) SHELL."""
FACES = np.array([(-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1)])


@dataclass
class Solid:
    """Corners of a grid, in blocks of 8 x 8 x 8 that are stored only near the surface.

    Corner (i, j, k) lies at `origin + voxel * (i, j, k)`. `table` (X, Y, Z) int32 holds for each
    block its row in `blocks` (B, 3) and `state` (B, 512) uint8, or OUTSIDE or INSIDE if it is not
    stored.
    """

    origin: NDArray[np.float64]
    voxel: float
    table: NDArray[np.int32]
    blocks: NDArray[np.int64]
    state: NDArray[np.uint8]

    @property
    def rows(self) -> NDArray[np.uint64]:
        """The states of eight corners each, (B, 64): what whole words are read from."""
        return self.state.view(np.uint64)

    def store(self, new: NDArray[np.int64], fill: NDArray[np.uint8]) -> None:
        """Store the blocks `new` (K, 3), each filled with one state (K,)."""
        self.table[tuple(new.T)] = np.arange(len(self.blocks), len(self.blocks) + len(new))
        self.blocks = np.concatenate([self.blocks, new])
        more = np.repeat(fill[:, None], kernel.SIDE**3, axis=1)
        self.state = np.concatenate([self.state, more])

    def store_as_is(self, new: NDArray[np.int64]) -> None:
        """Store the unstored blocks `new` (K, 3) as what they are: hidden or free throughout."""
        hidden = self.table[tuple(new.T)] == kernel.INSIDE
        self.store(new, np.where(hidden, kernel.HIDDEN, kernel.FREE).astype(np.uint8))


def carve(
    evidence: Evidence, samples: Samples, *, resolution: int, threads: int, progress: Progress
) -> Solid:
    """Return the solid around the samples, `resolution` voxels along the diameter of the scene.

    Space carving (Kutulakos & Seitz 2000) by the signed distance to every view's depth map: a
    corner that any view sees past is free. The shell around the samples stays solid whatever other
    views say, because sheets and wires thinner than a voxel would dissolve. Blocks are looked at
    from the samples outwards, wave by wave, and only where the surface goes on.
    """
    low, high, radius = kernel.extent(samples.points)
    diameter = 2 * radius
    # A point alone has no diameter, and voxels far below a pixel would fall between the samples.
    voxel = max(diameter / resolution, samples.footprint / FINEST)
    side = kernel.SIDE
    origin = low - voxel * (side + 3)
    shape = (np.ceil((high - origin) / voxel).astype(int) + 3 + side) // side + 2
    # Nothing is known of what lies beyond the samples' box: there the solid ends.
    box = (
        np.floor((low - origin) / voxel - SHELL).astype(np.int64),
        np.ceil((high - origin) / voxel + SHELL).astype(np.int64),
    )
    solid = Solid(
        origin,
        voxel,
        np.full(shape, kernel.UNKNOWN, np.int32),
        np.empty((0, 3), np.int64),
        np.empty((0, side**3), np.uint8),
    )
    field = (
        evidence.inverse_depth, evidence.tiles, evidence.cameras, evidence.steepest,
        origin, voxel, CLEARANCE * voxel, *box,
    )  # fmt: skip
    step = COVER * voxel
    # The samples of many views interleave, and what one sees at a grazing angle others do not.
    longest = step * float(np.sqrt(len(evidence.cameras)))
    surface = [points for points in (samples.points, samples.between(longest, step)) if len(points)]
    for points in surface:
        parallel.run(
            kernel.mark_blocks, len(points), points, origin, voxel, SHELL + 1.5, solid.table,
            threads=threads,
        )  # fmt: skip
    left = 2.0  # how many waves there will be is not known: each has half of what is left
    while True:
        left /= 2
        begin = len(solid.blocks)
        new = np.argwhere(solid.table == kernel.QUEUED)
        if len(new) == 0:
            break
        solid.store(new, np.full(len(new), kernel.OPEN, np.uint8))
        for points in surface if begin == 0 else []:
            parallel.run(
                kernel.splat, len(points), points, origin, voxel, SHELL, solid.table, solid.state,
                threads=threads,
            )  # fmt: skip
        fresh = solid.state[begin:]
        parallel.run(
            carving.carve, len(new), new, *field, fresh, threads=threads,
            on_chunk=_part_of(progress, 1 - left, 1 - left / 2),
        )  # fmt: skip
        beyond = np.empty((len(new), 6), np.int32)
        parallel.run(
            carving.look_beyond, len(new), new, *field, solid.table, fresh, beyond, threads=threads
        )
        _note_neighbours(solid.table, new, beyond)
    progress("carving", 1.0)
    _settle(solid.table)
    return solid


def make_well_composed(solid: Solid, *, threads: int) -> None:
    """Fill corners until no two solid ones touch only along a diagonal, and store all blocks that
    own a piece of surface.

    The boundary of a well-composed set is a 2-manifold (Latecki, Eckhardt & Rosenfeld 1995).
    """
    mended = nets.mending_table()
    while True:
        count = len(solid.blocks)
        flawed = np.empty(count, np.uint8)
        parallel.run(
            nets.find_flaws, count, solid.blocks, solid.table, solid.rows, mended, flawed,
            threads=threads,
        )  # fmt: skip
        wanted = np.empty((4096, 3), np.int64)
        missing = nets.mend(
            flawed, solid.blocks, solid.table, solid.rows, solid.state, mended, wanted
        )
        unstored = _beside_others(solid.table)
        homeless = np.empty(len(unstored), np.bool_)
        parallel.run(
            nets.find_homeless, len(unstored), unstored, solid.table, solid.rows, homeless,
            threads=threads,
        )  # fmt: skip
        need = np.concatenate([unstored[homeless], wanted[:missing]])
        if len(need) == 0:
            return
        solid.store_as_is(np.unique(need, axis=0))


def _beside_others(table: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the unstored blocks (K, 3) whose cells may reach into what differs from them."""
    low = high = np.minimum(table, 0)
    for axis in range(3):
        ahead = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
        here = tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))
        low, high = np.minimum(low[here], low[ahead]), np.maximum(high[here], high[ahead])
    inner = tuple(slice(None, -1) for _ in range(3))
    return np.argwhere((table[inner] < 0) & (low != high))


def _part_of(progress: Progress, begin: float, end: float) -> Callable[[float], None]:
    """Return a listener that passes on shares of a part of the work."""
    return lambda share: progress("carving", begin + share * (end - begin))


def _note_neighbours(
    table: NDArray[np.int32], blocks: NDArray[np.int64], beyond: NDArray[np.int32]
) -> None:
    """Write what `look_beyond` found into the table; one block that sees the surface go on
    outweighs others that do not.
    """
    for pass_over in (beyond != kernel.QUEUED, beyond == kernel.QUEUED):
        for face, step in enumerate(FACES):
            told = pass_over[:, face] & (beyond[:, face] != kernel.UNKNOWN)
            place = tuple((blocks[told] + step).T)
            table[place] = np.where(table[place] < 0, beyond[told, face], table[place])


def _settle(table: NDArray[np.int32]) -> None:
    """Give every block that nobody looked at the answer of the unstored region it lies in; far from
    all, outside.
    """
    from scipy import ndimage

    regions, count = ndimage.label(table < 0)
    numbers = np.arange(count + 1)
    inside = ndimage.maximum(table == kernel.INSIDE, regions, numbers).astype(bool)
    outside = ndimage.maximum(table == kernel.OUTSIDE, regions, numbers).astype(bool)
    answer = np.where(inside & ~outside, kernel.INSIDE, kernel.OUTSIDE)
    nobody = table == kernel.UNKNOWN
    table[nobody] = answer[regions[nobody]]
