"""Faults planted in cameras and depth, found from the views alone.

A tenth of a pixel at the scene's edge is what surfaces can be held to; a relative error e of focal
length, distance or depth moves them by at most e times their depth or radius. Depth in 255 steps is
held to 2 %.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from shapes import box, joined, sphere, sphere_views

import backproject as bp
from backproject.checking.adjustment import Scene, State, equations
from backproject.checking.hypotheses import ABOUT, KINDS, try_numbers_with
from backproject.checking.meaning import Reading
from backproject.checking.numbers import find_numbers
from backproject.checking.outlines import open_motions
from backproject.checking.poses import refine_poses
from backproject.checking.probe import agreement_of
from backproject.kernels import adjust as kernels
from backproject.progress import silent

DISTANCE, RADIUS, SIZE = 1.5, 0.4, 112
RIG = bp.Rig.dodecahedron(distance=DISTANCE, size=SIZE).world_from_camera
INTRINSICS = bp.Rig.dodecahedron(size=SIZE).intrinsics
TENTH_PIXEL = 0.1 * DISTANCE / INTRINSICS[0, 0, 0]
FOCAL_ERROR = TENTH_PIXEL / RADIUS
DEPTH_ERROR = TENTH_PIXEL / (DISTANCE - RADIUS)
NEAR, FAR = 1.0, 2.0


@pytest.fixture(scope="module")
def views():
    """Three boxes, each turned its own way, and a ball: no view sees planes of one edge alone."""
    rng = np.random.default_rng(2)
    boxes = [
        box(side).transformed(
            bp.Similarity(1, Rotation.from_rotvec(rng.normal(size=3)).as_matrix(), place)
        )
        for side, place in ((0.36, (0, 0, 0)), (0.2, (0.25, 0.1, 0)), (0.16, (0, 0.24, -0.1)))
    ]
    ball = sphere(0.12, splits=4).transformed(bp.Similarity(translation=(-0.1, -0.1, 0.24)))
    shape = joined(*boxes, ball)
    return bp.render(shape, bp.Rig(INTRINSICS, RIG, SIZE, SIZE))


@pytest.fixture(scope="module")
def ball():
    return sphere_views(0.4, bp.Rig(INTRINSICS, RIG, SIZE, SIZE))


def zoomed(views, factor):
    intrinsics = views.rig.intrinsics * np.array([[factor, 1, 1], [1, factor, 1], [1, 1, 1]])
    return replace(views, rig=replace(views.rig, intrinsics=intrinsics))


def farther(views, factor):
    poses = views.rig.world_from_camera.copy()
    poses[:, :3, 3] *= factor
    return replace(views, rig=replace(views.rig, world_from_camera=poses))


def stepped(views, levels=255):
    """Return depth between NEAR and FAR as 8 bits hold it."""
    step = (FAR - NEAR) / levels
    return replace(
        views, depth=NEAR + np.round((views.depth - NEAR) / step) * np.float32(step), step=step
    )


def decoded(views, near, far):
    """Return depth that was held between NEAR and FAR, read as between `near` and `far`."""
    share = (views.depth - NEAR) / (FAR - NEAR)
    return replace(views, depth=near + share * (far - near), step=views.step * (far - near))


def shaken(views, degrees, share, which=None, seed=0):
    """Return the views with cameras turned by so many degrees, and moved by a share of their
    distance, each its own way.
    """
    rng = np.random.default_rng(seed)
    poses = views.rig.world_from_camera.copy()
    for k in range(len(poses)) if which is None else which:
        turn, shift = rng.normal(size=(2, 3))
        turn *= np.radians(degrees) / np.linalg.norm(turn)
        poses[k, :3, :3] = poses[k, :3, :3] @ Rotation.from_rotvec(turn).as_matrix()
        poses[k, :3, 3] += shift * share * DISTANCE / np.linalg.norm(shift)
    return replace(views, rig=replace(views.rig, world_from_camera=poses))


def pixels_off(views, truth):
    """Return how far off each view sees points of the scene, after the best rigid motion."""
    points = RADIUS * np.vstack([np.eye(3), -np.eye(3)])
    poses = views.rig.world_from_camera
    changes = poses @ truth.rig.camera_from_world
    moved = (points @ np.swapaxes(changes[:, :3, :3], 1, 2) + changes[:, None, :3, 3]).mean(axis=0)
    u, _, vt = np.linalg.svd((moved - moved.mean(axis=0)).T @ points)
    placed = points @ (u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt).T + moved.mean(axis=0)
    return np.array(
        [
            np.linalg.norm(now.project(placed)[0] - then.project(points)[0], axis=1).mean()
            for now, then in zip(views.rig, truth.rig, strict=True)
        ]
    )


@pytest.mark.parametrize("factor", [0.8, 0.95, 1.1, 1.2])
def test_a_wrong_field_of_view_is_found(views, factor):
    found = find_numbers(zoomed(views, factor))
    assert found.focal * factor == pytest.approx(1, abs=FOCAL_ERROR)
    assert found.told
    assert not found.agrees
    mended = found.apply(zoomed(views, factor))
    np.testing.assert_allclose(
        mended.rig.intrinsics[:, 0, 0], INTRINSICS[:, 0, 0], rtol=FOCAL_ERROR
    )


@pytest.mark.parametrize("factor", [0.8, 1.2])
def test_a_wrong_distance_is_found_and_mended(views, factor):
    wrong = farther(views, factor)
    found = find_numbers(wrong, free=("distance",))
    assert found.distance * factor == pytest.approx(1, abs=DEPTH_ERROR)
    assert found.told
    assert not found.agrees
    np.testing.assert_allclose(
        found.apply(wrong).rig.centers_world, RIG[:, :3, 3], atol=DEPTH_ERROR * DISTANCE
    )


@pytest.mark.parametrize(("near", "far"), [(0.8, 1.6), (0.8, 2.4), (1.2, 1.6), (1.2, 2.4)])
def test_wrong_near_and_far_are_found(views, near, far):
    wrong = decoded(views, near, far)
    found = find_numbers(wrong, free=("scale", "offset"))
    assert found.scale * near + found.offset == pytest.approx(NEAR, abs=TENTH_PIXEL)
    assert found.scale * far + found.offset == pytest.approx(FAR, abs=2 * TENTH_PIXEL)
    assert found.told
    known = np.isfinite(views.depth)
    np.testing.assert_allclose(
        found.apply(wrong).depth[known], views.depth[known], atol=TENTH_PIXEL
    )


@pytest.mark.parametrize("moved", [(0.3, 0.7), (3.0, -2.0), (-10.0, 10.0)])
def test_a_principal_point_that_is_off_is_found_and_mended(views, moved):
    intrinsics = views.rig.intrinsics.copy()
    intrinsics[:, :2, 2] += moved
    wrong = replace(views, rig=replace(views.rig, intrinsics=intrinsics))
    found = find_numbers(wrong, free=("center",))
    np.testing.assert_allclose(found.center, np.negative(moved), atol=0.1)
    assert found.told
    tried = KINDS["center"](wrong, silent)
    assert [row.verdict for row in tried.rows] == ["wrong"]
    assert pixels_off(tried.mend(wrong), views).max() < 0.15  # a tenth each way


def noisy(views, pixels, seed=0):
    """Return depth with noise of so many pixels' footprints."""
    noise = np.random.default_rng(seed).standard_normal(views.depth.shape)
    off = 10 * TENTH_PIXEL * pixels * noise
    return replace(views, depth=(views.depth + off).astype(np.float32))


@pytest.mark.parametrize("factor", [0.8, 1.1, 1.2])
def test_of_a_noisy_ball_what_is_wrong_cannot_be_told_but_views_can_be_made_to_agree(ball, factor):
    """Ball and noise leave a choice: another distance or depth explains the views as well."""
    wrong = zoomed(noisy(ball, 0.3), factor)
    tried = KINDS["numbers"](wrong, silent)
    assert {row.verdict for row in tried.rows} == {"cannot be told"}
    assert tried.mend is None
    assert not agreement_of(wrong).settled
    assert agreement_of(tried.doubtful(wrong)).settled


@pytest.mark.parametrize("factor", [1.1, 1.15])
def test_of_a_ball_in_steps_that_is_mended_nothing_is_called_wrong(ball, factor):
    """Depth's scale and offset imitate a ball's field of view to less than a step, and inverted
    poses leave views that hardly see each other: neither is the only way.
    """
    wrong = zoomed(stepped(ball), factor)
    diagnosis = bp.check(wrong)
    assert [row for row in diagnosis.findings if row.verdict == "wrong"] == []
    assert diagnosis.explained
    [scale] = [row.best for row in diagnosis.findings if row.hypothesis == "depth's scale"]
    assert " or field of view: 4" in scale


def test_what_rounding_leaves_against_a_number_does_not_make_another_wrong():
    """Finer pixels tell scale from field of view, but by no more than the steps of depth make."""
    finer = sphere_views(0.5, bp.Rig.dodecahedron(size=160))
    diagnosis = bp.check(zoomed(stepped(finer), 1.1))
    assert [row for row in diagnosis.findings if row.verdict == "wrong"] == []
    assert diagnosis.explained


def test_what_brings_views_together_alone_is_called_wrong_in_steps_too(views):
    """Of boxes, scale and offset do not imitate a field of view."""
    diagnosis = bp.check(zoomed(stepped(views), 1.1))
    assert [row.hypothesis for row in diagnosis.findings if row.verdict == "wrong"] == [
        "field of view"
    ]


def test_what_must_be_wrong_is_called_so_even_where_noise_hides_by_how_much(views):
    """No other distance and no other depth brings the views together."""
    wrong = zoomed(noisy(views, 0.5), 0.75)
    assert not find_numbers(wrong, free=("focal", "distance")).told
    tried = KINDS["numbers"](wrong, silent)
    assert [row.verdict for row in tried.rows] == ["wrong", "cannot be told"]
    mended = tried.mend(wrong)
    np.testing.assert_allclose(mended.rig.intrinsics, INTRINSICS, rtol=0.01)


def test_field_of_view_and_distance_are_found_together(views):
    found = find_numbers(farther(zoomed(views, 1.15), 0.85), free=("focal", "distance"))
    assert found.focal * 1.15 == pytest.approx(1, abs=FOCAL_ERROR)
    assert found.distance * 0.85 == pytest.approx(1, abs=DEPTH_ERROR)


@pytest.mark.parametrize("held", [lambda views: views, stepped])
def test_right_numbers_stay(views, held):
    found = find_numbers(held(views), free=("focal", "distance"))
    assert found.agrees
    assert found.focal == pytest.approx(1, abs=FOCAL_ERROR)
    assert found.distance == pytest.approx(1, abs=DEPTH_ERROR)


def test_depth_in_steps_tells_numbers_within_two_percent(views):
    wrong = zoomed(stepped(views), 1.2)
    assert find_numbers(wrong).focal * 1.2 == pytest.approx(1, abs=0.02)
    assert find_numbers(replace(wrong, step=0)).focal * 1.2 == pytest.approx(1, abs=0.02)
    near_far = find_numbers(decoded(stepped(views), 0.8, 2.4), free=("scale", "offset"))
    assert near_far.scale * 0.8 + near_far.offset == pytest.approx(NEAR, rel=0.02)
    assert near_far.scale * 2.4 + near_far.offset == pytest.approx(FAR, rel=0.02)


def test_what_moves_depth_by_less_than_a_step_is_found_but_not_noticed_alone(views):
    tried = KINDS["numbers"](farther(stepped(views), 1.002), silent)
    assert tried.mend is None
    assert [row.hypothesis for row in tried.small.found] == ["distance"]
    mended = tried.small.mend(farther(views, 1.002))
    assert pixels_off(mended, views).max() < 0.1
    assert KINDS["numbers"](views, silent).small is None


def test_what_depth_and_distance_share_is_refused_together(views):
    with pytest.raises(bp.InputError, match="ratio"):
        find_numbers(views, free=("distance", "scale"))
    with pytest.raises(bp.InputError, match="free"):
        find_numbers(views, free=())
    with pytest.raises(bp.InputError, match="at least 2"):
        find_numbers(views.subset([0]))
    with pytest.raises(bp.InputError, match="at least 2"):
        refine_poses(views.subset([0]))


def test_views_that_see_nothing_in_common_tell_nothing():
    rig = bp.Rig(INTRINSICS[:3], RIG[:3], SIZE, SIZE)
    empty = bp.ViewSet(np.full((3, SIZE, SIZE), np.inf), rig)
    assert not find_numbers(empty).told
    poses = refine_poses(empty)
    assert not poses.told.any()
    np.testing.assert_allclose(poses.world_from_camera, RIG[:3], atol=1e-12)


def test_poses_that_are_off_come_back_within_a_tenth_of_a_pixel(views):
    wrong = shaken(views, degrees=2, share=0.02)
    found = refine_poses(wrong)
    assert pixels_off(wrong, views).min() > 1
    assert pixels_off(found.apply(wrong), views).max() < 0.1
    assert found.off.all()


def test_only_the_views_that_are_off_are_called_off(views):
    which = [3, 11]
    wrong = shaken(views, degrees=1.5, share=0.015, which=which)
    found = refine_poses(wrong)
    assert np.flatnonzero(found.off).tolist() == which
    np.testing.assert_allclose(found.degrees[which], 1.5, atol=np.degrees(FOCAL_ERROR))
    np.testing.assert_allclose(found.shifts[which], 0.015 * DISTANCE, atol=0.1 * DISTANCE * 0.015)


def test_right_poses_stay(views):
    found = refine_poses(views)
    assert found.agrees
    assert found.pixels.max() < 0.1
    assert found.told.all()
    assert found.apply(views) is views


@pytest.fixture(scope="module")
def prism():
    """A box and where its top is: views from above and from below share its sides alone."""
    turned = Rotation.from_rotvec((0.3, 0.2, 0.5)).as_matrix()
    block = box(0.55).transformed(bp.Similarity(1, turned, (0, 0, 0)))
    return bp.render(block, bp.Rig(INTRINSICS, RIG, SIZE, SIZE)), turned[:, 2]


@pytest.mark.parametrize("slid", [1.0, 3.0])
def test_views_that_slid_along_what_they_share_come_back_by_their_outlines(prism, slid):
    views, up = prism
    poses = views.rig.world_from_camera.copy()
    above = poses[:, :3, 3] @ up > 0
    poses[above, :3, 3] += slid * 10 * TENTH_PIXEL * up
    wrong = replace(views, rig=replace(views.rig, world_from_camera=poses))
    assert pixels_off(wrong, views).max() > 0.4 * slid
    found = refine_poses(wrong)
    left = pixels_off(found.apply(wrong), views)
    assert left.max() < 0.2  # a pixel is seen past or not
    assert (left < 2 * found.errors).all()
    assert found.told.all()


def test_only_motions_of_views_against_each_other_are_open(prism, views):
    scene = Scene.of(prism[0])
    found = equations(scene, State(prism[0].rig.world_from_camera), scene.footprint)
    motions = open_motions(scene, found)
    assert len(motions) >= 3  # along each axis of the box
    np.testing.assert_allclose(
        motions[:, :-5].reshape(len(motions), -1, 6).sum(axis=1), 0, atol=1e-9
    )
    assert not motions[:, -5:].any()
    held = Scene.of(views)
    assert not len(open_motions(held, equations(held, State(RIG), held.footprint)))


def test_equations_are_those_of_the_gaps_under_tukeys_weights(prism):
    """Derivatives of the gaps are differences of gaps; but for how a focal length or an offset
    turns the planes they are measured to, which small gaps hardly show.
    """
    rng = np.random.default_rng(0)
    scene = Scene.of(prism[0], samples=40)
    gate = 4 * scene.footprint
    twists = 0.03 * scene.footprint * rng.normal(size=(len(RIG), 6))
    shared = [2e-4, -3e-4, 0, 0.02, -0.01]
    off = State(RIG).moved(np.concatenate([twists.ravel(), shared]), scene.middle)
    found = equations(scene, off, gate)
    weights = (1 - (found.gaps / gate) ** 2) ** 2
    assert found.energy.sum() == pytest.approx(np.nansum(weights * found.gaps**2))

    def gaps_after(unknown, change):
        step = np.zeros(found.square.shape[0])
        step[unknown] = change
        return equations(scene, off.moved(step, scene.middle), gate).gaps

    for unknown in (0, 8, 64, *range(119, 125)):
        change = 1e-6
        slopes = (gaps_after(unknown, change) - gaps_after(unknown, -change)) / (2 * change)
        both = np.isfinite(slopes) & np.isfinite(found.gaps)
        assert found.rights.sum(axis=0)[unknown] == pytest.approx(
            (weights * found.gaps * slopes)[both].sum(), rel=0.02
        )
        assert found.square[unknown, unknown] == pytest.approx(
            (weights * slopes**2)[both].sum(), rel=0.02
        )


def test_two_views_that_slide_along_each_other_are_left_alone(ball):
    two = ball.subset([0, 1])
    found = refine_poses(two)
    assert not found.told.any()
    assert found.apply(two) is two


def test_views_are_not_flattened_to_nothing_to_make_them_agree(ball):
    """Distance along rays, taken for planar, and views that are off: shorter and shorter focal
    lengths bring a ball's views together.
    """
    wrong = shaken(ball, degrees=2, share=0.02)
    tried = try_numbers_with(Reading(depth="along the ray"), wrong)
    flattened = tried.mend and tried.mend(wrong).rig.intrinsics[0, 0, 0]
    assert flattened is None or flattened > 0.5 * INTRINSICS[0, 0, 0]
    found = find_numbers(wrong, free=("focal", "scale", "offset"))
    assert 0.5 < found.focal < 2


def test_the_turn_of_a_ball_cannot_be_told(ball):
    found = refine_poses(shaken(ball, degrees=2, share=0))
    assert not found.told.any()
    assert found.agrees
    assert find_numbers(zoomed(ball, 1.1)).focal * 1.1 == pytest.approx(1, abs=FOCAL_ERROR)


def test_plain_python_does_what_is_compiled(views, monkeypatch):
    few = views.subset([0, 1, 2, 14])
    scene = Scene.of(few, samples=5)
    state = State(few.rig.world_from_camera)
    compiled = equations(scene, state, 0.1)
    monkeypatch.setattr(
        "backproject.checking.adjustment.pair_equations", kernels.pair_equations.py_func
    )
    plain = equations(scene, state, 0.1)
    np.testing.assert_allclose(plain.square, compiled.square, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(np.isnan(plain.gaps), np.isnan(compiled.gaps))


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_tells_of_what_it_is_said_to_be_about(views, kind):
    """What is told already is not tried again: a row more would never be asked for."""
    rows = KINDS[kind](views, silent).rows
    assert rows
    assert {row.hypothesis for row in rows} <= ABOUT[kind]
