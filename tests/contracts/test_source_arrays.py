"""Archives of arrays, and folders of depth images with a camera file."""

from __future__ import annotations

import contextlib
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from test_source_colmap import write_model

from backproject.errors import BackprojectError, FormatError, InputError
from backproject.geometry.rig import Rig
from backproject.geometry.views import ViewSet
from backproject.io.captures import write_capture
from backproject.io.depth_images import write_depth_image
from backproject.io.rigs import write_camera_list
from backproject.io.sources import arrays, depth_folder
from backproject.io.sources.registry import read_views, recognise
from backproject.io.sources.source import Asked


def random_views(seed, count=None):
    rng = np.random.default_rng(seed)
    count = count or rng.integers(1, 6)
    height, width = rng.integers(1, 9, 2)
    intrinsics = np.zeros((count, 3, 3)) + np.eye(3)
    intrinsics[:, 0, 0], intrinsics[:, 1, 1] = rng.uniform(1, 999, (2, count))
    intrinsics[:, :2, 2] = rng.uniform(-9, 99, (count, 2))
    poses = Rig.looking_at(rng.normal(size=(count, 3)), target=rng.normal(size=3) * 5)
    depth = rng.uniform(0.5, 40, (count, height, width)).astype(np.float32)
    depth[rng.random(depth.shape) < 0.2] = np.inf
    depth[rng.random(depth.shape) < 0.2] = np.nan
    return ViewSet(depth, Rig(intrinsics, poses.world_from_camera, width, height))


def assert_same(again, views, *, atol=0.0):
    np.testing.assert_array_equal(again.depth, views.depth)
    np.testing.assert_array_equal(again.rig.intrinsics, views.rig.intrinsics)
    poses = views.rig.world_from_camera
    np.testing.assert_allclose(again.rig.world_from_camera, poses, rtol=0, atol=atol)


@given(seed=st.integers(0, 2**32 - 1), step=st.sampled_from([0.0, 0.25]))
@settings(max_examples=25)
def test_reading_undoes_writing(seed, step, tmp_path_factory):
    views = replace(random_views(seed), step=step)
    file = tmp_path_factory.getbasetemp() / "views.npz"
    arrays.SOURCE.write(views, file)
    assert recognise(file) is arrays.SOURCE
    again = read_views(file)
    assert_same(again, views)
    assert again.step == step


def saved(file, views, *, drop=(), **changes):
    """An archive as people write it, without our own writer."""
    content = {
        "depth": views.depth,
        "K": views.rig.intrinsics,
        "cam2world": views.rig.world_from_camera,
        **changes,
    }
    np.savez(file, **{name: array for name, array in content.items() if name not in drop})
    return file


@pytest.mark.parametrize("name", ["world_from_camera", "Cam_To_World", "cam2world", "C2W"])
def test_poses_may_be_camera_to_world(name, tmp_path):
    views = random_views(1)
    file = tmp_path / "a.npz"
    np.savez(
        file, depths=views.depth, Ks=views.rig.intrinsics, **{name: views.rig.world_from_camera}
    )
    assert_same(read_views(file), views)


@pytest.mark.parametrize("name", ["camera_from_world", "World_To_Camera", "world2cam", "w2c"])
def test_poses_may_be_world_to_camera_of_three_rows(name, tmp_path):
    views = random_views(2)
    poses = {name: views.rig.camera_from_world[:, :3]}
    file = saved(tmp_path / "a.npz", views, drop=["cam2world"], **poses)
    # Inverted twice: a few units in the last place.
    assert_same(read_views(file), views, atol=1e-13)


@pytest.mark.parametrize("name", ["poses", "pose", "extrinsics"])
def test_ambiguous_poses_are_refused_until_it_is_said_which(name, tmp_path):
    views = random_views(3)
    poses = {name: views.rig.camera_from_world}
    file = saved(tmp_path / "a.npz", views, drop=["cam2world"], **poses)
    with pytest.raises(FormatError, match=r"world_from_camera or camera_from_world, or --pose"):
        read_views(file)
    assert_same(read_views(file, Asked(pose="world-to-camera")), views, atol=1e-13)


def test_one_camera_matrix_serves_all_views_and_one_view_needs_no_stack(tmp_path):
    views = random_views(4, count=3)
    shared = views.rig.intrinsics[0]
    again = read_views(saved(tmp_path / "a.npz", views, K=shared))
    np.testing.assert_array_equal(again.rig.intrinsics, [shared] * 3)
    one = views.subset([0])
    pose = one.rig.world_from_camera[0]
    file = saved(tmp_path / "b.npz", one, depth=one.depth[0], K=shared, cam2world=pose)
    assert_same(read_views(file), one)


def test_conventions_are_overruled(tmp_path):
    views = random_views(5)
    flipped = views.rig.world_from_camera * (1, -1, -1, 1)
    centre = views.rig.intrinsics - np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    file = saved(tmp_path / "a.npz", views, depth=views.depth / 2, cam2world=flipped, K=centre)
    again = read_views(file, Asked(axes="opengl", pixel_center=0, depth_scale=2))
    np.testing.assert_allclose(again.rig.intrinsics, views.rig.intrinsics, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(again.rig.world_from_camera, views.rig.world_from_camera)
    np.testing.assert_array_equal(again.depth, views.depth)


def test_masks_are_background_where_false_and_other_arrays_are_told(tmp_path):
    views = random_views(6)
    views = replace(views, depth=np.where(np.isfinite(views.depth), views.depth, np.inf))
    solid = np.where(np.isinf(views.depth), 7, views.depth)
    masks = np.isfinite(views.depth)
    again = read_views(saved(tmp_path / "a.npz", views, depth=solid, mask=masks, more=np.ones(3)))
    assert_same(again, views)
    assert ("passed over", "more") in [(each.about, each.taken) for each in again.assumptions]


def test_zero_is_not_measured_in_arrays_of_others(tmp_path):
    views = random_views(7)
    views = replace(views, depth=np.where(np.isfinite(views.depth), views.depth, np.nan))
    again = read_views(saved(tmp_path / "a.npz", views, depth=np.nan_to_num(views.depth, nan=0)))
    assert_same(again, views)


def test_integers_need_a_scale(tmp_path):
    views = random_views(8)
    millimetres = np.full(views.depth.shape, 1500, np.int32)
    file = saved(tmp_path / "a.npz", views, depth=millimetres)
    with pytest.raises(FormatError, match="--depth-scale"):
        read_views(file)
    again = read_views(file, Asked(depth_scale=0.001))
    np.testing.assert_array_equal(again.depth, np.float32(1.5))
    assert again.step == 0.001


def odd(**changes):
    return lambda _: changes


def poses_but(change):
    def changed(views):
        poses = views.rig.world_from_camera.copy()
        change(poses)
        return {"cam2world": poses}

    return changed


BAD = {
    "no depth": (odd(drop=["depth"]), "no array named depth"),
    "no poses": (odd(drop=["cam2world"]), "no poses among depth, K"),
    "no intrinsics": (odd(drop=["K"]), "no intrinsics among"),
    "two depths": (odd(depths=np.ones((2, 2, 2))), "both `depth` and `depths`"),
    "two cases": (odd(k=np.eye(3)), "both `K` and `k`"),
    "two poses": (odd(w2c=np.eye(4)), "both `cam2world` and `w2c`"),
    "a depth map too few": (lambda v: {"depth": v.depth[1:]}, "2 depth maps for 3"),
    "intrinsics too few": (lambda v: {"K": v.rig.intrinsics[1:]}, "2 intrinsics for 3 poses"),
    "flat depth": (odd(depth=np.ones(5)), r"shape \(5,\)"),
    "no pixels": (odd(depth=np.ones((3, 0, 4))), r"shape \(3, 0, 4\)"),
    "depth in words": (odd(depth=np.full((3, 2, 2), "x")), "expected numbers"),
    "pickled depth": (odd(depth=np.full((3, 2, 2), None)), "expected"),
    "pickled poses": (odd(cam2world=np.full((3, 4, 4), None)), "expected"),
    "2 x 4 poses": (odd(cam2world=np.ones((3, 2, 4))), r"\(N, 4, 4\) or \(N, 3, 4\)"),
    "4 x 4 intrinsics": (odd(K=np.ones((3, 4, 4))), r"\(N, 3, 3\)"),
    "nan pose": (poses_but(lambda p: p.__setitem__((1, 0, 0), np.nan)), "view 1.*nan"),
    "scaled pose": (poses_but(lambda p: p.__imul__([[2], [2], [2], [1]])), "determinant 8"),
    "mirrored pose": (poses_but(lambda p: p.__imul__([-1, 1, 1, 1])), "reflection"),
    "zero focal": (odd(K=np.diag([0.0, 1, 1])), "focal"),
    "masks of another size": (odd(masks=np.ones((3, 1, 99), bool)), "expected booleans"),
    "masks of floats": (lambda v: {"mask": v.depth}, "expected booleans"),
    "step in words": (odd(step=np.array("x")), "step"),
    "negative depth": (lambda v: {"depth": -v.depth}, "above 0"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_archives_are_refused_in_one_line(name, tmp_path):
    change, word = BAD[name]
    views = random_views(9, count=3)
    file = saved(tmp_path / "a.npz", views, **change(views))
    with pytest.raises(FormatError, match=word) as caught:
        read_views(file)
    message = str(caught.value)
    assert str(file) in message
    assert "expected" in message
    assert "\n" not in message


def test_an_archive_cut_short_or_of_nothing_is_refused(tmp_path):
    file = saved(tmp_path / "a.npz", random_views(9))
    content = file.read_bytes()
    for size in (0, 3, 30, len(content) // 2, len(content) - 1):
        file.write_bytes(content[:size])
        with pytest.raises(FormatError, match=r"a\.npz"):
            read_views(file)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_damage_is_told_by_our_own_errors(seed, tmp_path_factory):
    rng = np.random.default_rng(seed)
    file = saved(tmp_path_factory.getbasetemp() / "damaged.npz", random_views(9))
    content = bytearray(file.read_bytes())
    for _ in range(rng.integers(1, 5)):
        content[rng.integers(len(content))] = rng.integers(256)
    file.write_bytes(content)
    with contextlib.suppress(BackprojectError):
        read_views(file)


def test_an_array_that_claims_to_be_gigantic_is_refused_before_it_is_read(tmp_path):
    views = random_views(9)
    file = saved(tmp_path / "a.npz", views, drop=["depth"])
    header = {"descr": "<f4", "fortran_order": False, "shape": (10**6, 10**4, 10**4)}
    with zipfile.ZipFile(file, "a") as archive, archive.open("depth.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, header)
    with pytest.raises(FormatError, match="claims 1000000 x 10000 x 10000 numbers"):
        read_views(file)


# Folders of depth images with a camera file.


def images(views, folder, pattern="{}.npy", start=0):
    for k, depth in enumerate(views.depth):
        write_depth_image(depth, folder / pattern.format(k + start))
    return folder


def cameras_json(views, file, *, named=None):
    """The cameras that a capture has, without its depth maps."""
    write_capture(views, file.parent / "whole")
    content = json.loads((file.parent / "whole" / "transforms.json").read_text())
    for k, frame in enumerate(content["frames"]):
        del frame["depth_file_path"]
        if named:
            frame["file_path"] = named.format(k)
    del content["backproject"], content["depth_unit_scale_factor"]
    file.write_text(json.dumps(content))
    return file


@pytest.mark.parametrize("place", [".", "depth", "depth_maps"])
def test_cameras_beside_depth_images(place, tmp_path):
    views = random_views(11, count=12)
    np.savez(tmp_path / "cameras.npz", K=views.rig.intrinsics, w2c=views.rig.camera_from_world)
    images(views, tmp_path / place)
    assert recognise(tmp_path) is depth_folder.SOURCE
    again = read_views(tmp_path)
    assert_same(again, views, atol=1e-13)
    told = {each.about: each.taken for each in again.assumptions}
    assert told["order of files"].startswith("by number")
    assert "in the order of the files" in told["cameras"]


def test_transforms_without_depth_paths_take_the_depth_images_beside_them(tmp_path):
    views = random_views(12)
    folder = tmp_path / "c"
    images(views, folder / "depth")
    cameras_json(views, tmp_path / "t.json").rename(folder / "transforms.json")
    assert_same(read_views(folder), views)
    assert_same(read_views(folder / "transforms.json"), views)


def test_images_are_found_by_the_cameras_names(tmp_path):
    views = random_views(13, count=4)
    images(views.subset([2, 0, 3, 1]), tmp_path / "depth", "d_{}.npy")
    for old, new in enumerate((2, 0, 3, 1)):
        (tmp_path / "depth" / f"d_{old}.npy").rename(tmp_path / "depth" / f"r_{new}_depth.npy")
    cameras_json(views, tmp_path / "t.json", named="./train/r_{}").rename(
        tmp_path / "transforms.json"
    )
    again = read_views(tmp_path)
    assert_same(again, views)
    assert "by the names of their images" in [each.taken for each in again.assumptions]


def test_the_user_names_the_camera_file(tmp_path):
    views = random_views(14)
    images(views, tmp_path / "d")
    with pytest.raises(InputError, match="--camera-file"):
        read_views(tmp_path / "d")
    other = tmp_path / "elsewhere"
    other.mkdir()
    np.savez(other / "c.npz", K=views.rig.intrinsics, c2w=views.rig.world_from_camera)
    assert_same(read_views(tmp_path / "d", Asked(camera_file=other / "c.npz")), views)
    write_model(views, other / "model", "bin", names=[f"{k}.jpg" for k in range(len(views))])
    again = read_views(tmp_path / "d", Asked(camera_file=other / "model"))
    assert_same(again, views, atol=1e-13)


def test_a_list_of_positions_is_a_camera_file_with_a_field_of_view(tmp_path):
    rig = Rig.dodecahedron(size=(6, 4), distance=2.5, fov_deg=50)
    views = ViewSet(np.full((20, 4, 6), 2, np.float32), rig)
    images(views, tmp_path / "d", "Cam_{}.npy")
    write_camera_list(rig.centers_world, tmp_path / "d" / "camPosList.txt")
    with pytest.raises(InputError, match="--fov"):
        read_views(tmp_path / "d")
    assert_same(read_views(tmp_path / "d", Asked(fov=50)), views)
    near = read_views(tmp_path / "d", Asked(fov=50, distance=1.5))
    np.testing.assert_allclose(np.linalg.norm(near.rig.centers_world, axis=1), 1.5)


def test_bad_folders_are_refused_in_one_line(tmp_path):
    views = random_views(15, count=3)
    rig = views.rig
    folder = images(views, tmp_path / "d")
    cameras = tmp_path / "c.npz"
    asked = Asked(camera_file=cameras)

    def refused(word, **content):
        np.savez(cameras, **content)
        with pytest.raises((FormatError, FileNotFoundError), match=word) as caught:
            read_views(folder, asked)
        assert "expected" in str(caught.value)
        assert "\n" not in str(caught.value)

    refused("3 depth images for 2 cameras", K=rig.intrinsics[1:], c2w=rig.world_from_camera[1:])
    refused("no intrinsics", c2w=rig.world_from_camera)
    np.save(folder / "2.npy", np.ones((30, 40), np.float32))
    refused("one size", K=rig.intrinsics, c2w=rig.world_from_camera)
    (folder / "2.npy").write_bytes(b"no array")
    refused(r"2\.npy", K=rig.intrinsics, c2w=rig.world_from_camera)
    (folder / "2.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        read_views(folder, Asked(camera_file=tmp_path / "none.npz"))
    Image.fromarray(np.ones((2, 2), np.uint16)).save(folder / "2.png")
    refused(r"\.npy and \.png", K=rig.intrinsics, c2w=rig.world_from_camera)


def test_integers_in_images_need_a_scale_and_texts_beside_them_are_no_images(tmp_path):
    rig = random_views(17, count=1).rig
    np.savez(tmp_path / "cameras.npz", K=rig.intrinsics, c2w=rig.world_from_camera)
    Image.fromarray(np.full((rig.height, rig.width), 1500, np.uint16)).save(tmp_path / "0.png")
    (tmp_path / "readme.txt").write_text("how these were made")
    with pytest.raises(FormatError, match=r"0\.png: holds integers.*--depth-scale"):
        read_views(tmp_path)
    np.testing.assert_array_equal(
        read_views(tmp_path, Asked(depth_scale=0.001)).depth, np.float32(1.5)
    )


def test_cameras_for_another_size_are_refused(tmp_path):
    views = random_views(16)
    height, width = views.depth.shape[1:]
    cameras_json(views, tmp_path / "t.json")
    (tmp_path / "d").mkdir()
    for k in range(len(views)):
        np.save(tmp_path / "d" / f"{k}.npy", np.ones((height + 1, width), np.float32))
    with pytest.raises(FormatError, match=f"cameras for {width} x {height} pixels"):
        read_views(tmp_path / "d", Asked(camera_file=tmp_path / "t.json"))
