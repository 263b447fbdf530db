"""Open3D's cameras: a trajectory `.log` or JSON, beside a folder of depth images.

    scene/
      trajectory.log    5 lines a camera: three integers, then the pose, camera to world
      intrinsic.json    PinholeCameraIntrinsic: size, and the matrix by columns
      depth/000.png     millimetres

A PinholeCameraTrajectory's JSON, or one of PinholeCameraParameters for each view, holds both;
`extrinsic` is world to camera, by columns. Open3D projects to whole numbers at pixel centres: its
own default for 640 x 480 pixels has the centre at (319.5, 239.5). Depth in integers is divided by
1000 as by Open3D's default, depth in floats is taken as it is (`create_from_depth_image`); what its
integrators then cut off (`depth_trunc`, `depth_max`) is kept here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproject.errors import FormatError
from backproject.geometry.views import Assumption, ViewSet
from backproject.io.atomic import atomic_folder
from backproject.io.depth_images import DepthCode, Stored, read_stored
from backproject.io.sources import folders
from backproject.io.sources.intrinsics import (
    Size,
    asked_intrinsics,
    check_size,
    default_intrinsics,
    json_numbers,
    no_intrinsics,
    open3d_intrinsics,
    pinhole,
    read_intrinsics,
    told_intrinsics,
)
from backproject.io.sources.order import natural_order
from backproject.io.sources.source import Asked, Cameras, Found, Pose, Source, refuse_orthographic

PRIMESENSE = pinhole(525, 525, 319.5, 239.5)
"""What Open3D takes for 640 x 480 pixels (PrimeSenseDefault)."""
_PER_UNIT = 1000
_BECAUSE = "Open3D's convention: OpenCV's axes, whole numbers at pixel centres"
_NAME, _INTRINSIC = "trajectory", "intrinsic"
_LOG, _JSON, _CAMERA = "trajectory log", "PinholeCameraTrajectory", "PinholeCameraParameters"
_JSON_HEAD, _LOG_HEAD = 1 << 16, 1 << 12
"""How many bytes are looked at to tell what a file is."""


@dataclass(frozen=True)
class _Trajectory:
    """Cameras as files hold them; without `intrinsics` and `sizes` where those are elsewhere."""

    file: Path
    pose: Pose
    poses: NDArray[np.float64]
    intrinsics: NDArray[np.float64] | None = None
    sizes: Sequence[tuple[Path, Size]] = ()
    told: Sequence[Assumption] = ()


def recognises(path: Path) -> bool:
    """Tell whether a path is a trajectory, or a folder with one or with cameras of views."""
    if path.is_file():
        return _kind(path) in (_LOG, _JSON, _CAMERA)
    if not path.is_dir() or (path / "transforms.json").exists():
        return False
    return bool(_trajectories(path) or _camera_files(path))


def read(path: Path, asked: Asked) -> Found:
    """Return what a folder or file of Open3D's cameras holds, with the depth images beside."""
    folder = path if path.is_dir() else path.parent
    found = _cameras(path)
    files, told = _depth_files(folder)
    stored = [read_stored(file) for file in files]
    masks, empty = folders.empty_beside(files, folder)
    size = folders.size_of(stored)
    intrinsics, notes = _intrinsics(found, folder, size, asked)
    return Found(
        source="Open3D",
        stored=stored,
        files=files,
        cameras=found.file,
        intrinsics=intrinsics,
        poses=found.poses,
        **_depth_code(stored),
        pose=found.pose,
        pixel_center=0,
        because=_BECAUSE,
        masks=masks,
        assumptions=(*found.told, *told, *notes, *empty, _pairing(found, files)),
    )


def cameras(path: Path, asked: Asked, shape: tuple[int, int]) -> Cameras:
    """Return Open3D's cameras alone, for depth images (H, W)."""
    found = _cameras(path)
    folder = path if path.is_dir() else path.parent
    # The camera file is this one: it holds the intrinsics too, or they are beside.
    intrinsics, notes = _intrinsics(found, folder, shape[::-1], replace(asked, camera_file=None))
    return Cameras(
        file=found.file,
        intrinsics=intrinsics,
        poses=found.poses,
        pose=found.pose,
        pixel_center=0,
        because=_BECAUSE,
        assumptions=(*found.told, *notes),
    )


def write(views: ViewSet, path: Path) -> None:
    """Write a folder that Open3D reads: `trajectory.log` and `intrinsic.json`, or, if the views'
    intrinsics differ, `trajectory.json`; and depth in millimetres.

    Depth comes back within half a millimetre (a 2000th of a scene unit).

    Raises:
        InputError: depth beyond 65.534.
        OutputError: the place cannot be written or holds files that are not ours.

    """
    refuse_orthographic(views, "Open3D's format")
    with atomic_folder(path, replaceable=_is_ours) as folder:
        folders.write_frames(views, folder, 1 / _PER_UNIT)
        rig = views.rig
        matrices = [_intrinsic_json(matrix, rig.width, rig.height) for matrix in rig.intrinsics]
        if all(matrix == matrices[0] for matrix in matrices):
            _write_json({**matrices[0], "comment": folders.MARK}, folder / f"{_INTRINSIC}.json")
            text = "".join(_log_entry(k, pose) for k, pose in enumerate(rig.world_from_camera))
            (folder / f"{_NAME}.log").write_text(text, "utf-8")
            return
        parameters = [
            {**_version(_CAMERA), "extrinsic": pose.T.ravel().tolist(), "intrinsic": matrix}
            for pose, matrix in zip(rig.camera_from_world, matrices, strict=True)
        ]
        whole = {**_version(_JSON), "comment": folders.MARK, "parameters": parameters}
        _write_json(whole, folder / f"{_NAME}.json")


def _is_ours(folder: Path) -> bool:
    log, both = f"{_NAME}.log", f"{_NAME}.json"
    return folders.is_ours(folder, f"{_INTRINSIC}.json", log) or folders.is_ours(folder, both)


def _write_json(content: dict[str, Any], file: Path) -> None:
    file.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", "utf-8")


def _version(name: str) -> dict[str, Any]:
    return {"class_name": name, "version_major": 1, "version_minor": 0}


def _intrinsic_json(matrix: NDArray[np.float64], width: int, height: int) -> dict[str, Any]:
    centred = matrix - np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    return {"width": width, "height": height, "intrinsic_matrix": centred.T.ravel().tolist()}


def _log_entry(k: int, pose: NDArray[np.float64]) -> str:
    rows = (" ".join(repr(number) for number in row) for row in pose.tolist())
    return "\n".join((f"{k} {k} {k + 1}", *rows, ""))


def _depth_code(stored: Sequence[Stored]) -> dict[str, Any]:
    if all(image.dtype.kind in "ui" for image in stored):
        because = "Open3D's default: integers are millimetres"
        return {"code": DepthCode(1 / _PER_UNIT), "code_because": because}
    return {"code": DepthCode(), "code_because": "Open3D's convention: floats are scene units"}


def _depth_files(folder: Path) -> tuple[list[Path], list[Assumption]]:
    """Return the images in `depth/`, or those beside the cameras with `depth` in their names."""
    if (folder / folders.DEPTH_FOLDER).is_dir():
        return folders.depth_files(folder / folders.DEPTH_FOLDER)
    return folders.depth_files(folder, named=lambda name: "depth" in name.lower())


def _pairing(cameras: _Trajectory, files: list[Path]) -> Assumption:
    first = cameras.sizes[0][0] if cameras.sizes else cameras.file
    taken = f"in order, from {files[0].name} with the first camera of {first.name}"
    return Assumption("pairs", taken, "Open3D's cameras do not name their images")


def _intrinsics(
    cameras: _Trajectory, folder: Path, size: Size, asked: Asked
) -> tuple[NDArray[np.float64], list[Assumption]]:
    """Return the intrinsics of all views, and where they are from."""
    count = len(cameras.poses)
    given = asked_intrinsics(asked, size, 0)
    if given is None and cameras.intrinsics is not None:
        for file, said in cameras.sizes:
            check_size(said, size, file)
        return cameras.intrinsics, []
    matrix, told = given or _intrinsics_beside(folder, size)
    return np.tile(matrix, (count, 1, 1)), [told]


def _intrinsics_beside(folder: Path, size: Size) -> tuple[NDArray[np.float64], Assumption]:
    files = [file for file in folder.glob("*.json") if _kind(file) == _INTRINSIC]
    if len(files) > 1:
        names = " ".join(sorted(file.name for file in files))
        raise no_intrinsics(folder, f"several intrinsics, {names}")
    if files:
        return told_intrinsics(read_intrinsics(files[0], size), f"{files[0].name} says so")
    because = "Open3D's default, PrimeSense, for there are no intrinsics"
    return default_intrinsics(PRIMESENSE, size, because, folder)


def _cameras(path: Path) -> _Trajectory:
    if path.is_file():
        file, told = path, []
        if _kind(path) == _CAMERA:
            return _of_parameters([(path, folders.read_json(path))], [])
    else:
        trajectories = _trajectories(path)
        if not trajectories:
            files, note = natural_order(_camera_files(path))
            told = [note] if note else []
            return _of_parameters([(file, folders.read_json(file)) for file in files], told)
        file, told = _chosen(trajectories, path)
    if _kind(file) == _LOG:
        return _Trajectory(file, "camera-to-world", _read_log(file), told=told)
    content = folders.read_json(file)
    parameters = content.get("parameters") if isinstance(content, dict) else None
    if not isinstance(parameters, list) or not parameters:
        raise FormatError(f"{file}: no `parameters`, expected Open3D's {_JSON}")
    return _of_parameters([(file, each) for each in parameters], told)


def _chosen(trajectories: list[Path], folder: Path) -> tuple[Path, list[Assumption]]:
    """Return the one trajectory of a folder, or the one that is called so."""
    names = " ".join(file.name for file in trajectories)
    if len(trajectories) == 1:
        return trajectories[0], []
    called = [file for file in trajectories if file.stem == _NAME]
    if len(called) != 1:
        raise FormatError(f"{folder}: several trajectories, {names}; name one of them instead")
    return called[0], [Assumption("cameras", called[0].name, f"the name says so, among {names}")]


def _of_parameters(parameters: list[tuple[Path, Any]], told: list[Assumption]) -> _Trajectory:
    poses, intrinsics, sizes = [], [], []
    for file, content in parameters:
        if not isinstance(content, dict):
            raise FormatError(f"{file}: {str(content)[:60]}, expected Open3D's {_CAMERA}")
        poses.append(json_numbers(content.get("extrinsic"), 16, "extrinsic", file).reshape(4, 4).T)
        matrix, size = open3d_intrinsics(content.get("intrinsic"), file)
        intrinsics.append(matrix)
        sizes.append((file, size))
    first = parameters[0][0]
    where = first if all(file == first for file, _ in parameters) else first.parent
    return _Trajectory(where, "world-to-camera", np.stack(poses), np.stack(intrinsics), sizes, told)


def _read_log(file: Path) -> NDArray[np.float64]:
    """Return the poses of a trajectory's log; its integers are whatever their writer counted."""
    rows = folders.read_rows(file)
    if len(rows) % 5:
        raise FormatError(
            f"{file}: {len(rows)} lines, expected 5 for each camera: is the file whole?"
        )
    poses = []
    for start in range(0, len(rows), 5):
        (line, head), *rest = rows[start : start + 5]
        if len(head) != 3 or any(len(words) != 4 for _, words in rest):
            raise FormatError(
                f"{file}: line {line}: expected three integers, and a pose of 4 x 4 numbers below"
            )
        poses.append([folders.floats(words, file, at) for at, words in rest])
    return np.array(poses)


def _trajectories(folder: Path) -> list[Path]:
    """Return logs and trajectories in JSON; of text files only those that are called `traj`."""
    files = [
        file
        for file in folder.iterdir()
        if file.suffix.lower() in (".log", ".json")
        or (file.suffix.lower() == ".txt" and "traj" in file.name.lower())
    ]
    return natural_order(file for file in files if _kind(file) in (_LOG, _JSON))[0]


def _camera_files(folder: Path) -> list[Path]:
    """Return the JSON of every view, in the folder or the first below it that has some."""
    below, _ = natural_order(place for place in folder.iterdir() if place.is_dir())
    for place in (folder, *below):
        files = [file for file in place.glob("*.json") if _kind(file) == _CAMERA]
        if files:
            return files
    return []


def _kind(file: Path) -> str | None:
    """Return what of Open3D's a file is, by its first bytes."""
    if not file.is_file():
        return None
    is_json = file.suffix.lower() == ".json"
    with file.open("rb") as stream:
        head = stream.read(_JSON_HEAD if is_json else _LOG_HEAD).decode("utf-8", "replace")
    if not is_json:
        lines = [line.split() for line in head.splitlines() if line.strip()][:5]
        whole = all(word.lstrip("-").isdigit() for words in lines[:1] for word in words)
        return _LOG if whole and [len(words) for words in lines] == [3, 4, 4, 4, 4] else None
    for kind in (_JSON, _CAMERA):
        if f'"{kind}"' in head:
            return kind
    bare = '"intrinsic_matrix"' in head and '"extrinsic"' not in head
    return _INTRINSIC if bare else None


SOURCE = Source(
    name="open3d",
    files="trajectory.log, or JSON of cameras, beside depth/",
    what="poses with intrinsic.json (PinholeCameraIntrinsic), PinholeCameraTrajectory,"
    " PinholeCameraParameters of each view; depth in millimetres, or floats",
    recognises=folders.quietly(recognises),
    read=read,
    write=write,
    cameras=cameras,
)
