"""What other programs' camera matrices and depth may mean, and what they are in this package's own
conventions.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backproject.errors import InputError
from backproject.geometry.rig import Rig, check_poses

Encoding = Literal["planar", "ray"]
Axes = Literal["opencv", "opengl"]
Pose = Literal["camera-to-world", "world-to-camera"]
FLIP = np.array([1.0, -1.0, -1.0, 1.0])
"""Times the columns of a pose: OpenGL's camera axes to OpenCV's, and back."""


def rig_of(
    intrinsics: ArrayLike,
    poses: ArrayLike,
    width: int,
    height: int,
    *,
    axes: Axes = "opencv",
    pose: Pose = "camera-to-world",
    pixel_center: float = 0.5,
    orthographic: ArrayLike = False,
) -> Rig:
    """Return the rig of matrices in any convention.

    `intrinsics` (3, 3) or (N, 3, 3) in pixels, focal lengths of the views that are `orthographic`
    (all, or (N,)) in pixels a scene unit; their principal point counts from where the first
    pixel's centre is `pixel_center`: 0.5 or 0. `poses` (N, 4, 4) are what `pose` says, of cameras
    with these `axes`: opencv (y down, z forward) or opengl (y up, z back; Blender's too).

    Raises:
        InputError: matrices of other shapes or that are no camera's, an unknown convention.

    """
    _check_known("axes", axes, ("opencv", "opengl"))
    _check_known("pose", pose, ("camera-to-world", "world-to-camera"))
    _check_known("pixel_center", pixel_center, (0.5, 0))
    matrices: NDArray[np.float64] = np.array(poses, np.float64)
    pinholes: NDArray[np.float64] = np.array(intrinsics, np.float64)
    if pose == "world-to-camera" and matrices.ndim == 3 and matrices.shape[1:] == (4, 4):
        check_poses(matrices, "camera_from_world")
        matrices = np.asarray(np.linalg.inv(matrices), np.float64)
    if axes == "opengl" and matrices.shape[-1:] == (4,):
        matrices = np.asarray(matrices * FLIP)
    if pinholes.shape[-2:] == (3, 3):
        pinholes[..., :2, 2] += 0.5 - pixel_center
    return Rig(pinholes, matrices, width, height, np.asarray(orthographic))


def ray_lengths(rig: Rig, k: int) -> NDArray[np.float64]:
    """Return how long a ray of planar depth 1 is, (H, W), through each pixel's centre of view k:
    distance along the ray divided by it is planar depth. 1 in an orthographic view.
    """
    if rig.orthographic[k]:
        return np.ones((rig.height, rig.width))
    fx, fy = rig.intrinsics[k, 0, 0], rig.intrinsics[k, 1, 1]
    cx, cy = rig.intrinsics[k, :2, 2]
    x = (np.arange(rig.width) + 0.5 - cx) / fx
    y = (np.arange(rig.height) + 0.5 - cy) / fy
    return np.asarray(np.sqrt(1 + x[None, :] ** 2 + y[:, None] ** 2))


def check_encoding(encoding: str) -> None:
    """Refuse what depth cannot be.

    Raises:
        InputError: neither planar nor ray.

    """
    _check_known("encoding", encoding, ("planar", "ray"))


def _check_known(name: str, value: object, known: tuple[object, ...]) -> None:
    if value not in known:
        expected = " or ".join(map(repr, known))
        raise InputError(f"{name}: got {value!r}, expected {expected}")
