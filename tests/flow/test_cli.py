"""The commands, as a user gives them: what they write, say and refuse."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest

import backproject as bp
from backproject.cli.main import main

SMALL = "--size 64 --rig fibonacci:8"
BIN = Path(sys.executable).with_name("backproject")


def octahedron(center=(0.0, 0.0, 0.0)):
    corners = np.concatenate([np.eye(3), -np.eye(3)]) + center
    faces = [(0, 1, 2), (1, 3, 2), (3, 4, 2), (4, 0, 2), (1, 0, 5), (3, 1, 5), (4, 3, 5), (0, 4, 5)]
    return bp.Mesh(corners, np.array(faces))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder of sound and unsound input, never written to."""
    folder = tmp_path_factory.mktemp("made")
    octahedron().save(folder / "shape.ply")
    texts = {
        "garbage.ply": "ply\nnonsense",
        "empty.obj": "",
        "nan.obj": "v nan 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n",
        "flat.obj": "v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n",
        "cameras.txt": "1 0 0  # one\n0 1 0\n0 0 2\n",
        "bad-cameras.txt": "1 0 0\n0 1\n",
        "foreign/theirs.txt": "mine",
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    views = bp.render(octahedron(), bp.Rig.fibonacci(8, distance=3, size=64))
    views.save(folder / "capture")
    bp.ViewSet(np.full_like(views.depth, np.inf), views.rig).save(folder / "nothing-seen")
    shutil.copytree(folder / "capture", folder / "no-depth")
    (folder / "no-depth" / "depth" / "003.npy").unlink()
    return folder


@pytest.fixture
def here(made, tmp_path, monkeypatch):
    """A working folder with a copy of that input."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(line):
    """Return the exit code of `backproject LINE`."""
    try:
        return main(shlex.split(line))
    except SystemExit as end:
        return end.code


def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def test_render_cloud_fuse_and_compare_follow_each_other(here, capsys):
    assert run(f"render shape.ply -o cap {SMALL}") == 0
    assert run("cloud cap -o cloud.ply") == 0
    assert run("cloud cap -o confirmed.ply --consistent --mask-threshold 0.3") == 0
    assert run("fuse cap -o new/mesh.obj --resolution 48") == 0
    assert run("compare new/mesh.obj shape.ply --capture cap --json s.json --samples 5000") == 0
    out, err = capsys.readouterr()
    assert err == ""

    views = bp.ViewSet.load("cap")
    assert views.depth.shape == (8, 64, 64)
    cloud = (here / "cloud.ply").read_bytes()
    assert f"element vertex {views.silhouettes.sum()}\n".encode() in cloud
    footprint = 2 * np.tan(np.radians(43 / 2)) * 1.5 / 64
    scores = json.loads((here / "s.json").read_text())
    assert scores["watertight"] is True
    assert scores["chamfer"] < footprint / 2
    lines = out.splitlines()
    wrote = [line.split()[1].rstrip(":") for line in lines if line.startswith("wrote ")]
    assert wrote == ["cap", "cloud.ply", "confirmed.ply", "new/mesh.obj", "s.json", "report.html"]
    assert "that other views contradict left out" in out
    for name, value, _ in bp.compare(
        bp.Mesh.load("new/mesh.obj"), octahedron(), views=views, samples=5000
    ).table():
        assert any(line.split(name)[-1].split()[:1] == value.split()[:1] for line in lines), name


def test_orthographic_views_follow_the_same_way(here, capsys):
    octahedron((100, -50, 7)).save("far.ply")  # two across: images are 2.2 high there
    assert run(f"render far.ply -o cap {SMALL} --orthographic 1.1") == 0
    assert run("info cap") == 0
    assert run("cloud cap -o cloud.ply --consistent") == 0
    assert run("fuse cap -o mesh.ply --resolution 48") == 0
    assert run("compare mesh.ply far.ply --capture cap --json s.json --samples 5000") == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert re.search(r"orthographic +8 of 8 views, images 2\.2 high", out)
    scores = json.loads((here / "s.json").read_text())
    assert scores["watertight"] is True
    assert scores["chamfer"] < 1.1 / 64 / 2
    assert run("check cap") == 1
    assert capsys.readouterr().err.startswith("backproject: cap: views: 8 of 8 are orthographic")
    assert run("convert cap -o theirs --to colmap") == 1
    assert "which COLMAP's format cannot say" in capsys.readouterr().err
    assert not (here / "theirs").exists()


def test_depth_images_are_orthographic_if_the_user_says_so(here, capsys):
    rig = bp.Rig.load("cameras.txt", distance=3.0, size=64, extent=2.2)
    views = bp.render(octahedron(), rig)
    (here / "images").mkdir()
    for k, depth in enumerate(views.depth):
        np.save(here / f"images/{k}.npy", depth)
    word = "--camera-file cameras.txt --distance 3 --orthographic 2.2"
    assert run(f"convert images -o cap {word}") == 0
    again = bp.ViewSet.load("cap")
    assert again.rig.orthographic.all()
    np.testing.assert_array_equal(again.rig.intrinsics, rig.intrinsics)
    np.testing.assert_array_equal(again.depth, views.depth)
    assert "orthographic, images 2.2 high" in capsys.readouterr().out


def test_a_report_replaces_a_report_and_nothing_else(here, capsys):
    compare = "compare shape.ply shape.ply --samples 100"
    assert run(compare) == run(compare) == 0
    page = (here / "report.html").read_text("utf-8")
    assert "backproject compare shape.ply shape.ply --samples 100" in page
    (here / "report.html").write_text("mine")
    capsys.readouterr()
    assert run(compare) == 1
    assert "no report that this program wrote" in capsys.readouterr().err
    assert run(f"{compare} --no-report") == 0
    assert (here / "report.html").read_text() == "mine"
    assert run(f"{compare} --report new/other.html") == 0
    assert run("fuse capture -o m.ply --resolution 16 --report m.html") == 0
    assert "no truth was given" in (here / "m.html").read_text("utf-8")
    assert run("fuse capture -o m.ply --report m.txt") == 1
    assert "expected .html" in capsys.readouterr().err


def test_the_round_trip_writes_all_and_again_in_its_place(here, capsys):
    # another place and other units: all that is written lies on the mesh
    octahedron((100, -50, 7)).save("far.ply")
    command = f"roundtrip far.ply -o out {SMALL} --resolution 32"
    assert run(command) == 0
    assert {path.name for path in (here / "out").iterdir()} == {
        "capture", "cloud.ply", "mesh.ply", "scores.json", "depth.png", "shapes.png", "error.png",
        "report.html",
    }  # fmt: skip
    mesh = bp.Mesh.load("out/mesh.ply")
    np.testing.assert_allclose(mesh.vertices.mean(axis=0), (100, -50, 7), atol=0.1)
    assert imageio.imread("out/shapes.png").ndim == 3
    scores = json.loads((here / "out" / "scores.json").read_text())
    assert set(scores["seconds"]) == {"render", "cloud", "fuse", "compare"}
    out, err = capsys.readouterr()
    assert err == ""
    assert "wrote out: look at out/report.html" in out
    assert run(command + " --quiet") == 0
    assert capsys.readouterr() == ("", "")
    (here / "out" / "notes.txt").write_text("mine")
    assert run(command) == 1
    assert (here / "out" / "notes.txt").read_text() == "mine"


def test_a_round_trip_does_not_delete_its_own_input(here, capsys):
    shutil.copytree("capture", "out/capture")
    shutil.copy("shape.ply", "out/mesh.ply")
    before = content(here)
    assert run("roundtrip out/mesh.ply -o out") == 1
    assert "holds the input out/mesh.ply" in capsys.readouterr().err
    assert content(here) == before


def test_the_demo_uses_the_bundled_headphones(here, monkeypatch):
    """The demo itself is a round trip (above) that takes seconds: here only that it is asked for
    the right one.
    """
    from backproject.cli import commands

    asked = []
    monkeypatch.setattr(commands.RoundTrip, "work", lambda self, _: asked.append(self))
    assert run("demo -o there --threads 2") == 0
    assert (asked[0].out, asked[0].threads, asked[0].resolution) == (Path("there"), 2, 256)
    assert asked[0].cameras.build()[0].width == 224
    assert len(bp.Mesh.load(asked[0].mesh).faces) == 7640
    assert not (here / "there").exists()


@pytest.mark.parametrize(
    ("rig", "count"),
    [("dodecahedron", 20), ("fibonacci:5", 5), ("turntable:4", 4), ("cameras.txt", 3)],
)
@pytest.mark.usefixtures("here")
def test_rigs_by_name_and_from_a_file(rig, count):
    assert run(f"render shape.ply -o cap --size 16 --rig {rig} --threads 1") == 0
    views = bp.ViewSet.load("cap")
    assert len(views) == count
    distances = np.linalg.norm(views.rig.centers_world, axis=1)
    np.testing.assert_allclose(distances, 3.0, rtol=1e-5)  # 1.5 diameters of 2


@pytest.mark.parametrize("suffix", ["ply", "obj", "stl", "glb", "off"])
@pytest.mark.usefixtures("here")
def test_meshes_are_written_by_suffix(suffix):
    assert run(f"fuse capture -o mesh.{suffix} --resolution 16 --quiet") == 0
    assert bp.Mesh.load(f"mesh.{suffix}").is_watertight


@pytest.mark.parametrize(
    ("views", "options", "said"),
    [
        (
            range(8),
            "",
            r"\d\.\d% of the surface is inferred.*\(--surface seen leaves it out\)|all of it",
        ),
        ([0], "", r"[45]\d\.\d% of the surface is inferred.*better use --surface seen"),
        ([0], "--surface seen", "some camera saw all of it"),
    ],
)
@pytest.mark.usefixtures("here")
def test_fuse_says_how_much_is_inferred_and_what_to_do(views, options, said, capsys):
    bp.ViewSet.load("capture").subset(list(views)).save("few")
    assert run(f"fuse few -o mesh.ply --resolution 48 {options}") == 0
    out = capsys.readouterr().out
    assert re.search(said, out), out
    assert run("compare mesh.ply shape.ply --json scores.json --samples 5000") == 0
    told = re.search(r"([\d.]+)% of the surface", out)
    share = float(told.group(1)) / 100 if told else 0.0
    scores = json.loads(Path("scores.json").read_text())
    assert scores["inferred_fraction"] == pytest.approx(share, abs=0.0005)
    assert re.search(
        rf"^  inferred +{100 * scores['inferred_fraction']:.1f}% ", capsys.readouterr().out, re.M
    )


R = "render shape.ply -o new"
C = "compare shape.ply shape.ply"
BAD = {
    # what is read
    "render nosuch.ply -o new": "nosuch.ply: no such file",
    "render foreign -o new": "foreign: is a folder, expected a mesh",
    "render garbage.ply -o new": "garbage.ply: cannot be read as PLY",
    "render empty.obj -o new": "empty.obj: .*no faces",
    "render nan.obj -o new": "nan.obj: .*nan",
    "render flat.obj -o new": "flat.obj: .*no area",
    "render cameras.txt -o new": "cameras.txt: suffix `.txt`",
    "roundtrip nosuch.ply -o new/er": "nosuch.ply: no such file",
    "cloud nosuch -o new.ply": "nosuch: no such capture",
    "cloud no-depth -o new.ply": "no-depth/depth/003.npy: no such file",
    "cloud nothing-seen -o new.ply": "nothing-seen: none of the 8 views",
    "fuse nothing-seen -o new.ply": "nothing-seen: none of the 8 views",
    "fuse shape.ply -o new.ply": "shape.ply: no file of a kind that can be read",
    "fuse foreign -o new.ply": "foreign: no folder of a kind that can be read",
    "compare shape.ply nosuch.ply": "nosuch.ply: no such file",
    "compare flat.obj shape.ply": "flat.obj: .*no area",
    f"{C} --capture nothing-seen": "nothing-seen: none of the 8 views",
    # numbers and rigs
    f"{R} --rig fibonacci:0": "rig: got 'fibonacci:0', expected fibonacci:N",
    f"{R} --rig fibonacci:x": "rig: got 'fibonacci:x'",
    f"{R} --rig fibonacci:99999999999999999": "--rig.*GB of memory",
    f"{R} --rig nosuch": "nosuch: no such file, expected a camera list",
    f"{R} --rig foreign": "foreign: is a folder",
    f"{R} --rig bad-cameras.txt": "bad-cameras.txt, line 2: got `0 1`",
    f"{R} --fov 0": "field of view: got 0.0 degrees, expected between 0 and 180",
    f"{R} --fov 180": "field of view: got 180",
    f"{R} --fov nan": "field of view: got nan",
    f"{R} --fov 179.9999999999": "shape.ply: none of the 20 views sees it",
    f"{R} --distance -1": "distance: got -1",
    f"{R} --distance inf": "distance: got inf",
    f"{R} --size 0": "image size: got 0 x 0",
    f"{R} --size 1000000": "20 depth maps of 1000000 x 1000000 .*GB of memory",
    f"{R} --threads -1": "--threads: got -1, expected 0",
    "roundtrip shape.ply -o new --resolution 0": "--resolution: got 0, expected at least 8",
    "fuse capture -o new.ply --resolution -3": "--resolution: got -3",
    "fuse capture -o new.ply --resolution 1000000": "--resolution 1000000: .*GB of memory",
    "cloud capture -o new.ply --mask-threshold 2": "--mask-threshold: got 2.0, expected 0 or more",
    "cloud capture -o new.ply --mask-threshold nan": "--mask-threshold: got nan",
    f"{C} --samples 0": "--samples: got 0, expected at least 1",
    f"{C} --samples 9999999999999": "--samples 9999999999999: .*GB of memory",
    f"{C} --seed -1": "--seed: got -1",
    # places
    "render shape.ply -o foreign": "foreign: holds other files",
    "render shape.ply -o flat.obj": "flat.obj: is a file, expected the name of a folder",
    "render shape.ply -o flat.obj/new": "flat.obj is a file, expected a folder to write in",
    "roundtrip shape.ply -o capture": "capture: holds other files",
    "roundtrip shape.ply -o .": "holds the input shape.ply",
    "demo -o foreign": "foreign: holds other files",
    "fuse capture -o new.xyz": "new.xyz: suffix `.xyz` cannot be written",
    "fuse capture -o foreign": "foreign: suffix",
    "fuse capture -o flat.obj/new.ply": "flat.obj is a file, expected a folder",
    "cloud capture -o new.obj": "new.obj: suffix `.obj`, expected .ply",
    f"{C} --json foreign": "foreign: suffix ``, expected .json",
    f"{C} --json shape.ply": "shape.ply: suffix `.ply`, expected .json",
    f"{C} --capture capture --json capture/transforms.json": "is part of the input",
}


@pytest.mark.parametrize("line", BAD)
def test_bad_input_is_refused_in_one_line_and_nothing_is_written(line, here, capsys):
    before = content(here)
    begin = time.perf_counter()
    assert run(line) == 1
    assert time.perf_counter() - begin < 5  # before long work, not after
    out, err = capsys.readouterr()
    assert out == ""
    (said,) = err.splitlines()
    assert said.startswith("backproject: ")

    assert re.search(BAD[line], said), said
    assert content(here) == before


@pytest.mark.skipif(os.name != "posix", reason="folders of the system")
@pytest.mark.parametrize(
    "line",
    ["render shape.ply -o {}/x", "fuse capture -o {}/x.ply", f"{C} --json {{}}/x.json"],
)
def test_an_unwritable_place_is_refused_before_the_work(line, here, capsys):
    place = here / "locked"
    place.mkdir(mode=0o500)
    if os.access(place, os.W_OK):  # root writes anywhere but there
        place = Path("/proc")
    assert run(line.format(place)) == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert f"{place}/x" in said
    assert "cannot be written" in said


@pytest.mark.parametrize(
    "line",
    ["", "nosuch", "render", "render shape.ply", f"{R} --size x", f"{R} --nosuch 1", "cloud"],
)
def test_bad_usage_ends_with_2_on_stderr(line, here, capsys):
    before = content(here)
    assert run(line) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err
    assert "Traceback" not in err
    assert content(here) == before


@pytest.mark.parametrize(
    "command",
    [
        "demo",
        "roundtrip",
        "render",
        "cloud",
        "fuse",
        "info",
        "convert",
        "formats",
        "simplify",
        "compare",
    ],
)
def test_every_command_has_help_for_every_option(command, capsys):
    assert run(f"{command} --help") == 0
    told = capsys.readouterr().out
    assert "--threads" in told
    assert "--no-quiet" not in told
    if command in ("render", "roundtrip"):
        for name in ("dodecahedron", "fibonacci:N", "turntable:N", "--fov", "43.0", "224", "1.5"):
            assert name in told


@pytest.mark.parametrize(
    ("options", "doubt"),
    [
        ("--distance 0.3", "cameras stand inside the sphere that holds the object"),
        ("--fov 20", "parts of the object may lie outside the images"),
        ("--orthographic 0.9", "--orthographic 0.9: the sphere that holds the object is 1 high"),
        ("--orthographic 1.01", None),
        ("", None),
        ("--distance 0.3 --quiet", None),
    ],
)
@pytest.mark.usefixtures("here")
def test_cameras_that_cannot_see_all_are_warned_of(options, doubt, capsys):
    assert run(f"{R} {SMALL} {options}") == 0
    err = capsys.readouterr().err
    if doubt is None:
        assert err == ""
    else:
        assert err.startswith("backproject: warning: ")
        assert doubt in err
        assert err.count("\n") == 1


@pytest.mark.usefixtures("here")
def test_an_unforeseen_error_is_one_line_too(capsys, monkeypatch):
    from backproject.cli import commands

    def fail(*_, **__):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(commands, "fuse", fail)
    assert run("fuse capture -o new.ply") == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert "ZeroDivisionError: a bug" in said
    assert "report" in said


@pytest.mark.usefixtures("here")
def test_the_installed_command_and_a_pipe_that_closes_early():
    ended = subprocess.run(
        f"'{BIN}' compare shape.ply shape.ply --samples 100 | head -n 1",
        shell=True, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.stdout == "shape.ply against shape.ply\n"
    assert ended.stderr == ""


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_with_130_and_leaves_nothing(number, here):
    """Sent while the results are being written beside their place."""
    before = content(here)
    slow = (
        "import sys, time, backproject.report.folder as folder\n"
        "def stall(*_, **__):\n"
        "    print('writing', flush=True)\n"
        "    time.sleep(30)\n"
        "folder.write_scores = stall\n"
        "from backproject.cli.main import main\n"
        f"sys.exit(main('roundtrip shape.ply -o new {SMALL} --resolution 16'.split()))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", slow], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "writing\n"
        assert set(content(here)) != set(before)
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "backproject: stopped\n")
    assert content(here) == before
