"""Colours on meshes, held against scenes whose colours are known everywhere."""

from dataclasses import replace

import numpy as np
import pytest
from shapes import box, joined, painted, rectangle, sphere, sphere_views

import backproject as bp
from backproject.coloring.diffuse import diffuse
from backproject.geometry.transform import Similarity

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
NOTHING = (255, 0, 255)
"""The colour that `painted` gives pixels that see nothing: it must show up nowhere."""


def waves(points):
    """Colours that change by at most 300 a unit, from 28 to 228."""
    x, y, z = np.moveaxis(points, -1, 0)
    return 128 + 100 * np.stack([np.sin(3 * x), np.cos(3 * y), np.sin(3 * z)], axis=-1)


def off(mesh, color_of):
    return np.abs(mesh.colors - color_of(mesh.vertices)).max(axis=1)


SIZE, DISTANCE, RADIUS = 96, 1.5, 0.4
RIG = bp.Rig.dodecahedron(distance=DISTANCE, size=SIZE, fov_deg=43.0)
FOOTPRINT = DISTANCE / RIG.intrinsics[0, 0, 0]
"""The width of a pixel at the cameras' distance; on the sphere, which is nearer, less."""
CLOSE = 300 * FOOTPRINT + 1
"""How much colours change over a pixel, and half a level for rounding twice."""


FLAT = bp.Rig.dodecahedron(distance=DISTANCE, size=SIZE, extent=SIZE * FOOTPRINT)
"""The same cameras, orthographic, with pixels as wide."""


@pytest.fixture(scope="module", params=[RIG, FLAT], ids=["pinhole", "orthographic"])
def ball(request):
    return painted(sphere_views(RADIUS, request.param), waves)


@pytest.fixture(scope="module")
def fused(ball):
    return bp.fuse(ball, resolution=96)


def test_colours_of_a_sphere_are_those_of_its_places(fused):
    assert off(fused, waves).max() < CLOSE


def test_one_view_colours_what_it_sees_and_fills_in_the_rest(ball):
    mesh = sphere(RADIUS, splits=5)
    seen_from = ball.rig.centers_world[0]
    colored = bp.colorize(mesh, ball.subset([0]))
    toward = seen_from - mesh.vertices
    cosine = (mesh.vertices / RADIUS * toward).sum(axis=1) / np.linalg.norm(toward, axis=1)
    # a pixel at 60 degrees is twice as long on the surface
    assert off(colored, waves)[cosine > 0.5].max() < 2 * CLOSE
    hidden = cosine < 0.1  # see `kernels.colors.GRAZING`
    low, high = colored.colors[~hidden].min(axis=0), colored.colors[~hidden].max(axis=0)
    assert (colored.colors[hidden] >= low).all()
    assert (colored.colors[hidden] <= high).all()
    assert not (colored.colors == NOTHING).all(axis=1).any()


def test_the_order_of_the_views_changes_nothing_but_rounding(ball):
    mesh = sphere(RADIUS, splits=4)
    given = bp.colorize(mesh, ball).colors.astype(int)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(ball))
        turned = bp.colorize(mesh, ball.subset(order)).colors
        assert np.abs(given - turned).max() <= 1


def test_the_place_the_unit_and_the_threads_change_nothing_but_rounding(ball):
    mesh = sphere(RADIUS, splits=4)
    given = bp.colorize(mesh, ball)
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    move = Similarity(37.0, turn, np.array([5.0, -80, 3]))
    moved = bp.colorize(mesh.transformed(move), ball.transformed(move))
    assert np.abs(given.colors.astype(int) - moved.colors).max() <= 1
    np.testing.assert_array_equal(bp.colorize(mesh, ball, threads=3).colors, given.colors)


def test_one_colour_of_the_scene_is_the_one_colour_of_the_mesh():
    # the seen part, the inferred part, and a piece that no view sees at all
    views = painted(sphere_views(RADIUS, RIG), lambda points: np.full(points.shape, 77.0))
    mesh = joined(sphere(RADIUS, splits=4), sphere(RADIUS / 2, splits=2))
    assert (bp.colorize(mesh, views.subset([3, 7])).colors == 77).all()


def test_noise_of_two_pixels_still_lets_every_vertex_be_seen(ball):
    noise = 2 * FOOTPRINT * np.random.default_rng(0).normal(size=ball.depth.shape)
    noisy = replace(ball, depth=(ball.depth + noise).astype(np.float32))
    mesh = sphere(RADIUS, splits=5)
    assert off(bp.colorize(mesh, noisy), waves).max() < CLOSE


BALL, WALL = sphere(0.25, splits=5), 1.2


@pytest.fixture(scope="module")
def before_a_wall():
    """A red ball before a green wall, from nine cameras; each pixel's colour is the mean of 16, as
    photographs have it, and its depth that at its centre.
    """
    eyes = [(x, y, 2.5) for x in (-1.0, 0, 1) for y in (-1.0, 0, 1)]
    wall = rectangle((-WALL, -WALL), (WALL, WALL), height=-0.6)

    def colors(size):
        rig = bp.Rig.looking_at(eyes, size=size, fov_deg=50.0)
        scene, alone = bp.render(joined(BALL, wall), rig), bp.render(wall, rig)
        on_ball = scene.depth < alone.depth - 0.1
        colors = np.where(on_ball[..., None], RED, GREEN).astype(float)
        colors[~np.isfinite(scene.depth)] = NOTHING
        return scene, colors

    scene, _ = colors(120)
    _, fine = colors(480)
    mixed = fine.reshape(len(eyes), 120, 4, 120, 4, 3).mean(axis=(2, 4))
    return replace(scene, colors=np.rint(mixed).astype(np.uint8))


def test_a_red_ball_never_bleeds_on_the_green_wall_behind_it(before_a_wall):
    mixtures = (before_a_wall.colors % 255 != 0).any(axis=-1)
    assert mixtures.sum() > 1000  # there is something to bleed
    mesh = bp.fuse(before_a_wall, resolution=150, surface="seen")
    x, y, z = mesh.vertices.T
    inner = (np.abs([x, y]) < WALL - 0.05).all(axis=0)  # beyond it there is another edge
    wall, ball = inner & (z < -0.5), z > -0.3
    assert wall.sum() > 1000
    assert ball.sum() > 1000
    # A pixel that may be a mixture weighs a thousandth: of 255, with all else, less than one level.
    assert np.abs(mesh.colors[wall].astype(int) - GREEN).max() <= 1
    # The ball's rim is seen at grazing angles alone from some places; from the front it is pure.
    front = ball & (z > 0.1)
    assert np.abs(mesh.colors[front].astype(int) - RED).max() <= 1


def test_the_two_sides_of_a_thin_sheet_keep_their_own_colours():
    sheet = bp.Mesh(box().vertices * (1, 1, 0.01), box().faces)
    rig = bp.Rig.looking_at([(0.3, 0.2, 2), (0.3, 0.2, -2)], size=96, fov_deg=43.0)
    views = bp.render(sheet, rig)
    colors = np.empty((*views.depth.shape, 3), np.uint8)
    colors[0], colors[1] = RED, BLUE
    mesh = bp.fuse(replace(views, colors=colors), resolution=64)
    normals = np.zeros_like(mesh.vertices)
    np.add.at(normals, mesh.faces, mesh.area_vectors[:, None])
    inner = (np.abs(mesh.vertices[:, :2]) < 0.45).all(axis=1)
    for side, color in ((1, RED), (-1, BLUE)):
        chosen = inner & (side * normals[:, 2] > 0)
        assert chosen.sum() > 500
        assert (mesh.colors[chosen] == color).all()


def test_a_view_of_wrong_pose_lends_nothing_where_it_disagrees(ball):
    poses = ball.rig.world_from_camera.copy()
    poses[0, :3, 3] *= 1.2  # 0.3 farther away, and black
    rig = replace(ball.rig, world_from_camera=poses)
    colors = ball.colors.copy()
    colors[0] = 0
    mesh = bp.colorize(sphere(RADIUS, splits=4), replace(ball, rig=rig, colors=colors))
    assert off(mesh, waves).max() < CLOSE


def test_a_view_that_fusion_leaves_out_lends_no_colour(ball):
    """As if it were not there: it stands aside, and all that it shows is black."""
    poses, colors = ball.rig.world_from_camera.copy(), ball.colors.copy()
    poses[7, :3, 3] += 0.06 * poses[7, :3, 0]
    colors[7] = 0
    moved = replace(ball, rig=replace(ball.rig, world_from_camera=poses), colors=colors)
    with pytest.warns(bp.ContradictionWarning, match="left out .* views 7 "):
        mesh = bp.fuse(moved, resolution=48)
    others = ball.subset([k for k in range(len(ball)) if k != 7])
    np.testing.assert_array_equal(mesh.colors, bp.colorize(mesh, others).colors)


def test_views_that_see_nothing_of_a_mesh_leave_it_without_colours(ball):
    elsewhere = bp.Mesh(sphere(RADIUS).vertices + 50, sphere(RADIUS).faces)
    assert bp.colorize(elsewhere, ball).colors is None


def test_views_without_colours_are_refused():
    with pytest.raises(bp.InputError, match="without colours, expected `colors`"):
        bp.colorize(sphere(), sphere_views(RADIUS, RIG))


def test_simplified_meshes_keep_colours_of_their_places(fused):
    fewer = bp.simplify(fused, tolerance=FOOTPRINT)
    assert len(fewer.vertices) < len(fused.vertices) / 4
    # the nearest vertex of the given mesh lies within the tolerance, and half an edge of it
    assert off(fewer, waves).max() < 2 * CLOSE


def strip(count):
    """A strip of triangles of two rows of vertices."""
    top, bottom = np.arange(count), np.arange(count) + count
    quads = np.stack([top[:-1], top[1:], bottom[1:], bottom[:-1]], axis=1)
    return np.concatenate([quads[:, :3], quads[:, (0, 2, 3)]]).astype(np.int32)


def known_at(known):
    return np.where(known, np.inf, 0.0)


def test_filling_in_between_two_ends_is_linear():
    # Each is the mean of its neighbours on both rows: linear along the strip, but for its ends,
    # where the diagonals are not balanced.
    count = 40
    ends = np.isin(np.arange(2 * count) % count, (0, count - 1))
    values = np.where(np.arange(2 * count) % count, 100.0, 0.0)[:, None]
    filled = diffuse(strip(count), values, known_at(ends))[:count, 0]
    steps = np.diff(filled)[5:-5]
    np.testing.assert_allclose(steps, steps.mean(), rtol=0.01)
    assert filled[0] == 0
    assert filled[-1] == 100


@pytest.mark.parametrize("doubt", [0.0, 0.05, 3.0])
def test_what_is_filled_in_is_the_mean_of_its_neighbours_and_its_own(doubt):
    mesh = sphere(splits=4)
    count = len(mesh.vertices)
    rng = np.random.default_rng(5)
    values, known = rng.uniform(0, 255, (count, 3)), rng.random(count) < 0.05
    weights = np.where(known, np.inf, np.where(rng.random(count) < 0.5, doubt, 0))
    filled = diffuse(mesh.faces, values, weights)
    np.testing.assert_array_equal(filled[known], values[known])
    own = np.where(known, 0, weights)
    sums, counts = own[:, None] * values, own.copy()
    for a, b in ((0, 1), (1, 2), (2, 0)):  # of a closed mesh: each edge once in each direction
        np.add.at(sums, mesh.faces[:, a], filled[mesh.faces[:, b]])
        np.add.at(counts, mesh.faces[:, a], 1)
    np.testing.assert_allclose(filled[~known], (sums / counts[:, None])[~known], atol=0.1)


def test_a_piece_of_which_nothing_is_known_gets_the_mean_of_all_that_is():
    mesh = joined(sphere(splits=1), sphere(splits=1))
    weights = np.zeros(len(mesh.vertices))
    values = np.full((len(weights), 1), 99.0)
    weights[:2], values[:2, 0] = np.inf, (10, 30)
    filled = diffuse(mesh.faces, values, weights)
    assert (filled[len(weights) // 2 :] == 20).all()
    assert ((filled >= 10) & (filled <= 30)).all()


def test_a_wire_that_shows_nothing_but_edges_has_its_own_colour():
    # two pixels wide: no pixel of it is without another surface beside it
    width = 2 * FOOTPRINT
    wire = bp.Mesh(box().vertices * (0.8, width, width), box().faces)
    views = painted(bp.render(wire, RIG), lambda points: np.full(points.shape, 200.0))
    assert (bp.colorize(wire, views).colors == 200).all()


@pytest.mark.parametrize("rig", [RIG, FLAT], ids=["pinhole", "orthographic"])
def test_rendered_colours_are_those_of_the_places_that_are_seen(rig):
    mesh = sphere(RADIUS, splits=5)
    views = bp.render(replace(mesh, colors=np.rint(waves(mesh.vertices)).astype(np.uint8)), rig)
    wanted = painted(views, waves).colors.astype(int)
    hit = views.silhouettes
    # Rounding at the vertices, and after; between them waves bend by 900 a unit squared, over an
    # edge of a 40th of the radius at most.
    assert np.abs(views.colors[hit] - wanted[hit]).max() <= 1.5 + 900 * (RADIUS / 20) ** 2 / 8
    assert (views.colors[~hit] == 0).all()


@pytest.mark.parametrize("rig", [RIG, FLAT], ids=["pinhole", "orthographic"])
def test_colours_are_linear_on_faces_that_reach_behind_the_camera(rig):
    def ramp(points):
        return 128 + 5 * points

    mesh = rectangle((-20, -20), (20, 20), height=-0.5)
    mesh = joined(mesh, replace(mesh, vertices=mesh.vertices[:, [1, 2, 0]]))
    views = bp.render(replace(mesh, colors=ramp(mesh.vertices).astype(np.uint8)), rig)
    wanted = painted(views, ramp, nothing=(0, 0, 0)).colors.astype(int)
    assert views.silhouettes.mean() > 0.4
    # rounding twice, and depth, which is of float32
    assert np.abs(views.colors - wanted).max() <= 1
    alone = bp.render(replace(mesh, colors=ramp(mesh.vertices).astype(np.uint8)), rig, threads=1)
    np.testing.assert_array_equal(views.colors, alone.colors)


@pytest.mark.parametrize("extent", [None, 1.1], ids=["pinhole", "orthographic"])
@pytest.mark.parametrize("splits", [0, 3, 6])
def test_every_pixel_that_is_hit_has_a_colour(splits, extent):
    mesh = sphere(RADIUS, splits=splits)
    mesh = replace(mesh, colors=np.full((len(mesh.vertices), 3), 255, np.uint8))
    rig = bp.Rig.fibonacci(5, size=(151, 103), extent=extent)
    intrinsics = rig.intrinsics.copy()
    intrinsics[:, :2, 2] += 1 / 3
    views = bp.render(mesh, replace(rig, intrinsics=intrinsics))
    assert (views.colors[views.silhouettes] == 255).all()
    assert (views.colors[~views.silhouettes] == 0).all()


@pytest.mark.parametrize("rig", [RIG, FLAT], ids=["pinhole", "orthographic"])
def test_a_sheet_without_thickness_shows_each_side_in_its_colour(rig):
    """Both sides are everywhere at the same depth; the one that is turned away lends nothing."""
    up = rectangle((-0.4, -0.4), (0.4, 0.4))
    mesh = joined(up, replace(up, faces=up.faces[:, ::-1]))
    views = bp.render(
        replace(mesh, colors=np.repeat([RED, GREEN], 4, axis=0).astype(np.uint8)), rig
    )
    for k, eye in enumerate(rig.eyes_world):
        hit = views.silhouettes[k]
        assert (views.colors[k][hit] == (RED if eye[2] > 0 else GREEN)).all()


def test_a_coloured_shape_comes_back_with_its_colours():
    mesh = sphere(RADIUS, splits=5)
    mesh = replace(mesh, colors=np.rint(waves(mesh.vertices)).astype(np.uint8))
    result = bp.roundtrip(mesh, bp.Rig.dodecahedron(size=64), resolution=64)
    assert off(result.reconstruction, waves).max() < 1.5 * CLOSE  # 64 pixels instead of 96
