# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's cameras to this package's, and back.

In Blender a camera holds its lens, and the scene the image: its size and the shape of its pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from backproject.errors import InputError
from backproject.geometry.conventions import FLIP
from backproject.geometry.rig import Camera, Rig, check_pose

PERSPECTIVE, ORTHOGRAPHIC = "PERSP", "ORTHO"
SENSOR = 24.0
"""The height of a new camera's sensor, in millimetres: that of 35 mm film."""
SHORTEST_LENS = 1.0
"""The shortest lens that Blender takes, in millimetres: a wider view gets a larger sensor."""
SMALLEST, LARGEST = 4, 65536
"""The fewest and most pixels along a side that Blender renders."""
LONGEST_PIXEL = 200.0
"""The highest ratio of a pixel's sides that Blender takes."""


def camera_of(camera: Any, scene: Any) -> Camera:
    """Return what a camera object of `scene` is at the current frame, for the scene's resolution,
    percentage and pixel aspect, whatever its sensor fit and shift.

    Raises:
        InputError: no camera, one that is neither perspective nor orthographic, or one that is
            sheared.

    """
    return rig_of([camera], scene)[0]


def rig_of(cameras: Sequence[Any], scene: Any) -> Rig:
    """Return the rig of some camera objects of `scene`, in their order; see `camera_of`.

    Raises:
        InputError: there are none, or one of them cannot be.

    """
    if not cameras:
        raise InputError("cameras: got none, expected at least one camera object")
    for camera in cameras:
        _check_kind(camera)
    for layer in scene.view_layers:
        layer.update()  # or poses are those before the last change
    width, height = image_size(scene)
    return Rig(
        np.stack([_intrinsics(camera.data, scene) for camera in cameras]),
        np.stack([_pose(camera) for camera in cameras]),
        width,
        height,
        np.array([camera.data.type == ORTHOGRAPHIC for camera in cameras]),
    )


def add_rig(rig: Rig, collection_name: str, scene: Any) -> list[Any]:
    """Return new camera objects of `rig`, in its order, in a new collection of `scene`.

    The scene takes the rig's image size and pixel aspect, as cameras have none of their own in
    Blender: `rig_of` gives the rig back, up to the single precision in which Blender keeps it.

    Raises:
        InputError: cameras that Blender cannot express beside each other; nothing is added.

    """
    ratios = [pixel_ratio(camera) for camera in rig]
    if not np.allclose(ratios, ratios[0], rtol=1e-6, atol=0):  # Blender holds single precision
        raise InputError(
            f"rig: fy / fx goes from {min(ratios):g} to {max(ratios):g}, expected one ratio for all"
            " cameras: in Blender the shape of a pixel belongs to the scene"
        )
    set_image(scene, rig[0])
    collection = bpy.data.collections.new(collection_name)
    scene.collection.children.link(collection)
    digits = len(str(len(rig) - 1))
    added = []
    for k, camera in enumerate(rig):
        added.append(new_camera(f"{collection_name} {k:0{digits}}"))
        collection.objects.link(added[-1])
        place(added[-1], camera)
    for layer in scene.view_layers:
        layer.update()
    return added


def new_camera(name: str) -> Any:
    """Return a new camera object, not yet in any scene."""
    return bpy.data.objects.new(name, bpy.data.cameras.new(name))


def place(blender_camera: Any, camera: Camera) -> None:
    """Give a camera object the lens and the pose of `camera`, for an image as `set_image` makes."""
    data = blender_camera.data
    data.type = ORTHOGRAPHIC if camera.orthographic else PERSPECTIVE
    data.sensor_fit = "VERTICAL"
    if camera.orthographic:
        data.ortho_scale = camera.height / camera.intrinsics[1, 1]
    else:
        lens = camera.intrinsics[1, 1] * SENSOR / camera.height
        data.sensor_height = SENSOR * max(1.0, SHORTEST_LENS / lens)
        data.lens = lens * max(1.0, SHORTEST_LENS / lens)
        data.lens_unit = "FOV"  # shown as the vertical field of view that rigs are given by
    across = camera.height / pixel_ratio(camera)  # the sensor's height, in pixels' widths
    data.shift_x = (camera.width / 2 - camera.intrinsics[0, 2]) / across
    data.shift_y = (camera.intrinsics[1, 2] - camera.height / 2) / camera.height
    blender_camera.rotation_mode = "QUATERNION"  # Euler angles lose digits where two axes meet
    blender_camera.matrix_world = Matrix((camera.world_from_camera * FLIP).tolist())


def set_image(scene: Any, camera: Camera) -> None:
    """Give `scene` the image size and the pixel aspect of `camera`.

    Raises:
        InputError: an image or pixels that Blender cannot have.

    """
    ratio = pixel_ratio(camera)
    if (
        not SMALLEST
        <= min(camera.width, camera.height)
        <= max(camera.width, camera.height)
        <= LARGEST
    ):
        raise InputError(
            f"image size: got {camera.width} x {camera.height},"
            f" expected {SMALLEST} to {LARGEST} pixels a side, as Blender renders"
        )
    if not 1 / LONGEST_PIXEL <= ratio <= LONGEST_PIXEL:
        raise InputError(
            f"intrinsics: fy / fx is {ratio:g}, expected 1/{LONGEST_PIXEL:g} to {LONGEST_PIXEL:g},"
            " as Blender's pixel aspect"
        )
    render = scene.render
    render.resolution_x, render.resolution_y = camera.width, camera.height
    render.resolution_percentage = 100
    render.pixel_aspect_x, render.pixel_aspect_y = max(1.0, ratio), max(1.0, 1 / ratio)


def pixel_ratio(camera: Camera) -> float:
    """Return fy / fx: how much wider than high a pixel is."""
    return float(camera.intrinsics[1, 1] / camera.intrinsics[0, 0])


def image_size(scene: Any) -> tuple[int, int]:
    """Return the width and height of the images of `scene`, in pixels."""
    render = scene.render
    percent = render.resolution_percentage
    return render.resolution_x * percent // 100, render.resolution_y * percent // 100


def _intrinsics(data: Any, scene: Any) -> NDArray[np.float64]:
    """Return intrinsics (3, 3). The sensor, or the scale of an orthographic camera, spans `view`,
    counted in pixels' widths: the image's width or its height, whichever the camera was told to
    fit, or else the longer.
    """
    width, height = image_size(scene)
    ratio = scene.render.pixel_aspect_x / scene.render.pixel_aspect_y
    fit = data.sensor_fit
    if fit == "AUTO":
        fit = "HORIZONTAL" if width * ratio >= height else "VERTICAL"
    view = width if fit == "HORIZONTAL" else height / ratio
    sensor = data.sensor_height if data.sensor_fit == "VERTICAL" else data.sensor_width
    focal = data.lens / sensor * view
    if data.type == ORTHOGRAPHIC:
        focal = view / data.ortho_scale
    return np.array(
        [
            [focal, 0, width / 2 - data.shift_x * view],
            [0, focal * ratio, height / 2 + data.shift_y * view * ratio],
            [0, 0, 1],
        ]
    )


def _pose(camera: Any) -> NDArray[np.float64]:
    """Return world_from_camera (4, 4) with OpenCV axes. Blender's cameras ignore their scale."""
    pose = np.array(camera.matrix_world, np.float64)
    lengths = np.linalg.norm(pose[:3, :3], axis=0)
    if not (lengths > 0).all():
        raise InputError(f"camera {camera.name!r}: its scale is 0 along an axis, expected above 0")
    pose[:3, :3] /= lengths
    pose = np.asarray(pose * FLIP)
    check_pose(pose, f"camera {camera.name!r}")
    return pose


def _check_kind(camera: Any) -> None:
    if camera.type != "CAMERA":
        raise InputError(f"object {camera.name!r}: is of type {camera.type}, expected a camera")
    if camera.data.type not in (PERSPECTIVE, ORTHOGRAPHIC):
        raise InputError(
            f"camera {camera.name!r}: is of type {camera.data.type}, expected a perspective or"
            " orthographic one"
        )
