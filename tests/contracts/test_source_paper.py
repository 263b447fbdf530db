"""The paper's folders: its bytes and floats come back, and what does not fit is refused."""

from __future__ import annotations

import numpy as np
import pytest
from frames import assert_refused, load, taken
from hypothesis import given, settings
from hypothesis import strategies as st
from paper_files import RIG, SIZE, ball, in_bytes, jpeg, save, save_rows, write_folder

import backproject as bp
from backproject.errors import FileMissingError, FormatError
from backproject.io.rigs import write_camera_list
from backproject.io.rings import ALL, NEARLY_ALL
from backproject.io.sources import paper
from backproject.io.sources.registry import recognise

STEP = 1 / 255


def assert_same(again, views, step=STEP):
    """Half a step is what bytes cost, and float32 half a unit in the last place of 2."""
    np.testing.assert_allclose(again.depth, views.depth, rtol=0, atol=step / 2 + 2e-7)
    np.testing.assert_array_equal(again.rig.world_from_camera, views.rig.world_from_camera)
    np.testing.assert_array_equal(again.rig.intrinsics, views.rig.intrinsics)
    assert again.step == pytest.approx(step)


@pytest.mark.parametrize("three", [False, True])
def test_bytes_come_back_within_half_a_step(three, tmp_path):
    folder = write_folder(ball(), tmp_path / "f", three=three)
    assert recognise(folder) is paper.SOURCE
    assert_same(load(folder), ball())


def test_floats_come_back_exactly(tmp_path):
    assert_same(load(write_folder(ball(), tmp_path / "f", suffix=".txt")), ball(), step=0)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=10)
def test_any_depth_between_near_and_far_comes_back(seed, tmp_path_factory):
    rng = np.random.default_rng(seed)
    depth = rng.uniform(1, 2, (20, 3, 3)).astype(np.float32)
    depth[rng.random(depth.shape) < 0.2] = np.inf
    views = bp.ViewSet(depth, bp.Rig.dodecahedron(size=3))
    folder = tmp_path_factory.getbasetemp() / "paper"
    write_folder(views, folder, suffix=".txt")
    assert_same(load(folder), views, step=0)


def test_floats_are_preferred_to_bytes_and_that_is_told(tmp_path):
    folder = write_folder(ball(), tmp_path / "f")
    views = load(write_folder(ball(), folder, suffix=".txt"))
    assert_same(views, ball(), step=0)
    assert taken(views, "images") == [".txt"]


def test_an_incomplete_set_of_floats_is_not(tmp_path):
    folder = write_folder(ball(), tmp_path / "f")
    save_rows(ball().depth[0], folder / "model_7_Cam_0.txt")
    views = load(folder)
    assert_same(views, ball())
    assert taken(views, "images") == [".png"]


def test_order_is_by_number_and_told(tmp_path):
    (told,) = taken(load(write_folder(ball(), tmp_path / "f")), "order of files")
    assert "model_7_Cam_2.png comes before model_7_Cam_10.png" in told


def test_one_of_several_models_is_asked_for_or_pointed_at(tmp_path):
    folder = write_folder(ball(0.4), tmp_path / "f", model="model_7")
    write_folder(ball(0.2), folder, model="model_10")
    assert_refused(folder, "2 models: model_7, model_10; .*--model", FormatError)
    assert_refused(folder, "no model `8`", FormatError, model="8")
    for views in (
        load(folder, model="10"),
        load(folder, model="model_10"),
        load(folder / "model_10_Cam_3.png"),
    ):
        assert_same(views, ball(0.2))


def test_samples_come_with_masks(tmp_path):
    """White is surface, black background; between the paper's thresholds nothing is known."""
    folder, views = tmp_path / "f", ball()
    for k, depth in enumerate(views.depth):
        seen = np.isfinite(depth)
        noisy = np.where(seen, in_bytes(depth), 3).astype(np.uint8)  # a network's background
        noisy[SIZE // 2, SIZE // 2] = 0  # surface by its mask, background by its depth
        mask = np.where(seen, 255, 0).astype(np.uint8)
        mask[0, :3] = (76, 77, 253)  # 0.298, 0.302, 0.992
        save(noisy, folder / f"chair-{k}-rec.png")
        save(mask, folder / "mask" / f"chair-{k}-rec.png")
    expected = views.depth.copy()
    expected[:, 0, 1:3] = np.nan
    expected[:, SIZE // 2, SIZE // 2] = np.nan
    again = load(folder)
    assert_same(again, bp.ViewSet(expected, RIG))
    assert taken(again, "model") == ["chair-rec"]
    (folder / "mask" / "chair-4-rec.png").unlink()
    assert_refused(folder, r"no mask for chair-4-rec\.png", FileMissingError)


def test_both_kinds_of_samples_are_two_models(tmp_path):
    for kind, radius in (("rec", 0.4), ("or", 0.2)):
        for k, depth in enumerate(ball(radius).depth):
            save(in_bytes(depth), tmp_path / "f" / f"chair-{k}-{kind}.png")
    assert_refused(tmp_path / "f", "chair-or, chair-rec", FormatError)
    assert_same(load(tmp_path / "f", model="chair-or"), ball(0.2))


@pytest.mark.parametrize("by_option", [False, True])
def test_cameras_of_a_list(by_option, tmp_path):
    rig = bp.Rig.fibonacci(5, size=SIZE, distance=1.5)
    views = ball(rig=rig)
    folder = write_folder(views, tmp_path / "f")
    file = (tmp_path if by_option else folder) / "camPosList.txt"
    write_camera_list(rig.centers_world / 1.5, file)
    again = load(folder, camera_file=file if by_option else None)
    np.testing.assert_allclose(again.rig.world_from_camera, rig.world_from_camera, atol=1e-15)
    np.testing.assert_allclose(again.depth, views.depth, atol=STEP / 2 + 2e-7)
    write_camera_list(rig.centers_world, file)  # positions as they are
    again = load(folder, camera_file=file if by_option else None)
    np.testing.assert_allclose(again.rig.world_from_camera, rig.world_from_camera, atol=1e-15)


def test_distances_that_are_not_the_paper_s_must_be_said(tmp_path):
    folder = write_folder(ball(), tmp_path / "f")
    write_camera_list(RIG.centers_world * 2, folder / "camPosList.txt")
    assert_refused(folder, r"camPosList.txt: positions 3 to 3 .*--distance", FormatError)
    views = load(folder, distance=3.0, fov=20.0)
    rig = bp.Rig.dodecahedron(distance=3.0, fov_deg=20.0, size=SIZE)
    # The paper's six digits make directions that are 1e-6 longer or shorter than 1.
    np.testing.assert_allclose(views.rig.world_from_camera, rig.world_from_camera, atol=5e-6)
    np.testing.assert_array_equal(views.rig.intrinsics, rig.intrinsics)
    assert taken(views, "field of view") == ["20 degrees, vertical"]


def test_whole_cameras_of_a_file(tmp_path):
    rig = bp.Rig.fibonacci(4, size=SIZE, distance=1.7, fov_deg=30.0)
    folder = write_folder(ball(rig=rig), tmp_path / "f")
    bp.ViewSet(np.ones((4, SIZE, SIZE), np.float32), rig).save(tmp_path / "cameras")
    again = load(folder, camera_file=tmp_path / "cameras" / "transforms.json")
    np.testing.assert_array_equal(again.rig.intrinsics, rig.intrinsics)
    np.testing.assert_array_equal(again.rig.world_from_camera, rig.world_from_camera)


def test_near_and_far_are_what_the_user_says(tmp_path):
    folder = write_folder(ball(), tmp_path / "f")
    again = load(folder, near=10.0, far=20.0)
    np.testing.assert_allclose(again.depth, 10 * load(folder).depth, rtol=1e-6)


def test_rings_of_jpeg_are_background(tmp_path):
    """Of the truth's background nearly nothing becomes surface, and of its surface little is lost:
    the 7-pixel ball's rim.
    """
    rig = bp.Rig.dodecahedron(size=64)
    views = ball(rig=rig)
    (tmp_path / "f").mkdir()
    for k, depth in enumerate(views.depth):
        content = jpeg(in_bytes(depth), quality=85)
        (tmp_path / "f" / f"model_1_Cam_{k}.jpg").write_bytes(content)
    again = load(tmp_path / "f")
    away = np.isinf(views.depth)
    assert np.isfinite(again.depth[away]).sum() < 1e-3 * away.sum()
    assert np.isinf(again.depth[away]).mean() > 0.97
    assert np.isfinite(again.depth[~away]).mean() > 0.97
    (told,) = taken(again, "background")
    # The standard table at quality 85: steps of 0.3 of its own, an error that deviates by 5.82.
    most, rare = round(NEARLY_ALL * 5.82), round(ALL * 5.82)
    assert told == f"stored numbers up to {most} from 0; up to {rare} not measured"


BAD = {
    "19 of 20": ({"skip": [13]}, "19 images of model_7 for 20 cameras .*: no view 13; "),
    "the last is missing": ({"skip": [19]}, "no view 19"),
}


@pytest.mark.parametrize("case", BAD)
def test_missing_views_are_named(case, tmp_path):
    changes, match = BAD[case]
    assert_refused(write_folder(ball(), tmp_path / "f", **changes), match, FormatError)


def test_a_view_too_many_is_named(tmp_path):
    folder = write_folder(ball(), tmp_path / "f")
    save(in_bytes(ball().depth[0]), folder / "model_7_Cam_20.png")
    assert_refused(folder, "21 images .*view 20 too many", FormatError)


def test_other_bad_folders(tmp_path):
    folder = write_folder(ball(), tmp_path / "two")
    save(in_bytes(ball().depth[0]), folder / "model_7_Cam_03.png")
    assert_refused(folder, "show the same view", FormatError)
    folder = write_folder(ball(), tmp_path / "size")
    save(np.zeros((9, 8), np.uint8), folder / "model_7_Cam_3.png")
    assert_refused(folder, "8 x 9 pixels", FormatError)
    folder = write_folder(ball(), tmp_path / "deep")
    save(np.zeros((SIZE, SIZE), np.uint16), folder / "model_7_Cam_3.png")
    assert_refused(folder, "uint16, expected 8 bits", FormatError)
    folder = write_folder(ball(), tmp_path / "colour")
    save(
        np.arange(SIZE**2 * 3, dtype=np.uint8).reshape(SIZE, SIZE, 3), folder / "model_7_Cam_3.png"
    )
    assert_refused(folder, "colour image", FormatError)
    folder = write_folder(ball(), tmp_path / "cut")
    file = folder / "model_7_Cam_3.png"
    file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(FormatError, match=r"model_7_Cam_3\.png"):
        load(folder)
    folder = write_folder(ball(), tmp_path / "list")
    (folder / "camPosList.txt").write_text("0 0 1\n0 nan 1\n")
    assert_refused(folder, "line 2", FormatError)


def test_other_folders_are_not_taken_for_it(tmp_path):
    for name in ("model_7.png", "Cam_3.png", "model_7_Cam_x.png", "model_7_Cam_1.exr", "a-rec.png"):
        assert paper.model_of(name) is None
    assert not paper.is_paper(tmp_path)
    assert not paper.is_paper(tmp_path / "missing")
