"""Every operator, called as from a script, on a monkey and on the headphones."""

import bpy
import numpy as np
import pytest
from scenes import (
    add_headphones,
    add_monkey,
    added,
    inventory,
    orphans,
    render,
    scores_of,
    select,
    settings,
    values,
    world_vertices,
)

import backproject as bp
from backproject.blender.cameras import rig_of
from backproject.blender.meshes import mesh_of

SHAPES = {"monkey": add_monkey, "headphones": add_headphones}
ONE_PIXEL = 0.0026
"""The mean error that half a pixel of the paper's cameras makes, in diameters."""


@pytest.fixture(params=SHAPES)
def target(request):
    return SHAPES[request.param]()


@pytest.fixture
def monkey():
    return add_monkey()


@pytest.fixture
def capture(monkey, tmp_path):
    render(monkey, tmp_path / "capture")
    return bp.ViewSet.load(tmp_path / "capture")


def surface_of(shown):
    return mesh_of([shown], bpy.context.evaluated_depsgraph_get())


def test_the_library_comes_from_the_zip():
    import numba
    import scipy

    user = bpy.utils.resource_path("USER")
    assert all(module.__file__.startswith(user) for module in (bp, numba, scipy))


class TestAddRig:
    def test_cameras_stand_around_the_centre_and_look_at_it(self, target):
        bpy.ops.backproject.add_rig(rig="fibonacci:12", size=64, fov=30, distance=2)
        rig = rig_of(list(settings().cameras.objects), bpy.context.scene)
        surface = surface_of(target)
        assert len(rig) == 12
        assert (rig.width, rig.height) == (64, 64)
        away = np.linalg.norm(rig.centers_world - surface.centroid, axis=1)
        np.testing.assert_allclose(away, 2 * 2 * surface.radius, rtol=1e-5)
        for camera in rig:
            pixel, _ = camera.project(surface.centroid)
            np.testing.assert_allclose(pixel, (32, 32), atol=1e-3)

    def test_a_turntable_turns_about_blenders_z(self, monkey):
        bpy.ops.backproject.add_rig(rig="turntable:5")
        heights = [each.matrix_world.translation.z for each in settings().cameras.objects]
        np.testing.assert_allclose(heights, heights[0], atol=1e-5)
        upright = [each.matrix_world.to_3x3().col[1].z for each in settings().cameras.objects]
        assert min(upright) > 0.9
        assert monkey.matrix_world.translation.z < heights[0]

    def test_it_keeps_the_selection_and_adds_cameras_alone(self, monkey):
        before = inventory()
        bpy.ops.backproject.add_rig(rig="turntable:3")
        assert added(before) == {"objects": 3, "cameras": 3, "collections": 1}
        assert bpy.context.active_object == monkey
        assert bpy.context.selected_objects == [monkey]
        assert orphans() == []


class TestRenderDepth:
    @pytest.mark.parametrize("renderer", ["blender", "embedded"])
    def test_depth_is_that_of_the_object_where_it_stands(self, target, renderer, tmp_path):
        bpy.ops.backproject.add_rig(rig="turntable:3", size=64)
        before = inventory()
        bpy.ops.backproject.render_depth(directory=str(tmp_path / "c"), renderer=renderer)
        views = bp.ViewSet.load(tmp_path / "c")
        expected = bp.render(surface_of(target), views.rig)
        both = views.silhouettes & expected.silhouettes
        assert (views.silhouettes != expected.silhouettes).mean() < 0.005  # outlines
        off = np.abs(views.depth[both] - expected.depth[both]) / surface_of(target).radius
        assert np.quantile(off, 0.99) < 1e-5
        assert added(before) == {}
        assert bpy.path.abspath(settings().directory) == str(tmp_path / "c")

    def test_selected_cameras_are_taken_instead_of_the_rigs(self, monkey, tmp_path):
        bpy.ops.backproject.add_rig(rig="turntable:12", size=32)
        cameras = list(settings().cameras.objects)
        select(monkey, cameras[10], cameras[2])
        bpy.ops.backproject.render_depth(directory=str(tmp_path / "c"), renderer="embedded")
        views = bp.ViewSet.load(tmp_path / "c")
        chosen = rig_of([cameras[2], cameras[10]], bpy.context.scene)
        np.testing.assert_array_equal(views.rig.world_from_camera, chosen.world_from_camera)

    @pytest.mark.usefixtures("monkey")
    def test_depth_is_kept_without_a_folder_and_found_after_reopening(self, tmp_path):
        bpy.ops.backproject.add_rig(rig="turntable:3", size=32)
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shape.blend"))
        bpy.ops.backproject.render_depth()
        assert settings().directory == "//shape_depth"
        bpy.ops.wm.save_mainfile()
        (tmp_path / "moved").mkdir()
        for each in ("shape.blend", "shape_depth"):
            (tmp_path / each).rename(tmp_path / "moved" / each)
        bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "moved" / "shape.blend"))
        assert bpy.ops.backproject.point_cloud() == {"FINISHED"}

    @pytest.mark.usefixtures("monkey")
    def test_an_unsaved_scene_has_one_folder_of_its_own(self):
        bpy.ops.backproject.add_rig(rig="turntable:2", size=32)
        bpy.ops.backproject.render_depth(renderer="embedded")
        first = settings().directory
        bpy.ops.backproject.render_depth(renderer="embedded")
        assert settings().directory == first
        assert len(bp.ViewSet.load(first)) == 2


class TestImportDepth:
    def test_a_capture_is_used_where_it_lies_and_its_cameras_are_added(self, tmp_path):
        rig = bp.Rig.fibonacci(4, size=(40, 30))
        views = bp.ViewSet(np.full((4, 30, 40), 1.5, np.float32), rig)
        views.save(tmp_path / "c")
        bpy.ops.backproject.import_depth(filepath=str(tmp_path / "c"))
        assert settings().directory == str(tmp_path / "c")
        there = rig_of(list(settings().cameras.objects), bpy.context.scene)
        np.testing.assert_allclose(there.intrinsics, rig.intrinsics, rtol=1e-6)
        np.testing.assert_allclose(there.world_from_camera, rig.world_from_camera, atol=1e-6)

    def test_options_overrule_the_source_and_the_result_is_a_capture(self, tmp_path):
        rig = bp.Rig.fibonacci(3, size=32)
        bp.ViewSet(np.full((3, 32, 32), 1.5, np.float32), rig).save(tmp_path / "c")
        bpy.ops.backproject.import_depth(
            filepath=str(tmp_path / "c"), depth_scale=2.0, out=str(tmp_path / "scaled")
        )
        np.testing.assert_allclose(bp.ViewSet.load(tmp_path / "scaled").depth, 3.0)
        assert settings().directory == str(tmp_path / "scaled")

    @pytest.mark.parametrize("depth_format", ["exr", "png"])
    def test_other_depth_images_are_read(self, capture, depth_format, tmp_path):
        capture.save(tmp_path / "other", depth_format=depth_format)
        bpy.ops.backproject.import_depth(filepath=str(tmp_path / "other"))
        assert bpy.ops.backproject.point_cloud() == {"FINISHED"}


class TestPointCloud:
    def test_points_lie_where_they_were_seen(self, capture):
        before = inventory()
        bpy.ops.backproject.point_cloud()
        shown = bpy.context.active_object
        cloud = bp.backproject(capture)
        np.testing.assert_allclose(world_vertices(shown), cloud.points, atol=1e-5)
        np.testing.assert_array_equal(values(shown.data, "view_index"), cloud.view_index)
        normals = values(shown.data, "normal", "vector")
        known = np.isfinite(cloud.normals).all(axis=1)
        np.testing.assert_allclose(normals[known], cloud.normals[known], atol=1e-6)
        assert added(before) == {"objects": 1, "meshes": 1}
        assert bpy.context.selected_objects == [shown]

    def test_consistent_leaves_out_what_the_others_deny(self, capture, tmp_path):
        depth = capture.depth.copy()
        depth[0] *= 0.9
        bp.ViewSet(depth, capture.rig).save(tmp_path / "off")
        bpy.ops.backproject.point_cloud(directory=str(tmp_path / "off"), consistent=True)
        points = bpy.context.active_object.data
        whose = values(points, "view_index")
        assert np.count_nonzero(whose == 0) < 0.05 * np.isfinite(depth[0]).sum()
        assert np.count_nonzero(whose == 1) > 0.3 * np.isfinite(depth[1]).sum()


class TestFuse:
    def test_the_fused_object_lies_on_the_original(self, target):
        bpy.ops.backproject.add_rig()
        bpy.ops.backproject.render_depth(renderer="embedded")
        before = inventory()
        bpy.ops.backproject.fuse(resolution=160)
        assert added(before) == {"objects": 1, "meshes": 1, "materials": 2}
        fused = bpy.context.active_object
        assert fused.name == f"{target.name} fused"
        assert bpy.context.selected_objects == [fused]
        scores = bp.compare(surface_of(fused), surface_of(target), samples=20_000)
        assert scores.accuracy < ONE_PIXEL
        assert scores.watertight
        assert orphans() == []

    def test_the_unseen_is_marked_and_looks_so(self, monkey, tmp_path):
        render(monkey, tmp_path / "c", rig="turntable:3")
        bpy.ops.backproject.fuse(resolution=64)
        data = bpy.context.active_object.data
        unseen = values(data, "unseen")
        corners = np.empty(3 * len(data.polygons), np.int32)
        data.polygons.foreach_get("vertices", corners)
        support = values(data, "support")[corners.reshape(-1, 3)]
        np.testing.assert_array_equal(unseen, (support == 0).any(axis=1))
        assert 0 < unseen.mean() < 1
        materials = np.empty(len(data.polygons), np.int32)
        data.polygons.foreach_get("material_index", materials)
        np.testing.assert_array_equal(materials, unseen)
        seen_color, color = (each.diffuse_color[:] for each in data.materials)
        assert seen_color != color

    def test_seen_leaves_the_unseen_out(self, monkey, tmp_path):
        render(monkey, tmp_path / "c", rig="turntable:3")
        bpy.ops.backproject.fuse(resolution=64, surface="seen")
        assert not values(bpy.context.active_object.data, "unseen").any()

    @pytest.mark.usefixtures("capture")
    def test_simplify_leaves_triangles_out(self):
        bpy.ops.backproject.fuse(resolution=64)
        every = len(bpy.context.active_object.data.polygons)
        bpy.ops.backproject.fuse(resolution=64, simplify=0.05)
        assert len(bpy.context.active_object.data.polygons) < every / 2

    @pytest.mark.usefixtures("capture")
    def test_fusing_twice_shares_the_materials(self):
        bpy.ops.backproject.fuse(resolution=48)
        before = inventory()
        bpy.ops.backproject.fuse(resolution=48)
        assert added(before) == {"objects": 1, "meshes": 1}


class TestCompare:
    @pytest.mark.usefixtures("capture")
    def test_scores_are_the_librarys_and_the_error_is_painted(self, monkey):
        bpy.ops.backproject.fuse(resolution=64)
        fused = bpy.context.active_object
        before = inventory()
        bpy.ops.backproject.compare(truth=monkey.name, samples=5000)
        expected = bp.compare(surface_of(fused), surface_of(monkey), samples=5000)
        scores = scores_of(fused)
        assert scores["chamfer"] == pytest.approx(expected.chamfer)
        assert scores["f_score"] == pytest.approx(expected.to_dict()["f_score"])
        error = values(fused.data, "error")
        assert error.shape == (len(fused.data.vertices),)
        assert error.mean() / expected.truth_diameter < ONE_PIXEL
        colors = values(fused.data, "error_color", "color_srgb")
        far, near = np.argmax(error), np.argmin(error)
        assert not np.allclose(colors[far], colors[near])
        assert fused.data.color_attributes.active_color.name == "error_color"
        assert added(before) == {"materials": 1}

    def test_a_moved_object_is_off_by_the_way_it_was_moved(self, monkey):
        twin = monkey.copy()
        twin.data = monkey.data.copy()
        bpy.context.collection.objects.link(twin)
        twin.location.z += 1.0
        select(twin, monkey)
        bpy.ops.backproject.compare(samples=2000)
        assert values(twin.data, "error").max() <= 1.0 + 1e-5
        assert scores_of(twin)["accuracy"] > 0.01

    def test_a_hidden_truth_is_compared_too(self, monkey):
        twin = monkey.copy()
        bpy.context.collection.objects.link(twin)
        monkey.hide_set(True)
        select(twin)
        bpy.ops.backproject.compare(truth=monkey.name, samples=1000)
        assert scores_of(twin)["chamfer"] < 1e-6
        assert monkey.hide_get()

    @pytest.mark.usefixtures("capture")
    def test_comparing_again_replaces_what_was_painted(self, monkey):
        bpy.ops.backproject.fuse(resolution=48)
        fused = bpy.context.active_object
        for _ in range(2):
            bpy.ops.backproject.compare(truth=monkey.name, samples=1000)
        assert [each.name for each in fused.data.color_attributes] == ["error_color"]
        assert len(fused.data.materials) == 3

    def test_with_a_capture_only_the_seen_is_asked_for(self, monkey, tmp_path):
        render(monkey, tmp_path / "c", rig="turntable:1")
        bpy.ops.backproject.fuse(resolution=48, surface="seen")
        fused = bpy.context.active_object
        bpy.ops.backproject.compare(truth=monkey.name, samples=2000)
        asked_for_all = scores_of(fused)["completeness"]
        bpy.ops.backproject.compare(truth=monkey.name, samples=2000, directory=str(tmp_path / "c"))
        assert scores_of(fused)["completeness"] < asked_for_all / 5


class TestCheckCameras:
    @pytest.mark.usefixtures("capture")
    def test_good_cameras_agree(self):
        bpy.ops.backproject.check_cameras()
        assert "the views agree" in settings().findings

    def test_mirrored_images_are_found_and_mended(self, monkey, tmp_path):
        render(monkey, tmp_path / "c", rig="dodecahedron")
        views = bp.ViewSet.load(tmp_path / "c")
        bp.ViewSet(views.depth[:, :, ::-1], views.rig).save(tmp_path / "mirrored")
        bpy.ops.backproject.check_cameras(directory=str(tmp_path / "mirrored"), mend=True)
        assert settings().directory == str(tmp_path / "mirrored_mended")
        assert "mirrored" in settings().findings
        mended = bp.ViewSet.load(tmp_path / "mirrored_mended")
        np.testing.assert_array_equal(mended.depth, views.depth)
        assert len(settings().cameras.objects) == len(views)
