"""Sheets: a view as a grid that can be flattened, and its place on the sprite sheet."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backproject import Rig, ViewSet
from backproject.blender.sheets import offsets_of, sheets_of, tiled, tiling, uv_of


def views_of(count: int, width: int, height: int, seed: int) -> ViewSet:
    """Return views of bumpy surfaces with empty and unmeasured pixels."""
    random = np.random.default_rng(seed)
    rig = Rig.fibonacci(count, size=(width, height))
    row, column = np.indices((height, width))
    waves = [np.sin(row / 4 + each) * np.cos(column / 5) for each in range(count)]
    depth = 1.5 + 0.02 * np.stack(waves)
    depth[random.random(depth.shape) < 0.1] = np.inf
    depth[random.random(depth.shape) < 0.1] = np.nan
    return ViewSet(depth, rig)


@settings(max_examples=30)
@given(st.integers(1, 7), st.integers(4, 30), st.integers(4, 30), st.integers(0, 99))
def test_displaced_pixels_lie_where_they_were_seen(count, width, height, seed):
    views = views_of(count, width, height, seed)
    for k, sheet in enumerate(sheets_of(views)):
        z = views.depth[k][sheet.pixels[:, 1], sheet.pixels[:, 0]]
        seen = views.rig[k].unproject(sheet.pixels + 0.5, z)
        pose = views.rig.world_from_camera[k]
        displaced = (sheet.flat + sheet.offset) @ pose[:3, :3].T + pose[:3, 3]
        np.testing.assert_allclose(displaced, seen, atol=1e-12)


@settings(max_examples=30)
@given(st.integers(1, 7), st.integers(4, 30), st.integers(4, 30), st.integers(0, 99))
def test_each_vertex_finds_its_own_offset_on_the_sprite_sheet(count, width, height, seed):
    views = views_of(count, width, height, seed)
    sheets = sheets_of(views)
    shape = (height, width)
    image = tiled(np.stack([offsets_of(sheet, shape) for sheet in sheets]))
    columns, rows = tiling(count)
    assert image.shape == (rows * height, columns * width, 3)
    for k, sheet in enumerate(sheets):
        u, v = uv_of(sheet, k, count, shape).T
        found = image[
            np.floor((1 - v) * rows * height).astype(int), (u * columns * width).astype(int)
        ]
        np.testing.assert_array_equal(found, sheet.offset)


def test_quads_face_the_camera():
    sheet = sheets_of(views_of(1, 20, 20, 0))[0]
    a, b, c = np.moveaxis((sheet.flat + sheet.offset)[sheet.quads[:, :3]], 1, 0)
    towards = np.einsum("qk,qk->q", np.cross(b - a, c - a), -a)  # the camera is at the origin
    assert (towards > 0).all()


def test_jumps_are_cut_and_slopes_are_not():
    rig = Rig.turntable(1, size=8, fov_deg=40.0)
    footprint = 1.0 / rig.intrinsics[0, 0, 0]
    steps = np.arange(8) * 3.9 * footprint  # 75 degrees
    assert len(sheets_of(ViewSet(np.broadcast_to(1 + steps, (1, 8, 8)), rig))[0].quads) == 49
    wall = np.where(np.arange(8) < 4, 1.0, 1.0 + 4.1 * footprint)
    sheet = sheets_of(ViewSet(np.broadcast_to(wall, (1, 8, 8)), rig))[0]
    assert len(sheet.quads) == 42  # all but the seven across the jump


@pytest.mark.parametrize("nothing", [np.inf, np.nan])
def test_an_empty_view_has_an_empty_sheet(nothing):
    sheet = sheets_of(ViewSet(np.full((1, 5, 5), nothing), Rig.turntable(1, size=5)))[0]
    assert len(sheet.flat) == len(sheet.quads) == 0
