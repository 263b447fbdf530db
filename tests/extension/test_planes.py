"""Displaced planes: exact at strength 1, flat at 0, cut at jumps, driven by one slider."""

import bpy
import numpy as np
import pytest
from scenes import add_monkey, added, inventory, orphans, render, settings, world_vertices

import backproject as bp
from backproject.blender.sheets import sheets_of

ROUNDING = 4e-6
"""Of single precision, where coordinates are up to 8: four roundings of 5e-7, doubled."""


@pytest.fixture
def views(tmp_path):
    render(add_monkey(), tmp_path / "c", rig="fibonacci:5")
    return bp.ViewSet.load(tmp_path / "c")


def expected(views, strength):
    """Return where the vertices of all planes should be, view by view."""
    for sheet, camera in zip(sheets_of(views), views.rig, strict=True):
        pose = camera.world_from_camera
        yield (sheet.flat + strength * sheet.offset) @ pose[:3, :3].T + pose[:3, 3]


def set_strength(planes, strength):
    planes["strength"] = strength
    planes.update_tag()
    bpy.context.view_layer.update()


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_each_pixel_is_on_its_ray_as_far_as_the_slider_says(views, strength):
    bpy.ops.backproject.displaced_planes()
    planes = settings().planes
    set_strength(planes, strength)
    for plane, points in zip(planes.objects, expected(views, strength), strict=True):
        np.testing.assert_allclose(world_vertices(plane), points, atol=ROUNDING)


def test_they_survive_saving_in_full_precision(views, tmp_path):
    bpy.ops.backproject.displaced_planes()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "planes.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "planes.blend"))
    for plane, points in zip(settings().planes.objects, expected(views, 1.0), strict=True):
        np.testing.assert_allclose(world_vertices(plane), points, atol=ROUNDING)


def test_applied_planes_are_plain_meshes_and_leave_nothing(views):
    before = inventory()
    bpy.ops.backproject.displaced_planes(apply=True)
    planes = settings().planes
    assert "strength" not in planes
    for plane, points in zip(planes.objects, expected(views, 1.0), strict=True):
        assert not plane.modifiers
        np.testing.assert_allclose(world_vertices(plane), points, atol=ROUNDING)
    assert added(before) == {"objects": 5, "meshes": 5, "collections": 1}
    assert orphans() == []


def test_joined_planes_are_one_object_and_merging_takes_doubles(views):
    before = inventory()
    bpy.ops.backproject.displaced_planes(join=True)
    joined = bpy.context.active_object
    assert added(before) == {"objects": 1, "meshes": 1, "collections": 1}
    every = np.concatenate(list(expected(views, 1.0)))
    np.testing.assert_allclose(world_vertices(joined), every, atol=ROUNDING)
    bpy.ops.backproject.displaced_planes(join=True, merge=0.05)
    assert len(bpy.context.active_object.data.vertices) < 0.8 * len(every)
    assert orphans() == []


def test_a_view_of_nothing_has_no_plane(views, tmp_path):
    depth = views.depth.copy()
    depth[2] = np.nan
    bp.ViewSet(depth, views.rig).save(tmp_path / "blind")
    bpy.ops.backproject.displaced_planes(directory=str(tmp_path / "blind"))
    assert len(settings().planes.objects) == 4
