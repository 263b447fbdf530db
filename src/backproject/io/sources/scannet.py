"""ScanNet's scenes, exported from their `.sens` files.

    scene0000_00/
      depth/0.png                     millimetres, 0 where there is none
      pose/0.txt                      the camera in the world, 4 x 4; -inf where it was lost
      intrinsic/intrinsic_depth.txt   4 x 4
      color/0.jpg                     another camera's of 1296 x 968: left out, unless made to fit

Its depth cameras of 640 x 480 pixels have their centre at (319.5, 239.5): pixel centres lie at
whole numbers.

https://github.com/ScanNet/ScanNet
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backproject.errors import FormatError
from backproject.geometry.views import Assumption
from backproject.io.depth_images import DepthCode, read_stored
from backproject.io.sources import folders
from backproject.io.sources.colors import colors_beside
from backproject.io.sources.intrinsics import (
    Size,
    asked_intrinsics,
    read_intrinsics,
    told_intrinsics,
)
from backproject.io.sources.source import Asked, Found, Source

_INTRINSICS = "intrinsic/intrinsic_depth.txt"


def recognises(path: Path) -> bool:
    """Tell whether a path is a folder with depth, poses, and the depth camera's intrinsics."""
    return (path / _INTRINSICS).is_file() and (path / "pose").is_dir()


def read(path: Path, asked: Asked) -> Found:
    """Return what a scene holds of frames with pose and depth."""
    images = {file.stem: file for file in (path / "depth").glob("*.png")}
    pose_files = {file.stem: file for file in (path / "pose").glob("*.txt")}
    keys, notes = folders.paired(images, pose_files, path)
    poses = {key: folders.read_pose(pose_files[key], lost=-np.inf) for key in keys}
    lost = [images[key] for key in keys if np.isinf(poses[key]).any()]
    if lost:
        notes.append(folders.dropped(lost, len(keys), "their pose is -inf: tracking was lost"))
    keys = [key for key in keys if np.isfinite(poses[key]).all()]
    if not keys:
        raise FormatError(f"{path / 'pose'}: every pose is -inf, expected some that are known")
    files = [images[key] for key in keys]
    stored = [read_stored(file) for file in files]
    matrix, told = _intrinsics(path, folders.size_of(stored), asked)
    because = "they have the proportions of the depth images"
    colors, colored = colors_beside(path, ["color"], files, stored, asked, because)
    return Found(
        source="ScanNet",
        stored=stored,
        files=files,
        cameras=path / "pose",
        intrinsics=np.tile(matrix, (len(files), 1, 1)),
        poses=np.stack([poses[key] for key in keys]),
        code=DepthCode(0.001),
        code_because="ScanNet's convention: millimetres, 0 is not measured",
        pixel_center=0,
        because="ScanNet's convention: camera to world, OpenCV's axes, whole numbers at pixel"
        " centres",
        colors=colors,
        assumptions=(*notes, told, *colored),
    )


def _intrinsics(folder: Path, size: Size, asked: Asked) -> tuple[NDArray[np.float64], Assumption]:
    if given := asked_intrinsics(asked, size, 0):
        return given
    return told_intrinsics(read_intrinsics(folder / _INTRINSICS, size), f"{_INTRINSICS} says so")


SOURCE = Source(
    name="scannet",
    files="a folder with depth/*.png, pose/*.txt and intrinsic/intrinsic_depth.txt",
    what="depth in millimetres; frames whose pose was lost are dropped",
    recognises=folders.quietly(recognises),
    read=read,
)
