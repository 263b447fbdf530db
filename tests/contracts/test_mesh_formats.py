"""Every mesh and cloud format keeps the same contract."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st

from backproject.errors import FileMissingError, FormatError, InputError, OutputError
from backproject.geometry.cloud import PointCloud
from backproject.geometry.mesh import Mesh
from backproject.io.clouds import read_cloud, write_cloud
from backproject.io.meshes import MESH_FORMATS, read_mesh, write_mesh
from backproject.io.rigs import read_camera_list, write_camera_list

WRITTEN = [suffix for suffix, format in MESH_FORMATS.items() if format.write]
EXACT = [".ply", ".obj", ".off"]

OCTAHEDRON = Mesh(
    np.array([(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]) / 3 + 1e-3,
    np.array(
        [(0, 2, 4), (2, 1, 4), (1, 3, 4), (3, 0, 4), (2, 0, 5), (1, 2, 5), (3, 1, 5), (0, 3, 5)]
    ),
)


@pytest.mark.parametrize("suffix", WRITTEN)
def test_write_then_read_is_the_same_mesh(suffix, tmp_path):
    path = tmp_path / f"mesh{suffix}"
    write_mesh(OCTAHEDRON, path)
    again = read_mesh(path)
    # float32 keeps 24 bits: relative 6e-8.
    tolerance = 0 if suffix in EXACT else 6e-8
    np.testing.assert_allclose(again.triangles, OCTAHEDRON.triangles, rtol=tolerance)
    assert again.is_watertight
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", EXACT)
@given(seed=st.integers(0, 2**32 - 1), size=st.floats(1e-6, 1e6))
def test_text_and_ply_keep_every_digit_and_every_index(suffix, seed, size, tmp_path_factory):
    rng = np.random.default_rng(seed)
    mesh = Mesh(rng.normal(size=(9, 3)) * size, rng.integers(0, 9, (12, 3)))
    path = tmp_path_factory.getbasetemp() / f"random{suffix}"
    write_mesh(mesh, path)
    again = read_mesh(path)
    np.testing.assert_array_equal(again.vertices, mesh.vertices)
    np.testing.assert_array_equal(again.faces, mesh.faces)


@pytest.mark.parametrize("suffix", WRITTEN)
def test_ply_alone_keeps_how_many_views_saw_each_vertex(suffix, tmp_path):
    support = np.array([0, 1, 20, 0, 3, 2**31 - 1])
    write_mesh(Mesh(OCTAHEDRON.vertices, OCTAHEDRON.faces, support), tmp_path / f"mesh{suffix}")
    again = read_mesh(tmp_path / f"mesh{suffix}").support
    if suffix == ".ply":
        np.testing.assert_array_equal(again, support)
    else:
        assert again is None


def test_a_mesh_without_support_comes_back_without(tmp_path):
    write_mesh(OCTAHEDRON, tmp_path / "mesh.ply")
    assert read_mesh(tmp_path / "mesh.ply").support is None


@pytest.mark.parametrize(
    ("kind", "values", "wanted"),
    [
        ("uchar", "4 0 255", [4, 0, 255]),
        ("double", "4 0 7", [4, 0, 7]),
        # another's numbers of the same name: not counts of views
        ("float", "0.5 0 1", None),
        ("int", "-1 0 1", None),
        ("float", "nan 0 1", None),
        ("double", "4294967296 0 1", None),
        ("list uchar int", "1;0 1;0 1;0", None),
    ],
)
def test_support_in_other_types_is_read_and_other_meanings_are_not(kind, values, wanted, tmp_path):
    extra = [value.replace(";", " ") for value in values.split()]
    rows = [f"{row} {more}" for row, more in zip(("0 0 0", "1 0 0", "0 1 0"), extra, strict=True)]
    text = ply(vertices="\n".join(rows) + "\n")
    text = text.replace("float z\n", f"float z\nproperty {kind} support\n")
    (tmp_path / "theirs.ply").write_text(text)
    mesh = read_mesh(tmp_path / "theirs.ply")
    assert (None if mesh.support is None else mesh.support.tolist()) == wanted
    assert mesh.face_areas.tolist() == [0.5]


@pytest.mark.parametrize("suffix", WRITTEN)
def test_faces_without_area_are_kept_and_nothing_is_printed(suffix, tmp_path, capfd, caplog):
    caplog.set_level(logging.CRITICAL)
    mesh = Mesh(OCTAHEDRON.vertices, np.concatenate([OCTAHEDRON.faces, [(0, 0, 1), (2, 2, 2)]]))
    write_mesh(mesh, tmp_path / f"mesh{suffix}")
    assert len(read_mesh(tmp_path / f"mesh{suffix}").faces) == 10
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("suffix", WRITTEN)
def test_suffix_in_capitals_is_the_same_format(suffix, tmp_path):
    write_mesh(OCTAHEDRON, tmp_path / f"MESH{suffix.upper()}")
    assert len(read_mesh(tmp_path / f"MESH{suffix.upper()}").faces) == 8


@pytest.mark.parametrize("suffix", [".ply", ".obj", ".stl", ".glb", ".off"])
def test_trimesh_reads_what_we_write_and_we_what_it_writes(suffix, tmp_path):
    write_mesh(OCTAHEDRON, tmp_path / f"ours{suffix}")
    theirs = trimesh.load_mesh(tmp_path / f"ours{suffix}")
    assert theirs.is_watertight
    theirs.export(tmp_path / f"theirs{suffix}")
    again = read_mesh(tmp_path / f"theirs{suffix}")
    # trimesh writes OBJ and OFF with 8 digits, the others as float32.
    assert again.face_areas.sum() == pytest.approx(OCTAHEDRON.face_areas.sum(), rel=1e-6)
    assert again.is_watertight


SQUARE_AND_TRIANGLE = {
    "quad and triangle with textures and normals.obj": (
        "# caf\u00e9\nmtllib no.mtl\no one\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 1\n"
        "vn 0 0 1\nusemtl red\nf 1/1/1 2/2/1 3/1/1 4/2/1\no two\nv 2 0.5 0\n"
        "s off\nf 2//1 5//1 3//1\n"
    ),
    "relative indices and a broken line.obj": (
        "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf -4 -3 \\\n-2 -1\nv 2 0.5 0\nf 2 -1 3\n"
    ),
    "colours.obj": (
        "v 0 0 0 1 0 0\r\nv 1 0 0 1 0 0\r\nv 1 1 0 1 0 0\r\nv 0 1 0 1 0 0\r\nv 2 .5 0 1 0 0\r\n"
        "f 1 2 3 4\r\nf 2 5 3\r\n"
    ),
    "plain.off": "OFF\n5 2 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n2 .5 0\n4 0 1 2 3\n3 1 4 2\n",
    "modelnet.off": "OFF5 2 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n2 .5 0\n4 0 1 2 3\n3 1 4 2\n",
    "comments and colours.off": (
        "COFF # c\n# more\n5 2 0\n0 0 0 9 9 9 9\n1 0 0 9 9 9 9\n1 1 0 9 9 9 9\n0 1 0 9 9 9 9\n"
        "2 .5 0 9 9 9 9\n\n4 0 1 2 3 7\n3 1 4 2 7\n"
    ),
    "mixed.ply": (
        "ply\nformat ascii 1.0\ncomment c\nelement vertex 5\nproperty float x\nproperty float y\n"
        "property float z\nproperty uchar red\nelement face 2\n"
        "property list uchar int vertex_index\nproperty uchar tag\nend_header\n"
        "0 0 0 7\n1 0 0 7\n1 1 0 7\n0 1 0 7\n2 0.5 0 7\n4 0 1 2 3 9\n3 1 4 2 9\n"
    ),
}


def mixed_binary_ply(order):
    name = {"<": "little", ">": "big"}[order]
    head = (
        f"ply\nformat binary_{name}_endian 1.0\nelement vertex 5\nproperty double x\n"
        "property double y\nproperty double z\nelement face 2\n"
        "property list uchar uint vertex_indices\nend_header\n"
    )
    vertices = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (2, 0.5, 0)], order + "f8")
    faces = [np.array(f, order + "u4") for f in ((0, 1, 2, 3), (1, 4, 2))]
    return (
        head.encode() + vertices.tobytes() + b"".join(bytes([len(f)]) + f.tobytes() for f in faces)
    )


@pytest.mark.parametrize("name", [*SQUARE_AND_TRIANGLE, "binary <.ply", "binary >.ply"])
def test_variants_in_the_wild_are_the_same_mesh(name, tmp_path):
    path = tmp_path / name
    if name.startswith("binary"):
        path.write_bytes(mixed_binary_ply(name[7]))
    else:
        path.write_bytes(SQUARE_AND_TRIANGLE[name].encode("latin-1"))
    mesh = read_mesh(path)
    assert mesh.vertices.shape == (5, 3)
    assert mesh.faces.shape == (3, 3)
    assert mesh.face_areas.sum() == 1.5
    np.testing.assert_array_equal(mesh.area_vectors.sum(axis=0), (0, 0, 1.5))


def test_many_polygons_of_changing_size_in_a_binary_ply(tmp_path):
    rng = np.random.default_rng(0)
    sizes = rng.integers(3, 6, 20000)
    sizes[5000:15000] = 3  # a long run among short ones
    corners = np.arange(sizes.sum(), dtype="<i4")
    angle = np.concatenate([np.arange(n) * 2 * np.pi / n for n in sizes])
    vertices = np.stack([np.cos(angle), np.sin(angle), angle * 0], axis=1).astype("<f8")
    rows = np.split(corners, np.cumsum(sizes)[:-1])
    (tmp_path / "many.ply").write_bytes(
        b"ply\nformat binary_little_endian 1.0\n"
        + f"element vertex {len(vertices)}\n".encode()
        + b"property double x\nproperty double y\nproperty double z\n"
        + f"element face {len(sizes)}\n".encode()
        + b"property list uchar int vertex_indices\nend_header\n"
        + vertices.tobytes()
        + b"".join(bytes([len(row)]) + row.tobytes() for row in rows)
    )
    mesh = read_mesh(tmp_path / "many.ply")
    assert len(mesh.faces) == (sizes - 2).sum()
    # Regular n-gons in the unit circle, each of n / 2 sin(2 pi / n).
    assert mesh.face_areas.sum() == pytest.approx((sizes / 2 * np.sin(2 * np.pi / sizes)).sum())


def test_scenes_are_read_whole_with_their_transforms(tmp_path):
    scene = trimesh.Scene()
    box = trimesh.creation.box()
    scene.add_geometry(box)
    mirrored = np.diag([-1.0, 1, 1, 1])
    mirrored[:3, 3] = (5, 0, 0)
    scene.add_geometry(box, transform=mirrored)
    scene.export(tmp_path / "two.glb")
    mesh = read_mesh(tmp_path / "two.glb")
    np.testing.assert_allclose(
        [mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)], [(-0.5,) * 3, (5.5, 0.5, 0.5)]
    )
    assert mesh.is_watertight
    volume = (mesh.area_vectors * mesh.triangles.mean(axis=1)).sum() / 3
    assert volume == pytest.approx(2)  # a mirrored part keeps its outside outside


def test_stl_text_is_stl_too(tmp_path):
    mesh = trimesh.Trimesh(OCTAHEDRON.vertices, OCTAHEDRON.faces, process=False)
    (tmp_path / "text.stl").write_text(mesh.export(file_type="stl_ascii"))
    assert read_mesh(tmp_path / "text.stl").is_watertight


def ply(vertices="0 0 0\n1 0 0\n0 1 0\n", faces="3 0 1 2\n"):
    return (
        "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\n"
        f"property float z\nelement face 1\nproperty list uchar int vertex_indices\nend_header\n"
        f"{vertices}{faces}"
    )


BAD = {
    "empty.obj": b"",
    "garbage.obj": bytes(range(256)) * 4,
    "only points.obj": b"v 0 0 0\nv 1 0 0\nv 0 1 0\n",
    "nan.obj": b"v 0 0 nan\nv 1 0 0\nv 0 1 0\nf 1 2 3\n",
    "past the end.obj": b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 4\n",
    "index 0.obj": b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 0 1 2\n",
    "before the start.obj": b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf -4 -1 -2\n",
    "two corners.obj": b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2\n",
    "no number.obj": b"v 0 0 zero\n",
    "two coordinates.obj": b"v 0 0\nf 1 1 1\n",
    "giant index.obj": b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 99999999999999999999999\n",
    "empty.off": b"",
    "garbage.off": bytes(range(256)) * 4,
    "truncated.off": b"OFF\n3 1 0\n0 0 0\n1 0 0\n",
    "past the end.off": b"OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 3\n",
    "below zero.off": b"OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 -1\n",
    "lacks a corner.off": b"OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n4 0 1 2\n",
    "no faces.off": b"OFF\n3 0 0\n0 0 0\n1 0 0\n0 1 0\n",
    "negative counts.off": b"OFF\n-3 -1 0\n",
    "empty.ply": b"",
    "garbage.ply": bytes(range(256)) * 4,
    "header only.ply": b"ply\nformat ascii 1.0\n",
    "truncated.ply": ply(faces="").encode(),
    "nan.ply": ply(vertices="0 0 nan\n1 0 0\n0 1 0\n").encode(),
    "infinite.ply": ply(vertices="0 0 inf\n1 0 0\n0 1 0\n").encode(),
    "words.ply": ply(vertices="a b c\n1 0 0\n0 1 0\n").encode(),
    "past the end.ply": ply(faces="3 0 1 3\n").encode(),
    "negative list.ply": ply(faces="-3 0 1 2\n").encode(),
    "nan list.ply": ply(faces="nan 0 1 2\n").encode(),
    "nan corner.ply": ply(faces="3 0 1 nan\n").encode(),
    "a cloud.ply": ply().replace("element face 1", "element dot 1").encode(),
    "giant.ply": ply().replace("element vertex 3", "element vertex 999999999999").encode(),
    "odd type.ply": ply().replace("float z", "quad z").encode(),
    "no z.ply": ply().replace("float z", "float depth").encode(),
    "truncated binary.ply": mixed_binary_ply("<")[:-3],
    "empty.stl": b"",
    "garbage.stl": bytes(range(256)) * 4,
    "text without facets.stl": b"solid nothing\nendsolid nothing\n",
    "empty.glb": b"",
    "garbage.glb": bytes(range(256)) * 4,
    "empty.gltf": b"",
    "no meshes.gltf": json.dumps({"asset": {"version": "2.0"}}).encode(),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_in_one_line_that_names_them(name, tmp_path, capfd):
    path = tmp_path / name
    path.write_bytes(BAD[name])
    with pytest.raises(FormatError) as caught:
        read_mesh(path)
    message = str(caught.value)
    assert str(path) in message
    assert "expected" in message
    assert "\n" not in message
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("suffix", [".ply", ".stl", ".glb", ".off"])
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.95])
def test_files_cut_short_are_refused(suffix, keep, tmp_path):
    path = tmp_path / f"cut{suffix}"
    write_mesh(OCTAHEDRON, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(FormatError):
        read_mesh(path)


def test_missing_folder_and_unknown_suffix_are_said(tmp_path):
    with pytest.raises(FileMissingError, match=r"no\.obj: no such file"):
        read_mesh(tmp_path / "no.obj")
    (tmp_path / "folder.obj").mkdir()
    with pytest.raises(FormatError, match="is a folder"):
        read_mesh(tmp_path / "folder.obj")
    with pytest.raises(FormatError, match=r"`\.blend`.*\.ply \.obj"):
        read_mesh(tmp_path / "shape.blend")
    with pytest.raises(FormatError, match=r"`\.gltf` cannot be written"):
        write_mesh(OCTAHEDRON, tmp_path / "shape.gltf")
    with pytest.raises(InputError, match="no faces"):
        write_mesh(Mesh(OCTAHEDRON.vertices, OCTAHEDRON.faces[:0]), tmp_path / "a.obj")
    with pytest.raises(OutputError, match="is a folder"):
        write_mesh(OCTAHEDRON, tmp_path / "folder.obj")


def test_a_place_that_cannot_be_written_leaves_no_trace(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"mesh\.ply: cannot be written"):
        write_mesh(OCTAHEDRON, tmp_path / "file" / "mesh.ply")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def cloud():
    rng = np.random.default_rng(1)
    normals = rng.normal(size=(50, 3))
    normals[7] = np.nan
    return PointCloud(rng.normal(size=(50, 3)) / 3, normals, rng.integers(0, 20, 50))


def test_clouds_come_back_exactly(tmp_path):
    write_cloud(cloud(), tmp_path / "new" / "cloud.ply")
    again = read_cloud(tmp_path / "new" / "cloud.ply")
    for name in ("points", "normals", "view_index"):
        np.testing.assert_array_equal(getattr(again, name), getattr(cloud(), name))
    write_cloud(cloud().subset(np.zeros(50, np.bool_)), tmp_path / "none.ply")
    assert len(read_cloud(tmp_path / "none.ply")) == 0


def test_others_read_our_clouds(tmp_path):
    write_cloud(cloud(), tmp_path / "cloud.ply")
    theirs = trimesh.load(tmp_path / "cloud.ply")
    np.testing.assert_array_equal(theirs.vertices, cloud().points)
    open3d = pytest.importorskip("open3d", reason="the bench extra is not installed")
    theirs = open3d.io.read_point_cloud(str(tmp_path / "cloud.ply"))
    np.testing.assert_array_equal(theirs.points, cloud().points)
    np.testing.assert_array_equal(theirs.normals, cloud().normals)


def test_clouds_of_others_lack_what_they_lack(tmp_path):
    (tmp_path / "bare.ply").write_text(ply())
    bare = read_cloud(tmp_path / "bare.ply")
    assert np.isnan(bare.normals).all()
    assert (bare.view_index == -1).all()


@pytest.mark.parametrize("name", ["empty.ply", "nan.ply", "no z.ply", "garbage.ply", "words.ply"])
def test_bad_clouds_are_refused(name, tmp_path):
    (tmp_path / name).write_bytes(BAD[name])
    with pytest.raises(FormatError, match=name):
        read_cloud(tmp_path / name)
    with pytest.raises(FileMissingError):
        read_cloud(tmp_path / "none.ply")
    with pytest.raises(FormatError, match=r"expected \.ply"):
        write_cloud(cloud(), tmp_path / "cloud.obj")


@given(st.integers(0, 2**32 - 1))
def test_camera_lists_come_back_exactly(tmp_path_factory, seed):
    positions = np.random.default_rng(seed).normal(size=(7, 3))
    path = tmp_path_factory.getbasetemp() / "list.txt"
    write_camera_list(positions, path)
    np.testing.assert_array_equal(read_camera_list(path), positions)


def test_camera_lists_may_have_commas_comments_and_blank_lines(tmp_path):
    (tmp_path / "list.txt").write_text("# x y z\n\n1, 2, 3\n-4 5e-1\t6 # last\n")
    np.testing.assert_array_equal(
        read_camera_list(tmp_path / "list.txt"), [(1, 2, 3), (-4, 0.5, 6)]
    )


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "no camera"),
        ("# nothing\n", "no camera"),
        ("1 2 3\n1 2\n", "line 2.*`1 2`"),
        ("1 2 3\n\n1 2 3 4\n", "line 3"),
        ("1 2 three\n", "line 1"),
        ("nan 0 0\n", "line 1"),
        ("0 0 0\n", "line 1.*not all 0"),
    ],
)
def test_bad_camera_lists_are_refused_with_their_line(text, word, tmp_path):
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(FormatError, match=rf"list\.txt.*{word}"):
        read_camera_list(tmp_path / "list.txt")
