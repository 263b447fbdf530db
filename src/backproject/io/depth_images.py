"""One depth map in one file: which formats there are, and what their numbers mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backproject.errors import FileMissingError, FormatError, InputError
from backproject.io.atomic import atomic_file
from backproject.io.depth_exr import read_exr, write_exr
from backproject.io.depth_jpg import read_jpg
from backproject.io.depth_npy import read_npy, write_npy
from backproject.io.depth_npz import read_npz
from backproject.io.depth_pfm import read_pfm
from backproject.io.depth_png import read_png, write_png
from backproject.io.depth_tiff import read_tiff
from backproject.io.depth_txt import read_txt

Stored = NDArray[Any]
"""The numbers as a file holds them, (H, W), integers or floats."""


@dataclass(frozen=True)
class DepthFormat:
    """A file format: `read` gives the stored numbers; `write` takes them as `stored_dtype`, if the
    format can be written.
    """

    name: str
    stored_dtype: np.dtype[Any]
    read: Callable[[Path], Stored]
    write: Callable[[Stored, Path], None] | None = None

    @property
    def holds_floats(self) -> bool:
        """Whether inf and nan can be stored as themselves."""
        return self.stored_dtype.kind == "f"


_FLOATS, _BYTES, _WORDS = np.dtype(np.float32), np.dtype(np.uint8), np.dtype(np.uint16)
DEPTH_FORMATS: Mapping[str, DepthFormat] = MappingProxyType(
    {
        ".npy": DepthFormat("NumPy array", _FLOATS, read_npy, write_npy),
        ".png": DepthFormat("grey PNG", _WORDS, read_png, write_png),
        ".exr": DepthFormat("OpenEXR", _FLOATS, read_exr, write_exr),
        ".npz": DepthFormat("NumPy archive", _FLOATS, read_npz),
        ".tif": DepthFormat("TIFF", _FLOATS, read_tiff),
        ".tiff": DepthFormat("TIFF", _FLOATS, read_tiff),
        ".pfm": DepthFormat("PFM", _FLOATS, read_pfm),
        ".txt": DepthFormat("text, a row a line", np.dtype(np.float64), read_txt),
        ".jpg": DepthFormat("grey JPEG", _BYTES, read_jpg),
        ".jpeg": DepthFormat("grey JPEG", _BYTES, read_jpg),
    }
)
"""The formats by suffix, lower case."""

WRITABLE_FORMATS: Mapping[str, DepthFormat] = MappingProxyType(
    {suffix: format for suffix, format in DEPTH_FORMATS.items() if format.write}
)
"""Those that can be written."""


@dataclass(frozen=True)
class DepthCode:
    """What stored numbers mean: depth is `base` plus `scale` times the number, but for two special
    numbers. A `scale` below 0 has white near.

    `empty` stands for inf (the ray hits nothing), `not_measured` for nan: one number or several, of
    which the first is written. Files in the world at large write 0 for both. Reading that 0 as nan
    is the safe way: taking a sensor's hole for empty would carve through the object, taking
    background for a hole only loses knowledge.
    """

    scale: float = 1.0
    empty: float | None = None
    not_measured: float | tuple[float, ...] | None = 0
    base: float = 0.0
    tolerance: float = 0.0
    """How far from `empty` a number still stands for it: JPEG rings around a silhouette."""
    doubt: float = 0.0
    """How far from `empty` a number may still stand for it: beyond `tolerance` it is not measured.
    """

    def __post_init__(self) -> None:
        if not (np.isfinite(self.scale) and self.scale != 0):
            raise InputError(f"scale of depth: got {self.scale}, expected a number, not 0")
        if self.scale < 0 and not self.base > 0:
            raise InputError(f"scale of depth: got {self.scale}, expected a number above 0")

    @classmethod
    def for_integers(cls, farthest: float) -> DepthCode:
        """Return the code that spreads 1 to 65534 over depths up to `farthest`.

        0 is empty and 65535 not measured. Depth is rounded to a multiple of the scale, which is
        `farthest / 65534`: an error of half of that (1.5e-5 at a farthest depth of 2).
        """
        return cls(float(farthest) / _LAST, empty=0, not_measured=_LAST + 1)

    def between(self, near: float, far: float, levels: float, *, inverted: bool) -> DepthCode:
        """Return the code with the same special numbers that spreads 0 to `levels` from `near` to
        `far`, or from far to near if `inverted`.
        """
        step = (far - near) / levels
        scale, base = (-step, far) if inverted else (step, near)
        return replace(self, scale=scale, base=base)

    def told(self) -> str:
        """Return the code in words."""
        number = "the stored number" if self.scale == 1 else f"{self.scale:g} x the stored number"
        return f"{self.base:g} + {number}" if self.base else number

    def decode(self, stored: Stored) -> NDArray[np.float32]:
        """Return depth of stored numbers, float32; exactly the numbers if the scale is 1."""
        # float64 beyond float32's range becomes inf, and is further than anything measured; the
        # nan of damaged files may be a signalling one.
        with np.errstate(over="ignore", invalid="ignore"):
            depth = stored.astype(np.float32)
            if self.scale != 1 or self.base:
                depth = (stored * np.float64(self.scale) + self.base).astype(np.float32)
            if self.not_measured is not None:
                depth[np.isin(stored, self.not_measured)] = np.nan
            if self.empty is not None:
                empty = stored == self.empty
                if self.tolerance or self.doubt:
                    off = np.abs(stored - np.float64(self.empty))
                    empty = off <= self.tolerance
                    depth[off <= self.doubt] = np.nan
                depth[empty] = np.inf
        return depth

    def encode(self, depth: NDArray[np.float32], dtype: np.dtype[Any]) -> Stored:
        """Return the numbers to store as `dtype`."""
        if dtype.kind == "f":
            plain = self.scale == 1 and not self.base
            return depth if plain else ((depth - self.base) / np.float64(self.scale)).astype(dtype)
        finite = np.isfinite(depth)
        steps = np.rint(np.where(finite, depth, 0) / np.float64(self.scale))
        # A surface nearer than half a step stays a surface: 0 would make it empty.
        stored = np.clip(steps, 1, _LAST)
        stored[np.isposinf(depth)] = self.empty
        hole = self.not_measured
        stored[np.isnan(depth)] = hole[0] if isinstance(hole, tuple) else hole
        return stored.astype(dtype)


_LAST = 65534
"""The largest 16-bit number that stands for a depth."""


def read_depth_image(
    path: str | PathLike[str], code: DepthCode | None = None
) -> NDArray[np.float32]:
    """Return the depth map of a file of any of `DEPTH_FORMATS`, (H, W) planar z.

    Finite above 0 is a surface, inf a ray that hits nothing, nan not measured. `code` says what
    the stored numbers mean; by default they are scene units, and 0 is not measured.

    Raises:
        FileMissingError: no such file.
        FormatError: an unknown suffix, content that is not whole or not one depth map, numbers
            below 0.

    """
    path = Path(path)
    depth = (code or DepthCode()).decode(read_stored(path))
    negative = int((depth <= 0).sum())
    if negative:
        raise FormatError(
            f"{path}: {negative} pixels have depth {np.nanmin(depth):g} or so,"
            " expected depth above 0 along the optical axis"
        )
    return depth


def read_stored(path: Path) -> Stored:
    """Return the numbers of a depth image as its file holds them, (H, W), integers or floats.

    Raises:
        FileMissingError: no such file.
        FormatError: an unknown suffix, or content that is not whole or not one depth map.

    """
    format = depth_format(path)
    if not path.is_file():
        raise FileMissingError(f"{path}: no such file, expected a depth map")
    try:
        return format.read(path)
    # Not only ValueError: on damaged files the libraries raise whatever they run into.
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise FormatError(
            f"{path}: cannot be read as {format.name}: {reason}; expected one whole depth map"
        ) from error


def write_depth_image(
    depth: ArrayLike, path: str | PathLike[str], code: DepthCode | None = None
) -> None:
    """Write a depth map (H, W) by suffix: .npy and .exr hold float32 exactly, .png 16-bit integers.

    A .png needs a `code` (`DepthCode.for_integers`), which its reader must be given again.

    Raises:
        FormatError: an unknown suffix.
        InputError: not (H, W), or a .png without a code for inf and nan.
        OutputError: a place that cannot be written.

    """
    path = Path(path)
    format = depth_format(path, WRITABLE_FORMATS)
    depth = np.asarray(depth, np.float32)
    if depth.ndim != 2 or depth.size == 0:
        raise InputError(f"depth map for {path}: got shape {depth.shape}, expected (H, W)")
    code = code or DepthCode()
    if not format.holds_floats and None in (code.empty, code.not_measured):
        raise InputError(
            f"depth map for {path}: integers need a code for inf and nan,"
            " expected DepthCode.for_integers(farthest depth)"
        )
    assert format.write is not None
    with atomic_file(path) as beside:
        format.write(code.encode(depth, format.stored_dtype), beside)


def depth_format(path: Path, formats: Mapping[str, DepthFormat] = DEPTH_FORMATS) -> DepthFormat:
    """Return the format of a file name, one of `formats`.

    Raises:
        FormatError: an unknown suffix.

    """
    format = formats.get(path.suffix.lower())
    if format is None:
        raise FormatError(
            f"{path}: suffix `{path.suffix}` is no depth map's here,"
            f" expected one of {' '.join(formats)}"
        )
    return format
