"""Pictures show what they say: their size, what was seen, and where a reconstruction is off."""

import imageio.v3 as imageio
import numpy as np
import pytest

import backproject as bp
from backproject.report.pictures import (
    DEPTH_COLORS,
    ERROR_COLORS,
    UNMEASURED,
    contact_sheet,
    error_map,
    side_by_side,
)
from backproject.report.shading import camera_around, shaded


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
