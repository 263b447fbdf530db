"""The check's benchmark: what it plants, and how it judges an answer."""

from dataclasses import replace

import numpy as np
import pytest
from benchmarks import faults, judging
from benchmarks.check import random_of
from benchmarks.faults import FAULTS
from shapes import box, joined, sphere_views

import backproject as bp
from backproject.checking.diagnosis import Diagnosis
from backproject.checking.hypotheses import Finding
from backproject.checking.probe import TURNS
from backproject.checking.turns import turned

RIG = bp.Rig.dodecahedron(size=64)
SHAPE = joined(
    box(0.5, (0.05, -0.1, 0.0)), box(0.25, (0.3, 0.2, 0.1)), box(0.15, (-0.25, 0.1, -0.3))
)
VIEWS = bp.render(SHAPE, RIG)
SEED = 1
"""By seed 0 a number is off by so little that 8 bits of so small images do not show it."""
ROUNDING = 1e-5
"""Depth is held in 32 bits, and directions of the rig come with six digits."""


def planted(name, views=VIEWS, seed=SEED):
    return FAULTS[name].plant(views, random_of(seed, name))


def answer(wrong, *mends):
    """Return a diagnosis that calls hypotheses wrong, and mends by such functions."""
    findings = [Finding(name, "as given", "otherwise", 0.0, 0.0, "wrong") for name in wrong]
    return Diagnosis(tuple(findings), 1.0, 0.0, explained=True, mends=mends)


def first_names(fault):
    return [sorted(group)[0] for group in fault.named]


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_the_same_for_a_seed_and_leaves_the_views_alone(name):
    depth, poses = VIEWS.depth.copy(), VIEWS.rig.world_from_camera.copy()
    first, second = planted(name), planted(name)
    assert np.array_equal(first.views.depth, second.views.depth)
    assert np.array_equal(first.views.rig.world_from_camera, second.views.rig.world_from_camera)
    assert np.array_equal(VIEWS.depth, depth)
    assert np.array_equal(VIEWS.rig.world_from_camera, poses)


@pytest.mark.parametrize("name", [name for name in FAULTS if FAULTS[name].named])
def test_a_fault_left_alone_is_not_mended_and_the_views_tell_of_it(name):
    given = planted(name)
    verdict = judging.judge(FAULTS[name], given, answer([]))
    assert not verdict.mended
    assert not verdict.named
    assert not verdict.untold
    assert not verdict.invented


@pytest.mark.parametrize("name", FAULTS)
def test_the_true_mend_is_right(name):
    given = planted(name)
    diagnosis = answer(first_names(FAULTS[name]), lambda _: given.truth)
    verdict = judging.judge(FAULTS[name], given, diagnosis)
    assert verdict.right
    assert not verdict.invented
    assert verdict.errors.numbers < ROUNDING


@pytest.mark.parametrize("name", FAULTS)
def test_what_was_not_planted_is_invented_unless_it_is_the_same(name):
    given = planted(name)
    wrong = [*first_names(FAULTS[name]), "unit"]
    spoilt = judging.judge(
        FAULTS[name], given, answer(wrong, lambda v: faults.mirrored(v, None).views)
    )
    mended = judging.judge(FAULTS[name], given, answer(wrong, lambda _: given.truth))
    assert (spoilt.named, spoilt.mended, spoilt.invented) == (False, False, True)
    assert (mended.named, mended.mended, mended.invented) == (False, True, False)


def test_a_scene_that_is_moved_turned_and_scaled_is_the_same():
    turn = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])
    moved = VIEWS.transformed(bp.Similarity(3.0, turn, np.array([1.0, 2.0, -1.0])))
    errors = judging.compare(moved, VIEWS)
    assert errors.numbers < ROUNDING
    assert errors.pixels < ROUNDING * RIG.intrinsics[0, 0, 0]
    assert errors.seen == 0


@pytest.mark.parametrize("twin", judging.twins(RIG))
def test_a_twin_is_the_scene_moved_as_a_whole(twin):
    poses = RIG.world_from_camera
    turn = np.eye(4)
    turn[:2, :2] = TURNS[twin.labels[0]]
    motion = poses[twin.cameras[0]] @ turn @ np.linalg.inv(poses[0])
    moved = bp.Mesh(SHAPE.vertices @ motion[:3, :3].T + motion[:3, 3], SHAPE.faces)
    there = twin.apply(VIEWS)
    seen, expected = there.silhouettes, bp.render(moved, RIG).silhouettes
    # a pixel whose centre lies on an outline but for rounding may fall to either side
    assert (seen != expected).mean() < 1e-3
    assert np.linalg.det(motion) == pytest.approx(-1 if twin.mirrored else 1, abs=ROUNDING)
    errors = judging.compare(there, VIEWS)
    assert errors.mirrored == twin.mirrored
    assert (errors.numbers < ROUNDING and errors.seen == 0) != twin.mirrored


def test_a_scene_that_comes_back_mirrored_is_not_mended_unless_it_is_its_own_mirror_image():
    mirror = judging.twins(RIG)[-1]
    assert mirror.mirrored
    for shape, own in ((SHAPE, False), (box(0.5), True)):
        given = planted("permuted", bp.render(shape, RIG))
        diagnosis = answer(["order of images"], lambda _, given=given: mirror.apply(given.truth))
        assert judging.judge(FAULTS["permuted"], given, diagnosis).mended == own


@pytest.mark.parametrize("label", range(4))
def test_images_that_turn_with_their_cameras_show_the_same(label):
    oblong = bp.render(SHAPE, bp.Rig.dodecahedron(size=(64, 48) if label % 2 == 0 else 64))
    there = judging.rolled(oblong, label)
    assert np.array_equal(there.depth, turned(oblong, np.full(20, label)).depth)
    apart = there.transformed(bp.Similarity(2.0))
    errors = judging.compare(apart, oblong)
    assert errors.numbers < ROUNDING
    assert errors.seen == 0
    assert not errors.mirrored


def test_upright_cameras_on_a_dodecahedron_have_eight_twins():
    # its 8 moves that keep the vertical axis where it is, up or down, of 120
    assert len(judging.twins(RIG)) == 8
    assert judging.twins(RIG)[0].cameras.tolist() == list(range(20))


def test_errors_are_those_that_were_made():
    focal = RIG.intrinsics * np.array([[1.01, 1, 1], [1, 1.01, 1], [1, 1, 1]])
    errors = judging.compare(replace(VIEWS, rig=replace(RIG, intrinsics=focal)), VIEWS)
    assert errors.focal == pytest.approx(0.01)
    poses = RIG.world_from_camera.copy()
    angle = 0.01
    turn = [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    poses[4, :3, :3] = poses[4, :3, :3] @ turn
    off = judging.compare(replace(VIEWS, rig=replace(RIG, world_from_camera=poses)), VIEWS)
    # the common motion that fits best takes up about a twentieth of what one view is off by
    assert off.pixels == pytest.approx(angle * RIG.intrinsics[0, 0, 0], rel=0.2)
    assert off.focal == 0


def test_views_that_are_missing_are_no_mend():
    assert judging.compare(VIEWS.subset(range(19)), VIEWS) is None


def test_nobody_can_tell_how_images_of_a_sphere_were_turned():
    ball = sphere_views(0.45, RIG)
    for name in ("one turned", "all turned", "each turned", "permuted"):
        verdict = judging.judge(FAULTS[name], planted(name, ball), answer([]))
        assert verdict.untold
    wrong = judging.judge(FAULTS["clean"], planted("clean", ball), answer(["distance"]))
    assert not wrong.named


def test_one_mirrored_view_of_twenty_is_told():
    labels = np.zeros(20, int)
    labels[3] = 4
    assert judging.agree_as_well(VIEWS, VIEWS)
    assert not judging.agree_as_well(turned(VIEWS, labels), VIEWS)
