"""Every depth image format keeps the same contract."""

from __future__ import annotations

import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import OpenEXR
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from backproject.errors import FileMissingError, FormatError, InputError
from backproject.io import depth_checks, depth_npz
from backproject.io.depth_images import (
    DEPTH_FORMATS,
    WRITABLE_FORMATS,
    DepthCode,
    read_depth_image,
    read_stored,
    write_depth_image,
)

FORMATS = list(WRITABLE_FORMATS)
FLOATS = [suffix for suffix, format in WRITABLE_FORMATS.items() if format.holds_floats]
FARTHEST = 3.0

depths = st.floats(2**-13, FARTHEST, width=32) | st.just(np.inf) | st.just(np.nan)
depth_maps = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=depths)


def code_for(suffix):
    return DepthCode() if suffix in FLOATS else DepthCode.for_integers(FARTHEST)


@pytest.fixture(params=FORMATS)
def suffix(request):
    return request.param


@pytest.mark.parametrize("suffix", FORMATS)
@given(depth=depth_maps)
def test_write_then_read_is_the_same_depth(suffix, depth, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / f"depth{suffix}"
    code = code_for(suffix)
    write_depth_image(depth, path, code)
    again = read_depth_image(path, code)
    assert again.dtype == np.float32
    np.testing.assert_array_equal(np.isposinf(again), np.isposinf(depth))
    np.testing.assert_array_equal(np.isnan(again), np.isnan(depth))
    # Floats are kept bit for bit; integers round to the nearest step, and float32 adds 6e-8 of 3.
    step = 0 if suffix in FLOATS else code.scale
    np.testing.assert_allclose(again, depth, rtol=0, atol=step / 2 + (step > 0) * 2e-7)


def test_nothing_is_left_beside_and_nothing_is_printed(suffix, tmp_path, capfd):
    write_depth_image(np.ones((3, 4)), tmp_path / f"depth{suffix}", code_for(suffix))
    read_depth_image(tmp_path / f"depth{suffix}", code_for(suffix))
    assert [entry.name for entry in tmp_path.iterdir()] == [f"depth{suffix}"]
    assert capfd.readouterr() == ("", "")


def test_rows_and_columns_keep_their_places(suffix, tmp_path):
    depth = np.arange(1, 13, dtype=np.float32).reshape(3, 4)
    code = DepthCode.for_integers(12) if suffix not in FLOATS else DepthCode()
    write_depth_image(depth, tmp_path / f"depth{suffix}", code)
    again = read_depth_image(tmp_path / f"depth{suffix}", code)
    np.testing.assert_allclose(again, depth, atol=1e-4)  # half a step is 12 / 65534 / 2


def test_a_surface_near_the_camera_never_becomes_empty(tmp_path):
    code = DepthCode.for_integers(1000)
    write_depth_image([[1e-6, 1000]], tmp_path / "near.png", code)
    assert np.isfinite(read_depth_image(tmp_path / "near.png", code)).all()


@pytest.mark.parametrize("suffix", FLOATS)
def test_scales_of_floats_are_undone(suffix, tmp_path):
    code = DepthCode(scale=1e-3)
    depth = np.array([[0.5, np.inf], [np.nan, 2]], np.float32)
    write_depth_image(depth, tmp_path / f"mm{suffix}", code)
    np.testing.assert_allclose(read_depth_image(tmp_path / f"mm{suffix}")[0, 0], 500, rtol=1e-6)
    np.testing.assert_allclose(read_depth_image(tmp_path / f"mm{suffix}", code), depth, rtol=1e-6)


def test_zero_from_elsewhere_is_not_measured(tmp_path):
    np.save(tmp_path / "foreign.npy", np.array([[0, 1500]], np.uint16))
    Image.fromarray(np.array([[0, 1500]], np.uint16)).save(tmp_path / "foreign.png")
    OpenEXR.File({}, {"Z": np.array([[0, 1500]], np.float32)}).write(str(tmp_path / "foreign.exr"))
    for name in ("foreign.npy", "foreign.png", "foreign.exr"):
        depth = read_depth_image(tmp_path / name, DepthCode(scale=1e-3))
        np.testing.assert_array_equal(depth, np.array([[np.nan, 1.5]], np.float32))


def test_other_float_widths_and_a_channel_axis_are_read(tmp_path):
    depth = np.array([[1.5, np.inf], [np.nan, 0.25]])
    np.save(tmp_path / "double.npy", depth[..., None])
    np.save(tmp_path / "big endian.npy", depth.astype(">f4"))
    np.save(tmp_path / "fortran.npy", np.asfortranarray(depth))
    named = {"ViewLayer.Depth.Z": depth.astype(np.float16), "R": depth.astype(np.float32)}
    OpenEXR.File({}, named).write(str(tmp_path / "half.exr"))
    for name in ("double.npy", "big endian.npy", "fortran.npy", "half.exr"):
        np.testing.assert_array_equal(read_depth_image(tmp_path / name), depth)


class Trap:
    """A pickle that would write a file if anyone opened it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pickle_is_never_opened(tmp_path):
    trap = np.empty((2, 2), object)
    trap[0, 0] = Trap(tmp_path / "sprung")
    np.save(tmp_path / "trap.npy", trap, allow_pickle=True)
    np.savez(tmp_path / "trap.npz", depth=trap)
    for name in ("trap.npy", "trap.npz"):
        with pytest.raises(FormatError, match=name):
            read_depth_image(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


def save_npy(array):
    return lambda path: np.save(path, array)


def save_npz(**arrays):
    return lambda path: np.savez_compressed(path, **arrays)


def save_png(array, mode=None):
    return lambda path: Image.fromarray(array, mode).save(path)


def save_exr(**channels):
    return lambda path: OpenEXR.File({}, channels).write(str(path))


def save_tif(array, **options):
    return lambda path: tifffile.imwrite(path, array, **options)


def save_text(text):
    return lambda path: path.write_bytes(text.encode())


def save_pfm(array, order="<"):
    """The Portable Float Map as its description has it: rows from the bottom."""
    sign = {"<": "-", ">": ""}[order]
    head = f"Pf\n{array.shape[1]} {array.shape[0]}\n{sign}1.0\n".encode()
    return lambda path: path.write_bytes(head + array[::-1].astype(order + "f4").tobytes())


def claims_to_be_gigantic(path):
    np.save(path, np.ones((10, 10), np.float32))
    path.write_bytes(path.read_bytes().replace(b"(10, 10), }", b"(99999999, 99999999), }"))


def archived(name, save):
    """An archive of one file that `save` writes."""

    def write(path):
        member = path.with_name(name)
        save(member)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(member, name)
        member.unlink()

    return write


ONES = np.ones((3, 4), np.float32)
FLOAT = np.array([[0.25, 1.5, 2], [np.inf, 3, 65504]], np.float32)  # all of them halves too
BYTE = np.array([[0, 7, 255], [1, 128, 90]], np.uint8)
WORD = np.array([[0, 7, 65535], [1, 256, 9000]], np.uint16)
COLOUR = np.stack([BYTE, BYTE, BYTE[::-1]], -1)
SEE_THROUGH = np.dstack([BYTE] * 4)
OPAQUE = np.dstack([BYTE, BYTE, BYTE, np.full_like(BYTE, 255)])
PALETTE = Image.fromarray(np.repeat(BYTE[..., None], 3, 2)).convert("P", palette=1, colors=256)

READ = {
    "grey 8.png": (save_png(BYTE), BYTE),
    "grey 16.png": (save_png(WORD), WORD),
    "equal channels.png": (save_png(np.dstack([BYTE] * 3)), BYTE),
    "opaque.png": (save_png(OPAQUE), BYTE),
    "opaque grey.png": (save_png(np.ascontiguousarray(OPAQUE[..., 2:])), BYTE),
    "palette.png": (PALETTE.save, BYTE),
    "bits.png": (save_png(BYTE > 7), np.where(BYTE > 7, 255, 0)),
    "grey.jpg": (save_png(np.full((9, 9), 77, np.uint8)), np.full((9, 9), 77)),
    "equal channels.jpeg": (save_png(np.full((9, 9, 3), 77, np.uint8)), np.full((9, 9), 77)),
    "half.tif": (save_tif(FLOAT.astype(np.float16)), FLOAT),
    "float.tiff": (save_tif(FLOAT), FLOAT),
    "double.tif": (save_tif(FLOAT.astype(np.float64)), FLOAT),
    "big endian.tif": (save_tif(FLOAT, byteorder=">"), FLOAT),
    "deflated.tif": (save_tif(FLOAT, compression="zlib"), FLOAT),
    "tiled.tif": (save_tif(FLOAT, tile=(16, 16)), FLOAT),
    "lzw.tif": (lambda path: Image.fromarray(FLOAT).save(path, compression="tiff_lzw"), FLOAT),
    "byte.tif": (save_tif(BYTE), BYTE),
    "word.tif": (save_tif(WORD), WORD),
    "int.tif": (save_tif(WORD.astype(np.int32)), WORD),
    "equal channels.tif": (save_tif(np.dstack([BYTE] * 3), photometric="rgb"), BYTE),
    "planes.tif": (
        save_tif(np.stack([BYTE] * 3), photometric="rgb", planarconfig="separate"),
        BYTE,
    ),
    "little.pfm": (save_pfm(FLOAT), FLOAT),
    "big.pfm": (save_pfm(FLOAT, ">"), FLOAT),
    "rows.txt": (save_text("0.25 1.5 2\ninf\t3   65504\n"), FLOAT),
    "one row.txt": (save_text("0.25 1.5 2"), FLOAT[:1]),
    "dos.txt": (save_text("0.25 1.5 2\r\ninf 3 65504\r\n\r\n"), FLOAT),
    "only.npz": (save_npz(any=FLOAT, camera=np.ones(3)), FLOAT),
    "named.npz": (save_npz(rgb=COLOUR, depth=FLOAT, pose=np.eye(4)), FLOAT),
    "one channel.exr": (save_exr(anything=FLOAT), FLOAT),
    "half.exr": (save_exr(Z=FLOAT.astype(np.float16)), FLOAT),
    "lower case.exr": (save_exr(z=FLOAT, r=ONES[:2, :3]), FLOAT),
    "depth.V.exr": (save_exr(**{"Depth.V": FLOAT, "Image.V": ONES[:2, :3]}), FLOAT),
    "depth as colour.exr": (
        save_exr(**{f"ViewLayer.Depth.{c}": FLOAT for c in "RGB"}, R=ONES[:2, :3]),
        FLOAT,
    ),
    "grey as colour.exr": (save_exr(R=FLOAT, G=FLOAT, B=FLOAT, A=ONES[:2, :3]), FLOAT),
    "normals beside.exr": (
        save_exr(**{f"Normal.{c}": ONES[:2, :3] for c in "XYZ"}, **{"Depth.Z": FLOAT}),
        FLOAT,
    ),
}


@pytest.mark.parametrize("name", READ)
def test_the_numbers_are_those_that_the_file_holds(name, tmp_path):
    save, expected = READ[name]
    save(tmp_path / name)
    stored = read_stored(tmp_path / name)
    np.testing.assert_array_equal(stored, expected)
    assert stored.flags.writeable


def test_every_format_that_is_read_is_tried():
    tried = {Path(name).suffix for name in READ} | set(FORMATS)
    assert tried == set(DEPTH_FORMATS)


def test_integers_stay_integers_of_their_width(tmp_path):
    for name, kind in {"grey 8.png": "u1", "grey 16.png": "u2", "word.tif": "u2"}.items():
        READ[name][0](tmp_path / name)
        assert read_stored(tmp_path / name).dtype == kind


def test_a_part_of_several_is_found_by_its_name(tmp_path):
    parts = [OpenEXR.Part({}, {"R": ONES, "G": ONES, "B": ONES}, "beauty")]
    parts.append(OpenEXR.Part({}, {"V": ONES * 2}, "depth"))
    OpenEXR.File(parts).write(str(tmp_path / "parts.exr"))
    np.testing.assert_array_equal(read_stored(tmp_path / "parts.exr"), ONES * 2)


BAD = {
    "words.npy": (save_npy(np.array([["a"]])), "expected numbers"),
    "complex.npy": (save_npy(np.ones((2, 2), complex)), "expected numbers"),
    "flat.npy": (save_npy(np.ones(5)), r"shape \(5,\)"),
    "colour.npy": (save_npy(np.ones((4, 4, 3))), r"shape \(4, 4, 3\)"),
    "below zero.npy": (save_npy(-ONES), "above 0"),
    "gigantic.npy": (claims_to_be_gigantic, "expected"),
    "gigantic.npz": (archived("depth.npy", claims_to_be_gigantic), "claims 99999999 x 99999999"),
    "two.npz": (save_npz(a=ONES, b=ONES), "holds the arrays a b"),
    "none.npz": (save_npz(a=np.ones(3)), "holds the arrays a"),
    "empty.npz": (save_npz(), "none"),
    "colour.png": (save_png(COLOUR), "colour"),
    "see-through.png": (save_png(SEE_THROUGH), "transparent"),
    "colour.jpg": (save_png(np.full((9, 9, 3), (90, 30, 9), np.uint8)), "colour"),
    "print.jpg": (save_png(SEE_THROUGH, "CMYK"), "CMYK"),
    "colour.tif": (save_tif(COLOUR, photometric="rgb"), "colour"),
    "two pages.tif": (save_tif(np.stack([FLOAT] * 2), photometric="minisblack"), "2 images"),
    "complex.tif": (save_tif(ONES.astype(np.complex64)), "complex64"),
    "colour.pfm": (save_text("PF\n1 1\n-1.0\n" + 12 * "a"), "PFM"),
    "gigantic.pfm": (save_text("Pf\n99999 99999\n-1.0\n"), "expected"),
    "ragged.txt": (save_text("1 2\n3"), "columns"),
    "words.txt": (save_text("1 2\nthree 4"), "three"),
    "empty.txt": (save_text(""), "no data"),
    "two channels.exr": (save_exr(A=ONES, B=ONES), "channels A B"),
    "two layers.exr": (save_exr(**{"a.Z": ONES, "b.Z": ONES * 2}), r"a\.Z b\.Z may be depth"),
    "colour.exr": (save_exr(R=ONES, G=ONES, B=ONES * 2), "R may be depth and differ"),
    "normals.exr": (save_exr(X=ONES, Y=ONES, Z=ONES), "channels X Y Z"),
    "below zero.exr": (save_exr(Z=-ONES), "above 0"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_depth_map_is_refused(name, tmp_path):
    path = tmp_path / name
    save, word = BAD[name]
    save(path)
    with pytest.raises(FormatError, match=word) as caught:
        read_depth_image(path)
    assert str(path) in str(caught.value)
    assert "expected" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_sixteen_bits_of_colour_are_not_halved_in_silence(tmp_path):
    # Pillow writes no such file, and reads it as 8 bits: one is made of the same chunks.
    rows = b"".join(b"\0" + np.repeat(row, 3).astype(">u2").tobytes() for row in WORD)
    head = struct.pack(">IIBBBBB", 3, 2, 16, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    packed = (
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
    (tmp_path / "deep.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))
    with pytest.raises(FormatError, match="16 bits"):
        read_stored(tmp_path / "deep.png")


def claims_pixels(path, side):
    """A grey image of side x side equal pixels, of a few kilobytes."""
    if path.suffix == ".exr":
        save_exr(Z=np.zeros((side, side), np.float16))(path)
    elif path.suffix == ".npz":
        save_npz(depth=np.zeros((side, side), np.uint8))(path)
    elif path.suffix == ".tif":
        save_tif(np.zeros((side, side), np.uint8), compression="zlib")(path)
    else:
        save_png(np.zeros((side, side), np.uint8))(path)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.exr", "a.npz"])
def test_images_beyond_the_limit_are_refused_before_they_are_read(name, tmp_path, monkeypatch):
    # With a lower limit than the true one, for speed.
    claims_pixels(tmp_path / name, 64)
    assert read_stored(tmp_path / name).shape == (64, 64)
    for module in (depth_checks, depth_npz):
        monkeypatch.setattr(module, "MOST_PIXELS", 64 * 64 - 1)
    with pytest.raises(FormatError, match="claims 64 x 64"):
        read_stored(tmp_path / name)


GIANT = 60_000
CLAIMS = {
    "a.png": (save_png, lambda w, h: struct.pack(">II", w, h)),
    "a.jpg": (save_png, lambda w, h: struct.pack(">HH", h, w)),
    "a.exr": (lambda a: save_exr(Z=a.astype("f2")), lambda w, h: struct.pack("<II", w - 1, h - 1)),
    "a.pfm": (save_pfm, lambda w, h: f"{w} {h}\n".encode()),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_false_claims_to_be_gigantic_cost_nothing(name, tmp_path):
    save, size = CLAIMS[name]
    path = tmp_path / name
    save(np.zeros((61, 67), np.uint8))(path)
    content = path.read_bytes()
    claimed = content.replace(size(67, 61), size(GIANT, GIANT))
    assert claimed != content
    path.write_bytes(with_checksum(claimed) if name == "a.png" else claimed)
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match=name):
            read_stored(path)
        assert tracemalloc.get_traced_memory()[1] < 2**24  # what importing a library takes
    finally:
        tracemalloc.stop()


def with_checksum(content):
    """A PNG whose header's checksum is that of its header."""
    return content[:29] + struct.pack(">I", zlib.crc32(content[12:29])) + content[33:]


def test_tiff_s_false_claim_is_refused(tmp_path):
    save_tif(np.zeros((61, 67), np.uint8), compression="zlib")(tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as file:
        for tag in ("ImageWidth", "ImageLength"):
            file.pages.first.tags[tag].overwrite(GIANT)
    with pytest.raises(FormatError, match="claims 60000 x 60000"):
        read_stored(tmp_path / "a.tif")


def test_a_window_of_an_image_is_refused(tmp_path):
    window = np.array([[0, 0], [9, 9]], np.int32)
    header = {"displayWindow": (window[0], window[1]), "dataWindow": (window[0], window[1] // 3)}
    OpenEXR.File(header, {"Z": np.ones((4, 4), np.float32)}).write(str(tmp_path / "crop.exr"))
    with pytest.raises(FormatError, match="uncropped"):
        read_stored(tmp_path / "crop.exr")


@pytest.mark.parametrize("keep", [0, 0.03, 0.3, 0.6, 0.95])
@pytest.mark.parametrize("suffix", [s for s in DEPTH_FORMATS if s != ".txt"])
def test_files_cut_short_are_refused(suffix, keep, tmp_path):
    path = tmp_path / f"cut{suffix}"
    save_sample(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(FormatError, match=rf"cut\{suffix}") as caught:
        read_depth_image(path)
    assert "\n" not in str(caught.value)


def save_sample(path):
    """Write an image that has something in every row."""
    depth = np.random.default_rng(0).uniform(1, 2, (40, 40))
    byte = (depth * 100).astype(np.uint8)
    save = {
        ".npz": save_npz(depth=depth),
        ".tif": save_tif(depth),
        ".tiff": save_tif(byte, compression="zlib"),
        ".pfm": save_pfm(depth),
        ".txt": lambda path: np.savetxt(path, depth),
        ".jpg": save_png(byte),
        ".jpeg": save_png(byte),
    }.get(path.suffix)
    if save:
        save(path)
    else:
        write_depth_image(depth, path, code_for(path.suffix))


def test_text_cut_inside_a_row_is_refused(tmp_path):
    save_text("1 2 3\n4 5")(tmp_path / "cut.txt")
    with pytest.raises(FormatError, match=r"cut\.txt"):
        read_depth_image(tmp_path / "cut.txt")


@pytest.mark.parametrize("suffix", DEPTH_FORMATS)
def test_garbage_is_refused(suffix, tmp_path, capfd, caplog):
    (tmp_path / f"noise{suffix}").write_bytes(np.random.default_rng(0).bytes(5000))
    with pytest.raises(FormatError, match=rf"noise\{suffix}"):
        read_depth_image(tmp_path / f"noise{suffix}")
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


@pytest.mark.parametrize("suffix", DEPTH_FORMATS)
def test_one_format_s_file_under_another_s_name_is_refused(suffix, tmp_path):
    other = tmp_path / ("a.npy" if suffix != ".npy" else "a.png")
    save_sample(other)
    other.rename(tmp_path / f"wrong{suffix}")
    with pytest.raises(FormatError, match=rf"wrong\{suffix}"):
        read_stored(tmp_path / f"wrong{suffix}")


def test_missing_files_and_unknown_suffixes_are_said(suffix, tmp_path):
    with pytest.raises(FileMissingError, match="no such file"):
        read_depth_image(tmp_path / f"none{suffix}")
    with pytest.raises(FormatError, match=r"`\.bmp`.*\.npy \.png \.exr \.npz \.tif"):
        read_depth_image(tmp_path / "depth.bmp")
    for name in ("depth.bmp", "depth.tif", "depth.txt"):
        with pytest.raises(FormatError, match=r"expected one of \.npy \.png \.exr$"):
            write_depth_image(np.ones((2, 2)), tmp_path / name)
    with pytest.raises(InputError, match="shape"):
        write_depth_image(np.ones(5), tmp_path / f"flat{suffix}", code_for(suffix))
    with pytest.raises(InputError, match="for_integers"):
        write_depth_image(np.ones((2, 2)), tmp_path / "depth.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("scale", [0, -1, np.nan, np.inf])
def test_scales_that_cannot_be_are_refused(scale):
    with pytest.raises(InputError, match="scale"):
        DepthCode(scale=scale)
