"""Every fault of order, turns, views and meaning is planted and found; what nobody can know is said
so.
"""

from dataclasses import replace

import numpy as np
import pytest
from shapes import box, joined, sphere_views

import backproject as bp
from backproject.checking.meaning import AS_READ, ASPECTS, find_meaning, pose_readings
from backproject.checking.order import find_order, named_orders, reordered, rig_symmetries
from backproject.checking.outliers import find_outliers
from backproject.checking.probe import SIGNIFICANT, TURNS, Probe, consistency
from backproject.checking.turns import find_turns, turned, turned_back
from backproject.errors import InputError
from backproject.geometry.conventions import FLIP, ray_lengths
from backproject.geometry.rig import invert_poses
from backproject.kernels.agreement import CONFIRMED, CONTRADICTED, look_up, score_samples

RIG = bp.Rig.dodecahedron(size=80)


def lopsided():
    """Return a body without any symmetry: three boxes of different sizes, off the middle."""
    return joined(
        box(0.5, (0.05, -0.1, 0.0)), box(0.25, (0.3, 0.2, 0.1)), box(0.15, (-0.25, 0.1, -0.3))
    )


def stored_in_bytes(views):
    """Return views whose depth went through 255 levels between its nearest and farthest."""
    seen = views.silhouettes
    near, far = views.depth[seen].min(), views.depth[seen].max()
    step = float(far - near) / 254
    depth = np.where(seen, near + np.round((views.depth - near) / step) * step, np.inf)
    return replace(views, depth=depth, step=step)


def with_rig(views, *, poses=None, shift=0.0):
    intrinsics = views.rig.intrinsics.copy()
    intrinsics[:, :2, 2] += shift
    poses = views.rig.world_from_camera if poses is None else poses
    return replace(views, rig=bp.Rig(intrinsics, poses, RIG.width, RIG.height))


FLOATS = bp.render(lopsided(), RIG)
BYTES = stored_in_bytes(FLOATS)
SPHERE = sphere_views(0.45, RIG)
LENGTHS = ray_lengths(RIG, 0)
POSES = RIG.world_from_camera
FEW = FLOATS.subset(range(0, 20, 2))
FEW_BYTES = BYTES.subset(range(0, 20, 2))
TWELVE = FLOATS.subset(range(12))
codes = pytest.mark.parametrize("views", [FLOATS, BYTES], ids=["floats", "bytes"])


# The score


def test_a_point_is_confirmed_on_the_surface_contradicted_before_it_and_hidden_behind_it():
    depth = np.full((1, 4, 4), 2.0, np.float32)
    assert score(depth, 2.0, 2.0, 2.0) == CONFIRMED
    assert score(depth, 2.0, 2.0, 1.8) == CONTRADICTED
    assert score(depth, 2.0, 2.0, 2.2) == 0
    assert score(depth, 2.0, 0.4, 2.0) == 0  # beyond the outermost centres
    assert score(depth, 2.0, 2.0, -2.0) == 0  # behind the camera
    depth[0, 2, 2] = np.nan
    assert score(depth, 2.0, 2.0, 1.8) == 0  # not measured says nothing
    depth[0, 2, 2] = np.inf
    assert score(depth, 2.0, 2.0, 2.0) == CONFIRMED  # background beside it
    empty = np.full((1, 4, 4), np.inf, np.float32)
    assert score(empty, 2.0, 2.0, 9.0) == CONTRADICTED


def score(depth, u, v, z):
    """Return the score of a point of depth z at pixel (u, v) of an image, 0.1 of depth about it."""
    turns, focal, center = np.eye(2)[None], np.ones((1, 2)), np.full((1, 2), 2.0)
    points = np.array([[(u - 2) * z, (v - 2) * z, z, 0.1 if z > 0 else 1e-9]])
    scores = np.empty(1, np.int8)
    footprints = 0.1 / max(points[0, 3], z)  # of a pixel's, which is as wide as the depth here
    given = (turns, 0, focal, center, (2.0, 2.0), np.eye(4)[None], 0)
    assert look_up(points, depth, 0, *given, footprints, 0.0, scores) == scores[0]
    return scores[0]


def test_the_kernel_runs_as_plain_python_and_on_any_number_of_threads():
    views = FLOATS.subset(range(4))
    probe = Probe.of(views, samples=20)
    compiled = probe.agreement(views).scores
    assert (probe.agreement(views, threads=3).scores == compiled).all()
    plain = np.zeros_like(compiled)
    own, unturned = np.arange(4), np.zeros(4, int)
    given = probe._given(views)
    score_samples.py_func(
        0, 4, *given, own, unturned, TURNS, 2.0, views.step, -1, plain
    )  # the compiled inner loops
    assert (plain == compiled).all()


@codes
def test_right_views_never_see_past_each_others_points(views):
    scores = Probe.of(views).agreement(views).scores
    # three flat bodies: only grazing faces, seen by a pixel or two, come near the tolerance
    assert (scores == CONTRADICTED).sum() < 0.01 * (scores == CONFIRMED).sum()
    assert consistency(views) > 0


def test_a_scene_that_is_moved_turned_and_scaled_agrees_as_well():
    angle = np.radians(20)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0]])
    rotation = np.vstack([turn, [0, 0, 1]])
    moved = FLOATS.transformed(bp.Similarity(3.0, rotation, np.array([1.0, 2.0, -1.0])))
    probe = Probe.of(FLOATS)
    assert consistency(moved, probe) == pytest.approx(consistency(FLOATS, probe), abs=1e-3)


def test_a_probe_refuses_other_views_and_no_samples():
    with pytest.raises(InputError, match="samples"):
        Probe.of(FLOATS, samples=0)
    with pytest.raises(InputError, match="20 views"):
        Probe.of(FLOATS).agreement(FLOATS.subset([0, 1]))


# Turns


@pytest.mark.parametrize("label", range(8))
def test_turning_an_image_moves_its_pixels_as_the_table_says_and_back(label):
    labels = np.full(len(FEW), label)
    views = turned(FEW, labels)
    row, column = 20, 33
    x, y = TURNS[label] @ (column + 0.5 - 40, row + 0.5 - 40)
    there = views.depth[:, int(y + 40), int(x + 40)]
    assert (there == FEW.depth[:, row, column]).all()
    assert (turned_back(views, labels).depth == FEW.depth).all()


@pytest.mark.parametrize("views", [FEW, FEW_BYTES], ids=["floats", "bytes"])
@pytest.mark.parametrize("fault", ["none", "one", "all", "each"])
def test_turned_and_mirrored_images_are_named_and_mended(views, fault):
    labels = np.zeros(len(FEW), int)
    if fault == "one":
        labels[7] = 2
    if fault == "all":
        labels[:] = 5
    if fault == "each":
        labels = np.random.default_rng(0).integers(8, size=len(FEW))
    found = find_turns(turned(views, labels))
    assert (found.best == labels).all()
    assert (found.wrong == (labels != 0)).all()
    assert not found.untold.any()
    assert found.consistent
    assert (found.lead >= SIGNIFICANT) == (fault != "none")
    assert (found.apply(turned(views, labels)).depth == views.depth).all()


def test_oblong_images_can_be_turned_only_upside_down():
    rig = bp.Rig.dodecahedron(size=(88, 72))
    labels = np.random.default_rng(0).choice([0, 2, 4, 6], len(rig))
    found = find_turns(turned(bp.render(lopsided(), rig), labels))
    assert (found.best == labels).all()
    assert np.isnan(found.leads[:, 1::2]).all()


def test_no_turn_of_a_sphere_can_be_told():
    found = find_turns(turned(SPHERE.subset(range(10)), np.arange(len(FEW)) % 8))
    assert not found.wrong.any()
    assert found.untold.all()
    assert (found.best == 0).all()  # left alone


# Order


@pytest.mark.parametrize(
    ("views", "name"),
    [*((TWELVE, name) for name in [*named_orders(12), "any"]), (BYTES, "any")],
)
def test_the_order_is_named_and_mended_up_to_the_symmetries_of_the_rig(views, name):
    cameras = named_orders(len(views)).get(name, np.random.default_rng(1).permutation(len(views)))
    given = replace(views, depth=views.depth[cameras])
    found = find_order(given)
    assert any((twin == cameras).all() for twin in (found.best, *found.symmetries))
    assert len(found.ties) == 0
    assert found.wrong == (name != "as given")
    assert found.name == (name if name != "any" else "another order")
    assert consistency(found.apply(given)) == pytest.approx(consistency(views), abs=0.02)
    if name != "any":
        assert (found.apply(given).depth == views.depth).all()
        assert (reordered(given, cameras).depth == views.depth).all()


def test_no_order_of_views_of_a_sphere_can_be_told():
    found = find_order(reordered(SPHERE.subset(range(10)), np.arange(10)[::-1]))
    assert not found.wrong
    assert found.name == "as given"
    assert found.untold.all()


def test_the_symmetries_of_rigs():
    # upright cameras: the dodecahedron has one half turn about the vertical, a turntable all turns
    assert len(rig_symmetries(RIG)) == 2
    assert len(rig_symmetries(bp.Rig.turntable(7))) == 7
    assert len(rig_symmetries(bp.Rig.fibonacci(9))) == 1


# Outliers


@codes
def test_right_views_are_no_outliers(views):
    found = find_outliers(views)
    assert not found.outliers.any()
    assert found.consistent


@codes
def test_wrong_images_wrong_poses_and_empty_images_are_outliers(views):
    depth, poses = views.depth.copy(), POSES.copy()
    depth[3] = SPHERE.depth[3]
    depth[8] = np.inf
    poses[15] = poses[2]
    found = find_outliers(with_rig(replace(views, depth=depth), poses=poses))
    assert np.flatnonzero(found.outliers).tolist() == [3, 8, 15]
    assert np.flatnonzero(found.empty).tolist() == [8]
    assert found.best_score > found.given_score
    assert len(found.apply(views)) == 17


def test_a_view_that_measured_nothing_contradicts_nobody():
    depth = FLOATS.depth.copy()
    depth[4] = np.nan
    found = find_outliers(replace(FLOATS, depth=depth))
    assert not found.outliers.any()
    assert found.empty[4]


def test_where_most_views_are_wrong_none_is_called_an_outlier():
    found = find_outliers(replace(FLOATS, depth=np.roll(FLOATS.depth, 3, axis=0)))
    assert not found.consistent
    assert not found.outliers.any()


# Meaning

FAULTS = {
    "nothing": (lambda v: v, {}),
    "ray": (lambda v: replace(v, depth=v.depth * LENGTHS), {"depth": "along the ray"}),
    "planar": (
        lambda v: replace(v, depth=v.depth / LENGTHS),
        {"depth": "planar, read as along the ray"},
    ),
    "swapped": (lambda v: swapped(v, 2.9), {"near and far": "swapped"}),
    "opengl": (
        lambda v: with_rig(v, poses=v.rig.world_from_camera * FLIP),
        {"camera matrices": "OpenGL axes"},
    ),
    "inverse": (
        lambda v: with_rig(v, poses=invert_poses(v.rig.world_from_camera)),
        {"camera matrices": "the other direction"},
    ),
    "both": (
        lambda v: with_rig(v, poses=invert_poses(v.rig.world_from_camera * FLIP)),
        {"camera matrices": "the other direction and OpenGL axes"},
    ),
    "z up": (lambda v: with_rig(v, poses=z_up(v.rig)), {"camera matrices": "up +y"}),
    "millimetres": (
        lambda v: replace(v, depth=v.depth * 1000, step=v.step * 1000),
        {"unit": "times 0.001"},
    ),
    "ray and opengl": (
        lambda v: with_rig(
            replace(v, depth=v.depth * LENGTHS), poses=v.rig.world_from_camera * FLIP
        ),
        {"depth": "along the ray", "camera matrices": "OpenGL axes"},
    ),
}


def z_up(rig):
    return bp.Rig.looking_at(rig.centers_world, up=(0, 0, 1)).world_from_camera


def swapped(views, total):
    depth = np.where(views.silhouettes, total - views.depth, views.depth)
    return replace(views, depth=depth)


@pytest.mark.parametrize(
    ("views", "fault"),
    [*((FEW, fault) for fault in FAULTS), (BYTES, "nothing"), (BYTES, "swapped")],
)
def test_what_the_numbers_mean_is_named_and_mended(views, fault):
    plant, expected = FAULTS[fault]
    given = plant(views)
    found = find_meaning(given)
    assert (
        found.best.values | {"pixel centres": AS_READ} == dict.fromkeys(ASPECTS, AS_READ) | expected
    )
    assert [aspect for aspect in ASPECTS if found.wrong(aspect)] == list(expected)
    assert found.consistent
    # the sum of near and far is found to within the tolerance, two footprints
    assert consistency(found.apply(given)) == pytest.approx(consistency(views), abs=0.1)


def test_half_a_pixel_is_found_in_floats_and_never_invented():
    assert find_meaning(FEW).best.shift == 0
    assert find_meaning(with_rig(FEW, shift=-0.5)).best.shift == 0.5


def test_a_known_span_is_used():
    found = find_meaning(swapped(FEW, 3.0), span=(1.0, 2.0))
    assert found.best.far_plus_near == 3.0
    with pytest.raises(InputError, match="span"):
        find_meaning(FEW, span=(2.0, 1.0))


def test_which_axis_is_up_is_asked_only_where_cameras_were_set_up_by_it():
    assert len(pose_readings(RIG)) == 4 + 5
    rolled = POSES.copy()
    c, s = np.cos(0.3), np.sin(0.3)
    rolled[:, :3, :3] = rolled[:, :3, :3] @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    assert len(pose_readings(with_rig(FLOATS, poses=rolled).rig)) == 4


def test_the_unit_and_the_roll_of_cameras_around_a_sphere_cannot_be_told_from_its_shape():
    found = find_meaning(SPHERE.subset(range(0, 20, 2)))
    assert found.best.changes == 0
    assert "up +z" in found.untold("camera matrices")
