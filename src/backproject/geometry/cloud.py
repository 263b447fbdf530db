"""A point cloud that remembers who saw each point."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backproject.errors import InputError
from backproject.geometry.colors import Colors, as_bytes, checked_colors
from backproject.geometry.transform import Similarity

UNKNOWN_VIEW = -1
"""The view index of points of which it is not known who saw them."""


@dataclass(frozen=True)
class PointCloud:
    """P points: `points` (P, 3) float64 in scene units, `normals` (P, 3) unit or nan where unknown,
    `view_index` (P,) int32, -1 where unknown; `colors` (P, 3) uint8, red, green and blue, or None.
    """

    points: NDArray[np.float64]
    normals: NDArray[np.float64]
    view_index: NDArray[np.int32]
    colors: Colors | None = None

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
        if self.colors is not None:
            colors = checked_colors(self.colors, (count,), "point cloud colors")
            object.__setattr__(self, "colors", colors)

    def __len__(self) -> int:
        return len(self.points)

    def save(self, path: str | PathLike[str]) -> None:
        """Write a .ply file with normals, view index and colours; see `io.clouds`."""
        from backproject.io.clouds import write_cloud

        write_cloud(self, path)

    @classmethod
    def from_trimesh(cls, cloud: Any) -> PointCloud:
        """Return the points of a `trimesh.PointCloud`, with colours if it has them, and without
        normals and views.

        Raises:
            InputError: another type.

        """
        if not hasattr(cloud, "vertices") or hasattr(cloud, "faces"):
            raise InputError(f"cloud: got {type(cloud).__name__}, expected a trimesh.PointCloud")
        colors = np.asarray(getattr(cloud, "colors", ()))
        told = colors.ndim == 2 and colors.dtype == np.uint8 and len(colors) == len(cloud.vertices)
        return cls._of_strangers(cloud.vertices, None, colors[:, :3] if told else None)

    def to_trimesh(self) -> Any:
        """Return a `trimesh.PointCloud`, which holds the points and their colours alone."""
        import trimesh

        make: Any = trimesh.PointCloud  # which tells no types
        return make(self.points.copy(), colors=self.colors)

    @classmethod
    def from_open3d(cls, cloud: Any) -> PointCloud:
        """Return the points of an `open3d.geometry.PointCloud`, or of Open3D's tensor one, with
        normals and colours if it has them, and without views.

        Raises:
            InputError: another type.

        """
        if hasattr(cloud, "to_legacy"):
            cloud = cloud.to_legacy()
        if not hasattr(cloud, "points") or not hasattr(cloud, "normals"):
            raise InputError(f"cloud: got {type(cloud).__name__}, expected an Open3D PointCloud")
        normals = cloud.normals if cloud.has_normals() else None
        colors = as_bytes(255 * np.asarray(cloud.colors)) if cloud.has_colors() else None
        return cls._of_strangers(cloud.points, normals, colors)

    def to_open3d(self) -> Any:
        """Return an `open3d.geometry.PointCloud` with the same points and colours, and normals if
        all are known; views are lost, which it cannot hold.
        """
        import open3d

        cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(self.points))
        if np.isfinite(self.normals).all():
            cloud.normals = open3d.utility.Vector3dVector(self.normals)
        if self.colors is not None:
            cloud.colors = open3d.utility.Vector3dVector(self.colors / 255)
        return cloud

    @classmethod
    def _of_strangers(cls, points: Any, normals: Any | None, colors: Colors | None) -> PointCloud:
        """Return a cloud of which nobody said who saw it."""
        points = np.array(points, np.float64).reshape(-1, 3)
        bad = int((~np.isfinite(points).all(axis=1)).sum())
        if bad:
            raise InputError(f"cloud: {bad} of {len(points)} points hold nan or infinite numbers")
        unknown = np.full(points.shape, np.nan)
        normals = unknown if normals is None else np.array(normals, np.float64)
        return cls(points, normals, np.full(len(points), UNKNOWN_VIEW, np.int32), colors)

    def subset(self, chosen: ArrayLike) -> PointCloud:
        """Return some of the points, by index (K,) or mask (P,)."""
        chosen = np.asarray(chosen)
        if chosen.size == 0:
            chosen = chosen.astype(np.intp)  # an empty list comes as floats
        return PointCloud(
            self.points[chosen],
            self.normals[chosen],
            self.view_index[chosen],
            None if self.colors is None else self.colors[chosen],
        )

    def transformed(self, new_from_old: Similarity) -> PointCloud:
        """Return the cloud in another frame."""
        return PointCloud(
            new_from_old.apply(self.points),
            new_from_old.apply_to_directions(self.normals),
            self.view_index,
            self.colors,
        )
