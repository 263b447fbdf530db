"""What rendering must not depend on, and what it must never do."""

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from shapes import joined

import backproject as bp

RIG = bp.Rig.fibonacci(3, size=64)
FLAT = bp.Rig.fibonacci(3, size=64, extent=1.1)
ROUNDING = 2.4e-7  # two roundings to float32, relative
rotations = st.integers(0, 2**32 - 1).map(
    lambda seed: Rotation.random(random_state=seed).as_matrix()
)


def mesh_of(shape):
    return bp.Mesh(np.asarray(shape.vertices), np.asarray(shape.faces))


BALL = mesh_of(trimesh.creation.icosphere(subdivisions=4, radius=0.5))
CUBE = mesh_of(trimesh.creation.box((0.5, 0.5, 0.5)))
KNOT = mesh_of(trimesh.creation.torus(0.35, 0.12, major_sections=40, minor_sections=17))
INNER = float(np.abs((BALL.face_normals * BALL.triangles[:, 0]).sum(axis=1)).min())


def assert_no_hole(mesh, rig, inner, outer):
    """Assert that rays which must hit a solid between two spheres hit its near side."""
    depth = bp.render(mesh, rig).depth
    column, row = np.meshgrid(np.arange(rig.width) + 0.5, np.arange(rig.height) + 0.5)
    for camera, seen in zip(rig, depth, strict=True):
        begin = camera.unproject(np.stack([column, row], -1), np.zeros_like(column))
        ray = camera.unproject(np.stack([column, row], -1), np.ones_like(column)) - begin
        a, b = (ray**2).sum(-1), (ray * begin).sum(-1)
        c = (begin**2).sum(-1)
        first = (-b - np.sqrt(np.maximum(b**2 - a * (c - outer**2), 0))) / a
        inside = b**2 - a * (c - inner**2) > 0
        last = (-b - np.sqrt(np.maximum(b**2 - a * (c - inner**2), 0))) / a
        assert (seen[inside] <= last[inside] * (1 + ROUNDING)).all()
        assert (seen[inside] >= first[inside] * (1 - ROUNDING)).all()


def turned(mesh, rotation):
    return mesh.transformed(bp.Similarity(rotation=rotation))


@settings(max_examples=40)
@given(rotations)
def test_a_turned_ball_has_no_hole(rotation):
    for rig in (RIG, FLAT):
        assert_no_hole(turned(BALL, rotation), rig, INNER, 0.5)


@settings(max_examples=40)
@given(rotations)
def test_a_turned_cube_has_no_hole(rotation):
    for rig in (RIG, FLAT):
        assert_no_hole(turned(CUBE, rotation), rig, 0.25, 0.25 * 3**0.5)


@pytest.mark.parametrize("size", [7, 16, 33, 65])
@pytest.mark.parametrize("axis", np.vstack([np.eye(3), -np.eye(3)]).tolist())
@pytest.mark.parametrize("mesh", [BALL, CUBE], ids=["ball", "cube"])
def test_corners_and_edges_on_pixel_centres_leave_no_hole(mesh, axis, size):
    """Views along the axes put corners and whole edges exactly, or nearly, on pixel centres."""
    inner, outer = (INNER, 0.5) if mesh is BALL else (0.25, 0.25 * 3**0.5)
    for extent in (None, 1.0):
        rig = bp.Rig.looking_at([np.multiply(axis, 1.5)], size=size, extent=extent)
        assert_no_hole(mesh, rig, inner, outer)


@pytest.mark.parametrize("width", [1e-3, 1e-7, 1e-9, 1e-11, 1e-13])
def test_slivers_tear_no_hole(width):
    """A sheet cut by a sliver, of widths around the slack, down a column of pixel centres."""
    rig = bp.Rig(np.array([[32.0, 0, 16.5], [0, 32, 16.5], [0, 0, 1]]), np.eye(4)[None], 33, 33)
    xs = np.array([-2, -width / 2, width / 2, 2])
    points = np.array([(x, y, 1.0) for x in xs for y in (-2, 2)])
    faces = [f for k in (0, 2, 4) for f in ((k, k + 1, k + 2), (k + 1, k + 3, k + 2))]
    np.testing.assert_array_equal(bp.render(bp.Mesh(points, np.array(faces)), rig).depth, 1.0)


@settings(max_examples=15)
@given(rotations, st.randoms(use_true_random=False))
def test_the_order_of_faces_and_their_copies_change_nothing(rotation, random):
    mesh = turned(KNOT, rotation)
    order = list(range(len(mesh.faces)))
    random.shuffle(order)
    faces = mesh.faces[order + order[:50]]
    again = bp.render(bp.Mesh(mesh.vertices, faces), RIG)
    np.testing.assert_array_equal(again.depth, bp.render(mesh, RIG).depth)


@settings(max_examples=15)
@given(rotations, rotations)
def test_two_solids_are_seen_as_the_nearer_of_both(rotation, other):
    """Nothing is passed over as hidden that is not."""
    solids = [turned(CUBE, rotation), turned(KNOT, other)]
    for rig in (RIG, FLAT):
        apart = [bp.render(solid, rig).depth for solid in solids]
        for first, second in (solids, solids[::-1]):
            depth = bp.render(joined(first, second), rig).depth
            # where an orthographic view measures depth from depends on how deep all of it is
            np.testing.assert_allclose(depth, np.minimum(*apart), rtol=1.2e-7)


@settings(max_examples=15)
@given(rotations, st.integers(0, 2**32 - 1))
def test_which_way_faces_are_turned_changes_nothing(rotation, seed):
    mesh = turned(KNOT, rotation)
    turn = np.random.default_rng(seed).random(len(mesh.faces)) < 0.5
    faces = np.where(turn[:, None], mesh.faces[:, ::-1], mesh.faces)
    assert_close(bp.render(bp.Mesh(mesh.vertices, faces), RIG), bp.render(mesh, RIG))


def assert_close(views, expected):
    np.testing.assert_array_equal(views.silhouettes, expected.silhouettes)
    hit = expected.silhouettes
    np.testing.assert_allclose(views.depth[hit], expected.depth[hit], rtol=ROUNDING)


@settings(max_examples=15)
@given(rotations)
def test_faces_are_drawn_from_both_sides(rotation):
    mesh = turned(KNOT, rotation)
    assert_close(bp.render(bp.Mesh(mesh.vertices, mesh.faces[:, ::-1]), RIG), bp.render(mesh, RIG))


@settings(max_examples=15)
@given(rotations)
def test_smaller_faces_of_the_same_surface_change_nothing(rotation):
    mesh = turned(CUBE, rotation)
    fine = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).subdivide().subdivide()
    assert_close(bp.render(mesh_of(fine), RIG), bp.render(mesh, RIG))


@settings(max_examples=15)
@given(rotations, st.floats(1e-3, 1e3))
def test_moving_mesh_and_cameras_together_only_scales_depth(rotation, scale):
    motion = bp.Similarity(scale, rotation, np.array([3.0, -2.0, 5.0]) * scale)
    for rig in (RIG, FLAT):
        moved = bp.render(KNOT, rig).transformed(motion)
        assert_close(bp.render(KNOT.transformed(motion), moved.rig), moved)
