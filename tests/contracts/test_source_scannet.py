"""ScanNet's scenes: frames by number, lost poses dropped."""

from __future__ import annotations

import numpy as np
import pytest
from frames import (
    assert_refused,
    assert_same_cameras,
    assert_same_depth,
    assert_spoilt_files_are_refused_or_read,
    counted_from_center,
    load,
    random_views,
    save_png,
    save_text,
    steps,
    taken,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from backproject.errors import FileMissingError, FormatError

STEP = 0.001
SEEDS = st.integers(0, 2**32 - 1)
LOST = np.full((4, 4), -np.inf)


def by_hand(views, folder):
    """A scene as ScanNet's exporter writes it: numbers without leading zeros, 4 x 4 intrinsics."""
    for k, (depth, pose) in enumerate(zip(views.depth, views.rig.world_from_camera, strict=True)):
        save_png(steps(depth, STEP), folder / "depth" / f"{k}.png")
        save_text(pose, folder / "pose" / f"{k}.txt")
    matrix = np.eye(4)
    matrix[:3, :3] = counted_from_center(views.rig.intrinsics[0])
    save_text(matrix, folder / "intrinsic" / "intrinsic_depth.txt")
    return folder


@given(seed=SEEDS)
@settings(max_examples=25)
def test_a_scene_is_read_in_the_order_of_its_numbers(seed, tmp_path_factory):
    views = random_views(seed)
    again = load(by_hand(views, tmp_path_factory.mktemp("scene")))
    assert_same_cameras(again, views)
    assert_same_depth(again, views, STEP, empty=False)
    assert taken(again, "source") == ["ScanNet"]
    assert bool(taken(again, "order of files")) == (len(views) > 10)


def test_lost_poses_are_dropped_and_told(tmp_path):
    views = random_views(1, count=5)
    folder = by_hand(views, tmp_path / "c")
    for k in (1, 4):
        save_text(LOST, folder / "pose" / f"{k}.txt")
    (folder / "depth" / "2.png").unlink()
    again = load(folder)
    assert_same_cameras(again, views.subset([0, 3]))
    assert_same_depth(again, views.subset([0, 3]), STEP, empty=False)
    assert taken(again, "dropped") == ["1 of 5 frames (2.txt)", "2 of 4 frames (1.png, ...)"]
    (told,) = [note for note in again.assumptions if "-inf" in note.because]
    assert "tracking was lost" in told.because


def test_the_user_s_word_wins(tmp_path):
    views = random_views(2)
    folder = by_hand(views, tmp_path / "c")
    plain = load(folder)
    np.testing.assert_allclose(load(folder, depth_scale=0.1).depth, plain.depth * 100, rtol=1e-6)
    empty = np.isinf(load(folder, background=0).depth)
    np.testing.assert_array_equal(empty, np.isnan(plain.depth))
    save_text([[7, 8, 1, 2]], tmp_path / "k.txt")
    matrix = load(folder, camera_file=tmp_path / "k.txt", pixel_center=0.5).rig.intrinsics[0]
    np.testing.assert_array_equal(matrix, [[7, 0, 1], [0, 8, 2], [0, 0, 1]])


def all_lost(folder):
    for file in (folder / "pose").iterdir():
        save_text(LOST, file)


BAD = {
    "all lost": (all_lost, "every pose is -inf"),
    "nan pose": (
        lambda f: save_text(np.full((4, 4), np.nan), f / "pose/1.txt"),
        "1.txt: holds nan",
    ),
    "inf pose": (
        lambda f: save_text(np.full((4, 4), np.inf), f / "pose/1.txt"),
        "1.txt: holds nan",
    ),
    "reflection": (lambda f: save_text(np.diag([1, 1, -1, 1]), f / "pose/1.txt"), "reflection"),
    "cut pose": (lambda f: save_text(np.eye(4)[:3], f / "pose/1.txt"), "3 lines of 4 numbers"),
    "zero focal": (
        lambda f: save_text(np.diag([0, 0, 1, 1]), f / "intrinsic/intrinsic_depth.txt"),
        "intrinsic_depth.txt: .*focal",
    ),
    "cut image": (lambda f: (f / "depth/1.png").write_text("no"), "1.png: cannot be read"),
    "two sizes": (lambda f: save_png(np.ones((30, 40)), f / "depth/1.png"), "one size"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_is_refused(name, tmp_path):
    spoil, match = BAD[name]
    folder = by_hand(random_views(3, count=3), tmp_path / "scene0007_00")
    spoil(folder)
    assert_refused(folder, match, FormatError)


def test_a_scene_without_images_is_refused(tmp_path):
    folder = by_hand(random_views(4, count=2), tmp_path / "scene0007_00")
    for file in (folder / "depth").iterdir():
        file.unlink()
    assert_refused(folder, "0 depth images and 2 poses", FormatError)


def test_a_camera_file_that_is_missing_is_named(tmp_path):
    folder = by_hand(random_views(5, count=2), tmp_path / "scene0007_00")
    with pytest.raises(FileMissingError, match=r"no\.txt"):
        load(folder, camera_file=tmp_path / "no.txt")


@given(seed=SEEDS)
@settings(max_examples=50)
def test_spoilt_files_end_in_our_errors(seed, tmp_path_factory):
    base = tmp_path_factory.mktemp("scannet")
    folder = by_hand(random_views(seed % 7, count=2), base / "c")
    assert_spoilt_files_are_refused_or_read(folder, base, np.random.default_rng(seed))
