"""A wrong unit is found whatever the rig, and ordinary views are never suspected."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

import backproject as bp
from backproject.geometry.plausibility import UNITS, blind_view, fitting_unit

SHAPE = bp.normalize(bp.Mesh.from_trimesh(trimesh.creation.box((1, 2, 0.3)))).mesh
ROOM = bp.Mesh.from_trimesh(trimesh.creation.box((6, 3, 8)))
AROUND = {
    "the paper's 20": bp.Rig.dodecahedron(size=48),
    "six": bp.Rig.fibonacci(6, size=48),
    "three": bp.Rig.fibonacci(3, size=48),
    "a turntable": bp.Rig.turntable(30, size=48),
}


def scaled(views, factor):
    return bp.ViewSet(views.depth * np.float32(factor), views.rig)


def outward(positions, directions):
    """Cameras in a room that look away from where they stand."""
    poses = [
        bp.Rig.looking_at([p], target=np.add(p, d), size=48, fov_deg=60).world_from_camera[0]
        for p, d in zip(positions, directions, strict=True)
    ]
    return bp.Rig(bp.Rig.looking_at([(0, 0, 1)], size=48, fov_deg=60).intrinsics[0], poses, 48, 48)


def room(positions, directions):
    inside_out = bp.Mesh(ROOM.vertices, ROOM.faces[:, ::-1])
    return bp.render(inside_out, outward(positions, directions))


TURN = [(np.sin(a), 0.1, np.cos(a)) for a in np.arange(12) * np.pi / 6]
ORDINARY = {
    **{name: (lambda rig=rig: bp.render(SHAPE, rig)) for name, rig in AROUND.items()},
    "one view": lambda: bp.render(SHAPE, bp.Rig.turntable(1, size=48)),
    "two opposite views": lambda: bp.render(SHAPE, bp.Rig.turntable(2, size=48)),
    "turning on the spot": lambda: room(np.zeros((12, 3)), TURN),
    "turning on an arm of 1 cm": lambda: room(np.multiply(TURN, 0.01), TURN),
    "turning on an arm of 1 m": lambda: room(np.multiply(TURN, 1.0), TURN),
    "looking across the room": lambda: room(np.multiply(TURN, 1.2), -np.array(TURN)),
    "walking sideways": lambda: room([(x, 0, 0) for x in np.linspace(-2, 2, 9)], [(0, 0, 1)] * 9),
    "walking ahead": lambda: room([(0, 0, z) for z in np.linspace(-3, 3, 9)], [(0.1, 0, 1)] * 9),
    "back to back": lambda: room([(0.1, 0, 0), (-0.1, 0, 0)], [(1, 0, 0), (-1, 0, 0)]),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_views_are_never_suspected(name):
    views = ORDINARY[name]()
    assert views.silhouettes.any()
    assert fitting_unit(views) is None
    assert blind_view(views) is None


@pytest.mark.parametrize("name", AROUND)
@pytest.mark.parametrize("unit", UNITS)
def test_a_wrong_unit_is_found_and_named(name, unit):
    views = bp.render(SHAPE, AROUND[name])
    assert fitting_unit(scaled(views, 1 / unit)) == unit


MISTAKES = {
    "axes": {"axes": "opengl"},
    "pose": {"pose": "world-to-camera"},
    "axes and pose": {"axes": "opengl", "pose": "world-to-camera"},
    "encoding": {"encoding": "ray"},
    "pixel centre": {"pixel_center": 0},
}


@pytest.mark.parametrize("name", AROUND)
@pytest.mark.parametrize("mistake", MISTAKES)
def test_other_mistakes_are_not_taken_for_a_unit(name, mistake):
    views, rig = bp.render(SHAPE, AROUND[name]), AROUND[name]
    told = (views.depth, rig.intrinsics, rig.world_from_camera)
    assert fitting_unit(bp.ViewSet.from_arrays(*told, **MISTAKES[mistake])) is None


@pytest.mark.parametrize("name", AROUND)
def test_images_in_another_order_or_upside_down_are_not_taken_for_a_unit(name):
    views = bp.render(SHAPE, AROUND[name])
    for depth in (views.depth[::-1], views.depth[:, ::-1, ::-1]):
        assert fitting_unit(bp.ViewSet(depth, views.rig)) is None


def test_noise_without_a_scene_is_no_unit():
    rng = np.random.default_rng(0)
    for _ in range(20):
        rig = AROUND["six"]
        assert fitting_unit(bp.ViewSet(rng.uniform(0.5, 40, (6, 48, 48)), rig)) is None


def test_a_view_of_nothing_where_others_see_the_shape_is_named():
    depth = bp.render(SHAPE, AROUND["six"]).depth.copy()
    depth[4] = np.inf
    k, share = blind_view(bp.ViewSet(depth, AROUND["six"]))
    assert k == 4
    assert share > 0.9


def test_views_of_nothing_that_contradict_nobody_are_let_be():
    views = bp.render(SHAPE, AROUND["six"])
    depth = views.depth.copy()
    depth[4] = np.nan  # knows nothing, so says nothing wrong
    assert blind_view(bp.ViewSet(depth, views.rig)) is None
    aside = bp.Rig.looking_at([(0, 0, 3)], target=(3, 0, 3), size=48)  # looks past the shape
    poses = np.concatenate([views.rig.world_from_camera, aside.world_from_camera])
    rig = bp.Rig(views.rig.intrinsics[0], poses, 48, 48)
    depth = np.concatenate([views.depth, np.full((1, 48, 48), np.inf, np.float32)])
    assert blind_view(bp.ViewSet(depth, rig)) is None
    assert blind_view(bp.ViewSet(np.full_like(depth, np.inf), rig)) is None
