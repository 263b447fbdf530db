"""transforms.json through the door of all sources: what is recognised, and what stands beside it.

`test_captures.py` holds the format itself.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from frames import load, random_views
from hypothesis import given, settings
from hypothesis import strategies as st

from backproject.errors import FormatError
from backproject.geometry.rig import Rig
from backproject.geometry.views import ViewSet
from backproject.io.sources import nerf
from backproject.io.sources.registry import read_cameras, recognise
from backproject.io.sources.source import Asked


@given(seed=st.integers(0, 2**32 - 1), shared=st.booleans())
@settings(max_examples=25)
def test_reading_undoes_writing(seed, shared, tmp_path_factory):
    views = random_views(seed, shared=shared)
    folder = tmp_path_factory.getbasetemp() / "nerf"
    nerf.SOURCE.write(views, folder)
    again = load(folder)
    np.testing.assert_array_equal(again.depth, views.depth)
    np.testing.assert_array_equal(again.rig.intrinsics, views.rig.intrinsics)
    np.testing.assert_array_equal(again.rig.world_from_camera, views.rig.world_from_camera)


def synthetic(folder, views, *, fov_x, depth="depth/r_{}", named="./train/r_{}", **more):
    """Cameras as NeRF's synthetic scenes have them: an angle for all, and paths without suffix."""
    frames = [
        {
            **({"file_path": named.format(k)} if named else {}),
            **({"depth_file_path": depth.format(k)} if depth else {}),
            "rotation": 0.01,
            "transform_matrix": (pose * (1, -1, -1, 1)).tolist(),
        }
        for k, pose in enumerate(views.rig.world_from_camera)
    ]
    (folder / "depth").mkdir(parents=True)
    for k, each in enumerate(views.depth):
        np.save(folder / "depth" / f"r_{k}.npy", each)
    content = {"camera_angle_x": fov_x, "frames": frames, **more}
    (folder / "transforms_train.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def views():
    """Twelve views, so that numbers and text sort otherwise; square pixels, 1.1 radians wide."""
    fov_y = np.degrees(2 * np.arctan(np.tan(0.55) * 6 / 8))
    rig = Rig.fibonacci(12, size=(8, 6), fov_deg=fov_y)
    depth = np.random.default_rng(0).uniform(1, 2, (12, 6, 8)).astype(np.float32)
    return ViewSet(depth, rig)


def assert_same(again, views):
    np.testing.assert_array_equal(again.depth, views.depth)
    # A tangent and its inverse: some units in the last place.
    np.testing.assert_allclose(again.rig.intrinsics, views.rig.intrinsics, rtol=1e-14)
    np.testing.assert_array_equal(again.rig.world_from_camera, views.rig.world_from_camera)


def test_an_angle_and_paths_without_suffix_are_enough(views, tmp_path):
    folder = synthetic(tmp_path / "s", views, fov_x=1.1, depth_unit_scale_factor=1.0)
    for path in (folder, folder / "transforms_train.json"):
        assert recognise(path) is nerf.SOURCE
        assert_same(load(path), views)


@pytest.mark.parametrize("named", ["./train/r_{}", None])
def test_cameras_without_depth_take_the_images_beside_them(named, views, tmp_path):
    folder = synthetic(tmp_path / "s", views, fov_x=1.1, depth=None, named=named)
    again = load(folder)
    assert_same(again, views)
    told = {each.about: each.taken for each in again.assumptions}
    assert told["cameras"].startswith("by the names" if named else "in the order of the files")


def test_a_camera_file_may_be_named_for_depth_images_elsewhere(views, tmp_path):
    cameras = synthetic(tmp_path / "s", views, fov_x=1.1, depth=None) / "transforms_train.json"
    (tmp_path / "s" / "depth").rename(tmp_path / "images")
    assert_same(load(tmp_path / "images", camera_file=cameras), views)
    with pytest.raises(FormatError, match=r"no `depth_file_path` in any of its 12 frames"):
        load(cameras)
    alone = read_cameras(cameras, Asked(), (6, 8))
    assert alone.names == [f"./train/r_{k}" for k in range(12)]


def test_depth_of_some_frames_alone_is_refused(views, tmp_path):
    folder = synthetic(tmp_path / "s", views, fov_x=1.1)
    file = folder / "transforms_train.json"
    content = json.loads(file.read_text())
    del content["frames"][7]["depth_file_path"]
    file.write_text(json.dumps(content))
    with pytest.raises(FormatError, match="frame 7 has no `depth_file_path`, expected"):
        load(folder)


def test_paths_that_leave_the_folder_are_followed_if_asked(views, tmp_path):
    folder = synthetic(
        tmp_path / "s", views, fov_x=1.1, depth="../r_{}.npy", depth_unit_scale_factor=1
    )
    for file in (folder / "depth").iterdir():
        file.rename(tmp_path / file.name)
    with pytest.raises(FormatError, match="--allow-outside"):
        load(folder)
    assert_same(load(folder, allow_outside=True), views)


@pytest.mark.parametrize(
    ("name", "text", "is_one"),
    [
        ("cameras.json", '{"w": 1, "frames": []}', True),
        ("transforms_val.json", "damaged", True),
        ("settings.json", '{"window": 1}', False),
        ("transforms.txt", '{"frames": []}', False),
    ],
)
def test_only_files_with_frames_are_recognised(name, text, is_one, tmp_path):
    (tmp_path / name).write_text(text)
    assert nerf.SOURCE.recognises(tmp_path / name) == is_one
