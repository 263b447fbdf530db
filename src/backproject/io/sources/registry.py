"""The kinds of sources that can be read, and the one door to all of them."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from backproject.errors import FileMissingError, FormatError
from backproject.geometry.views import ViewSet
from backproject.io.sources import (
    archive,
    arrays,
    blenderproc,
    colmap,
    depth_folder,
    nerf,
    open3d,
    paper,
    scannet,
    seven_scenes,
    sheets,
    tiles,
    tum,
)
from backproject.io.sources.colors import with_colors_of
from backproject.io.sources.source import Asked, Cameras, Source, views_of

SOURCES: tuple[Source, ...] = (
    tiles.SOURCE,
    open3d.SOURCE,  # before transforms.json, which may be any JSON file
    nerf.SOURCE,
    colmap.SOURCE,
    arrays.SOURCE,
    blenderproc.SOURCE,
    tum.SOURCE,
    seven_scenes.SOURCE,
    scannet.SOURCE,
    paper.SOURCE,
    sheets.SOURCE,  # after all others that may be one image
    depth_folder.SOURCE,
    archive.SOURCE,
)
"""In the order in which they are tried: the first that recognises a path reads it."""


def recognise(path: Path) -> Source:
    """Return the kind of source that a path is.

    Raises:
        FileMissingError: no such path.
        FormatError: none of them.

    """
    if not path.exists():
        raise FileMissingError(f"{path}: no such capture, expected depth maps with cameras")
    for source in SOURCES:
        if source.recognises(path):
            return source
    if path.is_dir() and not any(path.iterdir()):
        raise FormatError(f"{path}: an empty folder, expected depth maps with cameras")
    kind = "folder" if path.is_dir() else "file"
    raise FormatError(
        f"{path}: no {kind} of a kind that can be read; `backproject formats` lists what can"
    )


def read_views(path: str | PathLike[str], asked: Asked | None = None) -> ViewSet:
    """Return the views of a source of any kind that can be read; `asked` overrules its conventions.

    Raises:
        FileMissingError: no such path.
        InputError: `asked` contradicts itself.
        FormatError: of no known kind, or anything in it that is not as its kind should be.

    """
    path = Path(path)
    asked = asked or Asked()
    asked.check()
    found = recognise(path).read(path, asked)
    if asked.color_folder is not None:
        found = with_colors_of(asked.color_folder, found)
    return views_of(found, asked)


def read_cameras(path: Path, asked: Asked, shape: tuple[int, int]) -> Cameras:
    """Return the cameras of a source of any kind that tells them, for depth images (H, W).

    Raises:
        FileMissingError: no such path.
        FormatError: of no kind that tells cameras, or anything in it that is not as its kind
            should be.

    """
    source = recognise(path)
    if source.cameras is None:
        raise FormatError(
            f"{path}: {source.name} tells no cameras alone, expected a camera file: a"
            " transforms.json, an .npz, a COLMAP model or a list of positions, one `x y z` a line"
        )
    return source.cameras(path, asked, shape)
