# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the extension as users get it: installed from its zip, inside Blender.

They run in a Python with bpy and pytest alone, in a session of their own:

    python blender_extension/build.py --platform linux-x64 --python 3.11
    python -m pytest tests/extension

All else must come from the zip. Where bpy is missing, they are skipped.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEADPHONES = ROOT / "examples" / "data" / "cc0_headphones_ngons.obj"
SOURCES = ("blender_extension", "src")


def _newest_zip() -> Path | None:
    zips = sorted((ROOT / "dist").glob("backproject-*-linux_x64.zip"), key=_changed)
    return zips[-1] if zips else None


def _changed(path: Path) -> float:
    return path.stat().st_mtime


def _why_not() -> str | None:
    """Return why the extension cannot be tried here, if so."""
    if find_spec("bpy") is None:
        return "bpy is not installed"
    if "bpy" in sys.modules:
        return "bpy was imported before its folder could be set: run tests/extension alone"
    if find_spec("backproject") is not None:
        return "backproject is installed beside the extension, which brings its own"
    built = _newest_zip()
    if built is None:
        return "no zip in dist: python blender_extension/build.py --platform linux-x64"
    files = [each for folder in SOURCES for each in (ROOT / folder).rglob("*.py")]
    newest = max(files, key=_changed)
    if _changed(newest) > _changed(built):
        return f"{built.name} is older than {newest.relative_to(ROOT)}: build it again"
    return None


WHY_NOT = _why_not()
USER_FOLDER = Path(tempfile.mkdtemp(prefix="backproject-blender-"))

if WHY_NOT is None:  # at import: test modules import what the zip brings
    os.environ["BLENDER_USER_RESOURCES"] = str(USER_FOLDER)
    bpy = importlib.import_module("bpy")
    bpy.ops.extensions.package_install_files(
        filepath=str(_newest_zip()), repo="user_default", enable_on_install=True
    )


def pytest_collect_file() -> None:
    """Skip all of this folder where it cannot be tried."""
    if WHY_NOT is not None:
        pytest.skip(WHY_NOT)


@pytest.fixture(autouse=True)
def empty_scene():
    """Start from a scene with nothing in it."""
    bpy.ops.wm.read_homefile(app_template="", use_empty=True)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Remember how it ended."""
    session.config.stash[ENDED] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End without Python's own farewell: bpy 4.2 crashes in it once an operator was registered."""
    if WHY_NOT is None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash.get(ENDED, 1))


ENDED = pytest.StashKey[int]()
