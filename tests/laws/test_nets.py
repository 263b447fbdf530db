"""Mending and closing the solid, on solids small enough to look at every cell."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

import backproject as bp
from backproject.fusion.closing import close, count_bounds
from backproject.fusion.evidence import observe
from backproject.fusion.solid import Solid, carve, make_well_composed
from backproject.fusion.surface import extract, sort_samples
from backproject.kernels import blocks as kernel
from backproject.kernels import nets, regions
from backproject.progress import silent

BITS = np.array([[mask >> bit & 1 for bit in range(8)] for mask in range(256)], bool)
NEIGHBOURS = [(a, b) for a in range(8) for b in range(8) if bin(a ^ b).count("1") == 1]


def pieces(corners):
    """Return how many pieces the chosen corners of a cell fall into, along its edges."""
    left, count = set(corners), 0
    while left:
        count += 1
        front = {left.pop()}
        while front:
            front = {b for a, b in NEIGHBOURS if a in front and b in left}
            left -= front
    return count


def ambiguous(mask):
    """Return whether solid or free corners touch along a diagonal only: of a face, or the cell."""
    solid = BITS[mask]
    for axis in range(3):
        for side in range(2):
            face = [c for c in range(8) if (c >> axis & 1) == side]
            values = solid[face]
            if values[0] == values[3] != values[1] == values[2]:
                return True
    # Opposite corners alone: two pieces that meet in the middle.
    for part in (np.flatnonzero(solid), np.flatnonzero(~solid)):
        if len(part) == 2 and part[0] + part[1] == 7:
            return True
    return False


def test_mending_only_adds_corners_and_leaves_nothing_ambiguous():
    mended = nets.mending_table()
    assert mended.shape == (256,)
    for mask, result in enumerate(mended.tolist()):
        assert result & mask == mask
        assert not ambiguous(result)
        if not ambiguous(mask):
            assert result == mask
        else:
            fewer = [m for m in range(256) if m & mask == mask and not ambiguous(m)]
            assert bin(result).count("1") == min(bin(m).count("1") for m in fewer)


def test_a_mended_cell_has_one_sheet_of_surface():
    # One vertex a cell is enough only if its crossed edges belong to one piece of surface.
    for mask in set(nets.mending_table().tolist()) - {0, 255}:
        assert pieces(np.flatnonzero(BITS[mask])) == 1
        assert pieces(np.flatnonzero(~BITS[mask])) == 1


def solid_of(corners, size=4, unstored=()):
    """Return a solid of size^3 blocks with these states (S, S, S), S = 8 (size - 2), in its middle;
    `unstored` inner blocks must be of one state.
    """
    table = np.full((size,) * 3, kernel.OUTSIDE, np.int32)
    inner = [p for p in itertools.product(range(1, size - 1), repeat=3) if p not in unstored]
    state = np.empty((len(inner), 512), np.uint8)
    for row, place in enumerate(inner):
        table[place] = row
        box = tuple(slice(8 * (p - 1), 8 * p) for p in place)
        state[row] = corners[box].ravel()
    for place in unstored:
        box = tuple(slice(8 * (p - 1), 8 * p) for p in place)
        assert np.ptp(corners[box]) == 0
        table[place] = kernel.INSIDE if corners[box].any() else kernel.OUTSIDE
    return Solid(np.zeros(3), 1.0, table, np.array(inner, np.int64).reshape(-1, 3), state)


def corners_of(solid):
    """Return the states of all corners, stored or not."""
    out = np.empty(tuple(8 * n for n in solid.table.shape), np.uint8)
    for place in np.ndindex(solid.table.shape):
        row = solid.table[place]
        box = tuple(slice(8 * p, 8 * p + 8) for p in place)
        if row >= 0:
            out[box] = solid.state[row].reshape(8, 8, 8)
        else:
            out[box] = kernel.HIDDEN if row == kernel.INSIDE else kernel.FREE
    return out


def masks_of(full):
    solid = (full & 1).astype(np.int64)
    n = len(full) - 1
    return sum(
        solid[bit >> 2 : (bit >> 2) + n, (bit >> 1 & 1) :][:, :n, (bit & 1) :][:, :, :n] << bit
        for bit in range(8)
    )


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.floats(0.02, 0.98))
def test_any_solid_becomes_well_composed(seed, share):
    corners = (np.random.default_rng(seed).random((16,) * 3) < share).astype(np.uint8)
    solid = solid_of(corners)
    before = corners_of(solid)
    make_well_composed(solid, threads=1)
    after = corners_of(solid)
    assert ((after & 1) >= (before & 1)).all()  # it only fills
    bad = np.array([ambiguous(mask) for mask in range(256)])
    masks = masks_of(after)
    assert not bad[masks].any()
    # Every cell with a piece of surface has a home.
    mixed = np.argwhere((masks != 0) & (masks != 255))
    assert (solid.table[tuple((mixed // 8).T)] >= 0).all()


@pytest.mark.parametrize("seed", range(20))
def test_large_pieces_are_those_of_many_polygons(seed):
    rng = np.random.default_rng(seed)
    faces = rng.integers(0, 200, (rng.integers(1, 150), 3)).astype(np.int32)
    ends = np.concatenate([faces[:, :2], faces[:, 1:]]).T
    joined = coo_array((np.ones(ends.shape[1]), ends), (200, 200))
    _, piece = connected_components(joined, directed=False)
    sizes = np.bincount(piece[faces[:, 0]], minlength=200)
    large = np.empty(200, np.bool_)
    for least in (1, 2, 5, 40):
        assert nets.find_large(faces, least, large) == np.count_nonzero(large)
        np.testing.assert_array_equal(large, sizes[piece] >= least)


def test_a_flaw_between_unstored_blocks_is_mended_too():
    # Two hidden blocks that touch along an edge: nothing is stored beside them but one block.
    corners = np.zeros((16,) * 3, np.uint8)
    corners[:8, :8] = corners[8:, 8:] = kernel.HIDDEN
    places = set(itertools.product((1, 2), repeat=3))
    solid = solid_of(corners, unstored=places - {(1, 1, 1)})
    make_well_composed(solid, threads=1)
    bad = np.array([ambiguous(mask) for mask in range(256)])
    masks = masks_of(corners_of(solid))
    assert not bad[masks].any()
    mixed = np.argwhere((masks != 0) & (masks != 255))
    assert (solid.table[tuple((mixed // 8).T)] >= 0).all()


def shell_box(low, high, size=16):
    """Return free corners with a hidden box in a shell of one corner."""
    corners = np.zeros((size,) * 3, np.uint8)
    corners[(slice(low - 1, high + 1),) * 3] = kernel.SHELL
    corners[(slice(low, high),) * 3] = kernel.HIDDEN
    return corners


def test_a_body_seen_from_all_sides_stays_solid():
    solid = solid_of(shell_box(3, 13))
    before = corners_of(solid)
    close(solid, None, threads=1)
    np.testing.assert_array_equal(corners_of(solid), before)


@pytest.mark.parametrize("seed", range(4))
def test_walls_and_backs_are_the_faces_of_hidden_corners(seed):
    # Unstored are a hidden block, a free one beside it, and all around; what an unstored block
    # has to do with corners that are stored is counted by these.
    rng = np.random.default_rng(seed)
    corners = rng.choice([kernel.FREE, kernel.HIDDEN, kernel.SHELL], (16,) * 3).astype(np.uint8)
    corners[:8, :8, :8], corners[8:16, :8, :8] = kernel.HIDDEN, kernel.FREE
    solid = solid_of(corners, unstored={(1, 1, 1), (2, 1, 1)})
    count = len(solid.blocks)
    hidden, shell = np.empty(8 * count, np.uint64), np.empty(8 * count, np.uint64)
    regions.find_hidden(0, count, solid.rows, hidden, shell)
    states, stored = corners_of(solid), np.repeat(solid.table >= 0, 8, axis=0)
    stored = stored.repeat(8, axis=1).repeat(8, axis=2)
    walls = backs = 0
    for axis, turned in itertools.product(range(3), (False, True)):
        one, other = (np.delete(states, end, axis) for end in (-1, 0))
        own, others = (np.delete(stored, end, axis) for end in (-1, 0))
        if turned:
            one, other, own, others = other, one, others, own
        faces = (one == kernel.HIDDEN) & (own | ~others)
        walls += np.count_nonzero(faces & (other == kernel.FREE))
        backs += np.count_nonzero(faces & (other == kernel.SHELL))
    assert count_bounds(solid, hidden, shell, threads=1) == (walls, backs)


@pytest.mark.parametrize(("opening", "stays"), [(1, True), (2, True), (4, False), (5, False)])
def test_a_pocket_is_closed_while_its_walls_cost_less_than_its_back(opening, stays):
    # A hidden cube of n^3 corners: `opening` of its six sides are walls, the rest lies on the
    # shell, whose back costs half: solid while opening < (6 - opening) / 2, that is under 2, and
    # at 2, where both cost the same.
    n, low = 6, 5
    corners = shell_box(low, low + n)
    sides = [(0, low - 1), (0, low + n), (1, low - 1), (1, low + n), (2, low - 1), (2, low + n)]
    for axis, place in sides[:opening]:
        wall = [slice(low, low + n)] * 3
        wall[axis] = place
        corners[tuple(wall)] = kernel.FREE
    solid = solid_of(corners)
    before = corners_of(solid)
    close(solid, None, threads=1)
    after = corners_of(solid)
    assert (after[before == kernel.SHELL] == kernel.SHELL).all()  # what was measured is kept
    hidden = before == kernel.HIDDEN
    assert (after[hidden] == (kernel.HIDDEN if stays else kernel.FREE)).all()
    assert (after[before == kernel.FREE] == kernel.FREE).all()


def test_the_narrowest_place_is_where_a_bottle_is_closed():
    # A hidden belly in its shell, a hidden neck open at its end, and a wide hidden funnel without
    # any shell before it: the wall moves from the funnel's mouth to where it costs least.
    corners = np.zeros((32,) * 3, np.uint8)
    corners[9:23, 9:23, 2:16] = kernel.SHELL
    corners[10:22, 10:22, 3:15] = kernel.HIDDEN
    corners[14:18, 14:18, 15:17] = kernel.HIDDEN  # the neck, through the shell
    corners[8:24, 8:24, 17:24] = kernel.HIDDEN  # the funnel
    solid = solid_of(corners, size=6)
    close(solid, None, threads=1)
    after = corners_of(solid)[8:40, 8:40, 8:40]
    assert (after[10:22, 10:22, 3:15] == kernel.HIDDEN).all()
    assert (after[8:24, 8:24, 17:24] == kernel.FREE).all()


def test_what_is_kept_moves_to_the_front_and_stays_together():
    rng = np.random.default_rng(3)
    kept = rng.random(60) < 0.6
    vertices, outward, support = rng.random((60, 3)), rng.random((60, 3)), rng.permutation(60)
    quads = np.concatenate([rng.choice(np.flatnonzero(kept == one), (20, 4)) for one in (0, 1)])
    quads = rng.permutation(quads).astype(np.int32)
    whole = np.concatenate([vertices, outward, support[:, None]], axis=1)
    expected = whole[kept], whole[quads[kept[quads[:, 0]]]]
    count, polygons = nets.drop_pieces(kept, vertices, outward, support, quads)
    assert (count, polygons) == (np.count_nonzero(kept), 20)
    after = np.concatenate([vertices, outward, support[:, None]], axis=1)[:count]
    np.testing.assert_array_equal(after, expected[0])
    np.testing.assert_array_equal(after[quads[:polygons]], expected[1])


def test_blocks_stored_after_samples_were_sorted_change_no_mesh():
    corners = np.concatenate([np.eye(3), -np.eye(3)])
    faces = [(0, 1, 2), (1, 3, 2), (3, 4, 2), (4, 0, 2), (1, 0, 5), (3, 1, 5), (4, 3, 5), (0, 4, 5)]
    views = bp.render(bp.Mesh(0.4 * corners, np.array(faces)), bp.Rig.fibonacci(8, size=64))
    evidence, samples = observe(views, noise=None, threads=1)
    solid = carve(evidence, samples, resolution=64, threads=1, progress=silent)
    make_well_composed(solid, threads=1)
    order = sort_samples(solid, samples)()
    meshes = [extract(solid, samples, order, evidence, threads=1, progress=silent)]
    unstored = np.argwhere(solid.table[1:-1, 1:-1, 1:-1] < 0) + 1
    assert len(unstored) > 20
    solid.store_as_is(unstored)
    meshes.append(extract(solid, samples, order, evidence, threads=1, progress=silent))
    for field in ("vertices", "faces", "support"):
        np.testing.assert_array_equal(getattr(meshes[0], field), getattr(meshes[1], field))
