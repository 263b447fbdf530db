"""Without Blender everything else works, and what needs it says so in one line before any work."""

import sys

import pytest
from shapes import box

from backproject.cli.main import main


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("render shape.ply -o capture --renderer blender", "--renderer blender"),
        ("render scene.blend -o capture", "scene.blend"),
        ("render scene.blend -o capture --renderer embedded --rig scene", "scene.blend"),
    ],
)
def test_the_missing_extra_is_named(line, cause, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "bpy", None)  # as if it were not installed
    box().save("shape.ply")
    assert main(line.split()) == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"backproject: {cause}: needs Blender as a module, expected bpy")
    assert said.endswith("pip install 'backproject[blender]'")
    assert [each.name for each in tmp_path.iterdir()] == ["shape.ply"]


def test_a_missing_system_library_is_named(tmp_path, monkeypatch, capsys):
    (tmp_path / "bpy.py").write_text(
        "raise ImportError('libXi.so.6: cannot open shared object file: No such file or directory')"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "bpy", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["render", "scene.blend", "-o", "capture"]) == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert "libXi.so.6: cannot open shared object file" in said
    assert "package" in said
