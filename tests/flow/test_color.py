"""From images to a coloured cloud and mesh, by the commands."""

import numpy as np
import pytest
from shapes import painted, sphere_views

import backproject as bp
from backproject.checking.turns import turned
from backproject.cli.main import main

RADIUS, RIG = 0.4, bp.Rig.dodecahedron(distance=1.5, size=64)


def run(*arguments):
    return main([str(argument) for argument in arguments])


def halves(points):
    """Orange above, blue below."""
    return np.where(points[..., 1:2] > 0, (250, 120, 20), (20, 60, 200))


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    views = painted(sphere_views(RADIUS, RIG), halves)
    folder = tmp_path_factory.mktemp("color") / "capture"
    views.save(folder)
    return folder


def assert_halves(points, colors):
    away = np.abs(points[:, 1]) > 0.05  # two pixels from where the halves meet
    assert away.mean() > 0.8
    np.testing.assert_array_equal(colors[away], halves(points[away]))


@pytest.mark.parametrize("suffix", [".ply", ".obj", ".glb"])
def test_fuse_writes_the_colours_of_the_images(capture, suffix, tmp_path, capsys):
    out = tmp_path / f"mesh{suffix}"
    assert run("fuse", capture, "-o", out, "--resolution", 48) == 0
    assert "coloured" in capsys.readouterr().out
    mesh = bp.Mesh.load(out)
    assert_halves(mesh.vertices, mesh.colors)


def test_fuse_keeps_colours_when_it_simplifies_and_leaves_them_out_if_told(capture, tmp_path):
    few, plain = tmp_path / "few.ply", tmp_path / "plain.ply"
    fuse = ("fuse", capture, "--resolution", 48)
    assert run(*fuse, "-o", few, "--simplify", 0.004) == 0
    mesh = bp.Mesh.load(few)
    assert_halves(mesh.vertices, mesh.colors)
    assert run(*fuse, "-o", plain, "--without-color") == 0
    assert bp.Mesh.load(plain).colors is None


def test_the_cloud_has_the_colours_of_its_pixels(capture, tmp_path):
    from backproject.io.clouds import read_cloud

    for options in ((), ("--consistent",)):
        assert run("cloud", capture, "-o", tmp_path / "cloud.ply", *options) == 0
        cloud = read_cloud(tmp_path / "cloud.ply")
        np.testing.assert_array_equal(cloud.colors, halves(cloud.points))


def test_info_tells_of_colours(capture, capsys):
    assert run("info", capture) == 0
    (told,) = (line for line in capsys.readouterr().out.splitlines() if "colours" in line)
    assert "of every pixel" in told


def test_convert_keeps_them(capture, tmp_path):
    given = bp.ViewSet.load(capture).colors
    assert run("convert", capture, "-o", tmp_path / "a.npz", "--to", "npz") == 0
    np.testing.assert_array_equal(bp.ViewSet.load(tmp_path / "a.npz").colors, given)


def test_check_turns_them_back_with_their_depth(tmp_path):
    mesh = bp.normalize(bp.Mesh.load("examples/data/cc0_headphones_ngons.obj")).mesh
    plain = bp.render(mesh, bp.Rig.dodecahedron(size=96))
    views = painted(plain, lambda points: 128 + 200 * points.clip(-0.6, 0.6))
    turned(views, np.eye(20, dtype=np.int64)[3]).save(tmp_path / "spoilt")
    assert run("check", tmp_path / "spoilt", "-o", tmp_path / "checked") == 0
    again = bp.ViewSet.load(tmp_path / "checked")
    np.testing.assert_array_equal(again.depth, views.depth)
    np.testing.assert_array_equal(again.colors, views.colors)


def test_scores_need_no_colours(capture, tmp_path):
    copy = tmp_path / "capture"
    bp.ViewSet.load(capture).save(copy)
    (copy / "color" / "000.png").write_bytes(b"spoilt")
    mesh, page = tmp_path / "mesh.ply", tmp_path / "page.html"
    assert run("fuse", capture, "-o", mesh, "--resolution", 32) == 0
    compare = ("compare", mesh, mesh, "--capture", copy, "--samples", 1000)
    assert run(*compare, "--no-report") == 0
    assert run(*compare, "--report", page) == 1  # the report shows them
    assert run(*compare, "--report", page, "--without-color") == 0
    assert run("fuse", copy, "-o", mesh) == 1


def test_the_report_of_scores_shows_the_views_colours_unless_told_otherwise(capture, tmp_path):
    mesh = tmp_path / "mesh.ply"
    assert run("fuse", capture, "-o", mesh, "--resolution", 32) == 0
    compare = ("compare", mesh, mesh, "--capture", capture, "--samples", 1000, "--report")
    sizes = []
    for name, options in (("with.html", ()), ("without.html", ("--without-color",))):
        assert run(*compare, tmp_path / name, *options) == 0
        sizes.append((tmp_path / name).read_text("utf-8").count("<img"))
    assert sizes[0] > sizes[1]
