"""Time rendering against Open3D's ray casting (Embree) on the same views, in the same run.

    python -m benchmarks.rendering --sizes 224 512 --repeat 5 --markdown FILE
    python -m benchmarks.rendering boot.obj

Milliseconds are warm medians (the first run of each is not counted), from a mesh and a rig to depth
maps, so that the building of Open3D's scene is included. The two take turns at going first. The
processor's time, of all threads, is told too: on a busy machine it says more.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

import backproject as bp
from benchmarks import peers
from benchmarks.compare_peers import (
    Grid,
    default_folder,
    describe_machine,
    find_meshes,
    grid_to_markdown,
    to_rich,
)

Renderer = Callable[[bp.Mesh, bp.Rig], bp.ViewSet]
OURS, THEIRS = "backproject", "open3d"
RENDERERS: dict[str, Renderer] = {OURS: bp.render, THEIRS: peers.render_open3d}


def main() -> None:
    """Run the benchmark, one table a size."""
    options = _options()
    places = [Path(name) for name in options.meshes] or [default_folder()]
    meshes = {path.stem: bp.normalize(bp.Mesh.load(path)).mesh for path in find_meshes(places)}
    lines = [
        f"    {' '.join(['python -m benchmarks.rendering', *sys.argv[1:]])}",
        "",
        ", ".join(f"{key} {value}" for key, value in describe_machine().items()) + ".",
    ]
    width = max(Console().width, 120)  # a log file has no width of its own
    for size in options.sizes:
        rig = bp.Rig.dodecahedron(size=size)
        rows = [measure(name, mesh, rig, options.repeat) for name, mesh in meshes.items()]
        grid = table(size, rows)
        Console(width=width).print(to_rich(*grid))
        lines += grid_to_markdown(*grid, level=3)
    if options.markdown:
        Path(options.markdown).write_text("\n".join(lines) + "\n")


def measure(name: str, mesh: bp.Mesh, rig: bp.Rig, repeat: int) -> dict[str, Any]:
    """Return one mesh's row: both renderers' median seconds, by the clock and of the processor,
    and how far their depths differ.
    """
    views = {key: render(mesh, rig) for key, render in RENDERERS.items()}
    seconds: dict[str, list[float]] = {key: [] for key in RENDERERS}
    busy: dict[str, list[float]] = {key: [] for key in RENDERERS}
    for turn in range(repeat):
        for key in (OURS, THEIRS) if turn % 2 == 0 else (THEIRS, OURS):
            start, start_busy = time.perf_counter(), time.process_time()
            RENDERERS[key](mesh, rig)
            busy[key].append(time.process_time() - start_busy)
            seconds[key].append(time.perf_counter() - start)
    ours, theirs = views[OURS], views[THEIRS]
    both = ours.silhouettes & theirs.silhouettes
    expected = theirs.depth[both].astype(np.float64)
    return {
        "mesh": name,
        "faces": len(mesh.faces),
        **{key: statistics.median(values) for key, values in seconds.items()},
        "gain": statistics.median(seconds[THEIRS]) / statistics.median(seconds[OURS]),
        "busy_gain": statistics.median(busy[THEIRS]) / statistics.median(busy[OURS]),
        "difference": float(np.median(np.abs(ours.depth[both] - expected) / expected)),
        "silhouettes": int((ours.silhouettes != theirs.silhouettes).sum()),
    }


def table(size: int, rows: list[dict[str, Any]]) -> Grid:
    """Return the rows of one image size as a titled table, the least gain and the median last."""
    body = [
        [
            row["mesh"],
            f"{row['faces']:,}",
            f"{1000 * row[OURS]:.1f}",
            f"{1000 * row[THEIRS]:.1f}",
            f"{row['gain']:.1f}",
            f"{row['busy_gain']:.1f}",
            f"{row['difference']:.1e}",
            f"{row['silhouettes']}",
        ]
        for row in rows
    ]
    for name, summary in (("least", min), ("median", statistics.median)):
        gains = [f"{summary(row[key] for row in rows):.1f}" for key in ("gain", "busy_gain")]
        body.append([name, "", "", "", *gains, "", ""])
    head = ["mesh", "triangles", "backproject, ms", "Open3D, ms", "times faster"]
    head += ["times less processor", "depth differs", "silhouettes differ, pixels"]
    return f"20 views of {size} px", head, body


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("meshes", nargs="*", help="files or folders (default: the shared meshes)")
    parser.add_argument("--sizes", nargs="+", type=int, default=[224, 512], help="pixels a side")
    parser.add_argument("--repeat", type=int, default=5, help="timed runs of each")
    parser.add_argument("--markdown", metavar="FILE", help="write the tables here")
    return parser.parse_args()


if __name__ == "__main__":
    main()
