"""What the carved hull and the fused mesh owe to more views, to missing ones, and to motions."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

import backproject as bp
from backproject.fusion.evidence import Evidence, sample
from backproject.fusion.solid import carve
from backproject.kernels.blocks import FREE, HIDDEN, INSIDE, PART, SHELL, SIDE
from backproject.kernels.field import clearance
from backproject.progress import silent

COUNT, SIZE, RESOLUTION = 8, 32, 32
RIG = bp.Rig.fibonacci(COUNT, size=SIZE)
PIXEL = 1.5 / RIG.intrinsics[0, 0, 0]
"""A pixel's footprint at the middle of the scene."""
TURN = Rotation.from_euler("xyz", (0.5, -0.3, 0.9)).as_matrix()


def soup(seed, count=8):
    """Return random triangles, through each other and open."""
    corners = np.random.default_rng(seed).uniform(-0.3, 0.3, (3 * count, 3))
    return bp.Mesh(corners, np.arange(3 * count).reshape(-1, 3))


def turned(shape):
    return bp.Mesh(np.asarray(shape.vertices) @ TURN.T, np.asarray(shape.faces))


def table():
    """Return a plate without thickness over a block: what is between them few views see."""
    plate = np.array(
        [(-0.35, -0.35, 0.1), (0.35, -0.35, 0.1), (0.35, 0.35, 0.1), (-0.35, 0.35, 0.1)]
    )
    block = trimesh.creation.box((0.25, 0.25, 0.2))
    block.apply_translation((0, 0, -0.2))
    return trimesh.util.concatenate([trimesh.Trimesh(plate, [(0, 1, 2), (0, 2, 3)]), block])


SCENES = {
    "ball": turned(trimesh.creation.icosphere(subdivisions=3, radius=0.4)),
    "box": turned(trimesh.creation.box((0.5, 0.4, 0.3))),
    "table": turned(table()),
    "soup": soup(1),
}
VIEWS = {name: bp.render(mesh, RIG) for name, mesh in SCENES.items()}
scenes = st.sampled_from(sorted(SCENES))
seeds = st.integers(0, 2**32 - 1)


def evidence(views):
    return Evidence.of(views, threads=1)


def samples_of(views):
    """Return the views' samples, whose gaps are filled as for the first number of views that asks:
    the more views there are, the wider the gaps that are left to the others.
    """
    samples = sample(views, evidence(views), noise=None, threads=1)
    filled = {}

    def between(longest, step):
        return filled.setdefault(step, samples.between(longest, step))

    return replace(samples, between=between)


def carved(views, samples=None):
    """Return the hull that the views carve around the samples; by default around their own."""
    known = evidence(views)
    samples = samples_of(views) if samples is None else samples
    return carve(known, samples, resolution=RESOLUTION, threads=1, progress=silent)


def corners(solid):
    """Return what each corner of the grid is (X, Y, Z), stored or not."""
    inside = np.repeat(np.repeat(np.repeat(solid.table == INSIDE, SIDE, 0), SIDE, 1), SIDE, 2)
    dense = np.where(inside, HIDDEN, FREE).astype(np.uint8)
    for block, state in zip(solid.blocks, solid.state, strict=True):
        x, y, z = block * SIDE
        dense[x : x + SIDE, y : y + SIDE, z : z + SIDE] = state.reshape(SIDE, SIDE, SIDE)
    return dense


def solid_corners(solid):
    return (corners(solid) & 1).astype(bool)


def clearances(views, points):
    """Return how far each point lies in the free space of each view, (N, P)."""
    known = evidence(views)
    return np.array([
        [clearance(known.inverse_depth, k, camera, *point, known.steepest) for point in points]
        for k, camera in enumerate(known.cameras)
    ])  # fmt: skip


def without(views, seed, *, most=1.0):
    """Return the views without some of their pixels: up to three patches, and of single ones up to
    a share of `most`.
    """
    random = np.random.default_rng(seed)
    gone = random.random(views.depth.shape) < most * random.random() ** 3
    for _ in range(random.integers(4)):
        view, row, column = (random.integers(size) for size in views.depth.shape)
        height, width = random.integers(1, SIZE, 2)
        gone[view, row : row + height, column : column + width] = True
    return bp.ViewSet(np.where(gone, np.nan, views.depth), views.rig)


def random_points(seed, count=100):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (count, 3))


def parts_with(marked):
    """Return which corners share a part of 4 x 4 x 4 with a marked one."""
    x, y, z = marked.shape
    parts = marked.reshape(x // PART, PART, y // PART, PART, z // PART, PART).any(axis=(1, 3, 5))
    return parts.repeat(PART, 0).repeat(PART, 1).repeat(PART, 2)


# --- nan never carves


@settings(max_examples=40)
@given(scenes, seeds)
def test_no_point_is_freer_for_a_pixel_that_was_not_measured(name, seed):
    # At any point, to any view: it stays behind what it was behind, and may lose what it saw past.
    points = np.random.default_rng(seed).uniform(-0.5, 0.5, (100, 3))
    before = clearances(VIEWS[name], points) > 0
    after = clearances(without(VIEWS[name], seed), points) > 0
    assert not (after & ~before).any()


@settings(max_examples=40)
@given(scenes, seeds)
def test_no_corner_is_freed_by_a_pixel_that_was_not_measured(name, seed):
    # The same samples on the same grid: only what the views see past is asked.
    samples = samples_of(VIEWS[name])
    before = solid_corners(carved(VIEWS[name], samples))
    after = solid_corners(carved(without(VIEWS[name], seed), samples))
    assert not (before & ~after).any()


@settings(max_examples=40)
@given(scenes, seeds)
def test_only_with_its_sample_does_a_corner_go_that_was_not_measured(name, seed):
    # Without the samples of those pixels too, on their own grid: the shell around them is all that
    # goes. Corners that hang together in a part of a block are asked as one, so beside a shell that
    # changes others may turn.
    views = without(VIEWS[name], seed, most=0.05)
    one, other = carved(VIEWS[name]), carved(views)
    assume(one.voxel == other.voxel and np.array_equal(one.origin, other.origin))
    assume(one.table.shape == other.table.shape)
    before, after = corners(one), corners(other)
    changed = (before == SHELL) != (after == SHELL)
    freed = (before & 1 == 1) & (after & 1 == 0)
    assert not (freed & ~parts_with(changed)).any()


# --- another clean view never grows the hull


@settings(max_examples=40)
@given(scenes, st.integers(1, COUNT - 1), st.permutations(range(COUNT)))
def test_another_view_only_takes_from_the_hull(name, count, order):
    # The samples are of all views: what a view adds to the shell is there before.
    views = VIEWS[name].subset(order)
    samples = samples_of(views)
    fewer = solid_corners(carved(views.subset(range(count)), samples))
    more = solid_corners(carved(views.subset(range(count + 1)), samples))
    assert not (more & ~fewer).any()


@settings(max_examples=20)
@given(scenes, seeds)
def test_a_view_of_the_background_alone_adds_no_sample_and_only_carves(name, seed):
    # From where no camera stands yet: what it sees of the scene it does not tell. It may outvote a
    # sample of what it hardly sees: a sheet edge-on.
    away = np.random.default_rng(seed).normal(size=3)
    rig = bp.Rig.looking_at([1.5 * away / np.linalg.norm(away)], size=SIZE)
    extra = bp.render(SCENES[name], rig).depth
    both = bp.Rig(
        np.concatenate([RIG.intrinsics, rig.intrinsics]),
        np.concatenate([RIG.world_from_camera, rig.world_from_camera]), SIZE, SIZE,
    )  # fmt: skip
    told = np.where(np.isinf(extra), np.inf, np.nan)
    views = bp.ViewSet(np.concatenate([VIEWS[name].depth, told]), both)
    samples = samples_of(VIEWS[name])
    assert {*map(tuple, samples_of(views).points)} <= {*map(tuple, samples.points)}
    fewer = solid_corners(carved(VIEWS[name], samples))
    more = solid_corners(carved(views, samples))
    assert not (more & ~fewer).any()


# --- the order of the views


@settings(max_examples=20)
@given(scenes, st.permutations(range(COUNT)))
def test_the_hull_is_the_same_in_any_order_of_the_views(name, order):
    one, other = carved(VIEWS[name]), carved(VIEWS[name].subset(order))
    assert one.voxel == other.voxel
    assert np.array_equal(one.origin, other.origin)
    assert np.array_equal(corners(one), corners(other))


def test_the_order_of_noisy_views_changes_nothing():
    # Twice `NOISE_SAMPLES` frontal samples and more: some of them are asked how noisy they are.
    rig = bp.Rig.fibonacci(12, size=96)
    views = bp.render(SCENES["ball"], rig)
    random = np.random.default_rng(0)
    half_footprint = 0.5 / rig.intrinsics[0, 0, 0] * np.where(views.silhouettes, views.depth, 0)
    noisy = bp.ViewSet(views.depth + half_footprint * random.normal(size=views.depth.shape), rig)
    order = random.permutation(12)
    one, other = (bp.fuse(v, resolution=64, threads=1) for v in (noisy, noisy.subset(order)))
    assert one.faces.shape == other.faces.shape
    # sums in another order, as without noise
    assert np.abs(one.vertices - other.vertices).max() < 1e-4 * PIXEL


# --- motions


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", SCENES)
def test_a_scene_moved_without_turning_gives_the_same_mesh_there(name, seed):
    # The grid begins where the samples do, so it moves along: all that is left is rounding, of
    # heights over triangles in single precision, 6e-8 of places up to eight voxels away.
    offset = np.random.default_rng(seed).uniform(-10, 10, 3)
    motion = bp.Similarity(translation=offset)
    here = bp.fuse(VIEWS[name], resolution=RESOLUTION)
    there = bp.fuse(VIEWS[name].transformed(motion), resolution=RESOLUTION)
    assert np.array_equal(here.faces, there.faces)
    assert np.array_equal(here.support, there.support)
    voxel = np.linalg.norm(np.ptp(here.vertices, axis=0)) / RESOLUTION
    assert np.abs(here.vertices + offset - there.vertices).max() < 8 * 6e-8 * 2 * voxel


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["box", "table"])
def test_a_scene_turned_at_random_comes_back_as_exact(name, seed):
    # Corners and sheets lie elsewhere in the grid: each mesh misses the truth by as much, in the
    # mean, and nowhere by more than what one cell and one pixel hold.
    random = np.random.default_rng(seed)
    motion = bp.Similarity(
        2.0, Rotation.random(random_state=seed).as_matrix(), random.uniform(-5, 5, 3)
    )
    views, truth = VIEWS[name], SCENES[name]
    here = bp.fuse(views, resolution=RESOLUTION)
    there = bp.fuse(views.transformed(motion), resolution=RESOLUTION)
    there = there.transformed(motion.inverse())
    one, other = (
        bp.compare(m, truth, views=views, samples=20_000, threads=1) for m in (here, there)
    )
    assert other.accuracy < 1.25 * one.accuracy
    assert other.completeness < 1.25 * one.completeness
    voxel = 1.0 / RESOLUTION
    assert other.hausdorff * other.truth_diameter < np.sqrt(3) * voxel + PIXEL
