"""What is done to one shape: a file to a folder of files, and to facts for a row of the table."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from PIL import Image

from backproject.batch.inputs import VIEWS
from backproject.batch.settings import Settings, Task
from backproject.checking.diagnosis import check
from backproject.cloud.unproject import backproject
from backproject.errors import ReconstructionError
from backproject.fusion.fuse import fuse
from backproject.geometry.mesh import Mesh
from backproject.geometry.views import ViewSet
from backproject.io.checked import load_mesh, load_views
from backproject.io.sources.arrays import SOURCE as ARRAYS
from backproject.io.sources.registry import read_views
from backproject.metrics.compare import compare
from backproject.metrics.visibility import inferred_fraction
from backproject.pipeline import observe
from backproject.report.shading import INFERRED, camera_around, shaded
from backproject.simplification.simplify import simplify

Facts = dict[str, Any]
FROM = (0.55, 0.45, 0.85)
"""From where pictures show a shape."""
PICTURE = 160
"""The side of a shape's picture in pixels."""
PICTURE_FILE = "picture.png"


@dataclass(frozen=True)
class Work:
    """One shape under way: where it is, where its files go, and how long each stage took."""

    path: Path
    settings: Settings
    folder: Path
    threads: int
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the block's time to the stage's."""
        begin = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0) + time.perf_counter() - begin

    def keeps(self, name: str) -> bool:
        """Return whether a file is asked for."""
        return name in self.settings.keep


def do_task(work: Work) -> Facts:
    """Return the facts of a shape, with its files in the folder.

    Raises:
        BackprojectError: there is nothing to work on, or the files cannot be written.

    """
    return _DOING[work.settings.task](work)


def _roundtrip(work: Work) -> Facts:
    with work.timed("read"):
        truth = load_mesh(work.path)
    views = _observed(work, truth)
    mesh = _fused(work, views)
    facts: Facts = {}
    if work.keeps("scores"):
        with work.timed("score"):
            samples = work.settings.samples
            scores = compare(mesh, truth, views=views, samples=samples, threads=work.threads)
            facts = scores.to_dict()
        _write_json(facts, work.folder / "scores.json")
    else:
        facts = _facts_of(mesh)
    with work.timed("write"):
        if work.keeps("mesh"):
            mesh.save(work.folder / "mesh.ply")
        if work.keeps("views"):
            _write_views(views, work.folder / VIEWS)
        if work.keeps("cloud"):
            backproject(views, threads=work.threads).save(work.folder / "cloud.ply")
    if work.keeps("picture"):
        _draw(work, truth, mesh)
    return facts


def _render(work: Work) -> Facts:
    with work.timed("read"):
        mesh = load_mesh(work.path)
    views = _observed(work, mesh)
    if work.keeps("views"):
        with work.timed("write"):
            _write_views(views, work.folder / VIEWS)
    if work.keeps("picture"):
        _draw(work, mesh)
    return {
        "views": len(views),
        "faces": len(mesh.faces),
        "covered": float(views.silhouettes.mean()),
    }


def _fuse(work: Work) -> Facts:
    with work.timed("read"):
        views = load_views(work.path, work.settings.reading)
    mesh = _fused(work, views)
    if work.keeps("mesh"):
        with work.timed("write"):
            mesh.save(work.folder / "mesh.ply")
    if work.keeps("picture"):
        _draw(work, mesh)
    return _facts_of(mesh)


def _check(work: Work) -> Facts:
    with work.timed("read"):
        views = read_views(work.path, work.settings.reading)
    with work.timed("check"):
        diagnosis = check(views, threads=work.threads)
    told = diagnosis.to_dict()
    if work.keeps("findings"):
        _write_json(told, work.folder / "findings.json")
    if work.keeps("views"):
        with work.timed("write"):
            _write_views(diagnosis.apply(views), work.folder / VIEWS)
    wrong = [each["hypothesis"] for each in told.pop("findings") if each["verdict"] == "wrong"]
    return told | {"wrong": ", ".join(wrong)}


_DOING: Mapping[Task, Callable[[Work], Facts]] = MappingProxyType(
    {"roundtrip": _roundtrip, "render": _render, "fuse": _fuse, "check": _check}
)


def _observed(work: Work, mesh: Mesh) -> ViewSet:
    with work.timed("render"):
        views = observe(mesh, work.settings.cameras, threads=work.threads)
    if not views.silhouettes.any():
        raise ReconstructionError(
            f"{work.path.name}: none of the {len(views)} views sees it, expected some pixels on the"
            " shape: change --fov, --size or --distance"
        )
    return views


def _fused(work: Work, views: ViewSet) -> Mesh:
    settings = work.settings
    with work.timed("fuse"):
        mesh = fuse(
            views,
            resolution=settings.resolution,
            surface=settings.surface,
            noise=settings.noise,
            threads=work.threads,
        )
    if settings.simplify is None:
        return mesh
    with work.timed("simplify"):
        return simplify(mesh, tolerance=settings.simplify, threads=work.threads)


def _facts_of(mesh: Mesh) -> Facts:
    return {
        "vertices": len(mesh.vertices),
        "faces": len(mesh.faces),
        "watertight": mesh.is_watertight,
        "inferred_fraction": inferred_fraction(mesh),
    }


def _write_views(views: ViewSet, path: Path) -> None:
    assert ARRAYS.write is not None
    ARRAYS.write(views, path)


def _write_json(content: Mapping[str, Any], path: Path) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def _draw(work: Work, *meshes: Mesh) -> None:
    """Write the meshes side by side, seen by one camera that stands around the first."""
    with work.timed("draw"):
        rig = camera_around(meshes[0], FROM, PICTURE)
        images = [shaded(mesh, rig, inferred=INFERRED, threads=work.threads) for mesh in meshes]
        whole = np.concatenate(images, axis=1)
        Image.fromarray((whole * 255).round().astype(np.uint8)).save(work.folder / PICTURE_FILE)
