"""Captures: a folder with `transforms.json`, nerfstudio's convention, and a depth map a view.

    capture/
      transforms.json   cameras, and which file holds which view's depth
      depth/000.npy     planar z, rows from the top

What differs from this package's own conventions is converted here and nowhere else:
`transform_matrix` is `world_from_camera` with OpenGL's camera axes (x right, y up, z back), and
stored depth times `depth_unit_scale_factor` is in scene units. `cx`, `cy` are the same as ours:
nerfstudio's pixel centres lie at +0.5 too.

The key `backproject` is our own: it says which stored numbers stand for "empty" and "not measured".
Without it the file is someone else's, and 0 is read as "not measured" (`DepthCode` says why).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from backproject.errors import BackprojectError, FileMissingError, FormatError, InputError
from backproject.geometry.rig import Rig
from backproject.geometry.views import ViewSet
from backproject.io.atomic import atomic_folder
from backproject.io.depth_images import (
    WRITABLE_FORMATS,
    DepthCode,
    Stored,
    depth_format,
    read_stored,
    write_depth_image,
)
from backproject.io.sources.source import FLIP, Asked, Found, views_of

CAMERAS_FILE = "transforms.json"
_DEPTH_FOLDER = "depth"
_OWN_KEY = "backproject"
_PINHOLES = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE")
_DISTORTION = ("k1", "k2", "k3", "k4", "p1", "p2")
_MILLIMETRES = 1e-3
"""nerfstudio's default for a missing `depth_unit_scale_factor`, whatever the depth's format."""


def read_capture(path: str | PathLike[str]) -> ViewSet:
    """Return the views of a capture folder, or of its transforms.json, in the file's order.

    Raises:
        FileMissingError: no such folder, no transforms.json in it, or a depth map missing.
        FormatError: anything in them that is not as the convention says, cameras that cannot be
            (not a rotation, nan, no focal length, lens distortion), images of another size than
            `w` and `h`, or a path that leaves the folder.

    """
    asked = Asked()
    return views_of(find_capture(Path(path), asked), asked)


def find_capture(path: Path, asked: Asked) -> Found:
    """Return what a capture folder holds, or its transforms.json, before any conversion."""
    cameras_file = _cameras_file(path)
    frames, meta = _read_frames(cameras_file)
    width, height = _image_size(frames, cameras_file)
    own = _own_part(meta, cameras_file)
    files = [_depth_file(frame, k, cameras_file, asked) for k, frame in enumerate(frames)]
    scales = [_scale(frame, k, cameras_file) for k, frame in enumerate(frames)]
    stored = [_read_depth(file, (height, width), cameras_file) for file in files]
    if len(set(scales)) > 1:  # one code for all: the others' numbers are brought to the first's
        stored = [each * (scale / scales[0]) for each, scale in zip(stored, scales, strict=True)]
    try:
        code = DepthCode(scales[0], own.get("empty"), own.get("not_measured", 0))
    except InputError as error:
        raise FormatError(f"{cameras_file}: frame 0: {error}") from error
    because = "as written by this program" if meta.get(_OWN_KEY) else "nerfstudio's convention"
    return Found(
        source="transforms.json",
        stored=stored,
        files=files,
        cameras=cameras_file,
        intrinsics=np.stack([_intrinsics(f, k, cameras_file) for k, f in enumerate(frames)]),
        poses=np.stack([_pose(f, k, cameras_file) for k, f in enumerate(frames)]),
        code=code,
        code_because="depth_unit_scale_factor"
        if "depth_unit_scale_factor" in frames[0]
        else "nerfstudio's default: millimetres",
        axes="opengl",
        because=because,
    )


def is_capture(path: Path) -> bool:
    """Tell whether a path is a capture folder or a transforms.json."""
    return (path / CAMERAS_FILE).is_file() or (path.is_file() and path.suffix.lower() == ".json")


def write_capture(
    views: ViewSet,
    path: str | PathLike[str],
    *,
    depth_format: Literal["npy", "exr", "png"] = "npy",
) -> None:
    """Write a capture folder, whole or not at all, in place of an earlier one of ours if any.

    Cameras come back exactly, and depth exactly from `npy` and `exr`. `png` rounds depth to a
    65534th of the farthest (`DepthCode.for_integers`); inf and nan are kept by all three.

    Raises:
        InputError: an unknown format.
        OutputError: the place cannot be written or holds files that are not a capture of ours.

    """
    format = WRITABLE_FORMATS.get(f".{depth_format}")
    if format is None:
        known = " ".join(suffix[1:] for suffix in WRITABLE_FORMATS)
        raise InputError(f"depth format: got `{depth_format}`, expected one of {known}")
    code = DepthCode() if format.holds_floats else _integer_code(views.depth)
    digits = max(3, len(str(len(views) - 1)))
    names = [f"{_DEPTH_FOLDER}/{k:0{digits}d}.{depth_format}" for k in range(len(views))]
    with atomic_folder(path, replaceable=is_own_capture) as folder:
        (folder / _DEPTH_FOLDER).mkdir()
        for name, depth in zip(names, views.depth, strict=True):
            write_depth_image(depth, folder / name, code)
        text = json.dumps(_to_json(views.rig, names, code), indent=2, allow_nan=False)
        (folder / CAMERAS_FILE).write_text(text + "\n", "utf-8")


def is_own_capture(folder: Path) -> bool:
    """Tell whether a folder holds a capture that this program wrote, and nothing else."""
    try:
        frames, meta = _read_frames(folder / CAMERAS_FILE)
    except BackprojectError:
        return False
    ours = {CAMERAS_FILE, _DEPTH_FOLDER, *(str(frame.get("depth_file_path")) for frame in frames)}
    there = {entry.relative_to(folder).as_posix() for entry in folder.rglob("*")}
    return _OWN_KEY in meta and there <= ours


def _integer_code(depth: NDArray[np.float32]) -> DepthCode:
    farthest = depth.max(where=np.isfinite(depth), initial=0)
    return DepthCode.for_integers(float(farthest) or 1.0)


def _to_json(rig: Rig, names: list[str], code: DepthCode) -> dict[str, Any]:
    poses = rig.world_from_camera * FLIP
    numbers = [_intrinsics_to_json(matrix) for matrix in rig.intrinsics]
    shared = numbers[0] if all(each == numbers[0] for each in numbers) else {}
    return {
        "camera_model": "OPENCV",
        "w": rig.width,
        "h": rig.height,
        **shared,
        "depth_unit_scale_factor": code.scale,
        _OWN_KEY: {"version": 1, "empty": code.empty, "not_measured": code.not_measured},
        "frames": [
            {
                "depth_file_path": name,
                "transform_matrix": pose.tolist(),
                **({} if shared else own),
            }
            for name, pose, own in zip(names, poses, numbers, strict=True)
        ],
    }


def _intrinsics_to_json(matrix: NDArray[np.float64]) -> dict[str, float]:
    entries = {"fl_x": (0, 0), "fl_y": (1, 1), "cx": (0, 2), "cy": (1, 2)}
    return {name: float(matrix[at]) for name, at in entries.items()}


def _cameras_file(path: Path) -> Path:
    file = path / CAMERAS_FILE if path.is_dir() else path
    if not path.exists():
        raise FileMissingError(f"{path}: no such capture, expected a folder with {CAMERAS_FILE}")
    if not file.is_file():
        raise FileMissingError(f"{path}: folder without {CAMERAS_FILE}, expected a capture")
    return file


def _read_frames(file: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return each frame with the shared keys filled in, and the whole content."""
    try:
        meta = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FormatError(f"{file}: not valid JSON ({error}), expected a capture") from error
    frames = meta.get("frames") if isinstance(meta, dict) else None
    if not isinstance(frames, list) or not frames or not all(isinstance(f, dict) for f in frames):
        raise FormatError(f"{file}: no `frames`, expected a list with an entry for every view")
    shared = {key: value for key, value in meta.items() if key != "frames"}
    return [{**shared, **frame} for frame in frames], meta


def _image_size(frames: list[dict[str, Any]], file: Path) -> tuple[int, int]:
    for k, frame in enumerate(frames):
        _refuse_distortion(frame, k, file)
    sizes = {(_number(f, "w", k, file), _number(f, "h", k, file)) for k, f in enumerate(frames)}
    (width, height), *others = sorted(sizes)
    if others:
        raise FormatError(
            f"{file}: frames of {len(sizes)} sizes, {width:g} x {height:g} and"
            f" {others[0][0]:g} x {others[0][1]:g} among them; expected one size"
        )
    if not (width >= 1 and height >= 1) or width % 1 or height % 1:
        raise FormatError(
            f"{file}: image size `w` x `h` is {width:g} x {height:g}, expected whole numbers from 1"
        )
    return int(width), int(height)


def _refuse_distortion(frame: Mapping[str, Any], k: int, file: Path) -> None:
    model = frame.get("camera_model", "OPENCV")
    if model not in _PINHOLES:
        raise FormatError(
            f"{file}: frame {k} has `camera_model` {model!r}, expected {' or '.join(_PINHOLES)}"
        )
    bent = [key for key in _DISTORTION if frame.get(key)]
    if bent:
        raise FormatError(
            f"{file}: frame {k} has lens distortion ({bent[0]} = {frame[bent[0]]}),"
            " expected a pinhole camera: undistort the images first"
        )


def _intrinsics(frame: Mapping[str, Any], k: int, file: Path) -> NDArray[np.float64]:
    fx, fy, cx, cy = (_number(frame, key, k, file) for key in ("fl_x", "fl_y", "cx", "cy"))
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])


def _pose(frame: Mapping[str, Any], k: int, file: Path) -> NDArray[np.float64]:
    try:
        matrix = np.array(frame.get("transform_matrix"), np.float64)
    except (TypeError, ValueError, OverflowError):
        matrix = np.empty(0)
    if matrix.shape != (4, 4):
        raise FormatError(
            f"{file}: frame {k} has no `transform_matrix` of 4 x 4 numbers,"
            " expected the camera's pose in the world"
        )
    return matrix


def _number(frame: Mapping[str, Any], key: str, k: int, file: Path) -> float:
    value = frame.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        found = f"is {value!r}" if key in frame else "is missing"
        raise FormatError(f"{file}: `{key}` of frame {k} {found}, expected a number")
    try:
        return float(value)
    except OverflowError:
        return np.inf


def _own_part(meta: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """Return what a capture of ours records beside the convention; nothing of another's."""
    own = meta.get(_OWN_KEY)
    if own is None:
        return {}
    known = isinstance(own, dict) and own.get("version") == 1
    special = {key: own.get(key) for key in ("empty", "not_measured")} if known else {}
    if not known or not all(isinstance(v, int | float | None) for v in special.values()):
        raise FormatError(
            f"{file}: `{_OWN_KEY}` is {str(own)[:60]}, expected version 1:"
            " it was written by a later version of this program, or damaged"
        )
    return special


def _scale(frame: Mapping[str, Any], k: int, file: Path) -> float:
    if "depth_unit_scale_factor" in frame:
        return _number(frame, "depth_unit_scale_factor", k, file)
    return _MILLIMETRES


def _read_depth(image_file: Path, shape: tuple[int, int], file: Path) -> Stored:
    stored = read_stored(image_file)
    if stored.shape != shape:
        raise FormatError(
            f"{image_file}: got {stored.shape[1]} x {stored.shape[0]} pixels, expected"
            f" {shape[1]} x {shape[0]}, the `w` and `h` of {file.name}"
        )
    return stored


def _depth_file(frame: Mapping[str, Any], k: int, file: Path, asked: Asked) -> Path:
    name = frame.get("depth_file_path")
    if not isinstance(name, str) or not name:
        raise FormatError(f"{file}: frame {k} has no `depth_file_path`, expected its depth map")
    folder = file.parent.resolve()
    try:
        inside = (folder / name).resolve().is_relative_to(folder)
    except (OSError, ValueError, RuntimeError):
        inside = False
    if not inside and not asked.allow_outside:
        raise FormatError(
            f"{file}: frame {k} names {name[:100]!r}, which leaves the capture folder;"
            " expected a path inside it (--allow-outside follows it all the same)"
        )
    depth_format(image_file := file.parent / name)
    if not image_file.is_file():
        raise FileMissingError(f"{image_file}: no such file, the depth map of frame {k}")
    return image_file
