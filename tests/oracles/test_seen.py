"""What a depth map shows of a surface, against geometry."""

import numpy as np
import pytest
from shapes import box, cast, joined, rectangle, sphere_views

import backproject as bp
from backproject.metrics.sampling import sample_surface
from backproject.metrics.visibility import seen_by, shown_by

RIG = bp.Rig.dodecahedron(size=96)
FOOTPRINT = 1.5 / RIG.intrinsics[0, 0, 0]  # of a pixel at the centre of the scene


def fraction_seen(mesh, views):
    points, _ = sample_surface(mesh, 20_000)
    return seen_by(points, views).mean()


def test_all_of_a_convex_shape_is_seen():
    cube = box(side=0.5)
    assert fraction_seen(cube, cast(cube, RIG)) == 1.0


def test_a_box_in_a_box_is_not_seen():
    outer, inner = box(side=0.5), box(side=0.25)
    both = joined(outer, inner)
    views = cast(both, RIG)
    points, face = sample_surface(both, 20_000)
    np.testing.assert_array_equal(seen_by(points, views), face < 12)
    assert fraction_seen(both, views) == pytest.approx(0.8, abs=1 / 20_000)  # 6 / (6 + 1.5)


def test_a_lone_camera_sees_the_cap_of_a_sphere():
    distance, radius = 1.5, 0.5
    rig = bp.Rig.looking_at([(0, 0, distance)], size=224)
    footprint = distance / rig.intrinsics[0, 0, 0]
    views = sphere_views(radius, rig)
    random = np.random.default_rng(0)
    points = random.normal(size=(20_000, 3))
    points *= radius / np.linalg.norm(points, axis=1, keepdims=True)
    seen = seen_by(points, views)
    # Four pixels are one surface while they differ by less than 4 footprints: over a pixel's
    # diagonal, a slope of 4 / sqrt(2), a cosine of 0.33. All of that is seen. No pixel is deeper
    # than the silhouette, the circle z = r^2 / d, and no tolerance is above 0.1 + 0.25 * 4
    # footprints: nothing behind that is seen.
    to_camera = np.array([0, 0, distance]) - points
    cosine = np.einsum("pk,pk->p", points, to_camera) / radius
    cosine /= np.linalg.norm(to_camera, axis=1)
    assert seen[cosine > 0.4].all()
    assert not seen[points[:, 2] < radius**2 / distance - 1.1 * footprint].any()


def test_both_sides_of_a_sheet_are_seen_and_what_is_under_it_is_not():
    sheet, below = rectangle((-0.3, -0.3), (0.3, 0.3)), rectangle((-0.1, -0.1), (0.1, 0.1), -0.03)
    above = bp.Rig.looking_at([(0.2, 0.3, 1.5)], size=96)
    views = cast(joined(sheet, below), above)
    assert fraction_seen(sheet, views) == 1.0
    assert fraction_seen(below, views) == 0.0
    from_below = bp.Rig.looking_at([(0.2, 0.3, -1.5)], size=96)
    assert fraction_seen(sheet, cast(sheet, from_below)) == 1.0


def test_a_wire_between_the_pixels_is_seen_before_the_background():
    wire = rectangle((-0.3, 0.0001), (0.3, 0.0002))  # a fiftieth of a pixel wide
    views = cast(wire, bp.Rig.looking_at([(0, 0, 1.5)], size=96))
    assert not views.silhouettes.any()
    assert fraction_seen(wire, views) == 1.0


def test_what_was_not_measured_shows_nothing():
    cube = box(side=0.5)
    blind = bp.ViewSet(np.full_like(cast(cube, RIG).depth, np.nan), RIG)
    assert fraction_seen(cube, blind) == 0.0


def test_outside_the_image_and_behind_the_camera_nothing_is_seen():
    views = bp.ViewSet(np.full((1, 8, 8), np.inf), bp.Rig.looking_at([(0, 0, 1.5)], size=8))
    points = np.array([(0, 0, 0), (0, 0, 1.4), (0, 0, 1.6), (5, 0, 0), (0, -5, 0)], float)
    np.testing.assert_array_equal(seen_by(points, views), [True, True, False, False, False])


@pytest.mark.parametrize("depth_behind", [0.5, 1.5])
def test_a_surface_behind_another_is_hidden_once_it_is_past_the_tolerance(depth_behind):
    behind = depth_behind * FOOTPRINT
    front, back = rectangle((-0.3, -0.3), (0.3, 0.3)), rectangle((-0.2, -0.2), (0.2, 0.2), -behind)
    views = cast(front, bp.Rig.looking_at([(0, 0, 1.5)], size=96))
    # straight on, the four depths are equal: all that is left is the flat tolerance of 0.1
    # footprint
    assert fraction_seen(back, views) == 0.0


@pytest.mark.parametrize(
    ("footprints", "shown"),
    [(-1.7, False), (-1.3, True), (0.0, True), (1.3, True), (1.7, False)],
)
def test_a_reconstruction_was_seen_if_it_lies_near_the_depth_and_faces_the_camera(
    footprints, shown
):
    rig = bp.Rig.looking_at([(0, 0, 1.5)], size=96)
    views = cast(rectangle((-0.3, -0.3), (0.3, 0.3)), rig)
    # below the sheet by 1.5 footprints, and 0.1 of tolerance, or above it by 1.5 less 0.1
    points, _ = sample_surface(rectangle((-0.2, -0.2), (0.2, 0.2)), 1000)
    points[:, 2] = -footprints * FOOTPRINT
    up = np.broadcast_to((0.0, 0.0, 1.0), points.shape)
    assert (shown_by(points, up, views) == shown).all()
    assert not shown_by(points, -up, views).any()


def test_of_a_closed_shape_all_was_seen_from_all_around_and_nothing_inside():
    cube = box(side=0.5)
    views = cast(cube, RIG)
    points, face = sample_surface(cube, 20_000)
    outward = cube.face_normals[face]
    assert shown_by(points, outward, views).all()
    # A back is hidden by the front, but near the rim: 4 footprints are more than 1 of tolerance at
    # an edge, and 1.5, of pixels that are up to 1.4 times as wide at the back.
    inner = np.sort(np.abs(points), axis=1)[:, 1] < 0.25 - 4 * FOOTPRINT
    assert not shown_by(points[inner], -outward[inner], views).any()
    assert not shown_by(points * 0.8, outward, views).any()  # 0.05 deep: ten footprints
    assert not shown_by(points * 1.3, outward, views).any()  # the cameras saw past it
