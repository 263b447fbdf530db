"""What is sent to the viewer, read back from a file of it."""

import subprocess
import sys

import numpy as np
import pytest
from shapes import box

import backproject as bp
from backproject.cli.main import main
from backproject.report.viewer import Viewer

chunks = pytest.importorskip("rerun.chunk", reason="needs rerun-sdk, of the extra view")
CLOUDS, CAMERAS, MESHES = "/world/points/", "/world/cameras/", "/world/meshes/"


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    folder = tmp_path_factory.mktemp("capture")
    views = bp.render(box(), bp.Rig.fibonacci(5, distance=3, size=(24, 16)))
    views.save(folder / "cap")
    bp.fuse(views, resolution=16).save(folder / "mesh.ply")
    return folder


def read(path):
    """Return what a recording holds: (entity, component) to its step and its values."""
    content = {}
    for chunk in chunks.RrdReader(path).stream():
        batch = chunk.to_record_batch()
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        steps = columns.get("view")
        for name, column in columns.items():
            if ":" in name:
                for row in range(batch.num_rows):
                    step = None if steps is None else steps[row].as_py()
                    content[chunk.entity_path, name] = step, column[row].as_py()
    return content


def test_a_saved_file_holds_cameras_depth_points_and_meshes(capture, tmp_path, capsys):
    path = tmp_path / "new" / "all.rrd"
    command = ["view", str(capture / "cap"), str(capture / "mesh.ply"), "--save", str(path)]
    assert main(command) == 0
    assert capsys.readouterr().out == f"wrote {path}\n"
    told = read(path)
    views, mesh = bp.ViewSet.load(capture / "cap"), bp.Mesh.load(capture / "mesh.ply")
    for k, camera in enumerate(views.rig):
        name = f"{CAMERAS}{k:03d}"
        step, place = told[name, "Transform3D:translation"]
        assert step == k  # one view after the other
        np.testing.assert_allclose(place[0], camera.center_world, atol=1e-6)
        _, columns = told[name, "Transform3D:mat3x3"]
        turn = np.reshape(columns[0], (3, 3)).T
        np.testing.assert_allclose(turn, camera.world_from_camera[:3, :3], atol=1e-6)
        _, columns = told[name, "Pinhole:image_from_camera"]
        np.testing.assert_allclose(np.reshape(columns[0], (3, 3)).T, camera.intrinsics, rtol=1e-6)
        _, bytes_ = told[f"{name}/depth", "DepthImage:buffer"]
        depth = np.frombuffer(np.array(bytes_[0], np.uint8).tobytes(), np.float32)
        hit = views.silhouettes[k]
        np.testing.assert_array_equal(depth.reshape(hit.shape), np.where(hit, views.depth[k], 0))
        _, points = told[f"{CLOUDS}{k:03d}", "Points3D:positions"]
        cloud = bp.backproject(views.subset([k]))
        np.testing.assert_allclose(points, cloud.points, atol=1e-6)
    step, corners = told[f"{MESHES}mesh", "Mesh3D:vertex_positions"]
    assert step == len(views)
    _, faces = told[f"{MESHES}mesh", "Mesh3D:triangle_indices"]
    np.testing.assert_allclose(
        np.array(corners)[np.array(faces)], mesh.triangles.astype(np.float32), atol=1e-6
    )


def test_meshes_of_one_name_are_all_shown(capture, tmp_path):
    paths = [tmp_path / folder / "mesh.ply" for folder in "ab"]
    for path, side in zip(paths, (1, 2), strict=True):
        path.parent.mkdir()
        box(side).save(path)
    out = tmp_path / "all.rrd"
    assert main(["view", str(capture / "cap"), *map(str, paths), "--save", str(out)]) == 0
    told = read(out)
    for name, side in (("mesh", 1), ("mesh-2", 2)):
        _, corners = told[f"{MESHES}{name}", "Mesh3D:vertex_positions"]
        assert np.ptp(corners) == side


def test_an_orthographic_camera_is_an_outline_around_all_that_it_sees(tmp_path):
    views = bp.render(box(), bp.Rig.fibonacci(2, distance=3, size=(24, 16), extent=4.0))
    with Viewer("flat", save=tmp_path / "flat.rrd") as viewer:
        viewer.add_views(views)
    told = read(tmp_path / "flat.rrd")
    assert not any("Pinhole" in component for _, component in told)
    for k in range(2):
        _, (line,) = told[f"{CAMERAS}{k:03d}", "LineStrips3D:strips"]
        width, height, deep = np.ptp(line, axis=0)
        np.testing.assert_allclose([width, height, deep], [6.0, 4.0, 0.0], atol=1e-6)


def test_fuse_shows_the_views_before_the_mesh(capture, tmp_path, monkeypatch):
    """The viewer that would open on a screen is given a file instead."""
    path = tmp_path / "live.rrd"

    class Filed(Viewer):
        def __init__(self, name):
            super().__init__(name, save=path)

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr("backproject.cli.commands.Viewer", Filed)
    mesh = tmp_path / "mesh.ply"
    line = ["fuse", str(capture / "cap"), "-o", str(mesh), "--resolution", "16", "--view"]
    assert main(line) == 0
    told = read(path)
    steps = {entity: step for (entity, _), (step, _) in told.items() if step is not None}
    assert [steps[f"{CLOUDS}{k:03d}"] for k in range(5)] == [0, 1, 2, 3, 4]
    assert steps[f"{MESHES}mesh"] == 5


def test_what_no_camera_saw_has_another_colour(tmp_path):
    mesh = bp.Mesh(box().vertices, box().faces, np.arange(8) % 2)
    with Viewer("half", save=tmp_path / "half.rrd") as viewer:
        viewer.add_mesh(mesh, "half of it")
    told = read(tmp_path / "half.rrd")
    _, colors = told[f"{MESHES}half_of_it", "Mesh3D:vertex_colors"]
    _, corners = told[f"{MESHES}half_of_it", "Mesh3D:vertex_positions"]
    unseen = {tuple(v) for v, s in zip(mesh.vertices.tolist(), mesh.support, strict=True) if s == 0}
    clay, violet = (
        {c for c, v in zip(colors, map(tuple, corners), strict=True) if (v in unseen) == is_unseen}
        for is_unseen in (False, True)
    )
    assert len(clay) == len(violet) == 1
    assert clay != violet


def test_nothing_is_left_of_a_file_after_an_error(tmp_path):
    def fail():
        with Viewer("x", save=tmp_path / "x.rrd") as viewer:
            viewer.add_mesh(box(), "box")
            raise RuntimeError("in between")

    with pytest.raises(RuntimeError, match="in between"):
        fail()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("view {cap}", "no screen"),
        ("fuse {cap} -o {new}/m.ply --view", "no screen"),
        ("view {cap} --save {new}/x.txt", "expected .rrd"),
        ("view {cap} {new}/none.ply --save {new}/x.rrd", "none.ply"),
    ],
)
def test_what_cannot_be_shown_is_one_line(capture, tmp_path, line, said, capsys, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    if said == "no screen" and sys.platform != "linux":
        pytest.skip("asks for a screen on Linux")
    assert main(line.format(cap=capture / "cap", new=tmp_path).split()) == 1
    (told,) = capsys.readouterr().err.splitlines()
    assert said in told
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_the_command_says_what_to_install(capture, tmp_path):
    code = (
        "import sys; sys.modules['rerun'] = None\n"
        "from backproject.cli.main import main\n"
        f"sys.exit(main(['view', {str(capture / 'cap')!r}, '--save', {str(tmp_path / 'x.rrd')!r}]))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "pip install 'backproject[view]'" in ended.stderr
