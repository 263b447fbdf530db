"""Time what a newcomer waits for, and the memory that fusing takes: each in a process of its own.

    python -m benchmarks.startup                    import, demo cold and warm, memory of fusing
    python -m benchmarks.startup --only import memory

"Cold" compiles every kernel anew into an empty cache; "warm" finds them compiled.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.compare_peers import default_folder, find_meshes

MEBIBYTE = 1024**2
CAPTURE = """
import sys
import backproject as bp

unit = bp.normalize(bp.Mesh.load(sys.argv[1]))
bp.render(unit.mesh, bp.Rig.dodecahedron(size=int(sys.argv[2]))).save(sys.argv[3])
"""
FUSE = """
import json, resource, sys
import backproject as bp

UNIT = 1 if sys.platform == "darwin" else 1024  # bytes there, kibibytes elsewhere
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT
views = bp.ViewSet.load(sys.argv[1])
before = peak()
mesh = bp.fuse(views, resolution=int(sys.argv[2]))
print(json.dumps({"before": before, "peak": peak(), "faces": len(mesh.faces)}))
"""


def main() -> None:
    """Print a line for each measurement."""
    parser = argparse.ArgumentParser(description="Start-up times and memory.")
    parser.add_argument("--only", nargs="+", choices=["import", "demo", "memory"])
    parser.add_argument("--meshes", nargs="*", help="for the memory (default: the shared meshes)")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--resolution", type=int, default=256)
    options = parser.parse_args()
    wanted = options.only or ["import", "demo", "memory"]
    if "import" in wanted:
        measure_import()
    if "demo" in wanted:
        measure_demo()
    if "memory" in wanted:
        places = [Path(name) for name in options.meshes or []] or [default_folder()]
        measure_memory(find_meshes(places), options.size, options.resolution)


def measure_import() -> None:
    """Print the median seconds of `import backproject`, beyond those of a bare interpreter."""
    seconds = {
        code: statistics.median(_seconds([sys.executable, "-c", code]) for _ in range(5))
        for code in ("pass", "import backproject")
    }
    spent = seconds["import backproject"] - seconds["pass"]
    print(f"import backproject: {spent:.3f} s")


def measure_demo() -> None:
    """Print the seconds of `backproject demo`, first with an empty kernel cache, then again."""
    command = [sys.executable, "-m", "backproject.cli.main", "demo", "--quiet", "-o"]
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"NUMBA_CACHE_DIR": str(Path(folder, "cache"))}
        for name in ("cold", "warm"):
            seconds = _seconds([*command, str(Path(folder, name))], environment)
            print(f"backproject demo, {name}: {seconds:.1f} s")


def measure_memory(files: list[Path], size: int, resolution: int) -> None:
    """Print the peak memory of a process that loads a capture and fuses it, for each mesh.

    The capture is rendered by another process: its memory does not count.
    """
    print(f"memory, {size} px, 20 views, resolution {resolution}: peak (before fusing)")
    for path in files:
        with tempfile.TemporaryDirectory() as folder:
            capture = str(Path(folder, "capture"))
            _output([sys.executable, "-c", CAPTURE, str(path), str(size), capture])
            told = _output([sys.executable, "-c", FUSE, capture, str(resolution)])
        found = json.loads(told)
        peak, before = found["peak"] / MEBIBYTE, found["before"] / MEBIBYTE
        print(f"  {path.stem:24} {peak:5.0f} MiB ({before:.0f})  {found['faces']:,} faces")


def _seconds(command: list[str], environment: dict[str, str] | None = None) -> float:
    start = time.perf_counter()
    _output(command, environment)
    return time.perf_counter() - start


def _output(command: list[str], environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command[:4])} ...: exit {done.returncode}\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
