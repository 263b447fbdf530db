"""Blender's cameras are what Blender itself projects with, and rigs come back from it."""

import numpy as np
import pytest

import backproject as bp

bpy = pytest.importorskip("bpy", reason="bpy is not installed: pip install 'backproject[blender]'")

from backproject.blender import cameras  # noqa: E402

SINGLE = 2.0**-23
"""The rounding of single precision, in which Blender keeps everything."""


def new_camera(scene, **settings):
    added = cameras.new_camera("camera")
    scene.collection.objects.link(added)
    for name, value in settings.items():
        setattr(added.data, name, value)
    return added


def random_camera(rng, scene):
    """Give the scene an image and a camera of any kind that projects."""
    render = scene.render
    render.resolution_x, render.resolution_y = map(int, rng.integers(20, 3000, 2))
    render.resolution_percentage = int(rng.integers(20, 200))
    render.pixel_aspect_x, render.pixel_aspect_y = rng.uniform(1, 3, 2)
    added = new_camera(
        scene,
        sensor_fit=str(rng.choice(["AUTO", "HORIZONTAL", "VERTICAL"])),
        lens=rng.uniform(5, 200),
        sensor_width=rng.uniform(5, 60),
        sensor_height=rng.uniform(5, 60),
        shift_x=rng.uniform(-0.7, 0.7),
        shift_y=rng.uniform(-0.7, 0.7),
        type=str(rng.choice(["PERSP", "ORTHO"])),
        ortho_scale=rng.uniform(0.1, 20),
    )
    added.location, added.rotation_euler = rng.normal(size=3) * 5, rng.uniform(-3, 3, 3)
    added.scale = rng.uniform(0.1, 10, 3)  # which a camera ignores
    return added


def as_blender_projects(camera, scene, points_world):
    """Return pixel coordinates (P, 2) by the matrix that Blender draws with."""
    render = scene.render
    width = int(render.resolution_x * render.resolution_percentage / 100 + 1e-9)
    height = int(render.resolution_y * render.resolution_percentage / 100 + 1e-9)
    clip_from_camera = camera.calc_matrix_camera(
        bpy.context.evaluated_depsgraph_get(),
        x=width,
        y=height,
        scale_x=render.pixel_aspect_x,
        scale_y=render.pixel_aspect_y,
    )
    camera_from_world = camera.matrix_world.normalized().inverted()
    homogeneous = np.concatenate([points_world, np.ones((len(points_world), 1))], axis=1)
    clip = homogeneous @ np.array(clip_from_camera @ camera_from_world, float).T
    device = clip[:, :2] / clip[:, 3:]
    return (device * (1, -1) + 1) / 2 * (width, height)


def test_a_camera_projects_as_blender_does(scene):
    """For all sensor fits, shifts, pixel aspects and percentages. A dozen roundings of single
    precision, of numbers as large as the place of the pixel and the focal length.
    """
    rng = np.random.default_rng(0)
    for _ in range(300):
        blender_camera = random_camera(rng, scene)
        camera = cameras.camera_of(blender_camera, scene)
        pixels = rng.uniform(-0.5, 1.5, (20, 2)) * (camera.width, camera.height)
        points = camera.unproject(pixels, rng.uniform(1, 10, 20))
        told = as_blender_projects(blender_camera, scene, points)
        largest = np.abs(camera.intrinsics[:2]).max()
        np.testing.assert_allclose(told, pixels, rtol=0, atol=12 * 3 * SINGLE * largest)
        bpy.data.objects.remove(blender_camera)


def random_rig(rng, count=3):
    width, height = map(int, rng.integers(4, 3000, 2))
    ratio = np.exp(rng.uniform(-3, 3))
    intrinsics = np.zeros((count, 3, 3))
    intrinsics[:, 0, 0] = np.exp(rng.uniform(-4, 4, count)) * width
    intrinsics[:, 1, 1] = intrinsics[:, 0, 0] * ratio
    intrinsics[:, 0, 2] = rng.uniform(-width, 2 * width, count)
    intrinsics[:, 1, 2] = rng.uniform(-height, 2 * height, count)
    intrinsics[:, 2, 2] = 1
    poses = bp.Rig.looking_at(rng.normal(size=(count, 3)) * 10, up=rng.normal(size=3))
    flat = rng.random(count) < 0.5
    return bp.Rig(intrinsics, poses.world_from_camera, width, height, flat)


def test_a_rig_comes_back_from_blender(scene):
    rng = np.random.default_rng(1)
    for _ in range(60):
        rig = random_rig(rng)
        back = cameras.rig_of(cameras.add_rig(rig, "rig", scene), scene)
        assert (back.width, back.height) == (rig.width, rig.height)
        assert back.orthographic.tolist() == rig.orthographic.tolist()
        # a shift counts from the image's middle
        middle = np.array([[0, 0, rig.width], [0, 0, rig.height], [0, 0, 0]]) / 2
        rounding = 8 * SINGLE * (np.abs(rig.intrinsics) + middle)
        assert (np.abs(back.intrinsics - rig.intrinsics) <= rounding).all()
        reach = np.abs(rig.world_from_camera).max()
        np.testing.assert_allclose(
            back.world_from_camera, rig.world_from_camera, atol=8 * SINGLE * reach
        )


def test_cameras_lie_in_one_collection_in_the_rig_s_order(scene):
    added = cameras.add_rig(bp.Rig.dodecahedron(), "Rig", scene)
    names = [each.name for each in added]
    assert (names[0], names[-1]) == ("Rig 00", "Rig 19")
    assert names == sorted(names)
    assert list(scene.collection.children["Rig"].objects) == added
    np.testing.assert_allclose(np.degrees([each.data.angle for each in added]), 43, rtol=1e-6)


def test_what_was_just_moved_is_where_it_is(scene):
    camera = new_camera(scene)
    parent = bpy.data.objects.new("parent", None)
    scene.collection.objects.link(parent)
    camera.parent = parent
    parent.location, camera.location = (1, 2, 3), (0, 0, 4)
    parent.scale = (2, 2, 2)
    np.testing.assert_allclose(cameras.camera_of(camera, scene).center_world, (1, 2, 11))


def test_a_rig_that_blender_cannot_hold_is_refused_and_nothing_is_added(scene):
    poses = bp.Rig.dodecahedron().world_from_camera[:2]
    mixed = np.stack([np.diag([50.0, 50, 1]), np.diag([50.0, 60, 1])])
    long = np.diag([1.0, 300, 1])
    refused = {
        r"rig: fy / fx goes from 1 to 1\.2, expected one ratio": bp.Rig(mixed, poses, 9, 9),
        r"intrinsics: fy / fx is 300, expected 1/200 to 200": bp.Rig(long, poses, 9, 9),
        "image size: got 9 x 3, expected 4 to 65536": bp.Rig(np.eye(3), poses, 9, 3),
    }
    before = list(bpy.data.collections), scene.render.resolution_x
    for told, rig in refused.items():
        with pytest.raises(bp.InputError, match=told):
            cameras.add_rig(rig, "rig", scene)
    assert (list(bpy.data.collections), scene.render.resolution_x) == before
    assert not bpy.data.objects


def test_what_is_no_pinhole_is_refused_by_its_name(scene):
    empty = bpy.data.objects.new("empty", None)
    scene.collection.objects.link(empty)
    mirrored, flat, flattened = (new_camera(scene) for _ in range(3))
    mirrored.name, mirrored.scale = "mirrored", (1, 1, -1)
    flat.name, flat.data.type = "flat", "PANO"
    flattened.name, flattened.scale = "flattened", (1, 0, 1)
    refused = {
        "object 'empty': is of type EMPTY, expected a camera": [empty],
        "camera 'mirrored': a reflection": [mirrored],
        "camera 'flat': is of type PANO, expected a perspective or orthographic one": [flat],
        "camera 'flattened': its scale is 0": [flattened],
        "cameras: got none": [],
    }
    for told, given in refused.items():
        with pytest.raises(bp.InputError, match=told):
            cameras.rig_of(given, scene)
