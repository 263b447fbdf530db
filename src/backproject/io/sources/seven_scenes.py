"""7-Scenes, and others' sequences in its format.

    seq-01/
      frame-000000.depth.png   millimetres; 65535 where there is none, and 0
      frame-000000.pose.txt    the camera in the world, 4 x 4
      frame-000000.color.png   of another camera, not calibrated: left out
      camera-intrinsics.txt    3 x 3, in sequences of others

7-Scenes comes without calibration; its own page names a focal length of 585 and a principal point
of (320, 240) for the depth camera. It does not say where pixel centres lie: they are taken at whole
numbers, as by the programs that fuse it.

https://www.microsoft.com/en-us/research/project/rgb-d-dataset-7-scenes/
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backproject.geometry.views import Assumption
from backproject.io.depth_images import DepthCode, read_stored
from backproject.io.sources import folders
from backproject.io.sources.intrinsics import (
    Size,
    asked_intrinsics,
    default_intrinsics,
    pinhole,
    read_intrinsics,
    told_intrinsics,
)
from backproject.io.sources.source import Asked, Found, Source

_DEPTH, _POSE = ".depth.png", ".pose.txt"
_INTRINSICS = "camera-intrinsics.txt"
_DEFAULT = pinhole(585, 585, 320, 240)


def recognises(path: Path) -> bool:
    """Tell whether a path is a folder with frames' poses and depth."""
    return path.is_dir() and all(any(path.glob(f"frame-*{end}")) for end in (_DEPTH, _POSE))


def read(path: Path, asked: Asked) -> Found:
    """Return what a sequence holds of frames with pose and depth."""
    images, poses = _frames(path, _DEPTH), _frames(path, _POSE)
    keys, notes = folders.paired(images, poses, path)
    files = [images[key] for key in keys]
    stored = [read_stored(file) for file in files]
    matrix, told = _intrinsics(path, folders.size_of(stored), asked)
    return Found(
        source="7-Scenes",
        stored=stored,
        files=files,
        cameras=path,
        intrinsics=np.tile(matrix, (len(files), 1, 1)),
        poses=np.stack([folders.read_pose(poses[key]) for key in keys]),
        code=DepthCode(0.001, not_measured=(0, 65535)),
        code_because="7-Scenes' convention: millimetres, 65535 and 0 are not measured",
        pixel_center=0,
        because="7-Scenes' convention: camera to world, OpenCV's axes; pixel centres at whole"
        " numbers, as its readers have it",
        assumptions=(*notes, told, *_told_of_colors(path, asked)),
    )


def _told_of_colors(folder: Path, asked: Asked) -> list[Assumption]:
    """Return what to tell where colours are left out."""
    if not asked.looks_for_color or not any(folder.glob("frame-*.color.*")):
        return []
    because = "7-Scenes' colours are another camera's; --color-folder takes them all the same"
    return [Assumption("colour", "none", because)]


def _frames(folder: Path, end: str) -> dict[str, Path]:
    return {file.name.removesuffix(end): file for file in folder.glob(f"frame-*{end}")}


def _intrinsics(folder: Path, size: Size, asked: Asked) -> tuple[NDArray[np.float64], Assumption]:
    if given := asked_intrinsics(asked, size, 0):
        return given
    file = folder / _INTRINSICS
    if file.is_file():
        return told_intrinsics(read_intrinsics(file, size), f"{_INTRINSICS} says so")
    return default_intrinsics(_DEFAULT, size, "7-Scenes' own page, nothing calibrated", folder)


SOURCE = Source(
    name="7-scenes",
    files="a folder with frame-*.depth.png and frame-*.pose.txt",
    what="depth in millimetres, 65535 and 0 not measured; camera-intrinsics.txt, or focal 585 at"
    " (320, 240)",
    recognises=folders.quietly(recognises),
    read=read,
)
