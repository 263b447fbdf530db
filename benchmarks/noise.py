"""Score this package and its peers on imperfect depth of closed shapes, in the same run.

    python -m benchmarks.noise                                  every kind, every closed mesh
    python -m benchmarks.noise spot.obj --kinds 8bit gaussian --methods backproject poisson

The kinds are those of `benchmarks.imperfect`; what was seen of the truth is judged by the exact
views.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import backproject as bp
from benchmarks import imperfect
from benchmarks import results as of
from benchmarks.meshes import closed_meshes
from benchmarks.methods import METHODS, Runner, scores_against
from benchmarks.tables import Grid, parser_of, publish

Kinds = dict[str, list[dict[str, Any]]]


def main() -> None:
    """Run the benchmark: a table of medians, and each mesh's mean error."""
    options = _options()
    meshes = closed_meshes(options.meshes)
    if not meshes:
        sys.exit("no closed mesh among those named: imperfect depth is judged on closed shapes")
    runner = Runner(options.methods, resolution=options.resolution, repeat=options.repeat)
    rows: Kinds = {kind: [] for kind in options.kinds}
    for name, truth in meshes.items():
        views = bp.render(truth, bp.Rig.dodecahedron(size=options.size))
        for kind in options.kinds:
            given = imperfect.MAKERS[kind](truth, views, options.seed)
            results = runner.run(f"{name} {kind}", given, scores_against(truth, views))
            rows[kind].append({"mesh": name, "methods": results})
    finer, view = imperfect.FINER, imperfect.ODD_VIEW
    notes = [
        f"{len(meshes)} closed shapes, 20 views of {options.size} px, resolution"
        f" {options.resolution}, seed {options.seed}; distances in the shape's diameters.",
        "8 bit: z = 2 - I / 255. Gaussian: half a pixel's footprint. Flying:"
        f" {imperfect.FLYING:.0%} of the pixels. Anti-aliased: means of {finer} x {finer} rays.",
        f"Missing: view {view} is. Turned, orbited: it is off by 1 degree, where it stands and"
        " around the shape.",
    ]
    publish("noise", tables(rows), notes, options.markdown)


def tables(rows: Kinds) -> list[Grid]:
    """Return medians of each kind and method, each mesh's mean error, and the errors."""
    body = []
    for kind, of_kind in rows.items():
        _, _, cells = of.median_table(kind, of_kind, of.method_names(of_kind))
        body += [[kind, *row] for row in cells]
    flat = [{**row, "mesh": f"{row['mesh']}, {kind}"} for kind in rows for row in rows[kind]]
    names = of.method_names(flat)
    return [
        ("Imperfect depth, medians", ["depth", "method", *of.MEDIAN_HEAD], body),
        of.mesh_table("Chamfer", flat, names, of.score("chamfer"), ".2e", min),
        *of.error_table(flat),
    ]


def _options() -> argparse.Namespace:
    parser = parser_of(__doc__, repeat=1, help_repeat="timed runs, while they are short")
    parser.add_argument("--size", type=int, default=224, help="side of the images in pixels")
    parser.add_argument("--resolution", type=int, default=256, help="voxels along the diameter")
    parser.add_argument(
        "--kinds", nargs="+", choices=imperfect.MAKERS, default=list(imperfect.MAKERS)
    )
    chosen = ["backproject", "open3d", "poisson"]
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=chosen)
    parser.add_argument("--seed", type=int, default=0, help="of what is random")
    return parser.parse_args()


if __name__ == "__main__":
    main()
