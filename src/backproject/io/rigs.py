"""Camera lists: text files with one `x y z` a line, as the paper's `camPosList.txt`."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backproject.errors import FileMissingError, FormatError, InputError
from backproject.io.atomic import atomic_file


def read_camera_list(path: str | PathLike[str]) -> NDArray[np.float64]:
    """Return the numbers of a camera list, (N, 3), in the order of its lines.

    Separated by spaces or commas; blank lines and what follows a `#` are passed over. Whether they
    are directions or positions is for the caller to know (`Rig.load`).

    Raises:
        FileMissingError: no such file.
        FormatError: a line that is not three finite numbers, the origin, or no line at all.

    """
    path = Path(path)
    if not path.is_file():
        raise FileMissingError(f"{path}: no such file, expected a camera list")
    rows = []
    for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), 1):
        words = line.partition("#")[0].replace(",", " ").split()
        if words:
            rows.append(_position(words, f"{path}, line {number}"))
    if not rows:
        raise FormatError(f"{path}: no camera in it, expected one `x y z` a line")
    return np.array(rows, np.float64)


def _position(words: list[str], where: str) -> list[float]:
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = []
    if len(numbers) != 3 or not np.isfinite(numbers).all() or not any(numbers):
        raise FormatError(
            f"{where}: got `{' '.join(words)[:60]}`, expected three finite numbers, not all 0"
        )
    return numbers


def write_camera_list(positions: ArrayLike, path: str | PathLike[str]) -> None:
    """Write positions or directions (N, 3), one a line, with 17 digits: reading gives them back.

    Raises:
        InputError: another shape.
        OutputError: a place that cannot be written.

    """
    positions = np.asarray(positions, np.float64)
    if positions.ndim != 2 or positions.shape[1] != 3 or len(positions) == 0:
        raise InputError(f"camera positions: got shape {positions.shape}, expected (N, 3)")
    with atomic_file(path) as beside:
        np.savetxt(beside, positions, fmt="%.17g")
