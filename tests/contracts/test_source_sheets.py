"""Sprite sheets: cells come back as views, and grids that are none are refused."""

from __future__ import annotations

import numpy as np
import pytest
from frames import assert_refused, load, taken
from paper_files import RIG, SIZE, ball, in_bytes, one_sheet, save, write_sheets

import backproject as bp
from backproject.errors import FormatError, InputError
from backproject.io.rigs import write_camera_list
from backproject.io.sources import sheets
from backproject.io.sources.registry import recognise

STEP = 1 / 255
MODELS = [ball(0.4), ball(0.3), ball(0.2)]


def assert_same(again, views):
    """Half a step is what bytes cost, and float32 half a unit in the last place of 2."""
    np.testing.assert_allclose(again.depth, views.depth, rtol=0, atol=STEP / 2 + 2e-7)
    np.testing.assert_array_equal(again.rig.world_from_camera, views.rig.world_from_camera)
    np.testing.assert_array_equal(again.rig.intrinsics, views.rig.intrinsics)
    assert again.step == pytest.approx(STEP)


@pytest.mark.parametrize("columns", [1, 2, 3])
@pytest.mark.parametrize("model", [0, 1, 2])
def test_a_sheet_a_view_holds_a_cell_a_model(columns, model, tmp_path):
    folder = write_sheets(MODELS, tmp_path / "s", columns)
    assert recognise(folder) is sheets.SOURCE
    again = load(folder, model=str(model), cell=SIZE)
    assert_same(again, MODELS[model])
    assert "VP-2.png comes before VP-10.png" in taken(again, "order of files")[0]


def test_black_cells_are_no_models(tmp_path):
    folder = write_sheets(MODELS, tmp_path / "s")
    assert_refused(folder, "3 models: 0, 1, 2; .*--model", FormatError, cell=SIZE)
    assert_refused(folder, "no model `3`", FormatError, cell=SIZE, model="3")
    alone = write_sheets(MODELS[:1], tmp_path / "one", padded=3)
    assert_same(load(alone, cell=SIZE), MODELS[0])


def test_cells_are_224_pixels_unless_said(tmp_path):
    views = ball(rig=bp.Rig.dodecahedron())
    folder = write_sheets([views], tmp_path / "s", columns=1, padded=0)
    assert_same(load(folder), views)
    assert_refused(folder, "224 x 224 pixels, .*cells of 100 x 100", FormatError, cell=100)


@pytest.mark.parametrize("columns", [1, 4, 5, 20])
def test_one_sheet_holds_all_views(columns, tmp_path):
    save(one_sheet(ball(), columns), tmp_path / "lamp.png")
    assert recognise(tmp_path / "lamp.png") is sheets.SOURCE
    again = load(tmp_path / "lamp.png")
    assert_same(again, ball())
    assert taken(again, "views") == [
        f"20 cells, {SIZE} x {SIZE} pixels, {columns} a row, row by row"
    ]


def test_one_sheet_may_end_in_black_cells(tmp_path):
    sheet = np.vstack([one_sheet(ball(), 4), np.zeros((SIZE, 4 * SIZE), np.uint8)])
    save(sheet, tmp_path / "lamp.png")
    assert_same(load(tmp_path / "lamp.png", cell=SIZE), ball())
    assert_refused(tmp_path / "lamp.png", "20 squares", FormatError)
    sheet[-1, -1] = 9
    save(sheet, tmp_path / "lamp.png")
    assert_refused(tmp_path / "lamp.png", "24 cells for 20 cameras", FormatError, cell=SIZE)


def test_one_sheet_with_other_cameras(tmp_path):
    rig = bp.Rig.fibonacci(6, size=SIZE)
    save(one_sheet(ball(rig=rig), 3), tmp_path / "lamp.png")
    assert_refused(tmp_path / "lamp.png", "--camera-file", FormatError)
    ball(rig=rig).save(tmp_path / "cameras")
    whole = tmp_path / "cameras" / "transforms.json"
    assert_refused(tmp_path / "lamp.png", "--cell as well", InputError, camera_file=whole)
    assert_same(load(tmp_path / "lamp.png", camera_file=whole, cell=SIZE), ball(rig=rig))
    write_camera_list(rig.centers_world / 1.5, tmp_path / "camPosList.txt")
    again = load(tmp_path / "lamp.png")
    np.testing.assert_allclose(again.rig.world_from_camera, rig.world_from_camera, atol=1e-15)
    assert_refused(tmp_path / "lamp.png", "expected no --model", InputError, model="1")


@pytest.mark.parametrize("one", [False, True])
def test_masks_say_what_is_background(one, tmp_path):
    views = ball()
    seen = np.isfinite(views.depth)
    filled = bp.ViewSet(np.where(seen, views.depth, np.float32(1.9)), RIG)
    masks = [np.where(each, 255, 0).astype(np.uint8) for each in seen]
    path = tmp_path / "lamp.png"
    if one:
        save(one_sheet(filled, 5), path)
        rows = [np.hstack(masks[k : k + 5]) for k in range(0, 20, 5)]
        save(np.vstack(rows), tmp_path / "mask" / "lamp.png")
    else:
        path = write_sheets([filled], tmp_path / "s", columns=1, padded=0)
        for k, mask in enumerate(masks):
            save(mask, path / "mask" / f"VP-{k}.png")
    assert_same(load(path, cell=SIZE), views)
    save(np.zeros((SIZE, 2 * SIZE), np.uint8), path.parent / "mask" / "lamp.png")
    if one:
        assert_refused(path, "the mask of lamp.png is 48 x 24 pixels", FormatError, cell=SIZE)


def test_bad_sheets(tmp_path):
    folder = write_sheets(MODELS[:1], tmp_path / "s", columns=1, padded=0)
    save(np.zeros((2 * SIZE, SIZE), np.uint8), folder / "VP-7.png")
    assert_refused(folder / "VP-7.png", r"VP-7.png: 2 cells, expected 1", FormatError, cell=SIZE)
    (folder / "VP-7.png").unlink()
    assert_refused(folder, "19 sheets for 20 cameras .*: no view 7", FormatError, cell=SIZE)
    save(in_bytes(ball().depth[0]), folder / "VP-06.png")
    assert_refused(folder, "show the same view", FormatError, cell=SIZE)
    black = [bp.ViewSet(np.full_like(ball().depth, np.inf), RIG)]
    assert_refused(write_sheets(black, tmp_path / "b"), "black", FormatError, cell=SIZE)
    with pytest.raises(InputError, match="--cell: got -1"):
        load(folder, cell=-1)
