"""Blender in the command's own process: is it there, and what does it see."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, Literal

from backproject.cli.checks import RENDER_BYTES, check_memory
from backproject.errors import InputError
from backproject.geometry.rig import Rig, RigSettings
from backproject.geometry.views import ViewSet
from backproject.pipeline import Renderer
from backproject.progress import Progress
from backproject.rendering.render import render

RendererName = Literal["embedded", "blender"]
BLEND = ".blend"
SCENE_RIG = "scene"
"""The rig that a .blend file brings along: its own cameras."""


def check_bpy(cause: str) -> None:
    """Import Blender, before any work.

    Raises:
        InputError: it is not there, or a library that it needs is not.

    """
    try:
        with _muted():
            import bpy  # noqa: F401
    except ModuleNotFoundError:
        raise InputError(
            f"{cause}: needs Blender as a module, expected bpy to be installed: with Python 3.11,"
            " pip install 'backproject[blender]'"
        ) from None
    except ImportError as error:
        raise InputError(
            f"{cause}: Blender as a module, bpy, cannot be loaded: {error};"
            " install the system's package that holds it"
        ) from None


def renderer_named(name: RendererName) -> Renderer:
    """Return the renderer of meshes with that name."""
    if name == "embedded":
        return render
    from backproject.blender.render import render as by_blender

    def muted(*given: Any, **options: Any) -> ViewSet:
        with _muted():
            return by_blender(*given, **options)

    return muted


def observe_blend(
    path: Path,
    names: Sequence[str],
    cameras: RigSettings,
    *,
    renderer: RendererName,
    threads: int,
    progress: Progress,
) -> ViewSet:
    """Return the depth maps of a .blend file's objects, in its world.

    The objects are those with these names, or all that a render shows; the rig stands around them,
    or is the scene's own cameras.

    Raises:
        BackprojectError: a file, a name, or cameras that cannot be.

    """
    from backproject.blender.around import rig_around
    from backproject.blender.cameras import rig_of
    from backproject.blender.render import render_objects
    from backproject.blender.scenes import (
        mesh_alone,
        open_blend,
        rendered_cameras,
        rendered_objects,
    )

    with _muted():
        scene = open_blend(path)
        objects = rendered_objects(scene, names)
        mesh = mesh_alone(objects, scene)
        rig = (
            rig_of(rendered_cameras(scene), scene)
            if cameras.rig == SCENE_RIG
            else rig_around(mesh, cameras.build())
        )
        _check_pixels(rig, path)
        if renderer == "embedded":
            return render(mesh, rig, threads=threads, progress=progress)
        return render_objects(objects, rig, scene, threads=threads, progress=progress)


def _check_pixels(rig: Rig, path: Path) -> None:
    """Refuse what memory cannot hold: a scene's own cameras are known only now."""
    cause = f"{path}: {len(rig)} depth maps of {rig.width} x {rig.height} pixels"
    check_memory(len(rig) * rig.width * rig.height * RENDER_BYTES, cause)


@contextmanager
def _muted() -> Iterator[None]:
    """Keep what Blender says of each step off the standard output, which is for results."""
    sys.stdout.flush()
    kept = os.dup(1)
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        os.dup2(nowhere.fileno(), 1)
        try:
            yield
        finally:
            # Blender also writes by C's own streams: what waits in them is for nowhere too
            ctypes.CDLL("ucrtbase" if os.name == "nt" else None).fflush(None)
            os.dup2(kept, 1)
            os.close(kept)
