"""TUM's sequences: reading undoes writing, images go with poses by time, bad input is refused."""

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
from backproject.errors import FileMissingError, FormatError, InputError, OutputError
from backproject.io.sources import tum

STEP = 1 / 5000
SEEDS = st.integers(0, 2**32 - 1)


@given(seed=SEEDS)
@settings(max_examples=40)
def test_reading_undoes_writing(seed, tmp_path_factory):
    views = random_views(seed)
    folder = tmp_path_factory.getbasetemp() / "tum-written"
    tum.write(views, folder)
    again = load(folder)
    assert_same_cameras(again, views)
    assert_same_depth(again, views, STEP)
    assert taken(again, "source") == ["TUM RGB-D"]
    assert not taken(again, "dropped")


def test_what_the_format_does_not_hold_is_refused(tmp_path):
    with pytest.raises(InputError, match="one camera for all"):
        tum.write(random_views(1, count=2, shared=False), tmp_path / "c")
    far = random_views(2, farthest=50, count=9, missing=0)
    with pytest.raises(InputError, match="scale the scene down"):
        tum.write(far, tmp_path / "c")
    assert not list(tmp_path.iterdir())


def test_folders_of_others_are_not_written_over(tmp_path):
    views = random_views(3)
    folder = by_hand(views, tmp_path / "c")
    with pytest.raises(OutputError, match="other files"):
        tum.write(views, folder)


def quaternion(rotation):
    """qx qy qz qw by the axis and angle of a rotation matrix."""
    values, vectors = np.linalg.eig(rotation)
    axis = np.real(vectors[:, np.argmin(np.abs(values - 1))])
    skew = rotation - rotation.T
    sine = np.array([skew[2, 1], skew[0, 2], skew[1, 0]]) @ axis / 2
    half = np.arctan2(sine, (np.trace(rotation) - 1) / 2) / 2
    return [*(axis * np.sin(half)), np.cos(half)]


def by_hand(views, folder, *, image_times=None, pose_times=None, calibration=True):
    """A sequence as TUM has it; each view's pose is the k-th, its image the k-th."""
    start = 1305031102.1753
    image_times = start + np.arange(len(views)) / 30 if image_times is None else image_times
    pose_times = image_times + 0.004 if pose_times is None else pose_times
    rows = [
        [time, *pose[:3, 3], *quaternion(pose[:3, :3])]
        for time, pose in zip(pose_times, views.rig.world_from_camera, strict=True)
    ]
    save_text(rows, folder / "groundtruth.txt")
    lines = ["# depth maps", "# file: 'rgbd_dataset.bag'", "# timestamp filename"]
    for time, depth in zip(image_times, views.depth, strict=True):
        name = f"depth/{time:.6f}.png"
        save_png(steps(depth, STEP), folder / name)
        lines.append(f"{time:.6f} {name}")
    (folder / "depth.txt").write_text("\n".join(lines) + "\n")
    if calibration:
        matrix = counted_from_center(views.rig.intrinsics[0])
        save_text([matrix[(0, 1, 0, 1), (0, 1, 2, 2)]], folder / "calibration.txt")
    return folder


def test_what_others_write_is_read(tmp_path):
    views = random_views(4)
    again = load(by_hand(views, tmp_path / "c"))
    # An axis by eigenvectors is good to the root of float64's precision at worst.
    assert_same_cameras(again, views, digits=1e-7)
    assert_same_depth(again, views, STEP, empty=False)
    assert taken(again, "pairs") == ["each with the pose nearest in time, at most 0.0040 s apart"]


def test_images_without_a_pose_in_time_are_dropped_and_told(tmp_path):
    views = random_views(5, count=4)
    # The first is 0.021 s early; the last two share a pose's time, and it is nearer to the third.
    poses = np.array([1.0, 1.1, 1.2, 9.0])
    folder = by_hand(
        views, tmp_path / "c", image_times=[0.979, 1.119, 1.201, 1.215], pose_times=poses
    )
    again = load(folder)
    assert len(again) == 2
    assert_same_depth(again, views.subset([1, 2]), STEP, empty=False)
    assert_same_cameras(again, views.subset([1, 2]), digits=1e-7)
    assert taken(again, "dropped") == ["2 of 4 frames (0.979000.png, ...)"]


@given(seed=SEEDS)
@settings(max_examples=100)
def test_the_nearest_time_is_the_nearest(seed):
    rng = np.random.default_rng(seed)
    times = np.sort(rng.integers(0, 20, rng.integers(1, 9)).astype(float))
    among = np.sort(rng.integers(0, 20, rng.integers(1, 9)).astype(float))
    nearest = tum._nearest(times, among)
    gaps = np.abs(times[:, None] - among)
    np.testing.assert_array_equal(gaps[np.arange(len(times)), nearest], gaps.min(axis=1))


def test_lines_need_no_order(tmp_path):
    views = random_views(6, count=5)
    folder = by_hand(views, tmp_path / "c")
    for name in ("groundtruth.txt", "depth.txt"):
        lines = (folder / name).read_text().splitlines()
        (folder / name).write_text("\n".join(reversed(lines)))
    assert_same_cameras(load(folder), views, digits=1e-7)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (1, (525, 525, 319.5, 239.5)),
        (2, (525, 525, 319.5, 239.5)),
        (3, (535.4, 539.2, 320.1, 247.6)),
    ],
)
def test_tum_s_own_cameras_are_known_by_name(number, expected, tmp_path):
    rig = bp.Rig(np.eye(3), np.eye(4)[None], 640, 480)
    views = bp.ViewSet(np.ones((1, 480, 640)), rig)
    folder = tmp_path / f"rgbd_dataset_freiburg{number}_xyz"
    again = load(by_hand(views, folder, calibration=False))
    matrix = counted_from_center(again.rig.intrinsics[0])
    np.testing.assert_allclose(matrix[(0, 1, 0, 1), (0, 1, 2, 2)], expected, rtol=1e-15)
    (told,) = [note for note in again.assumptions if note.about == "intrinsics"]
    assert f"freiburg{number}" in told.because


def test_cameras_that_are_not_known_are_asked_for(tmp_path):
    views = random_views(7)
    assert_refused(by_hand(views, tmp_path / "seq", calibration=False), "--camera-file")
    small = by_hand(views, tmp_path / "freiburg1", calibration=False)
    assert_refused(small, "is for 640 x 480")
    (tmp_path / "k.txt").write_text("2 0 1\n0 2 1\n0 0 1\n")
    matrix = load(small, camera_file=tmp_path / "k.txt").rig.intrinsics[0]
    np.testing.assert_array_equal(matrix, [[2, 0, 1.5], [0, 2, 1.5], [0, 0, 1]])
    assert load(small, fov=60).rig.intrinsics[0, 0, 0] > 0


def test_the_user_s_word_wins(tmp_path):
    views = random_views(8)
    folder = by_hand(views, tmp_path / "c")
    plain = load(folder)
    scaled = load(folder, depth_scale=STEP * 2)
    np.testing.assert_allclose(scaled.depth, plain.depth * 2, rtol=1e-6)
    assert scaled.step == STEP * 2
    inverse = load(folder, pose="world-to-camera").rig.world_from_camera
    np.testing.assert_allclose(inverse, plain.rig.camera_from_world, atol=1e-7)
    empty = np.isinf(load(folder, background=0).depth)
    np.testing.assert_array_equal(empty, np.isnan(plain.depth))


def test_paths_that_leave_the_folder_are_followed_if_asked(tmp_path):
    views = random_views(9, count=1)
    folder = by_hand(views, tmp_path / "seq")
    (folder / "depth").rename(tmp_path / "depth")
    text = (folder / "depth.txt").read_text().replace("depth/", "../depth/")
    (folder / "depth.txt").write_text(text)
    assert_refused(folder, "leaves its folder")
    assert_same_depth(load(folder, allow_outside=True), views, STEP, empty=False)


def spoilt(name, change):
    def spoil(folder):
        text = (folder / name).read_text()
        (folder / name).write_text(change(text))

    return spoil


def pose(*numbers):
    """Every pose is this one."""

    def change(text):
        times = [line.split()[0] for line in text.splitlines()]
        return "".join(f"{time} {' '.join(map(str, numbers))}\n" for time in times)

    return spoilt("groundtruth.txt", change)


BAD = {
    "no poses": (spoilt("groundtruth.txt", lambda _: "# nothing\n"), "holds no pose"),
    "no images": (spoilt("depth.txt", lambda _: ""), "names no image"),
    "seven numbers": (pose(0, 0, 0, 0, 0, 0), "line 1: .*expected 8"),
    "nan pose": (pose("nan", 0, 0, 0, 0, 0, 1), "line 1: .*finite"),
    "no rotation": (pose(0, 0, 0, 0, 0, 0, 0), "quaternion of length 0"),
    "long quaternion": (pose(0, 0, 0, 0, 0, 1, 1), "quaternion of length 1.414"),
    "words": (pose(*"abcdefg"), "line 1: could not convert"),
    "another clock": (
        spoilt("depth.txt", lambda t: t.replace("13050", "99")),
        "no image has a pose",
    ),
    "nan time": (spoilt("depth.txt", lambda _: "nan depth/0.png"), "time of nan"),
    "three words": (spoilt("depth.txt", lambda _: "1 depth/a b.png"), "timestamp and filename"),
    "no path": (spoilt("depth.txt", lambda _: f"1 {'a' * 5000}.png"), "no path"),
    "bytes": (
        lambda folder: (folder / "depth.txt").write_bytes(b"\xff\xfe\x00"),
        "cannot be read as text",
    ),
    "zero focal": (spoilt("calibration.txt", lambda _: "0 0 1 1"), "calibration.txt: .*focal"),
    "five numbers": (spoilt("calibration.txt", lambda _: "1 1 0 0 0.1"), "5 numbers"),
    "two sizes": (
        lambda folder: save_png(np.ones((30, 40)), sorted((folder / "depth").iterdir())[1]),
        "one size",
    ),
    "cut image": (
        lambda folder: sorted((folder / "depth").iterdir())[0].write_bytes(b"\x89PNG\r\n\x1a\n"),
        "cannot be read",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_is_refused(name, tmp_path):
    spoil, match = BAD[name]
    folder = by_hand(random_views(10, count=3), tmp_path / "seq-7")
    spoil(folder)
    assert_refused(folder, match, FormatError)


def test_missing_images_are_named(tmp_path):
    folder = by_hand(random_views(11, count=2), tmp_path / "seq-7")
    file = sorted((folder / "depth").iterdir())[1]
    file.unlink()
    assert_refused(folder, file.name, FileMissingError)


@given(seed=SEEDS)
@settings(max_examples=60)
def test_spoilt_files_end_in_our_errors(seed, tmp_path_factory):
    base = tmp_path_factory.mktemp("tum")
    folder = by_hand(random_views(seed % 7, count=2), base / "c")
    assert_spoilt_files_are_refused_or_read(folder, base, np.random.default_rng(seed))
