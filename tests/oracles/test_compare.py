"""The scores of shapes whose distances are known."""

import json

import numpy as np
import pytest
from shapes import box, cast, joined, rectangle, sphere, sphere_views

import backproject as bp
from backproject.metrics.sampling import sample_surface

SAMPLES = 20_000
ROUNDING = 1e-12  # of float64 distances in a unit-sized frame, with room


@pytest.mark.parametrize("offset", [0.02, -0.02])
def test_a_sphere_of_another_radius_is_off_by_the_difference(offset):
    truth = sphere(radius=1.0)
    scaled = bp.Mesh(truth.vertices * (1 + offset), truth.faces)
    scores = bp.compare(scaled, truth, samples=SAMPLES)
    # Both are the same polyhedron: every point is off by |offset| times something between the
    # polyhedron's inner radius and 1.
    inner = np.einsum("fk,fk->f", truth.face_normals, truth.triangles[:, 0]).min()
    low, high = abs(offset) * inner / 2, abs(offset) / 2  # the diameter is 2
    assert inner > 0.998
    for value in (scores.accuracy, scores.completeness, scores.chamfer):
        assert low <= value <= high
    assert low <= abs(scores.signed_bias) <= high
    assert np.sign(scores.signed_bias) == np.sign(offset)
    assert scores.hausdorff == pytest.approx(high, rel=1 - inner)
    assert scores.normal_consistency > inner
    assert scores.f_score(0.005) == 0.0  # 0.01 away everywhere
    assert scores.watertight
    assert scores.components == 1
    assert (scores.vertices, scores.faces) == (len(truth.vertices), len(truth.faces))


@pytest.mark.parametrize(("flip", "sign"), [(False, 1), (True, -1)])
def test_a_shifted_plane_is_off_by_the_shift_along_its_own_normal(flip, sign):
    truth = rectangle((0, 0), (3, 4))
    shifted = rectangle((0, 0), (3, 4), height=0.015)
    if flip:
        shifted = bp.Mesh(shifted.vertices, shifted.faces[:, ::-1])
    scores = bp.compare(shifted, truth, samples=SAMPLES)
    expected = 0.015 / 5  # the rectangle's diagonal is 5
    assert scores.truth_diameter == pytest.approx(5)
    for value in (scores.accuracy, scores.accuracy_median, scores.completeness, scores.hausdorff):
        assert value == pytest.approx(expected, abs=ROUNDING)
    assert scores.signed_bias == pytest.approx(sign * expected, abs=ROUNDING)
    assert [s.f for s in scores.f_scores] == [0.0, 0.0, 1.0]  # 0.003 lies between the last two
    assert scores.normal_consistency == pytest.approx(1)
    assert not scores.watertight


def test_a_shape_is_no_distance_from_itself():
    truth = box()
    scores = bp.compare(truth, truth, samples=SAMPLES)
    assert scores.hausdorff < ROUNDING
    assert [s.f for s in scores.f_scores] == [1.0, 1.0, 1.0]
    assert scores.seen_fraction is None


def test_what_is_missing_lowers_recall_and_completeness_only():
    left, right = rectangle((0, 0), (1, 1)), rectangle((1, 0), (2, 1))
    scores = bp.compare(left, joined(left, right), samples=SAMPLES)
    diameter = np.hypot(2, 1)
    # Samples are stratified by face, so exactly half are on the right, 0.5 from the left on
    # average; the spread of that mean is sqrt(1/12 / (n/2)) before stratification: 5 of them.
    spread = np.sqrt(1 / 12 / (SAMPLES / 2)) / 2 / diameter
    assert scores.accuracy < ROUNDING
    assert scores.completeness == pytest.approx(0.25 / diameter, abs=5 * spread)
    assert scores.hausdorff == pytest.approx(1 / diameter)
    for score in scores.f_scores:
        share = score.tau * diameter  # of the right half, within tau of the left
        spread = np.sqrt(share / (SAMPLES / 2)) / 2
        assert score.precision == 1.0
        assert score.recall == pytest.approx((1 + share) / 2, abs=5 * spread)
        assert score.f == pytest.approx(2 * score.recall / (1 + score.recall))


def test_only_what_some_camera_sees_is_asked_for():
    truth = sphere(radius=0.5)
    upper = bp.Mesh(truth.vertices, truth.faces[truth.triangles.mean(axis=1)[:, 2] > 0])
    # From 1.5 the camera sees down to z = 0.5^2 / 1.5 = 0.17, all of it in the upper half.
    views = sphere_views(0.5, bp.Rig.looking_at([(0, 0, 1.5)], size=224))
    scores = bp.compare(upper, truth, views=views, samples=SAMPLES)
    assert scores.completeness < ROUNDING
    assert scores.f_score(0.001) == 1.0
    assert bp.compare(upper, truth, samples=SAMPLES).completeness > 0.1


def cut_apart(mesh):
    """Return the mesh with corners of its own for each face."""
    return bp.Mesh(mesh.triangles.reshape(-1, 3), np.arange(3 * len(mesh.faces)).reshape(-1, 3))


def supported(mesh, support):
    return bp.Mesh(mesh.vertices, mesh.faces, support)


def test_the_support_tells_how_much_is_inferred_and_how_near_the_rest_is():
    truth = cut_apart(box())
    moved = truth.vertices.copy()
    support = np.full(len(moved), 3)
    # The upper side is seen and 0.01 too high. The lower was seen but for one corner of each
    # triangle, and is 0.1 too low.
    upper, lower = (np.repeat(truth.face_normals[:, 2] == z, 3) for z in (1, -1))
    moved[upper] += (0, 0, 0.01)
    moved[lower] -= (0, 0, 0.1)
    support[np.flatnonzero(lower)[::3]] = 0
    given = bp.Mesh(moved, truth.faces, support)
    scores = bp.compare(given, truth, samples=SAMPLES)
    side = 1 / np.sqrt(3)  # of the box, in its diameters
    assert scores.inferred_fraction == pytest.approx(1 / 6)
    assert scores.accuracy == pytest.approx((0.01 + 0.1) * side / 6, abs=side / SAMPLES)
    assert scores.accuracy_seen == pytest.approx(0.01 * side / 5, abs=side / SAMPLES)
    # It is told apart, and nothing else changes.
    plain = bp.compare(bp.Mesh(moved, truth.faces), truth, samples=SAMPLES)
    assert plain.inferred_fraction is plain.accuracy_seen is None
    told = {"accuracy_seen": None, "inferred_fraction": None}
    assert scores.to_dict() | told == plain.to_dict()


def test_support_counts_before_the_views():
    truth = box(side=0.5)
    views = cast(truth, bp.Rig.dodecahedron(size=32))
    unseen = supported(truth, np.zeros(8))
    scores = bp.compare(unseen, truth, views=views, samples=SAMPLES)
    assert (scores.inferred_fraction, scores.accuracy_seen) == (1.0, None)
    assert ("accuracy, seen", "not known") in [row[:2] for row in scores.table()]
    assert ("inferred", "100.0%") in [row[:2] for row in scores.table()]
    assert bp.compare(truth, truth, views=views, samples=SAMPLES).inferred_fraction == 0.0


def test_a_box_seen_from_one_side_is_inferred_but_for_that_side():
    truth = box(side=0.5)
    views = cast(truth, bp.Rig.looking_at([(0, 0, 1.5)], size=96))
    scores = bp.compare(truth, truth, views=views, samples=SAMPLES)
    assert scores.inferred_fraction == pytest.approx(5 / 6, abs=1 / SAMPLES)
    lifted = truth.vertices * (1, 1, 1.004)  # top and bottom 0.001 off: a fifth of a footprint
    scores = bp.compare(bp.Mesh(lifted, truth.faces), truth, views=views, samples=SAMPLES)
    assert scores.inferred_fraction == pytest.approx(5 / 6, abs=1e-3)  # sides are longer by 0.004
    assert scores.accuracy_seen == pytest.approx(0.001 / scores.truth_diameter, rel=1e-6)
    assert scores.accuracy == pytest.approx(scores.accuracy_seen * 2 / 6, rel=0.01)


def test_a_sphere_seen_from_one_side_is_inferred_behind_its_horizon():
    radius, distance = 0.5, 1.5
    truth = sphere(radius)
    views = sphere_views(radius, bp.Rig.looking_at([(0, 0, distance)], size=224))
    scores = bp.compare(truth, truth, views=views, samples=SAMPLES)

    def cap(cosine):
        """Return the share of the sphere that is seen at that cosine or more."""
        # On the ray to the horizon's cap: distance sin(a) = radius sin(incidence).
        incidence = np.arccos(cosine)
        return (1 - np.cos(incidence - np.arcsin(radius / distance * np.sin(incidence)))) / 2

    # Nothing beyond the horizon faces the camera, but for the faces that cross it, which are up
    # to 0.04 long; all is shown down to a cosine of 0.4 (tests/oracles/test_seen.py).
    assert 1 - cap(0.0) - 0.04 < scores.inferred_fraction < 1 - cap(0.4)
    assert scores.accuracy_seen < ROUNDING


def test_neither_units_nor_place_nor_turn_matter():
    truth, other = sphere(radius=0.5, splits=3), sphere(radius=0.52, splits=2)
    views = sphere_views(0.5, bp.Rig.dodecahedron(size=32))
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    moved = bp.Similarity(250.0, turn, np.array([1000.0, -2000.0, 500.0]))
    here = bp.compare(other, truth, views=views, samples=SAMPLES).to_dict()
    there = bp.compare(
        other.transformed(moved),
        truth.transformed(moved),
        views=views.transformed(moved),
        samples=SAMPLES,
    ).to_dict()
    assert there.pop("truth_diameter") == pytest.approx(250 * here.pop("truth_diameter"))
    # Float64 coordinates of 2000 in units of 250 keep 12 digits.
    for name in ("accuracy", "accuracy_median", "signed_bias"):
        assert there.pop(name) == pytest.approx(here.pop(name), abs=1e-12)
    # Where the nearest point lies on an edge, either face may be named: their normals differ by
    # 0.3 radians on the coarser sphere, the cosines by some hundredths, for a few samples. Float32
    # depth keeps 7 digits, so a few samples at the edge of being seen may change sides.
    for name in ("f_score", "precision", "recall"):
        assert there.pop(name) == pytest.approx(here.pop(name), abs=1e-3)
    assert there == pytest.approx(here, abs=1e-3)


def test_the_same_seed_gives_the_same_scores_on_any_number_of_threads():
    truth, other = box(), sphere(radius=0.6, splits=2)
    views = sphere_views(0.5, bp.Rig.dodecahedron(size=32))
    one = bp.compare(other, truth, views=views, samples=5000, threads=1)
    assert one == bp.compare(other, truth, views=views, samples=5000, threads=3)
    assert one != bp.compare(other, truth, views=views, samples=5000, seed=1, threads=1)


def test_samples_are_uniform_over_the_area():
    mesh = joined(rectangle((0, 0), (1, 1)), rectangle((2, 0), (5, 1)))
    points, face = sample_surface(mesh, SAMPLES)
    assert (face >= 2).sum() == 3 * SAMPLES // 4  # stratified: exactly its share of the area
    inside = points[face < 2, :2]
    # the mean and variance of a uniform square, within 5 standard errors
    error = 5 / np.sqrt(12 * len(inside))
    np.testing.assert_allclose(inside.mean(axis=0), 0.5, atol=error)
    np.testing.assert_allclose(inside.var(axis=0), 1 / 12, atol=error)
    assert (points[:, 2] == 0).all()


def test_faces_without_area_change_nothing():
    truth = box()
    flat = np.array([(0, 0, 1), (2, 2, 2)])
    with_flat = bp.Mesh(truth.vertices, np.concatenate([truth.faces, flat]))
    scores = bp.compare(with_flat, with_flat, samples=1000)
    assert scores.hausdorff < ROUNDING
    assert scores.normal_consistency > 0.99
    assert scores.faces == 14
    told = supported(with_flat, np.full(8, 2))
    assert bp.compare(told, with_flat, samples=1000).inferred_fraction == 0.0


def test_scores_become_json_and_rows():
    views = sphere_views(0.5, bp.Rig.dodecahedron(size=32))
    scores = bp.compare(sphere(0.5, 2), sphere(0.5, 2), views=views, samples=1000)
    again = json.loads(json.dumps(scores.to_dict()))
    assert again["f_score"] == {"0.001": 1.0, "0.0025": 1.0, "0.005": 1.0}
    assert again["watertight"] is True
    assert again["inferred_fraction"] == 0.0
    assert again["accuracy_seen"] == again["accuracy"]
    assert all(len(row) == 3 for row in scores.table())


def test_what_cannot_be_scored_is_said():
    truth = box()
    nothing = bp.Mesh(np.zeros((3, 3)), np.zeros((0, 3), int))
    with pytest.raises(bp.InputError, match="reconstruction: 0 faces without any area"):
        bp.compare(nothing, truth)
    with pytest.raises(bp.InputError, match="truth: 0 faces without any area"):
        bp.compare(truth, nothing)
    with pytest.raises(bp.InputError, match="samples: got 0"):
        bp.compare(truth, truth, samples=0)
    away = bp.Rig.looking_at([(0, 0, 50)], target=(0, 0, 60), size=16)
    with pytest.raises(bp.InputError, match="in the same coordinates"):
        bp.compare(truth, truth, views=sphere_views(0.5, away), samples=100)


@pytest.mark.parametrize("tau", [0.01, 0.0, float("nan")])
def test_an_f_score_that_was_not_measured_is_refused(tau):
    scores = bp.compare(sphere(splits=2), sphere(splits=2), samples=1000, threads=1)
    with pytest.raises(bp.InputError, match=r"tau.*0\.001, 0\.0025, 0\.005"):
        scores.f_score(tau)
