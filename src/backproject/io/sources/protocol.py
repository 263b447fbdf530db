"""What the paper's folders and sprite sheets share: cameras, code, masks (docs/protocol.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproject.errors import FileMissingError, FormatError, InputError
from backproject.geometry.rig import DODECAHEDRON_DIRECTIONS, Rig
from backproject.geometry.views import Assumption
from backproject.io.depth_images import DepthCode, Stored, read_stored
from backproject.io.rigs import read_camera_list
from backproject.io.rings import rings_are_empty
from backproject.io.sources import depth_folder, positions
from backproject.io.sources.source import Asked, Cameras, Found

DISTANCE, FOV, FAR = 1.5, 43.0, 2.0
"""Of the paper's cameras: from the centre; vertical, in degrees; and the depth of black."""
CAMERA_LIST = "camPosList.txt"
MASK_FOLDER = "mask"
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
SURFACE, BACKGROUND = 0.995, 0.3
"""A mask above the first is surface, up to the second background: the paper's own thresholds."""
_DIGITS = 1e-3
"""By how much a listed length may be off: lists are rounded."""
_SHOWN = 8
"""How many models an error lists."""


@dataclass(frozen=True)
class Directions:
    """Where cameras stand: `directions` (N, 3) from the origin, `whose` they are, and the `file` or
    folder to blame.
    """

    directions: NDArray[np.float64]
    whose: str
    file: Path


def directions_for(folder: Path, asked: Asked) -> Directions | None:
    """Return where a folder's cameras stand: by the list asked for, else its `camPosList.txt`, else
    as the paper's 20; None where a file of whole cameras is asked for.

    Raises:
        FileMissingError: no such file.
        FormatError: a line of a list that is not three numbers.

    """
    file = asked.camera_file
    if file is None and (folder / CAMERA_LIST).is_file():
        file = folder / CAMERA_LIST
    if file is None:
        return Directions(DODECAHEDRON_DIRECTIONS, "the paper's 20", folder)
    if positions.is_list(file) or file.name == CAMERA_LIST:
        return Directions(read_camera_list(file), f"those of {file.name}", file)
    return None


def cameras_for(folder: Path, asked: Asked, shape: tuple[int, ...]) -> Cameras:
    """Return the cameras of a folder's images (H, W): `directions_for` or those asked for.

    Raises:
        FileMissingError: no such file.
        FormatError: a file that tells no cameras, or directions of several lengths.

    """
    found = directions_for(folder, asked)
    if found is None:
        assert asked.camera_file is not None
        return depth_folder.cameras_of(asked.camera_file, asked, shape)
    return _looking_in(found, asked, shape)


def meaning_of(
    stored: Sequence[Stored], files: Sequence[Path], masks: Sequence[Stored] | None
) -> dict[str, Any]:
    """Return the fields of `Found` that tell what the numbers of images, floats or bytes, and of
    their masks mean.

    A mask is white where the surface is. Between the two thresholds nothing is known: such pixels
    become nan among the stored numbers, and so does background where the mask says surface.

    Raises:
        FormatError: integers of more than 8 bits.

    """
    floats = all(each.dtype.kind == "f" for each in stored)
    for each, file in zip(stored, files, strict=True):
        if not floats and each.dtype != np.uint8:
            raise FormatError(
                f"{file}: holds {each.dtype}, expected 8 bits a pixel as in the paper's images"
            )
    levels = 1.0 if floats else 255.0
    fields = {
        "code_because": "the paper's text, 1 - d" if floats else "the paper's 8 bits, white near",
        "levels": levels,
        "mixed": not floats,
    }
    if masks is None:
        code = DepthCode(-1 / levels, empty=0, not_measured=None, base=FAR)
        code, rings = rings_are_empty(code, files)
        told = rings or [Assumption("background", "0", "the paper's convention")]
        return {**fields, "stored": stored, "code": code, "assumptions": told}
    shares = [_share(mask) for mask in masks]
    taken = f"where a mask is at most {BACKGROUND:g}; up to {SURFACE:g} not measured"
    return {
        **fields,
        "stored": [_unknown_is_nan(*each) for each in zip(stored, shares, strict=True)],
        "stored_step": 0.0 if floats else 1.0,
        "masks": [share > BACKGROUND for share in shares],
        "code": DepthCode(-1 / levels, not_measured=0, base=FAR),
        "assumptions": [Assumption("background", taken, f"{MASK_FOLDER}/")],
    }


def found_of(
    source: str,
    files: Sequence[Path],
    cameras: Cameras,
    notes: Sequence[Assumption],
    meaning: Mapping[str, Any],
) -> Found:
    """Return what was found: images with their meaning (`meaning_of`), and cameras."""
    told = [*notes, *cameras.assumptions, *meaning["assumptions"]]
    return Found(
        source=source,
        files=files,
        cameras=cameras.file,
        intrinsics=cameras.intrinsics,
        poses=cameras.poses,
        axes=cameras.axes,
        pose=cameras.pose,
        pixel_center=cameras.pixel_center,
        orthographic=cameras.orthographic,
        because=cameras.because,
        **{**meaning, "assumptions": told},
    )


def masks_of(files: Sequence[Path], folder: Path) -> list[Stored] | None:
    """Return the masks of the same names, in the folder `mask`, if there are any.

    Raises:
        FileMissingError: some images have one, others have none.
        FormatError: one that cannot be read.

    """
    masks = [_mask_of(file, folder) for file in files]
    there = [mask for mask in masks if mask is not None]
    if there and len(there) < len(masks):
        first = files[masks.index(None)].name
        raise FileMissingError(
            f"{folder / MASK_FOLDER}: no mask for {first}, expected one for each image, or none"
        )
    return [read_stored(mask) for mask in there] or None


def check_views(views: Sequence[int], cameras: Cameras, folder: Path, what: str) -> None:
    """Refuse images that do not show view 0 to the last of the cameras.

    Raises:
        FormatError: one is missing, or one too many.

    """
    count = len(cameras.poses)
    if list(views) == list(range(count)):
        return
    missing = ", ".join(str(k) for k in range(count) if k not in views)[:60]
    beyond = ", ".join(str(k) for k in views if k >= count)[:60]
    found = [f"no view {missing}"] if missing else []
    found += [f"view {beyond} too many"] if beyond else []
    whose = cameras.file.name if cameras.file.is_file() else "the paper's"
    raise FormatError(
        f"{folder}: {len(views)} {what} for {count} cameras ({whose}): {' and '.join(found)};"
        f" expected views 0 to {count - 1}, or --camera-file with other cameras"
    )


def chosen(models: Sequence[str], asked: str | None, path: Path) -> str:
    """Return the model asked for, by its name or the `<x>` of its `model_<x>`, or the only one.

    Raises:
        FormatError: none of that name, or several and none was asked for.

    """
    listed = ", ".join(models[:_SHOWN]) + (", ..." if len(models) > _SHOWN else "")
    if asked is None and len(models) == 1:
        return models[0]
    if asked is None:
        raise FormatError(
            f"{path}: holds {len(models)} models: {listed}; expected one: say which by --model"
        )
    for name in (asked, f"model_{asked}"):
        if name in models:
            return name
    raise FormatError(f"{path}: no model `{asked}`, expected one of {listed}")


def _looking_in(found: Directions, asked: Asked, shape: tuple[int, ...]) -> Cameras:
    height, width = shape
    distance, fov = asked.distance or DISTANCE, asked.fov or FOV
    try:
        places = _places(found, asked.distance)
        rig = Rig.looking_at(places, size=(width, height), fov_deg=fov)
    except InputError as error:
        raise FormatError(f"{found.file}: {error}") from error
    taken = f"{found.whose}, {distance:g} from the origin, looking at it, upright along +y"
    given = "--distance says so" if asked.distance else "the paper's convention"
    return Cameras(
        file=found.file,
        intrinsics=rig.intrinsics,
        poses=rig.world_from_camera,
        because="the paper's convention",
        assumptions=[
            Assumption("cameras", taken, given),
            Assumption(
                "field of view",
                f"{fov:g} degrees, vertical",
                "--fov says so" if asked.fov else "the paper's convention",
            ),
        ],
    )


def _places(found: Directions, distance: float | None) -> NDArray[np.float64]:
    """Return where the cameras stand, (N, 3); directions keep their digits."""
    lengths = np.linalg.norm(found.directions, axis=1)
    if np.allclose(lengths, 1, rtol=_DIGITS):
        return found.directions * (distance or DISTANCE)
    if distance is not None:
        return np.asarray(found.directions / lengths[:, None] * distance)
    if not np.allclose(lengths, DISTANCE, rtol=_DIGITS):
        raise FormatError(
            f"{found.file}: positions {lengths.min():g} to {lengths.max():g} from the origin,"
            f" expected directions of length 1, or positions {DISTANCE:g} from it; --distance says"
            " how far the cameras are"
        )
    return found.directions


def _mask_of(image: Path, folder: Path) -> Path | None:
    """Return the file of an image's mask, which may have another format."""
    for suffix in dict.fromkeys((image.suffix, *IMAGE_SUFFIXES)):
        if (file := folder / MASK_FOLDER / f"{image.stem}{suffix}").is_file():
            return file
    return None


def _share(mask: Stored) -> NDArray[np.float64]:
    """Return a mask (H, W) from 0 to 1."""
    whole = np.iinfo(mask.dtype).max if mask.dtype.kind in "iu" else 1
    return np.asarray(mask / np.float64(whole))


def _unknown_is_nan(stored: Stored, share: NDArray[np.float64]) -> Stored:
    if share.shape != stored.shape:  # told by `views_of`, which knows the file
        return stored
    return np.where((share > BACKGROUND) & (share <= SURFACE), np.nan, stored)
