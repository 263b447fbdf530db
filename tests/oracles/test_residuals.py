"""Triangles fitted to samples, against sums over all pairs in numpy and against least squares."""

import numpy as np
import pytest

from backproject.fusion.surface import DAMPING, STEPS
from backproject.kernels import bins, residuals
from backproject.kernels.samples import UNSURE

BLOCKS = 3
ORIGIN, VOXEL = np.array([-0.3, 0.2, 1.0]), 0.01
TABLE = np.arange(BLOCKS**3, dtype=np.int32).reshape(BLOCKS, BLOCKS, BLOCKS)


def bumpy(rng, side=12, bumps=0.2):
    """Return vertices, directions and faces, two to a quadrilateral, of an uneven sheet across the
    middle of the blocks.
    """
    at = np.stack(np.meshgrid(*[np.arange(side + 1)] * 2, indexing="ij"), axis=-1)
    at = 6.0 + at + rng.uniform(-0.3, 0.3, at.shape)
    rise = 12.0 + rng.uniform(-bumps, bumps, (side + 1, side + 1))
    vertices = ORIGIN + VOXEL * np.dstack([at, rise]).reshape(-1, 3)
    outward = np.tile([0.0, 0.0, 1.0], (len(vertices), 1)) + rng.normal(0, 0.2, (len(vertices), 3))
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    number = np.arange((side + 1) ** 2, dtype=np.int32).reshape(side + 1, side + 1)
    a, b, c, d = number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]
    return vertices, outward, np.stack([a, b, c, a, c, d], axis=-1).reshape(-1, 3)


def scattered(rng, count=1500):
    """Return points and normals around such a sheet, some of them facing away or far off, and their
    weights, some of them those of guessed normals.
    """
    points = ORIGIN + VOXEL * np.column_stack(
        [rng.uniform(4, 20, (count, 2)), 12 + rng.uniform(-0.9, 0.9, count)]
    )
    normals = np.array([0.0, 0.0, 1.0]) + rng.normal(0, 0.2, (count, 3))
    normals[::7] *= -1
    weights = rng.choice([UNSURE, 0.2, 0.9], count)
    return points, normals / np.linalg.norm(normals, axis=1, keepdims=True), weights


def added_up(points, normals, weights, vertices, outward, faces):
    count = len(points)
    bin_of, places = np.empty(count, np.int32), np.empty(count, np.int32)
    first = np.empty(BLOCKS**3 * bins.BINS**3 + 1, np.int32)
    bins.find_bins(0, count, points, ORIGIN, VOXEL, TABLE, bin_of)
    bins.sort_bins(bin_of, first, places)
    filed, views = np.empty((first[-1], 8), np.float32), np.zeros(count, np.int32)
    bins.file_samples(0, count, points, normals, weights, views, ORIGIN, VOXEL, places, filed)
    sums = np.full((len(faces), residuals.SUMS), np.nan, np.float32)
    given = faces, vertices, outward, ORIGIN, VOXEL, TABLE, first, filed, sums
    residuals.add_up_residuals(0, 2, *given)
    residuals.add_up_residuals(2, -(-len(faces) // residuals.TOGETHER), *given)
    return sums


def compared(faces, sums, moves):
    """Return the ratios of all groups of faces."""
    ratios = np.empty(-(-len(faces) // residuals.TOGETHER))
    half = len(ratios) // 2
    residuals.compare_moves(0, half, faces, sums, moves, ratios)
    residuals.compare_moves(half, len(ratios), faces, sums, moves, ratios)
    return ratios


def pairs_on(points, normals, weights, vertices, faces):
    """Return the triangles that samples lie on, the coordinates there of their corners (P, 3), and
    their heights in voxels.
    """
    corners = (vertices[faces] - ORIGIN) / VOXEL
    places = (points - ORIGIN) / VOXEL
    a, e, f = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    upright = np.cross(e, f)
    upright /= np.linalg.norm(upright, axis=1, keepdims=True)
    basis = np.linalg.inv(np.stack([e, f, upright], axis=-1))  # of each triangle
    u, v, h = np.einsum("fij,fpj->ifp", basis, places[None] - a[:, None])
    on = (u >= 0) & (v >= 0) & (u + v <= 1) & (abs(h) <= 0.5)
    on &= (upright @ normals.T >= 0.9) & (weights > UNSURE)
    face, sample = np.nonzero(on)
    u, v, h = u[face, sample], v[face, sample], h[face, sample]
    return face, np.column_stack([1 - u - v, u, v]), h, upright


@pytest.mark.parametrize("seed", range(10))
def test_sums_are_those_over_all_pairs_of_a_triangle_and_a_sample(seed):
    rng = np.random.default_rng(seed)
    vertices, outward, faces = bumpy(rng)
    samples = scattered(rng)
    sums = added_up(*samples, vertices, outward, faces)
    face, shares, h, upright = pairs_on(*samples, vertices, faces)
    _, u, v = shares.T
    expected = np.zeros((len(faces), 10))
    terms = [np.ones_like(u), u, v, u * u, u * v, v * v, h, u * h, v * h, h * h]
    np.add.at(expected, face, np.column_stack(terms))
    assert len(face) > 100
    np.testing.assert_allclose(sums[:, :10], expected, atol=2e-5)
    rises = np.einsum("fi,fni->fn", upright, outward[faces])
    np.testing.assert_allclose(sums[:, 10:], rises, atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("damping", [0.0, 0.5, 4.0])
def test_every_step_brings_samples_nearer_the_triangles_down_to_least_squares(seed, damping):
    rng = np.random.default_rng(seed)
    vertices, outward, faces = bumpy(rng)
    samples = scattered(rng, count=12_000)
    sums = added_up(*samples, vertices, outward, faces)
    face, shares, h, upright = pairs_on(*samples, vertices, faces)
    shares *= np.einsum("fi,fni->fn", upright, outward[faces])[face]
    matrix = np.zeros((len(h), len(vertices)))
    np.add.at(matrix, (np.arange(len(h))[:, None], faces[face]), shares)
    best = np.linalg.lstsq(matrix, h, rcond=None)[0]
    least = ((h - matrix @ best) ** 2).sum()

    def left_after(steps):
        moves = np.empty(len(vertices))
        residuals.find_moves(faces, sums, damping, steps, moves)
        return ((h - matrix @ moves) ** 2).sum()

    left = [(h**2).sum(), *map(left_after, (1, 2, 4, 8, 16, 5000))]
    assert (np.diff(left) < 0).all()
    assert left[-1] - least < 1e-3 * (left[0] - least)


@pytest.mark.parametrize("seed", range(5))
def test_ratios_are_of_what_moves_do_and_leave(seed):
    rng = np.random.default_rng(seed)
    vertices, outward, faces = bumpy(rng)
    samples = scattered(rng, count=3000)
    sums = added_up(*samples, vertices, outward, faces)
    moves = rng.normal(0, 0.1, len(vertices))
    ratios = compared(faces, sums, moves)
    face, shares, h, upright = pairs_on(*samples, vertices, faces)
    rises = np.einsum("fi,fni->fn", upright, outward[faces]) * moves[faces]
    left = (h - (rises[face] * shares).sum(axis=1)) ** 2
    moved = (shares * moves[faces[face]] ** 2).sum(axis=1)
    group = face // residuals.TOGETHER
    number = np.bincount(group)
    size = np.bincount(np.arange(len(faces)) // residuals.TOGETHER)
    expected = np.bincount(group, moved) * 2 / size / (np.bincount(group, left) / number)
    np.testing.assert_allclose(ratios, expected, rtol=1e-4)


@pytest.mark.parametrize("count", [1000, 3000, 12_000])
def test_ratios_tell_shape_from_noise(count):
    """However far samples scatter: moves and what they leave grow alike."""
    rng = np.random.default_rng(count)
    vertices, outward, faces = bumpy(rng, bumps=0.0)
    points, normals, weights = scattered(rng, count)
    scatter, bent = rng.normal(0, 1, count), np.sin((points[:, 0] - ORIGIN[0]) / VOXEL)

    def ratio(rise):
        points[:, 2] = ORIGIN[2] + VOXEL * (12 + rise)
        sums = added_up(points, normals, weights, vertices, outward, faces)
        moves = np.empty(len(vertices))
        residuals.find_moves(faces, sums, DAMPING, STEPS, moves)
        return np.median(compared(faces, sums, moves))

    little, much = ratio(0.01 * scatter), ratio(0.1 * scatter)
    assert little == pytest.approx(much, rel=0.01)
    assert 4 * much < ratio(0.2 * bent)


def test_no_ratio_tells_of_noise_where_nothing_scatters():
    rng = np.random.default_rng(4)
    vertices, outward, faces = bumpy(rng, bumps=0.0)
    points, normals, weights = scattered(rng)
    points[:, 0] = np.minimum(points[:, 0], ORIGIN[0] + VOXEL * 10)
    points[:, 2] = ORIGIN[2] + VOXEL * (12 + rng.normal(0, 1e-3, len(points)))
    sums = added_up(points, normals, weights, vertices, outward, faces)
    ratios = compared(faces, sums, np.zeros(len(vertices)))
    assert set(map(str, ratios)) == {"inf", "nan"}


def test_what_no_sample_tells_stays_and_a_triangle_without_area_holds_none():
    rng = np.random.default_rng(3)
    vertices, outward, faces = bumpy(rng)
    samples = scattered(rng)
    samples[0][:, 0] = np.minimum(
        samples[0][:, 0], ORIGIN[0] + VOXEL * 10
    )  # on one half of the sheet
    vertices[faces[10]] = vertices[faces[10, 0]]
    sums = added_up(*samples, vertices, outward, faces)
    moves = np.empty(len(vertices))
    residuals.find_moves(faces, sums, 0.0, 2, moves)
    assert sums[10, 0] == 0
    assert np.isfinite(moves).all()
    far = vertices[:, 0] > ORIGIN[0] + VOXEL * 12
    assert (moves[far] == 0).all()
    assert (moves[~far] != 0).sum() > 20


@pytest.mark.parametrize("seed", range(3))
def test_many_samples_are_added_up_in_any_order(seed):
    """More of them lie around faces that look together than are held at once."""
    rng = np.random.default_rng(seed)
    vertices, outward, faces = bumpy(rng)
    samples = scattered(rng, count=15_000)
    sums = added_up(*samples, vertices, outward, faces)
    face, shares, h, _ = pairs_on(*samples, vertices, faces)
    expected = np.bincount(face, h, len(faces))
    assert len(face) > 1000
    np.testing.assert_allclose(sums[:, 6], expected, atol=1e-3)
    np.testing.assert_allclose(sums[:, 8], np.bincount(face, h * shares[:, 2]), atol=1e-3)
    order = rng.permutation(len(samples[0]))
    again = added_up(*(each[order] for each in samples), vertices, outward, faces)
    np.testing.assert_allclose(sums, again, atol=1e-3)


def test_a_face_with_more_samples_than_there_is_room_for_takes_some_for_all():
    rng = np.random.default_rng(5)
    vertices, outward, faces = bumpy(rng, bumps=0.0)
    samples = scattered(rng, count=60_000)
    sums = added_up(*samples, vertices, outward, faces)
    face, _, h, _ = pairs_on(*samples, vertices, faces)
    number = np.bincount(face)
    assert abs(sums[:, 0].sum() / number.sum() - 1) < 0.02
    off = sums[:, 6] / sums[:, 0] - np.bincount(face, h) / number
    assert abs(off).mean() < 0.29 / np.sqrt(np.median(number) / 20)  # heights are spread evenly


def test_plain_python_adds_up_alike(monkeypatch):
    rng = np.random.default_rng(1)
    sheet, cloud = bumpy(rng, side=3), scattered(rng, count=200)
    compiled = added_up(*cloud, *sheet)
    for module, name in [
        (residuals, "run_end"), (residuals, "frame_of"), (residuals, "add_up"),
        (residuals, "collect"), (bins, "collect"), (residuals, "collect_some"),
        (residuals, "add_up_residuals"),
    ]:  # fmt: skip
        monkeypatch.setattr(module, name, getattr(module, name).py_func)
    plain = added_up(*cloud, *sheet)
    np.testing.assert_allclose(compiled, plain, atol=2e-5)
    moves = np.empty((2, len(sheet[0])))
    residuals.find_moves(sheet[2], compiled, 0.5, 2, moves[0])
    residuals.find_moves.py_func(sheet[2], compiled, 0.5, 2, moves[1])
    np.testing.assert_allclose(*moves, atol=1e-12)
    expected = compared(sheet[2], compiled, moves[0])
    monkeypatch.setattr(residuals, "compare_moves", residuals.compare_moves.py_func)
    np.testing.assert_allclose(compared(sheet[2], compiled, moves[0]), expected, rtol=1e-6)
