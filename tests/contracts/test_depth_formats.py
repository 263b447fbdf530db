"""Every depth image format keeps the same contract."""

from __future__ import annotations

import numpy as np
import OpenEXR
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from backproject.errors import FileMissingError, FormatError, InputError
from backproject.io.depth_images import (
    DEPTH_FORMATS,
    DepthCode,
    read_depth_image,
    write_depth_image,
)

FORMATS = list(DEPTH_FORMATS)
FLOATS = [suffix for suffix, format in DEPTH_FORMATS.items() if format.holds_floats]
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
    with pytest.raises(FormatError, match=r"trap\.npy"):
        read_depth_image(tmp_path / "trap.npy")
    assert not (tmp_path / "sprung").exists()


def save_npy(array):
    return lambda path: np.save(path, array)


def save_png(array):
    return lambda path: Image.fromarray(array).save(path)


def save_exr(**channels):
    return lambda path: OpenEXR.File({}, channels).write(str(path))


def claims_to_be_gigantic(path):
    np.save(path, np.ones((10, 10), np.float32))
    path.write_bytes(path.read_bytes().replace(b"(10, 10), }", b"(99999999, 99999999), }"))


ONES = np.ones((3, 4), np.float32)
BAD = {
    "words.npy": save_npy(np.array([["a"]])),
    "complex.npy": save_npy(np.ones((2, 2), complex)),
    "flat.npy": save_npy(np.ones(5)),
    "colour.npy": save_npy(np.ones((4, 4, 3))),
    "below zero.npy": save_npy(-ONES),
    "gigantic.npy": claims_to_be_gigantic,
    "colour.png": save_png(np.ones((3, 4, 3), np.uint8)),
    "8 bit.png": save_png(np.ones((3, 4), np.uint8)),
    "two channels.exr": save_exr(A=ONES, B=ONES),
    "below zero.exr": save_exr(Z=-ONES),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_depth_map_is_refused(name, tmp_path):
    path = tmp_path / name
    BAD[name](path)
    with pytest.raises(FormatError) as caught:
        read_depth_image(path)
    assert str(path) in str(caught.value)
    assert "expected" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("keep", [0, 0.03, 0.3, 0.6, 0.95])
def test_files_cut_short_are_refused(suffix, keep, tmp_path):
    path = tmp_path / f"cut{suffix}"
    depth = np.random.default_rng(0).uniform(1, 2, (40, 40))
    write_depth_image(depth, path, code_for(suffix))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(FormatError, match=rf"cut\{suffix}"):
        read_depth_image(path, code_for(suffix))


def test_garbage_is_refused(suffix, tmp_path):
    (tmp_path / f"noise{suffix}").write_bytes(np.random.default_rng(0).bytes(5000))
    with pytest.raises(FormatError, match=rf"noise\{suffix}"):
        read_depth_image(tmp_path / f"noise{suffix}")


def test_missing_files_and_unknown_suffixes_are_said(suffix, tmp_path):
    with pytest.raises(FileMissingError, match="no such file"):
        read_depth_image(tmp_path / f"none{suffix}")
    with pytest.raises(FormatError, match=r"`\.bmp`.*\.npy \.png \.exr"):
        read_depth_image(tmp_path / "depth.bmp")
    with pytest.raises(FormatError, match=r"`\.bmp`"):
        write_depth_image(np.ones((2, 2)), tmp_path / "depth.bmp")
    with pytest.raises(InputError, match="shape"):
        write_depth_image(np.ones(5), tmp_path / f"flat{suffix}", code_for(suffix))
    with pytest.raises(InputError, match="for_integers"):
        write_depth_image(np.ones((2, 2)), tmp_path / "depth.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("scale", [0, -1, np.nan, np.inf])
def test_scales_that_cannot_be_are_refused(scale):
    with pytest.raises(InputError, match="scale"):
        DepthCode(scale=scale)
