"""Real shapes on which another fault explains the views nearly as well as the one that was planted.

Each was once taken for the other. No small shape of the project's own is as ambiguous, so these are
read where they lie beside the checkout.
"""

from pathlib import Path

import pytest
from benchmarks.check import random_of
from benchmarks.faults import FAULTS
from benchmarks.judging import judge
from benchmarks.meshes import load_unit

import backproject as bp

MESHES = Path(__file__).parents[2].parent / "shared/data/meshes"


@pytest.mark.parametrize(
    ("mesh", "fault"),
    [
        ("od_spot.obj", "field of view, ray"),  # depth along the ray, and a distance
        ("od_skull.obj", "near and far"),  # a field of view and a distance
        ("od_boot.obj", "distance 8-bit"),  # poses that are all off
        ("cc0_plasticChair.obj", "white far"),  # swapped depth, and a field of view
    ],
)
def test_what_was_planted_is_named_and_not_what_looks_like_it(mesh, fault):
    if not MESHES.is_dir():
        pytest.skip("shared/data/meshes is not beside this checkout")
    views = bp.render(load_unit(MESHES / mesh), bp.Rig.dodecahedron())
    planted = FAULTS[fault].plant(views, random_of(0, fault, Path(mesh).stem))
    assert judge(FAULTS[fault], planted, bp.check(planted.views)).right
