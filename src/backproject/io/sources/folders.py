"""What sources that are folders of frames share: their images, texts, pairs, and how to write them.

Depth as 16-bit integers has one number for "nothing is known", 0, and none for "nothing is there".
What this program writes keeps the difference in a folder of its own, which others ignore:
`empty/000.png` is white where the ray is known to hit nothing. It is there if such pixels are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproject.errors import FileMissingError, FormatError, InputError
from backproject.geometry.views import Assumption, ViewSet
from backproject.io.color_images import write_color_image
from backproject.io.depth_images import (
    DEPTH_FORMATS,
    DepthCode,
    Stored,
    read_stored,
    write_depth_image,
)
from backproject.io.depth_png import write_png
from backproject.io.sources.order import natural_order
from backproject.io.sources.source import Asked

DEPTH_FOLDER = "depth"
EMPTY_FOLDER = "empty"
COLOR_FOLDER = "color"
MARK = "written by backproject"
"""In a file of each folder that this program wrote: such folders may be written anew."""
_MOST_STEPS = 65534
_OURS = re.compile(rf"({DEPTH_FOLDER}|{EMPTY_FOLDER}|{COLOR_FOLDER})(/\d+\.png)?")


def quietly(test: Callable[[Path], bool]) -> Callable[[Path], bool]:
    """Return a test of a path that is False where the path cannot be looked at."""

    def tested(path: Path) -> bool:
        try:
            return test(path)
        except (OSError, ValueError):
            return False

    return tested


def depth_files(
    folder: Path, *, named: Callable[[str], bool] = lambda _: True
) -> tuple[list[Path], list[Assumption]]:
    """Return a folder's depth images in natural order, those whose name is `named` so.

    Raises:
        FileMissingError: none.
        FormatError: of several formats.

    """
    files = [
        file
        for file in (folder.iterdir() if folder.is_dir() else ())
        if file.suffix.lower() in DEPTH_FORMATS and named(file.name) and file.is_file()
    ]
    if not files:
        raise FileMissingError(f"{folder}: no depth images, expected one for every camera")
    formats = sorted({file.suffix.lower() for file in files})
    if len(formats) > 1:
        raise FormatError(
            f"{folder}: depth images as {' and '.join(formats)}, expected one format:"
            " move the others elsewhere"
        )
    ordered, told = natural_order(files)
    return ordered, [told] if told else []


def empty_beside(
    files: Iterable[Path], folder: Path
) -> tuple[list[NDArray[np.bool_]] | None, list[Assumption]]:
    """Return where rays may hit something, (H, W) for each image, and what to tell; None where
    nothing is said.

    Raises:
        FileMissingError, FormatError: not an image for each, or one that cannot be read.

    """
    if not (folder / EMPTY_FOLDER).is_dir():
        return None, []
    masks = [read_stored(folder / EMPTY_FOLDER / f"{file.stem}.png") == 0 for file in files]
    told = Assumption("background", f"where {EMPTY_FOLDER}/ is not black", "this program writes so")
    return masks, [told]


def paired(
    images: Mapping[str, Path], poses: Mapping[str, Path], folder: Path
) -> tuple[list[str], list[Assumption]]:
    """Return the frames that have a depth image and a pose, in natural order, and what was dropped.

    Raises:
        FormatError: no frame has both.

    """
    both = [images[key] for key in images.keys() & poses.keys()]
    if not both:
        raise FormatError(
            f"{folder}: {len(images)} depth images and {len(poses)} poses, but no frame has both;"
            " expected the same numbers in their names"
        )
    names = {image: key for key, image in images.items()}
    ordered, told = natural_order(both)
    notes = [told] if told else []
    for some, others, missing in ((images, poses, "pose"), (poses, images, "depth image")):
        alone = [some[key] for key in some.keys() - others.keys()]
        if alone:
            notes.append(dropped(natural_order(alone)[0], len(some), f"they have no {missing}"))
    return [names[image] for image in ordered], notes


def dropped(files: list[Path], count: int, because: str) -> Assumption:
    """Return what to tell of files, `count` in all, that are not used."""
    more = ", ..." if len(files) > 1 else ""
    return Assumption("dropped", f"{len(files)} of {count} frames ({files[0].name}{more})", because)


def path_inside(folder: Path, name: str, file: Path, asked: Asked) -> Path:
    """Return the path that a file names, relative to a folder.

    Raises:
        FormatError: no path, or one that leaves the folder, and that was not asked for.

    """
    place = folder / name
    try:
        inside = place.resolve().is_relative_to(folder.resolve())
        place.is_file()  # names that the system refuses show here
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FormatError(f"{file}: names {name[:100]!r}, which is no path ({reason})") from error
    if not inside and not asked.allow_outside:
        raise FormatError(
            f"{file}: names {name[:100]!r}, which leaves its folder; expected a path inside it"
            " (--allow-outside follows it all the same)"
        )
    return place


def read_text(file: Path) -> str:
    """Return a text file's content.

    Raises:
        FileMissingError: no such file.
        FormatError: not text.

    """
    if not file.is_file():
        raise FileMissingError(f"{file}: no such file")
    try:
        return file.read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        raise FormatError(f"{file}: cannot be read as text ({error})") from error


def read_rows(file: Path) -> list[tuple[int, list[str]]]:
    """Return a text file's lines as their numbers and words, without empty lines and `#` ones."""
    lines = enumerate(read_text(file).splitlines(), start=1)
    rows = ((number, line.split()) for number, line in lines)
    return [(number, words) for number, words in rows if words and not words[0].startswith("#")]


def floats(words: list[str], file: Path, line: int) -> list[float]:
    """Return words of a line as numbers, finite or not.

    Raises:
        FormatError: a word is none.

    """
    try:
        return [float(word) for word in words]
    except ValueError as error:
        raise FormatError(f"{file}: line {line}: {error}, expected numbers") from error


def read_pose(file: Path, *, lost: float | None = None) -> NDArray[np.float64]:
    """Return the pose (4, 4) in a text file, row by row.

    Where the source has such a number, `lost` may stand in it: the pose is not known.

    Raises:
        FileMissingError: no such file.
        FormatError: other content, nan and infinite numbers among it.

    """
    rows = [floats(words, file, line) for line, words in read_rows(file)]
    if [len(row) for row in rows] != [4] * 4:
        counts = " or ".join(str(count) for count in sorted({len(row) for row in rows})) or "no"
        raise FormatError(
            f"{file}: {len(rows)} lines of {counts} numbers, expected a pose, 4 lines of 4"
        )
    pose = np.array(rows)
    if not (np.isfinite(pose) | (pose == lost)).all():
        raise FormatError(f"{file}: holds nan or infinite numbers, expected a pose")
    return pose


def read_json(file: Path) -> Any:
    """Return a JSON file's content.

    Raises:
        FileMissingError: no such file.
        FormatError: not JSON.

    """
    text = read_text(file)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{file}: not valid JSON ({error})") from error


def write_frames(views: ViewSet, folder: Path, scale: float) -> list[str]:
    """Write depth as 16-bit PNG in steps of `scale` scene units, and return the files' names in the
    folder; and what is empty, if anything is, and colours, if there are, by the same names.

    Raises:
        InputError: depth that 16 bits of such steps do not hold.

    """
    farthest = float(views.depth.max(where=np.isfinite(views.depth), initial=0))
    if farthest > _MOST_STEPS * scale:
        raise InputError(
            f"depth: up to {farthest:g}, but this format's steps of {scale:g} end at"
            f" {_MOST_STEPS * scale:g}; scale the scene down, or write a format that holds floats"
        )
    digits = max(3, len(str(len(views) - 1)))
    names = [f"{k:0{digits}d}.png" for k in range(len(views))]
    empty = np.isposinf(views.depth)
    for name, depth in zip(names, views.depth, strict=True):
        code = DepthCode(scale, empty=0, not_measured=0)
        write_depth_image(depth, folder / DEPTH_FOLDER / name, code)
    if empty.any():
        (folder / EMPTY_FOLDER).mkdir()
        for name, mask in zip(names, empty, strict=True):
            write_png(np.where(mask, 255, 0).astype(np.uint8), folder / EMPTY_FOLDER / name)
    if views.colors is not None:
        (folder / COLOR_FOLDER).mkdir()
        for name, colors in zip(names, views.colors, strict=True):
            write_color_image(colors, folder / COLOR_FOLDER / name)
    return [f"{DEPTH_FOLDER}/{name}" for name in names]


def is_ours(folder: Path, marked: str, *others: str) -> bool:
    """Tell whether a folder holds what this program wrote, and nothing else: the file `marked` with
    our mark, `others`, and frames.
    """
    try:
        there = {entry.relative_to(folder).as_posix() for entry in folder.rglob("*")}
        mark = MARK in (folder / marked).read_text("utf-8")
    except (OSError, ValueError):
        return False
    return mark and all(name in (marked, *others) or _OURS.fullmatch(name) for name in there)


def size_of(stored: list[Stored]) -> tuple[int, int]:
    """Return width and height of the first image."""
    height, width = stored[0].shape
    return width, height
