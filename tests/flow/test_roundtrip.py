"""A shape goes to depth maps and comes back: how near, and where."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

import backproject as bp
from backproject.metrics.compare import distances_to
from backproject.pipeline import observe

HEADPHONES = Path(__file__).parents[2] / "examples" / "data" / "cc0_headphones_ngons.obj"
SIZE, FOV, DISTANCE = 96, 43.0, 1.5
FOOTPRINT = 2 * DISTANCE * np.tan(np.radians(FOV) / 2) / SIZE
"""The width of a pixel at the object's centre, in diameters of the object."""
UNITS = bp.Similarity(
    1000.0,
    rotation=np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]]),
    translation=np.array([40_000.0, -7_000.0, 900.0]),
)
"""Metres to millimetres, lying on its side, and forty diameters and more away."""


@pytest.fixture(scope="module")
def mesh():
    return bp.Mesh.load(HEADPHONES)


@pytest.fixture(scope="module")
def rig():
    return bp.Rig.dodecahedron(size=SIZE, fov_deg=FOV, distance=DISTANCE)


@pytest.fixture(scope="module")
def result(mesh, rig):
    return bp.roundtrip(mesh, rig, resolution=64)


@pytest.fixture(scope="module")
def moved(mesh, rig):
    return bp.roundtrip(mesh.transformed(UNITS), rig, resolution=64)


def test_the_headphones_come_back(result):
    """Depth is exact at pixel centres, so that only what lies between them may be off: edges, by
    half a pixel's footprint or so. Let them be a quarter of what is made, and half of what is
    asked for (more of it is thin); inward and outward slips cancel to a tenth.
    """
    assert result.scores.watertight
    assert result.scores.accuracy < FOOTPRINT / 2 / 4
    assert result.scores.completeness < FOOTPRINT / 2 / 2
    assert abs(result.scores.signed_bias) < FOOTPRINT / 2 / 4 / 10
    assert result.scores.f_score(0.005) > 0.9
    assert set(result.seconds) == {"render", "cloud", "fuse", "compare"}


@pytest.mark.parametrize("trip", ["result", "moved"])
def test_the_cloud_lies_on_the_mesh_in_its_own_coordinates(trip, request):
    """Float32 depth resolves 2^-24 of the distance, half a step by rounding twice (the renderer's,
    and that of the scale); the rest is the rays of a scene far from its origin.
    """
    result = request.getfixturevalue(trip)
    unit = result.truth.radius * 2
    off = distances_to(result.truth, result.cloud.points) / unit
    assert len(off) == result.views.silhouettes.sum()
    assert off.max() < 4 * DISTANCE * 2**-23


@pytest.mark.parametrize("trip", ["result", "moved"])
def test_the_reconstruction_lies_on_the_mesh_in_its_own_coordinates(trip, request):
    result = request.getfixturevalue(trip)
    size = np.ptp(result.truth.vertices, axis=0).max()
    for bound in (np.min, np.max):
        np.testing.assert_allclose(
            bound(result.reconstruction.vertices, axis=0),
            bound(result.truth.vertices, axis=0),
            rtol=0,
            atol=2 * FOOTPRINT * size,
        )


def test_neither_units_nor_place_change_how_near_it_comes(result, moved):
    """The rig does not turn with the mesh, so that other pixels see other points: the scores
    differ, but by less than a fortieth of a pixel. The diameter scales.
    """
    assert moved.scores.truth_diameter == pytest.approx(1000 * result.scores.truth_diameter)
    for name in ("accuracy", "completeness", "signed_bias"):
        ours, theirs = getattr(result.scores, name), getattr(moved.scores, name)
        assert theirs == pytest.approx(ours, abs=FOOTPRINT / 40), name


def test_scaling_by_a_power_of_two_changes_no_digit_that_counts(mesh, rig, result):
    """The same views, exactly twice as large: only rounding may differ."""
    twice = bp.roundtrip(mesh.transformed(bp.Similarity(2.0)), rig, resolution=64)
    np.testing.assert_array_equal(twice.views.depth, 2 * result.views.depth)
    assert twice.scores.accuracy == pytest.approx(result.scores.accuracy, rel=1e-3)
    assert twice.scores.completeness == pytest.approx(result.scores.completeness, rel=1e-3)


def test_the_stages_by_hand_give_the_same(mesh, rig, result):
    unit = bp.normalize(mesh)
    views = bp.render(unit.mesh, rig).transformed(unit.world_from_unit)
    np.testing.assert_array_equal(views.depth, observe(mesh, rig).depth)
    reconstruction = bp.fuse(views, resolution=64)
    scores = bp.compare(reconstruction, mesh, views=views)
    np.testing.assert_array_equal(bp.backproject(views).points, result.cloud.points)
    assert asdict(scores) == asdict(result.scores)


def test_the_default_rig_is_the_papers(mesh, monkeypatch):
    """Twenty views of 224 x 224, of which the depth maps alone are asked here."""
    import backproject.pipeline as pipeline

    seen = []
    monkeypatch.setattr(pipeline, "backproject", lambda views, **_: seen.append(views))
    monkeypatch.setattr(pipeline, "fuse", lambda *_, **__: None)
    monkeypatch.setattr(pipeline, "measure", lambda *_, **__: None)
    pipeline.roundtrip(mesh)
    assert seen[0].depth.shape == (20, 224, 224)
