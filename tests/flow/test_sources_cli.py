"""The commands about sources: what `info` tells, what `convert` keeps, and that options win."""

import numpy as np
import pytest
import trimesh

import backproject as bp
from backproject.cli.main import main

RIG = bp.Rig.looking_at([(0, 0, 1.5), (1.5, 0, 0), (0, 1.5, 0.1)], size=32)


@pytest.fixture
def capture(tmp_path):
    ball = trimesh.creation.icosphere(subdivisions=3, radius=0.5)
    bp.render(bp.Mesh(ball.vertices, ball.faces), RIG).save(tmp_path / "capture")
    return tmp_path / "capture"


def run(*arguments):
    return main([str(argument) for argument in arguments])


def row(text, name):
    """Return what the printed table says behind a name."""
    lines = [line.split(name, 1)[1].strip() for line in text.splitlines() if name in line]
    assert lines, f"{name} is not in\n{text}"
    return lines[0]


def test_info_tells_what_is_there(capture, capsys):
    assert run("info", capture) == 0
    told = capsys.readouterr().out
    assert row(told, "views") == "3"
    assert row(told, "image size") == "32 x 32 pixels"
    assert row(told, "field of view").startswith("43 degrees")
    assert row(told, "cameras' distances").startswith("1.5")
    least, greatest = (float(word) for word in row(told, "depth").split(" to "))
    assert least == pytest.approx(1.0, abs=0.01)
    assert 1.0 < greatest < np.sqrt(1.5**2 - 0.5**2)
    assert "as written by this program" in row(told, "axes")


@pytest.mark.parametrize(
    ("option", "about", "taken"),
    [
        (("--axes", "opencv"), "axes", "opencv"),
        (("--pose", "world-to-camera"), "pose", "world-to-camera"),
        (("--encoding", "ray"), "encoding", "ray"),
        (("--pixel-center", "0"), "pixel center", "0"),
        (("--depth-scale", "2"), "depth  ", "2 x the stored number"),
    ],
)
def test_an_option_wins_and_is_told(capture, capsys, option, about, taken):
    assert run("info", capture, *option) == 0
    told = row(capsys.readouterr().out.partition("understood as")[2], about)
    assert told.startswith(taken)
    assert option[0] in told


def test_options_do_what_they_say(capture):
    from backproject.io.sources.registry import read_views
    from backproject.io.sources.source import Asked, ray_lengths

    plain = read_views(capture)
    hit = plain.silhouettes
    twice = read_views(capture, Asked(depth_scale=2))
    np.testing.assert_allclose(twice.depth[hit], 2 * plain.depth[hit], rtol=1e-6)
    ray = read_views(capture, Asked(encoding="ray"))
    lengths = np.stack([ray_lengths(plain.rig, k) for k in range(3)])
    np.testing.assert_allclose((ray.depth * lengths)[hit], plain.depth[hit], rtol=1e-6)
    turned = read_views(capture, Asked(axes="opencv")).rig.world_from_camera
    np.testing.assert_array_equal(turned, plain.rig.world_from_camera * (1, -1, -1, 1))
    inverse = read_views(capture, Asked(pose="world-to-camera", axes="opencv"))
    np.testing.assert_allclose(inverse.rig.camera_from_world, turned, atol=1e-12)
    moved = read_views(capture, Asked(pixel_center=0)).rig.intrinsics
    np.testing.assert_allclose(moved[:, :2, 2], plain.rig.intrinsics[:, :2, 2] + 0.5)
    nearest = float(plain.depth.min())
    emptied = read_views(capture, Asked(background=nearest))
    assert np.isposinf(emptied.depth[plain.depth == nearest]).all()


@pytest.mark.parametrize(
    "wrong",
    [
        ("--near", "1"),
        ("--near", "2", "--far", "1"),
        ("--inverted", "--not-inverted"),
        ("--pixel-center", "0.3"),
        ("--depth-scale", "-1"),
        ("--inverted",),
    ],
    ids=" ".join,
)
def test_options_that_cannot_be_are_refused(capture, capsys, wrong):
    assert run("info", capture, *wrong) == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert wrong[0] in message


def test_convert_keeps_what_was_read(capture, tmp_path, capsys):
    assert run("convert", capture, "-o", tmp_path / "again") == 0
    assert "3 views as transforms.json" in capsys.readouterr().out
    first, again = bp.ViewSet.load(capture), bp.ViewSet.load(tmp_path / "again")
    np.testing.assert_array_equal(first.depth, again.depth)
    np.testing.assert_array_equal(first.rig.world_from_camera, again.rig.world_from_camera)


def test_convert_refuses_a_format_that_is_none(capture, tmp_path, capsys):
    assert run("convert", capture, "-o", tmp_path / "new", "--to", "nonsense") == 1
    assert "transforms.json" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_formats_lists_what_can_be_read(capsys):
    from backproject.io.depth_images import DEPTH_FORMATS
    from backproject.io.sources.registry import SOURCES

    assert run("formats") == 0
    told = capsys.readouterr().out
    for source in SOURCES:
        assert f"  {source.name}" in told
        assert source.files in told
        assert source.what in told
    for suffix in DEPTH_FORMATS:
        assert f"  {suffix} " in told
