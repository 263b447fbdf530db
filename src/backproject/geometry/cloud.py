"""A point cloud that remembers who saw each point."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backproject.errors import InputError
from backproject.geometry.transform import Similarity


@dataclass(frozen=True)
class PointCloud:
    """P points: `points` (P, 3) float64 in scene units, `normals` (P, 3) unit or nan where unknown,
    `view_index` (P,) int32.
    """

    points: NDArray[np.float64]
    normals: NDArray[np.float64]
    view_index: NDArray[np.int32]

    def __post_init__(self) -> None:
        points = np.ascontiguousarray(self.points, np.float64)
        normals = np.ascontiguousarray(self.normals, np.float64)
        view_index = np.ascontiguousarray(self.view_index, np.int32)
        count = len(points)
        if points.shape != (count, 3) or normals.shape != (count, 3) or len(view_index) != count:
            raise InputError(
                f"point cloud: got points {points.shape}, normals {normals.shape}, view_index"
                f" {view_index.shape}, expected (P, 3), (P, 3), (P,)"
            )
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "normals", normals)
        object.__setattr__(self, "view_index", view_index)

    def __len__(self) -> int:
        return len(self.points)

    def save(self, path: str | PathLike[str]) -> None:
        """Write a .ply file with normals and view index; see `io.clouds`."""
        from backproject.io.clouds import write_cloud

        write_cloud(self, path)

    def subset(self, chosen: ArrayLike) -> PointCloud:
        """Return some of the points, by index or mask."""
        chosen = np.asarray(chosen)
        if chosen.size == 0:
            chosen = chosen.astype(np.intp)  # an empty list comes as floats
        return PointCloud(self.points[chosen], self.normals[chosen], self.view_index[chosen])

    def transformed(self, new_from_old: Similarity) -> PointCloud:
        """Return the cloud in another frame."""
        return PointCloud(
            new_from_old.apply(self.points),
            new_from_old.apply_to_directions(self.normals),
            self.view_index,
        )
