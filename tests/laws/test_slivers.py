"""Triangles next to nothing are mended away, and the surface stays a closed 2-manifold."""

import numpy as np
import pytest
import trimesh
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial import Delaunay

import backproject as bp
from backproject.kernels import slivers

LIMIT = 1e-3


def torus():
    return trimesh.creation.torus(1.0, 0.4, major_sections=24, minor_sections=12)


def stacked(rng, count=12):
    """Return a closed mesh with many corners of three faces: a tetrahedron on whose faces low
    pyramids are put.
    """
    vertices = [np.array(v, float) for v in [(1, 1, 1), (-1, -1, 1), (-1, 1, -1), (1, -1, -1)]]
    faces = [(0, 2, 1), (0, 1, 3), (1, 2, 3), (0, 3, 2)]
    for _ in range(count):
        a, b, c = faces.pop(rng.integers(len(faces)))
        vertices.append((vertices[a] + vertices[b] + vertices[c]) / 3 * 1.1)
        top = len(vertices) - 1
        faces += [(a, b, top), (b, c, top), (c, a, top)]
    return np.array(vertices), np.array(faces, np.int32)


def edges_of(faces):
    """Return the edges (E, 2) of a closed mesh, each once."""
    edges = np.sort(np.concatenate([faces[:, :2], faces[:, 1:], faces[:, ::2]]), axis=1)
    return np.unique(edges, axis=0)


def heights_of(vertices, faces):
    """Return the least height of each triangle, 0 if its corners are all one."""
    corners = vertices[faces]
    sides = np.roll(corners, -1, axis=1) - corners
    longest = np.linalg.norm(sides, axis=2).max(axis=1)
    area = np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1)
    return np.divide(area, longest, out=np.zeros_like(area), where=longest > 0)


def mended(vertices, faces, support=None, outward=None):
    """Return what is left of copies: vertices, faces, support."""
    vertices, faces = np.array(vertices, np.float64), np.array(faces, np.int32)
    support = np.zeros(len(vertices), np.int32) if support is None else support.copy()
    outward = np.tile([0.0, 0.0, 1.0], (len(vertices), 1)) if outward is None else outward.copy()
    thin = heights_of(vertices, faces) <= LIMIT
    count, left = slivers.mend_slivers(faces, thin, LIMIT, vertices, outward, support)
    return vertices[:count], faces[:left], support[:count]


def assert_like(vertices, faces, before):
    """Assert that every edge joins two faces in opposite directions, that no number is unused, and
    that vertices less edges plus faces are as many as of the faces `before`: a vertex where two
    fans met would be one too few.
    """
    assert bp.Mesh(vertices, faces).is_watertight
    assert np.array_equal(np.unique(faces), np.arange(len(vertices)))
    assert len(vertices) - len(faces) // 2 == before.max() + 1 - len(before) // 2


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
def test_vertices_that_meet_become_one(seed, meetings):
    rng, shape = np.random.default_rng(seed), torus()
    vertices, faces = np.array(shape.vertices), np.array(shape.faces, np.int32)
    edges = edges_of(faces)
    for here, there in edges[rng.permutation(len(edges))[:meetings]]:
        vertices[here] = vertices[there] + rng.uniform(-1, 1, 3) * rng.choice([0, 1e-9, LIMIT / 8])
    support = rng.integers(0, 9, len(vertices), dtype=np.int32)
    places, left, after = mended(vertices, faces, support)
    assert_like(places, left, faces)
    assert len(places) < len(vertices)
    assert heights_of(places, left).min() > 0
    assert set(after) <= set(support)
    assert after.max() == support.max()
    lengths = np.linalg.norm(np.diff(places[edges_of(left)], axis=1)[:, 0], axis=1)
    assert lengths.min() > 0.99 * LIMIT


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 14), st.integers(1, 6))
def test_nothing_is_torn_or_glued_where_three_faces_meet(seed, count, meetings):
    rng = np.random.default_rng(seed)
    vertices, faces = stacked(rng, count)
    for f in rng.permutation(len(faces))[:meetings]:
        a, b, c = rng.permutation(faces[f])
        share = rng.choice([0.0, 0.5])  # onto a corner, or the opposite edge
        vertices[c] = (1 - share) * vertices[a] + share * vertices[b]
    outward = vertices / np.linalg.norm(vertices, axis=1, keepdims=True)
    places, left, _ = mended(vertices, faces, outward=outward)
    assert_like(places, left, faces)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_what_cannot_go_in_its_planes_stays(seed):
    rng, shape = np.random.default_rng(seed), torus()
    vertices, faces = np.array(shape.vertices), np.array(shape.faces, np.int32)
    here, there = rng.permutation(edges_of(faces)[rng.integers(3 * len(faces) // 2)])
    beside = faces[np.isin(faces, (here, there)).sum(axis=1) == 2]
    one, other = beside[~np.isin(beside, (here, there))]
    # Two thin faces back to back: turned or not, they stay thin.
    vertices[one] = 0.6 * vertices[here] + 0.4 * vertices[there]
    vertices[other] = 0.3 * vertices[here] + 0.7 * vertices[there]
    before = trimesh.Trimesh(vertices, faces, process=False)
    outward = before.vertex_normals
    places, left, _ = mended(vertices, faces, outward=outward)
    assert_like(places, left, faces)
    assert heights_of(places, left).min() > LIMIT / 10
    after = trimesh.Trimesh(places, left, process=False)
    around = before.area_faces[
        np.isin(faces, faces[np.isin(faces, beside).any(axis=1)]).any(axis=1)
    ]
    assert abs(after.volume - before.volume) < LIMIT * around.sum()
    assert abs(after.area - before.area) < 0.01 * around.sum()


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_no_face_of_a_plane_turns_over(seed):
    rng = np.random.default_rng(seed)
    flat = rng.uniform(-1, 1, (25, 2))
    top = Delaunay(flat).simplices.astype(np.int32)
    directed = np.concatenate([top[:, [0, 1]], top[:, [1, 2]], top[:, [2, 0]]])
    rim = directed[~(directed[:, None] == directed[None, :, ::-1]).all(axis=2).any(axis=1)]
    inner = directed[(directed[:, None] == directed[None, :, ::-1]).all(axis=2).any(axis=1)]
    here, there = inner[rng.integers(len(inner))]
    beside = top[np.isin(top, (here, there)).sum(axis=1) == 2]
    one, other = beside[~np.isin(beside, (here, there))]
    assume(not np.isin((one, other), rim).any())
    flat[one] = 0.6 * flat[here] + 0.4 * flat[there]
    flat[other] = 0.3 * flat[here] + 0.7 * flat[there]
    sides = flat[top[:, 1:]] - flat[top[:, :1]]
    assume((sides[:, 0, 0] * sides[:, 1, 1] - sides[:, 0, 1] * sides[:, 1, 0] > -1e-12).all())
    vertices = np.concatenate([np.column_stack([flat, np.zeros(25)]), [(0, 0, -1)]])
    below = np.column_stack([rim[:, ::-1], np.full(len(rim), 25)])
    before = np.concatenate([top, below]).astype(np.int32)
    places, left, _ = mended(vertices, before)
    assert_like(places, left, before)
    on_top = left[(left < len(places) - 1).all(axis=1)]
    assert (bp.Mesh(places, on_top).area_vectors[:, 2] > -1e-12).all()


def test_a_tetrahedron_stays_closed():
    vertices = np.array([(0.0, 0, 0), (0, 0, 0), (1, 0, 0), (0, 1, 0)])
    faces = np.array([(0, 2, 1), (0, 1, 3), (1, 2, 3), (0, 3, 2)])
    places, left, _ = mended(vertices, faces)
    assert len(left) == 4
    assert_like(places, left, faces)
    assert heights_of(places, left).min() > LIMIT / 2


def test_of_two_vertices_that_meet_one_stays_with_the_greater_support():
    shape = torus()
    vertices, faces = np.array(shape.vertices), np.array(shape.faces, np.int32)
    support = np.arange(len(vertices), dtype=np.int32)
    here, there = edges_of(faces)[40]
    vertices[here] = vertices[there]
    places, _, after = mended(vertices, faces, support)
    assert (places == np.delete(vertices, there, axis=0)).all()
    support[here] = there
    assert (after == np.delete(support, there)).all()


def test_along_a_crease_vertices_go_that_change_no_plane():
    # A roof whose ridge holds four vertices, two of them between the same two gables' ends.
    ridge = [(0.0, 0, 1), (0.3, 0, 1), (0.6, 0, 1), (1.0, 0, 1)]
    low = [(0.0, -1, 0), (1, -1, 0), (1, 1, 0), (0, 1, 0)]
    vertices = np.array(ridge + low)
    faces = [
        (0, 4, 5), (0, 5, 3), (0, 3, 1), (3, 2, 1),  # one side, and a thin strip along the ridge
        (0, 1, 7), (1, 2, 7), (2, 6, 7), (2, 3, 6),
        (0, 7, 4), (3, 5, 6), (4, 7, 6), (4, 6, 5),
    ]  # fmt: skip
    before = np.array(faces, np.int32)
    assert bp.Mesh(vertices, before).is_watertight
    places, left, _ = mended(vertices, before)
    assert_like(places, left, before)
    assert heights_of(places, left).min() > 0.1
    assert {tuple(v) for v in places} <= {tuple(v) for v in vertices}
    volume = [
        trimesh.Trimesh(v, f, process=False).volume for v, f in ((places, left), (vertices, before))
    ]
    assert volume[0] == pytest.approx(volume[1])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_an_edge_turns_towards_a_corner_that_lies_on_it(seed):
    rng, shape = np.random.default_rng(seed), torus()
    vertices, faces = np.array(shape.vertices), np.array(shape.faces, np.int32)
    a, b, c = rng.permutation(faces[rng.integers(len(faces))])
    share = rng.uniform(0.3, 0.7)
    vertices[c] = share * vertices[a] + (1 - share) * vertices[b]
    places, left, _ = mended(vertices, faces)
    assert_like(places, left, faces)
    assert (places == vertices).all()
    assert (left != faces).any(axis=1).sum() == 2
    assert heights_of(places, left).min() > LIMIT


def test_what_is_not_thin_stays_as_it_is():
    shape = torus()
    places, left, _ = mended(shape.vertices, shape.faces)
    assert (places == shape.vertices).all()
    assert (left == shape.faces).all()


def test_where_no_edge_can_go_the_end_of_less_support_moves_outwards():
    # A tube of three sides: to collapse one would leave two faces back to back.
    ring = np.array([(0.0, 0, 0), (LIMIT / 100, 0, 0), (0, 1, 0)])
    rings = [ring + np.array([0, 0, z]) for z in (0, 1, 2)]
    vertices = np.concatenate([*rings, [(0, 0, -1), (0, 0, 3)]])
    sides = [(k, (k + 1) % 3, j) for j in (0, 3) for k in range(3)]
    faces = [(a + j, b + j, b + j + 3) for a, b, j in sides]
    faces += [(a + j, b + j + 3, a + j + 3) for a, b, j in sides]
    faces += [(b, a, 9) for a, b, j in sides[:3]] + [(a + 6, b + 6, 10) for a, b, j in sides[:3]]
    support = np.array([3, 2] + [5] * 9, np.int32)
    outward = np.tile([0.0, -1.0, 0.0], (len(vertices), 1))
    before = np.array(faces, np.int32)
    assert bp.Mesh(vertices, before).is_watertight
    places, left, _ = mended(vertices, before, support, outward)
    assert_like(places, left, before)
    assert heights_of(places, left).min() > 0.9 * LIMIT
    assert (places[0] == vertices[0]).all()
    np.testing.assert_allclose(places[1] - vertices[1], (0, -LIMIT, 0))


@pytest.mark.parametrize("seed", range(3))
def test_plain_python_mends_alike(seed, monkeypatch):
    rng, shape = np.random.default_rng(seed), torus()
    vertices, faces = np.array(shape.vertices), np.array(shape.faces, np.int32)
    edges = edges_of(faces)
    for here, there in edges[rng.permutation(len(edges))[:20]]:
        vertices[here] = vertices[there]
    a, b, c = faces[100]
    vertices[c] = (vertices[a] + vertices[b]) / 2
    compiled = mended(vertices, faces)
    for name, kernel in list(vars(slivers).items()):
        if hasattr(kernel, "py_func"):
            monkeypatch.setattr(slivers, name, kernel.py_func)
    for one, other in zip(compiled, mended(vertices, faces), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("turn", [(0, 0, 0), (0.4, 0.2, 0.7)], ids=["upright", "turned"])
@pytest.mark.parametrize("count", [1, 3, 20])
def test_no_triangle_of_a_fused_mesh_is_degenerate_in_single_precision(count, turn):
    # A comb: vertices meet on its edges and in its corners, and thin teeth have two layers.
    teeth = [trimesh.creation.box((0.03, 0.3, 0.3)) for _ in range(10)]
    for k, tooth in enumerate(teeth):
        tooth.apply_translation((0.1 * k - 0.45, 0, 0.2))
    shape = trimesh.util.concatenate([trimesh.creation.box((1, 0.3, 0.1)), *teeth])
    shape.apply_transform(trimesh.transformations.euler_matrix(*turn))
    unit = bp.normalize(bp.Mesh(shape.vertices, shape.faces)).mesh
    views = bp.render(unit, bp.Rig.fibonacci(count, size=128))
    mesh = bp.fuse(views, resolution=160)
    assert mesh.is_watertight
    single = mesh.vertices.astype(np.float32).astype(np.float64)
    assert heights_of(single, mesh.faces).min() > 1e-7
