"""The TUM RGB-D benchmark's sequences, and those of others in its format.

    sequence/
      groundtruth.txt   timestamp tx ty tz qx qy qz qw: the camera in the world
      depth.txt         timestamp filename
      depth/*.png       5000 to the metre, 0 where there is no data
      calibration.txt   fx fy cx cy: not TUM's, but ETH3D's, and what this program writes

Poses and images are taken at times of their own. An image belongs to the pose nearest in time, if
it is also that pose's nearest image and they are no further apart than TUM's tools allow.

https://cvg.cit.tum.de/data/datasets/rgbd-dataset/file_formats
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backproject.errors import FormatError, InputError
from backproject.geometry.views import Assumption, ViewSet
from backproject.io.atomic import atomic_folder
from backproject.io.depth_images import DepthCode, read_stored
from backproject.io.sources import folders
from backproject.io.sources.intrinsics import (
    Size,
    asked_intrinsics,
    default_intrinsics,
    no_intrinsics,
    pinhole,
    read_intrinsics,
    told_intrinsics,
)
from backproject.io.sources.source import Asked, Found, Source, refuse_orthographic

MOST_SECONDS = 0.02
"""How far an image and its pose may be apart: the default of TUM's associate.py."""
_PER_METRE = 5000
_POSES, _IMAGES, _CALIBRATION = "groundtruth.txt", "depth.txt", "calibration.txt"
_ROS_DEFAULT = pinhole(525, 525, 319.5, 239.5)
_FREIBURG_3 = pinhole(535.4, 539.2, 320.1, 247.6)
"""Calibrated, of images already undistorted. For 1 and 2, whose calibration has distortion, TUM
recommends the default.
"""


def recognises(path: Path) -> bool:
    """Tell whether a path is a folder with poses and a list of depth images."""
    return (path / _POSES).is_file() and (path / _IMAGES).is_file()


def read(path: Path, asked: Asked) -> Found:
    """Return what a sequence holds of images that have a pose."""
    pose_times, poses = _read_poses(path / _POSES)
    image_times, files = _read_images(path / _IMAGES, asked)
    images, of_pose, notes = _associated(image_times, pose_times, files, path)
    files = [files[k] for k in images]
    stored = [read_stored(file) for file in files]
    masks, empty = folders.empty_beside(files, path)
    matrix, told = _intrinsics(path, folders.size_of(stored), asked)
    return Found(
        source="TUM RGB-D",
        stored=stored,
        files=files,
        cameras=path / _POSES,
        intrinsics=np.tile(matrix, (len(files), 1, 1)),
        poses=poses[of_pose],
        code=DepthCode(1 / _PER_METRE),
        code_because="TUM's convention: 5000 to the metre, 0 is no data",
        pixel_center=0,
        because="TUM's convention: OpenCV's axes, whole numbers at pixel centres",
        masks=masks,
        assumptions=(*notes, told, *empty),
    )


def write(views: ViewSet, path: Path) -> None:
    """Write a sequence, one view a second from 0, with `calibration.txt` as in ETH3D's.

    Depth comes back within a 10000th of a scene unit.

    Raises:
        InputError: depth beyond 13.1068, or intrinsics that differ between views.
        OutputError: the place cannot be written or holds files that are not ours.

    """
    refuse_orthographic(views, "TUM's format")
    from scipy.spatial.transform import Rotation

    matrices = views.rig.intrinsics
    if (matrices != matrices[0]).any():
        raise InputError(
            "intrinsics: differ between views, but TUM's format has one camera for all; write"
            " transforms.json or Open3D's cameras instead"
        )
    poses = views.rig.world_from_camera
    turns = Rotation.from_matrix(poses[:, :3, :3]).as_quat()
    lines = np.concatenate([poses[:, :3, 3], turns], axis=1).tolist()
    with atomic_folder(path, replaceable=_is_ours) as folder:
        names = folders.write_frames(views, folder, 1 / _PER_METRE)
        rows = [f"{k:.6f} {' '.join(map(repr, line))}" for k, line in enumerate(lines)]
        _write_rows(folder / _POSES, "timestamp tx ty tz qx qy qz qw", rows)
        rows = [f"{k:.6f} {name}" for k, name in enumerate(names)]
        _write_rows(folder / _IMAGES, "timestamp filename", rows)
        fx, fy = matrices[0, (0, 1), (0, 1)].tolist()
        cx, cy = (matrices[0, :2, 2] - 0.5).tolist()
        (folder / _CALIBRATION).write_text(f"{fx!r} {fy!r} {cx!r} {cy!r}\n", "utf-8")


def _is_ours(folder: Path) -> bool:
    return folders.is_ours(folder, _POSES, _IMAGES, _CALIBRATION)


def _write_rows(file: Path, columns: str, rows: list[str]) -> None:
    lines = (f"# {folders.MARK}", f"# {columns}", *rows, "")
    file.write_text("\n".join(lines), "utf-8")


def _read_poses(file: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return times (N,) and poses (N, 4, 4), by time."""
    from scipy.spatial.transform import Rotation

    rows = []
    for line, words in folders.read_rows(file):
        numbers = folders.floats(words, file, line)
        if len(numbers) != 8 or not np.isfinite(numbers).all():
            raise FormatError(
                f"{file}: line {line}: {' '.join(words)[:80]!r}, expected 8 finite numbers,"
                " timestamp tx ty tz qx qy qz qw"
            )
        length = float(np.linalg.norm(numbers[4:]))
        if not np.isclose(length, 1, rtol=0, atol=0.01):  # four digits round it less than that
            raise FormatError(
                f"{file}: line {line}: a quaternion of length {length:.4g}, expected 1:"
                " qx qy qz qw in columns 5 to 8"
            )
        rows.append(numbers)
    if not rows:
        raise FormatError(
            f"{file}: holds no pose, expected lines of timestamp tx ty tz qx qy qz qw"
        )
    table = np.array(sorted(rows))
    poses = np.tile(np.eye(4), (len(table), 1, 1))
    poses[:, :3, :3] = Rotation.from_quat(table[:, 4:]).as_matrix()
    poses[:, :3, 3] = table[:, 1:4]
    return table[:, 0], poses


def _read_images(file: Path, asked: Asked) -> tuple[NDArray[np.float64], list[Path]]:
    """Return times and paths, by time."""
    rows = []
    for line, words in folders.read_rows(file):
        if len(words) != 2:
            raise FormatError(
                f"{file}: line {line}: {' '.join(words)[:80]!r}, expected timestamp and filename"
            )
        time = folders.floats(words[:1], file, line)[0]
        if not np.isfinite(time):
            raise FormatError(f"{file}: line {line}: a time of {time}, expected seconds")
        rows.append((time, folders.path_inside(file.parent, words[1], file, asked)))
    if not rows:
        raise FormatError(f"{file}: names no image, expected lines of timestamp and filename")
    rows.sort()
    return np.array([time for time, _ in rows]), [path for _, path in rows]


def _associated(
    image_times: NDArray[np.float64],
    pose_times: NDArray[np.float64],
    files: list[Path],
    folder: Path,
) -> tuple[list[int], NDArray[np.intp], list[Assumption]]:
    """Return which images have a pose, which each has, and what to tell."""
    pose_of = _nearest(image_times, pose_times)
    image_of = _nearest(pose_times, image_times)
    gap = np.abs(pose_times[pose_of] - image_times)
    kept = (gap <= MOST_SECONDS) & (image_of[pose_of] == np.arange(len(files)))
    if not kept.any():
        raise FormatError(
            f"{folder}: no image has a pose within {MOST_SECONDS} s: images are from"
            f" {image_times[0]:.3f} to {image_times[-1]:.3f}, poses from {pose_times[0]:.3f} to"
            f" {pose_times[-1]:.3f}; do the two files belong together?"
        )
    apart = f"each with the pose nearest in time, at most {gap[kept].max():.4f} s apart"
    notes = [Assumption("pairs", apart, f"TUM's tools allow {MOST_SECONDS} s")]
    lost = [file for file, has in zip(files, kept, strict=True) if not has]
    if lost:
        because = f"they have no pose of their own within {MOST_SECONDS} s"
        notes.append(folders.dropped(lost, len(files), because))
    return np.flatnonzero(kept).tolist(), pose_of[kept], notes


def _nearest(times: NDArray[np.float64], among: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return for each of `times` which of the times `among`, sorted, is nearest: the first of
    equals.
    """
    after = np.searchsorted(among, times).clip(1, max(len(among) - 1, 1))
    before = after - 1
    after = after.clip(max=len(among) - 1)
    return np.where(times - among[before] <= among[after] - times, before, after)


def _intrinsics(folder: Path, size: Size, asked: Asked) -> tuple[NDArray[np.float64], Assumption]:
    if given := asked_intrinsics(asked, size, 0):
        return given
    file = folder / _CALIBRATION
    if file.is_file():
        return told_intrinsics(read_intrinsics(file, size), f"{_CALIBRATION} says so")
    number = re.search(r"freiburg([123])", folder.resolve().as_posix())
    if number is None:
        raise no_intrinsics(folder, f"no {_CALIBRATION}, and no freiburg1, 2 or 3 in its name")
    if number[1] == "3":
        because = "TUM's calibration of freiburg3"
        return default_intrinsics(_FREIBURG_3, size, because, folder)
    because = f"what TUM recommends for freiburg{number[1]} without undistortion"
    return default_intrinsics(_ROS_DEFAULT, size, because, folder)


SOURCE = Source(
    name="tum",
    files="a folder with groundtruth.txt, depth.txt and depth/*.png",
    what="poses and images by time; depth in 1/5000 m; intrinsics from calibration.txt (ETH3D) or"
    " by freiburg1, 2 or 3 in the name",
    recognises=folders.quietly(recognises),
    read=read,
    write=write,
)
