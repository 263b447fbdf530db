"""Rendered depth against planes, rays and triangles.

Depth comes back as float32: half a unit in the last place is 6e-8 of it, and the
interpolated 1/z is exact to some 1e-13.
"""

import numpy as np
import pytest
from shapes import box, cast, joined, rays, rectangle, sphere

import backproject as bp
from backproject.kernels import raster
from backproject.rendering.raster import rasterise

ROUNDING = 1.2e-7
ASKEW = np.array([[61.0, 0, 23.7], [0, 83.0, 40.1], [0, 0, 1]])  # off centre, pixels not square


def rig_askew(positions, target=(0.03, -0.02, 0.01), flat=False):
    """Return pinholes, or orthographic cameras if `flat`: then ASKEW is in pixels a scene unit."""
    poses = bp.Rig.looking_at(positions, target=target).world_from_camera
    return bp.Rig(ASKEW, poses, 52, 67, np.array(flat))


either = pytest.mark.parametrize("flat", [False, True], ids=["pinhole", "orthographic"])


def assert_same_depth(views, expected):
    np.testing.assert_array_equal(views.silhouettes, expected.silhouettes)
    hit = expected.silhouettes
    np.testing.assert_allclose(views.depth[hit], expected.depth[hit], rtol=2 * ROUNDING)


@either
def test_a_tilted_plane_is_exact_at_every_pixel(flat):
    plane = rectangle((-9, -9), (9, 9))
    rig = rig_askew([(0.5, 0.4, 1.0), (-1.0, 0.2, 0.8), (0.1, -0.3, 1.2)], flat=flat)
    depth = bp.render(plane, rig).depth
    for k, (origin, direction) in enumerate(rays(rig)):
        expected = -origin[..., 2] / direction[..., 2]
        assert (expected > 0).all()
        np.testing.assert_allclose(depth[k], expected, rtol=ROUNDING)


@either
@pytest.mark.parametrize("mesh", [sphere(0.5, splits=2), box(0.6)], ids=["sphere", "box"])
def test_solids_agree_with_rays_through_their_triangles(mesh, flat):
    rig = rig_askew([(1.1, 0.7, -0.9), (0.02, 1.6, 0.01), (-1.3, -0.2, 0.4)], flat=flat)
    views = bp.render(mesh, rig)
    assert 0.05 < views.silhouettes.mean() < 0.95
    assert_same_depth(views, cast(mesh, rig))


@either
def test_one_solid_before_another_hides_it(flat):
    near, far = box(0.3, center=(0, 0, 0.5)), sphere(0.4, splits=1)
    both = joined(far, near)
    rig = rig_askew([(0.2, 0.1, 1.6), (0.9, 0.3, 1.2), (0.1, 0.2, -1.5)], flat=flat)
    assert_same_depth(bp.render(both, rig), cast(both, rig))


def test_pixels_are_known_by_their_centres():
    # At depth 1 with a focal length of 64 pixels about (0, 0): edges at 9.5, 20.5 and 4.6, 8.4.
    rig = bp.Rig(np.diag([64.0, 64, 1]), np.eye(4)[None], 32, 16)
    sheet = rectangle((9.6 / 64, 4.6 / 64), (20.4 / 64, 8.4 / 64), height=1.0)
    expected = np.zeros((16, 32), bool)
    expected[5:8, 10:20] = True
    expected[4] = False
    np.testing.assert_array_equal(bp.render(sheet, rig).silhouettes[0], expected)


@either
def test_a_room_is_seen_from_within(flat):
    """Every wall reaches behind the camera or far beside the image, and no ray escapes."""
    room = box(2.0)
    rig = rig_askew([(0.3, 0.2, -0.6), (-0.7, 0.1, 0.5), (0.0, 0.9, 0.0)], flat=flat)
    views = bp.render(room, rig)
    assert views.silhouettes.all()
    assert_same_depth(views, cast(room, rig))


@pytest.mark.parametrize("height", [1e-3, 1.0])
def test_ground_under_the_camera_ends_at_the_horizon(height):
    """A plane from far behind the camera to far before it: 1/z is linear from the horizon down."""
    ground = bp.Mesh(
        np.array(
            [(-1e4, height, -1e4), (1e4, height, -1e4), (1e4, height, 1e4), (-1e4, height, 1e4)]
        ),
        np.array([(0, 1, 2), (0, 2, 3)]),
    )
    rig = bp.Rig(np.array([[40.0, 0, 20], [0, 40, 20], [0, 0, 1]]), np.eye(4)[None], 40, 40)
    depth = bp.render(ground, rig).depth[0]
    down = (np.arange(40) + 0.5 - 20) / 40
    assert np.isinf(depth[:20]).all()
    expected = np.repeat(height / down[20:, None], 40, axis=1)
    np.testing.assert_allclose(depth[20:], expected, rtol=ROUNDING)


def test_an_orthographic_camera_sees_what_is_before_its_plane_and_no_more():
    """A slope from behind the camera's plane to far before it: it begins where they cross."""
    slope = bp.Mesh(
        np.array([(-1e6, -9, -1e6), (1e6, -9, 1e6), (1e6, 9, 1e6), (-1e6, 9, -1e6)]),
        np.array([(0, 1, 2), (0, 2, 3)]),
    )
    intrinsics = np.array([[40.0, 0, 20], [0, 40, 20], [0, 0, 1]])
    rig = bp.Rig(intrinsics, np.eye(4)[None], 40, 40, np.array(True))
    across = (np.arange(40) + 0.5 - 20) / 40
    expected = np.repeat(np.where(across > 0, across, np.inf)[None], 40, axis=0)
    # Corners a million units away: their rounding, 1e-16 of that, is 1e-10 here.
    np.testing.assert_allclose(bp.render(slope, rig).depth[0], expected, rtol=ROUNDING)


@pytest.mark.parametrize("extent", [None, 1.0])
def test_what_lies_behind_the_camera_is_not_drawn(extent):
    rig = bp.Rig.looking_at([(0, 0, 2)], size=32, extent=extent)
    assert not bp.render(box(0.5, center=(0, 0, 4)), rig).silhouettes.any()


@either
def test_an_object_cut_by_the_border_is_cut_and_no_more(flat):
    rig = rig_askew([(0.55, 0.2, 0.4), (0.1, 0.5, 0.5)], target=(0.4, 0.3, 0), flat=flat)
    views = bp.render(box(0.6), rig)
    edges = [views.silhouettes[:, 0], views.silhouettes[:, -1], views.silhouettes[:, :, 0]]
    assert any(edge.any() for edge in edges)
    assert_same_depth(views, cast(box(0.6), rig))


def test_faces_without_area_are_left_out():
    solid = sphere(0.5, splits=1)
    points = np.concatenate([solid.vertices, [[0, 0, 0.9], [0, 0, 0.7]]])
    last = len(points) - 1
    faces = np.concatenate([solid.faces, [(0, 0, last), (last, last, last), (0, last, last - 1)]])
    faces[-1] = (last - 1, last, last - 1)
    rig = rig_askew([(1.0, 0.7, -0.9)])
    np.testing.assert_array_equal(
        bp.render(bp.Mesh(points, faces), rig).depth, bp.render(solid, rig).depth
    )


def test_a_mesh_without_faces_is_refused():
    with pytest.raises(bp.InputError, match="no faces"):
        bp.render(bp.Mesh(np.zeros((3, 3)), np.zeros((0, 3), int)), bp.Rig.dodecahedron(size=8))


@either
def test_bands_and_threads_change_nothing(flat):
    rig = rig_askew([(1.0, 0.7, -0.9), (0.4, 0.2, 0.3)], flat=flat)
    mesh = sphere(0.5, splits=2)
    one, many = (bp.render(mesh, rig, threads=threads).depth for threads in (1, 9))
    np.testing.assert_array_equal(one, many)


def test_progress_ends_at_one():
    heard = []
    rasterise(
        box(), bp.Rig.dodecahedron(size=8), threads=1, progress=lambda *news: heard.append(news)
    )
    assert heard[-1] == ("render", 1.0)
    assert heard == sorted(heard)


@either
def test_compiled_and_plain_kernels_agree(flat, monkeypatch):
    poses = rig_askew([(0.6, 0.3, 0.4)]).world_from_camera
    rig = bp.Rig(ASKEW / [[8], [8], [1]], poses, 7, 9, np.array(flat))
    mesh = joined(box(0.5), rectangle((-2, -2), (2, 2)))  # some of it behind the camera
    compiled = bp.render(mesh, rig).depth
    for name, kernel in vars(raster).items():
        if hasattr(kernel, "py_func"):
            monkeypatch.setattr(raster, name, kernel.py_func)
    np.testing.assert_allclose(bp.render(mesh, rig, threads=1).depth, compiled, rtol=ROUNDING)
