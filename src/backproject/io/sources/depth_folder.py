"""A folder of depth images that say nothing of their cameras, with a file that does."""

from __future__ import annotations

from pathlib import Path

from backproject.errors import FormatError, InputError
from backproject.geometry.views import Assumption
from backproject.io.depth_images import DEPTH_FORMATS, DepthCode, Stored, read_stored
from backproject.io.sources import positions
from backproject.io.sources.folders import depth_files, quietly
from backproject.io.sources.names import by_name
from backproject.io.sources.source import Asked, Cameras, Found, Source

DEPTH_FOLDERS = ("depth", "depths", "depth_maps", "stereo/depth_maps")
"""Where depth images lie, if not in the folder itself."""
_CAMERA_NAMES = ("transforms.json", "cameras.npz", "camPosList.txt")
_NO_IMAGES = (".npz", ".txt")
"""Suffixes of depth images that camera files and notes have too: here they are no images."""


def has_images(path: Path) -> bool:
    """Tell whether a path is a folder with depth images in it, or in one of `DEPTH_FOLDERS`."""
    return quietly(lambda path: _image_folder(path) is not None)(path)


def read_folder(path: Path, asked: Asked) -> Found:
    """Return the depth images of a folder, with the cameras of a file."""
    folder = _image_folder(path)
    camera_file = asked.camera_file or _camera_file(path)
    assert folder is not None
    files, notes = depth_files(folder, named=_is_image_name)
    stored = [read_stored(file) for file in files]
    because = because_of(stored, files, asked)
    cameras = cameras_of(camera_file, asked, stored[0].shape)
    files, order, paired = _in_order_of(cameras, files, folder)
    return Found(
        source=SOURCE.name,
        stored=[stored[k] for k in order],
        files=files,
        code=DepthCode(),
        code_because=because,
        cameras=cameras.file,
        intrinsics=cameras.intrinsics,
        poses=cameras.poses,
        axes=cameras.axes,
        pose=cameras.pose,
        pixel_center=cameras.pixel_center,
        orthographic=cameras.orthographic,
        because=f"{cameras.because}, in {cameras.file.name}",
        mixed=all(each.dtype.name == "uint8" for each in stored),
        assumptions=[*notes, *paired, *cameras.assumptions],
    )


def cameras_of(file: Path, asked: Asked, shape: tuple[int, ...]) -> Cameras:
    """Return the cameras of a file of any kind, for depth images (H, W).

    Raises:
        FileMissingError: no such file.
        FormatError: anything in it that is not as its kind should be, or cameras for images of
            another size.

    """
    from backproject.io.sources.registry import read_cameras

    height, width = shape
    reader = positions.read if positions.is_list(file) else read_cameras
    cameras = reader(file, asked, (height, width))
    for size in cameras.sizes or ():
        if tuple(size) != (width, height):
            raise FormatError(
                f"{file}: cameras for {size[0]} x {size[1]} pixels, but the depth images are"
                f" {width} x {height}; expected one size: scale the intrinsics along"
            )
    return cameras


def because_of(stored: list[Stored], files: list[Path], asked: Asked) -> str:
    """Return why stored numbers are taken as scene units: floats are, and of integers it was said.

    Raises:
        FormatError: integers, and nobody says what one of them is.

    """
    for each, file in zip(stored, files, strict=True):
        said = asked.depth_scale is not None or asked.near is not None
        if each.dtype.kind in "iu" and not said:
            raise FormatError(
                f"{file}: holds integers, and nothing says what depth they stand for; expected"
                " --depth-scale (0.001 for millimetres, a scene in metres) or --near and --far"
            )
    return "floats are taken as scene units"


def _image_folder(path: Path) -> Path | None:
    for folder in (path, *(path / name for name in DEPTH_FOLDERS)):
        if folder.is_dir() and any(_is_image(file) for file in folder.iterdir()):
            return folder
    return None


def _is_image(file: Path) -> bool:
    return _is_image_name(file.name) and file.is_file()


def _is_image_name(name: str) -> bool:
    return Path(name).suffix.lower() in set(DEPTH_FORMATS) - set(_NO_IMAGES)


def _camera_file(path: Path) -> Path:
    there = [path / name for name in _CAMERA_NAMES if (path / name).is_file()]
    if len(there) == 1:
        return there[0]
    if there:
        names = " and ".join(file.name for file in there)
        raise FormatError(
            f"{path}: cameras in {names}; expected one, or --camera-file to say which"
        )
    raise InputError(
        f"{path}: depth images without cameras, expected --camera-file, or beside them"
        f" {' or '.join(_CAMERA_NAMES)}"
    )


def _in_order_of(
    cameras: Cameras, files: list[Path], folder: Path
) -> tuple[list[Path], list[int], list[Assumption]]:
    """Return the images in the order of the cameras, where each was before, and what to tell."""
    count = len(cameras.poses)
    pairs = by_name(cameras.names, files, folder) if cameras.names else {}
    if len(pairs) == count == len(files):
        order = [pairs[k] for k in range(count)]
        told = Assumption("cameras", "by the names of their images", f"{cameras.file.name}")
        return [files[k] for k in order], order, [told]
    if count != len(files):
        raise FormatError(
            f"{folder}: {len(files)} depth images for {count} cameras in {cameras.file.name},"
            " expected as many: is an image missing, or does the camera file belong to others?"
        )
    first, last = files[0].name, files[-1].name
    taken = f"in the order of the files, {first} to {last}"
    told = Assumption("cameras", taken, f"{cameras.file.name} names no depth images")
    return files, list(range(count)), [told]


SOURCE = Source(
    name="depth-images",
    files="a folder of depth images, with --camera-file, or "
    + " or ".join(_CAMERA_NAMES)
    + " beside them",
    what="floats in scene units, or integers with --depth-scale or --near and --far",
    recognises=has_images,
    read=read_folder,
)
