"""Time what a newcomer waits for, and the memory that fusing takes: each in a process of its own.

    python -m benchmarks.startup                    all of it
    python -m benchmarks.startup spot.obj --only memory

"Cold" compiles every kernel anew into an empty cache; "warm" finds them compiled. `compile` renders
and fuses the bundled headphones in two processes, and tells what each compiled (numba's compile
events), what it missed in the cache, how long fusing takes once all is compiled, and a digest of
the mesh, to be the same in both.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import children
from benchmarks.meshes import chosen_meshes
from benchmarks.tables import Grid, parser_of, publish

MEBIBYTE = 1024**2
PARTS = ["import", "demo", "compile", "memory"]
LISTED = 10
"""How many kernels are listed by what they take to compile."""


def main() -> None:
    """Run the benchmark, a table for what is timed and one for each other part."""
    options = _options()
    waits = []
    if "import" in options.only:
        waits.append(measure_import(options.repeat))
    if "demo" in options.only:
        waits += measure_demo()
    grids: list[Grid] = [("Start-up", ["what", "seconds"], waits)] if waits else []
    if "compile" in options.only:
        grids += measure_compiling()
    if "memory" in options.only:
        grids.append(measure_memory(options))
    publish("startup", grids, [], options.markdown)


def measure_import(repeat: int) -> list[str]:
    """Return the median seconds of `import backproject`, beyond those of a bare interpreter."""
    seconds = {
        code: statistics.median(_seconds([sys.executable, "-c", code]) for _ in range(repeat))
        for code in ("pass", "import backproject")
    }
    return ["import backproject", f"{seconds['import backproject'] - seconds['pass']:.3f}"]


def measure_demo() -> list[list[str]]:
    """Return the seconds of `backproject demo`, first with an empty kernel cache, then again."""
    command = [sys.executable, "-m", "backproject.cli.main", "demo", "--quiet", "-o"]
    with tempfile.TemporaryDirectory() as folder:
        environment = children.with_cache(str(Path(folder, "cache")))
        return [
            [
                f"backproject demo, {name}",
                f"{_seconds([*command, str(Path(folder, name))], environment):.1f}",
            ]
            for name in ("cold", "warm")
        ]


def measure_compiling() -> list[Grid]:
    """Return what a first and a second process compile, and the kernels that take longest."""
    with tempfile.TemporaryDirectory() as folder:
        environment = children.with_cache(folder)
        told = {
            name: children.run("compile", environment=environment)
            for name in ("first process", "second process")
        }
    head = ["", "functions compiled", "compiling", "render", "fuse", "fuse again", "mesh"]
    head += ["missed in the cache", "found in the cache"]
    body = [[name, *_compile_cells(of)] for name, of in told.items()]
    first = told["first process"]["kernels"]
    longest = sorted(first, key=first.__getitem__, reverse=True)[:LISTED]
    rest = [[name, f"{first[name]:.2f}"] for name in longest]
    rest.append([f"the other {len(first) - len(longest)}", f"{_sum_but(first, longest):.2f}"])
    return [
        ("Compiling, processor's seconds (render and fuse: the work included)", head, body),
        ("Kernels by their own seconds of compiling", ["kernel", "seconds"], rest),
    ]


def measure_memory(options: argparse.Namespace) -> Grid:
    """Return the peak memory of a process that loads a capture and fuses it, for each mesh.

    The capture is rendered by another process: its memory does not count.
    """
    body = []
    for path in chosen_meshes(options.meshes):
        with tempfile.TemporaryDirectory() as folder:
            children.run("capture", path.resolve(), options.size, folder)
            found = children.run("fuse", folder, options.resolution)
        memory = [f"{found[key] / MEBIBYTE:.0f}" for key in ("peak", "before")]
        body.append([path.stem, *memory, f"{found['faces']:,}"])
    title = f"Memory, 20 views of {options.size} px at {options.resolution}"
    return title, ["mesh", "peak, MiB", "before fusing, MiB", "faces"], body


def _compile_cells(told: dict[str, Any]) -> list[str]:
    spent = [sum(told["kernels"].values()), told["render"], told["fuse"]]
    made = [f"{told['again']:.2f}", told["mesh"], f"{told['misses']}", f"{told['hits']}"]
    return [f"{told['compiled']}", *(f"{seconds:.1f}" for seconds in spent), *made]


def _sum_but(values: dict[str, float], left_out: list[str]) -> float:
    return sum(value for name, value in values.items() if name not in left_out)


def _seconds(command: list[str], environment: dict[str, str] | None = None) -> float:
    start = time.perf_counter()
    children.output(command, environment)
    return time.perf_counter() - start


def _options() -> argparse.Namespace:
    parser = parser_of(__doc__, repeat=5, help_repeat="timed imports")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--size", type=int, default=224, help="for the memory")
    parser.add_argument("--resolution", type=int, default=256, help="for the memory")
    return parser.parse_args()


if __name__ == "__main__":
    main()
