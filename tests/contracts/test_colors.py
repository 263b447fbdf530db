"""Colours are checked where they come in, follow their pixels, and are kept where they can be."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from frames import (
    assert_spoilt_files_are_refused_or_read,
    load,
    random_views,
    save_png,
    save_text,
    taken,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from shapes import sphere, sphere_views

import backproject as bp
from backproject.checking.order import reordered
from backproject.checking.turns import turned, turned_back
from backproject.errors import FileMissingError, FormatError, InputError
from backproject.geometry.transform import Similarity
from backproject.geometry.views import Assumption
from backproject.io.captures import is_own_capture
from backproject.io.clouds import read_cloud
from backproject.io.color_images import read_color_image
from backproject.io.meshes import MESH_FORMATS
from backproject.io.sources import tum
from backproject.io.sources.registry import SOURCES

HOLDS = [".ply", ".obj", ".glb"]
WRITTEN = [suffix for suffix, format in MESH_FORMATS.items() if format.write]
SOURCES_WRITTEN = [source for source in SOURCES if source.write]


def colored_views(seed, **options):
    views = random_views(seed, **options)
    colors = np.random.default_rng(seed).integers(0, 256, (*views.depth.shape, 3), np.uint8)
    return replace(views, colors=colors)


def colored_mesh():
    mesh = sphere(splits=1)
    colors = np.random.default_rng(0).integers(0, 256, (len(mesh.vertices), 3), np.uint8)
    colors[0], colors[1] = 0, 255
    return replace(mesh, colors=colors)


# --- what may be colours


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda colors: colors / 255, "colors: got float64, expected uint8"),
        (lambda colors: colors.astype(int), "colors: got int64, expected uint8"),
        (lambda colors: colors[..., 0], "colors: got shape .* expected .*3"),
        (lambda colors: colors[:, :-1], "colors: got shape"),
        (lambda colors: np.concatenate([colors, colors[..., :1]], axis=-1), "colors: got shape"),
    ],
)
def test_other_shapes_and_types_are_refused(spoil, match):
    views, mesh = colored_views(1, count=2), colored_mesh()
    with pytest.raises(InputError, match=match):
        replace(views, colors=spoil(views.colors))
    poses, intrinsics = views.rig.world_from_camera, views.rig.intrinsics
    with pytest.raises(InputError, match=match):
        bp.ViewSet.from_arrays(views.depth, intrinsics, poses, colors=spoil(views.colors))
    with pytest.raises(InputError, match=match):
        replace(mesh, colors=spoil(mesh.colors))
    cloud = bp.backproject(views)
    with pytest.raises(InputError, match=match):
        replace(cloud, colors=spoil(cloud.colors))


def test_arrays_bring_their_colours():
    views = colored_views(1)
    poses, intrinsics = views.rig.world_from_camera, views.rig.intrinsics
    again = bp.ViewSet.from_arrays(views.depth, intrinsics, poses, colors=views.colors)
    np.testing.assert_array_equal(again.colors, views.colors)


# --- colours follow their pixels


def test_colours_follow_their_views_and_pixels():
    views = colored_views(4, count=5)
    np.testing.assert_array_equal(views.subset([3, 1]).colors, views.colors[[3, 1]])
    moved = views.transformed(Similarity(2.0, translation=np.ones(3)))
    np.testing.assert_array_equal(moved.colors, views.colors)
    # image k at camera order[k]
    order = np.array([2, 0, 1, 4, 3])
    np.testing.assert_array_equal(reordered(views, order).colors[order], views.colors)


@pytest.mark.parametrize("label", range(8))
def test_turned_images_keep_the_colours_of_their_depth(label):
    # depth that names its pixel, and colours that say the same
    numbers = np.arange(1, 26).reshape(1, 5, 5)
    rig = bp.Rig.looking_at([(0, 0, 3)], size=5)
    colors = np.repeat(numbers[..., None], 3, axis=-1).astype(np.uint8)
    views = bp.ViewSet(numbers.astype(np.float32), rig, colors=colors)
    labels = np.array([label])
    there = turned(views, labels)
    np.testing.assert_array_equal(there.colors[..., 0], there.depth)
    np.testing.assert_array_equal(turned_back(there, labels).colors, colors)


def test_colours_change_no_diagnosis():
    views = sphere_views(0.4, bp.Rig.dodecahedron(distance=1.5, size=24))
    colors = np.random.default_rng(0).integers(0, 256, (*views.depth.shape, 3), np.uint8)
    diagnosis = bp.check(replace(views, colors=colors))
    assert diagnosis.to_dict() == bp.check(views).to_dict()


def some_turned(views):
    return turned(views, np.isin(np.arange(20), [3, 8]).astype(np.int64))


def in_text_order(views):
    return views.subset(sorted(range(20), key=str))


@pytest.mark.parametrize("spoil", [some_turned, in_text_order])
def test_mending_views_mends_their_colours(spoil):
    mesh = bp.normalize(bp.Mesh.load("examples/data/cc0_headphones_ngons.obj")).mesh
    colors = np.rint(128 + 200 * mesh.vertices).clip(0, 255).astype(np.uint8)
    views = bp.render(replace(mesh, colors=colors), bp.Rig.dodecahedron(size=96))
    spoilt = replace(spoil(views), rig=views.rig)  # the images alone
    assert (spoilt.colors != views.colors).any()
    mended = bp.check(spoilt).apply(spoilt)
    np.testing.assert_array_equal(mended.depth, views.depth)
    np.testing.assert_array_equal(mended.colors, views.colors)


def test_every_point_has_the_colour_of_its_pixel():
    views = colored_views(2, count=4)
    cloud = bp.backproject(views)
    finite = np.isfinite(views.depth)
    np.testing.assert_array_equal(cloud.colors, views.colors[finite])
    kept = bp.backproject(views, consistent=True)
    pairs = zip(cloud.points, cloud.colors, strict=True)
    color_of = {tuple(point): tuple(color) for point, color in pairs}
    assert [color_of[tuple(point)] for point in kept.points] == [tuple(c) for c in kept.colors]
    chosen = np.arange(0, len(cloud), 3)
    np.testing.assert_array_equal(cloud.subset(chosen).colors, cloud.colors[chosen])


def test_views_without_colours_give_none():
    views = random_views(2, count=4)
    assert bp.backproject(views).colors is None
    assert bp.backproject(views, consistent=True).colors is None
    assert bp.fuse(sphere_views(0.4, bp.Rig.dodecahedron(size=24)), resolution=16).colors is None


# --- files


@pytest.mark.parametrize("suffix", WRITTEN)
def test_ply_obj_and_glb_keep_colours_and_the_others_lose_them(suffix, tmp_path):
    mesh = colored_mesh()
    mesh.save(tmp_path / f"mesh{suffix}")
    again = bp.Mesh.load(tmp_path / f"mesh{suffix}")
    assert len(again.faces) == len(mesh.faces)
    if suffix not in HOLDS:
        assert again.colors is None
        return
    # GLB holds float32, and puts the vertices in an order of its own
    places = {tuple(p): tuple(c) for p, c in zip(mesh.vertices.round(5), mesh.colors, strict=True)}
    assert [places[tuple(p)] for p in again.vertices.round(5)] == [tuple(c) for c in again.colors]


def test_support_and_colours_go_together(tmp_path):
    mesh = colored_mesh()
    mesh = replace(mesh, support=np.arange(len(mesh.vertices), dtype=np.int32))
    mesh.save(tmp_path / "mesh.ply")
    again = bp.Mesh.load(tmp_path / "mesh.ply")
    np.testing.assert_array_equal(again.support, mesh.support)
    np.testing.assert_array_equal(again.colors, mesh.colors)


PLY = """ply
format ascii 1.0
element vertex 3
property float x
property float y
property float z
property {kind} red
property {kind} green
property {kind} blue
element face 1
property list uchar int vertex_indices
end_header
0 0 0 {0}
1 0 0 {1}
0 1 0 {2}
3 0 1 2
"""


@pytest.mark.parametrize(
    ("kind", "rows", "wanted"),
    [
        ("uchar", ("255 0 7", "1 2 3", "0 0 0"), [[255, 0, 7], [1, 2, 3], [0, 0, 0]]),
        ("float", ("1 0 0.5", "0 0.2 0", "0 0 0"), [[255, 0, 128], [0, 51, 0], [0, 0, 0]]),
        # numbers that mean something else
        ("float", ("1.5 0 0", "0 0 0", "0 0 0"), None),
        ("int", ("-1 0 0", "0 0 0", "0 0 0"), None),
        ("int", ("256 0 0", "0 0 0", "0 0 0"), None),
        ("float", ("nan 0 0", "0 0 0", "0 0 0"), None),
    ],
)
def test_colours_of_other_programs_are_understood_or_passed_over(kind, rows, wanted, tmp_path):
    (tmp_path / "theirs.ply").write_text(PLY.format(*rows, kind=kind))
    colors = bp.Mesh.load(tmp_path / "theirs.ply").colors
    assert (None if colors is None else colors.tolist()) == wanted


def test_an_obj_has_colours_only_if_every_vertex_has_them(tmp_path):
    lines = ["v 0 0 0 1 0 0.2", "v 1 0 0 0 1 0", "v 0 1 0 0 0 1", "f 1 2 3"]
    (tmp_path / "all.obj").write_text("\n".join(lines))
    wanted = [[255, 0, 51], [0, 255, 0], [0, 0, 255]]
    assert bp.Mesh.load(tmp_path / "all.obj").colors.tolist() == wanted
    (tmp_path / "some.obj").write_text("\n".join(["v 0 0 0 1", *lines[1:]]))  # 1 is a weight
    assert bp.Mesh.load(tmp_path / "some.obj").colors is None


def test_a_cloud_comes_back_with_its_colours(tmp_path):
    cloud = bp.backproject(colored_views(6))
    cloud.save(tmp_path / "cloud.ply")
    again = read_cloud(tmp_path / "cloud.ply")
    np.testing.assert_array_equal(again.colors, cloud.colors)
    np.testing.assert_array_equal(again.view_index, cloud.view_index)


def test_trimesh_and_back_keeps_colours():
    mesh, cloud = colored_mesh(), bp.backproject(colored_views(6))
    np.testing.assert_array_equal(bp.Mesh.from_trimesh(mesh.to_trimesh()).colors, mesh.colors)
    again = bp.PointCloud.from_trimesh(cloud.to_trimesh())
    np.testing.assert_array_equal(again.colors, cloud.colors)
    assert bp.Mesh.from_trimesh(sphere().to_trimesh()).colors is None
    plain = bp.backproject(random_views(6))
    assert bp.PointCloud.from_trimesh(plain.to_trimesh()).colors is None


def test_open3d_and_back_keeps_colours():
    pytest.importorskip("open3d", reason="Open3D is not installed")
    mesh, cloud = colored_mesh(), bp.backproject(colored_views(6))
    np.testing.assert_array_equal(bp.Mesh.from_open3d(mesh.to_open3d()).colors, mesh.colors)
    again = bp.PointCloud.from_open3d(cloud.to_open3d())
    np.testing.assert_array_equal(again.colors, cloud.colors)
    assert bp.Mesh.from_open3d(sphere().to_open3d()).colors is None


# --- sources


@pytest.mark.parametrize("source", SOURCES_WRITTEN, ids=lambda source: source.name)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=5)
def test_every_source_that_is_written_gives_colours_back(source, seed, tmp_path_factory):
    views = colored_views(seed, missing=0.2)
    path = tmp_path_factory.getbasetemp() / f"colored-{source.name}"
    path = path.with_suffix(".npz") if source.name == "npz" else path
    source.write(views, path)
    np.testing.assert_array_equal(load(path).colors, views.colors)
    assert load(path, without_color=True).colors is None
    source.write(random_views(seed), path)  # in its place: what is ours may be written anew
    assert load(path).colors is None


@pytest.mark.parametrize(  # .npz, one file, is spoilt in test_source_arrays
    "source",
    [source for source in SOURCES_WRITTEN if source.name != "npz"],
    ids=lambda source: source.name,
)
def test_spoilt_colours_are_refused_or_read(source, tmp_path):
    source.write(colored_views(1, count=3), tmp_path / "whole")
    rng = np.random.default_rng(0)
    for _ in range(60):
        assert_spoilt_files_are_refused_or_read(tmp_path / "whole", tmp_path, rng)


def test_colours_that_got_lost_from_a_capture_of_ours_are_told(tmp_path):
    views = colored_views(3, count=3)
    note = Assumption("source", "elsewhere", "views that were read before tell such")
    replace(views, assumptions=(note,)).save(tmp_path / "c")
    assert load(tmp_path / "c").assumptions == (note,)
    (tmp_path / "c" / "color" / "001.png").unlink()
    again = load(tmp_path / "c")
    assert again.colors is None
    assert "1 of 3 images are not there: 001.png" in because(again)
    again.save(tmp_path / "d")
    assert load(tmp_path / "d").assumptions == again.assumptions


def test_a_capture_with_colours_is_still_ours(tmp_path):
    folder = tmp_path / "c"
    colored_views(3).save(folder)
    assert is_own_capture(folder)
    (folder / "color" / "notes.txt").write_text("mine")
    assert not is_own_capture(folder)


def foreign(folder, name="images/{:03}.jpg", size=(40, 30), count=3):
    """A capture as nerfstudio has it: depth of 40 x 30 pixels, and images of some size that get
    redder to the right, greener downwards, and bluer from view to view.
    """
    (folder / "images").mkdir(parents=True)
    frames = []
    for k in range(count):
        np.save(folder / f"{k}.npy", np.full((30, 40), 2.0, np.float32))
        pose = np.eye(4)
        pose[0, 3] = k
        file = name.format(k)
        frames.append(
            {"file_path": file, "depth_file_path": f"{k}.npy", "transform_matrix": pose.tolist()}
        )
        if size:
            place = (folder / file).with_suffix((folder / file).suffix or ".png")
            save_image(ramps(size, k), place)
    cameras = {"fl_x": 50.0, "fl_y": 50.0, "cx": 20.0, "cy": 15.0, "w": 40, "h": 30}
    content = {**cameras, "depth_unit_scale_factor": 1, "frames": frames}
    (folder / "transforms.json").write_text(json.dumps(content))
    return folder


def ramps(size, k):
    """Colours of which each is the mean over its pixel of a linear function of the image."""
    x, y = ((np.arange(side) + 0.5) / side for side in size)
    red, green = np.broadcast_arrays(200 * x, 200 * y[:, None])
    return np.rint(np.stack([red, green, np.full_like(red, 50 * k)], axis=-1)).astype(np.uint8)


def save_image(colors, file):
    options = {"quality": 100, "subsampling": 0} if file.suffix == ".jpg" else {}
    Image.fromarray(colors).save(file, **options)


def because(views):
    (told,) = (note for note in views.assumptions if note.about == "colour")
    return told.because


@pytest.mark.parametrize("size", [(40, 30), (80, 60), (320, 240), (20, 15), (100, 75)])
@pytest.mark.parametrize("name", ["images/{:03}.jpg", "images/r_{}", "./images/{}.png"])
def test_images_of_other_sizes_come_to_the_pixels_of_the_depth(size, name, tmp_path):
    views = load(foreign(tmp_path / "c", name, size))
    wanted = np.stack([ramps((40, 30), k) for k in range(3)]).astype(int)
    # Linear functions stay as they are but at the margins, where there is nothing on one side: a
    # pixel of the coarser image, a step of 10. Rounding, and JPEG at its best, cost 3 at most.
    off = np.abs(views.colors - wanted)
    assert off[:, 2:-2, 2:-2].max() <= 3
    assert off.max() <= 10
    assert ("resampled" in taken(views, "colour")[0]) == (size != (40, 30))


def test_the_colours_of_transparent_pixels_are_those_beneath(tmp_path):
    pixels = np.zeros((30, 40, 4), np.uint8)
    pixels[...] = (10, 20, 30, 0)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    assert (read_color_image(tmp_path / "image.png", (40, 30)) == (10, 20, 30)).all()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"size": None}, "3 of 3 images are not there: 000.jpg"),
        ({"size": (40, 40)}, "40 x 40 pixels and its depth map 40 x 30: another camera"),
    ],
)
def test_what_is_not_of_the_same_pixels_is_left_out_and_told(options, match, tmp_path):
    views = load(foreign(tmp_path / "c", **options))
    assert views.colors is None
    assert taken(views, "colour") == ["none"]
    assert match in because(views)


@pytest.mark.parametrize(
    "name", ["../{}.jpg", "/{}.jpg", "images/{}" + 300 * "x", "images/{}\0.jpg", ""]
)
def test_paths_that_lead_nowhere_or_outside_give_no_colours(name, tmp_path):
    folder = foreign(tmp_path / "c", "images/{}.png")
    content = json.loads((folder / "transforms.json").read_text())
    for k, frame in enumerate(content["frames"]):
        frame["file_path"] = name.format(k)
        save_image(ramps((40, 30), k), tmp_path / f"{k}.jpg")
    (folder / "transforms.json").write_text(json.dumps(content))
    views = load(folder)
    assert views.colors is None
    if name == "../{}.jpg":
        assert "3 of 3 images lie outside c: '0.jpg', ... (--allow-outside" in because(views)
        colors = load(folder, allow_outside=True).colors
        blue = [int(each[5, 5, 2]) for each in colors]
        np.testing.assert_allclose(blue, [0, 50, 100], atol=1)  # JPEG rounds
    elif name:
        assert "outside" in because(views) or "not there" in because(views)


def test_an_image_that_cannot_be_read_is_refused_unless_colours_are_left_out(tmp_path):
    folder = foreign(tmp_path / "c")
    (folder / "images" / "001.jpg").write_bytes(b"no image")
    with pytest.raises(FormatError, match=r"001.jpg: cannot be read as colours.*--without-color"):
        load(folder)
    assert load(folder, without_color=True).colors is None


def test_sixteen_bit_grey_is_no_colour_image(tmp_path):
    Image.fromarray(np.zeros((30, 40), np.uint16)).save(tmp_path / "grey.png")
    with pytest.raises(FormatError, match="expected 8 bits a channel"):
        read_color_image(tmp_path / "grey.png", (40, 30))


def test_a_depth_image_is_not_its_own_colours(tmp_path):
    folder = foreign(tmp_path / "c", size=None)
    content = json.loads((folder / "transforms.json").read_text())
    for frame in content["frames"]:
        frame["file_path"] = frame["depth_file_path"]
    (folder / "transforms.json").write_text(json.dumps(content))
    assert load(folder).colors is None


def test_a_folder_of_colours_is_taken_by_name_and_then_in_order(tmp_path):
    folder = foreign(tmp_path / "c", size=None)
    for name in ("rgb_{}.png", "photo{}.png"):  # the second says nothing of the depth images' names
        place = tmp_path / name[:3]
        place.mkdir()
        for k in (2, 0, 1):
            save_image(ramps((80, 60), k), place / name.format(k))
        views = load(folder, color_folder=place)
        assert [each[5, 5, 2] for each in views.colors] == [0, 50, 100]
        assert because(views) == "--color-folder says so"


def test_a_folder_of_colours_must_fit(tmp_path):
    folder, place = foreign(tmp_path / "c"), tmp_path / "place"
    with pytest.raises(FileMissingError, match="no such folder, expected colour images"):
        load(folder, color_folder=place)
    place.mkdir()
    save_image(ramps((40, 30), 0), place / "a.png")
    with pytest.raises(FormatError, match="1 images in place for 3 depth images"):
        load(folder, color_folder=place)
    for name in "bc":
        save_image(ramps((40, 40), 0), place / f"{name}.png")
    with pytest.raises(FormatError, match="another camera took it"):
        load(folder, color_folder=place)
    with pytest.raises(InputError, match="--without-color: got it with --color-folder"):
        load(folder, color_folder=place, without_color=True)


def test_nerf_s_images_beside_depth_that_no_frame_names(tmp_path):
    folder = foreign(tmp_path / "c", "images/r_{}")
    content = json.loads((folder / "transforms.json").read_text())
    (folder / "depth").mkdir()
    for k, frame in enumerate(content["frames"]):
        del frame["depth_file_path"]
        (folder / f"{k}.npy").rename(folder / "depth" / f"r_{k}.npy")
    (folder / "transforms.json").write_text(json.dumps(content))
    assert [each[5, 5, 2] for each in load(folder).colors] == [0, 50, 100]


def test_seven_scenes_colours_are_taken_only_if_the_user_says_so(tmp_path):
    for k in range(3):
        save_png(np.full((30, 40), 1500), tmp_path / f"frame-{k:06}.depth.png")
        save_text(np.eye(4), tmp_path / f"frame-{k:06}.pose.txt")
        save_image(ramps((40, 30), k), tmp_path / f"frame-{k:06}.color.png")
    save_text([[50, 0, 20], [0, 50, 15], [0, 0, 1]], tmp_path / "camera-intrinsics.txt")
    views = load(tmp_path)
    assert views.colors is None
    assert "--color-folder" in because(views)
    views = load(tmp_path, color_folder=tmp_path)
    assert [each[5, 5, 2] for each in views.colors] == [0, 50, 100]


def test_tum_s_colours_are_the_nearest_in_time_if_near_enough(tmp_path):
    views = colored_views(2, count=3)
    tum.write(views, tmp_path / "c")
    file = tmp_path / "c" / "rgb.txt"
    _, _, *rows = file.read_text().splitlines()
    late = [f"{float(row.split()[0]) + 0.015} {row.split()[1]}" for row in rows]
    early = ["-1.01 nothing.png", "0.5 nothing.png"]  # images that no depth is near
    file.write_text("\n".join([*early, *late]))
    again = load(tmp_path / "c")
    np.testing.assert_array_equal(again.colors, views.colors)
    assert "0.0150 s apart" in because(again)
    file.write_text("\n".join(late[:-1]))
    again = load(tmp_path / "c")
    assert again.colors is None
    assert "0.02 s are allowed" in because(again)


def test_blenderproc_s_colours_come_with_the_frames(tmp_path):
    h5py = pytest.importorskip("h5py")
    for k, channels in enumerate((3, 4)):
        with h5py.File(tmp_path / f"{k}.hdf5", "w") as file:
            file["depth"] = np.full((30, 40), 2.0, np.float32)
            file["cam2world"], file["K"] = np.eye(4), np.diag([50.0, 50, 1])
            file["colors"] = np.dstack([ramps((40, 30), k), np.full((30, 40), 9)])[
                ..., :channels
            ].astype(np.uint8)
    views = load(tmp_path)
    np.testing.assert_array_equal(views.colors, [ramps((40, 30), k) for k in range(2)])
    with h5py.File(tmp_path / "1.hdf5", "a") as file:
        del file["colors"]
        file["colors"] = np.zeros((15, 20, 3), np.uint8)
    assert load(tmp_path).colors is None


def test_arrays_that_are_no_colours_are_passed_over_and_told(tmp_path):
    views = random_views(1, count=2)
    cameras = {"intrinsics": views.rig.intrinsics, "c2w": views.rig.world_from_camera}
    floats = np.zeros((*views.depth.shape, 3), np.float32)
    np.savez(tmp_path / "a.npz", depth=views.depth, rgb=floats, **cameras)
    again = load(tmp_path / "a.npz")
    assert again.colors is None
    assert "`rgb` is float32" in because(again)


def test_an_archive_brings_the_colours_of_its_source(tmp_path):
    views = colored_views(3)
    views.save(tmp_path / "c")
    shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "c")
    np.testing.assert_array_equal(load(tmp_path / "packed.zip").colors, views.colors)
