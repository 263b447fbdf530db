"""Score and time this package and its peers on the same depth maps, in the same run.

    python -m benchmarks.compare_peers                              every mesh, every method
    python -m benchmarks.compare_peers boot.obj --methods backproject poisson
    python -m benchmarks.compare_peers --methods backproject --reuse FILE.json
                                                                    the others' rows from before

Seconds are warm (one run on the first mesh is not counted) and medians. Imperfect depth has
`benchmarks.noise`, scans with holes `benchmarks.scans`, rendering `benchmarks.rendering`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import backproject as bp
from benchmarks import results as of
from benchmarks.meshes import chosen_meshes, is_closed, load_unit
from benchmarks.methods import METHODS, Runner, scores_against
from benchmarks.tables import Grid, command_of, describe_machine, parser_of, publish


def main() -> None:
    """Run the benchmark and say where its results went."""
    options = _options()
    earlier = json.loads(Path(options.reuse).read_text()) if options.reuse else {"meshes": []}
    results: dict[str, Any] = {
        "command": command_of("compare_peers"),
        "settings": {"size": options.size, "views": 20, "resolution": options.resolution},
        "machine": describe_machine(),
        "meshes": [],
    }
    if options.reuse and earlier["settings"] != results["settings"]:
        sys.exit(f"{options.reuse}: made with {earlier['settings']}, not {results['settings']}")
    if options.reuse:  # their seconds are of another run
        results["reused"] = f"{options.reuse}: {earlier['command']}"
    old_rows = {row["mesh"]: row for row in earlier["meshes"]}
    runner = Runner(options.methods, resolution=options.resolution, repeat=options.repeat)
    for path in chosen_meshes(options.meshes):
        row = measure(path, options.size, runner)
        row["methods"] = old_rows.get(row["mesh"], {}).get("methods", {}) | row["methods"]
        results["meshes"].append(row)
        if options.json:  # after each mesh: a long run that is cut short keeps what it has
            Path(options.json).write_text(json.dumps(results, indent=1) + "\n")
    publish("compare_peers", tables(results["meshes"]), notes(results), options.markdown, level=2)


def measure(path: Path, size: int, runner: Runner) -> dict[str, Any]:
    """Return one mesh's row: each method's seconds and scores."""
    truth = load_unit(path)
    views = bp.render(truth, bp.Rig.dodecahedron(size=size))
    return {
        "mesh": path.stem,
        "faces": len(truth.faces),
        "closed": is_closed(truth),
        "methods": runner.run(path.stem, views, scores_against(truth, views)),
    }


def tables(rows: list[dict[str, Any]]) -> list[Grid]:
    """Return medians of the closed and the other shapes, ratios to the peers, and each mesh."""
    names = of.method_names(rows)
    closed = [row for row in rows if row["closed"]]
    others = [row for row in rows if not row["closed"]]
    return [
        *(
            of.median_table(f"{title} ({len(group)} meshes), medians", group, names)
            for title, group in (("Closed shapes", closed), ("Open shapes and soups", others))
            if group
        ),
        of.ratio_table(rows),
        of.mesh_table("F-score at 0.001", rows, names, of.f_score, ".4f", max),
        of.mesh_table("Chamfer", rows, names, of.score("chamfer"), ".2e", min),
        of.mesh_table("Hausdorff", rows, names, of.score("hausdorff"), ".4f", min),
        of.mesh_table("Signed bias over Chamfer", rows, names, of.bias_share, ".3f", min),
        of.mesh_table("Seconds", rows, names, of.seconds, ".2f", min),
        *of.error_table(rows),
    ]


def notes(results: dict[str, Any]) -> list[str]:
    """Return what a reader must know of the tables."""
    settings = results["settings"]
    told = [
        f"{settings['views']} views of {settings['size']} px,"
        f" resolution {settings['resolution']}, exact depth;",
        "distances in the shape's diameters (docs/scores.md). Bold: the best of the row.",
    ]
    others = [row["mesh"] for row in results["meshes"] if not row["closed"]]
    if others:
        told.append(f"Open shapes and soups: {', '.join(others)}; the other shapes are closed.")
    if "reused" in results:
        told.append(f"Methods not named in the command are from {results['reused']}")
    return told


def _options() -> argparse.Namespace:
    parser = parser_of(__doc__, repeat=3, help_repeat="timed runs, while they are short")
    parser.add_argument("--size", type=int, default=224, help="side of the images in pixels")
    parser.add_argument("--resolution", type=int, default=256, help="voxels along the diameter")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--reuse", metavar="JSON", help="take the other methods' rows from here")
    parser.add_argument("--json", metavar="FILE", help="write all results here")
    return parser.parse_args()


if __name__ == "__main__":
    main()
