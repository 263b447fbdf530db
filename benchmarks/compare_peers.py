"""Score and time this package and its peers on the same depth maps, in the same run.

    python -m benchmarks.compare_peers                              every mesh, every method
    python -m benchmarks.compare_peers boot.obj --methods backproject poisson
    python -m benchmarks.compare_peers --methods backproject --reuse FILE.json
                                                                    the others' rows from before

Seconds are warm (one run on the first mesh is not counted) and medians. Rendering is timed by
`benchmarks.rendering`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import backproject as bp
from benchmarks import peers

SUFFIXES = {".obj", ".ply", ".stl", ".off", ".glb"}
PATIENCE = 6.0
"""Seconds after which a method is not repeated again on the same mesh."""
DISTANCES = ("accuracy", "completeness", "chamfer", "hausdorff", "signed_bias")
Fuse = Callable[[bp.ViewSet, int], bp.Mesh]


def backproject(views: bp.ViewSet, resolution: int = 256) -> bp.Mesh:
    """Return what this package makes of the views, with its defaults."""
    return bp.fuse(views, resolution=resolution)


def seen(views: bp.ViewSet, resolution: int = 256) -> bp.Mesh:
    """Return the part of it that some camera saw."""
    return bp.fuse(views, resolution=resolution, surface="seen")


METHODS: dict[str, Fuse] = {"backproject": backproject, "seen": seen, **peers.METHODS}


def quantised(views: bp.ViewSet) -> bp.ViewSet:
    """Return the views as the paper's 8-bit images hold them: z = 2 - I / 255, white is near."""
    depth = views.depth.copy()
    hit = np.isfinite(depth)
    depth[hit] = 2 - np.clip(np.round(255 * (2 - depth[hit])), 1, 255) / 255
    return bp.ViewSet(depth, views.rig)


def noisy(views: bp.ViewSet) -> bp.ViewSet:
    """Return the views with Gaussian noise of half a pixel's footprint along the optical axis."""
    half = 0.5 * 1.5 / views.rig.intrinsics[0, 0, 0]
    noise = np.random.default_rng(0).normal(0, half, views.depth.shape)
    return bp.ViewSet(views.depth + noise.astype(np.float32), views.rig)


DEPTHS: dict[str, Callable[[bp.ViewSet], bp.ViewSet]] = {
    "exact": lambda views: views,
    "8bit": quantised,
    "noisy": noisy,
}


def main() -> None:
    """Run the benchmark and say where its results went."""
    options = _options()
    width = max(Console().width, 150)  # a log file has no width of its own
    console = Console(stderr=True, width=width)
    files = find_meshes([Path(name) for name in options.meshes] or [default_folder()])
    earlier = json.loads(Path(options.reuse).read_text()) if options.reuse else {"meshes": []}
    results: dict[str, Any] = {
        "command": " ".join(["python -m benchmarks.compare_peers", *sys.argv[1:]]),
        "settings": {
            "size": options.size,
            "views": 20,
            "resolution": options.resolution,
            "depth": options.depth,
        },
        "machine": describe_machine(),
        "meshes": [],
    }
    if options.reuse and earlier["settings"] != results["settings"]:
        sys.exit(f"{options.reuse}: made with {earlier['settings']}, not {results['settings']}")
    if options.reuse:  # their seconds are of another run
        results["reused"] = f"{options.reuse}: {earlier['command']}"
    old_rows = {row["mesh"]: row for row in earlier["meshes"]}
    warm: set[str] = set()
    for path in files:
        row = measure(path, options, warm, console)
        row["methods"] = old_rows.get(row["mesh"], {}).get("methods", {}) | row["methods"]
        results["meshes"].append(row)
        if options.json:  # after each mesh: a long run that is cut short keeps what it has
            Path(options.json).write_text(json.dumps(results, indent=1) + "\n")
    for table in tables(results):
        Console(width=width).print(to_rich(*table))
    if options.markdown:
        Path(options.markdown).write_text(to_markdown(results))


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
    root = Path(__file__).resolve().parents[1]
    shared = root.parent / "shared" / "data" / "meshes"
    return shared if shared.is_dir() else root / "examples" / "data"


def measure(
    path: Path, options: argparse.Namespace, warm: set[str], console: Console
) -> dict[str, Any]:
    """Return one mesh's row: each method's seconds and scores."""
    truth = bp.normalize(bp.Mesh.load(path)).mesh
    rig = bp.Rig.dodecahedron(size=options.size)
    views = bp.render(truth, rig)
    given = DEPTHS[options.depth](views)
    row: dict[str, Any] = {
        "mesh": path.stem,
        "faces": len(truth.faces),
        "closed": is_closed(truth),
        "methods": {},
    }
    for name in options.methods:
        result = run_method(METHODS[name], name not in warm, views, given, truth, options)
        warm.add(name)
        row["methods"][name] = result
        console.print(f"{path.stem:24} {name:12} {_in_short(result)}", highlight=False)
    return row


def run_method(
    method: Fuse,
    cold: bool,
    views: bp.ViewSet,
    given: bp.ViewSet,
    truth: bp.Mesh,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Return a method's seconds and scores on the views as `given`, or the error it ended with.

    What was seen of the truth is judged by the exact `views`.
    """
    try:
        if cold:
            method(given, options.resolution)
        seconds, mesh = timed(lambda: method(given, options.resolution), options.repeat)
        scores = bp.compare(mesh, truth, views=views).to_dict()
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {"seconds": statistics.median(seconds), "all_seconds": seconds, "scores": scores}


def timed(work: Callable[[], Any], repeat: int) -> tuple[list[float], Any]:
    """Return the seconds of up to `repeat` runs, and the last one's result."""
    seconds: list[float] = []
    result = None
    while len(seconds) < repeat and sum(seconds) < PATIENCE:
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    return seconds, result


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


def describe_machine() -> dict[str, Any]:
    """Return what the seconds depend on."""
    versions = {}
    for name in ("numpy", "numba", "open3d", "igl"):
        try:
            versions[name] = __import__(name).__version__
        except (ImportError, AttributeError):
            versions[name] = None
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [x for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        model = names[0].split(":")[1].strip() if names else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"cpu": model, "cores": cores, "python": platform.python_version(), **versions}


Grid = tuple[str, list[str], list[list[str]]]


def tables(results: dict[str, Any]) -> list[Grid]:
    """Return titled tables: medians of the closed and the other shapes, each mesh."""
    rows = results["meshes"]
    names = [name for name in METHODS if any(name in row["methods"] for row in rows)]
    closed = [row for row in rows if row["closed"]]
    others = [row for row in rows if not row["closed"]]
    made = [
        _median_table(f"{title} ({len(group)} meshes), medians", group, names)
        for title, group in (("Closed shapes", closed), ("Open shapes and soups", others))
        if group
    ]
    made += [
        _mesh_table("F-score at 0.001", rows, names, _f_at_1, ".4f", best=max),
        _mesh_table("Chamfer", rows, names, _chamfer, ".2e", best=min),
        _mesh_table("Hausdorff", rows, names, _hausdorff, ".4f", best=min),
        _mesh_table("Seconds", rows, names, lambda result: result["seconds"], ".2f", best=min),
    ]
    failed = [
        [row["mesh"], name, result["error"]]
        for row in rows
        for name, result in row["methods"].items()
        if "error" in result
    ]
    return [*made, ("Errors", ["mesh", "method", "error"], failed)] if failed else made


def to_rich(title: str, head: list[str], rows: list[list[str]]) -> Table:
    """Return a table for the terminal."""
    table = Table(title=title, title_justify="left")
    for k, name in enumerate(head):
        table.add_column(name, justify="left" if k == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*(cell.replace("**", "") for cell in row))
    return table


def to_markdown(results: dict[str, Any]) -> str:
    """Return all tables as markdown, under the command and the machine that made them."""
    lines = [
        "# Side by side with the peers",
        "",
        f"    {results['command']}",
        "",
        "{views} views of {size} px, resolution {resolution}, {depth} depth;".format_map(
            results["settings"]
        ),
        "distances in the shape's diameters (docs/scores.md).",
        ", ".join(f"{key} {value}" for key, value in results["machine"].items()) + ".",
        "Bold: the best of the row.",
    ]
    if "reused" in results:
        lines += ["", f"Methods not named in the command are from {results['reused']}"]
    for grid in tables(results):
        lines += grid_to_markdown(*grid, level=2)
    return "\n".join(lines) + "\n"


def grid_to_markdown(title: str, head: list[str], rows: list[list[str]], level: int) -> list[str]:
    """Return the lines of a table under its title, a heading of the `level`."""
    lines = ["", f"{'#' * level} {title}", "", "| " + " | ".join(head) + " |"]
    lines += ["|---" + "|---:" * (len(head) - 1) + "|"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def _median_table(title: str, rows: list[dict[str, Any]], names: list[str]) -> Grid:
    body = []
    for name in names:
        results = [row["methods"][name] for row in rows if name in row["methods"]]
        good = [result for result in results if "scores" in result]
        if not good:
            body.append([name, "no result", *[""] * 10])
            continue
        scores = [result["scores"] for result in good]
        f_scores = [_median(s["f_score"][tau] for s in scores) for tau in scores[0]["f_score"]]
        distances = [_median(s[key] for s in scores) for key in DISTANCES]
        body.append(
            [
                name if len(good) == len(rows) else f"{name} ({len(good)} of {len(rows)})",
                *(f"{value:.4f}" for value in f_scores),
                *(f"{value:.2e}" for value in distances),
                f"{_median(s['normal_consistency'] for s in scores):.4f}",
                f"{sum(s['watertight'] for s in scores)}",
                f"{_median(result['seconds'] for result in good):.2f}",
            ]
        )
    head = ["method", "F@0.001", "F@0.0025", "F@0.005", "accuracy", "completeness", "Chamfer"]
    return title, [*head, "Hausdorff", "bias", "normals", "watertight", "seconds"], body


def _mesh_table(
    title: str,
    rows: list[dict[str, Any]],
    names: list[str],
    value_of: Callable[[dict[str, Any]], float],
    form: str,
    best: Callable[..., float],
) -> Grid:
    body = []
    for row in rows:
        good = {n: r for n, r in row["methods"].items() if "scores" in r}
        values = {name: value_of(result) for name, result in good.items()}
        texts = {name: format(value, form) for name, value in values.items()}
        winner = format(best(values.values()), form) if values else None
        cells = [texts.get(name, "-") for name in names]
        ours, peer = values.get("backproject"), values.get("open3d")
        ratio = f"{ours / peer:.2f}" if ours is not None and peer else "-"
        shape = "closed" if row["closed"] else "open"
        cells = [f"**{cell}**" if cell == winner else cell for cell in cells]
        body.append([row["mesh"], shape, *cells, ratio])
    return title, ["mesh", "shape", *names, "backproject / open3d"], body


def _f_at_1(result: dict[str, Any]) -> float:
    return float(result["scores"]["f_score"]["0.001"])


def _chamfer(result: dict[str, Any]) -> float:
    return float(result["scores"]["chamfer"])


def _hausdorff(result: dict[str, Any]) -> float:
    return float(result["scores"]["hausdorff"])


def _median(values: Any) -> float:
    return float(statistics.median(values))


def _in_short(result: dict[str, Any]) -> str:
    if "error" in result:
        return str(result["error"])
    scores = result["scores"]
    return (
        f"{result['seconds']:6.2f} s  F@0.001 {_f_at_1(result):.4f}  Chamfer {_chamfer(result):.2e}"
        f"  Hausdorff {_hausdorff(result):.4f}  bias {scores['signed_bias']:+.1e}"
        f"  {'watertight' if scores['watertight'] else 'open'}"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("meshes", nargs="*", help="files or folders (default: the shared meshes)")
    parser.add_argument("--size", type=int, default=224, help="side of the images in pixels")
    parser.add_argument("--resolution", type=int, default=256, help="voxels along the diameter")
    parser.add_argument("--depth", choices=DEPTHS, default="exact", help="what the methods get")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--repeat", type=int, default=3, help="timed runs, while they are short")
    parser.add_argument("--reuse", metavar="JSON", help="take the other methods' rows from here")
    parser.add_argument("--json", metavar="FILE", help="write all results here")
    parser.add_argument("--markdown", metavar="FILE", help="write the tables here")
    return parser.parse_args()


if __name__ == "__main__":
    main()
