"""BlenderProc: one .hdf5 file a frame, with depth and, if they were written, camera poses.

Depth is in `depth` (planar) or `distance` (along the ray, and often anti-aliased), in Blender's
units. Where a ray hits nothing, Blender's depth is 1e10; anti-aliased distance ends at
`antialiasing_distance_max`, 10000 by default. Colours of the same pixels are in `colors`.

The camera is in one of these, by what wrote the file:

    campose          JSON: cam2world_matrix and cam_K, or location, rotation_euler, fov_x and fov_y
                     (CameraStateWriter)
    camera_pose      JSON: cam_K, cam_R_w2c, cam_t_w2c, world-to-camera with OpenCV's axes
                     (write_hdf5's save_world2cam)
    cam2world, K     matrices that a script stored with its data; names in `_POSES`, `_PINHOLES`

Poses are camera-to-world with Blender's axes where nothing else is said. The principal point counts
from the centre of the first pixel: BlenderProc's K has it at (width - 1) / 2. (BlenderProc's
documentation, "Writer", and its CameraUtility, RendererUtility and WriterUtility.)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backproject.errors import BackprojectError, FormatError, InputError
from backproject.geometry.colors import Colors
from backproject.geometry.views import Assumption
from backproject.io.depth_checks import MOST_PIXELS, check_size, grey
from backproject.io.depth_images import DepthCode, Stored
from backproject.io.sources.depth_folder import cameras_of
from backproject.io.sources.folders import quietly
from backproject.io.sources.order import natural_order
from backproject.io.sources.source import Asked, Axes, Cameras, Encoding, Found, Pose, Source

_SUFFIXES = (".hdf5", ".h5")
_MAGIC = b"\x89HDF\r\n\x1a\n"
_NOTHING = 1e10
"""Blender's depth where a ray hits nothing; distance there is longer still."""
_FARTHEST = 10000.0
"""BlenderProc's default of `antialiasing_distance_max`: distance where a ray hits nothing."""
_STATES = ("campose", "cam_states", "camera_pose")
_POSES = ("cam2world", "cam2world_matrix", "cam_pose", "cam_poses", "campose")
_PINHOLES = ("K", "cam_K", "camera_K", "intrinsics")
_PACKED = 1032
"""How many bytes a byte of a compressed file can become at most (zlib's technical details)."""
_TEXT = 1 << 20


@dataclass(frozen=True)
class _Camera:
    """A frame's camera as it is stored, and what its numbers mean."""

    intrinsics: NDArray[np.float64]
    matrix: NDArray[np.float64]
    axes: Axes = "opengl"
    pose: Pose = "camera-to-world"


@dataclass(frozen=True)
class _Frame:
    """A frame: its depth, under which name it was, its camera, the names of all there is, and its
    colours.
    """

    stored: Stored
    key: str
    camera: _Camera | None
    names: tuple[str, ...]
    colors: Colors | None


def _files(path: Path) -> list[Path]:
    """Return the frames of a folder, or the one that the path is."""
    return [
        file
        for file in (path.iterdir() if path.is_dir() else (path,))
        if file.suffix.lower() in _SUFFIXES and file.is_file()
    ]


def _recognises(path: Path) -> bool:
    return any(_starts(file) == _MAGIC for file in _files(path))


def _starts(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(len(_MAGIC))


def _read(path: Path, asked: Asked) -> Found:
    files, told = natural_order(_files(path))
    frames = [_read_frame(file, asked) for file in files]
    keys = sorted({frame.key for frame in frames})
    if len(keys) > 1:
        raise FormatError(
            f"{path}: some frames hold {keys[0]} and others {keys[1]}, expected the same in all"
        )
    (key,) = keys
    cameras = _cameras(path, files, frames, asked)
    farthest = _FARTHEST if key == "distance" and asked.background is None else _NOTHING
    notes = [Assumption("background", f"{farthest:g} and farther", f"BlenderProc's {key}")]
    if any({"depth", "distance"} <= set(frame.names) for frame in frames):
        notes.append(Assumption("passed over", "distance", "depth is there too, and planar"))
    colors = [frame.colors for frame in frames if frame.colors is not None]
    encoding: Encoding = "ray" if key == "distance" else "planar"
    return Found(
        source=SOURCE.name,
        stored=[frame.stored for frame in frames],
        files=files,
        cameras=cameras.file,
        intrinsics=cameras.intrinsics,
        poses=cameras.poses,
        axes=cameras.axes,
        pose=cameras.pose,
        pixel_center=cameras.pixel_center,
        encoding=encoding,
        because=cameras.because,
        code=DepthCode(),
        code_because="BlenderProc's depth is in Blender's units",
        masks=[~(frame.stored >= farthest) for frame in frames],  # so that nan stays nan
        colors=colors if len(colors) == len(frames) else None,
        mixed=key == "distance",
        assumptions=[*([told] if told else []), *notes, *cameras.assumptions],
    )


def _cameras(path: Path, files: Sequence[Path], frames: Sequence[_Frame], asked: Asked) -> Cameras:
    """Return the frames' cameras, in the frames or in the file that the user names."""
    if asked.camera_file is not None:
        return cameras_of(asked.camera_file, asked, frames[0].stored.shape)
    cameras = []
    for file, frame in zip(files, frames, strict=True):
        if frame.camera is None:
            raise FormatError(
                f"{file}: no camera pose among {', '.join(frame.names)[:200]}; expected campose, or"
                " cam2world and K: BlenderProc stores it only if asked, so store it with the data,"
                " or give --camera-file"
            )
        cameras.append(frame.camera)
    first = cameras[0]
    if any((each.axes, each.pose) != (first.axes, first.pose) for each in cameras):
        raise FormatError(f"{path}: frames with camera poses of two kinds, expected one")
    return Cameras(
        file=path,
        intrinsics=np.stack([camera.intrinsics for camera in cameras]),
        poses=np.stack([camera.matrix for camera in cameras]),
        axes=first.axes,
        pose=first.pose,
        pixel_center=0,
        because="BlenderProc's convention",
    )


def _read_frame(file: Path, asked: Asked) -> _Frame:
    with _opened(file) as content:
        names = tuple(map(str, content))
        key = next((key for key in ("depth", "distance") if key in names), None)
        if key is None:
            raise FormatError(
                f"{file}: holds {', '.join(names)[:200] or 'nothing'}, expected a dataset named"
                " depth or distance: render with bproc.renderer.enable_depth_output"
            )
        stored = _numbers(_dataset(content, key, file), file)
        if stored.ndim == 3 and stored.shape[0] == 2 and stored.shape[2] > 4:
            raise FormatError(
                f"{file}: `{key}` is of shape {stored.shape}, left and right of a stereo camera,"
                " expected one image: write them with stereo_separate_keys=True, one to a frame"
            )
        stored = grey(stored)
        if stored.ndim != 2 or stored.dtype.kind not in "fiu":
            raise FormatError(
                f"{file}: `{key}` is {stored.dtype} of shape {stored.shape}, expected (H, W)"
            )
        check_size(stored.shape[1], stored.shape[0])
        camera = None if asked.camera_file else _camera(content, names, stored.shape, file)
        colors = _colors(content, names, stored.shape, file) if asked.looks_for_color else None
        return _Frame(stored, key, camera, names, colors)


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """Yield an open file; whatever the library runs into in the block becomes an error of ours."""
    try:
        import h5py
    except ImportError as error:
        raise InputError(
            f"{file}: reading it needs h5py, which is not there;"
            " expected `pip install backproject[hdf5]`"
        ) from error
    try:
        with h5py.File(file, "r") as content:
            yield content
    except BackprojectError:
        raise
    # Not only OSError: on damaged files the library raises whatever it runs into.
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise FormatError(
            f"{file}: cannot be read as HDF5: {reason}; expected one whole frame of BlenderProc"
        ) from error


def _dataset(content: Any, name: str, file: Path) -> Any:
    """Return a dataset that lies in its own file: others could be anywhere.

    Raises:
        FormatError: a group, or a dataset in other files.

    """
    import h5py

    link = content.get(name, getlink=True)
    dataset = content[name] if isinstance(link, h5py.HardLink) else None
    if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual:
        raise FormatError(f"{file}: `{name}` is no dataset of its own, expected an array in it")
    return dataset


def _numbers(dataset: Any, file: Path) -> NDArray[Any]:
    """Return a dataset's numbers; its size is believed only as far as the file can hold it.

    Raises:
        FormatError: no numbers, or more than there can be.

    """
    held = dataset.id.get_storage_size() * _PACKED
    if dataset.dtype.kind not in "fiu" or dataset.nbytes > held or dataset.size > 4 * MOST_PIXELS:
        raise FormatError(
            f"{file}: `{dataset.name}` claims {dataset.dtype} of shape {dataset.shape} in"
            f" {dataset.id.get_storage_size()} bytes, expected numbers that are there"
        )
    return np.asarray(dataset[()])


def _colors(
    content: Any, names: Sequence[str], shape: tuple[int, ...], file: Path
) -> Colors | None:
    """Return the colours of a frame whose depth is of some shape (H, W), without alpha; None if it
    holds none of the same pixels, 8 bits each.
    """
    if "colors" not in names:
        return None
    dataset = _dataset(content, "colors", file)
    if dataset.dtype != np.uint8 or dataset.shape not in ((*shape, 3), (*shape, 4)):
        return None
    return np.asarray(_numbers(dataset, file)[..., :3])


def _camera(
    content: Any, names: Sequence[str], shape: tuple[int, ...], file: Path
) -> _Camera | None:
    """Return the camera of a frame, if it holds one that this program knows."""
    for name in _STATES:
        if name in names and (dataset := _dataset(content, name, file)).dtype.kind in "SO":
            return _state_camera(_state(dataset, name, file), name, shape, file)
    pose = next((name for name in _POSES if name in names), None)
    pinhole = next((name for name in _PINHOLES if name in names), None)
    if pose is None or pinhole is None:
        return None
    matrices = (_numbers(_dataset(content, name, file), file) for name in (pose, pinhole))
    matrix, intrinsics = (_flat(each) for each in matrices)
    return _Camera(_shaped(intrinsics, 3, pinhole, file), _shaped(matrix, 4, pose, file))


def _state(dataset: Any, name: str, file: Path) -> Mapping[str, Any]:
    """Return the camera's state that a dataset holds as JSON."""
    text = dataset[()] if dataset.size == 1 and dataset.id.get_storage_size() < _TEXT else None
    text = text.ravel()[0] if isinstance(text, np.ndarray) else text
    try:
        state = json.loads(text) if isinstance(text, bytes | str) else None
    except (ValueError, RecursionError):
        state = None
    if isinstance(state, list) and len(state) == 1:
        state = state[0]
    if not isinstance(state, dict):
        raise FormatError(f"{file}: `{name}` is no state of one camera, expected it as JSON")
    return state


def _state_camera(
    state: Mapping[str, Any], name: str, shape: tuple[int, ...], file: Path
) -> _Camera:
    def numbers(key: str, side: int) -> NDArray[np.float64]:
        return _shaped(_flat(state[key]), side, f"{name}: {key}", file)

    if {"cam_K", "cam_R_w2c", "cam_t_w2c"} <= state.keys():
        matrix = np.eye(4)
        matrix[:3, :3] = numbers("cam_R_w2c", 3)
        matrix[:3, 3] = _vector(state, "cam_t_w2c", name, file)
        return _Camera(numbers("cam_K", 3), matrix, "opencv", "world-to-camera")
    if {"cam2world_matrix", "cam_K"} <= state.keys():
        return _Camera(numbers("cam_K", 3), numbers("cam2world_matrix", 4))
    fields = ("location", "rotation_euler", "fov_x", "fov_y")
    if not set(fields) <= state.keys():
        raise FormatError(
            f"{file}: `{name}` holds {', '.join(map(str, state))[:200]}, expected cam2world_matrix"
            f" and cam_K, or {', '.join(fields)}"
        )
    matrix = np.eye(4)
    angles = _vector(state, "rotation_euler", name, file)
    matrix[:3, :3] = Rotation.from_euler("xyz", angles).as_matrix()  # Blender's order XYZ
    matrix[:3, 3] = _vector(state, "location", name, file)
    height, width = shape
    fov = [float(_flat(state[key])[0]) for key in ("fov_x", "fov_y") if len(_flat(state[key])) == 1]
    if len(fov) != 2 or not all(0 < angle < np.pi for angle in fov):
        raise FormatError(f"{file}: `{name}` has a field of view of {fov}, expected 0 to pi")
    fx, fy = width / 2 / np.tan(fov[0] / 2), height / 2 / np.tan(fov[1] / 2)
    intrinsics = np.array([[fx, 0, (width - 1) / 2], [0, fy, (height - 1) / 2], [0, 0, 1]])
    return _Camera(intrinsics, matrix)


def _vector(state: Mapping[str, Any], key: str, name: str, file: Path) -> NDArray[np.float64]:
    vector = _flat(state[key])
    if len(vector) != 3 or not np.isfinite(vector).all():
        raise FormatError(f"{file}: `{name}` has {key} {state[key]}, expected three finite numbers")
    return vector


def _flat(values: Any) -> NDArray[np.float64]:
    """Return numbers, however nested; none if they are not numbers."""
    try:
        return np.asarray(values, np.float64).ravel()
    except (TypeError, ValueError, OverflowError):
        return np.empty(0)


def _shaped(flat: NDArray[np.float64], side: int, name: str, file: Path) -> NDArray[np.float64]:
    if len(flat) != side * side:
        raise FormatError(
            f"{file}: `{name}` holds {len(flat)} numbers, expected {side} x {side} of them"
        )
    return flat.reshape(side, side)


SOURCE = Source(
    name="blenderproc",
    files="a folder of .hdf5 files, one a frame, or one of them (needs backproject[hdf5])",
    what="depth, or distance along the ray, and campose; 1e10 is background",
    recognises=quietly(_recognises),
    read=_read,
)
