"""Open3D's cameras: reading undoes writing, Open3D agrees, what cannot be read is refused."""

from __future__ import annotations

import json
from types import SimpleNamespace

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
    steps,
    taken,
)
from hypothesis import given, settings
from hypothesis import strategies as st

import backproject as bp
from backproject.errors import FileMissingError, FormatError, InputError, OutputError
from backproject.io.sources import open3d as adapter
from backproject.io.sources.source import Asked

STEP = 0.001
SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture
def o3d():
    return pytest.importorskip("open3d")


@given(seed=SEEDS, shared=st.booleans())
@settings(max_examples=40)
def test_reading_undoes_writing(seed, shared, tmp_path_factory):
    views = random_views(seed, shared=shared)
    # One place for all draws: each must also replace the one before.
    folder = tmp_path_factory.getbasetemp() / "open3d-written"
    adapter.write(views, folder)
    again = load(folder)
    assert_same_cameras(again, views)
    assert_same_depth(again, views, STEP)
    assert taken(again, "source") == ["Open3D"]


def test_folders_of_others_are_not_written_over(tmp_path):
    views = random_views(1)
    adapter.write(views, tmp_path / "own")
    (tmp_path / "own" / "notes.txt").write_text("mine")
    other = by_hand(views, tmp_path / "other")
    for folder in (tmp_path / "own", other):
        with pytest.raises(OutputError, match="other files"):
            adapter.write(views, folder)


def test_depth_that_millimetres_in_16_bits_do_not_hold_is_refused(tmp_path):
    views = random_views(2, missing=0)
    with pytest.raises(InputError, match=r"steps of 0.001 end at 65.534"):
        adapter.write(
            bp.ViewSet(views.depth * np.float32(65.54 / views.depth.max()), views.rig),
            tmp_path / "far",
        )
    assert not list(tmp_path.iterdir())


def by_hand(views, folder, *, as_json=False, names=None):
    """A folder as Open3D's users have it, written by its documentation."""
    names = names or [f"{k:05d}" for k in range(len(views))]
    for name, depth in zip(names, views.depth, strict=True):
        save_png(steps(depth, STEP), folder / "depth" / f"{name}.png")
    intrinsics = [
        {
            "width": views.rig.width,
            "height": views.rig.height,
            "intrinsic_matrix": counted_from_center(matrix).flatten(order="F").tolist(),
        }
        for matrix in views.rig.intrinsics
    ]
    if as_json:
        parameters = [
            {
                "class_name": "PinholeCameraParameters",
                "extrinsic": np.linalg.inv(pose).flatten(order="F").tolist(),
                "intrinsic": intrinsic,
            }
            for pose, intrinsic in zip(views.rig.world_from_camera, intrinsics, strict=True)
        ]
        content = {"class_name": "PinholeCameraTrajectory", "parameters": parameters}
        (folder / "cameras.json").write_text(json.dumps(content))
        return folder
    (folder / "camera_primesense.json").write_text(json.dumps(intrinsics[0]))
    with (folder / "trajectory.log").open("w") as log:
        for k, pose in enumerate(views.rig.world_from_camera):
            log.write(f"{k} {k} {k + 1}\n")
            log.writelines(" ".join(map(repr, row)) + "\n" for row in pose.tolist())
    return folder


@pytest.mark.parametrize("as_json", [False, True])
def test_what_others_write_is_read(as_json, tmp_path):
    views = random_views(3, shared=not as_json)
    again = load(by_hand(views, tmp_path / "c", as_json=as_json))
    assert_same_cameras(again, views)
    # Their 0 is both: nothing there, nothing known.
    assert_same_depth(again, views, STEP, empty=False)
    assert taken(again, "pixel center") == ["0"]
    assert taken(again, "pose") == ["world-to-camera" if as_json else "camera-to-world"]


def test_the_trajectory_s_own_path_is_the_source_too(tmp_path):
    views = random_views(4)
    folder = by_hand(views, tmp_path / "c")
    assert_same_cameras(load(folder / "trajectory.log"), views)


def split(folder, target):
    """The trajectory's cameras, each in a file of its own."""
    target.mkdir(exist_ok=True)
    content = json.loads((folder / "cameras.json").read_text())
    (folder / "cameras.json").unlink()
    for k, camera in enumerate(content["parameters"]):
        (target / f"view_{k}.json").write_text(json.dumps(camera))
    return folder


@pytest.mark.parametrize("place", ["c", "c/params"])
def test_cameras_in_files_of_their_own_go_by_number(place, tmp_path):
    views = random_views(5, count=12, shared=False)
    names = [f"image{k}" for k in range(12)]
    folder = by_hand(views, tmp_path / "c", as_json=True, names=names)
    again = load(split(folder, tmp_path / place))
    assert_same_cameras(again, views)
    assert_same_depth(again, views, STEP, empty=False)
    told = taken(again, "order of files")
    assert told == [
        "by number: view_2.json comes before view_10.json",
        "by number: image2.png comes before image10.png",
    ]


def test_depth_beside_the_cameras_is_known_by_its_name(tmp_path):
    views = random_views(6, shared=False)
    folder = by_hand(views, tmp_path / "c", as_json=True)
    for file in (folder / "depth").iterdir():
        file.rename(folder / f"DepthCapture_{file.name}")
    (folder / "depth").rmdir()
    save_png(np.zeros((2, 2)), folder / "ScreenCapture_0.png")
    assert_same_depth(load(folder), views, STEP, empty=False)


def test_floats_are_scene_units(tmp_path):
    views = random_views(7)
    folder = by_hand(views, tmp_path / "c")
    for k, file in enumerate(sorted((folder / "depth").iterdir())):
        np.save(file.with_suffix(".npy"), views.depth[k])
        file.unlink()
    np.testing.assert_array_equal(load(folder).depth, views.depth)


def test_the_user_s_word_wins(tmp_path):
    views = random_views(8)
    folder = by_hand(views, tmp_path / "c")
    metres = load(folder)
    assert np.nanmax(load(folder, depth_scale=0.01).depth) == pytest.approx(
        10 * np.nanmax(metres.depth)
    )
    np.testing.assert_array_equal(
        np.isinf(load(folder, background=0).depth), np.isnan(metres.depth)
    )
    moved = load(folder, pixel_center=0.5).rig.intrinsics - metres.rig.intrinsics
    np.testing.assert_allclose(moved[:, :2, 2], -0.5)
    turned = load(folder, axes="opengl").rig.world_from_camera
    np.testing.assert_array_equal(turned, metres.rig.world_from_camera * [1, -1, -1, 1])
    inverse = load(folder, pose="world-to-camera").rig.world_from_camera
    np.testing.assert_allclose(inverse, metres.rig.camera_from_world, atol=1e-12)


def test_intrinsics_of_the_user_win(tmp_path):
    views = random_views(9)
    folder = by_hand(views, tmp_path / "c")
    (tmp_path / "four.txt").write_text("# fx fy cx cy\n3 4 1.5 2.5\n")
    four = load(folder, camera_file=tmp_path / "four.txt").rig.intrinsics
    np.testing.assert_array_equal(four[-1], [[3, 0, 2], [0, 4, 3], [0, 0, 1]])
    for center in (None, 0, 0.5):
        wide = load(folder, fov=90, pixel_center=center).rig
        half = views.rig.height / 2
        np.testing.assert_allclose(wide.intrinsics[0, (0, 1, 1), (0, 1, 2)], half)
        np.testing.assert_allclose(wide.intrinsics[0, 0, 2], views.rig.width / 2)


def test_without_intrinsics_a_kinect_s_images_have_open3d_s_default(tmp_path):
    rig = bp.Rig(np.eye(3), np.eye(4)[None], 640, 480)
    folder = by_hand(bp.ViewSet(np.ones((1, 480, 640)), rig), tmp_path / "c")
    (folder / "camera_primesense.json").unlink()
    views = load(folder)
    expected = [[525, 0, 320], [0, 525, 240], [0, 0, 1]]
    np.testing.assert_array_equal(views.rig.intrinsics[0], expected)
    (told,) = [note for note in views.assumptions if note.about == "intrinsics"]
    assert "PrimeSense" in told.because


def test_a_trajectory_serves_depth_images_elsewhere(tmp_path):
    views = random_views(10, shared=False)
    folder = by_hand(views, tmp_path / "c", as_json=True)
    shape = views.rig.height, views.rig.width
    cameras = adapter.cameras(folder, Asked(camera_file=folder), shape)
    np.testing.assert_allclose(cameras.poses, views.rig.camera_from_world, atol=1e-12)
    np.testing.assert_allclose(cameras.intrinsics[:, :2, 2] + 0.5, views.rig.intrinsics[:, :2, 2])


def test_a_log_may_be_a_text_file_that_is_called_so(tmp_path):
    views = random_views(17)
    folder = by_hand(views, tmp_path / "c")
    text = (folder / "trajectory.log").rename(folder / "livingroom1-traj.txt")
    assert_same_cameras(load(folder), views)
    named = text.rename(folder / "cameras.txt")
    assert not adapter.SOURCE.recognises(folder)
    assert_same_cameras(load(named), views)


def test_other_folders_are_not_taken_for_open3d_s(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "trajectory.log").write_text("INFO starting\nINFO done\n")
    (tmp_path / "a" / "camPosList.txt").write_text("0 0 1\n" * 20)
    (tmp_path / "a" / "some.json").write_text('{"frames": []}')
    random_views(0).save(tmp_path / "capture")
    for path in (tmp_path / "a", tmp_path / "capture", tmp_path / "no", tmp_path / "a/some.json"):
        assert not adapter.SOURCE.recognises(path)


def changed(as_json, change):
    """A sound folder but for one change to its camera file's text, or to the folder."""

    def spoil(tmp_path):
        views = random_views(11, count=3, missing=0)
        folder = by_hand(views, tmp_path / "scene-7", as_json=as_json)
        file = folder / ("cameras.json" if as_json else "trajectory.log")
        change(folder, file)
        return folder

    return spoil


def log(change):
    return changed(False, lambda _, file: file.write_text(change(file.read_text())))


def parameters(change):
    def spoil(_, file):
        content = json.loads(file.read_text())
        change(content["parameters"])
        file.write_text(json.dumps(content))

    return changed(True, spoil)


def with_pose(matrix):
    extrinsic = np.asarray(matrix, float).flatten(order="F").tolist()
    return parameters(lambda cameras: cameras[1].update(extrinsic=extrinsic))


def intrinsic(**numbers):
    return changed(
        False,
        lambda folder, _: (folder / "camera_primesense.json").write_text(
            json.dumps({"width": 1, "height": 1, "intrinsic_matrix": [1, 0, 0] * 3, **numbers})
        ),
    )


def depth(change):
    return changed(False, lambda folder, _: change(folder / "depth"))


BAD = {
    "cut log": (log(lambda text: text[: len(text) // 2]), "5 for each camera|4 x 4|whole"),
    "word in a log": (log(lambda text: text.replace("0.0 0.0 0.0 1.0", "0 0 up 1")), "up"),
    "nan pose in a log": (log(lambda t: t.replace("0.0 0.0 0.0 1.0", "0 0 nan 1")), "nan"),
    "last row": (log(lambda t: t.replace("0.0 0.0 0.0 1.0", "0 0 1 1")), "last row"),
    "cut JSON": (
        changed(True, lambda _, file: file.write_text(file.read_text()[:-9])),
        "not valid JSON",
    ),
    "no cameras": (parameters(lambda cameras: cameras.clear()), "no `parameters`"),
    "a camera too few": (parameters(lambda c: c.pop()), "3 depth images for 2 cameras"),
    "camera no object": (parameters(lambda c: c.__setitem__(0, 7)), "PinholeCameraParameters"),
    "short pose": (parameters(lambda c: c[0]["extrinsic"].pop()), "expected 16 numbers"),
    "pose of words": (parameters(lambda c: c[0].update(extrinsic=["x"] * 16)), "16 numbers"),
    "pose of bools": (parameters(lambda c: c[0].update(extrinsic=[True] * 16)), "16 numbers"),
    "no intrinsic": (parameters(lambda c: c[0].pop("intrinsic")), "no intrinsics"),
    "huge number": (parameters(lambda c: c[0].update(extrinsic=[10**400] * 16)), "floats"),
    "nan pose": (with_pose(np.full((4, 4), np.nan)), "view 1: holds nan"),
    "zero pose": (with_pose(np.zeros((4, 4))), "view 1"),
    "no rotation": (with_pose(np.diag([2, 2, 2, 1])), "determinant 8"),
    "reflection": (with_pose(np.diag([1, 1, -1, 1])), "reflection"),
    "another size": (
        parameters(lambda c: c[0]["intrinsic"].update(width=640)),
        "a camera of 640 x .*were the images scaled",
    ),
    "zero focal": (
        parameters(lambda c: c[0]["intrinsic"].update(intrinsic_matrix=[0.0] * 8 + [1])),
        "focal",
    ),
    "half a pixel": (intrinsic(width=1.5), "whole numbers"),
    "infinite size": (intrinsic(width=float("inf")), "whole numbers"),
    "size of words": (intrinsic(width="wide"), "`width`"),
    "no depth folder": (depth(lambda d: d.rename(d.with_name("images"))), "no depth images"),
    "a depth image too few": (depth(lambda d: (d / "00001.png").unlink()), "2 depth images for 3"),
    "two formats": (depth(lambda d: np.save(d / "0.npy", np.ones((2, 2)))), ".npy and .png"),
    "two sizes": (depth(lambda d: save_png(np.ones((30, 40)), d / "00001.png")), "one size"),
    "no image": (depth(lambda d: (d / "00001.png").write_text("hello")), "cannot be read"),
    "two trajectories": (
        changed(
            False,
            lambda d, file: (
                file.rename(d / "a.log"),
                (d / "b.log").write_bytes((d / "a.log").read_bytes()),
            ),
        ),
        "several trajectories, a.log b.log",
    ),
    "two intrinsics": (
        changed(
            False,
            lambda d, _: (d / "b.json").write_text((d / "camera_primesense.json").read_text()),
        ),
        "several intrinsics, b.json camera_primesense.json",
    ),
    "no intrinsics": (
        changed(False, lambda d, _: (d / "camera_primesense.json").unlink()),
        "expected intrinsics: .* or give --fov, or --orthographic",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_is_refused(name, tmp_path):
    spoil, match = BAD[name]
    missing = {"no depth folder": FileMissingError}
    assert_refused(spoil(tmp_path), match, missing.get(name, FormatError))


@given(seed=SEEDS)
@settings(max_examples=60)
def test_spoilt_files_end_in_our_errors(seed, tmp_path_factory):
    rng = np.random.default_rng(seed)
    base = tmp_path_factory.mktemp("open3d")
    folder = by_hand(random_views(seed % 7, count=2), base / "c", as_json=bool(seed % 2))
    assert_spoilt_files_are_refused_or_read(folder, base, rng)


@pytest.mark.parametrize("shared", [True, False])
def test_open3d_reads_what_is_written_and_agrees(o3d, shared, tmp_path):
    views = random_views(12, count=3, shared=shared, farthest=4)
    adapter.write(views, tmp_path / "c")
    again = load(tmp_path / "c")
    file = "trajectory.log" if shared else "trajectory.json"
    trajectory = o3d.io.read_pinhole_camera_trajectory(str(tmp_path / "c" / file))
    intrinsic_file = str(tmp_path / "c" / "intrinsic.json")
    for k, camera in enumerate(trajectory.parameters):
        pinhole = (
            o3d.io.read_pinhole_camera_intrinsic(intrinsic_file) if shared else camera.intrinsic
        )
        assert (pinhole.width, pinhole.height) == (views.rig.width, views.rig.height)
        image = o3d.io.read_image(str(tmp_path / "c" / "depth" / f"{k:03d}.png"))
        theirs = o3d.geometry.PointCloud.create_from_depth_image(
            image, pinhole, camera.extrinsic, depth_scale=1000, depth_trunc=1000
        )
        ours = bp.backproject(again.subset([k])).points
        # Both hold depth as float32, of which a unit in the last place is 2.4e-7 below 4; the
        # farther from the axis, the longer the ray.
        rays = np.abs(ours - again.rig[k].center_world).max() / 4
        np.testing.assert_allclose(
            np.asarray(theirs.points), ours, rtol=0, atol=max(1, rays) * 1e-6
        )


def objects(o3d, views):
    cameras = []
    for matrix, extrinsic in zip(views.rig.intrinsics, views.rig.camera_from_world, strict=True):
        camera = o3d.camera.PinholeCameraParameters()
        fx, fy, cx, cy = counted_from_center(matrix)[(0, 1, 0, 1), (0, 1, 2, 2)]
        size = views.rig.width, views.rig.height
        camera.intrinsic = o3d.camera.PinholeCameraIntrinsic(*size, fx, fy, cx, cy)
        camera.extrinsic = extrinsic
        cameras.append(camera)
    trajectory = o3d.camera.PinholeCameraTrajectory()
    trajectory.parameters = cameras
    return trajectory


@pytest.mark.parametrize("kind", ["log", "json", "parameters"])
def test_what_open3d_writes_is_read(o3d, kind, tmp_path):
    views = random_views(13, count=11, shared=kind == "log")
    trajectory = objects(o3d, views)
    for k, depth in enumerate(views.depth):
        (tmp_path / "depth").mkdir(exist_ok=True)
        image = o3d.geometry.Image(steps(depth, STEP).astype(np.uint16))
        o3d.io.write_image(str(tmp_path / "depth" / f"{k}.png"), image)
    if kind == "parameters":
        for k, camera in enumerate(trajectory.parameters):
            o3d.io.write_pinhole_camera_parameters(str(tmp_path / f"{k}.json"), camera)
    else:
        o3d.io.write_pinhole_camera_trajectory(str(tmp_path / f"t.{kind}"), trajectory)
    if kind == "log":
        pinhole = trajectory.parameters[0].intrinsic
        o3d.io.write_pinhole_camera_intrinsic(str(tmp_path / "i.json"), pinhole)
    again = load(tmp_path)
    # Open3D's log has eight digits behind the point; its JSON has 17 in all.
    assert_same_cameras(again, views, digits=1e-8 if kind == "log" else 1e-11)
    assert_same_depth(again, views, STEP, empty=False)


def test_views_from_open3d_s_objects(o3d):
    views = random_views(14, count=3, shared=False)
    trajectory = objects(o3d, views)
    for cameras in (trajectory, list(trajectory.parameters)):
        again = bp.ViewSet.from_open3d(cameras, list(views.depth))
        assert_same_cameras(again, views)
        np.testing.assert_array_equal(again.depth, views.depth)
    images = [o3d.geometry.Image(steps(depth, STEP).astype(np.uint16)) for depth in views.depth]
    assert_same_depth(bp.ViewSet.from_open3d(trajectory, images), views, STEP, empty=False)


def fakes(views):
    """What has the attributes of Open3D's cameras will do: Open3D is not needed."""
    return [
        SimpleNamespace(
            extrinsic=camera.camera_from_world,
            intrinsic=SimpleNamespace(
                width=camera.width,
                height=camera.height,
                intrinsic_matrix=counted_from_center(camera.intrinsics),
            ),
        )
        for camera in views.rig
    ]


def test_integers_are_millimetres_unless_said():
    views = random_views(15, missing=0)
    metres = bp.ViewSet.from_open3d(fakes(views), np.full(views.depth.shape, 1500, np.uint16))
    assert (metres.depth == 1.5).all()
    assert metres.step == 0.001
    other = np.full(views.depth.shape, 1500.0)
    assert (bp.ViewSet.from_open3d(fakes(views), other, per_unit=500).depth == 3).all()


def test_objects_that_do_not_fit_are_refused():
    views = random_views(16, count=2)
    cameras, images = fakes(views), list(views.depth)
    wide = np.ones((views.rig.height, views.rig.width + 1), np.float32)
    for bad, match in [
        ((cameras[:1], images), "2 images for 1 cameras"),
        (([], []), "at least one"),
        ((cameras, [wide, wide]), "shape"),
        ((cameras, [images[0], wide]), "image 1"),
        ((cameras, [np.full(images[0].shape, "x")] * 2), "expected numbers"),
    ]:
        with pytest.raises(InputError, match=match):
            bp.ViewSet.from_open3d(*bad)
    with pytest.raises(InputError, match="per_unit"):
        bp.ViewSet.from_open3d(cameras, images, per_unit=0)
