"""A camera projects what it unprojects, and rigs put cameras where their names say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backproject.errors import InputError
from backproject.geometry.rig import Rig, invert_poses, look_at
from backproject.geometry.transform import Similarity

# The paper's list, written out once more from the protocol so that a slip in either place shows.
PAPER_LIST = """
-0.57735 -0.57735 0.57735\n0.934172 0.356822 0\n0.934172 -0.356822 0\n-0.934172 0.356822 0
-0.934172 -0.356822 0\n0 0.934172 0.356822\n0 0.934172 -0.356822\n0.356822 0 -0.934172
-0.356822 0 -0.934172\n0 -0.934172 -0.356822\n0 -0.934172 0.356822\n0.356822 0 0.934172
-0.356822 0 0.934172\n0.57735 0.57735 -0.57735\n0.57735 0.57735 0.57735
-0.57735 0.57735 -0.57735\n-0.57735 0.57735 0.57735\n0.57735 -0.57735 -0.57735
0.57735 -0.57735 0.57735\n-0.57735 -0.57735 -0.57735
"""

RIGS = {
    "dodecahedron": Rig.dodecahedron(),
    "fibonacci": Rig.fibonacci(33, distance=3, size=(64, 48), fov_deg=60),
    "turntable": Rig.turntable(12, elevation_deg=35),
    "orthographic": Rig.fibonacci(9, distance=3, size=(64, 48), extent=1.3),
}

coordinates = st.floats(-10, 10)
points = st.tuples(coordinates, coordinates, coordinates).map(np.array)


@pytest.fixture(params=RIGS)
def rig(request):
    return RIGS[request.param]


@pytest.mark.parametrize("name", ["dodecahedron", "orthographic"])
@given(st.integers(0, 8), st.floats(-50, 300), st.floats(-50, 300), st.floats(0.01, 100))
def test_project_undoes_unproject(name, k, column, row, depth):
    camera = RIGS[name][k]
    pixel, depth_again = camera.project(camera.unproject((column, row), depth))
    # A point at 100 units, held to 1e-14, seen at 0.01 units by 284 pixels of focal length:
    # relative 1e-16 * (1.5 / 0.01) of a ray, that is below 1e-9 pixels.
    np.testing.assert_allclose(pixel, (column, row), atol=1e-9)
    np.testing.assert_allclose(depth_again, depth, rtol=1e-11)


def test_unproject_undoes_project_for_arrays(rig):
    world = np.random.default_rng(0).uniform(-0.5, 0.5, (5, 7, 3))
    for camera in rig:
        np.testing.assert_allclose(camera.unproject(*camera.project(world)), world, atol=1e-13)


def test_target_is_at_the_principal_point_at_the_camera_s_distance(rig):
    for camera in rig:
        pixel, depth = camera.project((0, 0, 0))
        np.testing.assert_allclose(pixel, (camera.width / 2, camera.height / 2), atol=1e-10)
        np.testing.assert_allclose(depth, np.linalg.norm(camera.center_world), rtol=1e-14)


@given(points, points)
def test_look_at_is_a_rotation_with_up_above_and_never_mirrored(position, target):
    if np.linalg.norm(target - position) < 1e-3:
        return
    pose = look_at(position, target=target)
    # Normalised cross products of unit vectors: exact to a few roundings, unless the line of sight
    # is nearly parallel to up, where the cross product is as short as 1e-6 and loses 6 digits.
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(pose[:3, :3]), 1, atol=1e-9)
    down = pose[:3, 1]
    assert down @ (0, 1, 0) <= 1e-12


def test_up_in_the_world_is_up_in_the_image_and_right_is_right():
    camera = Rig.looking_at([(0, 0, 2)])[0]
    centre, above, right = camera.project([(0, 0, 0), (0, 0.1, 0), (0.1, 0, 0)])[0]
    assert above[1] < centre[1]
    assert above[0] == pytest.approx(centre[0])
    assert right[0] > centre[0]
    assert right[1] == pytest.approx(centre[1])


@pytest.mark.parametrize("position", [(0, 2, 0), (0, -2, 0), (1e-9, 2, 0)])
def test_a_camera_parallel_to_up_is_still_a_camera(position):
    camera = Rig.looking_at([position])[0]
    pixel, depth = camera.project((0, 0, 0))
    np.testing.assert_allclose(pixel, (112, 112), atol=1e-6)
    assert depth == pytest.approx(2)


def test_field_of_view_spans_the_image_s_height():
    camera = Rig.looking_at([(0, 0, 1)], size=(300, 200), fov_deg=90)[0]
    # At 90 degrees the upper border, 100 pixels up, is as high as it is far.
    np.testing.assert_allclose(camera.project([(0, 1, 0)])[0], [(150, 0)], atol=1e-10)


def test_extent_spans_an_orthographic_image_s_height_at_any_depth():
    camera = Rig.looking_at([(0, 0, 1)], size=(300, 200), extent=0.8)[0]
    for z in (-3, 0, 0.9):
        np.testing.assert_allclose(camera.project([(0.6, 0.4, z)])[0], [(300, 0)], atol=1e-10)


@given(st.floats(0.01, 100), points, points)
def test_a_similarity_moves_pinholes_and_orthographic_cameras_with_the_scene(scale, shift, point):
    motion = Similarity(scale, translation=shift)
    for rig in (RIGS["fibonacci"], RIGS["orthographic"]):
        pixel, depth = rig[3].project(point)
        moved_pixel, moved_depth = rig.transformed(motion)[3].project(motion.apply(point))
        if depth < 0.1:
            continue
        # Points of 10 units, times 100, beside shifts of 10: 1e-16 of 1e3 over scale and depth.
        np.testing.assert_allclose(moved_depth / scale, depth, rtol=1e-8)
        np.testing.assert_allclose(moved_pixel, pixel, rtol=1e-8, atol=1e-6)


def test_an_orthographic_camera_is_a_pinhole_from_far_away():
    # Rays over an image 1.3 high at a distance D are turned by up to 0.65 / D from the axis, which
    # moves what is 0.5 before or behind the target by up to 0.65 * 0.5 / D: 37 pixels a unit.
    far = 1e6
    flat = Rig.looking_at([(1, 2, 2)], size=48, extent=1.3)
    fov = np.degrees(2 * np.arctan(1.3 / 2 / far))
    pinhole = Rig.looking_at([np.array((1, 2, 2)) / 3 * far], size=48, fov_deg=fov)
    world = np.random.default_rng(0).uniform(-0.28, 0.28, (50, 3))
    pixel, depth = flat[0].project(world)
    far_pixel, far_depth = pinhole[0].project(world)
    np.testing.assert_allclose(far_pixel, pixel, atol=37 * 0.65 * 0.5 / far)
    np.testing.assert_allclose(far_depth - far, depth - 3, atol=1e-9)


def test_a_rig_may_be_of_both_kinds_and_a_part_of_it_keeps_them():
    mixed = Rig(
        RIGS["dodecahedron"].intrinsics, RIGS["dodecahedron"].world_from_camera, 224, 224,
        np.arange(20) % 3 == 0,
    )  # fmt: skip
    assert [camera.orthographic for camera in mixed] == [k % 3 == 0 for k in range(20)]
    assert mixed.subset(np.array([3, 4, 19])).orthographic.tolist() == [True, False, False]
    eyes = mixed.eyes_world
    np.testing.assert_array_equal(eyes[1], [*mixed[1].center_world, 1])
    np.testing.assert_allclose(eyes[3], [*mixed[3].center_world / 1.5, 0], atol=1e-6)


def test_the_paper_s_focal_length():
    # PROTOCOL: 43 degrees over 224 pixels, "284.33 px", to the digits given.
    assert RIGS["dodecahedron"].intrinsics[0, 0, 0] == pytest.approx(284.33, abs=0.005)


def test_dodecahedron_has_the_paper_s_order_and_digits():
    expected = np.array([line.split() for line in PAPER_LIST.split("\n") if line], float) * 1.5
    np.testing.assert_array_equal(RIGS["dodecahedron"].centers_world, expected)


def test_dodecahedron_s_vertices_have_three_neighbours_each():
    centers = RIGS["dodecahedron"].centers_world
    distance = np.linalg.norm(centers[:, None] - centers, axis=2)
    # Edge of a regular dodecahedron of circumradius 1.5, (sqrt(5) - 1) / sqrt(3) * 1.5; six digits.
    edge = (np.sqrt(5) - 1) / np.sqrt(3) * 1.5
    assert (np.isclose(distance, edge, atol=1e-5).sum(axis=1) == 3).all()


@pytest.mark.parametrize("count", [20, 100, 500])
def test_fibonacci_cameras_are_spread_evenly(count):
    directions = Rig.fibonacci(count, distance=1).centers_world
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(directions.mean(axis=0), 0, atol=2 / count)
    nearest = np.sort(np.linalg.norm(directions[:, None] - directions, axis=2), axis=1)[:, 1]
    # The closest packing of N caps has neighbours at sqrt(8 pi / (sqrt(3) N)); the lattice is known
    # to keep 3.09 / 3.81 of that (Gonzalez 2010); nobody may be much nearer nor much farther.
    packing = np.sqrt(8 * np.pi / (np.sqrt(3) * count))
    assert nearest.min() > 0.75 * packing
    assert nearest.max() < 1.1 * packing


def test_turntable_cameras_stand_at_one_height_and_turn_from_z_to_x():
    centers = Rig.turntable(4, elevation_deg=30, distance=2).centers_world
    np.testing.assert_allclose(centers[:, 1], 1, atol=1e-12)  # 2 sin 30
    reach = np.sqrt(3)  # 2 cos 30
    np.testing.assert_allclose(
        centers[:, (2, 0)], [(reach, 0), (0, reach), (-reach, 0), (0, -reach)], atol=1e-12
    )


def test_inverse_poses_undo():
    poses = RIGS["fibonacci"].world_from_camera
    np.testing.assert_allclose(
        invert_poses(poses) @ poses, np.repeat(np.eye(4)[None], len(poses), 0), atol=1e-14
    )


def test_paper_list_as_a_file_gives_the_paper_s_rig(tmp_path):
    (tmp_path / "camPosList.txt").write_text(PAPER_LIST)
    rig = Rig.load(tmp_path / "camPosList.txt")
    # The list's six digits are of unit length to 5e-7, and directions are brought to it exactly.
    np.testing.assert_allclose(
        rig.world_from_camera, RIGS["dodecahedron"].world_from_camera, atol=1e-6
    )


def test_lists_hold_directions_or_with_distance_none_positions(tmp_path):
    (tmp_path / "list.txt").write_text("0 0 4\n1 0 0\n")
    directed = Rig.load(tmp_path / "list.txt", distance=2)
    np.testing.assert_allclose(directed.centers_world, [(0, 0, 2), (2, 0, 0)], rtol=1e-15)
    placed = Rig.load(tmp_path / "list.txt", distance=None)
    np.testing.assert_array_equal(placed.centers_world, [(0, 0, 4), (1, 0, 0)])


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: Rig.looking_at([(0, 0, 0)]), "off the target"),
        (lambda: Rig.looking_at([]), "positions"),
        (lambda: Rig.dodecahedron(distance=0), "distance"),
        (lambda: Rig.dodecahedron(distance=np.nan), "distance"),
        (lambda: Rig.dodecahedron(fov_deg=180), "field of view"),
        (lambda: Rig.dodecahedron(size=0), "image size"),
        (lambda: Rig.fibonacci(0), "number of cameras"),
        (lambda: Rig.dodecahedron(extent=0), "extent"),
        (lambda: Rig.dodecahedron(extent=np.nan), "extent"),
        (lambda: Rig(np.eye(3), np.eye(4)[None], 4, 4, np.array([True, False])), "orthographic"),
        (lambda: Rig(np.eye(3), np.eye(4)[None], 4, 4, np.array(1.1)), "orthographic"),
        (lambda: Rig(np.diag([1.0, 0, 1]), np.eye(4)[None], 4, 4), "focal"),
        (lambda: Rig(np.eye(3), np.diag([1.0, 1, -1, 1])[None], 4, 4), "reflection"),
        (lambda: Rig(np.eye(3), np.eye(4)[None] * np.nan, 4, 4), "nan"),
        (lambda: Rig(np.eye(3) + np.eye(3, k=1), np.eye(4)[None], 4, 4), "skew"),
    ],
)
def test_what_is_no_camera_is_refused(make, word):
    with pytest.raises(InputError, match=word):
        make()


@pytest.mark.parametrize("size", [64, np.int64(64), np.int32(64), (64, 64)])
def test_a_size_may_be_any_whole_number_or_two(size):
    rig = Rig.looking_at([(0, 0, 2)], size=size)
    assert (rig.width, rig.height) == (64, 64)
    assert type(rig.width) is int
    np.testing.assert_array_equal(rig.intrinsics, Rig.looking_at([(0, 0, 2)], size=64).intrinsics)
