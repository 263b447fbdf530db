"""NumPy archives with arrays by name: depth and cameras, or cameras alone.

    array        names                                                     shape
    depth        depth, depths, depth_maps                                 (N, H, W) or (H, W)
    masks        mask, masks: True where a surface is seen                 as depth
    intrinsics   intrinsics, intrinsic, K, Ks, camera_matrix               (3, 3) or (N, 3, 3)
    poses        world_from_camera, camera_to_world, cam_to_world,         (N, 4, 4), (N, 3, 4)
                 cam2world, c2w: camera-to-world                           or one of them
                 camera_from_world, world_to_camera, world_to_cam,
                 world2cam, w2c: world-to-camera
                 poses, pose, extrinsics, extrinsic: either, so it must be said which
    step         step: of depth that was stored as integers                ()

Upper and lower case are the same. Other arrays are passed over, and that is told. Axes are taken as
OpenCV's and pixel centres at +0.5, as this program writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproject.errors import FormatError
from backproject.geometry.views import Assumption, ViewSet
from backproject.io.atomic import atomic_file
from backproject.io.depth_checks import MOST_PIXELS
from backproject.io.depth_images import DepthCode
from backproject.io.depth_npz import Claim, claims, read_array
from backproject.io.sources.folders import quietly
from backproject.io.sources.source import Asked, Cameras, Found, Pose, Source

_SUFFIX = ".npz"
_PACKED = 1032
"""How many bytes a byte of a compressed file can become at most (zlib's technical details)."""
_NAMES: Mapping[str, tuple[str, ...]] = {
    "depth": ("depth", "depths", "depth_maps"),
    "masks": ("mask", "masks"),
    "intrinsics": ("intrinsics", "intrinsic", "k", "ks", "camera_matrix"),
    "camera-to-world": (
        "world_from_camera",
        "camera_to_world",
        "cam_to_world",
        "cam2world",
        "c2w",
    ),
    "world-to-camera": (
        "camera_from_world",
        "world_to_camera",
        "world_to_cam",
        "world2cam",
        "w2c",
    ),
    "poses": ("poses", "pose", "extrinsics", "extrinsic"),
    "step": ("step",),
    "orthographic": ("orthographic",),
}
"""What an array is, by its name in lower case."""
_POSES = ("camera-to-world", "world-to-camera", "poses")


def _recognises(path: Path) -> bool:
    """Tell whether a path is an archive whose name says so, and not one image of a folder's."""
    if path.suffix.lower() != _SUFFIX or not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


def _read(path: Path, asked: Asked) -> Found:
    there, told = _arrays(path)
    if "depth" not in there:
        raise FormatError(
            f"{path}: no array named depth among {_listed(claims(path))}, expected depth (N, H, W):"
            " an archive of cameras alone is for --camera-file"
        )
    depth = _stack(path, there["depth"], 2)
    if depth.dtype.kind not in "fiu":
        raise FormatError(f"{path}: `{there['depth']}` holds {depth.dtype}, expected numbers")
    cameras = _cameras(path, there, told, asked)
    if len(cameras.poses) != len(depth):
        raise FormatError(
            f"{path}: {len(depth)} depth maps for {len(cameras.poses)} cameras, expected as many"
        )
    masks = _stack(path, there["masks"], 2) if "masks" in there else None
    if masks is not None and (masks.shape != depth.shape or masks.dtype.kind not in "biu"):
        raise FormatError(
            f"{path}: `{there['masks']}` is {masks.dtype} of shape {masks.shape}, expected booleans"
            f" of shape {depth.shape}, as depth"
        )
    if depth.dtype.kind in "iu" and asked.depth_scale is None and asked.near is None:
        raise FormatError(
            f"{path}: `{there['depth']}` holds integers, and nothing says what depth they stand"
            " for; expected --depth-scale (0.001 for millimetres, a scene in metres) or --near and"
            " --far"
        )
    return Found(
        source=SOURCE.name,
        stored=list(depth),
        files=[path] * len(depth),
        cameras=path,
        intrinsics=cameras.intrinsics,
        poses=cameras.poses,
        pose=cameras.pose,
        orthographic=cameras.orthographic,
        because=cameras.because,
        code=DepthCode(),
        code_because="arrays hold scene units",
        masks=None if masks is None else list(masks != 0),
        stored_step=_step(path, there),
        assumptions=cameras.assumptions,
    )


def _read_cameras(path: Path, asked: Asked, shape: tuple[int, int]) -> Cameras:
    """Return the cameras of an archive."""
    del shape
    there, told = _arrays(path)
    return _cameras(path, there, told, asked)


def _write(views: ViewSet, path: Path) -> None:
    """Write an archive by this package's own names."""
    rig, unusual = views.rig, dict[str, Any]()
    if rig.orthographic.any():
        unusual["orthographic"] = rig.orthographic
    with atomic_file(path) as beside, beside.open("wb") as stream:
        np.savez_compressed(
            stream,
            depth=views.depth,
            intrinsics=rig.intrinsics,
            world_from_camera=rig.world_from_camera,
            step=views.step,
            **unusual,
        )


def _arrays(path: Path) -> tuple[dict[str, str], list[Assumption]]:
    """Return which array is what, and what to tell of the others.

    Raises:
        FormatError: no archive, two arrays that are the same, or several kinds of poses.

    """
    names = _listing(path)
    what = {name: each for each, known in _NAMES.items() for name in known}
    there: dict[str, str] = {}
    for name in names:
        kind = what.get(name.lower())
        if kind in there or (kind in _POSES and set(_POSES) & there.keys()):
            other = there.get(kind) or next(there[pose] for pose in _POSES if pose in there)
            raise FormatError(
                f"{path}: holds both `{other}` and `{name}`, expected one of them: which is meant?"
            )
        if kind:
            there[kind] = name
    rest = [name for name in names if name not in there.values()]
    told = [Assumption("passed over", ", ".join(rest)[:200], "arrays of other names")]
    return there, told if rest else []


def _listing(path: Path) -> Mapping[str, Claim]:
    try:
        return claims(path)
    # Not only ValueError: on damaged files the library raises whatever it runs into.
    except Exception as error:
        raise _unreadable(path, error) from error


def _array(path: Path, name: str, *, most: int) -> NDArray[Any]:
    try:
        return read_array(path, name, most=most)
    except Exception as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> FormatError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return FormatError(
        f"{path}: cannot be read as NumPy archive: {reason}; expected arrays of numbers by name"
    )


def _stack(path: Path, name: str, dimensions: int) -> NDArray[Any]:
    """Return an array of N matrices; a single one stands for a stack of one.

    Raises:
        FormatError: another number of dimensions, none, or more than an archive may claim.

    """
    shape = claims(path)[name].shape
    if len(shape) not in (dimensions, dimensions + 1) or 0 in shape:
        raise FormatError(
            f"{path}: `{name}` has shape {shape}, expected {dimensions + 1} dimensions, views first"
        )
    views = shape[0] if len(shape) > dimensions else 1
    array = _array(path, name, most=min(views * MOST_PIXELS, path.stat().st_size * _PACKED))
    return array if len(shape) > dimensions else array[None]


def _matrices(path: Path, name: str, shapes: tuple[tuple[int, int], ...]) -> NDArray[np.float64]:
    """Return an array of N matrices of one of some shapes, as floats."""
    array = _stack(path, name, 2)
    if array.shape[1:] not in shapes or array.dtype.kind not in "fiu":
        expected = " or ".join(f"(N, {rows}, {columns})" for rows, columns in shapes)
        raise FormatError(
            f"{path}: `{name}` is {array.dtype} of shape {array.shape}, expected numbers {expected}"
        )
    return array.astype(np.float64)


def _cameras(path: Path, there: Mapping[str, str], told: list[Assumption], asked: Asked) -> Cameras:
    kind = next((kind for kind in _POSES if kind in there), None)
    if kind is None or "intrinsics" not in there:
        lacks = "poses" if kind is None else "intrinsics"
        names = (*_NAMES[_POSES[0]], *_NAMES[_POSES[1]]) if kind is None else _NAMES[lacks]
        raise FormatError(
            f"{path}: no {lacks} among {_listed(claims(path))}, expected an array named"
            f" {', '.join(names)}"
        )
    name = there[kind]
    if kind == "poses" and asked.pose is None:
        raise FormatError(
            f"{path}: `{name}` may be camera-to-world or world-to-camera, expected an array named"
            " world_from_camera or camera_from_world, or --pose to say which it is"
        )
    poses = _matrices(path, name, ((4, 4), (3, 4)))
    if poses.shape[1] == 3:
        last = np.broadcast_to([0.0, 0, 0, 1], (len(poses), 1, 4))
        poses = np.concatenate([poses, last], axis=1)
    intrinsics = _matrices(path, there["intrinsics"], ((3, 3),))
    if len(intrinsics) not in (1, len(poses)):
        raise FormatError(
            f"{path}: {len(intrinsics)} intrinsics for {len(poses)} poses, expected as many, or one"
        )
    pose: Pose = "world-to-camera" if kind == "world-to-camera" else "camera-to-world"
    return Cameras(
        file=path,
        intrinsics=np.broadcast_to(intrinsics, (len(poses), 3, 3)),
        poses=poses,
        pose=pose,
        because=f"the array `{name}`, taken as this program writes it",
        orthographic=_orthographic(path, there, len(poses)),
        assumptions=told,
    )


def _orthographic(path: Path, there: Mapping[str, str], count: int) -> NDArray[np.bool_]:
    """Return which cameras an archive says to be orthographic, (N,)."""
    if "orthographic" not in there:
        return np.zeros(count, np.bool_)
    name = there["orthographic"]
    flat = _array(path, name, most=count)
    if flat.dtype != np.bool_ or flat.shape not in ((), (1,), (count,)):
        raise FormatError(
            f"{path}: `{name}` is {flat.dtype} of shape {flat.shape}, expected booleans of shape"
            f" ({count},): which cameras are orthographic"
        )
    return np.broadcast_to(flat, count)


def _step(path: Path, there: Mapping[str, str]) -> float | None:
    """Return the step that an archive records; scene units are its numbers."""
    if "step" not in there:
        return None
    step = _array(path, there["step"], most=1)
    if step.dtype.kind not in "fiu" or step.size != 1 or not 0 <= float(step.ravel()[0]) < np.inf:
        raise FormatError(f"{path}: `step` is {step.tolist()}, expected one number from 0")
    return float(step.ravel()[0])


def _listed(names: Mapping[str, Claim]) -> str:
    return ", ".join(names)[:200] or "(no arrays)"


SOURCE = Source(
    name="npz",
    files="an .npz with depth, intrinsics and poses as arrays",
    what="arrays by name: depth (N, H, W), intrinsics, world_from_camera or camera_from_world",
    recognises=quietly(_recognises),
    read=_read,
    write=_write,
    cameras=_read_cameras,
)
