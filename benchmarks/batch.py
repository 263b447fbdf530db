"""Many shapes in one run: shapes a second against Open3D, the driver's memory, one giant mesh.

    python -m benchmarks.batch                             all meshes, each as often as fits
    python -m benchmarks.batch FOLDER --shapes 30 --only throughput

A shape is a file that is read, rendered, fused and written as a mesh. Open3D does that by ray
casting, its block grid and its own reader and writer: in one process with all its threads, as a
script would, and in as many processes as ours. Start and compiling are on nobody's clock.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import backproject as bp
from backproject.batch.drive import Tally
from backproject.batch.executors import Engine, Processes, Serial, slots_and_threads
from backproject.batch.job import Job, Made
from backproject.batch.ledger import Row
from backproject.batch.run import run_batch
from backproject.batch.settings import Settings
from backproject.batch.warm import warm_up
from backproject.geometry.rig import RigSettings
from benchmarks import children, peers
from benchmarks.clock import Times
from benchmarks.meshes import chosen_meshes
from benchmarks.tables import Grid, console, parser_of, publish

PARTS = ("throughput", "memory", "giant")
OURS = {"mesh": ("mesh",), "mesh and scores": ("mesh", "scores"), "default": ()}
ALONE, BESIDE = "Open3D, one process", "Open3D, a process a core"
MEMORY_SHAPES = 1000


def main() -> None:
    """Run what is asked for, and print its tables."""
    options = _options()
    grids: list[Grid] = []
    with tempfile.TemporaryDirectory() as folder:
        if "throughput" in options.only:
            grids += throughput(options, Path(folder))
        if "memory" in options.only:
            grids.append(memory())
        if "giant" in options.only:
            grids.append(giant(options, Path(folder)))
    publish("batch", grids, notes(options), options.markdown)


def throughput(options: argparse.Namespace, folder: Path) -> list[Grid]:
    """Return the rates of all, who took turns, and where our time goes."""
    shapes = _copies(chosen_meshes(options.meshes), options.shapes, folder / "shapes")
    settings = Settings(rig=RigSettings(size=options.size), resolution=options.resolution)
    rows: dict[str, list[Row]] = {}
    works: dict[str, Callable[[Path], list[Row]]] = {}
    engines: list[Engine] = []
    jobs, threads = slots_and_threads(0, 0)
    for name, keep in OURS.items():
        asked = replace(settings, keep=keep)
        engine = Processes(jobs, threads=threads, warm=partial(warm_up, asked))
        engines.append(engine)
        works[f"backproject, {name}"] = partial(_heard, shapes, asked, engine)
    beside = Processes(jobs, threads=threads)
    engines.append(beside)
    works[BESIDE] = partial(_heard, shapes, settings, beside, do=open3d_job)
    works[ALONE] = partial(_heard, shapes, settings, Serial(), do=open3d_job)
    times = {name: Times() for name in works}
    for turn in range(options.repeat + 1):  # the first is not counted: all are warm after it
        for name, work in works.items() if turn % 2 else reversed(works.items()):
            out = folder / "out"
            clock = times[name] if turn else Times()
            rows[name] = clock.add(partial(work, out))
            shutil.rmtree(out)
            rate = options.shapes / clock.all_seconds[-1]
            console(stderr=True).print(f"{name:40} {rate:6.2f} shapes a second")
    for engine in engines:
        engine.shutdown()
    ours = {name: each for name, each in rows.items() if name not in (ALONE, BESIDE)}
    return [_rates(times, rows, options.shapes), _stages(ours)]


def _heard(shapes: Path, settings: Settings, engine: Engine, out: Path, **more: Any) -> list[Row]:
    """Return the rows of a run, none of which may have failed."""
    heard: list[Row] = []

    def listen(_tally: Tally, row: Row | None) -> None:
        if row:
            heard.append(row)

    _, threads = slots_and_threads(0, 0)
    tally = run_batch(
        [str(shapes)], out, settings, lambda: _Kept(engine), threads=threads, listen=listen, **more
    )
    if tally.failed:
        sys.exit(f"{tally.told()}: {next(row for row in heard if row['status'] != 'done')}")
    return heard


def open3d_job(job: Job) -> Made:
    """Do by Open3D what a job of ours does that keeps the mesh."""
    import open3d as o3d

    begin = time.process_time()
    o3d.utility.set_verbosity_level(o3d.utility.VerbosityLevel.Error)
    read = bp.Mesh.from_open3d(o3d.io.read_triangle_mesh(job.input.place))
    views = peers.render_open3d(bp.normalize(read).mesh, job.settings.cameras)
    mesh = peers.open3d_block_grid(views, job.settings.resolution)
    with job.store.scratch() as scratch:
        folder = scratch / "whole"
        folder.mkdir()
        o3d.io.write_triangle_mesh(str(folder / "mesh.ply"), mesh.to_open3d())
        job.store.publish(folder, Path(job.input.name).name)
    return Made(Path(job.input.name).name, "", "", busy=time.process_time() - begin)


class _Kept(Engine):
    """An engine whose workers outlive a run, for the next one."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def slots(self) -> int:
        return self._engine.slots

    def submit(self, work: Any, /, *given: Any, **named: Any) -> Any:
        return self._engine.submit(work, *given, **named)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        pass


def _rates(times: dict[str, Times], rows: dict[str, list[Row]], shapes: int) -> Grid:
    rate = {name: shapes / each.seconds for name, each in times.items()}
    head = ["shapes a second", "median", "least to most", f"over {ALONE}", f"over {BESIDE}"]
    head.append("of a core, s a shape")
    table = [
        [
            name,
            f"{rate[name]:.2f}",
            f"{shapes / max(each.all_seconds):.2f} to {shapes / min(each.all_seconds):.2f}",
            f"{rate[name] / rate[ALONE]:.2f}",
            f"{rate[name] / rate[BESIDE]:.2f}",
            f"{np.mean([row['busy'] for row in rows[name]]):.3f}",
        ]
        for name, each in times.items()
    ]
    return "Throughput", head, table


def _stages(rows: dict[str, list[Row]]) -> Grid:
    """Return where a shape's time goes, and what it leaves on the disk."""
    stages = list(dict.fromkeys(stage for each in rows.values() for stage in each[0]["seconds"]))
    stages += [s for s in rows["backproject, default"][0]["seconds"] if s not in stages]
    table = []
    for name, each in rows.items():
        mean = [np.mean([row["seconds"].get(stage, 0) for row in each]) for stage in stages]
        busy = np.mean([row["busy"] for row in each])
        size = np.mean([row["bytes"] for row in each])
        table.append(
            [name, *(f"{1000 * x:.0f}" for x in mean), f"{1000 * busy:.0f}", f"{size / 1e6:.2f}"]
        )
    head = ["keep", *(f"{stage}, ms" for stage in stages), "of a core, ms", "MB"]
    return "A shape, mean", head, table


def memory() -> Grid:
    """Return how the driver's memory grows over many small shapes."""
    told = children.run("driver", MEMORY_SHAPES)
    rows = [[count, f"{bytes / 1e6:.0f}"] for count, bytes in told["bytes"].items()]
    rows.append(["and summed up", f"{told['after'] / 1e6:.0f}"])
    return "The driver's memory", ["shapes done", "MB"], rows


def giant(options: argparse.Namespace, folder: Path) -> Grid:
    """Return what becomes of a giant mesh and its neighbours, with and without enough memory."""
    shapes = _copies(chosen_meshes(options.meshes), 10, folder / "beside")
    _giant(shapes / "giant.ply")
    settings = Settings(
        rig=RigSettings(size=options.size), resolution=options.resolution, keep=("mesh", "scores")
    )
    table = []
    jobs, threads = slots_and_threads(0, 0)
    for gigabytes in (None, 1.0):
        heard: list[Row] = []

        def listen(_tally: Tally, row: Row | None, heard: list[Row] = heard) -> None:
            if row:
                heard.append(row)

        limit = None if gigabytes is None else int(gigabytes * 1e9)
        engine = partial(
            Processes, jobs, memory=limit, threads=threads, warm=partial(warm_up, settings)
        )
        tally = run_batch(
            [str(shapes)],
            folder / f"giant-{gigabytes}",
            settings,
            engine,
            retries=0,
            threads=threads,
            listen=listen,
        )
        [row] = [each for each in heard if "giant" in each["input"]]
        others = tally.done - (row["status"] == "done")
        told = (
            f"{sum(row['seconds'].values()):.1f} s, {row['peak'] / 1e9:.1f} GB"
            if row["status"] == "done"
            else row["reason"]
        )
        table.append([str(gigabytes or "none"), row["status"], told, f"{others} of 10"])
    return "One mesh of 2 million faces", ["--memory", "it", "", "its neighbours done"], table


def _giant(path: Path) -> None:
    """Write a sphere of 2 million faces, bent so that it is no sphere."""
    count = 1000
    around = np.linspace(0, 2 * np.pi, count, endpoint=False)
    down = np.linspace(0, np.pi, count + 2)[1:-1]
    grid = np.stack(
        [
            np.outer(np.sin(down), np.cos(around)),
            np.outer(np.sin(down), np.sin(around)),
            np.outer(np.cos(down), np.ones(count)),
        ],
        axis=-1,
    )
    grid *= 1 + 0.1 * np.sin(9 * grid[..., :1]) * np.cos(7 * grid[..., 1:2])
    row, column = np.meshgrid(np.arange(count - 1), np.arange(count), indexing="ij")
    a, b = row * count + column, row * count + (column + 1) % count
    sides = [np.stack([a, a + count, b], -1), np.stack([b, a + count, b + count], -1)]
    bp.Mesh(grid.reshape(-1, 3), np.concatenate(sides).reshape(-1, 3)).save(path)


def _copies(meshes: Iterable[Path], count: int, folder: Path) -> Path:
    """Return a folder with that many files: the meshes in turn, under names of their own.

    Open3D reads no polygons from .obj files: those are cut into triangles before, for all.
    """
    given = list(meshes)
    folder.mkdir()
    for number in range(count):
        mesh = given[number % len(given)]
        copy = folder / f"{number:04}-{mesh.name}"
        if number >= len(given):
            shutil.copy(folder / f"{number % len(given):04}-{mesh.name}", copy)
        elif mesh.suffix == ".obj" and _has_polygons(mesh):
            bp.Mesh.load(mesh).save(copy)
        else:
            shutil.copy(mesh, copy)
    return folder


def _has_polygons(path: Path) -> bool:
    lines = path.read_text("utf-8", errors="replace").splitlines()
    return any(line.startswith("f ") and len(line.split()) > 4 for line in lines)


def notes(options: argparse.Namespace) -> list[str]:
    """Return what a reader must know of the tables."""
    return [
        f"20 views of {options.size} px, resolution {options.resolution}; {options.shapes} files,"
        f" the meshes in turn; {slots_and_threads(0, 0)[0]} workers of"
        f" {slots_and_threads(0, 0)[1]} thread; wall time, warm, taking turns.",
        "Polygons of .obj files, which Open3D does not read, are cut into triangles before.",
        "Stages are by the clock of a worker, beside others; `of a core` is processor's time.",
    ]


def _options() -> argparse.Namespace:
    parser = parser_of(__doc__, repeat=3, help_repeat="timed runs of each")
    parser.add_argument("--shapes", type=int, default=60, help="files in a run")
    parser.add_argument("--size", type=int, default=128, help="side of the images in pixels")
    parser.add_argument("--resolution", type=int, default=128, help="voxels along the diameter")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    return parser.parse_args()


if __name__ == "__main__":
    main()
