"""Cameras of a list of positions, for images that look at the origin: camPosList.txt."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backproject.errors import FormatError, InputError
from backproject.geometry.rig import Rig
from backproject.geometry.views import Assumption
from backproject.io.rigs import read_camera_list
from backproject.io.sources.source import Asked, Cameras

_SUFFIXES = (".txt", ".csv", ".xyz")


def is_list(file: Path) -> bool:
    """Tell whether a file is a list of `x y z` lines, by its first one."""
    if file.suffix.lower() not in _SUFFIXES or not file.is_file():
        return False
    try:
        with file.open(encoding="utf-8", errors="replace") as stream:
            lines = (line.partition("#")[0].replace(",", " ").split() for line in stream)
            words = next((words for words in lines if words), [])
            return len([float(word) for word in words]) == 3
    except (OSError, ValueError):
        return False


def read(file: Path, asked: Asked, shape: tuple[int, int]) -> Cameras:
    """Return the cameras of a list of positions, for depth images (H, W).

    They look at the origin, upright along +y. With `asked.distance` the list holds directions.

    Raises:
        FileMissingError: no such file.
        FormatError: a line that is not three numbers.
        InputError: no field of view.

    """
    if asked.fov is None and asked.orthographic is None:
        raise InputError(
            f"{file}: camera positions say nothing of the lens, expected --fov, the vertical field"
            " of view in degrees, or --orthographic"
        )
    positions = read_camera_list(file)
    where = "as they are listed"
    if asked.distance is not None:
        positions = positions / np.linalg.norm(positions, axis=1, keepdims=True) * asked.distance
        where = f"{asked.distance:g} from the origin"
    height, width = shape
    try:
        fov, extent = asked.fov or 0.0, asked.orthographic
        rig = Rig.looking_at(positions, size=(width, height), fov_deg=fov, extent=extent)
    except InputError as error:
        raise FormatError(f"{file}: {error}") from error
    return Cameras(
        file=file,
        intrinsics=rig.intrinsics,
        poses=rig.world_from_camera,
        because="cameras made from positions",
        orthographic=rig.orthographic,
        assumptions=[
            Assumption("cameras", f"{where}, look at the origin, upright along +y", file.name),
            *([] if extent else [_told_fov(fov)]),
        ],
    )


def _told_fov(fov: float) -> Assumption:
    return Assumption("field of view", f"{fov:g} degrees, vertical", "--fov says so")
