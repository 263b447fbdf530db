"""Meshes: where their centre is, how large they are, whether they are closed."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st

from backproject.errors import InputError
from backproject.geometry.mesh import Mesh, normalize
from backproject.geometry.transform import Similarity

TETRAHEDRON = Mesh(
    np.array([(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)], float),
    np.array([(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)]),
)


def random_mesh(seed):
    rng = np.random.default_rng(seed)
    return Mesh(
        rng.normal(size=(30, 3)) * 3 + rng.normal(size=3) * 10, rng.integers(0, 30, (40, 3))
    )


seeds = st.integers(0, 2**32 - 1)


@given(seeds)
def test_centroid_is_trimesh_s(seed):
    mesh = random_mesh(seed)
    theirs = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).centroid
    # Both are the same weighted mean of 40 numbers of about 30: a few roundings of 1e-15 * 30 each.
    np.testing.assert_allclose(mesh.centroid, theirs, atol=1e-11)


@given(seeds)
def test_normalize_centres_and_scales(seed):
    unit = normalize(random_mesh(seed)).mesh
    np.testing.assert_allclose(unit.centroid, 0, atol=1e-12)
    assert unit.radius == pytest.approx(0.5, rel=1e-12)


@given(seeds)
def test_restore_undoes_normalize(seed):
    mesh = random_mesh(seed)
    normalized = normalize(mesh)
    np.testing.assert_allclose(
        normalized.restore(normalized.mesh).vertices, mesh.vertices, rtol=1e-12, atol=1e-12
    )


@given(seeds, st.floats(1e-3, 1e3))
def test_normal_form_does_not_depend_on_place_and_size(seed, scale):
    mesh = random_mesh(seed)
    moved = mesh.transformed(Similarity(scale, translation=np.array([3.0, -20, 7])))
    # Offsets of 20 on shapes of about 1e-3 * 10 cost four of sixteen digits.
    np.testing.assert_allclose(
        normalize(moved).mesh.vertices, normalize(mesh).mesh.vertices, atol=1e-9
    )


@given(seeds)
def test_centroid_does_not_depend_on_the_tessellation(seed):
    mesh = random_mesh(seed)
    finer = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).subdivide()
    np.testing.assert_allclose(
        Mesh(finer.vertices, finer.faces).centroid, mesh.centroid, atol=1e-11
    )


def test_faces_without_area_and_unused_vertices_do_not_count():
    far = np.array([(100, 0, 0), (200, 0, 0), (300, 0, 0)], float)
    littered = Mesh(
        np.concatenate([TETRAHEDRON.vertices, far, [(0, -500, 0)]]),
        np.concatenate([TETRAHEDRON.faces, [(4, 5, 6), (4, 4, 5), (6, 6, 6)]]),
    )
    np.testing.assert_array_equal(littered.centroid, TETRAHEDRON.centroid)
    assert littered.radius == TETRAHEDRON.radius
    np.testing.assert_array_equal(
        normalize(littered).mesh.vertices[:4], normalize(TETRAHEDRON).mesh.vertices
    )


def test_watertight_is_every_edge_twice_in_opposite_directions():
    faces = TETRAHEDRON.faces
    assert TETRAHEDRON.is_watertight
    assert not Mesh(TETRAHEDRON.vertices, faces[1:]).is_watertight
    assert not Mesh(
        TETRAHEDRON.vertices, np.concatenate([faces[:3], faces[3:, ::-1]])
    ).is_watertight
    assert not Mesh(TETRAHEDRON.vertices, np.concatenate([faces, faces])).is_watertight
    assert not Mesh(TETRAHEDRON.vertices, faces[:0]).is_watertight
    box = trimesh.creation.box()
    assert Mesh(box.vertices, box.faces).is_watertight


@given(st.lists(st.sampled_from(list(product(range(3), repeat=3))), max_size=4), st.booleans())
def test_watertight_counts_every_way_along_an_edge(more, closed):
    faces = [*(TETRAHEDRON.faces.tolist() if closed else []), *map(list, more)]
    ways = Counter((face[k - 1], face[k]) for face in faces for k in range(3))
    once_each_way = all(a != b and ways[a, b] == ways[b, a] == 1 for a, b in list(ways))
    mesh = Mesh(TETRAHEDRON.vertices, np.array(faces, np.int32).reshape(-1, 3))
    assert mesh.is_watertight == (bool(faces) and once_each_way)


def test_faces_point_outwards_with_their_area():
    # A closed surface's area vectors sum to zero, and their dot with position is 3 volumes (Gauss).
    np.testing.assert_allclose(TETRAHEDRON.area_vectors.sum(axis=0), 0, atol=1e-15)
    volume = (TETRAHEDRON.area_vectors * TETRAHEDRON.triangles.mean(axis=1)).sum() / 3
    assert volume == pytest.approx(1 / 6)
    np.testing.assert_allclose(np.linalg.norm(TETRAHEDRON.face_normals, axis=1), 1)


@pytest.mark.parametrize(
    ("vertices", "faces", "word"),
    [
        (np.zeros((3, 2)), np.array([[0, 1, 2]]), "vertices"),
        (np.zeros((3, 3)), np.array([[0, 1, 2, 0]]), "faces"),
        (np.zeros((3, 3)), np.array([[0.0, 1, 2]]), "faces"),
        (np.zeros((3, 3)), np.array([[0, 1, 3]]), "indices"),
        (np.zeros((3, 3)), np.array([[0, 1, -1]]), "indices"),
        (np.full((3, 3), np.nan), np.array([[0, 1, 2]]), "nan"),
    ],
)
def test_what_is_no_mesh_is_refused(vertices, faces, word):
    with pytest.raises(InputError, match=word):
        Mesh(vertices, faces)


def test_a_mesh_without_area_has_no_centre():
    with pytest.raises(InputError, match="no area"):
        normalize(Mesh(np.zeros((3, 3)), np.array([[0, 1, 2]])))
