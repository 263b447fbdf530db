"""What tests of sources made of frames share: random views, and how sources are read and spoilt."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backproject.errors import BackprojectError
from backproject.geometry.rig import Rig
from backproject.geometry.views import ViewSet
from backproject.io.sources.registry import read_views
from backproject.io.sources.source import Asked


def random_views(seed, *, count=None, shared=True, farthest=12.0, missing=0.2):
    rng = np.random.default_rng(seed)
    count = count or rng.integers(1, 13)
    height, width = rng.integers(1, 9, 2)
    intrinsics = np.zeros((count, 3, 3)) + np.eye(3)
    intrinsics[:, 0, 0], intrinsics[:, 1, 1] = rng.uniform(1, 999, (2, count))
    intrinsics[:, :2, 2] = rng.uniform(-9, 99, (count, 2))
    if shared:
        intrinsics[:] = intrinsics[0]
    poses = Rig.looking_at(rng.normal(size=(count, 3)), target=rng.normal(size=3) * 5)
    depth = rng.uniform(0.5, farthest, (count, height, width)).astype(np.float32)
    depth[rng.random(depth.shape) < missing] = np.inf
    depth[rng.random(depth.shape) < missing] = np.nan
    return ViewSet(depth, Rig(intrinsics, poses.world_from_camera, width, height))


def load(path, **asked):
    return read_views(path, Asked(**asked))


def save_png(numbers, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(numbers, np.uint16)).save(path)


def save_text(rows, path):
    """Rows of numbers as `repr` has them: nothing is lost."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (" ".join(repr(float(number)) for number in row) for row in rows)
    path.write_text("\n".join(lines) + "\n")


def counted_from_center(matrix):
    """Intrinsics whose principal point counts from the first pixel's centre."""
    return matrix - 0.5 * np.array([[0, 0, 1], [0, 0, 1], [0, 0, 0]])


def steps(depth, scale):
    """Integers of a depth image; 0 where nothing was seen, whatever the reason."""
    finite = np.isfinite(depth)
    return np.where(finite, np.rint(np.where(finite, depth, 0) / scale), 0)


def taken(views, about):
    return [note.taken for note in views.assumptions if note.about == about]


def assert_same_cameras(again, views, digits=1e-12):
    # 1e-12: a principal point moves by half a pixel and back, a quaternion or an inverse rounds.
    ours, theirs = again.rig, views.rig
    np.testing.assert_allclose(ours.intrinsics, theirs.intrinsics, rtol=0, atol=digits)
    np.testing.assert_allclose(ours.world_from_camera, theirs.world_from_camera, atol=digits)
    assert (ours.width, ours.height) == (theirs.width, theirs.height)


def assert_same_depth(again, views, step, *, empty=True):
    """Half a step is what rounding costs, and float32 half a unit in its last place."""
    expected = views.depth if empty else np.where(np.isinf(views.depth), np.nan, views.depth)
    last = float(np.spacing(np.float32(12)))
    np.testing.assert_allclose(again.depth, expected, rtol=0, atol=step / 2 + last)
    assert again.step == pytest.approx(step)


def assert_refused(path, match, error=BackprojectError, **asked):
    """Refused by an error of ours, in one line that names the place."""
    with pytest.raises(error, match=match) as caught:
        load(path, **asked)
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)


WORDS = [b"-", b"9", b"e9", b" ", b"\n", b'"', b"[", b"nan", b"inf", b"0", b"{}", b"#", b"../"]


def assert_spoilt_files_are_refused_or_read(folder, beside, rng):
    """One file of a folder is cut, or loses bytes, or is given others: only our errors come."""
    spoilt = Path(beside) / "spoilt"
    shutil.rmtree(spoilt, ignore_errors=True)
    shutil.copytree(folder, spoilt)
    files = sorted(file for file in spoilt.rglob("*") if file.is_file())
    file = files[rng.integers(len(files))]
    content = bytearray(file.read_bytes())
    for _ in range(rng.integers(1, 4)):
        at = rng.integers(len(content) + 1)
        lost = rng.choice([0, 1, 20, len(content)], p=[0.4, 0.4, 0.1, 0.1])
        content[at : at + lost] = rng.bytes(1) if rng.random() < 0.1 else rng.choice(WORDS)
    file.write_bytes(bytes(content))
    with suppress(BackprojectError):
        load(spoilt)
