"""A tiny shape through a task, so that what is compiled is compiled before the clock runs."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from backproject.batch.settings import Settings
from backproject.batch.tasks import Work, do_task
from backproject.errors import BackprojectError
from backproject.geometry.mesh import Mesh
from backproject.geometry.rig import Rig, RigSettings
from backproject.io.sources.source import Asked
from backproject.rendering.render import render

_SMALL = RigSettings(rig="fibonacci:6", size=24)
_RESOLUTION = 16


def warm_up(settings: Settings) -> None:
    """Do the task to an octahedron, small, and forget what comes of it."""
    with tempfile.TemporaryDirectory(prefix="backproject-") as folder:
        path = Path(folder) / ("shape.ply" if settings.kind == "mesh" else "views")
        if settings.kind == "mesh":
            _octahedron().save(path)
        else:
            render(_octahedron(), Rig.fibonacci(6, distance=3, size=24), threads=1).save(path)
        whole = Path(folder) / "whole"
        whole.mkdir()
        small = replace(settings, rig=_SMALL, resolution=_RESOLUTION, reading=Asked())
        try:
            do_task(Work(path, small, whole, threads=1))
        except BackprojectError:
            return  # as small as that, some settings leave nothing: the compiled code is there


def _octahedron() -> Mesh:
    corners = np.concatenate([np.eye(3), -np.eye(3)])
    faces = [(0, 1, 2), (1, 3, 2), (3, 4, 2), (4, 0, 2), (1, 0, 5), (3, 1, 5), (4, 3, 5), (0, 4, 5)]
    return Mesh(corners, np.array(faces))
