"""Captures: a folder with `transforms.json`, nerfstudio's convention, and a depth map a view.

    capture/
      transforms.json   cameras, and which file holds which view's depth
      depth/000.npy     planar z, rows from the top
      color/000.png     colours of the same pixels, if there are; `file_path` names them

What differs from this package's own conventions is converted here and nowhere else:
`transform_matrix` is `world_from_camera` with OpenGL's camera axes (x right, y up, z back), and
stored depth times `depth_unit_scale_factor` is in scene units. `cx`, `cy` are the same as ours:
nerfstudio's pixel centres lie at +0.5 too. So is its orthographic `camera_model`, ORTHOPHOTO:
`fl_x` and `fl_y` are pixels a scene unit.

The key `backproject` is our own: it says which stored numbers stand for "empty" and "not measured",
how coarse depth was when it was first read, and what was assumed then. Without it the file is
someone else's, and 0 is read as "not measured" (`DepthCode` says why).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypeGuard

import numpy as np
from numpy.typing import NDArray

from backproject.errors import BackprojectError, FileMissingError, FormatError, InputError
from backproject.geometry.rig import Rig
from backproject.geometry.views import Assumption, ViewSet
from backproject.io.atomic import atomic_folder
from backproject.io.color_images import write_color_image
from backproject.io.depth_images import (
    DEPTH_FORMATS,
    WRITABLE_FORMATS,
    DepthCode,
    Stored,
    depth_format,
    read_stored,
    write_depth_image,
)
from backproject.io.sources.colors import (
    colors_of,
    is_inside,
    told_of_outside,
    with_suffix,
)
from backproject.io.sources.source import FLIP, Asked, Cameras, Found, views_of

CAMERAS_FILE = "transforms.json"
_DEPTH_FOLDER = "depth"
_COLOR_FOLDER = "color"
_OWN_KEY = "backproject"
_PINHOLES = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE")
_ORTHOGRAPHIC = "ORTHOPHOTO"
_DISTORTION = ("k1", "k2", "k3", "k4", "p1", "p2")
_TOLD = ("about", "taken", "because")
_CONVENTION = "nerfstudio's convention"
_HEAD = 1 << 16
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
    own = _own_part(meta, cameras_file)
    _refuse_without_depth(frames, cameras_file)
    scales = [_scale(frame, k, cameras_file) for k, frame in enumerate(frames)]
    files = [_depth_file(frame, k, cameras_file, asked) for k, frame in enumerate(frames)]
    stored = [read_stored(file) for file in files]
    sized = [_sized(frame, each.shape) for frame, each in zip(frames, stored, strict=True)]
    shape = _image_shape(sized, cameras_file)
    for file, each in zip(files, stored, strict=True):
        _check_depth(file, each, shape, cameras_file)
    if len(set(scales)) > 1:  # one code for all: the others' numbers are brought to the first's
        stored = [each * (scale / scales[0]) for each, scale in zip(stored, scales, strict=True)]
    images, outside = color_files(frames, cameras_file.parent, asked)
    colors, told = colors_of(images, files, stored, asked, "`file_path` names the images")
    try:
        code = DepthCode(scales[0], own.get("empty"), own.get("not_measured", 0))
    except InputError as error:
        raise FormatError(f"{cameras_file}: frame 0: {error}") from error
    return Found(
        source="transforms.json",
        stored=stored,
        files=files,
        cameras=cameras_file,
        intrinsics=np.stack([_intrinsics(f, k, cameras_file) for k, f in enumerate(sized)]),
        poses=np.stack([_pose(f, k, cameras_file) for k, f in enumerate(frames)]),
        code=code,
        code_because="depth_unit_scale_factor"
        if "depth_unit_scale_factor" in frames[0]
        else "nerfstudio's default: millimetres",
        axes="opengl",
        orthographic=_orthographic(frames),
        because="as written by this program" if own else _CONVENTION,
        assumptions=[*_told_of_intrinsics(frames[0], sized[0]), *outside, *told],
        colors=colors,
        stored_step=own["step"] / code.scale if own.get("step") is not None else None,
        history=own.get("assumptions"),
    )


def find_cameras(path: Path, asked: Asked, shape: tuple[int, int]) -> Cameras:
    """Return the cameras of a transforms.json, for depth images (H, W) that come without."""
    del asked
    file = _cameras_file(path)
    frames, _ = _read_frames(file)
    sized = [_sized(frame, shape) for frame in frames]
    height, width = _image_shape(sized, file)
    names = [frame.get("file_path") for frame in frames]
    return Cameras(
        file=file,
        intrinsics=np.stack([_intrinsics(frame, k, file) for k, frame in enumerate(sized)]),
        poses=np.stack([_pose(frame, k, file) for k, frame in enumerate(frames)]),
        names=[str(name) for name in names] if all(names) else None,
        sizes=[(width, height)] * len(frames),
        axes="opengl",
        orthographic=_orthographic(frames),
        because=_CONVENTION,
        assumptions=_told_of_intrinsics(frames[0], sized[0]),
    )


def color_files(
    frames: Sequence[Mapping[str, Any]], folder: Path, asked: Asked
) -> tuple[list[Path], list[Assumption]]:
    """Return the images that `file_path` of each frame names, and what to tell; none if one of
    them names none, or leads out of the folder, and that was not asked for.
    """
    names = [frame.get("file_path") for frame in frames]
    files = [folder / name for name in names if isinstance(name, str) and Path(name).name]
    if len(files) < len(names) or not asked.looks_for_color:
        return [], []
    if told := told_of_outside(files, folder, asked):
        return [], told
    return [with_suffix(file) for file in files], []


def named_colors(path: Path, asked: Asked) -> tuple[list[Path], list[Assumption]]:
    """Return the colour images that a transforms.json names, see `color_files`."""
    file = _cameras_file(path)
    return color_files(_read_frames(file)[0], file.parent, asked)


def is_capture(path: Path) -> bool:
    """Tell whether a path is a capture folder, or a JSON file with its cameras."""
    if path.is_dir():
        return bool(_camera_files(path))
    if path.suffix.lower() != ".json" or not path.is_file():
        return False
    return path.name.startswith("transforms") or _has_frames(path)


def tells_depth(path: Path) -> bool:
    """Tell whether some frame of a capture names its depth map, or the file cannot be read."""
    try:
        frames, _ = _read_frames(_cameras_file(path))
    except BackprojectError:
        return True
    return any("depth_file_path" in frame for frame in frames)


def write_capture(
    views: ViewSet,
    path: str | PathLike[str],
    *,
    depth_format: Literal["npy", "exr", "png"] = "npy",
) -> None:
    """Write a capture folder, whole or not at all, in place of an earlier one of ours if any.

    Cameras and colours come back exactly, and depth exactly from `npy` and `exr`. `png` rounds
    depth to a 65534th of the farthest (`DepthCode.for_integers`); inf and nan are kept by all
    three.

    Raises:
        InputError: an unknown format.
        OutputError: the place cannot be written or holds files that are not a capture of ours.

    """
    format = WRITABLE_FORMATS.get(f".{depth_format}")
    if format is None:
        known = " ".join(suffix[1:] for suffix in WRITABLE_FORMATS)
        raise InputError(f"depth format: got `{depth_format}`, expected one of {known}")
    code = DepthCode() if format.holds_floats else _integer_code(views.depth)
    # Rounding once more widens the interval in which the surface lies by its error to both sides.
    step = views.step + (0 if format.holds_floats else 2 * _rounding_error(views.depth, code))
    digits = max(3, len(str(len(views) - 1)))
    numbers = [f"{k:0{digits}d}" for k in range(len(views))]
    names = [f"{_DEPTH_FOLDER}/{number}.{depth_format}" for number in numbers]
    with atomic_folder(path, replaceable=is_own_capture) as folder:
        (folder / _DEPTH_FOLDER).mkdir()
        for name, depth in zip(names, views.depth, strict=True):
            write_depth_image(depth, folder / name, code)
        content = _to_json(views.rig, names, code, _own_record(code, step, views.assumptions))
        if views.colors is not None:
            (folder / _COLOR_FOLDER).mkdir()
            for frame, number, colors in zip(content["frames"], numbers, views.colors, strict=True):
                frame["file_path"] = f"{_COLOR_FOLDER}/{number}.png"
                write_color_image(colors, folder / frame["file_path"])
        text = json.dumps(content, indent=2, allow_nan=False)
        (folder / CAMERAS_FILE).write_text(text + "\n", "utf-8")


def is_own_capture(folder: Path) -> bool:
    """Tell whether a folder holds a capture that this program wrote, and nothing else."""
    try:
        frames, meta = _read_frames(folder / CAMERAS_FILE)
    except BackprojectError:
        return False
    images = (frame.get(key) for frame in frames for key in ("depth_file_path", "file_path"))
    ours = {CAMERAS_FILE, _DEPTH_FOLDER, _COLOR_FOLDER, *map(str, images)}
    there = {entry.relative_to(folder).as_posix() for entry in folder.rglob("*")}
    return _OWN_KEY in meta and there <= ours


def _integer_code(depth: NDArray[np.float32]) -> DepthCode:
    farthest = depth.max(where=np.isfinite(depth), initial=0)
    return DepthCode.for_integers(float(farthest) or 1.0)


def _rounding_error(depth: NDArray[np.float32], code: DepthCode) -> float:
    """Return how far the stored depth (N, H, W) will be off at most."""
    errors = [0.0]
    for each in depth:
        again = code.decode(code.encode(each, np.dtype(np.uint16)))
        hit = np.isfinite(each)
        errors.append(float(np.abs(again[hit] - each[hit]).max(initial=0)))
    return max(errors)


def _own_record(code: DepthCode, step: float, told: Sequence[Assumption]) -> dict[str, Any]:
    """Return what the convention has no key for."""
    return {
        "version": 1,
        "empty": code.empty,
        "not_measured": code.not_measured,
        "step": step,
        **({"assumptions": [asdict(each) for each in told]} if told else {}),
    }


def _to_json(
    rig: Rig, names: list[str], code: DepthCode, own_record: dict[str, Any]
) -> dict[str, Any]:
    poses = rig.world_from_camera * FLIP
    models = [
        {"camera_model": _ORTHOGRAPHIC if flat else _PINHOLES[0]} for flat in rig.orthographic
    ]
    numbers = [_intrinsics_to_json(matrix) for matrix in rig.intrinsics]
    model = models[0] if all(each == models[0] for each in models) else {}
    lens = numbers[0] if all(each == numbers[0] for each in numbers) else {}
    return {
        **model,
        "w": rig.width,
        "h": rig.height,
        **lens,
        "depth_unit_scale_factor": code.scale,
        _OWN_KEY: own_record,
        "frames": [
            {
                "depth_file_path": name,
                "transform_matrix": pose.tolist(),
                **({} if model else own_model),
                **({} if lens else own_lens),
            }
            for name, pose, own_model, own_lens in zip(names, poses, models, numbers, strict=True)
        ],
    }


def _orthographic(frames: Sequence[Mapping[str, Any]]) -> NDArray[np.bool_]:
    return np.array([frame.get("camera_model") == _ORTHOGRAPHIC for frame in frames])


def _intrinsics_to_json(matrix: NDArray[np.float64]) -> dict[str, float]:
    entries = {"fl_x": (0, 0), "fl_y": (1, 1), "cx": (0, 2), "cy": (1, 2)}
    return {name: float(matrix[at]) for name, at in entries.items()}


def _cameras_file(path: Path) -> Path:
    if not path.exists():
        raise FileMissingError(f"{path}: no such capture, expected a folder with {CAMERAS_FILE}")
    files = _camera_files(path) if path.is_dir() else [path]
    if not files:
        raise FileMissingError(f"{path}: folder without {CAMERAS_FILE}, expected a capture")
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise FormatError(f"{path}: holds {names}; expected one of them to be named as the capture")
    return files[0]


def _camera_files(folder: Path) -> list[Path]:
    """Return the transforms.json of a folder, or those of its splits: transforms_train.json, ..."""
    file = folder / CAMERAS_FILE
    return [file] if file.is_file() else sorted(folder.glob("transforms_*.json"))


def _has_frames(file: Path) -> bool:
    """Tell whether a JSON file says `frames` near its start: the cameras come first there."""
    try:
        with file.open("rb") as stream:
            return b'"frames"' in stream.read(_HEAD)
    except OSError:
        return False


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


def _refuse_without_depth(frames: list[dict[str, Any]], file: Path) -> None:
    if not any("depth_file_path" in frame for frame in frames):
        raise FormatError(
            f"{file}: no `depth_file_path` in any of its {len(frames)} frames: these are cameras"
            " without depth, expected a depth map for each; name them there, or put them in a"
            " folder `depth` beside it"
        )


def _sized(frame: dict[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
    """Return a frame with what is missing of its intrinsics: the image size is the depth map's
    (H, W), the principal point its centre, and the focal length follows from the angle of view.
    """
    frame = {"w": shape[1], "h": shape[0], **frame}
    for focal, angle, side in (
        ("fl_x", "camera_angle_x", "w"),
        ("fl_y", "camera_angle_y", "h"),
    ):
        if frame.get("camera_model") == _ORTHOGRAPHIC:
            continue  # which has no angle of view
        if focal not in frame and _is_number(frame.get(angle)) and _is_number(frame[side]):
            opening = _as_float(frame[angle])
            possible = 0 < opening < math.pi
            frame[focal] = _as_float(frame[side]) / 2 / math.tan(opening / 2) if possible else 0.0
    if "fl_x" in frame:  # pixels are square where nothing else is said
        frame.setdefault("fl_y", frame["fl_x"])
    for centre, side in (("cx", "w"), ("cy", "h")):
        if centre not in frame and _is_number(frame[side]):
            frame[centre] = _as_float(frame[side]) / 2
    return frame


def _told_of_intrinsics(frame: Mapping[str, Any], sized: Mapping[str, Any]) -> list[Assumption]:
    """Return what `_sized` took for granted."""
    told = []
    if "w" not in frame or "h" not in frame:
        size = f"{sized['w']:g} x {sized['h']:g}"
        told.append(Assumption("image size", size, "the depth map's: `w` and `h` are missing"))
    if "fl_x" not in frame:
        told.append(Assumption("focal length", f"{sized['fl_x']:g} pixels", "camera_angle_x"))
    if "cx" not in frame or "cy" not in frame:
        point = f"{sized['cx']:g}, {sized['cy']:g}"
        because = "the image's centre: `cx` and `cy` are missing"
        told.append(Assumption("principal point", point, because))
    return told


def _image_shape(frames: list[dict[str, Any]], file: Path) -> tuple[int, int]:
    """Return the (height, width) that all frames tell."""
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
    return int(height), int(width)


def _refuse_distortion(frame: Mapping[str, Any], k: int, file: Path) -> None:
    model = frame.get("camera_model", "OPENCV")
    if model not in (*_PINHOLES, _ORTHOGRAPHIC):
        raise FormatError(
            f"{file}: frame {k} has `camera_model` {model!r},"
            f" expected {', '.join(_PINHOLES)} or {_ORTHOGRAPHIC}"
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
    if not _is_number(value):
        found = f"is {value!r}" if key in frame else "is missing"
        raise FormatError(f"{file}: `{key}` of frame {k} {found}, expected a number")
    return _as_float(value)


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # integers in JSON are of any size
        return math.inf


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _own_part(meta: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """Return what a capture of ours records beside the convention; nothing of another's."""
    own = meta.get(_OWN_KEY)
    if own is None:
        return {}
    known = isinstance(own, dict) and own.get("version") == 1
    special = {key: own.get(key) for key in ("empty", "not_measured", "step")} if known else {}
    sound = all(value is None or _is_number(value) for value in special.values())
    step = special.get("step")
    told = _told_before(own) if known else None
    if not known or not sound or (step is not None and not 0 <= step < np.inf) or told is None:
        raise FormatError(
            f"{file}: `{_OWN_KEY}` is {str(own)[:60]}, expected version 1:"
            " it was written by a later version of this program, or damaged"
        )
    # Captures of earlier versions say nothing of it, and neither do views that were not read.
    return {**special, "assumptions": told or None}


def _told_before(own: Mapping[str, Any]) -> list[Assumption] | None:
    """Return the assumptions that a capture of ours records, or None if they are none."""
    records = own.get("assumptions", [])
    if not isinstance(records, list):
        return None
    told = []
    for record in records:
        texts = [record.get(key) for key in _TOLD] if isinstance(record, dict) else []
        if not texts or not all(isinstance(text, str) for text in texts):
            return None
        told.append(Assumption(*map(str, texts)))
    return told


def _scale(frame: Mapping[str, Any], k: int, file: Path) -> float:
    if "depth_unit_scale_factor" in frame:
        return _number(frame, "depth_unit_scale_factor", k, file)
    return _MILLIMETRES


def _check_depth(image_file: Path, stored: Stored, shape: tuple[int, int], file: Path) -> None:
    if stored.shape != shape:
        raise FormatError(
            f"{image_file}: got {stored.shape[1]} x {stored.shape[0]} pixels, expected"
            f" {shape[1]} x {shape[0]}, the `w` and `h` of {file.name}"
        )


def _depth_file(frame: Mapping[str, Any], k: int, file: Path, asked: Asked) -> Path:
    name = frame.get("depth_file_path")
    if not isinstance(name, str) or not name:
        raise FormatError(f"{file}: frame {k} has no `depth_file_path`, expected its depth map")
    _check_inside(name, k, file, asked)
    if Path(name).suffix.lower() not in DEPTH_FORMATS:
        name = _with_suffix(name, k, file.parent)
        _check_inside(name, k, file, asked)
    image_file = file.parent / name
    if not image_file.is_file():
        raise FileMissingError(f"{image_file}: no such file, expected the depth map of frame {k}")
    return image_file


def _check_inside(name: str, k: int, file: Path, asked: Asked) -> None:
    if not is_inside(file.parent / name, file.parent) and not asked.allow_outside:
        raise FormatError(
            f"{file}: frame {k} names {name[:100]!r}, which leaves the capture folder;"
            " expected a path inside it (--allow-outside follows it all the same)"
        )


def _with_suffix(name: str, k: int, folder: Path) -> str:
    """Return the one depth map that a path without suffix means, as NeRF's files write them."""
    there = [suffix for suffix in DEPTH_FORMATS if (folder / (name + suffix)).is_file()]
    if len(there) > 1:
        raise FormatError(
            f"{folder / name}: the depth map of frame {k} is there as {' and '.join(there)},"
            " expected a path with the suffix of one"
        )
    if not there and Path(name).suffix:
        depth_format(folder / name)  # says which suffixes are known
    return name + "".join(there)
