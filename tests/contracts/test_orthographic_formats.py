"""Every format keeps orthographic cameras or refuses them, in one line."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import backproject as bp
from backproject.checking.meaning import Reading
from backproject.checking.numbers import Numbers
from backproject.cli.main import main
from backproject.geometry.plausibility import fitting_unit
from backproject.io.sources import arrays, colmap, open3d, tum
from backproject.io.sources.registry import SOURCES, read_views
from backproject.io.sources.source import Asked

POSITIONS = [(0.0, 0, 2), (2, 0.1, 0), (0.2, 2, 0.1)]
RIG = bp.Rig.looking_at(POSITIONS, size=(9, 6), extent=1.25)


def views_of(rig):
    depth = np.random.default_rng(0).uniform(1, 3, (len(rig), rig.height, rig.width))
    depth[:, 0], depth[:, 1, :3] = np.inf, np.nan
    return bp.ViewSet(depth, rig)


ALL = views_of(RIG)
SOME = views_of(replace(RIG, orthographic=np.array([False, True, False])))
both = pytest.mark.parametrize("views", [ALL, SOME], ids=["all", "some"])


def assert_same(again, views):
    np.testing.assert_array_equal(again.rig.orthographic, views.rig.orthographic)
    np.testing.assert_array_equal(again.rig.intrinsics, views.rig.intrinsics)
    np.testing.assert_array_equal(again.rig.world_from_camera, views.rig.world_from_camera)


@both
@pytest.mark.parametrize("depth_format", ["npy", "exr", "png"])
def test_captures_keep_them(views, depth_format, tmp_path):
    views.save(tmp_path / "capture", depth_format=depth_format)
    assert_same(bp.ViewSet.load(tmp_path / "capture"), views)


@both
def test_archives_keep_them(views, tmp_path):
    arrays.SOURCE.write(views, tmp_path / "views.npz")
    assert_same(bp.ViewSet.load(tmp_path / "views.npz"), views)


@both
@pytest.mark.parametrize("source", [each for each in SOURCES if each.write], ids=lambda s: s.name)
def test_what_is_written_says_it_or_is_refused(source, views, tmp_path):
    place = tmp_path / ("views.npz" if source is arrays.SOURCE else "views")
    if source in (colmap.SOURCE, open3d.SOURCE, tum.SOURCE):
        count = int(views.rig.orthographic.sum())
        with pytest.raises(bp.InputError, match=f"^views: {count} of 3 are orthographic, which"):
            source.write(views, place)
        assert not place.exists()
    else:
        source.write(views, place)
        assert_same(bp.ViewSet.load(place), views)


def test_pinholes_are_written_as_ever(tmp_path):
    pinholes = views_of(bp.Rig.looking_at(POSITIONS, size=(9, 6)))
    pinholes.save(tmp_path / "capture")
    told = json.loads((tmp_path / "capture/transforms.json").read_text())
    assert told["camera_model"] == "OPENCV"
    assert told["backproject"]["version"] == 1
    arrays.SOURCE.write(pinholes, tmp_path / "views.npz")
    with np.load(tmp_path / "views.npz") as content:
        assert "orthographic" not in content


def test_an_orthophoto_without_its_scale_is_refused(tmp_path):
    ALL.save(tmp_path / "capture")
    file = tmp_path / "capture/transforms.json"
    told = json.loads(file.read_text())
    assert told["camera_model"] == "ORTHOPHOTO"  # nerfstudio's word
    del told["fl_x"]
    told["camera_angle_x"] = 0.7  # an angle of view it does not have
    file.write_text(json.dumps(told))
    with pytest.raises(bp.FormatError, match="`fl_x` of frame 0 is missing"):
        bp.ViewSet.load(tmp_path / "capture")


@pytest.mark.parametrize("wrong", [np.ones(2, bool), np.array([1.25]), np.ones((3, 1), bool)])
def test_an_archive_that_says_it_otherwise_is_refused(wrong, tmp_path):
    rig = ALL.rig
    np.savez(
        tmp_path / "a.npz", depth=ALL.depth, intrinsics=rig.intrinsics,
        world_from_camera=rig.world_from_camera, orthographic=wrong,
    )  # fmt: skip
    with pytest.raises(bp.FormatError, match=r"`orthographic` is .*expected booleans of shape"):
        bp.ViewSet.load(tmp_path / "a.npz")


@pytest.mark.parametrize("flat", [True, [True, False, True]])
def test_arrays_come_in(flat):
    rig = ALL.rig
    make = partial(
        bp.ViewSet.from_arrays, ALL.depth, rig.intrinsics, rig.world_from_camera, orthographic=flat
    )
    views = make()
    assert views.rig.orthographic.tolist() == (flat if isinstance(flat, list) else [True] * 3)
    # rays are parallel to the axis: distance along them is planar depth
    rays = make(encoding="ray").depth
    np.testing.assert_array_equal(rays[views.rig.orthographic], ALL.depth[views.rig.orthographic])


def save_depth(folder):
    folder.mkdir()
    for k, depth in enumerate(ALL.depth):
        np.save(folder / f"{k}.npy", depth)


def test_depth_images_and_camera_positions_with_the_user_s_word(tmp_path):
    save_depth(tmp_path / "depth")
    (tmp_path / "places.txt").write_text("\n".join(" ".join(map(str, p)) for p in POSITIONS))
    asked = Asked(camera_file=tmp_path / "places.txt", orthographic=1.25)
    views = read_views(tmp_path / "depth", asked)
    assert_same(views, ALL)
    told = {each.about: each for each in views.assumptions}
    assert told["projection"].taken == "orthographic, images 1.25 high"
    assert "field of view" not in told
    with pytest.raises(bp.InputError, match=r"expected --fov, .* or --orthographic"):
        read_views(tmp_path / "depth", replace(asked, orthographic=None))


def test_the_cameras_of_a_capture_serve_depth_images_without(tmp_path):
    SOME.save(tmp_path / "capture")
    save_depth(tmp_path / "depth")
    asked = Asked(camera_file=tmp_path / "capture/transforms.json")
    assert_same(read_views(tmp_path / "depth", asked), SOME)


def test_the_user_s_word_wins_over_a_source_s_lens(tmp_path):
    SOME.save(tmp_path / "capture")
    assert_same(read_views(tmp_path / "capture", Asked(orthographic=1.25)), ALL)


def test_what_a_source_tells_of_a_lens_that_is_not_taken_is_not_told(tmp_path):
    SOME.save(tmp_path / "capture")
    file = tmp_path / "capture/transforms.json"
    told = json.loads(file.read_text())
    for part in (told, *told["frames"]):
        for key in ("fl_x", "fl_y", "camera_model", "backproject"):
            part.pop(key, None)
    told["camera_angle_x"] = 0.7
    file.write_text(json.dumps(told))
    about = {each.about for each in read_views(file, Asked(orthographic=1.25)).assumptions}
    assert "projection" in about
    assert "focal length" not in about
    assert "focal length" in {each.about for each in read_views(file, Asked()).assumptions}


@pytest.mark.parametrize("pixel_center", [0, 0.5])
def test_the_middle_of_the_image_is_its_middle_wherever_pixels_count_from(pixel_center, tmp_path):
    SOME.save(tmp_path / "capture")
    asked = Asked(orthographic=1.25, pixel_center=pixel_center)
    assert_same(read_views(tmp_path / "capture", asked), ALL)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (Asked(orthographic=0), "--orthographic: got 0, expected a number above 0"),
        (Asked(orthographic=1, fov=40), "--orthographic: got it with --fov"),
    ],
)
def test_what_contradicts_itself_is_refused(asked, told, tmp_path):
    SOME.save(tmp_path / "capture")
    with pytest.raises(bp.InputError, match=told):
        read_views(tmp_path / "capture", asked)


def test_check_refuses_what_it_cannot_check():
    with pytest.raises(bp.InputError, match=r"^views: 1 of 3 are orthographic, expected pinholes"):
        bp.check(SOME)


def test_the_command_names_the_source_that_it_cannot_check(tmp_path, capsys):
    SOME.save(tmp_path / "capture")
    assert main(["check", str(tmp_path / "capture")]) == 1
    said = capsys.readouterr().err
    assert f"{tmp_path / 'capture'}: views: 1 of 3 are orthographic" in said.replace("\n", " ")


def test_what_mends_views_leaves_their_kind_of_camera():
    again = Reading(unit=2.0, shift=0.5).apply(SOME)
    np.testing.assert_array_equal(again.rig.orthographic, SOME.rig.orthographic)
    mended = Numbers((), (), 1.1, 0.9, 1.0, 0.0, (0.0, 0.0), 0, 0, 0, 0).apply(SOME)
    np.testing.assert_array_equal(mended.rig.orthographic, SOME.rig.orthographic)


def test_depth_in_the_cameras_unit_is_not_called_wrong():
    rig = bp.Rig.dodecahedron(size=24, extent=1.1)
    ball = bp.Mesh.load("examples/data/cc0_headphones_ngons.obj")
    views = bp.render(bp.normalize(ball).mesh, rig)
    assert fitting_unit(views) is None
