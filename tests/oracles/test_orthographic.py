"""Orthographic views against spheres and boxes, alone and beside pinholes, in every stage."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from shapes import box, cast, off_sphere, rays, sphere, sphere_views

import backproject as bp
from backproject.metrics.visibility import seen_by, shown_by

EXTENT, SIZE = 1.1, 96
FOOTPRINT = EXTENT / SIZE
RIG = bp.Rig.dodecahedron(size=SIZE, extent=EXTENT)
TURN = Rotation.from_euler("xyz", (20, 35, 50), degrees=True).as_matrix()
MOTION = bp.Similarity(250.0, TURN, np.array([9e3, -7e3, 1e3]))


def mixed(rig, chosen):
    """Return the rig with the `chosen` views of pinholes that stand where they stood."""
    pinholes = bp.Rig.looking_at(rig.centers_world, size=(rig.width, rig.height))
    flat = ~np.asarray(chosen)
    intrinsics = np.where(flat[:, None, None], rig.intrinsics, pinholes.intrinsics)
    return replace(rig, intrinsics=intrinsics, orthographic=flat)


def slid(views, ways):
    """Return the views by cameras so far (N,) farther back along their axes."""
    poses = views.rig.world_from_camera.copy()
    poses[:, :3, 3] -= ways[:, None] * poses[:, :3, 2]
    depth = views.depth + ways[:, None, None].astype(np.float32)
    return replace(views, depth=depth, rig=replace(views.rig, world_from_camera=poses))


def noisy(views, sigma):
    noise = np.random.default_rng(5).normal(0, sigma, views.depth.shape)
    return replace(views, depth=(views.depth + noise).astype(np.float32))


# --- the cloud


def test_points_lie_on_the_sphere_and_normals_along_its_radii():
    cloud = bp.backproject(sphere_views(0.4, RIG))
    np.testing.assert_allclose(np.linalg.norm(cloud.points, axis=1), 0.4, atol=3e-7)
    known = np.isfinite(cloud.normals[:, 0])
    assert known.mean() > 0.98
    cosine = (cloud.normals[known] * cloud.points[known]).sum(axis=1) / 0.4
    assert cosine.min() > 0  # to the camera
    # Half a pixel's slope is missed where the surface turns away: some degrees at the rim alone.
    assert np.median(cosine) > 1 - 1e-5


def test_normals_of_planes_are_exact():
    solid = box(0.5).transformed(bp.Similarity(rotation=TURN))
    cloud = bp.backproject(cast(solid, RIG))
    known = np.isfinite(cloud.normals[:, 0])
    along = np.abs(cloud.normals[known] @ TURN)
    # float32 depths of 1.5, 6e-8 each, over a pixel's footprint, in two axes
    assert np.median(1 - along.max(axis=1)) < (4 * 1.5 * 6e-8 / FOOTPRINT) ** 2
    assert (along.max(axis=1) > 0.999).mean() > 0.97


def test_true_points_are_confirmed_by_the_other_views_and_stray_ones_are_not():
    views = sphere_views(0.4, mixed(RIG, np.arange(20) % 2 == 0))
    assert len(bp.backproject(views, consistent=True)) == len(bp.backproject(views))
    near = views.depth.copy()
    near[3, 40:50, 40:50] -= 6 * FOOTPRINT  # in the free space of those that look from the side
    left = bp.backproject(replace(views, depth=near), consistent=True)
    radius = np.linalg.norm(left.points[left.view_index == 3], axis=1)
    assert radius.max() < 0.4 + 2 * FOOTPRINT


# --- fusion


@pytest.mark.parametrize("pinholes", [0, 10], ids=["all", "mixed"])
def test_a_sphere_comes_back_within_a_thousandth_of_a_pixel(pinholes):
    rig = mixed(RIG, np.arange(20) < pinholes) if pinholes else RIG
    mesh = bp.fuse(sphere_views(0.4, rig), resolution=64)
    off, outward, either, chord = off_sphere(mesh, 0.4)
    assert mesh.is_watertight
    assert (mesh.support > 0).all()
    assert abs(outward) < 0.05 * chord
    assert either < 0.35 * chord < 2e-3 * FOOTPRINT
    assert np.abs(off).max() < 1e-2 * FOOTPRINT


def test_a_box_has_flat_faces_and_sharp_edges():
    solid = box(0.5).transformed(bp.Similarity(rotation=TURN))
    mesh = bp.fuse(bp.render(solid, RIG), resolution=96)
    off = np.abs(mesh.vertices @ TURN).max(axis=1) - 0.25
    assert np.median(np.abs(off)) < 1e-6
    assert np.abs(off).max() < FOOTPRINT
    corners = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * 0.25
    gaps = np.linalg.norm((mesh.vertices @ TURN)[:, None] - corners, axis=2).min(axis=0)
    assert gaps.max() < FOOTPRINT


def test_place_turn_and_unit_change_nothing():
    views = bp.render(sphere(0.4, splits=3), mixed(RIG, np.arange(20) % 3 == 0))
    mesh = bp.fuse(views, resolution=48)
    moved = bp.fuse(views.transformed(MOTION), resolution=48)
    error = np.linalg.norm(MOTION.inverse().apply(moved.vertices), axis=1)
    radii = np.linalg.norm(mesh.vertices, axis=1)
    # The grid lies elsewhere on the shape; the surface is the same.
    assert abs(error.mean() - radii.mean()) < 1e-2 * FOOTPRINT
    assert error.max() < radii.max() + 0.02 * FOOTPRINT


def test_how_far_back_an_orthographic_camera_stands_changes_nothing():
    views = bp.render(sphere(0.4, splits=3), RIG)
    ways = np.random.default_rng(1).uniform(-1.0, 4.0, 20)
    mesh, again = (bp.fuse(each, resolution=48) for each in (views, slid(views, ways)))
    assert len(again.vertices) == pytest.approx(len(mesh.vertices), rel=0.01)
    # float32 rounds depths of up to 5.5 to 2.4e-7
    radii, others = (np.linalg.norm(each.vertices, axis=1) for each in (mesh, again))
    assert abs(radii.mean() - others.mean()) < 1e-6
    assert np.abs(np.quantile(radii, (0, 1)) - np.quantile(others, (0, 1))).max() < 1e-4


def test_a_pinhole_from_far_away_sees_the_same():
    far = 1e3
    fov = np.degrees(2 * np.arctan(EXTENT / 2 / far))
    pinholes = bp.Rig.dodecahedron(distance=far, size=SIZE, fov_deg=fov)
    meshes = [bp.fuse(sphere_views(0.4, rig), resolution=48) for rig in (RIG, pinholes)]
    # Depth of 1000 is rounded to 3e-5 there, and each ray is turned by up to 0.5 / 1000.
    for mesh in meshes:
        _, outward, either, chord = off_sphere(mesh, 0.4)
        assert either < 3e-5
        assert abs(outward) < 0.2 * chord
    assert len(meshes[1].vertices) == pytest.approx(len(meshes[0].vertices), rel=0.01)


def test_what_rays_cross_is_free_and_a_hole_goes_through():
    # A ring of a square section; views along its axis look through it.
    outer = box(0.6).vertices * (1, 1, 0.4)
    inner = outer * (0.5, 0.5, 1)
    points = np.concatenate([outer, inner])
    frame = [
        face
        for a, b in ((0, 2), (2, 6), (6, 4), (4, 0))
        for q in (
            (a, b, b + 1, a + 1), (b + 8, a + 8, a + 9, b + 9),
            (b, a, a + 8, b + 8), (a + 1, b + 1, b + 9, a + 9),
        )
        for face in ((q[0], q[1], q[2]), (q[0], q[2], q[3]))
    ]  # fmt: skip
    ring = bp.Mesh(points, np.array(frame))
    mesh = bp.fuse(bp.render(ring, RIG), resolution=64)
    assert mesh.is_watertight
    assert len(mesh.vertices) - len(mesh.faces) // 2 == 0  # one hole


def test_the_seen_part_of_half_the_views_is_the_half_they_saw():
    rig = RIG.subset(np.flatnonzero(RIG.centers_world[:, 2] > 0.2))
    mesh = bp.fuse(sphere_views(0.4, rig), resolution=48, surface="seen")
    assert np.abs(np.linalg.norm(mesh.vertices, axis=1) - 0.4).max() < FOOTPRINT
    assert mesh.vertices[:, 2].max() > 0.39
    # A camera 0.36 of its way above the plane z = 0 sees down to 0.4 sqrt(1 - 0.36^2) below it.
    assert mesh.vertices[:, 2].min() > -0.4 * np.sqrt(1 - 0.36**2)


def test_noise_is_found_and_smoothed_away():
    sigma = 0.3 * FOOTPRINT
    mesh = bp.fuse(noisy(sphere_views(0.4, RIG), sigma), resolution=64)
    error = np.linalg.norm(mesh.vertices, axis=1) - 0.4
    assert np.abs(error).mean() < 0.2 * sigma
    assert abs(error.mean()) < 0.05 * sigma


def test_noise_where_the_camera_s_plane_touches_the_object_does_no_harm():
    # Depths of next to nothing, which smoothing would move behind the camera.
    views = noisy(sphere_views(0.4, RIG), 0.3 * FOOTPRINT)
    nearest = float(views.depth.min())
    mesh = bp.fuse(slid(views, np.full(20, 1e-6 - nearest)), resolution=48)
    error = np.linalg.norm(mesh.vertices, axis=1) - 0.4
    assert np.abs(error).mean() < 0.2 * FOOTPRINT


def test_a_view_that_contradicts_the_others_is_left_out():
    views = sphere_views(0.4, RIG)
    ways = np.zeros(20)
    ways[7] = -8 * FOOTPRINT
    wrong = replace(views, depth=slid(views, ways).depth)
    with pytest.warns(bp.ContradictionWarning, match="views 7"):
        mesh = bp.fuse(wrong, resolution=48)
    error = np.linalg.norm(mesh.vertices, axis=1) - 0.4
    assert np.abs(error).max() < 0.1 * FOOTPRINT


def test_exact_views_of_a_thing_far_from_the_origin_pass_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bp.fuse(sphere_views(0.4, RIG).transformed(MOTION), resolution=32)


@pytest.mark.parametrize("stray", [1e3, 1e6, 1e10])
@pytest.mark.parametrize("kind", ["pinhole", "mixed", "orthographic"])
def test_a_pixel_with_a_depth_far_beyond_the_scene_changes_nothing_but_around_it(kind, stray):
    """The ray through it is free, and that pixel alone is a sample less."""
    pinholes = {"pinhole": True, "mixed": np.arange(20) % 2 == 0, "orthographic": False}
    rig = mixed(RIG, np.broadcast_to(pinholes[kind], 20))
    views = sphere_views(0.4, rig)
    depth = views.depth.copy()
    for k in (6, 7):  # one of either kind
        depth[k, 0, 0] = depth[k, SIZE // 2, 0] = stray
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mesh = bp.fuse(replace(views, depth=depth), resolution=48)
    assert mesh.is_watertight
    error = np.abs(np.linalg.norm(mesh.vertices, axis=1) - 0.4)
    clean = bp.fuse(views, resolution=48)
    assert len(mesh.vertices) == len(clean.vertices)
    # a 128th of a footprint is what float32 holds of the heights before the farthest
    assert error.max() < np.abs(np.linalg.norm(clean.vertices, axis=1) - 0.4).max() + FOOTPRINT / 64


# --- scores


def test_the_seen_part_of_the_truth_is_what_faces_the_views():
    rig = bp.Rig.looking_at([(0, 0, 2)], size=SIZE, extent=EXTENT)
    views = sphere_views(0.4, rig)
    points = np.random.default_rng(2).normal(size=(4000, 3))
    points *= 0.4 / np.linalg.norm(points, axis=1, keepdims=True)
    seen = seen_by(points, views)
    # Nearer to the rim the surface is turned away by more than 66 degrees, and 1.5 pixels are less
    # than depth changes by.
    rim = 0.4 * np.cos(np.radians(66))
    assert seen[points[:, 2] > rim].all()
    assert not seen[points[:, 2] < -rim].any()
    shown = shown_by(points, points / 0.4, views)
    assert shown[points[:, 2] > rim].all()
    assert not shown[points[:, 2] < 0].any()


def test_scores_ask_for_what_orthographic_views_saw():
    solid = sphere(0.4, splits=4)
    views = bp.render(solid, RIG.subset(np.array([0, 1, 5])))
    scores = bp.compare(bp.fuse(views, resolution=64), solid, views=views, samples=5000)
    assert 0.5 < scores.seen_fraction < 0.95
    assert scores.completeness < 0.1 * FOOTPRINT


def test_rays_of_an_orthographic_camera_are_parallel_and_begin_on_its_plane():
    (origin, direction), camera = next(rays(RIG)), RIG[0]
    axis = camera.world_from_camera[:3, 2]
    np.testing.assert_allclose(direction - axis, 0, atol=1e-12)
    np.testing.assert_allclose((origin - camera.center_world) @ axis, 0, atol=1e-12)
