"""How many views support each vertex, and the part of the solid that some view saw."""

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree
from shapes import box, cast, sphere_views
from test_fuse_shapes import cap_views, footprint

import backproject as bp
from backproject.metrics.visibility import inferred_fraction

ALL_AROUND = bp.Rig.dodecahedron(size=64)
FROM_ABOVE = bp.Rig.turntable(8, size=64, elevation_deg=35.0)
ALONE = bp.Rig.looking_at([(0, 0.4, 1.5)], size=64)
PIXEL = footprint(ALL_AROUND)
RESOLUTION = 48
OPEN = {
    "a sphere with a hole": cap_views(ALL_AROUND, radius=0.4, lowest=-0.35),
    "a dome from above": cap_views(FROM_ABOVE, radius=0.4, lowest=0.0),
    "a dome from one side": cap_views(ALONE, radius=0.4, lowest=0.0),
    "a ball from above": sphere_views(0.4, FROM_ABOVE),
    "a ball from one side": sphere_views(0.4, ALONE),
    "a box from above": cast(box(0.5), FROM_ABOVE),
}


def fused(views, surface="solid"):
    return bp.fuse(views, resolution=RESOLUTION, surface=surface)


@pytest.fixture(scope="module", params=OPEN)
def case(request):
    views = OPEN[request.param]
    return views, fused(views), fused(views, "seen")


def edges(mesh):
    """Return the edges (E, 2), and of how many faces each is one."""
    ends = np.stack([mesh.faces, np.roll(mesh.faces, -1, axis=1)], axis=-1).reshape(-1, 2)
    return np.unique(np.sort(ends, axis=1), axis=0, return_counts=True)


def corners(mesh):
    """Return each face as the bytes of its corners."""
    return {triangle.tobytes() for triangle in mesh.triangles}


def test_what_was_seen_in_part_is_open_and_a_part_of_the_solid(case):
    _, solid, seen = case
    assert solid.is_watertight
    assert not seen.is_watertight
    assert edges(seen)[1].max() <= 2
    assert corners(seen) < corners(solid)
    assert np.array_equal(np.unique(seen.faces), np.arange(len(seen.vertices)))


def test_every_seen_vertex_keeps_its_support(case):
    views, solid, seen = case
    of_place = dict(zip(map(bytes, solid.vertices), solid.support, strict=True))
    assert [of_place[bytes(place)] for place in seen.vertices] == seen.support.tolist()
    assert seen.support.min() >= 1
    assert solid.support.min() == 0
    assert solid.support.max() <= len(views)


def test_all_that_is_seen_lies_at_samples(case):
    views, _, seen = case
    points = bp.backproject(views).points
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    voxel = 2 * np.linalg.norm(points - middle, axis=1).max() / RESOLUTION
    pixel = np.median(views.depth[np.isfinite(views.depth)]) / views.rig.intrinsics[0, 0, 0]
    # 1.5 voxels or pixels. The voxel is that of the samples left after the vote: 2 % to spare.
    near = 1.02 * 1.5 * max(voxel, pixel)
    samples = cKDTree(points)
    assert samples.query(seen.vertices)[0].max() <= near
    # No point of a triangle is farther from its corners than 1/sqrt(3) of the longest edge.
    ends = seen.vertices[edges(seen)[0]]
    longest = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1).max()
    shares = np.random.default_rng(0).dirichlet((1, 1, 1), len(seen.faces))
    inner = np.einsum("ij,ijk->ik", shares, seen.triangles)
    assert samples.query(inner)[0].max() <= near + longest / np.sqrt(3)


def test_what_was_seen_is_all_there(case):
    views, _, seen = case
    far = cKDTree(seen.vertices).query(bp.backproject(views).points)[0]
    # A vertex lies within a voxel or so; at the border a triangle or two are left out.
    assert np.quantile(far, 0.97) < PIXEL + 2 * (0.9 / RESOLUTION)


def test_a_dome_seen_from_outside_alone_has_no_second_layer():
    seen = fused(OPEN["a ball from above"], "seen")
    assert np.abs(np.linalg.norm(seen.vertices, axis=1) - 0.4).max() < PIXEL
    outward = (seen.face_normals * seen.triangles.mean(axis=1)).sum(axis=1)
    assert (outward > 0).all()


def test_of_a_sphere_seen_all_around_both_are_the_same():
    views = sphere_views(0.4, ALL_AROUND)
    solid, seen = fused(views), fused(views, "seen")
    assert seen.is_watertight
    np.testing.assert_array_equal(seen.vertices, solid.vertices)
    np.testing.assert_array_equal(seen.faces, solid.faces)
    np.testing.assert_array_equal(seen.support, solid.support)


def test_a_box_seen_from_above_has_a_bottom_that_nobody_saw():
    views = OPEN["a box from above"]
    solid, seen = fused(views), fused(views, "seen")
    margin = 3 * max(PIXEL, np.sqrt(3) / 2 / RESOLUTION)
    x, y, z = np.abs(solid.vertices).T
    middle = np.maximum(x, z) < 0.25 - margin
    bottom = middle & (solid.vertices[:, 1] < -0.25 + margin)
    assert bottom.sum() > 100
    assert (solid.support[bottom] == 0).all()
    # Every camera sees the top, and nothing but the bottom was seen by none.
    top = middle & (solid.vertices[:, 1] > 0) & (y > 0.2)
    assert top.sum() > 100
    assert (solid.support[top] == len(views)).all()
    assert (solid.vertices[solid.support == 0, 1] < -0.25 + margin).all()
    inner = np.abs(seen.vertices[:, [0, 2]]).max(axis=1) < 0.25 - margin
    assert not (inner & (seen.vertices[:, 1] < -0.25 + margin)).any()


@pytest.mark.parametrize("told_by", ["support", "views"])
def test_a_sixth_of_a_box_seen_from_above_is_inferred(told_by):
    views, truth = OPEN["a box from above"], box(0.5)
    mesh = fused(views)
    if told_by == "views":
        mesh = bp.Mesh(mesh.vertices, mesh.faces)
    scores = bp.compare(mesh, truth, views=views, samples=20_000)
    # The bottom. Samples support what lies up to 1.5 pixels or voxels around the rim, and a
    # triangle, two voxels long, needs all its corners: four strips of that width, more or less.
    strip = 1.5 * max(PIXEL, 0.9 / RESOLUTION) + 2 * 0.9 / RESOLUTION
    assert scores.inferred_fraction == pytest.approx(1 / 6, abs=4 * strip * 0.5 / (6 * 0.25))
    assert scores.accuracy_seen < scores.accuracy
    assert scores.accuracy_seen < PIXEL / scores.truth_diameter / 10


def test_what_is_inferred_reaches_no_farther_than_silhouettes_and_samples(case):
    views, solid, _ = case
    points = bp.backproject(views).points
    low, high = points.min(axis=0), points.max(axis=0)
    voxel = np.linalg.norm(high - low) / RESOLUTION
    # A vertex lies in a cell, sqrt(3) voxels across, with a solid corner, and a cell more may be
    # filled so that solid corners touch along faces.
    slack = (np.sqrt(3) + 1) * voxel
    assert (solid.vertices > low - slack).all()
    assert (solid.vertices < high + slack).all()
    for camera, silhouette in zip(views.rig, views.silhouettes, strict=True):
        outside = distance_transform_edt(~silhouette)
        pixel, depth = camera.project(solid.vertices)
        column, row = np.clip(np.floor(pixel).astype(int), 0, 63).T
        # A corner is hidden if one of the four pixels around it is: sqrt(2) of them, and as much
        # for the pixel that the vertex itself is rounded to.
        allowed = 2 * np.sqrt(2) + slack * camera.intrinsics[0, 0] / depth
        assert (outside[row, column] <= allowed).all()


def test_of_the_seen_part_nothing_is_inferred(case):
    _, solid, seen = case
    assert inferred_fraction(seen) == 0.0
    assert 0 < inferred_fraction(solid) < 1


def test_the_order_of_the_views_changes_no_support():
    views = OPEN["a box from above"]
    one, other = fused(views), fused(views.subset([5, 2, 7, 0, 1, 6, 4, 3]))
    # Vertices that differ in the last digits may lie just in reach of a sample, or just not.
    assert (one.support != other.support).mean() < 1e-3


def test_a_view_more_takes_no_support_away_from_a_sphere():
    views = sphere_views(0.4, FROM_ABOVE)
    few, many = fused(views.subset(range(4))), fused(views)
    there = cKDTree(many.vertices).query(few.vertices[few.support > 0])[1]
    assert few.support.max() <= 4
    assert many.support[there].mean() > few.support[few.support > 0].mean()


def test_an_unknown_surface_is_refused():
    with pytest.raises(bp.InputError, match=r"surface.*nonsense.*solid.*seen"):
        fused(OPEN["a box from above"], "nonsense")


def test_support_is_written_to_ply_and_moves_along(tmp_path):
    mesh = fused(OPEN["a box from above"], "seen")
    mesh.save(tmp_path / "mesh.ply")
    np.testing.assert_array_equal(bp.Mesh.load(tmp_path / "mesh.ply").support, mesh.support)
    moved = mesh.transformed(bp.Similarity(2.0, translation=np.ones(3)))
    np.testing.assert_array_equal(moved.support, mesh.support)


@pytest.mark.parametrize("support", [np.zeros(7), np.zeros((8, 1)), np.zeros(0), 3])
def test_support_is_one_number_a_vertex(support):
    cube = box()
    assert cube.support is None
    with pytest.raises(bp.InputError, match=r"support.*expected \(8,\)"):
        bp.Mesh(cube.vertices, cube.faces, support)
    assert bp.Mesh(cube.vertices, cube.faces, np.arange(8.0)).support.dtype == np.int32
