"""Anti-aliased silhouettes: what is in mid-air goes, and what was drawn sharply stays."""

import numpy as np
import pytest
from shapes import box, joined, sphere_views

import backproject as bp
from backproject.io.mixed import STEEP, in_mid_air, without_mixed
from backproject.io.rings import ALL, NEARLY_ALL

SIZE, FINER = 112, 4
RIG = bp.Rig.dodecahedron(size=SIZE)
FINE = bp.Rig.dodecahedron(size=SIZE * FINER)
FOOTPRINT = 1.5 / RIG.intrinsics[0, 0, 0]


def slats():
    """A seat, a back of four slats and four legs: thin parts before others, and many edges."""
    parts = [(0.5, 0.05, 0.5, 0, 0, 0)]
    parts += [(0.05, 0.35, 0.04, x, 0.2, -0.2) for x in (-0.2, -0.07, 0.07, 0.2)]
    parts += [(0.06, 0.35, 0.06, x, -0.2, z) for x in (-0.2, 0.2) for z in (-0.2, 0.2)]
    meshes = []
    for *size, x, y, z in parts:
        cube = box()
        meshes.append(bp.Mesh(cube.vertices * size + (x, y, z), cube.faces))
    return joined(*meshes)


def eight_bits(depth):
    """Depth as the paper stores it, and comes back: z = 2 - I / 255, 0 background."""
    stored = np.rint(255 * (2 - np.where(np.isfinite(depth), depth, 2)))
    return np.where(stored > 0, 2 - stored / 255, np.inf).astype(np.float32)


def averaged(depth):
    """What a renderer does that averages finer pixels of the stored numbers."""
    white = np.where(np.isfinite(depth), 2 - depth, 0)
    blocks = white.reshape(len(depth), SIZE, FINER, SIZE, FINER)
    return eight_bits(2 - blocks.mean(axis=(2, 4)))


SHAPES = {
    "slats": lambda rig: bp.render(slats(), rig),
    "ball": lambda rig: sphere_views(0.4, rig),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_sharp_silhouettes_lose_nothing(shape):
    exact = eight_bits(SHAPES[shape](RIG).depth)
    kept, told = without_mixed(exact, RIG)
    assert kept is exact
    assert told.taken == "as they are: nothing dropped"


@pytest.mark.parametrize("shape", SHAPES)
def test_mixtures_go_and_the_rest_stays(shape):
    true = SHAPES[shape](FINE).depth.reshape(20, SIZE, FINER, SIZE, FINER)
    nearest, farthest = true.min(axis=(2, 4)), true.max(axis=(2, 4))
    mixed = averaged(SHAPES[shape](FINE).depth)
    kept, told = without_mixed(mixed, RIG)
    assert told.taken.startswith("anti-aliased")
    np.testing.assert_array_equal(kept[np.isfinite(kept)], mixed[np.isfinite(kept)])
    # A pixel of one smooth surface spans little depth; one that holds a jump is off by more than a
    # steep step from all that is in it, unless nearly all of it is on one side of the jump.
    steep = STEEP * FOOTPRINT
    known = np.isfinite(mixed)  # what rounds to background is no surface
    with np.errstate(invalid="ignore"):
        in_air = known & (mixed - nearest > steep) & (farthest - mixed > steep)
        flat = known & (farthest - nearest < FOOTPRINT)
    left = in_air & np.isfinite(kept)
    assert left.sum() < 0.15 * in_air.sum()
    # What shows for a pixel's width between one surface before it and one behind looks the same.
    assert (flat & np.isnan(kept)).sum() < 5e-3 * flat.sum()


def test_fewer_points_float_and_the_mesh_comes_nearer():
    truth = slats()
    before = bp.ViewSet(averaged(SHAPES["slats"](FINE).depth), RIG, step=1 / 255)
    after = bp.ViewSet(without_mixed(before.depth, RIG)[0], RIG, step=1 / 255)

    def floating(views):
        import igl

        points = bp.backproject(views).points
        squared = igl.point_mesh_squared_distance(
            points, truth.vertices, truth.faces.astype(np.int64)
        )[0]
        return int((squared > (STEEP * FOOTPRINT) ** 2).sum())

    assert floating(after) < 0.1 * floating(before)
    errors = [bp.compare(bp.fuse(v, resolution=96), truth).chamfer for v in (before, after)]
    assert errors[1] < errors[0]


def test_noise_is_no_anti_aliasing():
    depth = np.random.default_rng(0).uniform(1, 2, (20, SIZE, SIZE)).astype(np.float32)
    depth[:, ::7] = np.inf
    kept, _ = without_mixed(depth, RIG)
    assert kept is depth


def test_nothing_but_silhouettes_gives_no_verdict():
    depth = np.full((1, 9, 9), np.inf, np.float32)
    depth[0, 4] = 1.0
    for each in (depth, np.full_like(depth, np.inf)):
        kept, _ = without_mixed(each, bp.Rig.looking_at([(0, 0, 2)], size=9))
        assert kept is each


def test_a_step_between_two_surfaces_is_a_jump_too():
    near, far = 1.0, 2.0
    row = np.array([near, near, 1.5, far, far], np.float32)
    depth = np.repeat(row[None], 5, axis=0)
    np.testing.assert_array_equal(in_mid_air(depth, 100.0), np.repeat(row[None] == 1.5, 5, axis=0))
    slope = np.linspace(1, 1.2, 5, dtype=np.float32)[None].repeat(5, axis=0)
    assert not in_mid_air(slope, 100.0).any()  # 0.05 a pixel, and steep is 0.1


def test_thresholds_are_in_order():
    assert NEARLY_ALL < ALL
