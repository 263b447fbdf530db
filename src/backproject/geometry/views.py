"""Depth maps with their cameras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backproject.errors import InputError
from backproject.geometry.conventions import (
    Axes,
    Encoding,
    Pose,
    check_encoding,
    ray_lengths,
    rig_of,
)
from backproject.geometry.rig import Rig
from backproject.geometry.transform import Similarity


@dataclass(frozen=True)
class Assumption:
    """What was taken for granted when depth was read: `about` what, what was `taken`, `because` of
    what.
    """

    about: str
    taken: str
    because: str


@dataclass(frozen=True)
class ViewSet:
    """N depth maps and the rig that took them: all that a reconstruction is ever given.

    `depth` (N, H, W) float32, planar z in scene units at pixel centres:
    finite (above 0) is a surface with free space before it, `inf` a ray known to hit nothing, `nan`
    not measured. `step` is the difference between neighbouring levels of depth, in scene units, if
    it was stored as integers, else 0: the surface lies within half of it. `assumptions` tell how a
    file's numbers were understood.
    """

    depth: NDArray[np.float32]
    rig: Rig
    step: float = 0.0
    assumptions: tuple[Assumption, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.step < np.inf:
            raise InputError(f"step: got {self.step}, expected 0 or more, in scene units")
        depth = np.ascontiguousarray(self.depth, np.float32)
        expected = (len(self.rig), self.rig.height, self.rig.width)
        if depth.shape != expected:
            raise InputError(
                f"depth: got shape {depth.shape}, expected {expected} (views, height, width)"
            )
        not_ahead = int((depth <= 0).sum())
        if not_ahead:
            raise InputError(
                f"depth: {not_ahead} pixels are 0 or negative; expected depth above 0,"
                " inf where a ray hits nothing, nan where nothing was measured"
            )
        object.__setattr__(self, "depth", depth)

    @classmethod
    def from_arrays(
        cls,
        depth: ArrayLike,
        intrinsics: ArrayLike,
        poses: ArrayLike,
        *,
        axes: Axes = "opencv",
        pose: Pose = "camera-to-world",
        pixel_center: float = 0.5,
        encoding: Encoding = "planar",
        orthographic: ArrayLike = False,
    ) -> ViewSet:
        """Return a view set from plain arrays.

        `depth` (N, H, W), inf = empty, nan = not measured; `intrinsics` (3, 3) or (N, 3, 3) in
        pixels; `poses` (N, 4, 4), world from camera with OpenCV axes. What differs is converted:
        `axes` "opengl" (y up, z back; Blender's too), `pose` "world-to-camera", `pixel_center` 0
        where the principal point counts from the first pixel's centre, `encoding` "ray" where depth
        is distance along the pixel's ray. Views that are `orthographic`, all or (N,) of them, have
        focal lengths in pixels a scene unit: the image's height in pixels over that in the scene.

        Raises:
            InputError: other shapes, cameras that cannot be, depth that is not above 0.

        """
        check_encoding(encoding)
        depth = np.asarray(depth, np.float32)
        if depth.ndim != 3:
            raise InputError(f"depth: got shape {depth.shape}, expected (N, H, W)")
        height, width = depth.shape[1:]
        rig = rig_of(
            intrinsics,
            poses,
            width,
            height,
            axes=axes,
            pose=pose,
            pixel_center=pixel_center,
            orthographic=orthographic,
        )
        if encoding == "ray" and len(depth) == len(rig):
            depth = np.stack([each / ray_lengths(rig, k) for k, each in enumerate(depth)])
        return cls(depth, rig)

    @classmethod
    def from_open3d(
        cls, cameras: Any, depth: Sequence[ArrayLike], *, per_unit: float | None = None
    ) -> ViewSet:
        """Return the views of Open3D's cameras and depth images, one for each.

        `cameras` is a `PinholeCameraTrajectory` or a list of `PinholeCameraParameters`; their
        extrinsic is world to camera, and their principal point counts from the first pixel's
        centre. `depth` are arrays (H, W) or Open3D's images, planar: inf = empty, nan and 0 = not
        measured. `per_unit` stored numbers make a scene unit (Open3D's `depth_scale`); by default
        1000 of integers, and 1 of floats.

        Raises:
            InputError: not an image for each camera, other sizes, cameras that cannot be.

        """
        parameters = list(getattr(cameras, "parameters", cameras))
        stored = _open3d_images(parameters, depth)
        whole = all(image.dtype.kind in "iu" for image in stored)
        per_unit = per_unit if per_unit is not None else 1000 if whole else 1
        if not 0 < per_unit < np.inf:
            raise InputError(f"per_unit: got {per_unit}, expected a number above 0")
        numbers = np.stack(stored).astype(np.float64)
        views = cls.from_arrays(
            np.where(numbers == 0, np.nan, numbers / per_unit),
            np.stack([np.asarray(camera.intrinsic.intrinsic_matrix) for camera in parameters]),
            np.stack([np.asarray(camera.extrinsic) for camera in parameters]),
            pose="world-to-camera",
            pixel_center=0,
        )
        return replace(views, step=1 / per_unit if whole else 0.0)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> ViewSet:
        """Return the views of any source that can be read, each by its own conventions: a capture
        folder, or what docs/formats.md lists. See `io.sources.registry`.
        """
        from backproject.io.sources.registry import read_views

        return read_views(path)

    def save(
        self, path: str | PathLike[str], *, depth_format: Literal["npy", "png", "exr"] = "npy"
    ) -> None:
        """Write a capture folder, depth as float `.npy`, 16-bit PNG or EXR; see `io.captures`."""
        from backproject.io.captures import write_capture

        write_capture(self, path, depth_format=depth_format)

    def __len__(self) -> int:
        return len(self.depth)

    @property
    def silhouettes(self) -> NDArray[np.bool_]:
        """Where a surface was seen, (N, H, W)."""
        return np.isfinite(self.depth)

    def subset(self, views: ArrayLike) -> ViewSet:
        """Return some of the views, by index (K,) or mask (N,), in the order given."""
        wanted = np.asarray(views)
        if wanted.size == 0:
            raise InputError("views: got an empty list, expected at least one view")
        try:
            chosen = np.arange(len(self))[wanted]
        except IndexError as error:
            raise InputError(f"views: got {views!r} of {len(self)} views: {error}") from None
        if chosen.ndim != 1 or len(chosen) == 0:
            raise InputError(f"views: got {views!r}, expected at least one view in a flat list")
        return replace(self, depth=self.depth[chosen], rig=self.rig.subset(chosen))

    def transformed(self, new_from_old: Similarity) -> ViewSet:
        """Return the same views of a scene that was moved, turned and scaled: depth scales
        along.
        """
        scale = new_from_old.scale
        return replace(
            self,
            depth=self.depth * np.float32(scale),
            rig=self.rig.transformed(new_from_old),
            step=self.step * float(scale),
        )


def _open3d_images(parameters: list[Any], depth: Sequence[ArrayLike]) -> list[NDArray[Any]]:
    """Return the images as arrays (H, W), each of the size that its camera says."""
    images = [np.asarray(image) for image in depth]
    if len(parameters) != len(images) or not images:
        raise InputError(
            f"depth: got {len(images)} images for {len(parameters)} cameras, expected as many,"
            " and at least one"
        )
    height, width = images[0].shape[:2] if images[0].ndim > 1 else (0, 0)
    for k, (camera, image) in enumerate(zip(parameters, images, strict=True)):
        said = camera.intrinsic.height, camera.intrinsic.width
        if said != (height, width) or image.shape not in (said, (*said, 1)):
            raise InputError(
                f"depth: image {k} has shape {image.shape} and its camera (height, width) {said},"
                f" expected {(height, width)} for both, as image 0"
            )
        if image.dtype.kind not in "fiu":
            raise InputError(f"depth: image {k} holds {image.dtype}, expected numbers")
    return [image.reshape(height, width) for image in images]
