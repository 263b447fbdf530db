"""What cannot be done is said in one line, and nothing is left of the attempt."""

import bpy
import numpy as np
import pytest
from scenes import add_monkey, inventory, render, select

import backproject as bp

OPERATORS = (
    "add_rig", "render_depth", "import_depth", "point_cloud", "fuse", "compare",
    "displaced_planes", "check_cameras",
)  # fmt: skip


def refused(name, **options):
    """Return what an operator says when it refuses; the file must be as it was."""
    before = inventory()
    with pytest.raises(RuntimeError) as raised:
        getattr(bpy.ops.backproject, name)(**options)
    said = str(raised.value).strip()
    assert said.startswith("Error: ")
    assert len(said.splitlines()) == 1
    assert inventory() == before
    return said


@pytest.fixture
def monkey():
    return add_monkey()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"rig": "icosahedron"}, "icosahedron"),
        ({"rig": "fibonacci:none"}, "fibonacci:N"),
        ({"object": "Nobody"}, "Nobody"),
    ],
)
@pytest.mark.usefixtures("monkey")
def test_add_rig(options, expected):
    assert expected in refused("add_rig", **options)


def test_add_rig_without_an_object():
    assert "object: got none" in refused("add_rig")


def test_add_rig_around_what_has_no_surface():
    bpy.ops.object.empty_add()
    assert "no faces" in refused("add_rig")


@pytest.mark.usefixtures("monkey")
def test_render_without_cameras():
    assert "cameras: got none" in refused("render_depth")


def test_render_with_cameras_that_look_away(monkey, tmp_path):
    bpy.ops.object.camera_add(location=(0, 0, 1000), rotation=(np.pi, 0, 0))
    camera = bpy.context.active_object
    select(monkey, camera)
    assert "none of the 1 cameras sees it" in refused(
        "render_depth", directory=str(tmp_path / "c"), object=monkey.name
    )
    assert not (tmp_path / "c").exists()


@pytest.mark.usefixtures("monkey")
def test_render_into_a_folder_of_other_files(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    bpy.ops.backproject.add_rig(rig="turntable:2", size=32)
    assert "holds other files" in refused("render_depth", directory=str(tmp_path))
    assert (tmp_path / "letter.txt").read_text() == "dear"


@pytest.mark.parametrize("name", ["point_cloud", "fuse", "displaced_planes", "check_cameras"])
def test_without_depth_maps(name):
    assert "render or import some first" in refused(name)


@pytest.mark.parametrize("name", ["point_cloud", "fuse", "displaced_planes", "check_cameras"])
def test_depth_maps_that_are_gone(name, tmp_path):
    assert "no such folder" in refused(name, directory=str(tmp_path / "gone"))


@pytest.mark.parametrize("name", ["point_cloud", "fuse", "displaced_planes", "check_cameras"])
def test_depth_maps_of_nothing(name, tmp_path):
    rig = bp.Rig.fibonacci(3, size=16)
    bp.ViewSet(np.full((3, 16, 16), np.inf, np.float32), rig).save(tmp_path / "c")
    assert "finite depth" in refused(name, directory=str(tmp_path / "c"))


def test_import_of_nothing(tmp_path):
    assert "filepath: got none" in refused("import_depth")
    assert "no such" in refused("import_depth", filepath=str(tmp_path / "gone"))
    (tmp_path / "letter.txt").write_text("dear")
    assert "letter.txt" in refused("import_depth", filepath=str(tmp_path / "letter.txt"))


def test_import_with_options_that_contradict_each_other(tmp_path):
    said = refused("import_depth", filepath=str(tmp_path), near=1.0)
    assert "expected both or neither" in said


def test_fuse_beyond_the_memory(monkey, tmp_path):
    render(monkey, tmp_path / "c", rig="turntable:2", size=32)
    assert "memory" in refused("fuse", resolution=2_000_000)


def test_compare(monkey):
    assert "truth: got none" in refused("compare")
    assert "expected another object" in refused("compare", truth=monkey.name)
    assert "Nobody" in refused("compare", truth="Nobody")


@pytest.mark.parametrize("name", OPERATORS)
def test_edit_mode(monkey, name):
    select(monkey)
    bpy.ops.object.mode_set(mode="EDIT")
    assert not getattr(bpy.ops.backproject, name).poll()
    with pytest.raises(RuntimeError, match="Object Mode"):
        getattr(bpy.ops.backproject, name)()


def test_compare_without_an_active_mesh():
    with pytest.raises(RuntimeError, match="active object"):
        bpy.ops.backproject.compare()
