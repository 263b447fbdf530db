"""What one view says about a point, held against planes, and the plain kernels against the
compiled ones.
"""

import itertools
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from scipy import ndimage
from shapes import rays

import backproject as bp
from backproject.fusion.evidence import Evidence
from backproject.kernels import carving
from backproject.kernels.field import clearance

PLACE = {"target": (0.1, 0.1, 0.0), "size": (24, 16)}
RIG = bp.Rig.looking_at([(0.3, -0.4, 2.0)], **PLACE, fov_deg=50.0)
FLAT = bp.Rig.looking_at([(0.3, -0.4, 2.0)], **PLACE, extent=1.9)
CAMERA = RIG[0]


def evidence(depth, rig=RIG):
    return Evidence.of(bp.ViewSet(np.asarray(depth)[None], rig), threads=1)


def ask(known, points, kernel=clearance):
    return np.array(
        [
            kernel(known.inverse_depth, 0, known.cameras[0], *point, known.steepest)
            for point in points
        ]
    )


def plane_depth(normal, offset, rig=RIG):
    """Return the depth of the plane normal . x = offset."""
    origin, ray = next(rays(rig))
    return (offset - origin @ normal) / (ray @ normal)


def random_points(count, nearest=0.5, farthest=4.0, seed=0, camera=CAMERA):
    """Return world points in view and their depths."""
    rng = np.random.default_rng(seed)
    pixels = rng.uniform((0, 0), (24, 16), (count, 2))
    depth = rng.uniform(nearest, farthest, count)
    return camera.unproject(pixels, depth), pixels, depth


@pytest.mark.parametrize("rig", [RIG, FLAT], ids=["pinhole", "orthographic"])
@pytest.mark.parametrize("tilt", [(0, 0, 1), (0.3, -0.2, 1), (-0.4, 0.3, 1)])
def test_clearance_is_the_signed_distance_to_a_tilted_plane(tilt, rig):
    # At the image's very border too, where the outermost pixels are continued: half a pixel.
    normal = np.array(tilt) / np.linalg.norm(tilt)
    depth = plane_depth(normal, 0.05, rig)
    assert (depth > 0).all()
    points, pixels, _ = random_points(2000, camera=rig[0])
    expected = points @ normal - 0.05  # positive on the camera's side
    answer = ask(evidence(depth, rig), points)
    # Behind all four pixels a view may say no more than that. (At the border it may say so before
    # the continued plane as well: that carves less, not more.)
    behind = np.isneginf(answer)
    among_four = ((pixels > 0.5) & (pixels < (23.5, 15.5))).all(axis=1)
    assert (expected[behind & among_four] < 0).all()
    # float32 inverse depth is 3e-8 off, and so is each slope times the focal length of 17 pixels.
    np.testing.assert_allclose(answer[~behind], expected[~behind], atol=5e-6)
    near = ~behind & (np.abs(expected) < 0.05)
    assert near.sum() > 10
    np.testing.assert_allclose(answer[near], expected[near], atol=1e-6)
    assert (expected[near] < 0).any()


def test_all_before_background_is_free():
    points, _, _ = random_points(50)
    assert (ask(evidence(np.full((16, 24), np.inf)), points) == np.inf).all()


def test_nothing_is_free_where_nothing_was_measured():
    points, _, _ = random_points(50)
    assert (ask(evidence(np.full((16, 24), np.nan)), points) < 0).all()


def test_one_unmeasured_pixel_of_four_silences_them_all():
    depth = np.full((16, 24), np.inf)
    depth[8, 12] = np.nan
    points, pixels, _ = random_points(3000)
    near = (np.abs(pixels - (12.5, 8.5)) < 1).all(axis=1)
    answer = ask(evidence(depth), points)
    assert near.sum() > 10
    assert (answer[near] < 0).all()
    assert (answer[~near] == np.inf).all()


@pytest.mark.parametrize("rig", [RIG, FLAT], ids=["pinhole", "orthographic"])
def test_nothing_is_known_outside_the_image_or_behind_the_camera(rig):
    known, camera = evidence(np.full((16, 24), np.inf), rig), rig[0]
    outside = [(-0.01, 8), (24.01, 8), (12, -0.01), (12, 16.01)]
    inside = [(0.01, 8), (23.99, 8), (12, 0.01), (12, 15.99)]
    assert (ask(known, [camera.unproject(p, 2.0) for p in outside]) == -np.inf).all()
    assert (ask(known, [camera.unproject(p, 2.0) for p in inside]) == np.inf).all()
    assert (ask(known, [camera.unproject((12, 8), z) for z in (-1.0, 0.0)]) == -np.inf).all()


@pytest.mark.parametrize("rig", [RIG, FLAT], ids=["pinhole", "orthographic"])
@pytest.mark.parametrize("behind", [3.0, np.inf])
def test_across_a_jump_only_what_lies_before_the_nearest_is_free(behind, rig):
    depth = np.full((16, 24), 1.0)
    depth[:, 12:] = behind
    points, pixels, z = random_points(2000, 0.5, 2.9, camera=rig[0])
    across = (pixels[:, 0] > 11.5) & (pixels[:, 0] < 12.5)
    assert across.sum() > 20
    free = ask(evidence(depth, rig), points) > 0
    np.testing.assert_array_equal(free[across], z[across] < 1)
    far = pixels[:, 0] > 12.5
    assert free[far].all()


def asked(state):
    """Return which corners of a block (512,) are surely looked at, part by part."""
    result = np.zeros((8, 8, 8), bool)
    cube = state.reshape(8, 8, 8)
    for part in itertools.product((slice(0, 4), slice(4, 8)), repeat=3):
        pieces, count = ndimage.label(cube[part] != 3)
        for piece in range(1, count + 1):
            corners = np.argwhere(pieces == piece)
            kinds = cube[part][tuple(corners.T)]
            chosen = corners
            if (kinds == kinds[0]).all():
                signs = np.array(list(itertools.product((-1, 1), repeat=3)))
                chosen = corners[(signs @ corners.T).argmin(axis=1)]
            result[part][tuple(chosen.T)] = True
    return result.ravel()


@pytest.mark.parametrize("extent", [None, 1.2])
def test_a_fused_block_is_judged_as_its_corners_are_one_by_one(extent):
    # A part of a block may be called free or hidden at once; every corner must agree with all
    # views, except within connected corners whose outermost in eight directions do.
    from backproject.fusion.evidence import sample
    from backproject.fusion.solid import CLEARANCE, carve
    from backproject.progress import silent

    rig = bp.Rig.fibonacci(5, size=24, extent=extent)
    depth = np.random.default_rng(0).uniform(1.2, 1.8, (5, 24, 24))
    depth[np.random.default_rng(1).random(depth.shape) < 0.5] = np.inf
    depth[:, 5:12, 5:12] = 1.4
    views = bp.ViewSet(depth, rig)
    known = Evidence.of(views, threads=1)
    samples = sample(views, known, noise=None, threads=1)
    solid = carve(known, samples, resolution=24, threads=1, progress=silent)
    low, high = samples.points.min(axis=0), samples.points.max(axis=0)
    checked = 0
    for block, state in zip(solid.blocks, solid.state, strict=True):
        inner = np.indices((8, 8, 8)).reshape(3, -1).T
        places = solid.origin + solid.voxel * (block * 8 + inner)
        for place, corner, skipped in zip(places, state, ~asked(state), strict=True):
            if corner == 3 or skipped:
                continue
            best = max(
                clearance(known.inverse_depth, k, known.cameras[k], *place, known.steepest)
                for k in range(5)
            )
            if ((place < low - 2 * solid.voxel) | (place > high + 2 * solid.voxel)).any():
                assert corner == 0
            elif ((place > low) & (place < high)).all():
                assert corner == (0 if best > CLEARANCE * solid.voxel else 1)
                checked += 1
    assert checked > 1000


def is_free(known, point, margin):
    """Return whether any view sees past a point by more than a margin."""
    everyone = np.arange(len(known.cameras))
    return carving.is_free(
        known.inverse_depth, known.cameras, known.steepest, *point, margin, everyone, len(everyone)
    )


@pytest.mark.parametrize("extent", [None, 1.2])
@pytest.mark.parametrize("depth", [1.4, np.inf])
def test_points_are_judged_together_as_they_are_alone(depth, extent):
    # Some before, some behind, some outside of the images, some behind a camera.
    rng = np.random.default_rng(3)
    depths = np.where(rng.random((5, 9, 12)) < 0.8, rng.uniform(1.2, 1.7, (5, 9, 12)), depth)
    depths[:, 3:6, 2:7] = 1.45
    depths[1:, 7] = np.nan
    rig = bp.Rig.fibonacci(5, size=(12, 9), extent=extent)
    known = Evidence.of(bp.ViewSet(depths, rig), threads=1)
    seen = 0
    for spread in (0.3, 1.0, 2.5):
        for _ in range(30):
            points = rng.normal(0, spread, (carving.LANES, 3))
            asked = np.zeros(carving.ROWS)
            asked[: 3 * carving.LANES] = points.T.ravel()
            everyone = np.arange(5)
            count = carving.ask(
                asked, known.inverse_depth, known.cameras, known.steepest, 0.03, everyone, 5
            )
            alone = [is_free(known, point, 0.03) for point in points]
            np.testing.assert_array_equal(asked[carving.FREED :][: carving.LANES], alone)
            assert count == sum(alone)
            seen += count
    assert 100 < seen < 90 * carving.LANES - 100


@pytest.mark.parametrize("extent", [None, 0.5])
@pytest.mark.parametrize("size", [(9, 13), (13, 9), (9, 9), (5, 6), (12, 8)], ids=str)
def test_a_ball_is_skipped_or_freed_at_once_only_if_all_its_points_agree(size, extent):
    # At the right and bottom border too: there one column may begin a tile of its own. Depths are
    # flat or jump, so that a margin along the ray is one across the surface.
    width, height = size
    rng = np.random.default_rng(width)
    rig = bp.Rig.looking_at([(0.3, -0.4, 2.0)], size=size, fov_deg=50.0, extent=extent)
    skipped = freed = 0
    for _ in range(60):
        depth = np.full((height, width), rng.choice([0.8, 2.0, np.inf]))
        depth[:, -1] = rng.choice([0.8, 2.0, np.inf])
        depth[-1] = rng.choice([0.8, 2.0, np.inf])
        known = evidence(depth, rig)
        for _ in range(40):
            pixels = rng.uniform((width - 3, height - 3), (width, height), (carving.LANES, 2))
            centers = rig[0].unproject(pixels, rng.uniform(0.5, 2.8, carving.LANES))
            radius = rng.uniform(0.01, 0.15)
            asked = np.zeros(carving.ROWS)
            asked[: 3 * carving.LANES] = centers.T.ravel()
            chosen, counts = (
                np.empty((carving.LANES, 2), np.int64),
                np.empty(carving.LANES, np.int64),
            )
            carving.judges(
                asked, radius, known.inverse_depth, known.tiles, known.cameras, 0.02, chosen, counts
            )
            directions = rng.normal(size=(24, 3))
            directions /= np.linalg.norm(directions, axis=1, keepdims=True)
            inner = radius * directions * rng.random((24, 1)) ** (1 / 3)
            for center, count in zip(centers, counts, strict=True):
                free = [is_free(known, center + point, 0.02) for point in inner]
                if count == 0:
                    assert not any(free)
                    skipped += 1
                elif count < 0:
                    assert all(free)
                    freed += 1
    assert skipped > 20
    assert freed > 20


def test_compiled_and_plain_clearance_agree():
    depth = plane_depth(np.array([0.2, 0.1, 1.0]), 0.0)
    depth[4:7, 5:9] = np.nan
    depth[9:, 12:] = np.inf
    points, _, _ = random_points(300)
    known = evidence(depth)
    # Fused multiply-adds: the last digit of a difference of nearly equal numbers.
    np.testing.assert_allclose(
        ask(known, points), ask(known, points, clearance.py_func), rtol=1e-12, atol=1e-13
    )


FUSE_TINY = """
import json, sys
import numpy as np
import backproject as bp
rig = bp.Rig.fibonacci(4, size=12)
flat = bp.Rig.fibonacci(4, size=12, extent=1.0)
mixed = np.arange(4) < int(sys.argv[2])
intrinsics = np.where(mixed[:, None, None], flat.intrinsics, rig.intrinsics)
rig = bp.Rig(intrinsics, rig.world_from_camera, 12, 12, mixed)
depth = np.load(sys.argv[1])
mesh = bp.fuse(bp.ViewSet(depth, rig), resolution=10, threads=1)
print(json.dumps([mesh.vertices.tolist(), mesh.faces.tolist()]))
"""


@pytest.mark.parametrize("orthographic", [0, 2])
def test_compiled_and_plain_kernels_fuse_the_same_mesh(orthographic, tmp_path):
    corners = np.random.default_rng(3).uniform(-0.45, 0.45, (12, 3))
    soup = bp.Mesh(corners, np.arange(12).reshape(-1, 3))
    depth = bp.render(soup, bp.Rig.fibonacci(4, size=12)).depth
    depth[0, :3] = np.nan
    np.save(tmp_path / "depth.npy", depth)
    results = []
    for disabled in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", FUSE_TINY, str(tmp_path / "depth.npy"), str(orthographic)],
            env={**os.environ, "NUMBA_DISABLE_JIT": disabled},
            check=True,
            capture_output=True,
        )
        results.append([np.array(part) for part in json.loads(done.stdout)])
    (vertices, faces), (plain_vertices, plain_faces) = results
    assert len(faces) > 100
    # Corners are chosen alike. Positions differ by float32's rounding, 1e-7 of the up to 8 voxels
    # that samples lie from the middle of a part; a voxel is 0.1 wide.
    np.testing.assert_array_equal(faces, plain_faces)
    np.testing.assert_allclose(vertices, plain_vertices, atol=1e-7)
