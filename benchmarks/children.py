"""What the benchmarks measure in a process of its own: its memory, and what it compiles.

Each function prints JSON; `run` starts a process that calls one.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.meshes import BUNDLED, ROOT, load_unit

HEADPHONES = BUNDLED / "cc0_headphones_ngons.obj"


def run(name: str, *arguments: object, environment: dict[str, str] | None = None) -> dict[str, Any]:
    """Return what a function of this module tells, called in a new process."""
    command = [sys.executable, "-m", "benchmarks.children", name, *map(str, arguments)]
    return dict(json.loads(output(command, environment)))


def output(command: list[str], environment: dict[str, str] | None = None) -> str:
    """Return what a command prints, run in the repository's root, or exit with its error."""
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command[:4])} ...: exit {done.returncode}\n{done.stderr}")
    return done.stdout


def capture(path: str, size: str, folder: str) -> dict[str, Any]:
    """Render a mesh's 20 views into a capture folder."""
    import backproject as bp

    views = bp.render(load_unit(ROOT / path), bp.Rig.dodecahedron(size=int(size)))
    views.save(folder)
    return {"views": len(views)}


def fuse(folder: str, resolution: str) -> dict[str, Any]:
    """Return the time and peak memory (bytes) of fusing a capture, warm.

    Two views are fused at a low resolution first, so that what is timed neither compiles nor loads
    kernels; `before` is the peak before the fusion, with those and the depth maps in memory.
    """
    import backproject as bp
    from benchmarks.clock import Times

    views = bp.ViewSet.load(folder)
    bp.fuse(views.subset([0, 1]), resolution=32)
    before, times = _peak(), Times()
    mesh = times.add(lambda: bp.fuse(views, resolution=int(resolution)))
    return {
        "before": before,
        "peak": _peak(),
        "seconds": times.seconds,
        "busy": times.busy,
        "faces": len(mesh.faces),
        "watertight": mesh.is_watertight,
    }


def compile_kernels() -> dict[str, Any]:
    """Return what rendering and fusing the bundled headphones compiles, in processor's seconds.

    `kernels` holds each compiled kernel's own seconds, those that it calls not counted; `misses`
    and `hits` of the cache are summed over every dispatcher of the package. Whole seconds include
    the work itself; `again` is fusing once more. `mesh` tells meshes apart: code that was compiled
    in this process and the same code from the cache are to make the same one, as fast.
    """
    from numba.core import event

    import backproject as bp
    from benchmarks.clock import Times

    listener = _own_seconds()
    event.register("numba:compile", listener)
    truth = load_unit(HEADPHONES)
    start = time.process_time()
    views = bp.render(truth, bp.Rig.dodecahedron())
    rendered = time.process_time()
    mesh = bp.fuse(views)
    fused = time.process_time()
    times = Times()
    times.add(lambda: bp.fuse(views))
    stats = [kernel.stats for kernel in _dispatchers()]
    return {
        "render": rendered - start,
        "fuse": fused - rendered,
        "again": times.busy,
        "mesh": hashlib.sha256(mesh.vertices.tobytes() + mesh.faces.tobytes()).hexdigest()[:8],
        "compiled": listener.compiled,
        "kernels": listener.seconds,
        "misses": sum(sum(s.cache_misses.values()) for s in stats),
        "hits": sum(sum(s.cache_hits.values()) for s in stats),
    }


def driver(shapes: str) -> dict[str, Any]:
    """Return the memory (bytes) of a driver of many small shapes, after so many of them."""
    import tempfile

    import numpy as np

    import backproject as bp
    from backproject.batch.executors import Processes
    from backproject.batch.run import run_batch
    from backproject.batch.settings import Settings
    from backproject.geometry.rig import RigSettings

    count, seen = int(shapes), {}
    marks = {1, count // 10, count // 2, count}
    corners = np.concatenate([np.eye(3), -np.eye(3)])
    faces = [(0, 1, 2), (1, 3, 2), (3, 4, 2), (4, 0, 2), (1, 0, 5), (3, 1, 5), (4, 3, 5), (0, 4, 5)]
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder) / "in"
        given.mkdir()
        for number in range(count):
            bp.Mesh(corners * (1 + number / count), np.array(faces)).save(given / f"{number}.ply")

        def listen(tally: Any, row: Any) -> None:
            if row and tally.done in marks:
                seen[tally.done] = _now()

        settings = Settings(rig=RigSettings(rig="fibonacci:4", size=24), resolution=16, samples=100)
        run_batch([str(given)], Path(folder) / "out", settings, lambda: Processes(2), listen=listen)
    return {"bytes": seen, "after": _now()}


def _now() -> int:
    """Return the bytes that this process has in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _own_seconds() -> Any:
    """Return a listener that adds up each function's seconds of compiling, less those of others
    that it waits for.

    Compilers take turns (numba's global lock), so one stack holds what is under way.
    """
    from numba.core.event import Event, Listener

    class OwnSeconds(Listener):
        def __init__(self) -> None:
            self.compiled = 0
            self.seconds: dict[str, float] = {}
            self._open: list[list[float]] = []  # start, and the seconds of what was nested

        def on_start(self, event: Event) -> None:  # noqa: ARG002
            self._open.append([time.thread_time(), 0.0])

        def on_end(self, event: Event) -> None:
            start, nested = self._open.pop()
            whole = time.thread_time() - start
            if self._open:
                self._open[-1][1] += whole
            function = event.data["dispatcher"].py_func
            name = f"{function.__module__.removeprefix('backproject.')}.{function.__name__}"
            self.compiled += 1
            self.seconds[name] = self.seconds.get(name, 0.0) + whole - nested

    return OwnSeconds()


def _dispatchers() -> list[Any]:
    """Return every compiled function that a module of the package holds, once."""
    from numba.core.dispatcher import Dispatcher

    modules = [module for name, module in sys.modules.items() if name.startswith("backproject")]
    held = [value for module in modules for value in vars(module).values()]
    return list({id(value): value for value in held if isinstance(value, Dispatcher)}.values())


def _peak() -> int:
    """Return the most bytes that this process has had in memory.

    On Linux `ru_maxrss` starts at what the parent had when it started this one (it outlives
    `exec`), so the kernel's own mark of this program is read instead.
    """
    status = Path("/proc/self/status")
    if status.exists():
        marks = [x for x in status.read_text().splitlines() if x.startswith("VmHWM:")]
        return int(marks[0].split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kibibytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def with_cache(folder: str) -> dict[str, str]:
    """Return this process's environment with the kernels' cache in a folder."""
    return os.environ | {"NUMBA_CACHE_DIR": folder}


if __name__ == "__main__":
    children = {
        "capture": capture,
        "fuse": fuse,
        "compile": compile_kernels,
        "driver": driver,
    }
    print(json.dumps(children[sys.argv[1]](*sys.argv[2:])))
