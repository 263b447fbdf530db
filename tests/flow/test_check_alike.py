"""Real shapes on which another fault explains the views nearly as well as the one that was planted.

Each was once taken for the other. No small shape of the project's own is as ambiguous, so these are
read where they lie beside the checkout.
"""

from pathlib import Path

import pytest
from benchmarks import lamp
from benchmarks.check import random_of
from benchmarks.faults import FAULTS
from benchmarks.judging import judge
from benchmarks.meshes import load_unit

import backproject as bp

SHARED = Path(__file__).parents[2].parent / "shared/data"


def lying_there(name):
    if not (SHARED / name).exists():
        pytest.skip(f"shared/data/{name} is not beside this checkout")
    return SHARED / name


@pytest.mark.parametrize(
    ("mesh", "fault", "seed"),
    [
        ("od_spot.obj", "field of view, ray", 0),  # depth along the ray, and a distance
        ("od_skull.obj", "near and far", 0),  # a field of view and a distance
        ("od_boot.obj", "distance 8-bit", 0),  # poses that are all off
        ("cc0_plasticChair.obj", "white far", 0),  # swapped depth, and a field of view
        ("tm_featuretype.STL", "poses", 0),  # a view that came to rest on another face
        ("tm_featuretype.STL", "poses", 2),  # views that slid along each other, far
        ("cc0_oakChair.obj", "poses", 1),  # views that are farther off than bars are thick
    ],
)
def test_what_was_planted_is_named_and_not_what_looks_like_it(mesh, fault, seed):
    path = lying_there("meshes") / mesh
    views = bp.render(load_unit(path), bp.Rig.dodecahedron())
    planted = FAULTS[fault].plant(views, random_of(seed, fault, path.stem))
    assert judge(FAULTS[fault], planted, bp.check(planted.views)).right


@pytest.mark.parametrize("code", [(1, 2), (0.85, 2.2)])
def test_the_papers_own_noisy_images_tell_their_field_of_view(code):
    """Noise hides what 5 % of it do to the surfaces; 20 % are wrong for all that."""
    truth = bp.ViewSet.load(lying_there("paper_lamp"))
    views = lamp.guessed(truth, lamp.Numbers(1.2 * lamp.FIELD_OF_VIEW, *code))
    diagnosis = bp.check(views)
    wrong = {each.hypothesis for each in diagnosis.findings if each.verdict == "wrong"}
    assert "field of view" in wrong
    assert ("depth's scale" in wrong) == (code != (1, 2))
    assert lamp.numbers_of(diagnosis.apply(views), truth).worst(lamp.TRUTH) < lamp.TARGET
