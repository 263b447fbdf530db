"""Depth maps as OpenEXR: one float channel, named Z by its convention."""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NAMES = ("Z", "Depth", "V", "Y")
"""Where renderers put depth, at the end of a name such as `ViewLayer.Depth.Z`."""


def read_exr(path: Path) -> NDArray[Any]:
    """Return the only channel, or the one with depth's name, (H, W); 16-bit floats stay as coarse.

    Raises:
        ValueError, RuntimeError: not such an image, or one that is not whole.

    """
    import OpenEXR

    with redirect_stdout(StringIO()):  # it prints about damaged files before it raises
        channels = OpenEXR.File(str(path), separate_channels=True).channels()
    name = _depth_channel(list(channels))
    return np.array(channels[name].pixels)


def _depth_channel(names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    for known in _NAMES:
        found = [name for name in names if name.split(".")[-1] == known]
        if len(found) == 1:
            return found[0]
    raise ValueError(f"channels {' '.join(names)}, expected one, or one named Z")


def write_exr(stored: NDArray[Any], path: Path) -> None:
    """Write float32 numbers as channel Z, losslessly compressed."""
    import OpenEXR

    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, {"Z": np.ascontiguousarray(stored)}).write(str(path))
