"""Which colour images belong to which depth images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from backproject.errors import FileMissingError, FormatError
from backproject.geometry.colors import Colors
from backproject.geometry.views import Assumption
from backproject.io.color_images import COLOR_SUFFIXES, is_file, read_color_images
from backproject.io.depth_images import Stored
from backproject.io.sources.names import by_name
from backproject.io.sources.order import natural_order
from backproject.io.sources.source import Asked, Found

Colored = tuple[Sequence[Colors] | None, list[Assumption]]
"""Colours of each view, or None, and what to tell."""


def colors_of(
    files: Sequence[Path],
    depth_files: Sequence[Path],
    stored: Sequence[Stored],
    asked: Asked,
    because: str,
) -> Colored:
    """Return the colours in files, one for each depth image; nothing if they are none, or among the
    depth images themselves, or not wanted.

    Raises:
        FormatError: a file that is there, and cannot be read.

    """
    if not asked.looks_for_color or not files or set(files) & set(depth_files):
        return None, []
    height, width = stored[0].shape
    return read_color_images(files, (width, height), because)


def is_inside(path: Path, folder: Path) -> bool:
    """Tell whether a path stays in a folder; a name that the system refuses does not."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):
        return False


def told_of_outside(files: Sequence[Path], folder: Path, asked: Asked) -> list[Assumption]:
    """Return what to tell if colours are not taken because a file lies outside a folder, and that
    was not asked for.
    """
    outside = [] if asked.allow_outside else [file for file in files if not is_inside(file, folder)]
    if not outside:
        return []
    count = f"{len(outside)} of {len(files)} images lie outside {folder.resolve().name}"
    named = repr(outside[0].name[:100]) + (", ..." if len(outside) > 1 else "")
    because = f"{count}: {named} (--allow-outside follows their paths all the same)"
    return [Assumption("colour", "none", because)]


def with_suffix(file: Path) -> Path:
    """Return the image that a path means, which may come without its suffix, as NeRF writes it."""
    if file.suffix.lower() in COLOR_SUFFIXES:
        return file
    named = (file.with_name(file.name + suffix) for suffix in COLOR_SUFFIXES)
    return next((each for each in named if is_file(each)), file)


def colors_beside(
    folder: Path,
    names: Sequence[str],
    found_files: Sequence[Path],
    stored: Sequence[Stored],
    asked: Asked,
    because: str,
) -> Colored:
    """Return the colours in the first of the folders `names` below a folder that is there: by the
    depth images' names, or in order if there are as many.

    Raises:
        FormatError: a file that cannot be read.

    """
    place = next((folder / name for name in names if (folder / name).is_dir()), None)
    if place is None or not asked.looks_for_color:
        return None, []
    files = _images(place, found_files)
    wanted = [file.name for file in found_files]
    pairs = by_name(wanted, files, place) if len(set(wanted)) == len(wanted) else {}
    if len(pairs) == len(found_files):
        files = [files[pairs[k]] for k in range(len(found_files))]
    elif len(files) != len(found_files):
        count = f"{len(files)} images in {place.name} for {len(found_files)} depth images"
        return None, [Assumption("colour", "none", count)]
    return colors_of(files, found_files, stored, asked, because)


def with_colors_of(folder: Path, found: Found) -> Found:
    """Return what a source holds with the colours of a folder, which the user says are its own: by
    the depth images' names, or in order if there are as many.

    Raises:
        FileMissingError: no such folder.
        FormatError: not an image for each depth image, of other proportions, or not to be read.

    """
    if not folder.is_dir():
        raise FileMissingError(f"{folder}: no such folder, expected colour images (--color-folder)")
    asked = Asked()
    colors, told = colors_beside(
        folder, ["."], found.files, found.stored, asked, "--color-folder says so"
    )
    if colors is None:
        reason = told[0].because if told else "the depth images themselves"
        raise FormatError(
            f"{folder}: {reason}; expected a colour image for each depth image, of the same"
            " proportions, by the same names or in the same order"
        )
    return replace(found, colors=colors, assumptions=[*found.assumptions, *told])


def _images(folder: Path, others: Sequence[Path]) -> list[Path]:
    """Return the images in a folder, in natural order, without those that hold the depth or are
    named so.
    """
    known = {file.resolve() for file in others}
    files = [
        file
        for file in folder.iterdir()
        if file.suffix.lower() in COLOR_SUFFIXES
        and "depth" not in file.name.lower()
        and file.resolve() not in known
        and file.is_file()
    ]
    return natural_order(files)[0]
