"""What the benchmarks make and reckon themselves: imperfect views, shapes, scans, and ratios."""

import numpy as np
import pytest
from benchmarks import imperfect, results, solids

import backproject as bp

RIG = bp.Rig.dodecahedron(size=64)
TRUTH = solids.torus()
VIEWS = bp.render(TRUTH, RIG)
HIT = VIEWS.silhouettes
ODD = imperfect.ODD_VIEW
DEPTH_ERROR = 2.0 * 2.0**-24
"""How far rounding to float32 moves a depth of at most 2."""


@pytest.mark.parametrize("maker", imperfect.MAKERS.values(), ids=imperfect.MAKERS)
def test_a_seed_gives_the_same_views_and_leaves_the_exact_ones_alone(maker):
    before = VIEWS.depth.copy()
    first, second = maker(TRUTH, VIEWS, 5), maker(TRUTH, VIEWS, 5)
    assert np.array_equal(first.depth, second.depth)
    assert np.array_equal(VIEWS.depth, before)


@pytest.mark.parametrize("maker", [imperfect.gaussian, imperfect.flying])
def test_another_seed_gives_other_noise(maker):
    assert not np.array_equal(maker(TRUTH, VIEWS, 0).depth, maker(TRUTH, VIEWS, 1).depth)


@pytest.mark.parametrize("maker", [imperfect.quantised, imperfect.gaussian, imperfect.flying])
def test_noise_keeps_the_silhouettes(maker):
    assert np.array_equal(maker(TRUTH, VIEWS, 0).silhouettes, HIT)


def test_eight_bits_are_steps_of_a_255th_that_stay_when_taken_again():
    once = imperfect.quantised(TRUTH, VIEWS, 0)
    steps = 255 * (imperfect.FAR - once.depth[HIT].astype(float))
    assert np.abs(steps - steps.round()).max() < 255 * DEPTH_ERROR
    assert np.abs(once.depth[HIT] - VIEWS.depth[HIT]).max() <= 0.5 / 255 + 2 * DEPTH_ERROR
    assert np.array_equal(imperfect.quantised(TRUTH, once, 0).depth, once.depth)


def test_gaussian_noise_is_half_a_footprint():
    noise = imperfect.gaussian(TRUTH, VIEWS, 0).depth[HIT] - VIEWS.depth[HIT]
    share = noise * RIG.intrinsics[0, 0, 0] / VIEWS.depth[HIT]
    # standard errors of a normal sample's mean and deviation; five of them
    slack = 5 * 0.5 / np.sqrt(HIT.sum())
    assert share.mean() == pytest.approx(0, abs=slack)
    assert share.std() == pytest.approx(0.5, abs=slack)


def test_two_percent_fly_within_the_window_and_the_others_stay():
    depth = imperfect.flying(TRUTH, VIEWS, 0).depth
    moved = (depth != VIEWS.depth) & HIT
    share = imperfect.FLYING
    slack = 5 * np.sqrt(share * (1 - share) / HIT.sum())  # five standard deviations of a share
    assert moved.sum() / HIT.sum() == pytest.approx(share, abs=slack)
    assert depth[moved].min() >= imperfect.NEAR
    assert depth[moved].max() <= imperfect.FAR


def test_a_smoothed_image_mixes_edges_and_keeps_flat_surface():
    plate = bp.Mesh(
        np.array([(-0.4, -0.4, 0), (0.4, -0.4, 0), (0.4, 0.4, 0), (-0.4, 0.4, 0.0)]),
        np.array([(0, 1, 2), (0, 2, 3)]),
    )
    rig = bp.Rig.looking_at([(0, 0, 1.5)], size=41)
    exact = bp.render(plate, rig)
    smooth = imperfect.antialiased(plate, exact, 0)
    hit, mixed = exact.silhouettes, smooth.depth > 1.5 + DEPTH_ERROR
    assert (smooth.silhouettes >= hit).all()
    edge = smooth.silhouettes & mixed
    assert edge.any()
    assert smooth.depth[edge].max() < imperfect.FAR
    assert smooth.depth[smooth.silhouettes & ~mixed] == pytest.approx(1.5, abs=DEPTH_ERROR)
    # the share of background, summed over the edge, is the area that the plate does not cover
    free = ((smooth.depth[smooth.silhouettes] - 1.5) / (imperfect.FAR - 1.5)).sum()
    side = 0.8 / 1.5 * rig.intrinsics[0, 0, 0]
    # rays stand for a quarter of a pixel's side: half of that is off at most, at either end
    assert smooth.silhouettes.sum() - free == pytest.approx(side**2, abs=side / 2 + 1 / 16)


def test_one_view_is_missing_and_the_others_are_as_they_were():
    left = imperfect.one_missing(TRUTH, VIEWS, 0)
    others = np.delete(np.arange(20), ODD)
    assert np.array_equal(left.depth, VIEWS.depth[others])
    assert np.array_equal(left.rig.world_from_camera, RIG.world_from_camera[others])


@pytest.mark.parametrize("maker", [imperfect.one_turned, imperfect.one_orbited])
def test_one_pose_is_off_by_a_degree(maker):
    poses = maker(TRUTH, VIEWS, 0).rig.world_from_camera
    others = np.delete(np.arange(20), ODD)
    assert np.array_equal(poses[others], RIG.world_from_camera[others])
    turn = poses[ODD, :3, :3].T @ RIG.world_from_camera[ODD, :3, :3]
    assert np.degrees(np.arccos((np.trace(turn) - 1) / 2)) == pytest.approx(1)


def test_a_turned_camera_stands_where_it_stood_and_an_orbiting_one_looks_where_it_looked():
    turned = imperfect.one_turned(TRUTH, VIEWS, 0).rig[ODD]
    assert np.array_equal(turned.center_world, RIG[ODD].center_world)
    orbited = imperfect.one_orbited(TRUTH, VIEWS, 0).rig[ODD]
    middle = np.zeros(3)
    assert orbited.project(middle)[0] == pytest.approx(RIG[ODD].project(middle)[0])
    way = np.linalg.norm(orbited.center_world - RIG[ODD].center_world)
    assert way == pytest.approx(2 * 1.5 * np.sin(np.radians(0.5)))


def volume(mesh):
    """Return the volume within a closed mesh, by the divergence theorem."""
    return np.linalg.det(mesh.triangles).sum() / 6


# Volumes of the exact solids; polygons of so many sides and steps lie inside circles by less than
# (step / radius)^2 / 8 of the radius, and a volume takes that up to three times.
EXACT = {
    "sphere": 4 / 3 * np.pi * 0.5**3,
    "torus": 2 * np.pi**2 * 0.35 * 0.15**2,
    "cylinder": np.pi * 0.35**2 * 0.7,
}


@pytest.mark.parametrize("name", solids.SOLIDS)
def test_solids_are_closed_face_outward_and_have_their_volume(name):
    mesh = solids.SOLIDS[name]()
    assert mesh.is_watertight
    step = max(solids.STEP / 0.15, 2 * np.pi / 256)
    assert volume(mesh) == pytest.approx(EXACT[name], rel=3 * step**2 / 8)


@pytest.mark.parametrize("name", ["bowl", "cup"])
def test_a_cavity_is_what_its_shape_leaves_open(name):
    cavity = solids.CAVITIES[name]()
    assert cavity.shape.is_watertight
    assert cavity.space.is_watertight
    assert volume(cavity.space) > 0
    assert solids.filled(cavity.shape, cavity.space) == 0
    assert solids.filled(cavity.space, cavity.space) == 1
    assert solids.filled(cavity.shape, cavity.shape) == 1


def test_a_scan_lacks_balls_of_its_base_alone():
    whole = bp.normalize(solids.cylinder()).mesh
    scan = solids.pierced(whole, seed=0)
    lost = whole.face_areas.sum() - scan.face_areas.sum()
    # three balls about points of a surface that bends by at most a right angle within each
    highest = max(solids.HOLE_RADII)
    assert 0 < lost < solids.HOLES * 2 * np.pi * (highest + solids.STEP) ** 2
    # the parts of whole faces above the balls are all there
    above = whole.vertices[:, 1].min() + solids.BASE + highest
    there = scan.face_areas[scan.triangles[:, :, 1].mean(axis=1) > above].sum()
    rounding = 1e-9
    assert there >= whole.face_areas[whole.triangles[:, :, 1].min(axis=1) > above].sum() - rounding
    assert np.array_equal(scan.faces, solids.pierced(whole, seed=0).faces)
    assert len(scan.faces) != len(solids.pierced(whole, seed=1).faces)


def row(name, **methods):
    """Return a row of results: for each method its mean error, seconds and F-score."""
    return {
        "mesh": name,
        "methods": {
            method: {
                "seconds": seconds,
                "busy": seconds,
                "scores": {
                    "chamfer": chamfer,
                    "f_score": {"0.001": f},
                    "signed_bias": -chamfer / 4,
                },
            }
            for method, (chamfer, seconds, f) in methods.items()
        },
    }


def test_ratios_are_taken_mesh_by_mesh_and_to_the_best_peer_of_each():
    rows = [
        row("a", backproject=(1.0, 1.0, 0.9), open3d=(4.0, 2.0, 0.8), poisson=(2.0, 8.0, 0.95)),
        row("b", backproject=(1.0, 1.0, 0.9), open3d=(8.0, 8.0, 0.8), poisson=(16.0, 2.0, 0.7)),
    ]
    _, head, body = results.ratio_table(rows)
    assert head == ["ours over", "open3d", "poisson", results.BEST_PEER]
    assert [line[1:] for line in body] == [
        ["0.177 (0.12 to 0.25)", "0.177 (0.06 to 0.50)", "0.250 (0.12 to 0.50)"],
        ["0.250 (0.12 to 0.50)", "0.250 (0.12 to 0.50)", "0.500 (0.50 to 0.50)"],
        ["0.250 (0.12 to 0.50)", "0.250 (0.12 to 0.50)", "0.500 (0.50 to 0.50)"],
        ["2 of 2", "1 of 2", "1 of 2"],
    ]


def test_a_mesh_that_a_peer_failed_on_counts_for_the_others_alone():
    rows = [
        row("a", backproject=(1.0, 1.0, 0.9), open3d=(4.0, 2.0, 0.8)),
        row("b", backproject=(1.0, 1.0, 0.9), open3d=(9.0, 2.0, 0.8)),
    ]
    rows[1]["methods"]["open3d"] = {"error": "MemoryError"}
    _, _, body = results.ratio_table(rows)
    assert body[0][1] == "0.250 (0.25 to 0.25)"
    assert body[-1][1] == "1 of 1"


def test_bias_is_a_share_of_the_mean_error_whatever_its_sign():
    assert (
        results.bias_share(row("a", backproject=(8.0, 1.0, 0.9))["methods"]["backproject"]) == 0.25
    )


def test_the_geometric_mean_of_inverse_ratios_is_the_inverse():
    ratios = [0.1, 0.7, 3.0]
    inverse = results.geometric_mean(1 / ratio for ratio in ratios)
    assert results.geometric_mean(ratios) * inverse == pytest.approx(1)
