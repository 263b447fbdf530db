"""Cameras: one, pinhole or orthographic, and a rig of several."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from os import PathLike

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backproject.errors import InputError
from backproject.geometry.transform import Similarity, are_rotations, check_rotation

DODECAHEDRON_DIRECTIONS = np.array(
    [
        (-0.57735, -0.57735, 0.57735), (0.934172, 0.356822, 0), (0.934172, -0.356822, 0),
        (-0.934172, 0.356822, 0), (-0.934172, -0.356822, 0), (0, 0.934172, 0.356822),
        (0, 0.934172, -0.356822), (0.356822, 0, -0.934172), (-0.356822, 0, -0.934172),
        (0, -0.934172, -0.356822), (0, -0.934172, 0.356822), (0.356822, 0, 0.934172),
        (-0.356822, 0, 0.934172), (0.57735, 0.57735, -0.57735), (0.57735, 0.57735, 0.57735),
        (-0.57735, 0.57735, -0.57735), (-0.57735, 0.57735, 0.57735), (0.57735, -0.57735, -0.57735),
        (0.57735, -0.57735, 0.57735), (-0.57735, -0.57735, -0.57735),
    ]
)  # fmt: skip
"""The 20 camera directions of Soltani et al. (CVPR 2017), digits and order as in their
`camPosList.txt`.
"""


@dataclass(frozen=True)
class Camera:
    """A camera, a pinhole or orthographic.

    Axes are OpenCV's, seen from behind the camera, with pixel (0, 0)'s corner at the image's upper
    left:

              z (forward, depth grows)
             /
            o----> x (right, columns)
            |
            v y (down, rows)

    `intrinsics` (3, 3) without skew, in pixels, and focal lengths of an `orthographic` camera in
    pixels a scene unit; `world_from_camera` (4, 4); `width`, `height` in pixels. The rays of an
    orthographic camera begin on the plane z = 0 and are parallel to z.
    """

    intrinsics: NDArray[np.float64]
    world_from_camera: NDArray[np.float64]
    width: int
    height: int
    orthographic: bool = False

    @property
    def camera_from_world(self) -> NDArray[np.float64]:
        """The inverse pose, (4, 4)."""
        return invert_poses(self.world_from_camera)

    @property
    def center_world(self) -> NDArray[np.float64]:
        """Where the camera stands, (3,)."""
        return self.world_from_camera[:3, 3]

    def project(self, points_world: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return pixel coordinates (..., 2) and planar depth (...) of world points (..., 3)."""
        pose = self.camera_from_world
        points_camera = np.asarray(points_world, np.float64) @ pose[:3, :3].T + pose[:3, 3]
        depth = points_camera[..., 2]
        slopes = points_camera[..., :2]
        if not self.orthographic:
            with np.errstate(divide="ignore", invalid="ignore"):
                slopes = slopes / depth[..., None]
        focal = self.intrinsics[(0, 1), (0, 1)]
        return slopes * focal + self.intrinsics[:2, 2], depth

    def unproject(self, pixels: ArrayLike, depth: ArrayLike) -> NDArray[np.float64]:
        """Return the world points (..., 3) seen at pixel coordinates (..., 2) at planar depth
        (...).
        """
        pixels = np.asarray(pixels, np.float64)
        focal = self.intrinsics[(0, 1), (0, 1)]
        slopes = (pixels - self.intrinsics[:2, 2]) / focal
        depth = np.asarray(depth, np.float64)[..., None]
        spread = np.ones_like(depth) if self.orthographic else depth
        across, down = slopes[..., :1] * spread, slopes[..., 1:] * spread
        depth = np.broadcast_to(depth, across.shape)
        points_camera = np.concatenate([across, down, depth], axis=-1)
        pose = self.world_from_camera
        return points_camera @ pose[:3, :3].T + pose[:3, 3]


@dataclass(frozen=True)
class Rig:
    """N cameras of one image size: `intrinsics` (N, 3, 3) in pixels, `world_from_camera` (N, 4,
    4), `width` and `height` in pixels. Those that are `orthographic` (N,) have focal lengths in
    pixels a scene unit, see `Camera`.
    """

    intrinsics: NDArray[np.float64]
    world_from_camera: NDArray[np.float64]
    width: int
    height: int
    orthographic: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((), np.bool_))

    def __post_init__(self) -> None:
        poses = np.asarray(self.world_from_camera, np.float64)
        if poses.ndim != 3 or poses.shape[1:] != (4, 4) or len(poses) == 0:
            raise InputError(f"world_from_camera: got shape {poses.shape}, expected (N, 4, 4)")
        intrinsics = np.asarray(self.intrinsics, np.float64)
        if intrinsics.shape == (3, 3):
            intrinsics = np.repeat(intrinsics[None], len(poses), axis=0)
        orthographic = np.asarray(self.orthographic)
        if orthographic.dtype != np.bool_ or orthographic.shape not in ((), (len(poses),)):
            raise InputError(
                f"orthographic: got {orthographic.dtype} of shape {orthographic.shape}, expected"
                f" True or False, for all views or for each of {len(poses)}"
            )
        # contiguous: kernels are compiled for that
        object.__setattr__(self, "intrinsics", np.ascontiguousarray(intrinsics))
        object.__setattr__(self, "world_from_camera", np.ascontiguousarray(poses))
        object.__setattr__(self, "orthographic", np.zeros(len(poses), np.bool_) | orthographic)
        object.__setattr__(self, "width", int(self.width))
        object.__setattr__(self, "height", int(self.height))
        if self.width < 1 or self.height < 1:
            raise InputError(f"image size: got {self.width} x {self.height}, expected at least 1")
        _check_intrinsics(intrinsics, len(poses))
        check_poses(poses, "world_from_camera")

    def __len__(self) -> int:
        return len(self.world_from_camera)

    def __getitem__(self, k: int) -> Camera:
        return Camera(
            self.intrinsics[k],
            self.world_from_camera[k],
            self.width,
            self.height,
            bool(self.orthographic[k]),
        )

    def __iter__(self) -> Iterator[Camera]:
        return (self[k] for k in range(len(self)))

    @property
    def camera_from_world(self) -> NDArray[np.float64]:
        """The inverse poses, (N, 4, 4)."""
        return invert_poses(self.world_from_camera)

    @property
    def centers_world(self) -> NDArray[np.float64]:
        """Where the cameras stand, (N, 3)."""
        return self.world_from_camera[:, :3, 3]

    @property
    def eyes_world(self) -> NDArray[np.float64]:
        """Where lines of sight meet, (N, 4), homogeneous: (center, 1), or (-axis, 0) of the
        orthographic ones, which meet nowhere. `eye[:3] - eye[3] * point` leads to the camera.
        """
        eyes = np.concatenate([self.centers_world, np.ones((len(self), 1))], axis=1)
        eyes[self.orthographic, :3] = -self.world_from_camera[self.orthographic, :3, 2]
        eyes[self.orthographic, 3] = 0
        return eyes

    def subset(self, chosen: NDArray[np.intp]) -> Rig:
        """Return some of the cameras, by index (K,), in the order given."""
        return replace(
            self,
            intrinsics=self.intrinsics[chosen],
            world_from_camera=self.world_from_camera[chosen],
            orthographic=self.orthographic[chosen],
        )

    def transformed(self, new_from_old: Similarity) -> Rig:
        """Return the same cameras in another frame: moved and turned; a scale moves them, and
        changes the pixels a unit of the orthographic ones.
        """
        intrinsics = self.intrinsics.copy()
        intrinsics[self.orthographic, :2, :2] /= new_from_old.scale
        poses = self.world_from_camera.copy()
        poses[:, :3, :3] = new_from_old.rotation @ poses[:, :3, :3]
        poses[:, :3, 3] = new_from_old.apply(self.centers_world)
        return replace(self, intrinsics=intrinsics, world_from_camera=poses)

    @classmethod
    def looking_at(
        cls,
        positions: ArrayLike,
        *,
        target: ArrayLike = (0.0, 0.0, 0.0),
        up: ArrayLike = (0.0, 1.0, 0.0),
        size: int | tuple[int, int] = 224,
        fov_deg: float = 43.0,
        extent: float | None = None,
    ) -> Rig:
        """Return cameras at `positions` (N, 3) that look at `target`, upright along `up`
        (gluLookAt).

        `size` is the image's side, or (width, height), in pixels; `fov_deg` the vertical field of
        view. With `extent`, cameras are orthographic instead: it is the full height of their
        images, in scene units.
        """
        positions = np.asarray(positions, np.float64)
        if positions.ndim != 2 or positions.shape[1] != 3 or len(positions) == 0:
            raise InputError(f"camera positions: got shape {positions.shape}, expected (N, 3)")
        width, height = size if isinstance(size, tuple) else (int(size), int(size))
        poses = np.stack([look_at(position, target=target, up=up) for position in positions])
        if extent is None:
            return cls(intrinsics_from_fov(width, height, fov_deg=fov_deg), poses, width, height)
        intrinsics = intrinsics_from_extent(width, height, extent=extent)
        return cls(intrinsics, poses, width, height, np.array(True))

    @classmethod
    def dodecahedron(
        cls,
        *,
        distance: float = 1.5,
        size: int | tuple[int, int] = 224,
        fov_deg: float = 43.0,
        extent: float | None = None,
    ) -> Rig:
        """Return the paper's 20 cameras, in the paper's order (Soltani et al., CVPR 2017).

        `distance` from the origin in scene units; `size`, `fov_deg` and `extent` as in
        `looking_at`.
        """
        return cls.looking_at(
            DODECAHEDRON_DIRECTIONS * _positive(distance, "distance"),
            size=size,
            fov_deg=fov_deg,
            extent=extent,
        )

    @classmethod
    def fibonacci(
        cls,
        count: int,
        *,
        distance: float = 1.5,
        size: int | tuple[int, int] = 224,
        fov_deg: float = 43.0,
        extent: float | None = None,
    ) -> Rig:
        """Return `count` cameras spread evenly over a sphere (the Fibonacci lattice; González
        2010).

        `distance` from the origin in scene units; `size`, `fov_deg` and `extent` as in
        `looking_at`.
        """
        steps = np.arange(_count(count)) + 0.5
        height = 1 - 2 * steps / count
        angle = steps * np.pi * (3 - np.sqrt(5))
        around = np.sqrt(1 - height**2)
        directions = np.stack([around * np.cos(angle), height, around * np.sin(angle)], axis=1)
        return cls.looking_at(
            directions * _positive(distance, "distance"), size=size, fov_deg=fov_deg, extent=extent
        )

    @classmethod
    def turntable(
        cls,
        count: int,
        *,
        elevation_deg: float = 20.0,
        distance: float = 1.5,
        size: int | tuple[int, int] = 224,
        fov_deg: float = 43.0,
        extent: float | None = None,
    ) -> Rig:
        """Return `count` cameras evenly around the y axis, `elevation_deg` above the horizon, from
        +z towards +x.

        `distance` from the origin in scene units; `size`, `fov_deg` and `extent` as in
        `looking_at`.
        """
        angle = np.arange(_count(count)) * 2 * np.pi / count
        elevation = np.radians(elevation_deg)
        directions = np.stack(
            [
                np.cos(elevation) * np.sin(angle),
                np.full(count, np.sin(elevation)),
                np.cos(elevation) * np.cos(angle),
            ],
            axis=1,
        )
        return cls.looking_at(
            directions * _positive(distance, "distance"), size=size, fov_deg=fov_deg, extent=extent
        )

    @classmethod
    def load(
        cls,
        path: str | PathLike[str],
        *,
        distance: float | None = 1.5,
        size: int | tuple[int, int] = 224,
        fov_deg: float = 43.0,
        extent: float | None = None,
    ) -> Rig:
        """Return cameras of a camera-list file, all `distance` from the origin; see `io.rigs`.

        The list's numbers are directions, of any length. With `distance=None` they are positions,
        in scene units. `size`, `fov_deg` and `extent` as in
        `looking_at`.
        """
        from backproject.io.rigs import read_camera_list

        positions = read_camera_list(path)
        if distance is not None:
            lengths = np.linalg.norm(positions, axis=1, keepdims=True)
            positions = positions / lengths * _positive(distance, "distance")
        return cls.looking_at(positions, size=size, fov_deg=fov_deg, extent=extent)


@dataclass(frozen=True)
class RigSettings:
    """Where the cameras stand, and what they are."""

    rig: str = "dodecahedron"
    """dodecahedron (the paper's 20), fibonacci:N, turntable:N, or a file of `x y z` lines."""
    size: int = 224
    """Width and height of a depth map, in pixels."""
    fov: float = 43.0
    """Vertical field of view, in degrees."""
    distance: float = 1.5
    """From the object's centre, in diameters of the object."""
    orthographic: float | None = None
    """Orthographic cameras, in place of --fov: the height of their images, in diameters."""

    def build(self) -> Rig:
        """Return the rig, around the origin.

        Raises:
            InputError: numbers that make no camera, or a rig of no known name that is no file.

        """
        name, _, count = self.rig.partition(":")
        distance, size, fov, extent = self.distance, self.size, self.fov, self.orthographic
        if self.rig == "dodecahedron":
            return Rig.dodecahedron(distance=distance, size=size, fov_deg=fov, extent=extent)
        if name in ("fibonacci", "turntable"):
            if not count.isdecimal() or int(count) < 1:
                raise InputError(f"rig: got {self.rig!r}, expected {name}:N with N cameras, N > 0")
            around = Rig.fibonacci if name == "fibonacci" else Rig.turntable
            return around(int(count), distance=distance, size=size, fov_deg=fov, extent=extent)
        return Rig.load(self.rig, distance=distance, size=size, fov_deg=fov, extent=extent)


def look_at(
    position: ArrayLike, *, target: ArrayLike = (0.0, 0.0, 0.0), up: ArrayLike = (0.0, 1.0, 0.0)
) -> NDArray[np.float64]:
    """Return `world_from_camera` (4, 4) of a camera at `position` that looks at `target`, as
    gluLookAt.

    Where the line of sight is parallel to `up`, gluLookAt has no answer; the axis least parallel to
    it then stands in for `up`.
    """
    position, target, up = (np.asarray(v, np.float64) for v in (position, target, up))
    forward = target - position
    length = np.linalg.norm(forward)
    if not np.isfinite(length) or length == 0:
        raise InputError(f"camera position: got {position}, expected a point off the target")
    forward = forward / length
    right = np.cross(forward, up)
    if np.linalg.norm(right) < 1e-6 * np.linalg.norm(up):
        right = np.cross(forward, np.eye(3)[np.argmin(np.abs(forward))])
    right = right / np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    pose[:3, 3] = position
    return pose


def intrinsics_from_fov(width: int, height: int, *, fov_deg: float) -> NDArray[np.float64]:
    """Return intrinsics (3, 3) with square pixels, centred, for a vertical field of view in
    degrees.
    """
    if not 0 < fov_deg < 180:
        raise InputError(f"field of view: got {fov_deg} degrees, expected between 0 and 180")
    focal = height / 2 / np.tan(np.radians(fov_deg) / 2)
    return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])


def intrinsics_from_extent(width: int, height: int, *, extent: float) -> NDArray[np.float64]:
    """Return intrinsics (3, 3) of an orthographic camera with square pixels, centred, whose image
    is `extent` scene units high.
    """
    focal = height / _positive(extent, "extent")
    return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])


def invert_poses(poses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the inverses of rigid transforms (..., 4, 4)."""
    inverse = np.zeros_like(poses)
    rotation = np.swapaxes(poses[..., :3, :3], -1, -2)
    inverse[..., :3, :3] = rotation
    inverse[..., :3, 3] = -(rotation @ poses[..., :3, 3, None])[..., 0]
    inverse[..., 3, 3] = 1
    return inverse


def _check_intrinsics(intrinsics: NDArray[np.float64], count: int) -> None:
    if intrinsics.shape != (count, 3, 3):
        raise InputError(
            f"intrinsics: got shape {intrinsics.shape}, expected (3, 3) or ({count}, 3, 3)"
        )
    focal = intrinsics[:, (0, 1), (0, 1)]
    if not (np.isfinite(intrinsics).all() and (focal > 0).all()):
        raise InputError(
            f"intrinsics: got focal lengths down to {focal.min():g},"
            " expected finite numbers and focal lengths above 0"
        )
    skew_free = intrinsics * np.array([[1, 0, 1], [0, 1, 1], [0, 0, 1]])
    if not (np.array_equal(skew_free, intrinsics) and (intrinsics[:, 2, 2] == 1).all()):
        raise InputError(
            "intrinsics: expected [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], without skew;"
            f" got {intrinsics[0].tolist()}"
        )


def check_poses(poses: NDArray[np.float64], name: str) -> None:
    """Refuse matrices (N, 4, 4) one of which is no rigid pose.

    Raises:
        InputError: as `check_pose`, of the first one.

    """
    sound = are_rotations(poses[:, :3, :3]) & np.isfinite(poses[:, :3, 3]).all(axis=1)
    sound &= np.isclose(poses[:, 3], (0, 0, 0, 1)).all(axis=1)
    for k in np.flatnonzero(~sound).tolist():
        check_pose(poses[k], f"{name} of view {k}")


def check_pose(pose: NDArray[np.float64], name: str) -> None:
    """Refuse a matrix (4, 4) that is no rigid pose.

    Raises:
        InputError: no rotation, numbers that are not finite, or another last row.

    """
    check_rotation(pose[:3, :3], name)
    if not np.isfinite(pose).all() or not np.allclose(pose[3], (0, 0, 0, 1)):
        raise InputError(
            f"{name}: got last row {pose[3].tolist()} and translation {pose[:3, 3].tolist()},"
            " expected [0, 0, 0, 1] and finite numbers"
        )


def _positive(value: float, name: str) -> float:
    if not (np.isfinite(value) and value > 0):
        raise InputError(f"{name}: got {value}, expected a number above 0")
    return float(value)


def _count(count: int) -> int:
    if count < 1:
        raise InputError(f"number of cameras: got {count}, expected at least 1")
    return count
