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
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import backproject as bp
from benchmarks import peers
from benchmarks.clock import take_turns
from benchmarks.meshes import chosen_meshes, load_unit
from benchmarks.tables import Grid, parser_of, publish

Renderer = Callable[[bp.Mesh, bp.Rig], bp.ViewSet]
OURS, THEIRS = "backproject", "open3d"
RENDERERS: dict[str, Renderer] = {OURS: bp.render, THEIRS: peers.render_open3d}


def main() -> None:
    """Run the benchmark, one table a size."""
    options = _options()
    meshes = {path.stem: load_unit(path) for path in chosen_meshes(options.meshes)}
    grids = []
    for size in options.sizes:
        rig = bp.Rig.dodecahedron(size=size)
        rows = [measure(name, mesh, rig, options.repeat) for name, mesh in meshes.items()]
        grids.append(table(size, rows))
    publish("rendering", grids, [], options.markdown)


def measure(name: str, mesh: bp.Mesh, rig: bp.Rig, repeat: int) -> dict[str, Any]:
    """Return one mesh's row: both renderers' median seconds, by the clock and of the processor,
    and how far their depths differ.
    """
    views = {key: render(mesh, rig) for key, render in RENDERERS.items()}
    works = {key: partial(render, mesh, rig) for key, render in RENDERERS.items()}
    times = take_turns(works, repeat)
    ours, theirs = views[OURS], views[THEIRS]
    both = ours.silhouettes & theirs.silhouettes
    expected = theirs.depth[both].astype(np.float64)
    return {
        "mesh": name,
        "faces": len(mesh.faces),
        **{key: of.seconds for key, of in times.items()},
        "gain": times[THEIRS].seconds / times[OURS].seconds,
        "busy_gain": times[THEIRS].busy / times[OURS].busy,
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
    parser = parser_of(__doc__, repeat=5, help_repeat="timed runs of each")
    parser.add_argument("--sizes", nargs="+", type=int, default=[224, 512], help="pixels a side")
    return parser.parse_args()


if __name__ == "__main__":
    main()
