"""COLMAP: models as text and binary, its own depth maps and others, and what is written back."""

from __future__ import annotations

import contextlib
import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from backproject.errors import BackprojectError, FormatError
from backproject.geometry.rig import Rig
from backproject.geometry.views import ViewSet
from backproject.io.sources import colmap
from backproject.io.sources.registry import read_cameras, read_views, recognise
from backproject.io.sources.source import Asked

MODELS = ["txt", "bin"]


def random_views(seed, *, focals=2, square=False):
    rng = np.random.default_rng(seed)
    count, height, width = rng.integers(1, 6), rng.integers(1, 9), rng.integers(1, 9)
    intrinsics = np.zeros((count, 3, 3)) + np.eye(3)
    intrinsics[:, (0, 1), (0, 1)] = rng.uniform(1, 999, (focals, 2))[
        rng.integers(focals, size=count)
    ]
    if square:
        intrinsics[:, 1, 1] = intrinsics[:, 0, 0]
    intrinsics[:, :2, 2] = rng.uniform(-9, 99, 2)
    poses = Rig.looking_at(rng.normal(size=(count, 3)), target=rng.normal(size=3) * 5)
    depth = rng.uniform(0.5, 40, (count, height, width)).astype(np.float32)
    depth[rng.random(depth.shape) < 0.2] = np.nan
    return ViewSet(depth, Rig(intrinsics, poses.world_from_camera, width, height))


def assert_same(again, views):
    np.testing.assert_array_equal(again.depth, views.depth)
    np.testing.assert_array_equal(again.rig.intrinsics, views.rig.intrinsics)
    poses = views.rig.world_from_camera
    # A rotation to a quaternion and back, and a translation turned twice: some 1e-15 of its length.
    np.testing.assert_allclose(again.rig.world_from_camera, poses, rtol=0, atol=1e-13)


def quaternion(rotation):
    """Return w x y z, of four ways the one that divides by the largest (Shepperd 1978)."""
    (a, b, c), (d, e, f), (g, h, i) = rotation
    square = np.array(
        [
            [1 + a + e + i, h - f, c - g, d - b],
            [0, 1 + a - e - i, d + b, c + g],
            [0, 0, 1 - a + e - i, h + f],
            [0, 0, 0, 1 - a - e + i],
        ]
    )
    square = square + np.triu(square, 1).T
    row = square[np.argmax(np.diag(square))]
    return row / np.linalg.norm(row)


def write_model(views, folder, kind, *, names=None, models=None, points=2):
    """Write a model as COLMAP does: a camera for each image, and points that we do not need."""
    folder.mkdir(parents=True, exist_ok=True)
    rig = views.rig
    names = names or [f"img {k}.jpg" for k in range(len(views))]
    numbers = [tuple(k[(0, 1, 0, 1), (0, 1, 2, 2)]) for k in rig.intrinsics]
    models = models or [("PINHOLE", 1, each) for each in numbers]
    poses = [(*quaternion(p[:3, :3]), *p[:3, 3]) for p in rig.camera_from_world]
    cameras, images = (folder / f"{name}.{kind}" for name in ("cameras", "images"))
    if kind == "txt":
        rows = [
            f"{7 + k} {model} {rig.width} {rig.height} {' '.join(map(repr, map(float, p)))}\n"
            for k, (model, _, p) in enumerate(models)
        ]
        cameras.write_text("# Camera list\n" + "".join(rows))
        rows = [
            f"{k + 1} {' '.join(map(repr, map(float, pose)))} {7 + k} {name}\n"
            + " ".join(["2362.39 248.498 -1"] * points) + "\n"
            for k, (pose, name) in enumerate(zip(poses, names, strict=True))
        ]  # fmt: skip
        images.write_text("# Image list\n#\n" + "".join(rows))
        return
    content = struct.pack("<Q", len(models))
    for k, (_, number, p) in enumerate(models):
        content += struct.pack(f"<iiQQ{len(p)}d", 7 + k, number, rig.width, rig.height, *p)
    cameras.write_bytes(content)
    content = struct.pack("<Q", len(names))
    for k, (pose, name) in enumerate(zip(poses, names, strict=True)):
        content += struct.pack("<i7di", k + 1, *pose, 7 + k) + name.encode() + b"\0"
        content += struct.pack("<Q", points) + struct.pack("<ddq", 1.5, 2.5, -1) * points
    images.write_bytes(content)


def write_maps(views, folder, *, kind="geometric"):
    """Write depth as COLMAP does; 0 is not measured."""
    folder.mkdir(parents=True, exist_ok=True)
    for k, depth in enumerate(views.depth):
        height, width = depth.shape
        body = np.nan_to_num(depth, nan=0).astype("<f4").tobytes()
        (folder / f"img {k}.jpg.{kind}.bin").write_bytes(f"{width}&{height}&1&".encode() + body)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("place", ["sparse", "sparse/0", "."])
def test_a_workspace_is_read(kind, place, tmp_path):
    views = random_views(4)
    write_model(views, tmp_path / place, kind)
    write_maps(views, tmp_path / "stereo" / "depth_maps")
    assert recognise(tmp_path) is colmap.SOURCE
    assert_same(read_views(tmp_path), views)


@pytest.mark.parametrize("kind", MODELS)
def test_one_focal_length_stands_for_both(kind, tmp_path):
    views = random_views(5, square=True)
    models = [("SIMPLE_PINHOLE", 0, k[(0, 0, 1), (0, 2, 2)]) for k in views.rig.intrinsics]
    write_model(views, tmp_path, kind, models=models, points=0)
    write_maps(views, tmp_path / "stereo" / "depth_maps")
    assert_same(read_views(tmp_path), views)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_reading_undoes_writing(seed, tmp_path_factory):
    views = random_views(seed)
    depth = views.depth.copy()
    depth[np.random.default_rng(seed).random(depth.shape) < 0.2] = np.inf
    views = replace(views, depth=depth)
    folder = tmp_path_factory.getbasetemp() / "colmap"
    colmap.SOURCE.write(views, folder)
    assert_same(read_views(folder), views)


def test_what_is_written_is_what_colmap_reads(tmp_path):
    rig = Rig.looking_at([(0, 0, 2)], size=(6, 4), fov_deg=90)
    colmap.SOURCE.write(ViewSet(np.ones((1, 4, 6), np.float32), rig), tmp_path / "w")
    cameras = (tmp_path / "w" / "sparse" / "cameras.txt").read_text().splitlines()[1:]
    _, model, *numbers = cameras[0].split()
    assert model == "PINHOLE"
    np.testing.assert_allclose(list(map(float, numbers)), (6, 4, 2, 2, 3, 2), rtol=1e-15)
    image = (tmp_path / "w" / "sparse" / "images.txt").read_text().splitlines()[1].split()
    # Looking along -z, upright: turned by 180 degrees about x; the origin is 2 before the camera.
    np.testing.assert_allclose(np.abs([float(w) for w in image[1:5]]), (0, 1, 0, 0), atol=1e-15)
    np.testing.assert_allclose([float(w) for w in image[5:8]], (0, 0, 2), atol=1e-15)


def test_binary_is_preferred_as_colmap_prefers_it(tmp_path):
    views = random_views(6)
    write_model(views, tmp_path, "bin")
    (tmp_path / "cameras.txt").write_text("nonsense")
    (tmp_path / "images.txt").write_text("nonsense")
    write_maps(views, tmp_path / "depth")
    assert_same(read_views(tmp_path), views)


def test_geometric_maps_are_preferred_and_said(tmp_path):
    views = random_views(7)
    write_model(views, tmp_path, "txt")
    write_maps(views, tmp_path / "stereo" / "depth_maps", kind="geometric")
    write_maps(
        replace(views, depth=views.depth * 2),
        tmp_path / "stereo" / "depth_maps",
        kind="photometric",
    )
    again = read_views(tmp_path)
    assert_same(again, views)
    assert ("depth maps", "*.geometric.bin") in [(a.about, a.taken) for a in again.assumptions]


def test_images_are_in_natural_order_and_that_is_said(tmp_path):
    views = random_views(2)
    views = views.subset([0] * 11)
    names = [f"v{k}.png" for k in (3, 1, 2, 10, 4, 5, 6, 7, 8, 9, 11)]
    write_model(views, tmp_path, "bin", names=names)
    (tmp_path / "depth").mkdir()
    for k in range(1, 12):
        np.save(tmp_path / "depth" / f"v{k}.npy", np.full(views.depth.shape[1:], k, np.float32))
    again = read_views(tmp_path)
    np.testing.assert_array_equal(again.depth[:, 0, 0], range(1, 12))
    assert "order of files" in [each.about for each in again.assumptions]


PATTERNS = ["{}.jpg.npy", "{}.npy", "{}_depth.npy", "depth_{}.npy", "{}.depth.npy", "{}-Depth.npy"]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_depth_maps_are_found_by_name_and_the_rest_is_told(pattern, tmp_path):
    views = random_views(4).subset([0, 0, 0])
    write_model(views, tmp_path, "txt", names=["a/rgb_1.jpg", "a/rgb_2.jpg", "b/rgb_1x.jpg"])
    (tmp_path / "depth").mkdir()
    for stem, value in (("1x", 3), ("2", 2), ("other", 9)):
        depth = np.full(views.depth.shape[1:], value, np.float32)
        np.save(tmp_path / "depth" / pattern.format(stem), depth)
    again = read_views(tmp_path)
    np.testing.assert_array_equal(again.depth[:, 0, 0], (2, 3))
    dropped = [each.taken for each in again.assumptions if each.about == "dropped"]
    assert len(dropped) == 2
    assert "rgb_1.jpg" in dropped[0]
    assert "other" in dropped[1]


def test_maps_scaled_down_take_their_cameras_along(tmp_path):
    rig = Rig.looking_at([(0, 0, 2)], size=(8, 4))
    write_model(ViewSet(np.ones((1, 4, 8), np.float32), rig), tmp_path, "bin")
    small = ViewSet(np.ones((1, 2, 4), np.float32), Rig.looking_at([(0, 0, 2)], size=(4, 2)))
    write_maps(small, tmp_path / "stereo" / "depth_maps")
    again = read_views(tmp_path)
    np.testing.assert_allclose(again.rig.intrinsics, small.rig.intrinsics)
    assert "intrinsics" in [each.about for each in again.assumptions]
    narrow = ViewSet(np.ones((1, 2, 8), np.float32), Rig.looking_at([(0, 0, 2)], size=(8, 2)))
    write_maps(narrow, tmp_path / "stereo" / "depth_maps")
    with pytest.raises(FormatError, match="8 x 2 pixels, expected 8 x 4"):
        read_views(tmp_path)


def test_integers_need_a_scale(tmp_path):
    views = random_views(9).subset([0])
    write_model(views, tmp_path, "txt", names=["0.png"])
    (tmp_path / "depth").mkdir()
    image = np.full(views.depth.shape[1:], 1500, np.uint16)
    Image.fromarray(image).save(tmp_path / "depth" / "0.png")
    with pytest.raises(FormatError, match="--depth-scale"):
        read_views(tmp_path)
    again = read_views(tmp_path, Asked(depth_scale=0.001))
    np.testing.assert_array_equal(again.depth, np.float32(1.5))
    assert again.step == 0.001


def test_cameras_alone_can_be_read(tmp_path):
    views = random_views(9)
    write_model(views, tmp_path, "bin")
    cameras = read_cameras(tmp_path, Asked(), views.depth.shape[1:])
    assert list(cameras.names) == [f"img {k}.jpg" for k in range(len(views))]
    np.testing.assert_array_equal(cameras.intrinsics, views.rig.intrinsics)


def damaged(folder, kind, what):
    """Return a workspace of two views with one thing wrong."""
    views = random_views(9).subset([0, 0])
    rig = views.rig
    models, names = None, None
    if what == "distorted":
        models = [("SIMPLE_RADIAL", 2, (50.0, 1, 1, 0.1))] * 2
    if what == "unknown model":
        models = [("BANANA", 99, (50.0, 1, 1))] * 2
    if what == "same name":
        names = ["a.jpg", "a.jpg"]
    if what == "zero focal":
        models = [("PINHOLE", 1, (0.0, 1, 1, 1))] * 2
    if what == "nan pose":
        poses = rig.world_from_camera.copy()
        poses[1, 0, 3] = 1.0
        rig = replace(rig, world_from_camera=poses)
    write_model(replace(views, rig=rig), folder, kind, models=models, names=names)
    maps = folder / "stereo" / "depth_maps"
    write_maps(views, maps)
    images = folder / f"images.{kind}"
    if what == "cut short":
        images.write_bytes(images.read_bytes()[: -len(images.read_bytes()) // 3])
    if what == "map cut short":
        (maps / "img 1.jpg.geometric.bin").write_bytes(b"8&8&1&1234")
    if what == "giant map":
        (maps / "img 1.jpg.geometric.bin").write_bytes(b"999999999&999999999&1&1234")
    if what == "normal map":
        (maps / "img 1.jpg.geometric.bin").write_bytes(b"1&1&3&" + b"\0" * 12)
    if what == "no map":
        (maps / "img 1.jpg.geometric.bin").write_bytes(b"PNG")
    if what == "no maps":
        for file in maps.iterdir():
            file.unlink()
    if what == "no depth folder":
        (folder / "stereo").rename(folder / "elsewhere")
    if what == "other names":
        for k, file in enumerate(sorted(maps.iterdir())):
            file.rename(maps / f"x{k}.geometric.bin")
    if what == "no images":
        images.write_bytes(b"\0" * 8 if kind == "bin" else b"# none\n")
    if what == "no cameras":
        (folder / f"cameras.{kind}").write_bytes(b"\0" * 8 if kind == "bin" else b"# none\n")
    return folder


BAD = {
    "distorted": "undistort first",
    "unknown model": "BANANA|model number 99",
    "same name": "two images of one name",
    "zero focal": "focal",
    "cut short": "cut short|expected",
    "map cut short": "img 1.jpg.geometric.bin: claims 8 x 8",
    "giant map": "claims 999999999 x 999999999",
    "normal map": "x 3 numbers",
    "no map": "no depth map",
    "no maps": "no depth images",
    "no depth folder": "without depth maps, expected them in stereo/depth_maps",
    "other names": "has the name of an image",
    "no images": "without images",
    "no cameras": "camera 7",
}


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("what", BAD)
def test_bad_workspaces_are_refused_in_one_line(what, kind, tmp_path):
    folder = damaged(tmp_path / "w", kind, what)
    with pytest.raises((FormatError, FileNotFoundError), match=BAD[what]) as caught:
        read_views(folder)
    message = str(caught.value)
    assert str(folder) in message
    assert "expected" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("1 0 0 0 0 0 0 0 7 a.jpg", "quaternion"),
        ("1 nan 0 0 0 0 0 0 7 a.jpg", "quaternion"),
        ("1 1 0 0 0 inf 0 0 7 a.jpg", "translation"),
        ("1 1 0 0 0 0 0 7 a.jpg", "IMAGE_ID"),
        ("1 1 0 0 0 0 0 0 8 a.jpg", "camera 8"),
        ("1 1 0 0 0 0 0 0 7 a.jpg\n2 1 0 0 0 0 0 0 7 b.jpg", "two lines"),
    ],
)
def test_bad_poses_are_refused(line, word, tmp_path):
    views = random_views(9).subset([0])
    write_model(views, tmp_path, "txt")
    write_maps(views, tmp_path / "depth")
    (tmp_path / "images.txt").write_text(line + "\n")
    with pytest.raises(FormatError, match=word) as caught:
        read_views(tmp_path)
    assert "\n" not in str(caught.value)


def test_quaternions_of_any_length_turn_the_same(tmp_path):
    views = random_views(9).subset([0])
    write_model(views, tmp_path, "txt")
    write_maps(views, tmp_path / "depth")
    (tmp_path / "images.txt").write_text("1 3 0 4 0 1 2 3 7 img 0.jpg\n\n")
    pose = read_views(tmp_path).rig.camera_from_world[0]
    # 0.6 + 0.8 j: about y, by twice the angle whose cosine is 0.6.
    expected = [[-0.28, 0, 0.96, 1], [0, 1, 0, 2], [-0.96, 0, -0.28, 3], [0, 0, 0, 1]]
    np.testing.assert_allclose(pose, expected, atol=1e-15)


def test_only_what_was_written_here_is_replaced(tmp_path):
    for seed in (1, 2):
        colmap.SOURCE.write(random_views(seed), tmp_path / "w")
    assert_same(read_views(tmp_path / "w"), random_views(2))
    (tmp_path / "w" / "note.md").write_text("mine")
    with pytest.raises(OSError, match="will not be overwritten"):
        colmap.SOURCE.write(random_views(3), tmp_path / "w")


@given(seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(MODELS))
@settings(max_examples=60)
def test_damage_is_told_by_our_own_errors(seed, kind, tmp_path_factory):
    rng = np.random.default_rng(seed)
    folder = tmp_path_factory.getbasetemp() / f"damaged-{kind}"
    views = random_views(9).subset([0, 0])
    write_model(views, folder, kind)
    write_maps(views, folder / "depth")
    files = [file for file in folder.rglob("*") if file.is_file()]
    file = files[rng.integers(len(files))]
    content = bytearray(file.read_bytes())
    for _ in range(rng.integers(1, 9)):
        content[rng.integers(len(content))] = rng.integers(256)
    file.write_bytes(content[: rng.integers(len(content) + 1)])
    with contextlib.suppress(BackprojectError):
        read_views(folder)
