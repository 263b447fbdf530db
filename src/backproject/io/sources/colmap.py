"""COLMAP: a sparse model as text or binary, and depth maps as its own or as any depth images.

    workspace/
      sparse/ or sparse/0/         cameras.txt, images.txt, or .bin
      stereo/depth_maps/           <image>.geometric.bin, <image>.photometric.bin
      depth/ or depth_maps/        or any depth images, by the names of the images
      images/                      the images, for their colours

Poses are world-to-camera, unit quaternions w x y z and translations, with OpenCV's axes. Pixel
centres lie at +0.5. Depth is planar; 0 is not measured. (COLMAP's documentation, "Output Format"
and "Camera Models".)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backproject.errors import FormatError
from backproject.geometry.views import Assumption, ViewSet
from backproject.io.atomic import atomic_folder
from backproject.io.color_images import write_color_image
from backproject.io.depth_images import DepthCode, Stored, read_stored, write_depth_image
from backproject.io.sources.colors import Colored, colors_of, told_of_outside
from backproject.io.sources.depth_folder import because_of
from backproject.io.sources.folders import MARK, depth_files, dropped, quietly, read_text
from backproject.io.sources.names import by_name
from backproject.io.sources.order import natural_order
from backproject.io.sources.source import Asked, Cameras, Found, Source, refuse_orthographic

_MODEL_FOLDERS = ("sparse/0", "sparse", ".")
_DEPTH_FOLDERS = ("stereo/depth_maps", "depth_maps", "depth", "depths")
_IMAGE_FOLDER = "images"
_OURS = (("sparse", ".txt"), ("depth", ".npy"), (_IMAGE_FOLDER, ".png"))
"""Folders that this program writes, and what is in them."""
_MAPS = (".geometric.bin", ".photometric.bin")
"""COLMAP's own maps, the better first: geometric ones are those that several views agree on."""
_PARAMETERS = {
    "SIMPLE_PINHOLE": 3, "PINHOLE": 4, "SIMPLE_RADIAL": 4, "RADIAL": 5, "OPENCV": 8,
    "OPENCV_FISHEYE": 8, "FULL_OPENCV": 12, "FOV": 5, "SIMPLE_RADIAL_FISHEYE": 4,
    "RADIAL_FISHEYE": 5, "THIN_PRISM_FISHEYE": 12, "RAD_TAN_THIN_PRISM_FISHEYE": 16,
}  # fmt: skip
"""How many numbers each camera model has, in the order of the models' numbers in binary files."""


@dataclass(frozen=True)
class _Camera:
    """A camera as COLMAP lists it: `model` with `numbers`; `size` is width and height."""

    model: str
    size: tuple[int, int]
    numbers: tuple[float, ...]


@dataclass(frozen=True)
class _Image:
    """An image as COLMAP lists it: `pose` is its quaternion w x y z and translation."""

    name: str
    camera: int
    pose: tuple[float, ...]


def _recognises(path: Path) -> bool:
    return path.is_dir() and _model_folder(path) is not None


def _read(path: Path, asked: Asked) -> Found:
    cameras = _read_cameras(path, asked, (0, 0))
    assert cameras.names is not None
    assert cameras.sizes is not None
    folder = _depth_folder(path)
    files, notes = _depth_maps(folder)
    pairs = by_name(cameras.names, files, folder)
    if not pairs:
        raise FormatError(
            f"{folder}: none of its {len(files)} depth maps has the name of an image in"
            f" {cameras.file}; expected names such as {Path(cameras.names[0]).stem}.npy"
        )
    used = list(pairs)
    taken = [files[pairs[k]] for k in used]
    stored = [_read_depth(file) for file in taken]
    colors, colored = _colors(path, [cameras.names[k] for k in used], taken, stored, asked)
    scales = [_scale(stored[j], cameras.sizes[k], taken[j]) for j, k in enumerate(used)]
    intrinsics = cameras.intrinsics[used] * np.array([[[x], [y], [1]] for x, y in scales])
    return Found(
        source=SOURCE.name,
        stored=stored,
        files=taken,
        cameras=cameras.file,
        intrinsics=intrinsics,
        poses=cameras.poses[used],
        pose=cameras.pose,
        because=cameras.because,
        code=DepthCode(),
        code_because=because_of(stored, taken, asked),
        colors=colors,
        assumptions=[
            *notes,
            *colored,
            *_told_of_scale(scales, cameras, stored),
            *_told_of_unpaired(cameras.names, files, pairs),
        ],
    )


def _read_cameras(path: Path, asked: Asked, shape: tuple[int, int]) -> Cameras:
    """Return the cameras of all images, in the natural order of their names."""
    del asked, shape
    folder = _model_folder(path)
    assert folder is not None
    cameras, images = _read_model(folder)
    order, told = natural_order(Path(image.name) for image in images)
    by_path = {Path(image.name): image for image in images}
    if len(by_path) < len(images):
        raise FormatError(f"{folder}: two images of one name, expected each once")
    images = [by_path[name] for name in order]
    for image in images:
        if image.camera not in cameras:
            raise FormatError(
                f"{folder}: image {image.name} is of camera {image.camera}, expected one of those"
                f" listed: {', '.join(map(str, sorted(cameras)[:8]))}"
            )
    return Cameras(
        file=folder,
        intrinsics=np.stack([_intrinsics(cameras[i.camera], i.camera, folder) for i in images]),
        poses=np.stack([_pose(image, folder) for image in images]),
        names=[image.name for image in images],
        sizes=[cameras[image.camera].size for image in images],
        pose="world-to-camera",
        because="COLMAP's convention",
        assumptions=[told] if told else [],
    )


def _write(views: ViewSet, path: Path) -> None:
    """Write a model as text, in sparse/, depth as float .npy, in depth/, and colours, if there are,
    in images/.
    """
    refuse_orthographic(views, "COLMAP's format")
    digits = max(3, len(str(len(views) - 1)))
    names = [f"{k:0{digits}d}" for k in range(len(views))]
    rig = views.rig
    focal_and_centre = [tuple(map(float, k[(0, 1, 0, 1), (0, 1, 2, 2)])) for k in rig.intrinsics]
    cameras = {numbers: i for i, numbers in enumerate(dict.fromkeys(focal_and_centre), start=1)}
    poses = rig.camera_from_world
    quaternions = Rotation.from_matrix(poses[:, :3, :3]).as_quat(scalar_first=True)
    with atomic_folder(path, replaceable=_is_ours) as folder:
        (folder / "sparse").mkdir()
        (folder / "depth").mkdir()
        lines = [f"# {MARK}: CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]"]
        for numbers, i in cameras.items():
            lines.append(f"{i} PINHOLE {rig.width} {rig.height} {_words(numbers)}")
        _write_lines(folder / "sparse" / "cameras.txt", lines)
        lines = ["# IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME; then POINTS2D[]"]
        for k, name in enumerate(names):
            pose = _words([*quaternions[k], *poses[k, :3, 3]])
            lines += [f"{k + 1} {pose} {cameras[focal_and_centre[k]]} {name}.png", ""]
        _write_lines(folder / "sparse" / "images.txt", lines)
        _write_lines(folder / "sparse" / "points3D.txt", ["# no points"])
        for name, depth in zip(names, views.depth, strict=True):
            write_depth_image(depth, folder / "depth" / f"{name}.npy")
        if views.colors is not None:
            (folder / _IMAGE_FOLDER).mkdir()
            for name, colors in zip(names, views.colors, strict=True):
                write_color_image(colors, folder / _IMAGE_FOLDER / f"{name}.png")


def _is_ours(folder: Path) -> bool:
    """Tell whether a folder holds what this program wrote, and nothing else."""
    try:
        mark = MARK in (folder / "sparse" / "cameras.txt").read_text("utf-8")
        files = [file.relative_to(folder) for file in folder.rglob("*") if not file.is_dir()]
    except (OSError, ValueError):
        return False
    return mark and all(
        (file.parts[0], file.suffix) in _OURS and len(file.parts) == 2 for file in files
    )


def _write_lines(file: Path, lines: Sequence[str]) -> None:
    file.write_text("\n".join(lines) + "\n", "utf-8")


def _words(numbers: Sequence[float] | NDArray[np.float64]) -> str:
    """Return numbers so that reading gives them back."""
    return " ".join(repr(float(number)) for number in numbers)


def _model_folder(path: Path) -> Path | None:
    """Return where a workspace has its sparse model."""
    for name in _MODEL_FOLDERS:
        folder = path / name
        if any(_has_model(folder, suffix) for suffix in (".bin", ".txt")):
            return folder
    return None


def _has_model(folder: Path, suffix: str) -> bool:
    return all((folder / f"{name}{suffix}").is_file() for name in ("cameras", "images"))


def _read_model(folder: Path) -> tuple[dict[int, _Camera], list[_Image]]:
    """Return a model's cameras by their numbers, and its images; binary before text, as COLMAP."""
    if _has_model(folder, ".bin"):
        cameras = dict(_cameras_in_binary(folder / "cameras.bin"))
        images = list(_images_in_binary(folder / "images.bin"))
    else:
        cameras = dict(_cameras_in_text(folder / "cameras.txt"))
        images = list(_images_in_text(folder / "images.txt"))
    if not images:
        raise FormatError(f"{folder}: a model without images, expected their poses")
    return cameras, images


def _cameras_in_text(file: Path) -> Iterator[tuple[int, _Camera]]:
    for number, line in enumerate(read_text(file).splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            camera, model, width, height = int(words[0]), words[1], int(words[2]), int(words[3])
            yield camera, _Camera(model, (width, height), tuple(map(float, words[4:])))
        except (ValueError, IndexError):
            raise FormatError(
                f"{file}: line {number} is `{line[:60]}`,"
                " expected CAMERA_ID MODEL WIDTH HEIGHT PARAMS[]"
            ) from None


def _images_in_text(file: Path) -> Iterator[_Image]:
    lines = [
        (number, line)
        for number, line in enumerate(read_text(file).split("\n"), start=1)
        if not line.startswith("#")
    ]
    k = 0
    while k < len(lines):
        number, line = lines[k]
        if not line.strip():  # between images; the points of an image may be a blank line too
            k += 1
            continue
        words = line.split(maxsplit=9)
        points = lines[k + 1][1].split() if k + 1 < len(lines) else []
        try:
            _, *pose = map(float, words[:8])
            yield _Image(words[9].strip(), int(words[8]), tuple(pose))
        except (ValueError, IndexError):
            raise FormatError(
                f"{file}: line {number} is `{line[:60]}`,"
                " expected IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME"
            ) from None
        if len(points) % 3:
            raise FormatError(
                f"{file}: line {number + 1} has {len(points)} words, expected the points of the"
                " image above, X Y POINT3D_ID each: an image takes two lines, the second may be"
                " empty"
            )
        k += 2


@dataclass
class _Binary:
    """A binary file that is read from its start to its end."""

    file: Path
    content: bytes
    at: int = 0

    @classmethod
    def open(cls, file: Path) -> _Binary:
        try:
            return cls(file, file.read_bytes())
        except OSError as error:
            raise FormatError(f"{file}: cannot be read ({error})") from error

    def take(self, layout: str) -> tuple[float, ...]:
        """Return the next numbers, of a struct's layout."""
        there = self.content[self.at : self.at + struct.calcsize("<" + layout)]
        self.at += struct.calcsize("<" + layout)
        try:
            return struct.unpack("<" + layout, there)
        except struct.error:
            raise self.cut_short() from None

    def text(self) -> str:
        """Return the text up to the next 0."""
        end = self.content.find(b"\0", self.at)
        if end < 0:
            raise self.cut_short()
        text = self.content[self.at : end].decode("utf-8", errors="replace")
        self.at = end + 1
        return text

    def skip(self, size: int) -> None:
        """Pass over bytes."""
        self.at += size
        if self.at > len(self.content):
            raise self.cut_short()

    def cut_short(self) -> FormatError:
        """Return what to raise where the file ends too early."""
        return FormatError(
            f"{self.file}: ends at byte {len(self.content)}, expected more of a COLMAP model:"
            " cut short, or another kind of file"
        )


def _cameras_in_binary(file: Path) -> Iterator[tuple[int, _Camera]]:
    content = _Binary.open(file)
    (count,) = content.take("Q")
    for _ in range(int(count)):
        camera, number, width, height = map(int, content.take("iiQQ"))
        if not 0 <= number < len(_PARAMETERS):
            raise FormatError(
                f"{file}: camera {camera} has model number {number}, expected 0 to"
                f" {len(_PARAMETERS) - 1}: damaged, or written by a later COLMAP"
            )
        model, parameters = list(_PARAMETERS.items())[number]
        yield camera, _Camera(model, (width, height), content.take(f"{parameters}d"))


def _images_in_binary(file: Path) -> Iterator[_Image]:
    content = _Binary.open(file)
    (count,) = content.take("Q")
    for _ in range(int(count)):
        _, *pose, camera = content.take("i7di")
        name = content.text()
        (points,) = content.take("Q")
        content.skip(24 * int(points))  # each x, y and the number of a point
        yield _Image(name, int(camera), tuple(pose))


def _intrinsics(camera: _Camera, number: int, folder: Path) -> NDArray[np.float64]:
    if camera.model not in ("SIMPLE_PINHOLE", "PINHOLE"):
        raise FormatError(
            f"{folder}: camera {number} is {camera.model}, expected SIMPLE_PINHOLE or PINHOLE:"
            " undistort first (colmap image_undistorter)"
        )
    if len(camera.numbers) != _PARAMETERS[camera.model]:
        raise FormatError(
            f"{folder}: camera {number} has {len(camera.numbers)} parameters, expected"
            f" {_PARAMETERS[camera.model]} of a {camera.model}"
        )
    fx, fy, cx, cy = (*camera.numbers[:1], *camera.numbers)[-4:]
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], np.float64)


def _pose(image: _Image, folder: Path) -> NDArray[np.float64]:
    """Return `camera_from_world` (4, 4); as in COLMAP, quaternions may have any length."""
    quaternion, translation = np.array(image.pose[:4]), image.pose[4:]
    with np.errstate(all="ignore"):
        length = np.linalg.norm(quaternion)
    if not (np.isfinite(length) and length > 0 and np.isfinite(translation).all()):
        raise FormatError(
            f"{folder}: image {image.name} has the pose {' '.join(map(str, image.pose))[:80]},"
            " expected a quaternion w x y z that is not 0, and a translation, of finite numbers"
        )
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_quat(quaternion / length, scalar_first=True).as_matrix()
    pose[:3, 3] = translation
    return pose


def _depth_folder(path: Path) -> Path:
    for name in _DEPTH_FOLDERS:
        if (path / name).is_dir():
            return path / name
    raise FormatError(
        f"{path}: a COLMAP model without depth maps, expected them in {' or '.join(_DEPTH_FOLDERS)}"
    )


def _depth_maps(folder: Path) -> tuple[list[Path], list[Assumption]]:
    """Return the depth maps of a folder and the folders in it, COLMAP's own before others."""
    for kind in _MAPS:
        files = [file for file in folder.rglob(f"*{kind}") if file.is_file()]
        if files:
            told = Assumption("depth maps", f"*{kind}", "as COLMAP names them, the best there are")
            return natural_order(files)[0], [told]
    return depth_files(folder)


def _colors(
    path: Path, names: Sequence[str], files: list[Path], stored: list[Stored], asked: Asked
) -> Colored:
    """Return the colours of a workspace's images, and what to tell."""
    folder = path / _IMAGE_FOLDER
    images = [folder / name.replace("\\", "/") for name in names]
    if not folder.is_dir() or not asked.looks_for_color:
        return None, []
    if told := told_of_outside(images, folder, asked):
        return None, told
    return colors_of(images, files, stored, asked, "COLMAP's depth maps are its images'")


def _read_depth(file: Path) -> Stored:
    return _read_map(file) if file.suffix.lower() == ".bin" else read_stored(file)


def _read_map(file: Path) -> Stored:
    """Return a map of COLMAP's own: `width&height&channels&`, then float32, row by row."""
    with file.open("rb") as stream:
        words = stream.read(64).split(b"&", 3)
    header = sum(map(len, words[:3])) + 3
    numbers = [int(word) if word.isdigit() and len(word) < 10 else 0 for word in words[:3]]
    held = file.stat().st_size - header
    width, height, channels = numbers if len(words) == 4 else (0, 0, 0)
    if channels != 1 or not width or not height or held != 4 * width * height:
        raise FormatError(
            f"{file}: claims {width} x {height} x {channels} numbers and holds {held} bytes,"
            " expected `width&height&1&` and 4 bytes for each: cut short, or no depth map"
        )
    return np.fromfile(file, "<f4", offset=header).reshape(height, width)


def _scale(stored: Stored, size: tuple[int, int], file: Path) -> tuple[float, float]:
    """Return by how much a depth map is wider and higher than its camera's images.

    COLMAP's dense stage scales images down, to whole pixels, and its cameras along.
    """
    height, width = stored.shape
    if min(size) < 1:
        raise FormatError(f"{file}: its camera has {size[0]} x {size[1]} pixels, expected some")
    across, down = width / size[0], height / size[1]
    if abs(across - down) > 0.5 / size[0] + 0.5 / size[1]:
        raise FormatError(
            f"{file}: got {width} x {height} pixels, expected {size[0]} x {size[1]} as its camera"
            " has, or as many of them in both directions"
        )
    return across, down


def _told_of_scale(
    scales: list[tuple[float, float]], cameras: Cameras, stored: list[Stored]
) -> list[Assumption]:
    if all(scale == (1, 1) for scale in scales) or cameras.sizes is None:
        return []
    height, width = stored[0].shape
    taken = f"scaled by {scales[0][0]:g}"
    because = f"depth maps are {width} x {height}, images {' x '.join(map(str, cameras.sizes[0]))}"
    return [Assumption("intrinsics", taken, because)]


def _told_of_unpaired(
    names: Sequence[str], files: list[Path], pairs: Mapping[int, int]
) -> list[Assumption]:
    images = [Path(name) for k, name in enumerate(names) if k not in pairs]
    maps = [file for k, file in enumerate(files) if k not in pairs.values()]
    told = [dropped(images, len(names), "they have no depth map")] if images else []
    return told + ([dropped(maps, len(files), "they have no image in the model")] if maps else [])


SOURCE = Source(
    name="colmap",
    files="a workspace with sparse/ (or sparse/0/) and stereo/depth_maps/ or depth/",
    what="cameras and images as .txt or .bin, PINHOLE or SIMPLE_PINHOLE; depth maps as COLMAP's"
    " .bin or as depth images",
    recognises=quietly(_recognises),
    read=_read,
    write=_write,
    cameras=_read_cameras,
)
