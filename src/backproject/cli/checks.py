"""What can be known to fail before any work is done."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from backproject.errors import FormatError, InputError, OutputError
from backproject.geometry.rig import Rig, RigSettings
from backproject.io.atomic import atomic_file, atomic_folder
from backproject.report.viewer import check_rerun

RENDER_BYTES = 13
"""Memory for a pixel of a depth map while it is rendered: the map, its scaled copy and colours."""
ROUNDTRIP_BYTES = 104
"""And for the round trip: slopes, the cloud, the fusion's samples and where depth has edges."""
SAMPLE_BYTES = 400
"""Memory for a sample of a comparison."""
FUSION_BYTES = 3000
"""Memory of the fusion over the resolution squared: a ball's; a slim shape takes a third."""
MOST_THREADS = 1024
UNIT_RADIUS = 0.5
"""The radius of the sphere that holds the object, in its diameters."""


def check_between(option: str, value: float, low: float, high: float, what: str) -> None:
    """Refuse a value outside [low, high], or nan.

    Raises:
        InputError: it is outside.

    """
    if not low <= value <= high:
        raise InputError(f"{option}: got {value}, expected {what}")


def check_resolution(resolution: int) -> None:
    """Refuse a resolution that is too low to hold a shape, or too high for this machine.

    Raises:
        InputError: it is.

    """
    check_between("--resolution", resolution, 8, np.inf, "at least 8 voxels")
    blocks = (resolution / 8) ** 3
    check_memory(FUSION_BYTES * resolution**2 + 4 * blocks, f"--resolution {resolution}")


def check_memory(needed: float, cause: str) -> None:
    """Refuse what this machine cannot hold, before the system kills the process for it.

    Raises:
        InputError: it takes more memory than there is.

    """
    there = physical_memory()
    if there is not None and needed > there:
        raise InputError(
            f"{cause}: takes about {needed / 1e9:,.0f} GB of memory, expected no more than"
            f" the {there / 1e9:,.0f} GB of this machine"
        )


def physical_memory() -> int | None:
    """Return this machine's memory in bytes, or None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def check_file_place(path: Path, *, keep: tuple[Path, ...] = ()) -> None:
    """Refuse a file that could not be written, or that is one of the input files in `keep`.

    Raises:
        OutputError: it could not, or it is.

    """
    for source in keep:
        if path.resolve() == source.resolve():
            raise OutputError(f"{path}: is part of the input, expected another file to write to")
    with _undone(path), atomic_file(path) as beside:
        beside.touch()
        raise _Enough


def check_folder_place(path: Path, replaceable: Callable[[Path], bool], *, source: Path) -> None:
    """Refuse a folder that could not be written, or whose replacement would delete `source`.

    Raises:
        OutputError: it could not, or it would.

    """
    if path.is_dir() and source.resolve().is_relative_to(path.resolve()):
        raise OutputError(
            f"{path}: holds the input {source}, and would be replaced; choose another folder"
        )
    with _undone(path), atomic_folder(path, replaceable=replaceable):
        raise _Enough


class _Enough(Exception):  # noqa: N818  (no error: it ends a rehearsal)
    """The place can be written: undo it."""


@contextmanager
def _undone(path: Path) -> Iterator[None]:
    """Rehearse writing to `path`; remove the parent folders that were made for it."""
    parents = path.absolute().parents
    nearest = next(parent for parent in parents if parent.exists())
    if not nearest.is_dir():
        raise OutputError(f"{path}: {nearest} is a file, expected a folder to write in")
    made = [parent for parent in parents if not parent.exists()]
    try:
        with suppress(_Enough):
            yield
    finally:
        for parent in made:
            with suppress(OSError):
                parent.rmdir()


def check_viewer(cause: str, *, on_screen: bool = True) -> None:
    """Refuse what needs a viewer where there is none, or no screen to open it on.

    Raises:
        BackprojectError: there is none.

    """
    check_rerun(cause)
    told = {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys()
    if on_screen and sys.platform == "linux" and not told:
        raise OutputError(
            f"{cause}: no screen (neither DISPLAY nor WAYLAND_DISPLAY is set), expected one for the"
            " viewer; `backproject view CAPTURE --save FILE.rrd` needs none"
        )


def build_rig(cameras: RigSettings, *, pixel_bytes: int) -> Rig:
    """Return the rig, if its depth maps fit into memory at `pixel_bytes` each pixel.

    Raises:
        BackprojectError: they do not, or the settings make no rig.

    """
    if Path(cameras.rig).is_dir():
        raise FormatError(f"{cameras.rig}: is a folder, expected a rig's name or a camera list")
    told = cameras.rig.partition(":")[2][:12]
    if told.isdecimal():  # before building: each camera takes time too
        _check_pixels(int(told), cameras.size, pixel_bytes)
    rig = cameras.build()
    _check_pixels(len(rig), cameras.size, pixel_bytes)
    return rig


def _check_pixels(views: int, size: int, pixel_bytes: int) -> None:
    cause = f"{views:,} depth maps of {size} x {size} pixels (--rig, --size)"
    check_memory(views * max(size, 0) ** 2 * pixel_bytes, cause)


def doubt_about(rig: Rig) -> str | None:
    """Return what a user should know of a rig that cannot see all of the object, if so."""
    nearest = float(np.linalg.norm(rig.centers_world, axis=1).min())
    if nearest <= UNIT_RADIUS:
        return (
            f"--distance {nearest:g}: cameras stand inside the sphere that holds the object, whose"
            f" radius is {UNIT_RADIUS:g} of its diameters: they do not see what is behind them"
        )
    half_image = np.array([rig.width, rig.height]) / 2
    if rig.orthographic.any():
        across = 2 * float((half_image / rig.intrinsics[0, (0, 1), (0, 1)]).min())
        if across >= 2 * UNIT_RADIUS:
            return None
        return (
            f"--orthographic {across:g}: the sphere that holds the object is {2 * UNIT_RADIUS:g}"
            " high: parts of the object may lie outside the images"
        )
    half_angle = np.arctan(half_image / rig.intrinsics[:, (0, 1), (0, 1)].max(axis=0)).min()
    needed = np.arcsin(UNIT_RADIUS / nearest)
    if half_angle < needed:
        return (
            f"--fov {np.degrees(2 * half_angle):.3g}: at --distance {nearest:.3g} the sphere that"
            f" holds the object fills {np.degrees(2 * needed):.3g} degrees: parts of the object"
            " may lie outside the images"
        )
    return None
