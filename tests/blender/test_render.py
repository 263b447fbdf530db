"""Cycles sees what the embedded rasteriser sees, and leaves Blender as it was."""

import warnings
from dataclasses import replace
from pathlib import Path
from tempfile import gettempdir
from types import SimpleNamespace

import numpy as np
import pytest
from shapes import box, rectangle, sphere

import backproject as bp

bpy = pytest.importorskip("bpy", reason="bpy is not installed: pip install 'backproject[blender]'")

from backproject.blender import meshes  # noqa: E402
from backproject.blender import render as cycles  # noqa: E402

REPOSITORY = Path(__file__).parents[2]
HEADPHONES = REPOSITORY / "examples" / "data" / "cc0_headphones_ngons.obj"
REAL_MESHES = sorted((REPOSITORY.parent / "shared/data/meshes").glob("*.*"))
ASKEW = np.array([[61.0, 0, 23.7], [0, 83.0, 40.1], [0, 0, 1]])  # off centre, pixels not square
NUDGE = 1e-4
"""How far from a pixel's centre Cycles may look, in pixels: some roundings of a place in the image
in single precision.
"""
EXACT = 1e-5
"""How far its depth may be off, in diameters of what is seen."""
SLIVERS, OFF_THERE = 1e-4, 1e-3
"""The share of pixels that may be further off, and how far: on needle-like triangles Cycles, which
intersects in single precision, loses some digits (22 of a million pixels of the headphones).
"""


def rig_askew(positions, target=(0.03, -0.02, 0.01)):
    poses = bp.Rig.looking_at(positions, target=target).world_from_camera
    return bp.Rig(ASKEW, poses, 52, 67)


def nudged(rig, right, down):
    """Return the same rig, whose pixels look a little to the side."""
    intrinsics = rig.intrinsics.copy()
    intrinsics[:, :2, 2] -= right, down
    return replace(rig, intrinsics=intrinsics)


def assert_seen_alike(views, mesh, diameter=1.0):
    """Claim that each depth is what the rasteriser finds at the pixel's centre, or next to it:
    on a silhouette that is something or nothing, on a steep face a span of depth.
    """
    sides = [(0, 0), *((x * NUDGE, y * NUDGE) for x in (-1, 1) for y in (-1, 1))]
    around = np.stack([bp.render(mesh, nudged(views.rig, *side)).depth for side in sides])
    low, high = around.min(axis=0), around.max(axis=0)
    expected, seen = np.isfinite(around[0]), views.silhouettes
    assert ((np.isfinite(low) & seen) | (np.isposinf(high) & ~seen)).all()
    assert expected.mean() > 0.01
    assert (expected != seen).mean() < 1e-3
    depth = views.depth[seen]
    outside = np.maximum(low[seen] - depth, depth - high[seen])
    assert (outside > EXACT * diameter).sum() <= SLIVERS * seen.size
    assert outside.max() < OFF_THERE * diameter


@pytest.mark.parametrize(
    "rig",
    [
        bp.Rig.dodecahedron(),
        bp.Rig.fibonacci(5, size=(97, 64)),
        bp.Rig.fibonacci(5, size=(97, 64), extent=1.1),
    ],
)
def test_headphones(rig):
    mesh = bp.normalize(bp.Mesh.load(HEADPHONES)).mesh
    assert_seen_alike(cycles.render(mesh, rig), mesh)


@pytest.mark.skipif(not REAL_MESHES, reason="shared/data/meshes is not beside this checkout")
@pytest.mark.parametrize("path", REAL_MESHES, ids=lambda path: path.stem)
def test_real_meshes(path):
    mesh = bp.normalize(bp.Mesh.load(path)).mesh
    assert_seen_alike(cycles.render(mesh, bp.Rig.fibonacci(3, size=160)), mesh)


@pytest.mark.parametrize("flat", [False, True], ids=["pinhole", "orthographic"])
@pytest.mark.parametrize("mesh", [sphere(0.5, splits=2), box(0.6)], ids=["sphere", "box"])
def test_cameras_off_centre_with_pixels_that_are_not_square(mesh, flat):
    rig = rig_askew([(1.1, 0.7, -0.9), (0.02, 1.6, 0.01), (-1.3, -0.2, 0.4)])
    rig = replace(rig, orthographic=np.array(flat))
    assert_seen_alike(cycles.render(mesh, rig), mesh)


def test_each_camera_has_a_lens_and_pixels_of_its_own():
    one = rig_askew([(1.1, 0.7, -0.9), (0.02, 1.6, 0.01), (-1.3, -0.2, 0.4)])
    scales = np.array([(1, 1, 1), (1.7, 1, 1), (0.6, 1.2, 1)])[:, :, None]
    rig = bp.Rig(one.intrinsics * scales, one.world_from_camera, 52, 67)
    assert_seen_alike(cycles.render(box(0.6), rig), box(0.6))


@pytest.mark.parametrize(("scale", "place"), [(1e-4, 0.0), (1e4, 0.0), (1.0, 1e5)])
def test_neither_size_nor_place_matter(scale, place):
    moved = bp.Similarity(scale, translation=np.full(3, place))
    mesh = sphere(0.5, splits=2).transformed(moved)
    rig = bp.Rig.fibonacci(4, size=64).transformed(moved)
    views = cycles.render(mesh, rig)
    assert views.rig is rig
    assert_seen_alike(views, mesh, scale)


def test_a_room_is_seen_from_within():
    rig = rig_askew([(0.3, 0.2, -0.6), (-0.7, 0.1, 0.5), (0.0, 0.999, 0.0)])
    views = cycles.render(box(2.0), rig)
    assert views.silhouettes.all()
    assert_seen_alike(views, box(2.0), 2.0)


def test_a_sheet_a_thousandth_before_the_camera_is_not_clipped():
    rig = bp.Rig(np.diag([30.0, 30, 1]), np.eye(4)[None], 20, 20)
    sheet = rectangle((-1, -1), (1, 1), height=1e-3)
    assert_seen_alike(cycles.render(sheet, rig), sheet)


def test_a_mesh_without_faces_is_refused():
    with pytest.raises(bp.InputError, match="no faces"):
        cycles.render(bp.Mesh(np.zeros((3, 3)), np.zeros((0, 3), int)), bp.Rig.dodecahedron())


def test_views_do_not_depend_on_threads_and_progress_ends_at_one():
    rig, heard = bp.Rig.fibonacci(3, size=32), []
    one = cycles.render(box(), rig, threads=1, progress=lambda *news: heard.append(news))
    np.testing.assert_array_equal(one.depth, cycles.render(box(), rig, threads=3).depth)
    assert heard == [("render", share / 3) for share in (1, 2, 3)]


# objects of a scene


def add_box(scene, name="box", side=1.0):
    return meshes.add_mesh(name, box(side), scene.collection)


def assert_objects_seen_alike(scene, *objects, rig=None):
    """Claim that Cycles sees of the objects what the rasteriser sees of their mesh."""
    mesh = meshes.mesh_of(objects, bpy.context.evaluated_depsgraph_get())
    diameter = np.linalg.norm(np.ptp(mesh.vertices, axis=0))
    middle = bp.Similarity(diameter, translation=mesh.vertices.mean(axis=0))
    rig = rig or bp.Rig.fibonacci(4, size=64, distance=2).transformed(middle)
    assert_seen_alike(cycles.render_objects(objects, rig, scene), mesh, diameter)


def test_modifiers_and_transforms_and_nothing_else(scene):
    target, other = add_box(scene), add_box(scene, "in the way", 8.0)
    modifier = target.modifiers.new("array", "ARRAY")
    modifier.count, modifier.relative_offset_displace = 3, (1.5, 0.3, 0)
    target.scale, target.rotation_euler = (-1, 2, 0.5), (0.3, 0.2, 0.1)
    other.parent = target
    assert_objects_seen_alike(scene, target)


def test_instances_of_collections_and_on_vertices(scene):
    parts = bpy.data.collections.new("parts")
    meshes.add_mesh("part", box(), parts).location = (1, 0, 0)
    empty = bpy.data.objects.new("empty", None)
    scene.collection.objects.link(empty)
    empty.instance_type, empty.instance_collection = "COLLECTION", parts
    empty.scale = (1, 2, -1)
    parent, child = add_box(scene, "parent", 5.0), add_box(scene, "child")
    child.parent, parent.instance_type = parent, "VERTS"
    assert_objects_seen_alike(scene, empty, parent)


def test_text_and_what_an_animation_moved(scene):
    data = bpy.data.curves.new("text", "FONT")
    data.body, data.extrude = "ab", 0.1
    text = bpy.data.objects.new("text", data)
    scene.collection.objects.link(text)
    for frame, x in ((1, 0.0), (11, 10.0)):
        text.location.x = x
        text.keyframe_insert("location", frame=frame)
    scene.frame_set(6)
    assert text.location.x == pytest.approx(5)
    assert_objects_seen_alike(scene, text)


def test_what_is_see_through_has_depth_too(scene):
    glass = add_box(scene)
    material = bpy.data.materials.new("glass")
    if not material.node_tree:
        material.use_nodes = True
    material.node_tree.nodes.clear()
    clear = material.node_tree.nodes.new("ShaderNodeBsdfTransparent")
    output = material.node_tree.nodes.new("ShaderNodeOutputMaterial")
    material.node_tree.links.new(clear.outputs[0], output.inputs["Surface"])
    glass.data.materials.append(material)
    assert_objects_seen_alike(scene, glass)


def test_objects_that_no_render_shows_are_refused(scene):
    hidden = add_box(scene, "hidden")
    hidden.hide_render = True
    rig = bp.Rig.fibonacci(2, size=8)
    with pytest.raises(bp.InputError, match="object 'hidden': is hidden in renders"):
        cycles.render_objects([hidden], rig, scene)
    with pytest.raises(bp.InputError, match="objects: got none"):
        cycles.render_objects([], rig, scene)


def test_a_render_that_blender_refuses_is_told_in_its_words(monkeypatch):
    def refuse(**_):
        raise RuntimeError("Error: Operator bpy.ops.render.render.poll() failed\ncontext is wrong")

    refusing = SimpleNamespace(render=SimpleNamespace(render=refuse))
    monkeypatch.setattr(bpy, "ops", refusing)
    told = r"Blender's renderer: Operator .* failed context is wrong"
    with pytest.raises(bp.ReconstructionError, match=told):
        cycles.render(box(), bp.Rig.fibonacci(2, size=8))


# what stays


def settings_of(thing):
    """Return all plain settings of a part of Blender's data."""
    with warnings.catch_warnings(action="ignore"):  # some say that they will go
        values = {
            each.identifier: getattr(thing, each.identifier) for each in thing.bl_rna.properties
        }
    plain = (bool, int, float, str, bpy.types.ID)
    return {k: v for k, v in values.items() if v is None or isinstance(v, plain)}


def state_of_blender(scene):
    """Return all that a user could find changed."""
    everything = {
        name: sorted(each.name for each in getattr(bpy.data, name))
        for name in dir(bpy.data)
        if isinstance(getattr(bpy.data, name), bpy.types.bpy_prop_collection)
    }
    users = {each.name: each.users for each in bpy.data.objects}
    layer = bpy.context.view_layer
    selected = sorted(each.name for each in bpy.context.selected_objects), layer.objects.active
    tree = getattr(scene, "compositing_node_group", None) or scene.node_tree
    nodes = sorted(each.name for each in tree.nodes) if tree else []
    parts = (scene, scene.render, scene.render.image_settings, scene.cycles, layer)
    files = sorted(Path(gettempdir()).glob("backproject-*"))
    return [everything, users, selected, nodes, files, *map(settings_of, parts)]


def used_scene():
    """Return a scene that somebody works in: an engine, a compositor, a selection of their own."""
    bpy.ops.wm.read_factory_settings()
    scene = bpy.context.scene
    scene.render.engine, scene.render.resolution_percentage = "BLENDER_WORKBENCH", 37
    scene.frame_set(7)
    if bpy.app.version >= (5, 0, 0):
        scene.compositing_node_group = bpy.data.node_groups.new("mine", "CompositorNodeTree")
    else:
        scene.use_nodes = True
    bpy.context.view_layer.objects.active = bpy.data.objects["Camera"]
    bpy.data.objects["Cube"].select_set(False)
    bpy.data.objects["Light"].select_set(True)
    return scene


def test_blender_is_as_it_was():
    scene = used_scene()
    before, rig = state_of_blender(scene), bp.Rig.fibonacci(2, size=16, distance=9)
    cycles.render(box(), rig)
    assert state_of_blender(scene) == before
    cycles.render_objects([bpy.data.objects["Cube"]], rig, scene)
    assert state_of_blender(scene) == before
    assert bpy.context.scene == scene


def test_blender_is_as_it_was_when_views_are_not_waited_for():
    scene = used_scene()
    before = state_of_blender(scene)
    maps = cycles.depth_maps([bpy.data.objects["Cube"]], bp.Rig.fibonacci(5, size=16), scene)
    assert next(maps).shape == (16, 16)
    maps.close()
    assert state_of_blender(scene) == before


@pytest.mark.parametrize("step", ["set_image", "_read_exr", "_trace_depth"])
def test_blender_is_as_it_was_after_an_error(step, monkeypatch):
    def fail(*_):
        raise RuntimeError("broken")

    scene = used_scene()
    before = state_of_blender(scene)
    monkeypatch.setattr(cycles, step, fail)
    with pytest.raises(RuntimeError, match="broken"):
        cycles.render(box(), bp.Rig.fibonacci(2, size=16))
    assert state_of_blender(scene) == before
