"""Measure how fusing grows with the resolution, and the time and memory of a large capture.

    python -m benchmarks.growth                     every mesh, both parts
    python -m benchmarks.growth spot.obj --repeat 1
    python -m benchmarks.growth spot.obj --only large

The first part times warm fusions at 256 and 512 that take turns: of the same 224 px views, and of
448 px views at 512, whose pixels are as fine as the voxels. The surface has four times as many
faces then, and the volume eight times as many voxels. The second fuses 20 views of 1024 px at 1024
in a process of its own, whose peak memory is told; the views were rendered by another.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import backproject as bp
from benchmarks import children
from benchmarks.clock import Times, take_turns
from benchmarks.meshes import chosen_meshes, load_unit
from benchmarks.results import geometric_mean
from benchmarks.tables import Grid, parser_of, publish

COARSE, FINE, MATCHING = "224 px at 256", "224 px at 512", "448 px at 512"
SETTINGS = {COARSE: (224, 256), FINE: (224, 512), MATCHING: (448, 512)}
"""Pixels along the images, voxels along the diameter."""
LARGE = 1024
RATIO_TARGET, GIGABYTES_TARGET = 4.5, 4.0


def main() -> None:
    """Run the benchmark, one table a part."""
    options = _options()
    files = chosen_meshes(options.meshes)
    grids = []
    if "growth" in options.only:
        rows = {path.stem: measure_growth(load_unit(path), options.repeat) for path in files}
        grids.append(growth_table(rows))
    if "large" in options.only:
        grids.append(large_table({path.stem: measure_large(path) for path in files}))
    publish("growth", grids, ["20 views; seconds by the clock, warm medians."], options.markdown)


def measure_growth(mesh: bp.Mesh, repeat: int) -> dict[str, Times]:
    """Return the times of fusing at each of the settings, each run once uncounted before."""
    sizes = {size for size, _ in SETTINGS.values()}
    views = {size: bp.render(mesh, bp.Rig.dodecahedron(size=size)) for size in sizes}
    works = {
        key: partial(bp.fuse, views[size], resolution=resolution)
        for key, (size, resolution) in SETTINGS.items()
    }
    take_turns(works, 1)
    return take_turns(works, repeat)


def measure_large(path: Path) -> dict[str, Any]:
    """Return the time and memory of fusing 20 views of 1024 px at 1024, in its own process."""
    with tempfile.TemporaryDirectory() as folder:
        children.run("capture", path.resolve(), LARGE, folder)
        return children.run("fuse", folder, LARGE)


def growth_table(rows: dict[str, dict[str, Times]]) -> Grid:
    """Return seconds, and their ratios to the coarse setting's, by the clock and the processor."""
    head = ["mesh", *(f"{key}, s" for key in SETTINGS)]
    head += [f"{key}: {of}" for key in (FINE, MATCHING) for of in ("ratio", "processor's ratio")]
    body, gains = [], []
    for name, times in rows.items():
        coarse = times[COARSE]
        gains.append(
            [
                ratio
                for key in (FINE, MATCHING)
                for ratio in (times[key].seconds / coarse.seconds, times[key].busy / coarse.busy)
            ]
        )
        seconds = [f"{times[key].seconds:.2f}" for key in SETTINGS]
        body.append([name, *seconds, *(f"{gain:.1f}" for gain in gains[-1])])
    for label, summary in (("most", max), ("geometric mean", geometric_mean)):
        cells = [f"{summary(column):.1f}" for column in zip(*gains, strict=True)]
        body.append([label, *[""] * len(SETTINGS), *cells])
    body.append(["target", *[""] * len(SETTINGS), *[f"{RATIO_TARGET}"] * 4])
    return "Growth from 256 to 512", head, body


def large_table(rows: dict[str, dict[str, Any]]) -> Grid:
    """Return time and memory of the large captures, the median and the most last."""
    head = ["mesh", "seconds", "processor's seconds", "peak, GB", "before fusing, GB"]
    body = [
        [
            name,
            *(f"{row[key]:.1f}" for key in ("seconds", "busy")),
            *(f"{row[key] / 1e9:.2f}" for key in ("peak", "before")),
            f"{row['faces']:,}",
            "yes" if row["watertight"] else "no",
        ]
        for name, row in rows.items()
    ]
    for label, summary in (("median", statistics.median), ("most", max)):
        column = {key: summary(row[key] for row in rows.values()) for key in ("seconds", "busy")}
        peak = summary(row["peak"] for row in rows.values()) / 1e9
        cells = [f"{column['seconds']:.1f}", f"{column['busy']:.1f}", f"{peak:.2f}"]
        body.append([label, *cells, "", "", ""])
    body.append(["target", "", "", f"{GIGABYTES_TARGET:g}", "", "", ""])
    return f"20 views of {LARGE} px at {LARGE}", [*head, "faces", "watertight"], body


def _options() -> argparse.Namespace:
    parser = parser_of(__doc__, repeat=3, help_repeat="timed runs of the first part")
    parts = ["growth", "large"]
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    return parser.parse_args()


if __name__ == "__main__":
    main()
