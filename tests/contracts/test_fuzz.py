"""Damaged files of every kind: what can be read is read, the rest ends in one of our errors, soon
and in little memory.

Each format and each source gives real files; a few bytes of them are changed, cut, doubled or
exchanged for numbers that are dangerous. Draws are seeded, so that a failure comes again.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from pathlib import Path

import numpy as np
import OpenEXR
import pytest
import tifffile
from frames import save_png, save_text, steps
from paper_files import in_bytes, zipped
from paper_files import write_folder as write_paper
from PIL import Image
from test_source_colmap import write_maps, write_model
from test_source_open3d import by_hand as open3d_by_hand
from trimesh.exchange.gltf import export_gltf

import backproject as bp
from backproject.errors import BackprojectError
from backproject.io import sources
from backproject.io.clouds import read_cloud, write_cloud
from backproject.io.depth_images import DEPTH_FORMATS, WRITABLE_FORMATS, DepthCode, read_stored
from backproject.io.depth_images import write_depth_image as write_depth
from backproject.io.meshes import MESH_FORMATS, read_mesh, write_mesh
from backproject.io.rigs import read_camera_list, write_camera_list
from backproject.io.sources.registry import SOURCES, read_views, recognise
from backproject.io.sources.source import Asked

DRAWS = 100
"""Of each kind of file: some 20 s for all of them."""
SECONDS = 2.0
"""Of processor time for a file of some kilobytes: a reader that takes it hangs."""
MEMORY = 2**29
"""What reading such files may add to the peak: less than one image at the limit (1 GB and more in
the making), so that a false claim that is believed shows.
"""
DANGEROUS = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1]
WORDS = [b"nan", b"inf", b"-1", b"0", b"1e999", b"99999999", b"4294967296", b"1" * 400, b"\xff"]
WORDS += [b'"', b"[", b"{}", b"null", b"true", b"../x", b"/", b"\0", b"\n", b" "]


def damaged(content, rng):
    """Return a copy of some bytes with one to four changes."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        at = int(rng.integers(len(data) + 1))
        size = int(rng.integers(1, 33))
        match int(rng.integers(8)):
            case 0:
                data[at : at + 1] = rng.bytes(1)
            case 1:
                del data[at:]
            case 2:
                del data[at : at + size]
            case 3:
                data[at:at] = rng.bytes(size)
            case 4:
                data[at:at] = data[at : at + size] * int(rng.integers(1, 9))
            case 5:
                number = int(rng.choice(np.array(DANGEROUS, np.uint64)))
                width = int(rng.choice([1, 2, 4, 8]))
                data[at : at + width] = number.to_bytes(8, "little")[:width][:: rng.choice([-1, 1])]
            case 6:
                data[at : at + 1] = rng.choice(WORDS)
            case _:
                numbers = list(re.finditer(rb"-?\d[\d.e+-]*", bytes(data)))
                if numbers:
                    start, end = numbers[rng.integers(len(numbers))].span()
                    data[start:end] = rng.choice(WORDS)
    return bytes(data)


@pytest.fixture(autouse=True)
def little_memory():
    """Hold the test to a peak of memory, where the system tells it."""
    reset, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    if not (reset.exists() and status.exists()):
        yield
        return
    reset.write_text("5")
    before = peak(status)
    yield
    assert peak(status) - before < MEMORY


def peak(status):
    return 1024 * int(re.search(r"VmHWM:\s*(\d+)", status.read_text())[1])


def read_or_refused(read, path):
    """Read what may be damaged: only our own errors, of one line, and soon."""
    started = time.process_time()
    said = "read"
    try:
        read(path)
    except BackprojectError as error:
        said = str(error)
    assert len(said.splitlines()) == 1
    assert time.process_time() - started < SECONDS


RNG = np.random.default_rng(0)
SHAPED = RNG.uniform(1, 2, (24, 32)).astype(np.float32)
BYTES = (SHAPED * 100).astype(np.uint8)


def exr(**options):
    def write(path):
        layers = {"Depth.Z": SHAPED, "R": SHAPED.astype(np.float16)}
        OpenEXR.File({"compression": options["compression"]}, layers).write(str(path))

    return write


IMAGES = {
    "zipped.npz": lambda path: np.savez_compressed(path, depth=SHAPED, other=np.ones(3)),
    "stored.npz": lambda path: np.savez(path, SHAPED),
    "bytes.npy": lambda path: np.save(path, BYTES),
    "grey.png": Image.fromarray(BYTES).save,
    "colour.png": Image.fromarray(np.dstack([BYTES] * 3)).save,
    "palette.png": Image.fromarray(BYTES).convert("P").save,
    "float.tif": lambda path: tifffile.imwrite(path, SHAPED),
    "deflated.tiff": lambda path: tifffile.imwrite(path, BYTES, compression="zlib", tile=(16, 16)),
    "lzw.tif": lambda path: Image.fromarray(SHAPED).save(path, compression="tiff_lzw"),
    "float.pfm": Image.fromarray(SHAPED).save,
    "rows.txt": lambda path: np.savetxt(path, SHAPED, fmt="%.6g"),
    "grey.jpg": Image.fromarray(BYTES).save,
    "progressive.jpeg": lambda path: Image.fromarray(BYTES).save(path, progressive=True),
    "piz.exr": exr(compression=OpenEXR.PIZ_COMPRESSION),
    "rle.exr": exr(compression=OpenEXR.RLE_COMPRESSION),
    "none.exr": exr(compression=OpenEXR.NO_COMPRESSION),
    **{
        f"own{suffix}": lambda path: write_depth(SHAPED, path, DepthCode.for_integers(2))
        for suffix in WRITABLE_FORMATS
    },
}


def test_every_depth_format_has_an_example():
    assert {Path(name).suffix for name in IMAGES} == set(DEPTH_FORMATS)


@pytest.mark.parametrize("name", IMAGES)
def test_damaged_depth_images(name, tmp_path):
    IMAGES[name](tmp_path / name)
    read_stored(tmp_path / name)
    fuzz_file(read_stored, tmp_path / name)


BALL = bp.Mesh(
    np.concatenate([np.eye(3), -np.eye(3)]),
    np.array([(0, 1, 2), (1, 3, 2), (3, 4, 2), (4, 0, 2), (1, 0, 5), (3, 1, 5), (4, 3, 5)]),
    np.arange(6),
)


@pytest.mark.parametrize("suffix", MESH_FORMATS)
def test_damaged_meshes(suffix, tmp_path):
    path = tmp_path / f"mesh{suffix}"
    if MESH_FORMATS[suffix].write:
        write_mesh(BALL, path)
    else:
        for name, content in export_gltf(BALL.to_trimesh().scene()).items():
            (tmp_path / name).write_bytes(content)
        (tmp_path / "model.gltf").rename(path)  # its buffers lie beside
    read_mesh(path)
    fuzz_file(read_mesh, path)


def test_damaged_polygons(tmp_path):
    text = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv .5 .3 0\nv 0 1 0\nf 1/1/1 2//2 3 4 -1\nf 1 \\\n2 3\n"
    (tmp_path / "mesh.obj").write_text(text)
    fuzz_file(read_mesh, tmp_path / "mesh.obj")


def test_damaged_clouds_and_camera_lists(tmp_path):
    cloud = bp.PointCloud(BALL.vertices, BALL.vertices, np.arange(6))
    write_cloud(cloud, tmp_path / "cloud.ply")
    fuzz_file(read_cloud, tmp_path / "cloud.ply")
    write_camera_list(BALL.vertices, tmp_path / "cameras.txt")
    fuzz_file(read_camera_list, tmp_path / "cameras.txt")


def fuzz_file(read, path):
    content = path.read_bytes()
    for seed in range(DRAWS):
        path.write_bytes(damaged(content, np.random.default_rng(seed)))
        read_or_refused(read, path)


def some_views():
    """Three views of a ball, with background and holes."""
    rig = bp.Rig.turntable(3, size=(12, 9))
    rows, columns = np.mgrid[:9, :12]
    depth = np.full((3, 9, 12), np.inf, np.float32)
    depth[:, np.hypot(rows - 4, columns - 6) < 4] = 1.25
    depth[:, 4, 6] = np.nan
    return bp.ViewSet(depth, rig)


def seven_scenes(views, path):
    for k, pose in enumerate(views.rig.world_from_camera):
        save_png(steps(views.depth[k], 1e-3), path / f"frame-{k:06d}.depth.png")
        save_text(pose, path / f"frame-{k:06d}.pose.txt")
    save_text(views.rig.intrinsics[0], path / "camera-intrinsics.txt")


def scannet(views, path):
    for k, pose in enumerate(views.rig.world_from_camera):
        save_png(steps(views.depth[k], 1e-3), path / "depth" / f"{k}.png")
        save_text(pose, path / "pose" / f"{k}.txt")
    save_text(np.eye(4), path / "intrinsic" / "intrinsic_depth.txt")


def depth_images(views, path):
    path.mkdir()
    write_camera_list(views.rig.centers_world, path / "camPosList.txt")
    for k, depth in enumerate(views.depth):
        np.save(path / f"{k}.npy", depth)


def colmap_binary(views, path):
    write_model(views, path / "sparse", "bin")
    write_maps(views, path / "stereo" / "depth_maps")


def blenderproc(views, path):
    h5py = pytest.importorskip("h5py")
    path.mkdir()
    for k, pose in enumerate(views.rig.world_from_camera):
        state = {"cam2world_matrix": pose.tolist(), "cam_K": views.rig.intrinsics[k].tolist()}
        with h5py.File(path / f"{k}.hdf5", "w") as file:
            file.create_dataset("depth", data=views.depth[k], compression="gzip")
            file.create_dataset("campose", data=np.bytes_(json.dumps([state])))


def paper(views, path):
    write_paper(views, path)
    write_camera_list(views.rig.centers_world / 1.5, path / "camPosList.txt")
    for k in range(len(views)):
        file = path / "mask" / f"model_7_Cam_{k}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(np.where(np.isinf(views.depth[k]), 0, 255).astype(np.uint8)).save(file)


def paper_in_jpeg(views, path):
    path.mkdir()
    write_camera_list(views.rig.centers_world / 1.5, path / "camPosList.txt")
    for k, depth in enumerate(views.depth):
        Image.fromarray(in_bytes(depth)).save(path / f"model_7_Cam_{k}.jpg")


def sheet(views, path):
    path.mkdir()
    write_camera_list(views.rig.centers_world / 1.5, path / "camPosList.txt")
    for k, depth in enumerate(views.depth):
        Image.fromarray(np.tile(in_bytes(depth)[:9, :9], (2, 1))).save(path / f"VP-{k}.png")


def tiles(views, path):
    path.mkdir()
    write_camera_list(views.rig.centers_world / 1.5, path / "camPosList.txt")
    entries = []
    for k, depth in enumerate(views.depth):
        Image.fromarray(in_bytes(depth)).save(path / f"{k}.png")
        entries.append({"file": f"{k}.png", "cam_index": k, "principal_point_px": [6, 4.5]})
    (path / "tiles.json").write_text(json.dumps({"fx": 9, "fy": 9, "tiles": entries}))


def zipped_paper(views, path):
    paper(views, path.parent / "folder")
    zipped(path.parent / "folder", path)
    shutil.rmtree(path.parent / "folder")


def open3d_json(views, path):
    open3d_by_hand(views, path, as_json=True)


EXAMPLES = {each.name: (each, each.write) for each in SOURCES if each.write} | {
    "7-Scenes": (sources.seven_scenes.SOURCE, seven_scenes),
    "ScanNet": (sources.scannet.SOURCE, scannet),
    "depth images": (sources.depth_folder.SOURCE, depth_images),
    "COLMAP, binary": (sources.colmap.SOURCE, colmap_binary),
    "BlenderProc": (sources.blenderproc.SOURCE, blenderproc),
    "Open3D, JSON": (sources.open3d.SOURCE, open3d_json),
    "the paper's": (sources.paper.SOURCE, paper),
    "the paper's, JPEG": (sources.paper.SOURCE, paper_in_jpeg),
    "sprite sheets": (sources.sheets.SOURCE, sheet),
    "tiles": (sources.tiles.SOURCE, tiles),
    "archive": (sources.archive.SOURCE, zipped_paper),
}
"""Sources, and writers `(views, path)` of examples of them."""
ONE_FILE = {sources.arrays.SOURCE: "whole.npz", sources.archive.SOURCE: "whole.zip"}
"""The names of sources that are one file."""
ASKED = {
    sources.depth_folder.SOURCE: Asked(fov=43),
    sources.sheets.SOURCE: Asked(cell=9, model="1"),
}
"""What must be said to read an example."""


def test_every_source_has_an_example():
    assert {source.name for source, _ in EXAMPLES.values()} == {source.name for source in SOURCES}


@pytest.mark.parametrize("example", EXAMPLES)
def test_damaged_sources(example, tmp_path):
    source, write = EXAMPLES[example]
    whole = tmp_path / ONE_FILE.get(source, "whole")
    write(some_views(), whole)
    assert recognise(whole) is source
    asked = ASKED.get(source, Asked())
    read_views(whole, asked)

    def read(path):  # every kind is asked whether it is one, not only up to the first that says yes
        assert {kind.recognises(path) for kind in SOURCES} <= {True, False}
        read_views(path, asked)

    for seed in range(DRAWS):
        spoilt = tmp_path / f"spoilt{whole.suffix}"
        if whole.is_dir():
            shutil.copytree(whole, spoilt)
            damage_folder(spoilt, np.random.default_rng(seed))
            read_or_refused(read, spoilt)
            shutil.rmtree(spoilt)
        else:
            spoilt.write_bytes(damaged(whole.read_bytes(), np.random.default_rng(seed)))
            read_or_refused(read, spoilt)


def damage_folder(folder, rng):
    """Damage one of a folder's files, or now and then lose, empty or double one."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    file = files[rng.integers(len(files))]
    match int(rng.integers(12)):
        case 0:
            file.unlink()
        case 1:
            file.write_bytes(b"")
        case 2:
            shutil.copy(file, file.with_name("7" + file.name))
        case _:
            file.write_bytes(damaged(file.read_bytes(), rng))
