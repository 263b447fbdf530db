"""NumPy archives: several arrays by name, of which one may be a depth map."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from backproject.io.depth_checks import MOST_PIXELS, one_plane

_SUFFIX = ".npy"
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


@dataclass(frozen=True)
class Claim:
    """What an archive says of an array of its, before it is read."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def read_npz(path: Path) -> NDArray[Any]:
    """Return the only array of numbers (H, W), or the one named depth.

    Raises:
        ValueError, OSError, zipfile.BadZipFile: not such an archive, one that is not whole, or
            none or several such arrays; pickled objects are never opened.

    """
    there = claims(path)
    images = [n for n, c in there.items() if len(c.shape) >= 2 and c.dtype.kind in "fiu"]
    named = [n for n in images if n.lower() == "depth"]
    if len(named or images) != 1:
        raise ValueError(
            f"holds the arrays {' '.join(there) or '(none)'}, expected one image or one named depth"
        )
    return one_plane(read_array(path, (named or images)[0], most=MOST_PIXELS))


def claims(path: Path) -> Mapping[str, Claim]:
    """Return the shapes and types of an archive's arrays, by name, without reading the arrays.

    Raises:
        ValueError, OSError, zipfile.BadZipFile: not such an archive, or one that is not whole.

    """
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(_SUFFIX)]
        return {name.removesuffix(_SUFFIX): _claim(archive, name) for name in names}


def read_array(path: Path, name: str, *, most: int) -> NDArray[Any]:
    """Return an array of an archive, of at most `most` numbers.

    Raises:
        ValueError, OSError, zipfile.BadZipFile: none of that name, more numbers, an archive that is
            not whole, or Python objects, which are never unpickled.

    """
    with zipfile.ZipFile(path) as archive:
        claim = _claim(archive, name + _SUFFIX)
        count = math.prod(claim.shape)
        # The header is believed when memory is taken, so it must agree with the archive first.
        held = archive.getinfo(name + _SUFFIX).file_size
        if count > most or count * claim.dtype.itemsize > held:
            raise ValueError(
                f"`{name}` claims {' x '.join(map(str, claim.shape))} numbers in {held} bytes,"
                f" expected as many as there are and no more than {most}"
            )
        with archive.open(name + _SUFFIX) as member:
            array: NDArray[Any] = npy.read_array(member, allow_pickle=False)
            return array


def _claim(archive: zipfile.ZipFile, name: str) -> Claim:
    with archive.open(name) as member:
        version = npy.read_magic(member)
        if version not in _HEADERS:
            raise ValueError(f"`{name}` is of version {version}, expected 1.0 or 2.0")
        shape, _, dtype = _HEADERS[version](member)
    return Claim(shape, dtype)
