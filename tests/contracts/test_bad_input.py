"""What users hand in by mistake: an error in one line that names the place and says what was
expected; exit code 1; nothing written.
"""

from __future__ import annotations

import json
import re
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

import backproject as bp
from backproject.cli.main import main
from backproject.io.sources.registry import read_views
from backproject.io.sources.source import Asked

SIDE = 48
SHAPE = bp.normalize(bp.Mesh.from_trimesh(trimesh.creation.box((1, 2, 0.5)))).mesh


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A capture of 20 views, one of 16-bit images in millimetres, and images with a camera list."""
    folder = tmp_path_factory.mktemp("sound")
    views = bp.render(SHAPE, bp.Rig.dodecahedron(size=SIDE))
    views.save(folder / "capture")
    views.save(folder / "millimetres", depth_format="png")
    (folder / "images").mkdir()
    lines = (" ".join(map(str, center)) for center in views.rig.centers_world)
    (folder / "images" / "camPosList.txt").write_text("\n".join(lines))
    for k, depth in enumerate(views.depth):
        np.save(folder / "images" / f"{k:02d}.npy", depth)
        save_png(depth, folder / "millimetres" / "depth" / f"{k:03d}.png")
    edit(folder / "millimetres", lambda meta: meta.update(depth_unit_scale_factor=0.001))
    edit(folder / "millimetres", lambda meta: meta.pop("backproject"))
    (folder / "outside.npy").write_bytes((folder / "capture" / "depth" / "000.npy").read_bytes())
    return folder


@pytest.fixture
def here(sound, tmp_path, monkeypatch):
    """A working folder with a copy of all that."""
    shutil.copytree(sound, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save_png(depth, path):
    millimetres = np.where(np.isfinite(depth), depth * 1000, 0)
    Image.fromarray(millimetres.astype(np.uint16)).save(path)


def edit(folder, change):
    file = folder / "transforms.json"
    meta = json.loads(file.read_text())
    change(meta)
    file.write_text(json.dumps(meta))


def frame(k, **changes):
    """Spoil the entry of a view."""
    return lambda folder: edit(folder, lambda meta: meta["frames"][k].update(changes))


def posed(change):
    def spoil(folder):
        def turn(meta):
            pose = np.array(meta["frames"][3]["transform_matrix"])
            meta["frames"][3]["transform_matrix"] = change(pose).tolist()

        edit(folder, turn)

    return spoil


def replaced(name, save):
    """Spoil a file."""
    return lambda folder: save(folder / name)


def cut(path):
    path.write_bytes(path.read_bytes()[:200])


def claim_a_giant(path):
    """Let a PNG's header claim 100,000 x 100,000 pixels, with its checksum."""
    content = path.read_bytes()
    header = b"IHDR" + struct.pack(">II", 100_000, 100_000) + content[24:29]
    path.write_bytes(content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:])


class Trap:
    """A pickle that leaves a trace if anyone opens it."""

    def __reduce__(self):
        return (open, ("sprung", "w"))


def save_pickle(path):
    np.save(path, np.array([[Trap()]], object), allow_pickle=True)


def save_colour(path):
    Image.fromarray(np.arange(SIDE * SIDE * 3, dtype=np.uint8).reshape(SIDE, SIDE, 3)).save(path)


def link_out(folder):
    (folder / "depth" / "005.npy").unlink()
    (folder / "depth" / "005.npy").symlink_to(Path("outside.npy").resolve())


def empty_out(folder):
    shutil.rmtree(folder)
    folder.mkdir()


FIRST = "depth/000.npy"
PNG = "depth/000.png"
CAPTURES = {
    "no such folder": ("capture", shutil.rmtree, "capture: no such capture"),
    "an empty folder": ("capture", empty_out, "capture: an empty folder"),
    "a folder of other things": (
        "capture",
        lambda folder: (empty_out(folder), (folder / "notes.md").write_text("mine")),
        "no folder of a kind that can be read; `backproject formats` lists",
    ),
    "19 images for 20 cameras": (
        "images",
        lambda folder: (folder / "07.npy").unlink(),
        "19 depth images for 20 cameras",
    ),
    "an image that is named and is not there": (
        "capture",
        lambda folder: (folder / "depth" / "007.npy").unlink(),
        r"007\.npy: no such file, expected the depth map of frame 7",
    ),
    "mixed sizes": (
        "images",
        replaced("07.npy", lambda path: np.save(path, np.ones((40, 30)))),
        r"07\.npy: 30 x 40 pixels, expected 48 x 48 as in 00\.npy",
    ),
    "nan in a pose": ("capture", posed(lambda pose: pose * np.nan), r"view 3: holds nan"),
    "nan in a position": (
        "capture",
        posed(lambda pose: np.where(np.eye(4, k=3) > 0, np.nan, pose)),
        r"view 3: .*nan",
    ),
    "no rotation": (
        "capture",
        posed(lambda pose: pose @ np.diag([2, 2, 2, 1])),
        r"view 3: not a rotation \(determinant 8.*expected determinant 1",
    ),
    "a reflection": (
        "capture",
        posed(lambda pose: pose @ np.diag([-1, 1, 1, 1])),
        r"view 3: a reflection \(determinant -1",
    ),
    "no focal length": (
        "capture",
        lambda folder: edit(folder, lambda meta: meta.update(fl_x=0)),
        "focal lengths down to 0, expected .* above 0",
    ),
    "a path out of the folder": (
        "capture",
        frame(5, depth_file_path="../outside.npy"),
        r"frame 5 names '\.\./outside\.npy', which leaves .*--allow-outside",
    ),
    "a link out of the folder": ("capture", link_out, "frame 5 .*leaves .*--allow-outside"),
    "an image cut short": ("capture", replaced(FIRST, cut), r"000\.npy: cannot be read"),
    "an image cut short, of pixels": ("millimetres", replaced(PNG, cut), r"000\.png: cannot be"),
    "a text for an image": (
        "millimetres",
        replaced(PNG, lambda path: path.write_text("<html>404</html>")),
        r"000\.png: cannot be read as grey PNG: cannot identify image file",
    ),
    "a picture in colour": (
        "millimetres",
        replaced(PNG, save_colour),
        r"000\.png: .*is a colour image, expected grey, or three equal channels",
    ),
    "pickled objects": ("capture", replaced(FIRST, save_pickle), r"000\.npy: cannot be read"),
    "a claim to be gigantic": (
        "millimetres",
        replaced(PNG, claim_a_giant),
        r"000\.png: .*10000000000 pixels",
    ),
    "depth below zero": (
        "capture",
        replaced(FIRST, lambda path: np.save(path, -np.ones((SIDE, SIDE)))),
        r"000\.npy: 2304 pixels have depth -1 .*expected depth above 0",
    ),
    "half a transforms.json": (
        "capture",
        replaced("transforms.json", cut),
        r"transforms\.json: not valid JSON",
    ),
}


def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def assert_one_line(said, word):
    assert len(said.splitlines()) == 1
    assert "expected" in said or "lists what can" in said
    assert word in said


@pytest.mark.parametrize("name", CAPTURES)
def test_bad_captures_are_refused(name, here, capsys):
    folder, spoil, pattern = CAPTURES[name]
    spoil(here / folder)
    before = content(here)
    with pytest.raises(bp.BackprojectError, match=pattern) as caught:
        read_views(folder, Asked(fov=43))
    assert_one_line(str(caught.value), folder)
    for command in ("fuse {} -o new/out.ply", "convert {} -o new", "info {}", "cloud {} -o a.ply"):
        assert main([*command.format(folder).split(), "--fov", "43"]) == 1
        out, err = capsys.readouterr()
        assert err == f"backproject: {caught.value}\n"
        assert out == ""
    assert content(here) == before


@pytest.mark.parametrize("name", ["capture", "images", "millimetres"])
@pytest.mark.usefixtures("here")
def test_what_was_spoilt_is_sound_otherwise(name):
    assert len(read_views(name, Asked(fov=43))) == 20
    assert main(["convert", name, "-o", "new", "--fov", "43", "--quiet"]) == 0


def test_a_path_out_of_the_folder_is_followed_when_asked(here):
    frame(5, depth_file_path="../outside.npy")(here / "capture")
    assert main(["convert", "capture", "-o", "new", "--allow-outside", "--quiet"]) == 0
    views = bp.ViewSet.load("new")
    np.testing.assert_array_equal(views.depth[5], views.depth[0])


def blind(folder, views):
    for k in views:
        np.save(folder / "depth" / f"{k:03d}.npy", np.full((SIDE, SIDE), np.inf))


IMPLAUSIBLE = {
    "a view of background only": (
        "capture",
        lambda folder: blind(folder, [7]),
        r"view 7 \(counted from 0\) holds background only, where \d+% of what the others see",
    ),
    "views of background only": (
        "capture",
        lambda folder: blind(folder, range(20)),
        "none of the 20 views holds a finite depth, expected",
    ),
    "millimetres given as metres": (
        "millimetres",
        lambda folder: edit(folder, lambda meta: meta.update(depth_unit_scale_factor=1)),
        r"depth does not fit the cameras: .*times 0\.001 they do; expected .*--depth-scale",
    ),
    "metres given as millimetres": (
        "capture",
        lambda folder: edit(folder, lambda meta: meta.update(depth_unit_scale_factor=0.001)),
        r"times 1000 they do",
    ),
}


@pytest.mark.parametrize("name", IMPLAUSIBLE)
@pytest.mark.parametrize("command", ["fuse {} -o new/out.ply", "convert {} -o new", "info {}"])
def test_implausible_captures_are_refused(name, command, here, capsys):
    folder, spoil, pattern = IMPLAUSIBLE[name]
    spoil(here / folder)
    before = content(here)
    assert main(command.format(folder).split()) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert_one_line(err, folder)
    assert re.search(pattern, err), err
    assert content(here) == before


def test_the_advice_about_units_helps(here):
    edit(here / "millimetres", lambda meta: meta.update(depth_unit_scale_factor=1))
    assert main(["convert", "millimetres", "-o", "new", "--depth-scale", "0.001", "--quiet"]) == 0
    assert main(["info", "millimetres", "--depth-scale", "1", "--quiet"]) == 0
    middle = bp.ViewSet.load("new").depth[:, SIDE // 2, SIDE // 2]
    assert np.nanmedian(middle) == pytest.approx(1.4, abs=0.2)


MESHES = {
    "none.ply": (None, "no such file"),
    "folder.ply": (lambda path: path.mkdir(), "is a folder, expected a mesh file"),
    "points.obj": (lambda path: path.write_text("v 0 0 0\nv 1 0 0\n"), "2 vertices and no faces"),
    "nan.obj": (
        lambda path: path.write_text("v nan 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"),
        "1 of 3 vertices hold nan or infinite numbers",
    ),
    "range.obj": (
        lambda path: path.write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 7\n"),
        r"faces name vertices 0 to 6 \(counted from 0\), but there are 3 vertices",
    ),
    "range.off": (
        lambda path: path.write_text("OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 -1\n"),
        "but there are 3 vertices",
    ),
    "text.stl": (lambda path: path.write_text("<html>404</html>"), "cannot be read as STL"),
    "cut.glb": (lambda path: (SHAPE.save(path), cut(path)), "cannot be read as GLB"),
    "empty.ply": (lambda path: path.touch(), "cannot be read as PLY"),
    "shape.blend": (lambda path: path.touch(), "cannot be read as a mesh, expected one of"),
}


@pytest.mark.parametrize("name", MESHES)
def test_bad_meshes_are_refused(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make, pattern = MESHES[name]
    if make:
        make(tmp_path / name)
    SHAPE.save("sound.ply")
    before = content(tmp_path)
    with pytest.raises(bp.BackprojectError, match=pattern) as caught:
        bp.Mesh.load(name)
    assert_one_line(str(caught.value), name)
    for command in (
        "render {} -o new",
        "roundtrip {} -o new",
        "compare {} sound.ply",
        "compare sound.ply {}",
        "simplify {} -o new.ply --tolerance 0.1",
    ):
        assert main(command.format(name).split()) == 1
        out, err = capsys.readouterr()
        assert_one_line(err, name)
        assert out == ""
    assert content(tmp_path) == before


def test_names_in_files_cannot_break_the_line(here, capsys):
    name = "a\n\x1b[2Jb\udcff.png"
    frame(5, depth_file_path=name)(here / "capture")
    assert main(["info", "capture"]) == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert said.isprintable()
    assert r"a\n\x1b[2Jb\udcff.png" in said
