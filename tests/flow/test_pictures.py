"""Pictures show what they say: their size, what was seen, and where a reconstruction is off."""

import imageio.v3 as imageio
import numpy as np
import pytest
from shapes import joined, rectangle, sphere

import backproject as bp
from backproject.report.pictures import (
    DEPTH_COLORS,
    ERROR_COLORS,
    UNMEASURED,
    contact_sheet,
    error_map,
    side_by_side,
)
from backproject.report.shading import (
    CLAY,
    INFERRED,
    camera_around,
    inferred_points,
    shaded,
    visible_surface,
)


def tetrahedron(scale=1.0):
    corners = np.array([(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)]) * (scale / 2)
    return bp.Mesh(corners, np.array([(0, 1, 2), (0, 3, 1), (0, 2, 3), (1, 3, 2)]))


def read(path):
    return imageio.imread(path)[..., :3] / 255


def share_near(image, color, within=0.02):
    return (np.abs(image - np.asarray(color)[:3]).max(axis=-1) < within).mean()


@pytest.fixture
def sheet(tmp_path):
    """Four views: near, far, empty and not measured."""
    depth = np.stack([np.full((32, 48), z) for z in (1.0, 2.0, np.inf, np.nan)])
    rig = bp.Rig.looking_at([(1, 0, 1), (0, 1, 1), (0, 0, 2), (0, 0, 1)], size=(48, 32))
    path = tmp_path / "new" / "depth.png"
    contact_sheet(bp.ViewSet(depth, rig), path)
    return path


def test_the_contact_sheet_tells_near_far_empty_and_unmeasured_apart(sheet):
    image = read(sheet)
    height, width = image.shape[:2]
    assert width > height > 50  # four images of 3:2 in one row
    row = image[int(height * 0.7)]
    cells = [row[int(width * at)] for at in (0.1, 0.3, 0.5, 0.7)]
    np.testing.assert_allclose(cells[0], DEPTH_COLORS(0.0)[:3], atol=0.01)
    np.testing.assert_allclose(cells[1], DEPTH_COLORS(1.0)[:3], atol=0.01)
    np.testing.assert_allclose(cells[2], (1, 1, 1), atol=0.01)
    np.testing.assert_allclose(cells[3], UNMEASURED, atol=0.01)


def test_nothing_is_left_beside_a_picture(sheet):
    assert [path.name for path in sheet.parent.iterdir()] == ["depth.png"]


def test_truth_and_an_equal_reconstruction_look_alike(tmp_path):
    path = tmp_path / "pair.png"
    side_by_side(tetrahedron(), tetrahedron(), path)
    image = read(path)
    height, width = image.shape[:2]
    below = image[height // 6 :]  # under titles and captions
    left, right = below[:, : width // 2], below[:, width // 2 :]
    np.testing.assert_array_equal(left, right)
    assert 0.1 < (left < 0.95).any(axis=-1).mean() < 0.6  # a shape, on white


def test_each_face_has_one_shade_and_faces_differ():
    rig = camera_around(tetrahedron(), (0.9, 0.5, 0.3), 80)
    image = shaded(tetrahedron(), rig)
    assert image.shape == (80, 80, 3)
    shades, counts = np.unique(image.reshape(-1, 3).round(2), axis=0, return_counts=True)
    flat = shades[counts > 0.05 * 80 * 80]
    assert (flat == 1).all(axis=1).any()  # white around it
    assert len(flat) >= 3  # and two faces at least, each in a shade of its own


@pytest.mark.parametrize(
    ("scale", "end"),
    [(1.0, 0.0), (1.2, 1.0)],  # exact; off by some hundredths of the diameter: past the scale's end
)
def test_the_error_map_is_pale_where_right_and_red_where_wrong(tmp_path, scale, end):
    path = tmp_path / "error.png"
    error_map(tetrahedron(scale), tetrahedron(), path)
    image = read(path)
    height, width = image.shape[:2]
    shapes = image[height // 6 :, : int(width * 0.85)]  # without titles and scale
    shown = shapes[(shapes < 0.97).any(axis=-1)]
    redness = shown[:, 0] - shown[:, 1]  # whatever the light
    wanted = ERROR_COLORS(end)[0] - ERROR_COLORS(end)[1]
    assert np.sign(np.median(redness) - 0.1) == np.sign(wanted - 0.1)


def test_meshes_without_faces_are_refused(tmp_path):
    nothing = bp.Mesh(np.zeros((3, 3)), np.zeros((0, 3), int))
    for draw in (side_by_side, error_map):
        with pytest.raises(bp.InputError, match="without faces"):
            draw(nothing, tetrahedron(), tmp_path / "x.png")
        with pytest.raises(bp.InputError, match="without faces"):
            draw(tetrahedron(), nothing, tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()


def supported(mesh, support):
    return bp.Mesh(mesh.vertices, mesh.faces, np.broadcast_to(support, len(mesh.vertices)))


def share_inferred(mesh, direction):
    rig = camera_around(mesh, direction, 100)
    surface = visible_surface(mesh, rig)
    return inferred_points(surface, mesh, rig).mean()


@pytest.mark.parametrize("direction", [(0, 0, 1), (0, 0, -1), (1, 0, 0), (0.3, -0.5, -0.4)])
def test_of_a_half_seen_ball_the_other_half_is_drawn_as_inferred(direction):
    ball = sphere(splits=4)
    upper = supported(ball, np.where(ball.vertices[:, 2] > 0, 3, 0))
    rig = camera_around(upper, direction, 100)
    surface = visible_surface(upper, rig)
    inferred, height = inferred_points(surface, upper, rig), surface.points[:, 2]
    assert not inferred[height > 0.083].any()  # no edge is longer
    assert inferred[height <= 0].all()


def test_of_a_sheet_whose_sides_lie_on_one_another_the_one_that_is_looked_at_is_drawn():
    front = rectangle((0, 0), (1, 1))
    back = bp.Mesh(front.vertices, front.faces[:, ::-1])
    sheet = supported(joined(front, back), np.repeat([3, 0], 4))
    assert share_inferred(sheet, (0.2, 0.3, 1)) == 0
    assert share_inferred(sheet, (0.2, 0.3, -1)) == 1


def violet(image):
    """Return the share of pixels that are more violet than anything else in the pictures."""
    return (image[..., 2] - image[..., 1] > 0.12).mean()


@pytest.mark.parametrize("draw", [side_by_side, error_map])
@pytest.mark.parametrize(
    ("support", "least", "most"),
    [(None, 0, 0), (3, 0, 1e-3), (0, 0.03, 0.5)],  # of all seen, the key alone is violet
)
def test_inferred_surface_is_violet_and_the_key_says_so(draw, support, least, most, tmp_path):
    mesh = tetrahedron() if support is None else supported(tetrahedron(), support)
    arguments = (tetrahedron(), mesh) if draw is side_by_side else (mesh, tetrahedron())
    draw(*arguments, tmp_path / "picture.png")
    image = read(tmp_path / "picture.png")
    assert least <= violet(image) <= most
    height, width = image.shape[:2]
    key = image[: height // 20, width // 2 :]
    assert (key.min() < 0.9) == (support is not None)
    if draw is side_by_side:
        assert violet(image[:, : width // 2]) == 0  # the truth is never inferred


def test_a_colour_for_what_is_inferred_is_asked_for():
    mesh = supported(tetrahedron(), 0)
    rig = camera_around(mesh, (0.9, 0.5, 0.3), 40)
    np.testing.assert_array_equal(shaded(mesh, rig), shaded(tetrahedron(), rig, color=CLAY))
    np.testing.assert_array_equal(
        shaded(mesh, rig, inferred=INFERRED), shaded(tetrahedron(), rig, color=INFERRED)
    )
