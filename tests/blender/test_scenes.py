"""A .blend file's objects and cameras, and the command that renders them."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from shapes import box, joined

import backproject as bp

bpy = pytest.importorskip("bpy", reason="bpy is not installed: pip install 'backproject[blender]'")

from backproject.blender import meshes, scenes  # noqa: E402
from backproject.blender.cameras import add_rig  # noqa: E402
from backproject.cli.main import main  # noqa: E402

SMALL = "--size 48 --rig fibonacci:4"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a file: two boxes, cameras, and things that a render does not show."""
    scene = bpy.context.scene
    scene.name = "Studio"
    meshes.add_mesh("near", box(), scene.collection)
    meshes.add_mesh("far", box(), scene.collection).location = (3, 0, 0)
    meshes.add_mesh("unrendered", box(50.0), scene.collection).hide_render = True
    excluded, hidden = bpy.data.collections.new("excluded"), bpy.data.collections.new("hidden")
    for each in (excluded, hidden):
        scene.collection.children.link(each)
        meshes.add_mesh(f"in {each.name}", box(40.0), each)
    hidden.hide_render = True
    bpy.context.view_layer.layer_collection.children["excluded"].exclude = True
    lamp = bpy.data.objects.new("lamp", bpy.data.lights.new("lamp", "POINT"))
    scene.collection.objects.link(lamp)
    rig = bp.Rig.fibonacci(3, distance=8, size=(40, 30)).transformed(
        bp.Similarity(translation=np.array([1.0, 0, 0]))
    )
    add_rig(rig, "cameras", scene)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    box().save(tmp_path / "shape.ply")
    (tmp_path / "garbage.blend").write_text("nonsense")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "empty.blend"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


BOTH = joined(box(), box(center=(3, 0, 0)))


def run(line):
    return main(line.split())


def test_what_a_render_shows_is_rendered(here):
    scene = scenes.open_blend(here / "scene.blend")
    assert [each.name for each in scenes.rendered_objects(scene)] == ["near", "far"]
    assert [each.name for each in scenes.rendered_objects(scene, ["far"])] == ["far"]


def test_objects_alone_are_seen_even_where_their_scene_hides_them(here):
    scene = scenes.open_blend(here / "scene.blend")
    mesh = scenes.mesh_alone([bpy.data.objects["in excluded"]], scene)
    assert np.ptp(mesh.vertices, axis=0) == pytest.approx([40, 40, 40])
    assert len(bpy.data.scenes) == 1


@pytest.mark.parametrize("renderer", ["embedded", "blender"])
def test_a_scene_s_depth_maps_fuse_to_what_is_in_it(here, renderer):  # noqa: ARG001
    assert run(f"render scene.blend -o capture --size 96 --renderer {renderer} --quiet") == 0
    views = bp.ViewSet.load("capture")
    recon = bp.fuse(views, resolution=64)
    assert bp.compare(recon, BOTH, views=views).accuracy < 0.0026


@pytest.mark.usefixtures("here")
def test_the_rig_stands_around_the_object_that_was_named_upright_along_z():
    assert run("render scene.blend -o capture --object far --rig turntable:8 --size 32") == 0
    rig = bp.ViewSet.load("capture").rig
    np.testing.assert_allclose(rig.centers_world.mean(axis=0)[:2], (3, 0), atol=1e-6)
    assert np.ptp(rig.centers_world[:, 2]) == pytest.approx(0, abs=1e-6)
    down = rig.world_from_camera[:, :3, 1]
    assert (down[:, 2] < -0.9).all()


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("renderer", ["embedded", "blender"])
def test_the_scene_s_own_cameras_are_a_rig(renderer, capfd):
    assert run(f"render scene.blend -o capture --rig scene --renderer {renderer}") == 0
    out, err = capfd.readouterr()
    assert out.startswith("wrote capture: 3 views of 40 x 30 pixels, ")
    assert (out.count("\n"), err) == (1, "")
    views = bp.ViewSet.load("capture")
    expected = bp.render(BOTH, views.rig)
    np.testing.assert_allclose(np.linalg.norm(views.rig.centers_world - (1, 0, 0), axis=1), 8)
    assert (views.silhouettes != expected.silhouettes).mean() < 1e-3


@pytest.mark.usefixtures("here")
def test_blender_renders_mesh_files_too(capfd):
    assert run(f"render shape.ply -o theirs --renderer blender {SMALL}") == 0
    assert run(f"render shape.ply -o ours --renderer embedded {SMALL}") == 0
    out, err = capfd.readouterr()
    assert (len(out.splitlines()), err) == (2, "")
    theirs, ours = bp.ViewSet.load("theirs"), bp.ViewSet.load("ours")
    assert json.loads(Path("theirs/transforms.json").read_text("utf-8")) == json.loads(
        Path("ours/transforms.json").read_text("utf-8")
    )
    hit = theirs.silhouettes & ours.silhouettes
    np.testing.assert_allclose(theirs.depth[hit], ours.depth[hit], atol=1e-4)


BAD = {
    "scene.blend --object fra": "object 'fra': is not in scene 'Studio'; there are 'far', .*'near'",
    "scene.blend --object lamp": "objects 'lamp': no faces",
    "scene.blend --object unrendered": "object 'unrendered': is hidden in renders",
    "nosuch.blend": "nosuch.blend: no such file, expected a .blend file",
    "garbage.blend": r"garbage.blend: cannot be read by Blender \d.*expected a .blend file",
    "empty.blend": "scene 'Scene': a render of it shows no object with faces.* there are none",
    "shape.ply --rig scene": "--rig scene: got shape.ply, expected a .blend file with it",
    "shape.ply --object box": "--object box: got shape.ply, expected a .blend file with it",
}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("line", BAD)
def test_bad_input_is_one_line_and_nothing_is_written(line, capfd):
    assert run(f"render {line} -o capture") == 1
    out, err = capfd.readouterr()
    (said,) = err.splitlines()
    assert out == ""
    assert re.search(BAD[line], said), said
    assert not Path("capture").exists()


def test_a_scene_without_cameras_is_refused(here):
    with pytest.raises(bp.InputError, match="scene 'Scene': has no camera"):
        scenes.rendered_cameras(scenes.open_blend(here / "empty.blend"))


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_an_interrupt_ends_with_130_and_leaves_nothing(here):
    code = (
        "import sys; from backproject.cli.main import main\n"
        "sys.exit(main('render scene.blend -o capture --size 900 --rig fibonacci:60'.split()))"
    )
    before = sorted(here.iterdir())
    environment = {**os.environ, "TMPDIR": str(here)}
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        patience = time.monotonic() + 120  # a machine may be slow to load Blender
        while not any(here.glob("backproject-*/*")):  # until a view is rendered
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < patience
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (130, "", "backproject: stopped\n")
    assert sorted(here.iterdir()) == before
