"""Intrinsics from files of their own: `fx fy cx cy`, a matrix as text, or Open3D's JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproject.errors import FormatError, InputError
from backproject.geometry.rig import Rig, intrinsics_from_extent, intrinsics_from_fov
from backproject.geometry.views import Assumption
from backproject.io.sources.folders import floats, read_json, read_rows
from backproject.io.sources.source import Asked

Size = tuple[int, int]
"""Width and height in pixels."""
KINECT: Size = (640, 480)


def asked_intrinsics(
    asked: Asked, size: Size, pixel_center: float
) -> tuple[NDArray[np.float64], Assumption] | None:
    """Return the intrinsics (3, 3) that the user gives for images of a size, or None.

    They count from where the source's do, `pixel_center`, unless the user says otherwise.

    Raises:
        FileMissingError, FormatError: a camera file that cannot be read.

    """
    if asked.camera_file is not None:
        return told_intrinsics(read_intrinsics(asked.camera_file, size), "--camera-file says so")
    if asked.orthographic is not None:
        matrix, option = intrinsics_from_extent(*size, extent=asked.orthographic), "--orthographic"
    elif asked.fov is not None:
        matrix, option = intrinsics_from_fov(*size, fov_deg=asked.fov), "--fov"
    else:
        return None
    matrix[:2, 2] -= 0.5 - (pixel_center if asked.pixel_center is None else asked.pixel_center)
    return told_intrinsics(matrix, f"{option} says so")


def told_intrinsics(
    matrix: NDArray[np.float64], because: str
) -> tuple[NDArray[np.float64], Assumption]:
    """Return a matrix and what to tell of it."""
    numbers = matrix[(0, 1, 0, 1), (0, 1, 2, 2)]
    taken = "fx fy cx cy " + " ".join(f"{number:g}" for number in numbers)
    return matrix, Assumption("intrinsics", taken, because)


def pinhole(fx: float, fy: float, cx: float, cy: float) -> NDArray[np.float64]:
    """Return intrinsics (3, 3)."""
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], np.float64)


def default_intrinsics(
    matrix: NDArray[np.float64], size: Size, because: str, folder: Path
) -> tuple[NDArray[np.float64], Assumption]:
    """Return the intrinsics of a known camera of 640 x 480 pixels.

    Raises:
        FormatError: the images have another size.

    """
    if size != KINECT:
        raise no_intrinsics(folder, f"{_told(size)} pixels, where {because} is for {_told(KINECT)}")
    return told_intrinsics(matrix, because)


def no_intrinsics(folder: Path, found: str) -> FormatError:
    """Return what to raise where nothing says what the camera is."""
    return FormatError(
        f"{folder}: {found}; expected intrinsics: name a file with `fx fy cx cy`, a 3 x 3 matrix or"
        " Open3D's JSON by --camera-file, or give --fov, or --orthographic"
    )


def read_intrinsics(file: Path, size: Size) -> NDArray[np.float64]:
    """Return the intrinsics (3, 3) in a file: Open3D's JSON, or as text four numbers `fx fy cx cy`,
    a 3 x 3 or a 4 x 4 matrix.

    Raises:
        FileMissingError: no such file.
        FormatError: other content, or for images of another size.

    """
    if file.suffix.lower() == ".json":
        matrix, said = open3d_intrinsics(read_json(file), file)
        check_size(said, size, file)
        return _checked(matrix, size, file)
    numbers = np.array([x for line, words in read_rows(file) for x in floats(words, file, line)])
    if len(numbers) not in (4, 9, 16):
        raise FormatError(
            f"{file}: {len(numbers)} numbers, expected `fx fy cx cy`, or a 3 x 3 or 4 x 4 matrix"
        )
    if len(numbers) == 4:
        return _checked(pinhole(*numbers), size, file)
    side = 3 if len(numbers) == 9 else 4
    return _checked(numbers.reshape(side, side)[:3, :3], size, file)


def check_size(said: Size, size: Size, file: Path) -> None:
    """Refuse intrinsics for images of another size.

    Raises:
        FormatError: they are.

    """
    if said != size:
        raise FormatError(
            f"{file}: a camera of {_told(said)} pixels, but the depth images have {_told(size)};"
            " expected the same size: were the images scaled?"
        )


def open3d_intrinsics(content: Any, file: Path) -> tuple[NDArray[np.float64], Size]:
    """Return intrinsics (3, 3) and image size of Open3D's JSON, which holds matrices by columns.

    Raises:
        FormatError: other content.

    """
    if not isinstance(content, Mapping):
        raise FormatError(f"{file}: no intrinsics, expected Open3D's PinholeCameraIntrinsic")
    width, height = (
        json_numbers([content.get(key)], 1, key, file)[0] for key in ("width", "height")
    )
    if not (1 <= width < 2**31 and 1 <= height < 2**31) or width % 1 or height % 1:
        raise FormatError(
            f"{file}: image size {width:g} x {height:g}, expected whole numbers from 1"
        )
    matrix = json_numbers(content.get("intrinsic_matrix"), 9, "intrinsic_matrix", file)
    return matrix.reshape(3, 3).T, (int(width), int(height))


def json_numbers(values: Any, count: int, name: str, file: Path) -> NDArray[np.float64]:
    """Return a list of numbers in JSON.

    Raises:
        FormatError: not so many numbers.

    """
    whole = isinstance(values, list) and len(values) == count
    if not whole or any(isinstance(v, bool) or not isinstance(v, int | float) for v in values):
        raise FormatError(
            f"{file}: `{name}` is {str(values)[:60]}, expected {count} number{'s'[: count > 1]}"
        )
    try:
        return np.array(values, np.float64)
    except OverflowError as error:
        raise FormatError(f"{file}: `{name}` holds a number beyond floats, {error}") from error


def _checked(matrix: NDArray[np.float64], size: Size, file: Path) -> NDArray[np.float64]:
    """Return a matrix that can be a camera's, or name the file it is from."""
    try:
        Rig(matrix, np.eye(4)[None], *size)
    except InputError as error:
        raise FormatError(f"{file}: {error}") from error
    return matrix


def _told(size: Size) -> str:
    return f"{size[0]} x {size[1]}"
