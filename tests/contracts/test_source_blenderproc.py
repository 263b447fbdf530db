"""BlenderProc's frames, with the cameras that its several writers leave in them."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backproject.errors import BackprojectError, FormatError, InputError
from backproject.geometry.conventions import ray_lengths
from backproject.geometry.rig import Rig
from backproject.geometry.views import ViewSet
from backproject.io.sources import blenderproc
from backproject.io.sources.registry import read_views, recognise
from backproject.io.sources.source import Asked

h5py = pytest.importorskip("h5py")
NOTHING = 1e10


def random_views(seed, count=12):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(2, 9, 2)
    intrinsics = np.zeros((count, 3, 3)) + np.eye(3)
    intrinsics[:, 0, 0], intrinsics[:, 1, 1] = rng.uniform(1, 999, (2, count))
    intrinsics[:, :2, 2] = rng.uniform(-9, 99, (count, 2))
    poses = Rig.looking_at(rng.normal(size=(count, 3)), target=rng.normal(size=3) * 5)
    depth = rng.uniform(0.5, 40, (count, height, width)).astype(np.float32)
    depth[rng.random(depth.shape) < 0.2] = np.inf
    return ViewSet(depth, Rig(intrinsics, poses.world_from_camera, width, height))


def from_center(matrix):
    """BlenderProc's K: (0, 0) is the centre of the first pixel."""
    return matrix - np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])


def as_json(state):
    return np.bytes_(json.dumps(state))


def state_of(views, k):
    """What CameraStateWriter writes."""
    pose = views.rig.world_from_camera[k] * (1, -1, -1, 1)
    matrix = from_center(views.rig.intrinsics[k]).tolist()
    return {"campose": as_json([{"cam2world_matrix": pose.tolist(), "cam_K": matrix}])}


def world_to_camera(views, k):
    """What write_hdf5's save_world2cam writes."""
    pose, matrix = views.rig.camera_from_world[k], from_center(views.rig.intrinsics[k])
    state = {
        "cam_K": matrix.ravel().tolist(),
        "cam_R_w2c": pose[:3, :3].ravel().tolist(),
        "cam_t_w2c": pose[:3, 3].tolist(),
    }
    return {"camera_pose": as_json(state)}


def as_matrices(views, k):
    """What a script stores with its data."""
    pose = views.rig.world_from_camera[k] * (1, -1, -1, 1)
    return {"cam2world": pose, "K": from_center(views.rig.intrinsics[k])}


WRITERS = [state_of, world_to_camera, as_matrices]


def write_frame(file, **arrays):
    file.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(file, "w") as content:
        for name, array in arrays.items():
            packed = "gzip" if np.ndim(array) else None
            content.create_dataset(name, data=array, compression=packed)


def write_frames(views, folder, writer=state_of, *, change=lambda _, arrays: arrays):
    for k, depth in enumerate(views.depth):
        stored = np.where(np.isinf(depth), NOTHING, depth)
        arrays = {"colors": np.zeros((2, 2, 3), np.uint8), "depth": stored, **writer(views, k)}
        write_frame(folder / f"{k}.hdf5", **change(k, arrays))
    return folder


def assert_same(again, views):
    np.testing.assert_array_equal(again.depth, views.depth)
    # Numbers to 99 less a half and back, poses inverted twice: some units in the last place.
    np.testing.assert_allclose(again.rig.intrinsics, views.rig.intrinsics, rtol=1e-14)
    poses = views.rig.world_from_camera
    np.testing.assert_allclose(again.rig.world_from_camera, poses, rtol=0, atol=1e-13)


@pytest.mark.parametrize("writer", WRITERS)
def test_frames_are_read_in_natural_order(writer, tmp_path):
    views = random_views(1)
    write_frames(views, tmp_path, writer)
    assert recognise(tmp_path) is blenderproc.SOURCE
    again = read_views(tmp_path)
    assert_same(again, views)
    assert "order of files" in [each.about for each in again.assumptions]
    assert_same(read_views(tmp_path / "3.hdf5"), views.subset([3]))


def test_a_pose_may_be_a_place_angles_and_fields_of_view(tmp_path):
    angles, (height, width) = (0.3, -1.1, 2.0), (4, 6)
    state = {"location": [1, 2, 3], "rotation_euler": angles, "fov_x": 1.2, "fov_y": 0.9}
    depth = np.full((height, width), 2.0)
    write_frame(tmp_path / "0.hdf5", depth=depth, campose=as_json([state]))
    rig = read_views(tmp_path).rig
    (a, b, c), (i, j, k) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, a, -i], [0, i, a]])
    about_y = np.array([[b, 0, j], [0, 1, 0], [-j, 0, b]])
    about_z = np.array([[c, -k, 0], [k, c, 0], [0, 0, 1]])
    turn = about_z @ about_y @ about_x * (1, -1, -1)  # Blender's axes to ours
    np.testing.assert_allclose(rig.world_from_camera[0, :3, :3], turn, atol=1e-15)
    np.testing.assert_array_equal(rig.centers_world[0], (1, 2, 3))
    focal = (width / 2 / np.tan(0.6), height / 2 / np.tan(0.45))
    np.testing.assert_allclose(rig.intrinsics[0][(0, 1), (0, 1)], focal)
    np.testing.assert_allclose(rig.intrinsics[0][:2, 2], (width / 2, height / 2))


@pytest.mark.parametrize("nothing", [10000.0, 1e10])
def test_distance_is_along_the_ray(nothing, tmp_path):
    views = random_views(2, count=3)

    def change(k, arrays):
        long = np.where(np.isinf(views.depth[k]), 1, views.depth[k]) * ray_lengths(views.rig, k)
        del arrays["depth"]
        return {**arrays, "distance": np.where(np.isinf(views.depth[k]), nothing, long)}

    again = read_views(write_frames(views, tmp_path, change=change))
    np.testing.assert_allclose(again.depth, views.depth, rtol=1e-6)
    told = {each.about: each.taken for each in again.assumptions}
    assert told["encoding"] == "ray"
    assert told["background"] == "10000 and farther"


def test_depth_is_taken_where_both_are(tmp_path):
    views = random_views(3, count=2)
    write_frames(views, tmp_path, change=lambda _, arrays: {**arrays, "distance": arrays["depth"]})
    again = read_views(tmp_path)
    assert_same(again, views)
    assert ("passed over", "distance") in [(each.about, each.taken) for each in again.assumptions]


def test_another_background_is_taken_from_the_user(tmp_path):
    views = random_views(4, count=2)

    def change(k, arrays):
        return {**arrays, "depth": np.where(np.isinf(views.depth[k]), 500.0, views.depth[k])}

    write_frames(views, tmp_path, change=change)
    assert_same(read_views(tmp_path, Asked(background=500)), views)


def test_three_equal_channels_are_one(tmp_path):
    views = random_views(5, count=2)
    stacked = write_frames(
        views,
        tmp_path,
        change=lambda _, arrays: {**arrays, "depth": np.stack([arrays["depth"]] * 3, axis=-1)},
    )
    assert_same(read_views(stacked), views)


def test_cameras_may_come_from_elsewhere(tmp_path):
    views = random_views(6)
    folder = write_frames(views, tmp_path / "d", lambda *_: {})
    with pytest.raises(FormatError, match=r"0\.hdf5: no camera pose among .*--camera-file"):
        read_views(folder)
    cameras = tmp_path / "c.npz"
    np.savez(cameras, K=views.rig.intrinsics, c2w=views.rig.world_from_camera)
    again = read_views(folder, Asked(camera_file=cameras))
    assert_same(again, views)


def posed(change):
    def changed(views, k):
        pose = views.rig.world_from_camera[k] * (1, -1, -1, 1)
        return {**as_matrices(views, k), "cam2world": change(pose)}

    return changed


def with_state(state):
    return lambda *_: {"campose": np.bytes_(state)}


def also(**arrays):
    return lambda views, k: {**state_of(views, k), **arrays}


BAD = {
    "stereo": (also(depth=np.ones((2, 6, 7))), "stereo"),
    "colour": (also(depth=np.arange(12.0).reshape(2, 2, 3)), "colour"),
    "flat": (also(depth=np.ones(5)), "array of shape"),
    "words": (also(depth=np.bytes_("x")), "expected numbers"),
    "K of four": (lambda v, k: {**as_matrices(v, k), "K": np.eye(4)}, "3 x 3"),
    "3 x 4 pose": (posed(lambda pose: pose[:3]), "4 x 4"),
    "nan pose": (posed(lambda pose: pose * np.nan), "nan"),
    "scaled pose": (posed(lambda pose: pose * [[2], [2], [2], [1]]), "determinant 8"),
    "mirrored pose": (posed(lambda pose: pose * (-1, 1, 1, 1)), "reflection"),
    "no JSON": (with_state("{"), "expected it as JSON"),
    "several cameras": (with_state("[{}, {}]"), "one camera"),
    "other keys": (with_state('[{"name": 1}]'), "expected cam2world_matrix"),
    "deep": (with_state("[" * 100_000), "expected it as JSON"),
    "pose in words": (with_state('{"cam2world_matrix": "x", "cam_K": 1}'), "expected 3 x 3|4 x 4"),
    "ragged": (with_state('{"cam2world_matrix": [[1], [1, 2]], "cam_K": [1]}'), "3 x 3"),
    "wide": (
        with_state('{"location": [0,0,0], "rotation_euler": [0,0,0], "fov_x": 4, "fov_y": 1}'),
        "field of view",
    ),
    "nowhere": (
        with_state('{"location": [0,0], "rotation_euler": [0,0,0], "fov_x": 1, "fov_y": 1}'),
        "location",
    ),
    "no camera": (lambda *_: {}, "no camera pose"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_frames_are_refused_in_one_line(name, tmp_path):
    writer, word = BAD[name]
    folder = write_frames(random_views(7, count=2), tmp_path / "d", writer)
    with pytest.raises(FormatError, match=word) as caught:
        read_views(folder)
    message = str(caught.value)
    assert str(folder) in message
    assert "expected" in message
    assert "\n" not in message


def test_frames_that_differ_are_refused(tmp_path):
    views = random_views(8, count=2)

    def renamed(k, arrays):
        if k:
            arrays["distance"] = arrays.pop("depth")
        return arrays

    with pytest.raises(FormatError, match="some frames hold depth and others distance"):
        read_views(write_frames(views, tmp_path / "a", change=renamed))

    def either(views, k):
        return WRITERS[k](views, k)

    with pytest.raises(FormatError, match="two kinds"):
        read_views(write_frames(views, tmp_path / "b", either))
    write_frame(tmp_path / "c" / "0.hdf5", colors=np.ones((2, 2, 3)))
    with pytest.raises(FormatError, match="holds colors, expected a dataset named"):
        read_views(tmp_path / "c")


def test_what_lies_in_other_files_is_not_followed(tmp_path):
    views = random_views(9, count=1)
    (secret,) = write_frames(views, tmp_path / "secret").iterdir()
    file = tmp_path / "d" / "0.hdf5"
    write_frame(file, **as_matrices(views, 0))
    with h5py.File(file, "a") as content:
        content["depth"] = h5py.ExternalLink(str(secret), "depth")
    with pytest.raises(FormatError, match="no dataset of its own"):
        read_views(file)
    raw = tmp_path / "raw.bin"
    raw.write_bytes(b"\1" * 32)
    with h5py.File(file, "a") as content:
        del content["depth"]
        content.create_dataset("depth", (2, 2), "f8", external=[(str(raw), 0, 32)])
    with pytest.raises(FormatError, match="no dataset of its own"):
        read_views(file)


def test_a_dataset_that_claims_to_be_gigantic_is_refused_before_it_is_read(tmp_path):
    file = tmp_path / "0.hdf5"
    write_frame(file, **as_matrices(random_views(9, count=1), 0))
    with h5py.File(file, "a") as content:
        content.create_dataset("depth", (10**6, 10**6), "f4", chunks=(64, 64))
    with pytest.raises(FormatError, match=r"claims float32 of shape \(1000000, 1000000\) in 0"):
        read_views(file)


def test_without_the_library_it_is_said_how_to_get_it(tmp_path, monkeypatch):
    folder = write_frames(random_views(9, count=1), tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(InputError, match=r"pip install backproject\[hdf5\]"):
        read_views(folder)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_damage_is_told_by_our_own_errors(seed, tmp_path_factory):
    rng = np.random.default_rng(seed)
    folder = write_frames(random_views(9, count=1), tmp_path_factory.getbasetemp() / "damaged")
    content = bytearray((folder / "0.hdf5").read_bytes())
    for _ in range(rng.integers(1, 5)):
        content[rng.integers(len(content))] = rng.integers(256)
    cut = rng.integers(len(content)) if rng.random() < 0.3 else len(content)
    (folder / "0.hdf5").write_bytes(content[:cut])
    with contextlib.suppress(BackprojectError):
        read_views(folder)
