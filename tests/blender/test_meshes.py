"""What Blender shows of its objects is the mesh that comes out, and meshes go in and out again."""

from dataclasses import replace

import numpy as np
import pytest
from shapes import box, joined, sphere

import backproject as bp

bpy = pytest.importorskip("bpy", reason="bpy is not installed: pip install 'backproject[blender]'")

from backproject.blender import meshes  # noqa: E402


def mesh_of(*objects):
    return meshes.mesh_of(objects, bpy.context.evaluated_depsgraph_get())


def add_box(scene, name="box", side=1.0):
    return meshes.add_mesh(name, box(side), scene.collection)


def add_empty(scene, name="empty"):
    empty = bpy.data.objects.new(name, None)
    scene.collection.objects.link(empty)
    return empty


def volume(mesh):
    """Return the signed volume: positive where faces are counter-clockwise from outside."""
    return float(np.linalg.det(mesh.triangles).sum() / 6)


def centres(mesh, count):
    """Return the centres of equal pieces that follow each other, sorted."""
    points = mesh.vertices.reshape(count, -1, 3).mean(axis=1)
    return points[np.lexsort(points.T[::-1])]


def test_a_mesh_comes_back_with_its_support(scene):
    given = sphere(0.5, splits=2)
    support = np.arange(len(given.vertices), dtype=np.int32) % 7
    given = bp.Mesh(given.vertices, given.faces, support)
    back = mesh_of(meshes.add_mesh("sphere", given, scene.collection))
    np.testing.assert_array_equal(back.faces, given.faces)
    np.testing.assert_array_equal(back.support, support)
    np.testing.assert_array_equal(back.vertices, given.vertices.astype(np.float32))


def colored(mesh):
    """Return the mesh with all levels of red, green and blue among its colours."""
    levels = np.arange(len(mesh.vertices))
    colors = np.stack([levels % 256, 255 - levels % 256, 7 * levels % 256], axis=1)
    return replace(mesh, colors=colors.astype(np.uint8))


def test_a_mesh_comes_back_with_its_colours(scene):
    given = colored(sphere(0.5, splits=3))
    assert len(np.unique(given.colors[:, 0])) == 256
    shown = meshes.add_mesh("coloured", given, scene.collection)
    color = shown.data.color_attributes.active_color
    assert (color.name, color.data_type, color.domain) == ("colors", "BYTE_COLOR", "POINT")
    np.testing.assert_array_equal(mesh_of(shown).colors, given.colors)
    assert mesh_of(shown, add_box(scene)).colors is None


def test_a_cloud_keeps_its_colours(scene):
    given = colored(sphere(0.5, splits=3))
    nowhere = np.full(given.vertices.shape, np.nan)
    views = np.full(len(given.vertices), -1, np.int32)
    cloud = bp.PointCloud(given.vertices, nowhere, views, given.colors)
    data = meshes.add_cloud("cloud", cloud, scene.collection).data
    flat = np.empty(4 * len(data.vertices), np.float32)
    data.color_attributes["colors"].data.foreach_get("color_srgb", flat)
    wanted = np.insert(given.colors, 3, 255, axis=1)
    np.testing.assert_array_equal(np.rint(255 * flat.reshape(-1, 4)), wanted)


def test_support_is_known_only_where_all_know_it(scene):
    plain, given = add_box(scene), box()
    known = bp.Mesh(given.vertices, given.faces, np.full(8, 3, np.int32))
    other = meshes.add_mesh("known", known, scene.collection)
    assert mesh_of(plain, other).support is None
    np.testing.assert_array_equal(mesh_of(other, other).support, 3)


def test_objects_are_where_their_transforms_and_parents_put_them(scene):
    parent, child = add_empty(scene, "parent"), add_box(scene)
    child.parent = parent
    parent.location, child.location, child.scale = (10, 0, 0), (0, 2, 0), (2, 2, 3)
    mesh = mesh_of(child)
    np.testing.assert_allclose(mesh.vertices.min(axis=0), (9, 1, -1.5))
    np.testing.assert_allclose(mesh.vertices.max(axis=0), (11, 3, 1.5))
    assert volume(mesh) == pytest.approx(12)


def test_a_negative_scale_leaves_the_outside_outside(scene):
    mirrored = add_box(scene)
    mirrored.scale = (-1, 1, 2)
    assert volume(mesh_of(mirrored)) == pytest.approx(2)


def test_modifiers_count(scene):
    array = add_box(scene)
    modifier = array.modifiers.new("array", "ARRAY")
    modifier.count, modifier.relative_offset_displace = 3, (2, 0, 0)
    mesh = mesh_of(array)
    np.testing.assert_allclose(centres(mesh, 3), [(0, 0, 0), (2, 0, 0), (4, 0, 0)])
    assert volume(mesh) == pytest.approx(3)
    subdivided = add_box(scene, "smooth")
    subdivided.modifiers.new("smooth", "SUBSURF").levels = 3
    assert 0.3 < volume(mesh_of(subdivided)) < 0.9


def test_collections_that_an_empty_repeats_count_in_any_depth(scene):
    inner, outer = bpy.data.collections.new("inner"), bpy.data.collections.new("outer")
    meshes.add_mesh("part", box(), inner).location = (1, 0, 0)
    nested = bpy.data.objects.new("nested", None)
    nested.instance_type, nested.instance_collection = "COLLECTION", inner
    nested.location = (0, 1, 0)
    outer.objects.link(nested)
    top = add_empty(scene, "top")
    top.instance_type, top.instance_collection = "COLLECTION", outer
    top.location, top.scale = (0, 0, 5), (1, 1, -1)
    mesh = mesh_of(top)
    np.testing.assert_allclose(mesh.vertices.mean(axis=0), (1, 1, 5), atol=1e-6)
    assert volume(mesh) == pytest.approx(1)


def test_children_repeated_on_vertices_count(scene):
    parent, child = add_box(scene, "parent", 10.0), add_box(scene, "child")
    child.parent, parent.instance_type = parent, "VERTS"
    parent.show_instancer_for_viewport = False
    mesh = mesh_of(parent)
    np.testing.assert_allclose(np.abs(centres(mesh, 8)), 5)
    assert volume(mesh) == pytest.approx(8)


def test_instances_of_geometry_nodes_count(scene):
    target, shape = add_box(scene, "target", 10.0), add_box(scene, "shape")
    tree = bpy.data.node_groups.new("nodes", "GeometryNodeTree")
    tree.interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    entry, result = tree.nodes.new("NodeGroupInput"), tree.nodes.new("NodeGroupOutput")
    on_points = tree.nodes.new("GeometryNodeInstanceOnPoints")
    info = tree.nodes.new("GeometryNodeObjectInfo")
    info.inputs["Object"].default_value, info.inputs["As Instance"].default_value = shape, True
    tree.links.new(entry.outputs[0], on_points.inputs["Points"])
    tree.links.new(info.outputs["Geometry"], on_points.inputs["Instance"])
    tree.links.new(on_points.outputs["Instances"], result.inputs[0])
    target.modifiers.new("nodes", "NODES").node_group = tree
    mesh = mesh_of(target)
    np.testing.assert_allclose(np.abs(centres(mesh, 8)), 5)
    assert volume(mesh) == pytest.approx(8)


def test_curves_with_a_bevel_are_surfaces(scene):
    data = bpy.data.curves.new("tube", "CURVE")
    data.dimensions, data.bevel_depth, data.use_fill_caps = "3D", 0.1, True
    line = data.splines.new("POLY")
    line.points.add(1)
    line.points[1].co = (0, 0, 2, 1)
    tube = bpy.data.objects.new("tube", data)
    scene.collection.objects.link(tube)
    assert np.ptp(mesh_of(tube).vertices, axis=0) == pytest.approx([0.2, 0.2, 2], rel=1e-5)


def test_only_the_objects_that_were_named(scene):
    wanted, _ = add_box(scene, "wanted"), add_box(scene, "other", 9.0)
    assert volume(mesh_of(wanted)) == pytest.approx(1)


def test_objects_that_show_no_face_are_refused_by_their_names(scene):
    empty, hidden = add_empty(scene), add_box(scene, "hidden")
    hidden.hide_viewport = True
    for given, told in {
        (empty,): "'empty'",
        (hidden, empty): "'hidden', 'empty'",
        (): "none",
    }.items():
        with pytest.raises(bp.InputError, match=f"objects .*{told}.*: no faces"):
            mesh_of(*given)


def test_a_cloud_keeps_normals_and_views(scene):
    normals = np.array([(0, 0, 1), (0, 1, 0), (np.nan, np.nan, np.nan)])
    cloud = bp.PointCloud(np.eye(3), normals, np.array([4, 0, -1]))
    added = meshes.add_cloud("cloud", cloud, scene.collection)
    attributes = added.data.attributes
    np.testing.assert_array_equal([each.co for each in added.data.vertices], np.eye(3))
    np.testing.assert_array_equal(
        [each.vector for each in attributes["normal"].data], np.nan_to_num(normals)
    )
    assert [each.value for each in attributes["view_index"].data] == [4, 0, -1]


def test_an_attribute_of_another_size_is_refused(scene):
    with pytest.raises(
        bp.InputError, match=r"attribute 'error': got shape \(7,\), expected \(8,\)"
    ):
        meshes.add_attribute(add_box(scene).data, "error", np.zeros(7))


def test_many_objects_become_one_mesh(scene):
    near, far = add_box(scene, "near"), add_box(scene, "far", 2.0)
    far.location = (5, 0, 0)
    both = mesh_of(near, far)
    expected = joined(box(), box(2.0, center=(5, 0, 0)))
    np.testing.assert_allclose(np.sort(both.vertices, axis=0), np.sort(expected.vertices, axis=0))
    assert both.is_watertight
