"""The meshes that the benchmarks run on."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import backproject as bp

SUFFIXES = {".obj", ".ply", ".stl", ".off", ".glb"}
ROOT = Path(__file__).resolve().parents[1]
BUNDLED = ROOT / "examples" / "data"


def chosen_meshes(names: list[str]) -> list[Path]:
    """Return the files named, or in the folders named, or else in the default folder."""
    return find_meshes([Path(name) for name in names] or [default_folder()])


def find_meshes(places: list[Path]) -> list[Path]:
    """Return the mesh files named or in the folders named, without twins.

    `X_ngons.obj` beside `X.ply` is the same shape with its polygons not yet cut into triangles: it
    would count twice.
    """
    found = []
    for place in places:
        if not place.exists():
            sys.exit(f"{place}: no such file or folder")
        inside = sorted(place.iterdir()) if place.is_dir() else [place]
        found += [path for path in inside if path.suffix.lower() in SUFFIXES]
    stems = {path.stem for path in found}
    return [path for path in found if path.stem.removesuffix("_ngons") not in stems - {path.stem}]


def default_folder() -> Path:
    """Return the shared meshes beside the checkout, or else the bundled example."""
    shared = ROOT.parent / "shared" / "data" / "meshes"
    return shared if shared.is_dir() else BUNDLED


def load_unit(path: Path) -> bp.Mesh:
    """Return a file's mesh in the unit frame: of diameter 1, about the origin."""
    return bp.normalize(bp.Mesh.load(path)).mesh


def closed_meshes(names: list[str]) -> dict[str, bp.Mesh]:
    """Return those of the chosen meshes that are closed, in the unit frame, by name."""
    loaded = {path.stem: load_unit(path) for path in chosen_meshes(names)}
    return {name: mesh for name, mesh in loaded.items() if is_closed(mesh)}


def is_closed(mesh: bp.Mesh) -> bool:
    """Return whether a mesh has an inside: no open edge once equal corners are one.

    Weaker than `Mesh.is_watertight`, as models are: edges that join four faces, or faces turned
    over, are let pass.
    """
    _, corner = np.unique(mesh.vertices.round(9), axis=0, return_inverse=True)
    faces = corner.reshape(-1)[mesh.faces]
    distinct = (faces != np.roll(faces, -1, axis=1)).all(axis=1)
    edges = np.sort(np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1)[distinct], axis=-1)
    _, uses = np.unique(edges.reshape(-1, 2), axis=0, return_counts=True)
    return bool((uses % 2 == 0).all())
