"""tiles.json: depth maps cut from a figure, of several sizes, with fitted intrinsics."""

from __future__ import annotations

import json

import numpy as np
import pytest
from frames import assert_refused, load, taken
from paper_files import RIG, SIZE, ball, in_bytes, save

from backproject.errors import FileMissingError, FormatError
from backproject.io.sources import tiles
from backproject.io.sources.registry import recognise

RINGS = round(2 * tiles.FIGURE_ERROR)


def write(folder, *, cut=lambda k: (0, 0), change=lambda content: None):  # noqa: ARG005
    """A figure's tiles: `cut` rows and columns are missing at the lower right of tile k."""
    entries = []
    for k, depth in enumerate(ball().depth):
        rows, columns = cut(k)
        save(in_bytes(depth)[: SIZE - rows, : SIZE - columns], folder / "tiles" / f"t{k}.png")
        center = [float(x) + k / 100 for x in RIG.intrinsics[k, :2, 2]]
        entry = {"file": f"tiles/t{k}.png", "cam_index": k, "principal_point_px": center}
        entries.insert(0, entry)
    content = {"fx": 31.0, "fy": 32.0, "tiles": entries}
    change(content)
    (folder / "tiles.json").write_text(json.dumps(content))
    return folder


def test_tiles_come_back_with_their_own_intrinsics_in_the_order_of_cameras(tmp_path):
    folder = write(tmp_path)
    assert recognise(folder) is recognise(folder / "tiles.json") is tiles.SOURCE
    again = load(folder)
    # Half a step is what bytes cost, and float32 half a unit in the last place of 2.
    np.testing.assert_allclose(again.depth, ball().depth, rtol=0, atol=1 / 510 + 2e-7)
    np.testing.assert_array_equal(again.rig.world_from_camera, RIG.world_from_camera)
    expected = RIG.intrinsics.copy()
    expected[:, 0, 0], expected[:, 1, 1] = 31, 32
    expected[:, :2, 2] += np.arange(20)[:, None] / 100
    np.testing.assert_array_equal(again.rig.intrinsics, expected)
    assert again.step == pytest.approx(1 / 255)
    assert taken(again, "field of view") == []


def test_what_a_smaller_tile_does_not_show_is_not_measured(tmp_path):
    again = load(write(tmp_path, cut=lambda k: (k % 3, k % 2)))
    for k, depth in enumerate(again.depth):
        rows, columns = SIZE - k % 3, SIZE - k % 2
        shown = np.zeros((SIZE, SIZE), bool)
        shown[:rows, :columns] = True
        np.testing.assert_array_equal(np.isnan(depth), ~shown)


def test_rings_are_background(tmp_path):
    folder = write(tmp_path)
    pixels = in_bytes(ball().depth[3])
    pixels[0, :3] = (RINGS, RINGS + 1, 5 * tiles.FIGURE_ERROR)
    save(pixels, folder / "tiles" / "t3.png")
    depth = load(folder).depth[3]
    np.testing.assert_array_equal(depth[0, :4], [np.inf, np.nan, np.nan, np.inf])


def dropped(key):
    return lambda content: content["tiles"][4].pop(key)


BAD = {
    "no list": (lambda content: content.update(tiles=3), "no list `tiles`"),
    "no tile": (lambda content: content.update(tiles=[]), "empty"),
    "no focal length": (lambda content: content.pop("fx"), "`fx`"),
    "no file": (dropped("file"), "tile 4"),
    "no camera": (dropped("cam_index"), "tile 4"),
    "no principal point": (dropped("principal_point_px"), "tile 4"),
    "words": (lambda content: content["tiles"][4].update(principal_point_px=["a", 1]), "tile 4"),
    "nan": (lambda content: content["tiles"][4].update(principal_point_px=[np.nan, 1]), "tile 4"),
    "an entry that is none": (lambda content: content["tiles"].insert(4, 7), "tile 4"),
    "19 of 20": (lambda content: content["tiles"].pop(4), "19 tiles for 20 .*: no view 15"),
    "zero focal length": (lambda content: content.update(fx=0), "focal"),
    "outside": (lambda content: content["tiles"][4].update(file="../x.png"), "allow-outside"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_tiles(case, tmp_path):
    change, match = BAD[case]
    folder = write(tmp_path / "f", change=change)
    with pytest.raises(FormatError, match=match) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_images_that_are_not_there_or_are_no_bytes(tmp_path):
    folder = write(tmp_path / "f")
    save(np.zeros((SIZE, SIZE), np.uint16), folder / "tiles" / "t3.png")
    with pytest.raises(FormatError, match=r"t3\.png: holds uint16"):
        load(folder)
    (folder / "tiles" / "t3.png").unlink()
    with pytest.raises(FileMissingError, match=r"t3\.png"):
        load(folder)
    (folder / "tiles.json").write_text("[")
    assert_refused(folder, "not valid JSON", FormatError)
