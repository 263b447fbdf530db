"""7-Scenes' sequences: frames with pose and depth, two numbers that are not measured."""

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

import backproject as bp
from backproject.errors import FormatError

STEP = 0.001
SEEDS = st.integers(0, 2**32 - 1)


def by_hand(views, folder, *, intrinsics=True):
    """A sequence as its page describes it: nan is 65535 here, inf 0."""
    for k, (depth, pose) in enumerate(zip(views.depth, views.rig.world_from_camera, strict=True)):
        numbers = np.where(np.isnan(depth), 65535, steps(depth, STEP))
        save_png(numbers, folder / f"frame-{k:06d}.depth.png")
        save_text(pose, folder / f"frame-{k:06d}.pose.txt")
    if intrinsics:
        matrix = counted_from_center(views.rig.intrinsics[0])
        save_text(matrix, folder / "camera-intrinsics.txt")
    return folder


@given(seed=SEEDS)
@settings(max_examples=25)
def test_a_sequence_is_read(seed, tmp_path_factory):
    views = random_views(seed)
    again = load(by_hand(views, tmp_path_factory.mktemp("seq")))
    assert_same_cameras(again, views)
    assert_same_depth(again, views, STEP, empty=False)
    assert taken(again, "source") == ["7-Scenes"]


def test_without_calibration_the_page_s_numbers_are_taken_and_told(tmp_path):
    rig = bp.Rig(np.eye(3), np.eye(4)[None], 640, 480)
    views = bp.ViewSet(np.ones((1, 480, 640)), rig)
    again = load(by_hand(views, tmp_path / "c", intrinsics=False))
    expected = [[585, 0, 320.5], [0, 585, 240.5], [0, 0, 1]]
    np.testing.assert_array_equal(again.rig.intrinsics[0], expected)
    assert taken(again, "intrinsics") == ["fx fy cx cy 585 585 320 240"]
    corner = load(tmp_path / "c", pixel_center=0.5).rig.intrinsics[0]
    np.testing.assert_array_equal(corner[:2, 2], (320, 240))


def test_a_background_leaves_the_other_number_not_measured(tmp_path):
    views = random_views(1)
    folder = by_hand(views, tmp_path / "c")
    assert_same_depth(load(folder, background=0), views, STEP)


def test_the_user_s_word_wins(tmp_path):
    views = random_views(2)
    folder = by_hand(views, tmp_path / "c")
    plain = load(folder)
    np.testing.assert_allclose(load(folder, depth_scale=0.1).depth, plain.depth * 100, rtol=1e-6)
    turned = load(folder, axes="opengl").rig.world_from_camera
    np.testing.assert_array_equal(turned, plain.rig.world_from_camera * [1, -1, -1, 1])
    assert load(folder, fov=60).rig.intrinsics[0, 0, 2] == views.rig.width / 2


def test_frames_without_pose_or_depth_are_dropped_and_told(tmp_path):
    views = random_views(3, count=5)
    folder = by_hand(views, tmp_path / "c")
    (folder / "frame-000001.pose.txt").unlink()
    (folder / "frame-000003.depth.png").unlink()
    again = load(folder)
    assert_same_cameras(again, views.subset([0, 2, 4]))
    assert_same_depth(again, views.subset([0, 2, 4]), STEP, empty=False)
    assert taken(again, "dropped") == [
        "1 of 4 frames (frame-000001.depth.png)",
        "1 of 4 frames (frame-000003.pose.txt)",
    ]


def rewritten(name, text):
    return lambda folder: (folder / name).write_text(text)


POSE = "frame-000001.pose.txt"
BAD = {
    "cut pose": (rewritten(POSE, "1 0 0 0\n0 1 0"), f"{POSE}: 2 lines of 3 or 4 numbers"),
    "empty pose": (rewritten(POSE, ""), f"{POSE}: 0 lines of no numbers"),
    "nan pose": (rewritten(POSE, "nan 0 0 0\n" * 4), f"{POSE}: holds nan"),
    "lost pose": (rewritten(POSE, "-inf 0 0 0\n" * 4), f"{POSE}: holds nan or infinite"),
    "words": (rewritten(POSE, "a b c d\n" * 4), f"{POSE}: line 1"),
    "no rotation": (rewritten(POSE, "2 0 0 0\n0 2 0 0\n0 0 2 0\n0 0 0 1\n"), "determinant 8"),
    "reflection": (rewritten(POSE, "1 0 0 0\n0 1 0 0\n0 0 -1 0\n0 0 0 1\n"), "reflection"),
    "cut image": (rewritten("frame-000001.depth.png", "hello"), "frame-000001.*cannot be read"),
    "no intrinsics": (lambda folder: (folder / "camera-intrinsics.txt").unlink(), "640 x 480"),
    "skew": (rewritten("camera-intrinsics.txt", "1 1 0 0 1 0 0 0 1"), "without skew"),
    "two sizes": (
        lambda folder: save_png(np.ones((30, 40)), folder / "frame-000001.depth.png"),
        "one size",
    ),
    "nothing in common": (
        lambda folder: [
            file.rename(folder / f"frame-9{file.name[6:]}") for file in folder.glob("*.pose.txt")
        ],
        "no frame has both",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_is_refused(name, tmp_path):
    spoil, match = BAD[name]
    folder = by_hand(random_views(4, count=3), tmp_path / "seq-7")
    spoil(folder)
    assert_refused(folder, match, FormatError)


@given(seed=SEEDS)
@settings(max_examples=50)
def test_spoilt_files_end_in_our_errors(seed, tmp_path_factory):
    base = tmp_path_factory.mktemp("seven")
    folder = by_hand(random_views(seed % 7, count=2), base / "c")
    assert_spoilt_files_are_refused_or_read(folder, base, np.random.default_rng(seed))
