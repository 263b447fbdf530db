"""What every source of depth maps gives, what a user may say about it, and how both become views.

A source's reader finds files and reads numbers. It converts nothing: what the numbers mean is said
in the fields of `Found`, by the source's own convention, and every field can be overruled by the
user's word (`Asked`). The one conversion to this package's conventions is `views_of`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backproject.errors import FormatError, InputError
from backproject.geometry.colors import Colors
from backproject.geometry.conventions import FLIP as FLIP  # for readers of sources
from backproject.geometry.conventions import Axes as Axes
from backproject.geometry.conventions import Encoding as Encoding
from backproject.geometry.conventions import Pose as Pose
from backproject.geometry.conventions import ray_lengths as ray_lengths
from backproject.geometry.conventions import rig_of
from backproject.geometry.rig import Rig, intrinsics_from_extent
from backproject.geometry.views import Assumption, ViewSet
from backproject.io.depth_images import DepthCode, Stored
from backproject.io.mixed import without_mixed

NO_COLOR = ("colour", "none")
"""What is told, with a reason, where there are colour images and they are not taken."""
_OF_LENSES = ("field of view", "focal length", "principal point", "intrinsics")
"""What readers tell of a pinhole's lens."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What you know of the source: it wins over the source's own convention (None)."""

    encoding: Encoding | None = None
    """planar: depth along the optical axis. ray: distance along the pixel's ray."""
    depth_scale: float | None = None
    """Scene units for each stored number: 0.001 if millimetres are stored and metres wanted."""
    near: float | None = None
    """With --far: the depth that the least stored number stands for (the greatest if inverted)."""
    far: float | None = None
    """The depth that the greatest stored number stands for (the least if inverted)."""
    inverted: bool = False
    """White is near."""
    not_inverted: bool = False
    """Black is near, although the source's own convention is white."""
    background: float | None = None
    """The stored number of a pixel whose ray hits nothing; by default of most formats there is
    none, and 0 is not measured."""
    pixel_center: float | None = None
    """Where the first pixel's centre lies: 0.5, or 0 if the principal point counts from there."""
    axes: Axes | None = None
    """The camera's axes: opencv (y down, z forward) or opengl (y up, z back; Blender too)."""
    pose: Pose | None = None
    """What the source's pose matrices are."""
    camera_file: Path | None = None
    """Cameras for depth images that come without: anything with cameras that can be read, or a
    list of positions, one `x y z` a line."""
    fov: float | None = None
    """Vertical field of view, in degrees, for cameras that come without."""
    orthographic: float | None = None
    """The cameras are orthographic, and their images so high, in the unit of the camera positions;
    whatever lens the source tells of."""
    distance: float | None = None
    """Distance of the cameras from the centre, for camera directions."""
    model: str | None = None
    """Which model, where a source holds several: its name, or its number in a sprite sheet."""
    cell: int | None = None
    """Width and height of one image in a sprite sheet, in pixels."""
    color_folder: Path | None = None
    """Folder of colour images that show the same as the depth images, named as these are."""
    without_color: bool = False
    """Leave colours out, though they are there."""
    allow_outside: bool = False
    """Follow paths in files that leave the source's folder."""

    @property
    def looks_for_color(self) -> bool:
        """Whether a source's own colour images are wanted."""
        return not self.without_color and self.color_folder is None

    def check(self) -> None:
        """Refuse what cannot be.

        Raises:
            InputError: numbers that mean nothing, or options that contradict each other.

        """
        for name in ("depth_scale", "near", "far", "fov", "orthographic", "distance", "cell"):
            value = getattr(self, name)
            if value is not None and not 0 < value < np.inf:
                raise InputError(f"{_option(name)}: got {value}, expected a number above 0")
        if (self.near is None) != (self.far is None):
            given, missing = ("near", "far") if self.far is None else ("far", "near")
            raise InputError(f"--{given}: got it without --{missing}, expected both or neither")
        if self.near is not None and self.far is not None and self.near >= self.far:
            raise InputError(f"--near {self.near:g}: expected less than --far {self.far:g}")
        if self.near is not None and self.depth_scale is not None:
            raise InputError("--depth-scale: got it with --near and --far, expected one or other")
        if self.orthographic is not None and self.fov is not None:
            raise InputError("--orthographic: got it with --fov, expected one or other")
        if self.without_color and self.color_folder is not None:
            raise InputError("--without-color: got it with --color-folder, expected one of them")
        if self.inverted and self.not_inverted:
            raise InputError("--inverted: got it with --not-inverted, expected one of them")
        if self.pixel_center not in (None, 0, 0.5):
            raise InputError(f"--pixel-center: got {self.pixel_center}, expected 0.5 or 0")
        if self.background is not None and np.isnan(self.background):
            raise InputError("--background: got nan, which is never a surface; leave it out")


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a source holds, as it stands there: N views, and what their numbers mean.

    `stored` are N arrays (H, W), `files` where each came from, `cameras` where the cameras did, for
    errors; `intrinsics` (N, 3, 3) in pixels, of cameras that are `orthographic` (all, or (N,)) in
    pixels a scene unit;
    `poses` (N, 4, 4). `masks` are N arrays (H, W), False where nothing is hit, or none. `levels` is
    the largest number that can be stored where near and far span all of them: 255, 65535, or 1 for
    floats. `assumptions` tell what the reader decided and why; what the fields below mean and the
    user overrules is told by `views_of`.
    """

    source: str
    stored: Sequence[Stored]
    files: Sequence[Path]
    cameras: Path
    intrinsics: NDArray[np.float64]
    poses: NDArray[np.float64]
    code: DepthCode
    code_because: str
    encoding: Encoding = "planar"
    axes: Axes = "opencv"
    pose: Pose = "camera-to-world"
    pixel_center: float = 0.5
    because: str = "the source's convention"
    orthographic: bool | NDArray[np.bool_] = False
    masks: Sequence[NDArray[np.bool_]] | None = None
    colors: Sequence[Colors] | None = None
    """N arrays (H, W, 3), of the same pixels as `stored`."""
    levels: float | None = None
    mixed: bool = False
    """Whether pixels along a silhouette may hold a mixture of surface and background."""
    assumptions: Sequence[Assumption] = ()
    stored_step: float | None = None
    """Difference between neighbouring levels, in stored numbers; None: 1 for integers, else 0."""
    history: Sequence[Assumption] | None = None
    """What was told when the views were first read, if this program stored them: it holds still,
    and only what the user overrules is told beside it."""


@dataclass(frozen=True, kw_only=True)
class Cameras:
    """What a source tells of cameras alone, for depth images that come without: N of them.

    `file` is where they came from; `intrinsics` (N, 3, 3) in pixels (a scene unit, of those that
    are `orthographic`) and `poses` (N, 4, 4) as they stand there. `names` are the N images that
    they took, if told, and `sizes` their (width, height), if told: depth images are found by the
    first and checked by the second.
    """

    file: Path
    intrinsics: NDArray[np.float64]
    poses: NDArray[np.float64]
    names: Sequence[str] | None = None
    sizes: Sequence[tuple[int, int]] | None = None
    axes: Axes = "opencv"
    pose: Pose = "camera-to-world"
    pixel_center: float = 0.5
    because: str = "the source's convention"
    orthographic: bool | NDArray[np.bool_] = False
    assumptions: Sequence[Assumption] = ()


@dataclass(frozen=True)
class Source:
    """One kind of source: its `name`, the `files` it consists of, `what` is read from them.

    `recognises` tells of a path whether it is one, and never raises; `read` raises only the
    package's own errors, whatever the files hold. `write` is there if it can be written too, and
    `cameras` if its cameras can be read alone, for depth images (H, W) that come without.
    """

    name: str
    files: str
    what: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path, Asked], Found]
    write: Callable[[ViewSet, Path], None] | None = None
    cameras: Callable[[Path, Asked, tuple[int, int]], Cameras] | None = None


def views_of(found: Found, asked: Asked) -> ViewSet:
    """Return the views that a source holds, in this package's conventions.

    Raises:
        FormatError: images of several sizes, as many cameras as there are not images, poses that
            are none, depth that is not above 0.

    """
    found, told = _overruled(found, asked)
    sizes = [stored.shape for stored in found.stored]
    if len(set(sizes)) > 1:
        other = next(k for k, size in enumerate(sizes) if size != sizes[0])
        raise FormatError(
            f"{found.files[other]}: {_size(sizes[other])} pixels, expected"
            f" {_size(sizes[0])} as in {found.files[0].name}: one size for all views"
        )
    if len(found.poses) != len(sizes):
        raise FormatError(
            f"{found.files[0].parent}: {len(sizes)} depth images for {len(found.poses)} cameras,"
            " expected as many: is an image missing, or does the camera list belong to others?"
        )
    height, width = sizes[0]
    if asked.orthographic is not None:
        found = _flattened(found, width, height, asked.orthographic)
        taken = f"orthographic, images {asked.orthographic:g} high"
        told.append(Assumption("projection", taken, "--orthographic says so"))
    rig = _rig(found, width, height)
    depth = np.stack([_decoded(found, k, rig) for k in range(len(sizes))])
    stored_step = found.stored_step
    if stored_step is None:
        stored_step = float(all(each.dtype.kind in "iu" for each in found.stored))
    if found.mixed:
        depth, edges = without_mixed(depth, rig)
        told.append(edges)
    notes = (Assumption("source", found.source, "its files"), *found.assumptions, *told)
    if found.history is not None:
        lost = (note for note in found.assumptions if (note.about, note.taken) == NO_COLOR)
        notes = (*found.history, *lost, *(note for note in told if _is_asked(note)))
    colors = None if found.colors is None else np.stack(found.colors)
    step = abs(found.code.scale) * stored_step
    return ViewSet(depth, rig, step=step, assumptions=notes, colors=colors)


def _overruled(found: Found, asked: Asked) -> tuple[Found, list[Assumption]]:
    """Return the source with the user's word in place of its own, and what holds now and why."""
    told = []
    for name in ("encoding", "axes", "pose", "pixel_center"):
        value = getattr(asked, name)
        if value is not None:
            found = replace(found, **{name: value})
        because = found.because if value is None else f"{_option(name)} says so"
        told.append(Assumption(name.replace("_", " "), str(getattr(found, name)), because))
    code, because = found.code, found.code_because
    if asked.near is not None and asked.far is not None:
        levels = found.levels or _levels(found.stored)
        inverted = asked.inverted or (code.scale < 0 and not asked.not_inverted)
        code = replace(code.between(asked.near, asked.far, levels, inverted=inverted))
        because = "--near and --far say so"
    elif asked.depth_scale is not None:
        code, because = replace(code, scale=asked.depth_scale, base=0.0), "--depth-scale says so"
    elif (asked.inverted and code.scale > 0) or (asked.not_inverted and code.scale < 0):
        if not code.base and not found.levels:
            raise InputError("--inverted: needs --near and --far, to know what white and black are")
        levels = found.levels or _levels(found.stored)
        ends = code.base, code.base + code.scale * levels
        code = code.between(min(ends), max(ends), levels, inverted=asked.inverted)
        because = f"--{'' if asked.inverted else 'not-'}inverted says so"
    told.append(Assumption("depth", code.told(), because))
    if asked.background is not None:
        # Where depth starts at a near plane, 0 is a depth; elsewhere it stays what it was.
        kept = None if code.base else code.not_measured
        code = replace(code, empty=asked.background, not_measured=kept)
        told.append(Assumption("background", f"{asked.background:g}", "--background says so"))
    return replace(found, code=code), told


def _levels(stored: Sequence[Stored]) -> float:
    """Return the number that stands for the far end of the stored type."""
    kind = np.result_type(*stored)
    return float(np.iinfo(kind).max) if np.issubdtype(kind, np.integer) else 1.0


def _rig(found: Found, width: int, height: int) -> Rig:
    try:
        return rig_of(
            found.intrinsics,
            found.poses,
            width,
            height,
            axes=found.axes,
            pose=found.pose,
            pixel_center=found.pixel_center,
            orthographic=found.orthographic,
        )
    except InputError as error:
        raise FormatError(f"{found.cameras}: {error}") from error


def _flattened(found: Found, width: int, height: int, extent: float) -> Found:
    """Return the source with orthographic cameras, whatever lens it tells of."""
    matrix = intrinsics_from_extent(width, height, extent=extent)
    matrix[:2, 2] -= 0.5 - found.pixel_center
    return replace(
        found,
        intrinsics=np.repeat(matrix[None], len(found.poses), axis=0),
        orthographic=True,
        assumptions=[each for each in found.assumptions if each.about not in _OF_LENSES],
    )


def refuse_orthographic(views: ViewSet, format: str) -> None:
    """Refuse to write orthographic views where there is no way to say so.

    Raises:
        InputError: some view is orthographic.

    """
    count = int(views.rig.orthographic.sum())
    if count:
        raise InputError(
            f"views: {count} of {len(views)} are orthographic, which {format} cannot say, expected"
            " pinholes; a capture (transforms.json) or an npz can"
        )


def _decoded(found: Found, k: int, rig: Rig) -> NDArray[np.float32]:
    """Return the depth map of a view, (H, W)."""
    depth = found.code.decode(found.stored[k])
    if found.masks is not None:
        mask = found.masks[k]
        if mask.shape != depth.shape:
            raise FormatError(
                f"{found.files[k]}: its mask is {_size(mask.shape)} pixels,"
                f" expected {_size(depth.shape)} like the image"
            )
        depth[~mask] = np.inf
    if found.encoding == "ray":
        depth = (depth / ray_lengths(rig, k)).astype(np.float32)
    wrong = int((depth <= 0).sum())
    if wrong:
        raise FormatError(
            f"{found.files[k]}: {wrong} pixels have depth {np.nanmin(depth):g} or so,"
            " expected depth above 0 along the optical axis: is its encoding another one?"
        )
    return depth


def _is_asked(note: Assumption) -> bool:
    return note.because.startswith("--")


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]}"
