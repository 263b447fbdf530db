"""Small shapes, and a task that is done to them in a moment."""

import json
from dataclasses import dataclass, field

import numpy as np

import backproject as bp
from backproject.batch.executors import Serial
from backproject.batch.ledger import ledgers_in, rows_in
from backproject.batch.run import run_batch
from backproject.batch.settings import Settings
from backproject.geometry.rig import RigSettings

FACES = [(0, 1, 2), (1, 3, 2), (3, 4, 2), (4, 0, 2), (1, 0, 5), (3, 1, 5), (4, 3, 5), (0, 4, 5)]


def octahedron(seed=0):
    """Return one of many octahedra, none like another."""
    corners = np.concatenate([np.eye(3), -np.eye(3)])
    return bp.Mesh(
        corners * (1 + 0.3 * np.random.default_rng(seed).random((6, 1))), np.array(FACES)
    )


def make_shapes(folder, count):
    """Return a folder with so many meshes."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(count):
        octahedron(seed).save(folder / f"shape{seed:03}.ply")
    return folder


RENDER = Settings(task="render", rig=RigSettings(rig="fibonacci:3", size=24))
ROUNDTRIP = Settings(rig=RigSettings(rig="fibonacci:8", size=32), resolution=16, samples=200)


@dataclass
class Seen:
    """What was heard of a run."""

    rows: list = field(default_factory=list)

    def __call__(self, _tally, row):
        if row:
            self.rows.append(row)

    @property
    def names(self):
        return sorted(row["input"].rpartition("/")[2] for row in self.rows)


def run(asked, out, settings=RENDER, engine=Serial, **more):
    """Return how a run went, and the rows that it wrote."""
    seen = Seen()
    tally = run_batch([str(each) for each in asked], out, settings, engine, listen=seen, **more)
    return tally, seen


def tree(folder):
    """Return what every file below a folder holds, by its path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def ledger_rows(out):
    """Return all rows in a folder's ledgers."""
    return [row for path in ledgers_in(out) for _, row in rows_in(path)]


def unsound(store):
    """Return the folders whose files are not those that their manifests tell, byte for byte."""
    bad = []
    for folder in store.iterdir():
        told = json.loads((folder / "manifest.json").read_text())["files"]
        there = {file.name for file in folder.iterdir()} - {"manifest.json"}
        sizes = {name: (folder / name).stat().st_size for name in there}
        if sizes != {name: each["bytes"] for name, each in told.items()}:
            bad.append(folder.name)
    return bad
