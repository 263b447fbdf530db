"""transforms.json: nerfstudio's and NeRF's cameras, and this program's own captures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from backproject.io import captures
from backproject.io.sources.colors import colors_of
from backproject.io.sources.depth_folder import has_images, read_folder
from backproject.io.sources.folders import quietly
from backproject.io.sources.source import Asked, Found, Source


def _read(path: Path, asked: Asked) -> Found:
    """Return what the frames name, or depth images beside frames that name none."""
    folder = path if path.is_dir() else path.parent
    if captures.tells_depth(path) or not has_images(folder):
        return captures.find_capture(path, asked)
    if asked.camera_file is not None:
        return read_folder(folder, asked)
    found = read_folder(folder, replace(asked, camera_file=path))
    files, outside = captures.named_colors(path, asked)
    because = "`file_path` names the images"
    colors, told = colors_of(files, found.files, found.stored, asked, because)
    return replace(found, colors=colors, assumptions=[*found.assumptions, *outside, *told])


SOURCE = Source(
    name="transforms.json",
    files="a folder with transforms.json, or that file",
    what="nerfstudio's and NeRF's cameras with `depth_file_path`; this program's own captures",
    recognises=quietly(captures.is_capture),
    read=_read,
    write=lambda views, path: captures.write_capture(views, path),
    cameras=captures.find_cameras,
)
