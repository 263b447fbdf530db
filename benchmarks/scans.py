"""Score scans with holes, solid, against Poisson and the block grid, and cavities that stay open.

    python -m benchmarks.scans                          closed meshes and analytic shapes, cavities
    python -m benchmarks.scans spot.obj --seeds 0 --methods backproject poisson

A scan is a closed shape without its faces inside some balls about points of its base; views look
into it there. It is scored against the whole shape: a hole should be closed near to what was cut
out. "Filled" is the share of the shape's volume that the result encloses. Of a cavity that is
really seen (a bowl, a cup) nothing should be filled.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

import backproject as bp
from benchmarks import results as of
from benchmarks import solids
from benchmarks.meshes import closed_meshes
from benchmarks.methods import METHODS, Runner, scores_against
from benchmarks.tables import Grid, parser_of, publish

Row = dict[str, Any]


def main() -> None:
    """Run the benchmark: medians, and each scan's and cavity's mean error and filling."""
    options = _options()
    rig = bp.Rig.dodecahedron(size=options.size)
    runner = Runner(options.methods, resolution=options.resolution, repeat=options.repeat)
    wholes = closed_meshes(options.meshes)
    wholes |= {name: bp.normalize(make()).mesh for name, make in solids.SOLIDS.items()}
    scans, cut = [], []
    for name, whole in wholes.items():
        for seed in options.seeds:
            scan = solids.pierced(whole, seed=seed)
            cut.append(1 - scan.face_areas.sum() / whole.face_areas.sum())
            label = f"{name}, seed {seed}"
            scans.append(measure(label, bp.render(scan, rig), whole, whole, runner))
    cavities = []
    for name, make in solids.CAVITIES.items():
        cavity = make()
        unit = bp.normalize(cavity.shape)
        space = cavity.space and cavity.space.transformed(unit.world_from_unit.inverse())
        cavities.append(measure(name, bp.render(unit.mesh, rig), unit.mesh, space, runner))
    low, high = solids.HOLE_RADII
    notes = [
        f"20 views of {options.size} px, resolution {options.resolution}, exact depth; distances in"
        f" the shape's diameters. Seeds {', '.join(map(str, options.seeds))}.",
        f"Cut out: {solids.HOLES} balls of radius {low:g} to {high:g} about points of the base,"
        f" {min(cut):.2%} to {max(cut):.2%} of the area.",
    ]
    publish("scans", tables(scans, cavities), notes, options.markdown)


def measure(
    label: str, views: bp.ViewSet, truth: bp.Mesh, space: bp.Mesh | None, runner: Runner
) -> Row:
    """Return a row: each method's seconds, scores against `truth`, and share of `space` filled."""
    scores = scores_against(truth, views)

    def judge(mesh: bp.Mesh) -> dict[str, Any]:
        filling = {} if space is None else {"filled": solids.filled(mesh, space)}
        return {**scores(mesh), **filling}

    return {
        "mesh": label,
        "methods": runner.run(label, views, judge),
        "spacious": space is not None,
    }


def tables(scans: list[Row], cavities: list[Row]) -> list[Grid]:
    """Return the scans' medians, and mean error and filling of each scan and each cavity."""
    names = of.method_names(scans)
    spacious = [row for row in cavities if row["spacious"]]
    return [
        of.median_table(f"Scans with holes ({len(scans)}), medians", scans, names),
        _filling_table(scans, names),
        of.mesh_table("Scans: Chamfer", scans, names, of.score("chamfer"), ".2e", min),
        of.mesh_table("Scans: volume filled", scans, names, _filled, ".3f", max),
        of.mesh_table("Cavities: Chamfer", cavities, names, of.score("chamfer"), ".2e", min),
        of.mesh_table("Cavities: cavity filled", spacious, names, _filled, ".3f", min),
        *of.error_table([*scans, *cavities]),
    ]


def _filling_table(rows: list[Row], names: list[str]) -> Grid:
    body = []
    for name in names:
        shares = [_filled(good[name]) for row in rows if name in (good := of.good_results(row))]
        if shares:
            body.append([name, f"{statistics.median(shares):.3f}", f"{min(shares):.3f}"])
    return "Scans: volume filled", ["method", "median", "least"], body


def _filled(result: Row) -> float:
    return float(result["filled"])


def _options() -> argparse.Namespace:
    parser = parser_of(__doc__, repeat=1, help_repeat="timed runs, while they are short")
    parser.add_argument("--size", type=int, default=224, help="side of the images in pixels")
    parser.add_argument("--resolution", type=int, default=256, help="voxels along the diameter")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1], help="of the holes")
    chosen = ["backproject", "open3d", "poisson"]
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=chosen)
    return parser.parse_args()


if __name__ == "__main__":
    main()
