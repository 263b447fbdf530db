"""Point cloud files: PLY with normals, the view that saw each point, and colours."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backproject.errors import FileMissingError, FormatError
from backproject.geometry.cloud import UNKNOWN_VIEW, PointCloud
from backproject.io.atomic import atomic_file
from backproject.io.ply import color_columns, colors_of, columns_of, read_ply, write_ply


def read_cloud(path: str | PathLike[str]) -> PointCloud:
    """Return the cloud of a .ply file.

    Normals are nan where the file has none, `view_index` is -1 where it does not say, `colors` are
    None where it has none.

    Raises:
        FileMissingError: no such file.
        FormatError: not a whole PLY file, no x, y, z, or points that are not finite.

    """
    path = _as_ply(path)
    if not path.is_file():
        raise FileMissingError(f"{path}: no such file, expected a point cloud")
    try:
        vertex = read_ply(path).get("vertex", {})
        points = columns_of(vertex, "xyz")
        if points is None:
            raise ValueError("points without x, y and z")
        bad = int((~np.isfinite(points).all(axis=1)).sum())
        if bad:
            raise ValueError(f"{bad} of {len(points)} points hold nan or infinite numbers")
    except ValueError as error:
        raise FormatError(
            f"{path}: cannot be read as PLY: {error}; expected a whole point cloud: export it again"
        ) from error
    normals = columns_of(vertex, ("nx", "ny", "nz"))
    if normals is None:
        normals = np.full_like(points, np.nan)
    view_index = _view_index(vertex.get("view_index"), len(points))
    return PointCloud(points, normals, view_index, colors_of(vertex))


def _view_index(column: object, count: int) -> NDArray[np.int32]:
    if not isinstance(column, np.ndarray):
        return np.full(count, UNKNOWN_VIEW, np.int32)
    return column.astype(np.int32)


def write_cloud(cloud: PointCloud, path: str | PathLike[str]) -> None:
    """Write a binary .ply file, whole or not at all.

    Its properties are x y z nx ny nz (double), view_index (int) and, if there are colours, red
    green blue (uchar): reading gives the same numbers.

    Raises:
        FormatError: another suffix.
        OutputError: a place that cannot be written.

    """
    path = _as_ply(path)
    names = ("x", "y", "z", "nx", "ny", "nz")
    columns = dict(zip(names, (*cloud.points.T, *cloud.normals.T), strict=True))
    colors = color_columns(cloud.colors)
    with atomic_file(path) as beside:
        write_ply(beside, {**columns, "view_index": cloud.view_index, **colors})


def _as_ply(path: str | PathLike[str]) -> Path:
    path = Path(path)
    if path.suffix.lower() != ".ply":
        raise FormatError(f"{path}: suffix `{path.suffix}` is no point cloud's here, expected .ply")
    return path
