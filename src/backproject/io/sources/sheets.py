"""Sprite sheets: `VP-<k>.png`, a grid of models seen by camera k; or all views of one model."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from backproject.errors import FormatError, InputError
from backproject.geometry.views import Assumption
from backproject.io.depth_images import Stored, read_stored
from backproject.io.sources.folders import quietly
from backproject.io.sources.order import natural_order
from backproject.io.sources.protocol import (
    IMAGE_SUFFIXES,
    MASK_FOLDER,
    cameras_for,
    check_views,
    chosen,
    directions_for,
    found_of,
    masks_of,
    meaning_of,
)
from backproject.io.sources.source import Asked, Found, Source

CELL = 224
"""Width and height of the paper's cells, in pixels."""
_NAME = re.compile(r"VP-(?P<view>\d{1,9})\.(png|jpe?g)", re.IGNORECASE)


def is_sheet(path: Path) -> bool:
    """Tell whether a path is a folder of sheets, or an image that may be one."""
    if path.is_dir():
        return any(_NAME.fullmatch(file.name) for file in path.iterdir())
    return path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES


def read_sheet(path: Path, asked: Asked) -> Found:
    """Return the views of one model: of a folder of sheets, or of one sheet that holds them all."""
    if path.is_dir() or _NAME.fullmatch(path.name):
        return _read_one_sheet_a_view(path if path.is_dir() else path.parent, asked)
    return _read_one_sheet(path, asked)


def cells_of(sheet: Stored, side: int, file: Path) -> list[Stored]:
    """Return the cells of a sheet, each (side, side), row by row.

    Raises:
        FormatError: the sheet is no grid of such cells.

    """
    height, width = sheet.shape
    if height % side or width % side:
        raise FormatError(
            f"{file}: {width} x {height} pixels, expected a grid of cells of {side} x {side};"
            " --cell gives their size"
        )
    rows = sheet.reshape(height // side, side, width // side, side)
    return list(rows.swapaxes(1, 2).reshape(-1, side, side))


def _read_one_sheet_a_view(folder: Path, asked: Asked) -> Found:
    files, notes = _sheet_files(folder)
    side = asked.cell or CELL
    sheets = [read_stored(file) for file in files]
    cells = [cells_of(sheet, side, file) for sheet, file in zip(sheets, files, strict=True)]
    _check_counts(cells, files)
    model = chosen(_models(cells, folder), asked.model, folder)
    cameras = cameras_for(folder, asked, (side, side))
    check_views([_view_of(file) for file in files], cameras, folder, "sheets")
    masks = _mask_cells(files, sheets, side)
    place, count = int(model), len(cells[0])
    taken = f"{model} of cells 0 to {count - 1}, {side} x {side} pixels, row by row from the top"
    because = "--cell says so" if asked.cell else "the paper's size"
    stored = [some[place] for some in cells]
    own_masks = [some[place] for some in masks] if masks else None
    notes = [Assumption("model", taken, because), *notes]
    meaning = meaning_of(stored, files, own_masks)
    return found_of(SOURCE.name, files, cameras, notes, meaning)


def _read_one_sheet(file: Path, asked: Asked) -> Found:
    if asked.model is not None:
        raise InputError(f"{file}: holds all views of one model, expected no --model")
    sheet = read_stored(file)
    side, because = _side(sheet, asked, file)
    cameras = cameras_for(file.parent, asked, (side, side))
    count = len(cameras.poses)
    stored = _first(count, cells_of(sheet, side, file), file)
    masks = _mask_cells([file], [sheet], side)
    taken = f"{count} cells, {side} x {side} pixels, {sheet.shape[1] // side} a row, row by row"
    notes = [Assumption("views", taken, because)]
    files = [file] * count
    meaning = meaning_of(stored, files, masks[0][:count] if masks else None)
    return found_of(SOURCE.name, files, cameras, notes, meaning)


def _sheet_files(folder: Path) -> tuple[list[Path], list[Assumption]]:
    """Return the sheets in the order of views."""
    files = [file for file in folder.iterdir() if _NAME.fullmatch(file.name) and file.is_file()]
    ordered, told = natural_order(files)
    for one, next_one in pairwise(ordered):
        if _view_of(one) == _view_of(next_one):
            raise FormatError(
                f"{folder}: {one.name} and {next_one.name} show the same view,"
                " expected one sheet of it: move the other elsewhere"
            )
    return ordered, [told] if told else []


def _view_of(file: Path) -> int:
    return int(re.findall(r"\d+", file.name)[0])


def _check_counts(cells: Sequence[Sequence[Stored]], files: Sequence[Path]) -> None:
    for some, file in zip(cells, files, strict=True):
        if len(some) != len(cells[0]):
            raise FormatError(
                f"{file}: {len(some)} cells, expected {len(cells[0])} as in {files[0].name}"
            )


def _models(cells: Sequence[Sequence[Stored]], folder: Path) -> list[str]:
    """Return the numbers of the cells that show something in some view."""
    models = [str(k) for k in range(len(cells[0])) if any(view[k].any() for view in cells)]
    if not models:
        raise FormatError(f"{folder}: all cells are black, expected depth maps")
    return models


def _mask_cells(
    files: Sequence[Path], sheets: Sequence[Stored], side: int
) -> list[list[Stored]] | None:
    """Return the cells of the sheets' masks, if there are any."""
    folder = files[0].parent
    masks = masks_of(files, folder)
    if masks is None:
        return None
    for mask, sheet, file in zip(masks, sheets, files, strict=True):
        if mask.shape != sheet.shape:
            raise FormatError(
                f"{folder / MASK_FOLDER}: the mask of {file.name} is {_size(mask)} pixels,"
                f" expected {_size(sheet)} like the sheet"
            )
    return [cells_of(mask, side, file) for mask, file in zip(masks, files, strict=True)]


def _side(sheet: Stored, asked: Asked, file: Path) -> tuple[int, str]:
    """Return the width and height of the cells: as many squares as cameras fill the sheet."""
    if asked.cell is not None:
        return asked.cell, "--cell says so"
    directions = directions_for(file.parent, asked)
    if directions is None:
        raise InputError(
            f"{file}: --camera-file gives cameras for images of some size, expected --cell as well"
        )
    count = len(directions.directions)
    side = math.isqrt(sheet.size // count)
    height, width = sheet.shape
    if side == 0 or height % side or width % side or sheet.size != count * side**2:
        raise FormatError(
            f"{file}: {_size(sheet)} pixels, which {count} squares, one for each camera, do not"
            " fill in rows and columns; expected a sprite sheet of all views: give --cell, or"
            " --camera-file if there are other cameras"
        )
    return side, f"{count} cameras see as many squares"


def _first(count: int, cells: list[Stored], file: Path) -> list[Stored]:
    """Return the cells of the cameras; those left over must be black."""
    if len(cells) < count or any(cell.any() for cell in cells[count:]):
        raise FormatError(
            f"{file}: {len(cells)} cells for {count} cameras, expected as many, or black ones"
            " after the last: is --cell right?"
        )
    return cells[:count]


def _size(sheet: Stored) -> str:
    return f"{sheet.shape[1]} x {sheet.shape[0]}"


SOURCE = Source(
    name="sheet",
    files="a folder of VP-<k>.png, each a grid of models; or an image of all views of one model",
    what="as paper; --model for the number of a cell, --cell for its size, masks in mask/",
    recognises=quietly(is_sheet),
    read=read_sheet,
)
