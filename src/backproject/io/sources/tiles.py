"""tiles.json: depth maps cut from a figure, each with a principal point of its own.

    {"fx": 157.2, "fy": 157.7, "tiles": [
        {"file": "tile01.png", "cam_index": 0, "principal_point_px": [63.5, 56.8]}, ...]}

`cam_index` is a line of the camera list. Tiles differ in size by where they were cut: all become as
wide and high as the largest, and what a tile does not show is not measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproject.errors import FormatError
from backproject.geometry.views import Assumption
from backproject.io.depth_images import Stored, read_stored
from backproject.io.rings import as_of_jpeg
from backproject.io.sources.folders import path_inside, quietly, read_json
from backproject.io.sources.intrinsics import pinhole
from backproject.io.sources.protocol import cameras_for, check_views, found_of, meaning_of
from backproject.io.sources.source import Asked, Found, Source

TILES_FILE = "tiles.json"


FIGURE_ERROR = 4.0
"""The standard deviation of JPEG's error that a figure is taken to have: its quality is not known
any more. It is that of a quality of 90.
"""


@dataclass(frozen=True)
class Tile:
    """A depth map cut from a figure: its `file` and numbers (H, W), the camera's place in the list,
    and its intrinsics (3, 3).
    """

    file: Path
    stored: Stored
    camera: int
    intrinsics: NDArray[np.float64]


def is_tiles(path: Path) -> bool:
    """Tell whether a path is a folder with tiles.json, or that file."""
    return (path / TILES_FILE).is_file() or (path.name == TILES_FILE and path.is_file())


def read_tiles(path: Path, asked: Asked) -> Found:
    """Return the views that a tiles.json lists, in the order of cameras."""
    file = path / TILES_FILE if path.is_dir() else path
    content = read_json(file)
    if not isinstance(content, dict) or not isinstance(content.get("tiles"), list):
        raise FormatError(f"{file}: no list `tiles`, expected an entry for each depth map")
    tiles = [_tile(entry, k, content, file, asked) for k, entry in enumerate(content["tiles"])]
    tiles.sort(key=lambda tile: tile.camera)
    if not tiles:
        raise FormatError(f"{file}: `tiles` is empty, expected an entry for each depth map")
    shape = tuple(np.max([tile.stored.shape for tile in tiles], axis=0).tolist())
    cameras = cameras_for(file.parent, asked, shape)
    check_views([tile.camera for tile in tiles], cameras, file, "tiles")
    files = [tile.file for tile in tiles]
    meaning = meaning_of([tile.stored for tile in tiles], files, None)
    code, rings = as_of_jpeg(meaning["code"], FIGURE_ERROR, "a figure has JPEG rings, of any size")
    meaning["code"], meaning["assumptions"] = code, [rings]
    meaning["stored"] = [_padded(tile.stored, shape) for tile in tiles]
    meaning["stored_step"] = 1.0
    posed = [note for note in cameras.assumptions if note.about != "field of view"]
    cameras = replace(
        cameras, intrinsics=np.stack([tile.intrinsics for tile in tiles]), assumptions=posed
    )
    return found_of(SOURCE.name, files, cameras, _told(tiles, shape, file), meaning)


def _tile(entry: Any, k: int, content: Mapping[str, Any], file: Path, asked: Asked) -> Tile:
    """Return a tile by its entry.

    Raises:
        FileMissingError: no such image.
        FormatError: an entry without what is needed, or an image that is not 8-bit grey.

    """
    entry = entry if isinstance(entry, dict) else {}
    name, camera, center = (entry.get(key) for key in ("file", "cam_index", "principal_point_px"))
    numbers = [content.get("fx"), content.get("fy"), *(center if _is_pair(center) else (None,))]
    if not (isinstance(name, str) and _is_whole(camera) and all(map(_is_number, numbers))):
        raise FormatError(
            f"{file}: tile {k} is {str(entry)[:100]}, expected `file`, `cam_index` and two numbers"
            " as `principal_point_px`, and `fx` and `fy` for all"
        )
    image = path_inside(file.parent, name, file, asked)
    stored = read_stored(image)
    if stored.dtype != np.uint8:
        raise FormatError(f"{image}: holds {stored.dtype}, expected 8 bits a pixel")
    return Tile(image, stored, camera, pinhole(*numbers))


def _told(tiles: Sequence[Tile], shape: tuple[int, ...], file: Path) -> list[Assumption]:
    height, width = shape
    smallest = min(tile.stored.shape for tile in tiles)
    said = f"{width} x {height} pixels, of tiles down to {smallest[1]} x {smallest[0]}"
    focal = tiles[0].intrinsics[(0, 1), (0, 1)]
    return [
        Assumption("images", said, "what a smaller tile does not show is not measured"),
        Assumption("intrinsics", f"focal length {focal[0]:g}, {focal[1]:g} pixels", file.name),
    ]


def _padded(stored: Stored, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return numbers (H, W) with nan to the right and below, of a shape."""
    whole = np.full(shape, np.nan)
    whole[: stored.shape[0], : stored.shape[1]] = stored
    return whole


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


SOURCE = Source(
    name="tiles",
    files="a folder with tiles.json, or that file",
    what="depth maps cut from a figure, as paper; fitted focal lengths and principal points",
    recognises=quietly(is_tiles),
    read=read_tiles,
)
