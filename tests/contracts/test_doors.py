"""Other libraries' meshes, clouds and arrays come in and go out, and nothing changes on the way."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

import backproject as bp

MESH = bp.Mesh(
    np.array([(0, 0, 0), (1, 0, 0), (0, 1 / 3, 0), (0, 0, np.pi), (7, 7, 7)]),
    np.array([(0, 2, 1), (0, 1, 3), (1, 2, 3), (2, 0, 3), (0, 0, 1)]),
    np.array([3, 0, 1, 20, 4]),
)
CLOUD = bp.PointCloud(MESH.vertices, np.eye(5, 3) + np.array([0, 0, 1e-9]), np.arange(5))


@pytest.fixture
def open3d():
    return pytest.importorskip("open3d")


def assert_same_mesh(again, mesh):
    np.testing.assert_array_equal(again.vertices, mesh.vertices)
    np.testing.assert_array_equal(again.faces, mesh.faces)


def assert_apart(*arrays):
    """Writing to the one must not change the other."""
    assert not np.shares_memory(*arrays)


def test_meshes_to_trimesh_and_back_are_the_same():
    there = MESH.to_trimesh()
    assert isinstance(there, trimesh.Trimesh)
    again = bp.Mesh.from_trimesh(there)
    assert_same_mesh(again, MESH)
    np.testing.assert_array_equal(again.support, MESH.support)
    assert_apart(again.vertices, there.vertices)
    assert_apart(MESH.vertices, there.vertices)


def test_meshes_without_support_come_back_without():
    plain = bp.Mesh(MESH.vertices, MESH.faces)
    assert bp.Mesh.from_trimesh(plain.to_trimesh()).support is None


def test_a_scene_of_trimesh_is_read_where_its_objects_stand():
    scene = trimesh.Scene()
    moved = np.eye(4)
    moved[:3, 3] = (5, 0, 0)
    scene.add_geometry(trimesh.creation.box(), transform=moved)
    scene.add_geometry(trimesh.creation.box())
    mesh = bp.Mesh.from_trimesh(scene)
    assert len(mesh.faces) == 24
    np.testing.assert_allclose(mesh.centroid, (2.5, 0, 0), atol=1e-12)


def test_meshes_to_open3d_and_back_are_the_same(open3d):
    there = MESH.to_open3d()
    assert isinstance(there, open3d.geometry.TriangleMesh)
    again = bp.Mesh.from_open3d(there)
    assert_same_mesh(again, MESH)
    assert_apart(again.vertices, np.asarray(there.vertices))
    tensor = open3d.t.geometry.TriangleMesh.from_legacy(there, open3d.core.float64)
    assert_same_mesh(bp.Mesh.from_open3d(tensor), MESH)


def test_clouds_to_open3d_and_back_are_the_same_but_for_their_views(open3d):
    there = CLOUD.to_open3d()
    assert isinstance(there, open3d.geometry.PointCloud)
    tensor = open3d.t.geometry.PointCloud.from_legacy(there, open3d.core.float64)
    for again in (bp.PointCloud.from_open3d(there), bp.PointCloud.from_open3d(tensor)):
        np.testing.assert_array_equal(again.points, CLOUD.points)
        np.testing.assert_array_equal(again.normals, CLOUD.normals)
        np.testing.assert_array_equal(again.view_index, -1)


@pytest.mark.usefixtures("open3d")
def test_unknown_normals_are_left_out_for_open3d():
    unknown = bp.PointCloud(CLOUD.points, CLOUD.normals * np.nan, CLOUD.view_index)
    there = unknown.to_open3d()
    assert not there.has_normals()
    assert np.isnan(bp.PointCloud.from_open3d(there).normals).all()


def test_clouds_to_trimesh_and_back_are_the_same_points():
    there = CLOUD.to_trimesh()
    assert isinstance(there, trimesh.PointCloud)
    again = bp.PointCloud.from_trimesh(there)
    np.testing.assert_array_equal(again.points, CLOUD.points)
    assert np.isnan(again.normals).all()
    np.testing.assert_array_equal(again.view_index, -1)


def test_what_cannot_be_is_refused_at_the_door():
    for door in (bp.Mesh.from_trimesh, bp.Mesh.from_open3d):
        with pytest.raises(bp.InputError, match="got list, expected"):
            door([1, 2, 3])
    for door in (bp.PointCloud.from_trimesh, bp.PointCloud.from_open3d):
        with pytest.raises(bp.InputError, match="got Trimesh, expected"):
            door(MESH.to_trimesh())
    with pytest.raises(bp.InputError, match="nan"):
        bp.PointCloud.from_trimesh(trimesh.PointCloud([(0, np.nan, 0)]))
    wrong = MESH.to_trimesh()
    wrong.vertices[0] = np.nan
    with pytest.raises(bp.InputError, match="nan"):
        bp.Mesh.from_trimesh(wrong)


def random_rig(seed, *, width=7, height=5):
    rng = np.random.default_rng(seed)
    poses = bp.Rig.looking_at(rng.normal(size=(3, 3)), target=rng.normal(size=3) * 5)
    intrinsics = np.eye(3) + np.zeros((3, 3, 3))
    intrinsics[:, (0, 1), (0, 1)] = rng.uniform(3, 99, (3, 2))
    intrinsics[:, :2, 2] = rng.uniform(-9, 20, (3, 2))
    return bp.Rig(intrinsics, poses.world_from_camera, width, height)


@given(
    seed=st.integers(0, 2**32 - 1),
    axes=st.sampled_from(["opencv", "opengl"]),
    pose=st.sampled_from(["camera-to-world", "world-to-camera"]),
    pixel_center=st.sampled_from([0, 0.5]),
    encoding=st.sampled_from(["planar", "ray"]),
)
@settings(max_examples=50)
def test_arrays_of_any_convention_are_the_same_views(seed, axes, pose, pixel_center, encoding):
    """One world point a pixel, told in another convention, is where it was."""
    rig = random_rig(seed)
    depth = np.random.default_rng(seed).uniform(1, 9, (3, 5, 7))
    depth[0, 0, :2] = np.inf, np.nan
    # The convention's own words, from the points themselves and not from the package's conversion.
    rows, columns = np.mgrid[:5, :7] + 0.5
    pixels = np.stack([columns, rows], axis=-1)
    told = depth
    if encoding == "ray":
        rays = [c.unproject(pixels, np.ones((5, 7))) - c.center_world for c in rig]
        told = depth * np.linalg.norm(rays, axis=-1)
    poses = rig.world_from_camera.copy()
    if axes == "opengl":
        poses[:, :3, 1:3] *= -1
    if pose == "world-to-camera":
        poses = np.linalg.inv(poses)
    intrinsics = rig.intrinsics.copy()
    intrinsics[:, :2, 2] -= 0.5 - pixel_center
    views = bp.ViewSet.from_arrays(
        told, intrinsics, poses, axes=axes, pose=pose, pixel_center=pixel_center, encoding=encoding
    )
    # float32 depth: 6e-8 twice; two inversions and the shift of float64 matrices: 1e-12 of 30
    np.testing.assert_allclose(views.depth, depth, rtol=2e-7)
    np.testing.assert_allclose(views.rig.world_from_camera, rig.world_from_camera, atol=1e-11)
    np.testing.assert_allclose(views.rig.intrinsics, rig.intrinsics, atol=1e-13)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"axes": "blender"}, "axes: got 'blender', expected 'opencv' or 'opengl'"),
        ({"pose": "c2w"}, "pose: got 'c2w'"),
        ({"pixel_center": 1}, "pixel_center: got 1"),
        ({"encoding": "z"}, "encoding: got 'z', expected 'planar' or 'ray'"),
    ],
)
def test_conventions_that_nobody_knows_are_refused(options, word):
    rig = random_rig(0)
    with pytest.raises(bp.InputError, match=word):
        bp.ViewSet.from_arrays(np.ones((3, 5, 7)), rig.intrinsics, rig.world_from_camera, **options)


@pytest.mark.parametrize("pose", ["camera-to-world", "world-to-camera"])
@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (np.diag([2, 2, 2, 1.0]), "determinant 8"),
        (np.diag([-1, 1, 1, 1.0]), "reflection"),
        (np.diag([0, 0, 0, 1.0]), "determinant 0"),
        (np.full((4, 4), np.nan), "nan"),
    ],
)
def test_poses_are_judged_as_they_were_given(pose, wrong, word):
    poses = np.stack([np.eye(4), wrong])
    with pytest.raises(bp.InputError, match=word) as caught:
        bp.ViewSet.from_arrays(np.ones((2, 4, 4)), np.eye(3), poses, pose=pose)
    assert "view 1" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("depth", "intrinsics", "poses"),
    [
        (np.ones((4, 4)), np.eye(3), np.eye(4)[None]),
        (np.ones((1, 4, 4)), np.eye(4), np.eye(4)[None]),
        (np.ones((1, 4, 4)), np.eye(3), np.eye(4)),
        (np.ones((1, 4, 4)), np.eye(3), np.eye(4)[None, :3]),
        (np.ones((2, 4, 4)), np.eye(3), np.eye(4)[None]),
        (np.ones((1, 4, 4)), np.diag([0, 1, 1.0]), np.eye(4)[None]),
        (-np.ones((1, 4, 4)), np.eye(3), np.eye(4)[None]),
    ],
)
@pytest.mark.parametrize("encoding", ["planar", "ray"])
@pytest.mark.parametrize("pose", ["camera-to-world", "world-to-camera"])
def test_arrays_that_do_not_fit_are_refused(depth, intrinsics, poses, encoding, pose):
    with pytest.raises(bp.InputError, match="expected"):
        bp.ViewSet.from_arrays(depth, intrinsics, poses, encoding=encoding, pose=pose)
