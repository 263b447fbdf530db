"""`backproject check` from end to end: what is planted is named, mended and written."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from shapes import sphere_views

import backproject as bp
from backproject.checking.numbers import find_numbers
from backproject.checking.turns import turned
from backproject.cli.main import main
from backproject.geometry.conventions import ray_lengths

HEADPHONES = Path(__file__).parents[2] / "examples" / "data" / "cc0_headphones_ngons.obj"


@pytest.fixture(scope="module")
def clean():
    mesh = bp.normalize(bp.Mesh.load(HEADPHONES)).mesh
    return bp.render(mesh, bp.Rig.dodecahedron(size=96))


def one_turned(views):
    return turned(views, np.eye(20, dtype=np.int64)[3])


def text_order(views):
    return replace(views, depth=views.depth[sorted(range(20), key=str)])


def wide(views, factor=0.9):
    intrinsics = views.rig.intrinsics.copy()
    intrinsics[:, (0, 1), (0, 1)] *= factor
    return replace(views, rig=replace(views.rig, intrinsics=intrinsics))


def aside(views, moved=(9, -8.5)):
    intrinsics = views.rig.intrinsics.copy()
    intrinsics[:, :2, 2] += moved
    return replace(views, rig=replace(views.rig, intrinsics=intrinsics))


def along_rays(views):
    lengths = np.stack([ray_lengths(views.rig, k) for k in range(len(views))])
    return replace(views, depth=(views.depth * lengths).astype(np.float32))


def test_clean_views_agree(clean):
    diagnosis = bp.check(clean)
    assert diagnosis.agrees
    assert not [each for each in diagnosis.findings if each.verdict == "wrong"]
    assert diagnosis.apply(clean) is clean


@pytest.mark.parametrize("size", [64, 96])
def test_a_ball_of_few_pixels_explains_much_and_nothing_is_called_wrong(size):
    diagnosis = bp.check(sphere_views(0.4, bp.Rig.dodecahedron(size=size)))
    assert diagnosis.agrees
    assert "wrong" not in {each.verdict for each in diagnosis.findings}


@pytest.mark.parametrize(
    ("fault", "hypothesis", "told"),
    [
        (one_turned, "images", "view 3 turned left"),
        (text_order, "order of images", "text order"),
        (wide, "field of view", "43"),
        (aside, "principal point", "moved by (-9.0"),
    ],
)
def test_a_fault_is_named_and_mended(clean, tmp_path, capsys, fault, hypothesis, told):
    fault(clean).save(tmp_path / "capture")
    places = ["-o", tmp_path / "fixed", "--json", tmp_path / "findings.json"]
    assert main([str(word) for word in ("check", tmp_path / "capture", *places)]) == 0
    assert "once mended" in capsys.readouterr().out
    findings = json.loads((tmp_path / "findings.json").read_text())["findings"]
    (wrong,) = [each for each in findings if each["verdict"] == "wrong"]
    assert wrong["hypothesis"] == hypothesis
    assert told in wrong["best"]
    assert wrong["best_score"] > wrong["given_score"]
    fixed = bp.ViewSet.load(tmp_path / "fixed")
    if fault in (wide, aside):
        np.testing.assert_allclose(fixed.rig.intrinsics, clean.rig.intrinsics, rtol=5e-3)
    else:
        np.testing.assert_array_equal(fixed.depth, clean.depth)


def test_a_principal_point_is_found_where_surfaces_lead_astray():
    """From where it is given, the band of the headphones comes to rest on itself, 15 pixels off."""
    mesh = bp.normalize(bp.Mesh.load(HEADPHONES)).mesh
    views = bp.render(mesh, bp.Rig.dodecahedron(size=224))
    found = find_numbers(aside(views, (20, -18)), free=("center",))
    np.testing.assert_allclose(found.center, (-20, 18), atol=0.1)


def test_two_faults_are_named_and_mended(clean):
    diagnosis = bp.check(turned(text_order(clean), np.full(20, 4)))
    told = {each.hypothesis: each.best for each in diagnosis.findings if each.verdict == "wrong"}
    assert told == {
        "order of images": "text order (0 1 10 11 ...)", "images": "all mirrored left to right"
    }  # fmt: skip
    np.testing.assert_array_equal(
        diagnosis.apply(turned(text_order(clean), np.full(20, 4))).depth, clean.depth
    )


@pytest.mark.parametrize("factor", [1.015, 1.1])
def test_a_field_of_view_is_found_with_ray_distance_and_not_taken_for_a_distance(clean, factor):
    diagnosis = bp.check(wide(along_rays(clean), factor))
    wrong = {each.hypothesis: each.best for each in diagnosis.findings if each.verdict == "wrong"}
    assert set(wrong) == {"depth", "field of view"}
    assert wrong["depth"] == "along the ray"
    assert float(wrong["field of view"].split()[0]) == pytest.approx(43, rel=5e-3)


def test_what_nothing_explains_is_not_mended_and_nothing_is_called_wrong():
    """Every view shows another ball elsewhere: no camera explains that."""
    rig = bp.Rig.fibonacci(6, size=48)
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:48, :48] + 0.5
    depth = np.full((6, 48, 48), np.inf)
    for view in depth:
        across, down = rng.uniform(14, 34, 2)
        ball = (rows - down) ** 2 + (columns - across) ** 2 < rng.uniform(6, 12) ** 2
        view[ball] = rng.uniform(1.1, 1.9)
    views = bp.ViewSet(depth, rig)
    diagnosis = bp.check(views)
    assert not diagnosis.explained
    assert not diagnosis.agrees
    assert diagnosis.apply(views) is views
    assert "wrong" not in {each.verdict for each in diagnosis.findings}


def test_views_that_see_nothing_are_refused(clean):
    empty = replace(clean, depth=np.full_like(clean.depth, np.inf))
    with pytest.raises(bp.InputError, match="0 of 20 see anything"):
        bp.check(empty)


def test_fusing_contradictions_warns_and_says_what_to_do(clean, tmp_path, capsys):
    with pytest.warns(bp.ContradictionWarning, match="contradict each other"):
        bp.fuse(text_order(clean), resolution=32)
    text_order(clean).save(tmp_path / "capture")
    words = ("fuse", tmp_path / "capture", "-o", tmp_path / "mesh.ply", "--resolution", 32)
    assert main([str(word) for word in words]) == 0
    assert "contradict each other" in capsys.readouterr().err
