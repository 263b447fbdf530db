"""Depth maps as OpenEXR: one channel of floats, named Z by its convention."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproject.io.depth_checks import check_size

_DEPTH_WORDS = ("depth", "z", "zdepth", "distance")
"""Layers and channels by whose name renderers mean depth: `ViewLayer.Depth.Z`, `Z`, `Depth.V`."""
_GREY = ("v", "y")
"""The channel of a grey image."""
_COLOUR = ("r", "g", "b")


def read_exr(path: Path) -> NDArray[Any]:
    """Return the depth of a file, (H, W); 16-bit floats stay as coarse.

    It is the only channel; or those whose name or layer says depth; or a grey one; or red, green
    and blue of one layer. Several such channels must be equal, as they are where a grey image was
    stored as colour.

    Raises:
        ValueError, RuntimeError: not such an image, one that is not whole, or no channel or several
            different ones that may be depth.

    """
    import OpenEXR

    with redirect_stdout(StringIO()):  # it prints about damaged files before it raises
        for part in OpenEXR.File(str(path), separate_channels=True, header_only=True).parts:
            _check_header(part.header)
        parts = OpenEXR.File(str(path), separate_channels=True).parts
    channels = {
        ".".join(filter(None, (_part_name(part, len(parts)), name))): channel.pixels
        for part in parts
        for name, channel in part.channels.items()
    }
    chosen = depth_channels(channels)
    first = channels[chosen[0]]
    if not chosen or not all(np.array_equal(first, channels[n], equal_nan=True) for n in chosen):
        raise ValueError(
            f"channels {' '.join(channels)}: {' '.join(chosen)} may be depth and differ,"
            " expected one, or one named Z"
        )
    return np.array(first)


def depth_channels(names: Iterable[str]) -> list[str]:
    """Return the channels that are likely to hold depth, the most likely kind of those there are.

    Raises:
        ValueError: none is.

    """
    names = list(names)
    if len(names) == 1:
        return names
    for kind in (_says_depth, _is_grey):
        found = [name for name in names if kind(name, names)]
        if found:
            return found
    colour = [name for name in names if _last(name) in _COLOUR]
    if len(colour) == len(_COLOUR) == len({_last(name) for name in colour}):
        return colour
    raise ValueError(f"channels {' '.join(names)}, expected one, or one named Z")


def _says_depth(name: str, names: list[str]) -> bool:
    *layers, channel = name.lower().split(".")
    if channel == "a":
        return False
    if channel == "z" and _beside(name, "x", names):
        return False  # of a vector: normals, positions
    return channel in _DEPTH_WORDS or any(layer in _DEPTH_WORDS for layer in layers)


def _is_grey(name: str, names: list[str]) -> bool:
    return _last(name) in _GREY and not _beside(name, "x", names)


def _beside(name: str, channel: str, names: list[str]) -> bool:
    """Tell whether the layer of `name` has another channel."""
    layer = name.lower().split(".")[:-1]
    return any(other.lower().split(".") == [*layer, channel] for other in names)


def _last(name: str) -> str:
    return name.lower().split(".")[-1]


def _part_name(part: Any, count: int) -> str:
    """Return the part's name where there are several, which may each have a Z."""
    return str(part.name() or "") if count > 1 else ""


def _check_header(header: Mapping[str, Any]) -> None:
    (left, top), (right, bottom) = (corner.tolist() for corner in header["dataWindow"])
    check_size(right - left + 1, bottom - top + 1, len(header["channels"]))
    if not np.array_equal(header["dataWindow"], header["displayWindow"]):
        raise ValueError(
            f"pixels of a window, columns {left} to {right} and rows {top} to {bottom},"
            " expected those of the whole image: store it uncropped"
        )


def write_exr(stored: NDArray[Any], path: Path) -> None:
    """Write float32 numbers as channel Z, losslessly compressed."""
    import OpenEXR

    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, {"Z": np.ascontiguousarray(stored)}).write(str(path))
