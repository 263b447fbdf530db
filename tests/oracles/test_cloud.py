"""Points, normals and the consent of other views, against surfaces that are known.

Depth is rounded to float32: 6e-8 of it. A slope of 1/z comes from two such depths, so its relative
error per pixel is at most 1.2e-7; times the focal length in pixels, that of a normal in radians.
"""

import numpy as np
import pytest
from shapes import box, joined, rectangle, sphere, sphere_views

import backproject as bp
from backproject.cloud.consistency import consistent_points
from backproject.cloud.slopes import inverse_depth_slopes
from backproject.kernels import slopes as slope_kernels
from backproject.kernels import unproject as unproject_kernels

RIG = bp.Rig.dodecahedron(size=112)
FOCAL = RIG.intrinsics[0, 0, 0]
FARTHEST = 2.0
ROUNDING = 6e-8 * FARTHEST * 1.3  # along rays up to 1.3 times as long as their depth
NORMAL_ROUNDING = 1.2e-7 * FOCAL * 4  # two axes, and a stencil that weighs one neighbour double


def turned_box(side=0.6):
    turn = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))[0]
    return box(side).transformed(bp.Similarity(rotation=turn * np.linalg.det(turn)))


def angles(normals, expected):
    """Return the angles in radians, well-conditioned for small ones."""
    return 2 * np.arcsin(np.minimum(np.linalg.norm(normals - expected, axis=1) / 2, 1))


def test_points_lie_on_a_sphere_and_normals_point_out():
    views = sphere_views(0.5, RIG)
    cloud = bp.backproject(views)
    radius = np.linalg.norm(cloud.points, axis=1)
    assert len(cloud) == views.silhouettes.sum()
    np.testing.assert_allclose(radius, 0.5, atol=ROUNDING)
    known = ~np.isnan(cloud.normals).any(axis=1)
    assert known.mean() > 0.99
    np.testing.assert_allclose(np.linalg.norm(cloud.normals[known], axis=1), 1, atol=1e-12)
    assert ((cloud.normals * cloud.points).sum(axis=1)[known] > 0).all()


def sphere_normal_error(size):
    rig = bp.Rig.dodecahedron(size=size)
    cloud = bp.backproject(sphere_views(0.5, rig))
    outward = cloud.points / np.linalg.norm(cloud.points, axis=1, keepdims=True)
    to_camera = rig.centers_world[cloud.view_index] - cloud.points
    to_camera /= np.linalg.norm(to_camera, axis=1, keepdims=True)
    frontal = (outward * to_camera).sum(axis=1) > 0.5  # within 60 degrees
    return angles(cloud.normals[frontal], outward[frontal]).max()


def test_normals_on_curved_surfaces_are_of_second_order():
    coarse, fine = sphere_normal_error(56), sphere_normal_error(112)
    assert fine < coarse / 3  # 4 in the limit
    assert fine < np.radians(0.1)


def face_of(cloud, mesh):
    """Return the plane that each point lies on, as a face's normal."""
    offsets = (mesh.face_normals * mesh.triangles[:, 0]).sum(axis=1)
    distance = np.abs(cloud.points @ mesh.face_normals.T - offsets)
    assert distance.min(axis=1).max() < ROUNDING
    return distance.argmin(axis=1) // 2


def test_box_normals_are_exact_right_up_to_creases():
    """Wherever a pixel has two neighbours of its own face on one side, along either axis."""
    mesh = turned_box()
    views = bp.render(mesh, RIG)
    cloud = bp.backproject(views)
    face = np.full(views.depth.shape, -1)
    face[views.silhouettes] = face_of(cloud, mesh)
    padded = np.pad(face, ((0, 0), (2, 2), (2, 2)), constant_values=-1)

    def same(down, right):
        height, width = face.shape[1:]
        moved = padded[:, 2 + down : 2 + down + height, 2 + right : 2 + right + width]
        return moved == face

    across = (same(0, 1) & same(0, 2)) | (same(0, -1) & same(0, -2))
    along = (same(1, 0) & same(2, 0)) | (same(-1, 0) & same(-2, 0))
    supported = (across & along)[views.silhouettes]
    beside = ~(same(0, 1) & same(0, -1) & same(1, 0) & same(-1, 0))[views.silhouettes]
    assert (supported & beside).sum() > 1000
    expected = mesh.face_normals[2 * face[views.silhouettes]]
    error = angles(cloud.normals, expected)[supported]
    assert not np.isnan(error).any()
    assert error.max() < NORMAL_ROUNDING


def test_no_normal_comes_from_across_a_jump():
    """A sheet before a wall: every normal is that of the sheet or the wall, up to the jump."""
    sheet = rectangle((-0.2, -0.2), (0.2, 0.2), height=0.2)
    rig = bp.Rig.looking_at([(0.3, 0.2, 1.5), (0.0, 0.4, 1.2)], size=96)
    cloud = bp.backproject(bp.render(joined(sheet, rectangle((-3, -3), (3, 3))), rig))
    assert set(np.abs(cloud.points[:, 2]).round(4)) == {0.0, 0.2}
    error = angles(cloud.normals, np.array([0.0, 0, 1]))
    assert error.max() < NORMAL_ROUNDING


def test_a_pixel_alone_has_no_normal():
    depth = np.full((1, 9, 9), np.inf)
    depth[0, 4, 4] = depth[0, 1, 1] = 1.0
    depth[0, 1, 2] = 1.0  # a neighbour along one axis only
    rig = bp.Rig.looking_at([(0, 0, 1.5)], size=9)
    cloud = bp.backproject(bp.ViewSet(depth, rig))
    assert len(cloud) == 3
    assert np.isnan(cloud.normals).all()


def test_each_point_projects_to_its_own_pixel_at_its_own_depth():
    rig = bp.Rig(
        np.array([[61.0, 0, 23.7], [0, 83.0, 40.1], [0, 0, 1]]),
        bp.Rig.looking_at([(1.1, 0.7, -0.9), (0.02, 1.6, 0.01)]).world_from_camera,
        52,
        67,
    )
    views = bp.render(turned_box(), rig)
    cloud = bp.backproject(views)
    view, row, column = np.nonzero(views.silhouettes)
    np.testing.assert_array_equal(cloud.view_index, view)
    for k, camera in enumerate(rig):
        mine = view == k
        pixels, depth = camera.project(cloud.points[mine])
        centres = np.stack([column[mine], row[mine]], axis=1) + 0.5
        np.testing.assert_allclose(pixels, centres, atol=1e-10)
        np.testing.assert_allclose(depth, views.depth[k][views.silhouettes[k]], rtol=1e-12)


def test_slopes_of_a_plane_are_its_gradient():
    rig = bp.Rig.looking_at([(0.5, 0.4, 1.0)], size=64)
    depth = bp.render(rectangle((-9, -9), (9, 9)), rig).depth
    du, dv = inverse_depth_slopes(bp.ViewSet(depth, rig))
    inverse = 1 / depth[0].astype(float)
    expected_u = (inverse[:, -1] - inverse[:, 0]).mean() / 63
    expected_v = (inverse[-1] - inverse[0]).mean() / 63
    bound = 4 * 6e-8 * inverse.max()
    np.testing.assert_allclose(du, expected_u, atol=bound)
    np.testing.assert_allclose(dv, expected_v, atol=bound)


@pytest.mark.parametrize("mesh", [turned_box(), sphere(0.45, splits=3)], ids=["box", "sphere"])
def test_clean_views_confirm_every_point(mesh):
    views = bp.render(mesh, RIG)
    assert consistent_points(bp.backproject(views), views).all()


def planted():
    """Return views of a box, one pixel of which floats before it, and where: view, row, column."""
    clean = bp.render(turned_box(), RIG)
    depth = clean.depth.copy()
    row, column = np.argwhere(clean.silhouettes[3])[clean.silhouettes[3].sum() // 2]
    depth[3, row, column] *= 0.8
    return bp.ViewSet(depth, RIG), (3, row, column)


def test_a_flying_point_falls_and_nothing_else():
    views, place = planted()
    cloud = bp.backproject(views)
    (fallen,) = np.flatnonzero(~consistent_points(cloud, views))
    assert tuple(np.argwhere(views.silhouettes)[fallen]) == place
    assert len(bp.backproject(views, consistent=True)) == len(cloud) - 1


def test_views_that_know_nothing_say_nothing():
    views, place = planted()
    depth = views.depth.copy()
    depth[np.arange(len(depth)) != place[0]] = np.nan
    unknown = bp.ViewSet(depth, RIG)
    assert consistent_points(bp.backproject(unknown), unknown).all()


def test_points_outside_an_image_are_not_lost():
    """Two close cameras each see a part of a wall; neither can speak about what it does not see."""
    rig = bp.Rig.looking_at([(-1, 0, 1), (1, 0, 1)], target=(0, 0, 0), size=64, fov_deg=30)
    views = bp.render(rectangle((-9, -9), (9, 9)), rig)
    assert consistent_points(bp.backproject(views), views).all()


def test_soft_silhouettes_are_cut_at_the_threshold():
    views = sphere_views(0.5, RIG)
    cloud = bp.backproject(views)
    masks = np.where(views.silhouettes, 0.5, 0.0)
    assert consistent_points(cloud, views, masks=masks, mask_threshold=0.3).all()
    assert not consistent_points(cloud, views, masks=masks, mask_threshold=0.5).any()
    with pytest.raises(bp.InputError, match="expected"):
        consistent_points(cloud, views, masks=masks[:1])


def test_a_cloud_of_other_views_is_refused():
    views = sphere_views(0.5, RIG)
    cloud = bp.backproject(views)
    with pytest.raises(bp.InputError, match="view_index"):
        consistent_points(cloud, views.subset([0, 1]))


def test_empty_views_give_an_empty_cloud():
    rig = bp.Rig.looking_at([(0, 0, 1.5)], size=9)
    assert len(bp.backproject(bp.ViewSet(np.full((1, 9, 9), np.inf), rig), consistent=True)) == 0


def test_threads_change_nothing():
    views = bp.render(turned_box(), RIG)
    one, many = (bp.backproject(views, threads=threads) for threads in (1, 5))
    np.testing.assert_array_equal(one.points, many.points)
    np.testing.assert_array_equal(one.normals, many.normals)


@pytest.mark.parametrize("extent", [None, 1.2])
def test_compiled_and_plain_kernels_agree(extent, monkeypatch):
    positions = [(0.9, 0.7, 1.0), (-1.0, 0.3, 0.8)]
    rig = bp.Rig.looking_at(positions, size=12, extent=extent)
    lenses = rig.intrinsics, rig.orthographic
    views = bp.render(turned_box(), rig)
    compiled = inverse_depth_slopes(views)
    for name in ("hold_rows", "slopes_of_row", "slopes_along", "joined"):
        monkeypatch.setattr(slope_kernels, name, getattr(slope_kernels, name).py_func)
    plain = np.empty_like(compiled[0]), np.empty_like(compiled[1])
    with np.errstate(invalid="ignore"):
        slope_kernels.slope_rows.py_func(0, 24, views.depth, *lenses, *plain)
    np.testing.assert_allclose(plain, compiled, rtol=1e-12)

    for name in ("hold_rows", "slopes_of_row"):
        monkeypatch.setattr(unproject_kernels, name, getattr(slope_kernels, name))
    cloud = bp.backproject(views)
    points, normals = np.empty_like(cloud.points), np.empty_like(cloud.normals)
    index = np.empty_like(cloud.view_index)
    counts = np.isfinite(views.depth).sum(axis=2).ravel()
    unproject_kernels.unproject_rows.py_func(
        0, 24, views.depth, *lenses, rig.world_from_camera,
        np.cumsum(counts) - counts, points, normals, index,
    )  # fmt: skip
    np.testing.assert_allclose(points, cloud.points, atol=1e-14)
    np.testing.assert_allclose(normals, cloud.normals, atol=1e-12)

    monkeypatch.setattr(unproject_kernels, "allows", unproject_kernels.allows.py_func)
    confirmed = np.zeros(len(cloud), bool)
    unproject_kernels.confirm_points.py_func(
        0, len(cloud), points, index, views.depth, views.silhouettes, *plain,
        *lenses, rig.camera_from_world, confirmed,
    )  # fmt: skip
    np.testing.assert_array_equal(confirmed, consistent_points(cloud, views))
