"""Captures: reading undoes writing, others' captures are understood, bad ones refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from backproject.errors import FileMissingError, FormatError, InputError, OutputError
from backproject.geometry.rig import Rig
from backproject.geometry.views import Assumption, ViewSet
from backproject.io.atomic import atomic_file, atomic_folder
from backproject.io.captures import find_capture, read_capture, write_capture
from backproject.io.sources.source import Asked, views_of

DEPTH_FORMATS = ["npy", "exr", "png"]


def random_views(seed, *, shared_intrinsics=False):
    rng = np.random.default_rng(seed)
    count, height, width = rng.integers(1, 6), rng.integers(1, 9), rng.integers(1, 9)
    intrinsics = np.zeros((count, 3, 3)) + np.eye(3)
    intrinsics[:, 0, 0], intrinsics[:, 1, 1] = rng.uniform(1, 999, (2, count))
    intrinsics[:, :2, 2] = rng.uniform(-9, 99, (count, 2))
    if shared_intrinsics:
        intrinsics[:] = intrinsics[0]
    poses = Rig.looking_at(rng.normal(size=(count, 3)), target=rng.normal(size=3) * 5)
    depth = rng.uniform(0.5, 40, (count, height, width)).astype(np.float32)
    depth[rng.random(depth.shape) < 0.2] = np.inf
    depth[rng.random(depth.shape) < 0.2] = np.nan
    return ViewSet(depth, Rig(intrinsics, poses.world_from_camera, width, height))


def assert_same_cameras(again, views):
    np.testing.assert_array_equal(again.rig.intrinsics, views.rig.intrinsics)
    np.testing.assert_array_equal(again.rig.world_from_camera, views.rig.world_from_camera)
    assert (again.rig.width, again.rig.height) == (views.rig.width, views.rig.height)


@pytest.mark.parametrize("depth_format", DEPTH_FORMATS)
@given(seed=st.integers(0, 2**32 - 1), shared_intrinsics=st.booleans())
@settings(max_examples=25)
def test_reading_undoes_writing(depth_format, seed, shared_intrinsics, tmp_path_factory):
    views = random_views(seed, shared_intrinsics=shared_intrinsics)
    # One place for all draws: each must also replace the one before.
    folder = tmp_path_factory.getbasetemp() / f"capture-{depth_format}"
    write_capture(views, folder, depth_format=depth_format)
    again = read_capture(folder)
    assert_same_cameras(again, views)
    # npy and exr are exact; PNG rounds to 1 / 65534 of the farthest depth, 40 at most, and float32
    # adds half a unit in its last place there, 2e-6.
    tolerance = 40 / 65534 / 2 + 2e-6 if depth_format == "png" else 0
    np.testing.assert_allclose(again.depth, views.depth, rtol=0, atol=tolerance)
    np.testing.assert_array_equal(np.isposinf(again.depth), np.isposinf(views.depth))


def test_writing_what_was_read_from_png_changes_nothing_more(tmp_path):
    first = random_views(3)
    write_capture(first, tmp_path / "a", depth_format="png")
    second = read_capture(tmp_path / "a")
    write_capture(second, tmp_path / "b", depth_format="png")
    # The farthest depth was exact, so the steps are the same; only float32 rounds it.
    np.testing.assert_allclose(read_capture(tmp_path / "b").depth, second.depth, rtol=1e-6)


def test_axes_are_opengl_s_in_the_file(tmp_path):
    # At (0, 0, 2), looking at the origin: an OpenGL camera there is not turned at all.
    rig = Rig.looking_at([(0, 0, 2)], size=4)
    write_capture(ViewSet(np.full((1, 4, 4), 2, np.float32), rig), tmp_path / "c")
    content = json.loads((tmp_path / "c" / "transforms.json").read_text())
    expected = np.eye(4)
    expected[2, 3] = 2
    np.testing.assert_array_equal(content["frames"][0]["transform_matrix"], expected)
    assert content["camera_model"] == "OPENCV"
    assert content["depth_unit_scale_factor"] == 1
    assert (content["w"], content["h"], content["cx"], content["cy"]) == (4, 4, 2, 2)
    assert content["frames"][0]["depth_file_path"] == "depth/000.npy"


def test_names_sort_as_text_in_the_order_of_the_views(tmp_path):
    count = 1001
    rig = Rig(np.eye(3), np.repeat(np.eye(4)[None], count, 0), 1, 1)
    write_capture(ViewSet(np.ones((count, 1, 1), np.float32), rig), tmp_path / "many")
    frames = json.loads((tmp_path / "many" / "transforms.json").read_text())["frames"]
    names = [frame["depth_file_path"] for frame in frames]
    assert names == sorted(names)


def foreign(folder, *, drop=(), frame=(), drop_frame=(), frame_count=2, **changes):
    """A capture as another program writes it: millimetres in 16-bit PNG, no record of ours."""
    folder.mkdir()
    image = np.array([[0, 1500, 2000], [1000, 65535, 1250]], np.uint16)
    Image.fromarray(image).save(folder / "d0.png")
    Image.fromarray(image).save(folder / "d1.png")
    one = {"file_path": "rgb.jpg", "transform_matrix": np.eye(4).tolist()}
    frames = [{**one, "depth_file_path": f"d{k}.png"} for k in range(frame_count)]
    if frames:
        frames[-1].update(dict(frame))
        for key in drop_frame:
            del frames[-1][key]
    content = {"fl_x": 3.0, "fl_y": 3, "cx": 1.5, "cy": 1.0, "w": 3, "h": 2, "frames": frames}
    content.update(changes)
    for key in drop:
        del content[key]
    (folder / "transforms.json").write_text(json.dumps(content))
    return folder


def test_a_capture_of_others_is_millimetres_with_holes(tmp_path):
    views = read_capture(foreign(tmp_path / "c"))
    expected = [[np.nan, 1.5, 2], [1, 65.535, 1.25]]
    np.testing.assert_array_equal(views.depth, np.array([expected] * 2, np.float32))
    np.testing.assert_array_equal(views.rig.world_from_camera[0], np.diag([1, -1, -1, 1]))


def test_scale_and_intrinsics_may_be_said_by_frame(tmp_path):
    own = {"depth_unit_scale_factor": 0.5, "fl_x": 7}
    views = read_capture(foreign(tmp_path / "c", frame=own, depth_unit_scale_factor=0.25))
    np.testing.assert_array_equal(views.depth[:, 0, 1], (375, 750))
    np.testing.assert_array_equal(views.rig.intrinsics[:, 0, 0], (3, 7))


def test_the_json_s_own_path_is_the_capture_too(tmp_path):
    views = random_views(0)
    write_capture(views, tmp_path / "c")
    assert_same_cameras(read_capture(tmp_path / "c" / "transforms.json"), views)


def posed(matrix):
    return {"frame": {"transform_matrix": np.asarray(matrix, float).tolist()}}


BAD = {
    "no frames": ({"frame_count": 0}, "frames"),
    "frames no list": ({"frames": {"a": 1}}, "frames"),
    "frame no object": ({"frames": [1]}, "frames"),
    "no fl_x": ({"drop": ["fl_x"]}, "`fl_x` of frame 0 is missing"),
    "angle in words": ({"drop": ["fl_x"], "camera_angle_x": "wide"}, "`fl_x` of frame 0"),
    "angle of nothing": ({"drop": ["fl_x"], "camera_angle_x": 0}, "focal"),
    "angle of all": ({"drop": ["fl_x"], "camera_angle_x": 3.2}, "focal"),
    "cy in words": ({"cy": "centre"}, "`cy` of frame 0 is 'centre'"),
    "w null": ({"w": None}, "`w` of frame 0 is None"),
    "fl_y in words": ({"fl_y": "wide"}, "`fl_y` of frame 0 is 'wide'"),
    "fl_x null": ({"fl_x": None}, "`fl_x`"),
    "half a pixel": ({"w": 3.5}, "whole numbers"),
    "infinite width": ({"w": np.inf}, "whole numbers"),
    "no width": ({"w": 0}, "image size"),
    "zero focal": ({"fl_x": 0}, "focal"),
    "nan focal": ({"fl_x": np.nan}, "focal"),
    "integer beyond float": ({"fl_x": 10**400}, "focal"),
    "fisheye": ({"camera_model": "OPENCV_FISHEYE"}, "OPENCV_FISHEYE"),
    "distorted": ({"k1": 0.1}, "k1 = 0.1"),
    "no scale": ({"depth_unit_scale_factor": 0}, "scale"),
    "scale in words": ({"depth_unit_scale_factor": "mm"}, "depth_unit_scale_factor"),
    "two sizes": ({"frame": {"w": 9}}, "sizes"),
    "other size": ({"w": 4}, r"d0\.png: got 3 x 2 pixels, expected 4 x 2"),
    "no depth path": ({"drop_frame": ["depth_file_path"]}, "frame 1 has no `depth_file_path`"),
    "depth path no text": ({"frame": {"depth_file_path": 7}}, "frame 1 has no `depth_file_path`"),
    "depth of colour": ({"frame": {"depth_file_path": "d.bmp"}}, r"`\.bmp`"),
    "path up": ({"frame": {"depth_file_path": "../d0.png"}}, "leaves the capture folder"),
    "absolute path": ({"frame": {"depth_file_path": "/etc/d0.png"}}, "leaves the capture"),
    "odd path": ({"frame": {"depth_file_path": "a\0\n.png"}}, "leaves the capture"),
    "no pose": ({"drop_frame": ["transform_matrix"]}, "frame 1 has no `transform_matrix`"),
    "3 x 4 pose": (posed(np.eye(4)[:3]), "4 x 4"),
    "ragged pose": ({"frame": {"transform_matrix": [[1, 2], [3]]}}, "4 x 4"),
    "pose in words": ({"frame": {"transform_matrix": "identity"}}, "4 x 4"),
    "nan pose": (posed(np.full((4, 4), np.nan)), "nan"),
    "scaled pose": (posed(np.diag([2, 2, 2, 1])), "determinant 8"),
    "mirrored pose": (posed(np.diag([-1, 1, 1, 1])), "reflection"),
    "projective pose": (posed(np.eye(4) + np.eye(4, k=-3)), "last row"),
    "later version": ({"backproject": {"version": 2}}, "version"),
    "odd step": ({"backproject": {"version": 1, "step": -1}}, "version"),
    "nan step": ({"backproject": {"version": 1, "step": np.nan}}, "version"),
    "odd assumptions": ({"backproject": {"version": 1, "assumptions": [{"about": 1}]}}, "version"),
    "assumptions no list": ({"backproject": {"version": 1, "assumptions": "x"}}, "version"),
    "no depth at all": ({"frames": [{"transform_matrix": np.eye(4).tolist()}]}, "without depth"),
    "odd record": ({"backproject": {"version": 1, "empty": "x"}}, "version"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_captures_are_refused_in_one_line(name, tmp_path):
    changes, word = BAD[name]
    foreign(tmp_path / "c", **changes)
    with pytest.raises(FormatError, match=word) as caught:
        read_capture(tmp_path / "c")
    message = str(caught.value)
    assert str(tmp_path / "c") in message
    assert "expected" in message
    assert "\n" not in message


def test_what_is_missing_of_intrinsics_is_filled_in_and_told(tmp_path):
    keys = ["fl_x", "fl_y", "cx", "cy", "w", "h"]
    views = read_capture(foreign(tmp_path / "c", drop=keys, camera_angle_x=np.pi / 2))
    expected = np.array([[1.5, 0, 1.5], [0, 1.5, 1], [0, 0, 1]])
    np.testing.assert_allclose(views.rig.intrinsics, [expected] * 2)
    told = {each.about: each.taken for each in views.assumptions}
    assert told["image size"] == "3 x 2"
    assert told["focal length"] == "1.5 pixels"
    assert told["principal point"] == "1.5, 1"


def test_angles_of_view_may_differ_by_direction_and_frame(tmp_path):
    angles = {"camera_angle_x": np.pi / 2, "camera_angle_y": 2 * np.arctan(0.5)}
    folder = foreign(tmp_path / "c", drop=["fl_x", "fl_y"], frame={"fl_x": 7}, **angles)
    focal = read_capture(folder).rig.intrinsics[:, (0, 1), (0, 1)]
    np.testing.assert_allclose(focal, [(1.5, 2), (7, 2)])


def test_a_path_without_suffix_means_the_one_depth_map_that_is_there(tmp_path):
    folder = foreign(tmp_path / "c", frame={"depth_file_path": "./d1"})
    np.testing.assert_array_equal(*read_capture(folder).depth)
    np.save(folder / "d1.npy", np.ones((2, 3)))
    with pytest.raises(FormatError, match=r"\.npy and \.png"):
        read_capture(folder)


@pytest.mark.parametrize("name", ["d7", "d7.5"])
def test_a_path_without_suffix_to_nothing_is_refused(name, tmp_path):
    folder = foreign(tmp_path / "c", frame={"depth_file_path": name})
    with pytest.raises((FormatError, FileMissingError), match=rf"{name}.*expected|{name}.*frame 1"):
        read_capture(folder)


def test_splits_are_read_by_name(tmp_path):
    folder = foreign(tmp_path / "c")
    (folder / "transforms.json").rename(folder / "transforms_test.json")
    views = read_capture(folder)
    shutil.copy(folder / "transforms_test.json", folder / "transforms_train.json")
    with pytest.raises(FormatError, match=r"transforms_test\.json, transforms_train\.json"):
        read_capture(folder)
    again = read_capture(folder / "transforms_train.json")
    np.testing.assert_array_equal(again.depth, views.depth)


NOTES = (Assumption("axes", "opengl", "so they say"), Assumption("ordér", "by\nnumber", ""))


@pytest.mark.parametrize("depth_format", DEPTH_FORMATS)
def test_what_was_told_and_how_coarse_depth_was_is_kept(depth_format, tmp_path):
    views = replace(random_views(7), step=0.25, assumptions=NOTES)
    write_capture(views, tmp_path / "c", depth_format=depth_format)
    again = read_capture(tmp_path / "c")
    assert again.assumptions == NOTES
    hit = np.isfinite(views.depth)
    rounded = 2 * np.abs(again.depth[hit] - views.depth[hit]).max()
    # The quotient by the scale and back is off by a unit in the last place at most.
    assert again.step == pytest.approx(0.25 + rounded, rel=1e-15, abs=0)
    moved = views_of(find_capture(tmp_path / "c", scaled := Asked(depth_scale=0.5)), scaled)
    assert moved.assumptions[:2] == NOTES
    assert [each.because for each in moved.assumptions[2:]] == ["--depth-scale says so"]


def test_the_interval_of_depth_does_not_grow_by_storing_it_again(tmp_path):
    views = random_views(11)
    steps = []
    for name in "abc":
        write_capture(views, tmp_path / name, depth_format="png")
        views = read_capture(tmp_path / name)
        steps.append(views.step)
    # 40 at most in 65534 steps; what storing again adds is float32's rounding, 4e-6 at 40.
    assert 0 < steps[0] <= 40 / 65534 + 4e-6
    assert steps[2] <= steps[0] + 2 * 8e-6


def test_captures_of_earlier_versions_are_read(tmp_path):
    record = {"version": 1, "empty": 0, "not_measured": 65535}
    views = read_capture(foreign(tmp_path / "c", backproject=record, depth_unit_scale_factor=0.5))
    assert views.step == 0.5
    assert np.isposinf(views.depth[:, 0, 0]).all()
    assert np.isnan(views.depth[:, 1, 1]).all()
    assert ("source", "transforms.json") in [(a.about, a.taken) for a in views.assumptions]


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "null", "[" * 100_000, "\ufeff{}", '{"a": '])
def test_what_is_no_json_object_is_refused(text, tmp_path):
    (tmp_path / "transforms.json").write_text(text)
    with pytest.raises(FormatError, match=r"transforms\.json"):
        read_capture(tmp_path)


def test_links_out_of_the_capture_are_not_followed(tmp_path):
    folder = foreign(tmp_path / "c")
    (folder / "d1.png").rename(tmp_path / "secret.png")
    (folder / "d1.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(FormatError, match="leaves the capture folder"):
        read_capture(folder)


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(FileMissingError, match="no such capture"):
        read_capture(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileMissingError, match=r"without transforms\.json"):
        read_capture(tmp_path / "empty")
    folder = foreign(tmp_path / "c")
    (folder / "d1.png").unlink()
    with pytest.raises(FileMissingError, match=r"d1\.png: no such file, expected .* of frame 1"):
        read_capture(folder)


@pytest.mark.parametrize("depth_format", DEPTH_FORMATS)
def test_a_depth_map_cut_short_is_named(depth_format, tmp_path):
    write_capture(random_views(5), tmp_path / "c", depth_format=depth_format)
    image = tmp_path / "c" / "depth" / f"000.{depth_format}"
    content = image.read_bytes()
    image.write_bytes(content[: len(content) // 2])
    with pytest.raises(FormatError, match=rf"000\.{depth_format}"):
        read_capture(tmp_path / "c")


def test_an_unknown_depth_format_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"`tif`.*npy png exr"):
        write_capture(random_views(0), tmp_path / "c", depth_format="tif")
    assert not list(tmp_path.iterdir())


def test_only_our_own_results_are_replaced(tmp_path):
    write_capture(random_views(0), tmp_path / "c")
    write_capture(random_views(1), tmp_path / "c")
    assert_same_cameras(read_capture(tmp_path / "c"), random_views(1))
    others = {
        "with a note": ("c", "note.txt"),
        "with a note deep inside": ("c", "depth/note.txt"),
        "of another program": (None, None),
    }
    for name, (source, note) in others.items():
        folder = tmp_path / name
        if source:
            shutil.copytree(tmp_path / source, folder)
            (folder / note).write_text("mine")
        else:
            foreign(folder)
        before = sorted(folder.rglob("*"))
        with pytest.raises(OutputError, match="will not be overwritten"):
            write_capture(random_views(2), folder)
        assert sorted(folder.rglob("*")) == before
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted(["c", *others])


def test_after_an_error_everything_is_as_before(tmp_path):
    (tmp_path / "file.txt").write_text("old")
    (tmp_path / "folder").mkdir()

    def fail_half_way(place, half):
        with place as beside:
            (beside / half).write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way(atomic_file(tmp_path / "file.txt"), "")
    with pytest.raises(RuntimeError):
        fail_half_way(atomic_folder(tmp_path / "folder"), "file")
    assert (tmp_path / "file.txt").read_text() == "old"
    assert sorted(e.name for e in tmp_path.rglob("*")) == ["file.txt", "folder"]


def test_places_that_cannot_be_written_are_said(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(OutputError, match=str(place)):
            write_capture(random_views(0), place)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_link_to_a_folder_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_capture(random_views(0), tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert_same_cameras(read_capture(tmp_path / "real"), random_views(0))
