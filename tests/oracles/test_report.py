"""What a report computes, against known answers, and what it promises to show."""

import base64
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from shapes import box, joined, rectangle, sphere, sphere_views

import backproject as bp
from backproject.metrics.compare import measure
from backproject.report.colors import DEPTH_STOPS, UNMEASURED, ramp, view_colors
from backproject.report.display import TRIANGLES, DrawnCameras, DrawnMesh, Stage, some_points
from backproject.report.images import (
    EXTRA,
    LARGEST,
    MISSING,
    depth_image,
    difference_image,
    silhouette_image,
)
from backproject.report.markup import Markup, element
from backproject.report.markup import joined as parts
from backproject.report.page import POLICY, document, is_page, section, write_page
from backproject.report.scene import packed, packed_cameras
from backproject.report.scoring import curves, score_rows
from backproject.report.selftest import self_test


def pixels(source):
    """Return the pixels (H, W, 3), 0 to 1, of an image's `data:` URI."""
    kind, _, content = source.partition(";base64,")
    assert kind == "data:image/png"
    with Image.open(io.BytesIO(base64.b64decode(content))) as image:
        return np.asarray(image.convert("RGB")) / 255


def rgb(name):
    return np.array(list(bytes.fromhex(name[1:]))) / 255


# ---- the page's frame


def test_text_and_attributes_are_escaped_and_markup_is_not():
    text = element("td", '<b>&"', element("i", "x"), title='"<>', hidden=True, lang=None)
    assert text == '<td title="&quot;&lt;&gt;" hidden>&lt;b&gt;&amp;&quot;<i>x</i></td>'
    assert parts("a<", Markup("<br>")) == "a&lt;<br>"
    assert element("img", class_="x", data_look=3) == '<img class="x" data-look="3">'


def test_a_page_asks_for_nothing_outside_and_is_known_again(tmp_path):
    page = document(title="a <b>", lead="lead", sections=[section("one", "two", id_="three")])
    assert ("content", POLICY) in attributes_of(page)
    assert POLICY.startswith("default-src 'none';")
    for name, value in attributes_of(page):
        assert name not in ("href", "srcset", "data-src"), value
    write_page(page, tmp_path / "page.html")
    assert is_page(tmp_path / "page.html")
    (tmp_path / "other.html").write_text("<html>backproject</html>")
    assert not is_page(tmp_path / "other.html")


def attributes_of(page):
    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda _, attributes: found.extend(attributes)
    parser.feed(page)
    return found


def test_the_whole_report_holds_no_address(tmp_path):
    views = sphere_views(0.5, bp.Rig.fibonacci(3, distance=3, size=12))
    bp.write_report(tmp_path / "r.html", sphere(0.5, 2), views=views, truth=sphere(0.5, 3))
    text = (tmp_path / "r.html").read_text("utf-8")
    for name, value in attributes_of(text):
        if name in ("src", "href"):
            assert value.startswith("data:")
    ours = re.sub(r"<script>/\*\*\n\* plotly.*?</script>", "", text, flags=re.DOTALL)
    assert len(ours) < len(text) / 2
    assert re.findall(r"https?://[^\s\"'<]+", ours) == []


# ---- what is drawn in 3D


def test_a_box_is_drawn_with_flat_sides_and_a_ball_smooth():
    cube = DrawnMesh.of(box(), Stage.around(box()))
    corners, index = np.unique(cube.vertices, axis=0, return_inverse=True)
    assert len(corners) == 8
    for k in range(8):  # three sides meet, each lit alike all over it
        assert len(np.unique(cube.light[index.ravel() == k])) == 3
    sides = cube.light[cube.faces]
    np.testing.assert_array_equal(sides, np.broadcast_to(sides[:, :1], sides.shape))
    assert len(np.unique(sides)) == 6
    ball = sphere(splits=5)  # neighbours lean by about 2 degrees
    assert len(DrawnMesh.of(ball, Stage.around(ball)).vertices) == len(ball.vertices)


def test_the_stage_holds_the_object_upright_in_a_unit_ball():
    mesh = bp.Mesh(box().vertices * 7 + (100, -50, 3), box().faces)
    for up, direction in (("y", (0, 1, 0)), ("z", (0, 0, 1)), ("-x", (-1, 0, 0))):
        rig = bp.Rig.looking_at(
            mesh.centroid + 30 * np.array([(0.6, 0.5, 0.7), (0.5, -0.6, 0.6), (0.4, 0.7, -0.6)]),
            target=mesh.centroid,
            up=direction,
        )
        stage = Stage.around(mesh, rig)
        placed = stage.stage_from_world.apply(mesh.vertices)
        np.testing.assert_allclose(np.linalg.norm(placed, axis=1), 0.5)
        np.testing.assert_allclose(
            stage.stage_from_world.apply_to_directions(direction), (0, 0, 1), err_msg=up, atol=1e-12
        )


def test_a_large_mesh_is_drawn_in_fewer_triangles_where_it_was():
    ball = sphere(splits=4)
    stage = Stage.around(ball)
    drawn = DrawnMesh.of(ball, stage, most=1000)
    assert len(drawn.faces) <= 1000 < drawn.given == len(ball.faces) <= TRIANGLES
    # an edge of 1000 triangles on a ball of radius 0.5 spans about 0.085: its sagitta is 0.002
    np.testing.assert_allclose(np.linalg.norm(drawn.vertices, axis=1), 0.5, atol=0.004)
    near = stage.stage_from_world.apply(ball.vertices[drawn.source])
    assert np.linalg.norm(near - drawn.vertices, axis=1).max() < 0.04  # half an edge of the given


def test_a_huge_mesh_is_thinned_out_on_a_grid_first(monkeypatch):
    monkeypatch.setattr("backproject.report.display.CLUSTERED", 3000)
    monkeypatch.setattr("backproject.report.display.CELLS", 30)
    ball = sphere(splits=4)
    drawn = DrawnMesh.of(ball, Stage.around(ball), most=1000)
    assert 200 < len(drawn.faces) <= 1000
    cell = 1 / 30
    assert np.abs(np.linalg.norm(drawn.vertices, axis=1) - 0.5).max() < cell


def test_frusta_stand_where_the_cameras_do_and_thumbnails_on_their_images():
    views = sphere_views(0.5, bp.Rig.fibonacci(4, distance=1.6, size=20))
    ball = sphere(0.5)
    stage = Stage.around(ball, views.rig)
    drawn = DrawnCameras.of(views, stage, *(views.depth[views.silhouettes].min(), 2))
    np.testing.assert_allclose(
        drawn.eye, stage.stage_from_world.apply(views.rig.centers_world), atol=1e-12
    )
    lines = np.split(drawn.outline, np.flatnonzero(np.isnan(drawn.outline[:, 0])))
    for eye in drawn.eye:
        near = [np.linalg.norm(line - eye, axis=1) for line in lines]
        assert sum(np.nanmin(distance) < 1e-6 for distance in near if len(distance) > 1) >= 4
    assert len(drawn.faces) == 2 * views.silhouettes.sum()
    assert drawn.share.min() == 0


def test_cameras_far_away_are_drawn_nearer():
    views = sphere_views(0.5, bp.Rig.fibonacci(4, distance=50, size=20, fov_deg=1.5))
    stage = Stage.around(sphere(0.5), views.rig)
    drawn = DrawnCameras.of(views, stage, 49, 51)
    assert np.nanmax(np.linalg.norm(drawn.outline, axis=1)) < 2.3
    assert np.linalg.norm(drawn.eye, axis=1).min() > 49


def test_a_camera_at_the_object_s_centre_has_a_side_to_be_shown_from():
    poses = np.eye(4)[None].repeat(2, axis=0)
    poses[1, :3, 3] = 0, 0, -3
    rig = bp.Rig(np.diag([20.0, 20, 1]), poses, 20, 20)
    views = bp.ViewSet(np.full((2, 20, 20), 0.5), rig)
    stage = Stage(bp.Similarity(1.0, np.eye(3), np.zeros(3)), 1.0)
    told = packed_cameras(DrawnCameras.of(views, stage, 0.4, 3))["eye"]
    np.testing.assert_allclose(np.linalg.norm(told, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(told[1], (0, 0, -1))


def test_some_points_are_some_of_them_and_the_same_again():
    views = sphere_views(0.5, bp.Rig.fibonacci(4, distance=3, size=40))
    cloud = bp.backproject(views)
    some, again = some_points(cloud, most=50), some_points(cloud, most=50)
    assert len(some) == 50
    np.testing.assert_array_equal(some.points, again.points)
    assert set(map(tuple, some.points)) <= set(map(tuple, cloud.points))
    assert some_points(cloud, most=10**6) is cloud


def test_packed_arrays_unpack_to_the_same():
    for values in (np.arange(5, dtype=np.uint16), np.array([1.5, np.nan], np.float32)):
        told = packed(values)
        np.testing.assert_array_equal(
            np.frombuffer(base64.b64decode(told["bytes"]), told["type"]), values
        )


def test_neighbouring_views_have_colours_apart():
    colors = view_colors(20)
    assert np.linalg.norm(np.diff(colors, axis=0), axis=1).min() > 0.3
    assert (colors >= 0).all()
    assert (colors <= 1).all()


# ---- images of views


def test_depth_silhouette_and_difference_show_what_is_what():
    depth = np.array([[1.0, 2.0, np.inf, np.nan]], np.float32)
    shown = pixels(depth_image(depth, 1.0, 2.0))[0]
    wanted = [*ramp(DEPTH_STOPS, np.array([0.0, 1.0])), (1, 1, 1), UNMEASURED]
    np.testing.assert_allclose(shown, wanted, atol=1 / 200)
    dark = ramp(DEPTH_STOPS, np.array([1.0]))[0]
    np.testing.assert_allclose(
        pixels(silhouette_image(depth))[0], [dark, dark, (1, 1, 1), UNMEASURED], atol=1 / 200
    )
    given = np.array([[1, 1, 1, np.inf, np.inf, np.nan]], np.float32)
    mesh = np.array([[1, 2, np.inf, 1, np.inf, 1]], np.float32)
    same, far, missing, extra, empty, unknown = pixels(difference_image(given, mesh, 1.0))[0]
    assert np.ptp(same) < 0.05  # grey
    assert far[0] - far[1] > 0.4  # red
    np.testing.assert_allclose(missing, rgb(MISSING), atol=1 / 200)
    np.testing.assert_allclose(extra, rgb(EXTRA), atol=1 / 200)
    np.testing.assert_allclose(empty, (1, 1, 1))
    np.testing.assert_allclose(unknown, UNMEASURED, atol=1 / 200)


def test_large_images_are_shown_smaller_without_mixing_depths():
    depth = np.where(np.arange(900) < 450, 1.0, 2.0).astype(np.float32)
    image = pixels(depth_image(np.broadcast_to(depth, (700, 900)), 1.0, 2.0))
    assert max(image.shape[:2]) <= LARGEST
    assert len(np.unique(image.reshape(-1, 3), axis=0)) == 2


# ---- numbers


def test_the_self_test_draws_no_colours():
    wall = rectangle((-0.5, -0.5), (0.5, 0.5))
    wall = replace(wall, colors=np.full((4, 3), 99, np.uint8))
    views = bp.render(wall, bp.Rig.looking_at([(0, 0, 2)], size=40))
    stages = set()
    self_test(wall, views, diameter=2.0, progress=lambda stage, _share: stages.add(stage))
    assert stages == {"render"}


@pytest.mark.parametrize("behind", [0.02, -0.02])
def test_the_self_test_tells_how_far_and_on_which_side_the_mesh_lies(behind):
    """A wall before one camera, moved along its axis, a quarter cut off, and a patch beside."""
    rig = bp.Rig.looking_at([(0, 0, 2)], size=40, fov_deg=60)
    views = bp.render(rectangle((-0.5, -0.5), (0.5, 0.5)), rig)
    moved = rectangle((-0.5, -0.5), (0.25, 0.5), -behind)
    patch = rectangle((0.6, -0.5), (0.8, 0.5), -behind)
    told = self_test(joined(moved, patch), views, diameter=2.0).overall
    assert told.bias == pytest.approx(behind / 2, rel=1e-4)
    assert told.median == told.most == pytest.approx(abs(behind) / 2, rel=1e-4)
    pixel = 2 * np.tan(np.radians(30)) * 2 / 40
    assert told.missing == pytest.approx(0.25, abs=2 * pixel)
    assert told.extra == pytest.approx(0.2, abs=4 * pixel)


def test_a_view_without_a_common_pixel_is_not_known_and_not_wrong():
    rig = bp.Rig.looking_at([(0, 0, 2)], size=8)
    nothing = bp.ViewSet(np.full((1, 8, 8), np.nan), rig)
    told = self_test(rectangle((-1, -1), (1, 1)), nothing, 1.0).overall
    assert np.isnan(told.median)
    assert (told.missing, told.extra) == (0, 0)


def test_every_score_has_a_row_with_its_value():
    views = sphere_views(0.5, bp.Rig.fibonacci(6, distance=3, size=24))
    scores = measure(sphere(0.51, 2), sphere(0.5, 3), views=views, samples=2000).scores
    shown = {row[0]: row[1] for row in score_rows(scores)}
    numbers = [value for name, value in scores.to_dict().items() if not isinstance(value, dict)]
    for name in ("f_score", "precision", "recall"):
        numbers += scores.to_dict()[name].values()
    assert len(shown) == len(numbers)
    assert all(len(row) == 5 and row[3] for row in score_rows(scores))
    assert shown["F-score at 0.005"] == f"{scores.f_score(0.005):.4f}"
    assert float(shown["Chamfer"]) == pytest.approx(scores.chamfer, rel=0.01)
    unknown = replace(scores, accuracy_seen=None, seen_fraction=None, inferred_fraction=None)
    told = [row[1] for row in score_rows(unknown)]
    assert told.count("not known") == 3


def test_the_curves_are_those_of_the_scores():
    measured = measure(sphere(0.51, 2), sphere(0.5, 3), samples=5000)
    told = curves(measured)
    assert json.loads(json.dumps(told)) == told
    for side, distances in zip(
        told["sides"], (measured.to_truth, measured.to_reconstruction), strict=True
    ):
        assert sum(side["share"]) == pytest.approx(1, abs=1e-3)
        assert side["within"][-1] == 1
        assert np.all(np.diff(side["within"]) >= 0)
        at = np.interp(0.005, told["edge"], side["within"])
        assert at == pytest.approx((distances <= 0.005).mean(), abs=0.1)
    precision = measured.scores.f_scores[-1].precision
    assert (measured.to_truth <= 0.005).mean() == pytest.approx(precision)


def test_a_mesh_without_area_is_refused(tmp_path):
    flat = bp.Mesh(np.zeros((3, 3)), np.array([(0, 1, 2)]))
    with pytest.raises(bp.InputError, match="mesh: 1 faces without any area"):
        bp.write_report(tmp_path / "x.html", flat)
    with pytest.raises(bp.InputError, match="truth: 1 faces without any area"):
        bp.write_report(tmp_path / "x.html", box(), truth=flat)
    assert list(tmp_path.iterdir()) == []
