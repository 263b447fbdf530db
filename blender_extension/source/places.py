# SPDX-License-Identifier: GPL-3.0-or-later
"""Where depth maps are kept: a capture folder, whose path the scene remembers.

So a saved .blend finds them again, and so does every other program that reads captures.
"""

from pathlib import Path
from secrets import token_hex
from typing import Any

import bpy

from backproject.errors import FileMissingError

from .working import Steps, Told, aside


def known_capture(context: Any, directory: str) -> Path:
    """Return the folder that was named, or else the one that the scene remembers.

    Raises:
        FileMissingError: neither, or there is no such folder.

    """
    named = directory or context.scene.backproject.directory
    if not named:
        raise FileMissingError(
            "directory: got none, expected depth maps: render or import some first"
        )
    path = Path(bpy.path.abspath(named))
    if not path.exists():
        raise FileMissingError(f"{path}: no such folder; render or import the depth maps again")
    return path


def new_capture(context: Any, directory: str) -> Path:
    """Return the folder that was named, or one beside the .blend; while that has no name, one in
    the extension's own folder for users, the same for one scene.
    """
    if directory:
        return Path(bpy.path.abspath(directory))
    if bpy.data.filepath:
        blend = Path(bpy.data.filepath)
        return blend.with_name(f"{blend.stem}_depth")
    shelf = Path(bpy.utils.extension_path_user(__package__, path="depth", create=True))
    known = context.scene.backproject.directory
    if known and Path(known).parent == shelf:
        return Path(known)
    return shelf / token_hex(4)


def remember(context: Any, path: Path) -> None:
    """Let the scene remember a capture: relative to the .blend where it lies beside it. What was
    found about another is forgotten.
    """
    named = str(path)
    if bpy.data.filepath and path.is_relative_to(Path(bpy.data.filepath).parent):
        named = bpy.path.relpath(named)
    context.scene.backproject.directory = named
    context.scene.backproject.findings = ""


def beside(folder: Path, word: str) -> Path:
    """Return the folder beside another that tells what became of it."""
    return folder.with_name(f"{folder.name}_{word}")


def read(context: Any, directory: str) -> Steps:
    """Yield the reading of a capture, and return its views, which see something."""
    from backproject.io.checked import load_views
    from backproject.io.sources.source import Asked

    path = known_capture(context, directory)
    yield Told(f"reading {path}", 0.0)
    return (yield aside(load_views, path, Asked()))
