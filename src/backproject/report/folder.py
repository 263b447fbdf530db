"""A round trip as a folder of files."""

from __future__ import annotations

import json
from pathlib import Path

from backproject.io.atomic import atomic_file, atomic_folder
from backproject.io.captures import is_own_capture, write_capture
from backproject.metrics.scores import Scores
from backproject.pipeline import RoundTrip
from backproject.progress import Progress, silent
from backproject.report.making import Making
from backproject.report.write import write_report

CAPTURE = "capture"
REPORT = "report.html"
FILES = (
    *("cloud.ply", "mesh.ply", "scores.json"),
    *("depth.png", "shapes.png", "error.png", REPORT),
)


def write_roundtrip(
    result: RoundTrip,
    folder: Path,
    *,
    name: str,
    making: Making | None = None,
    threads: int = 0,
    progress: Progress = silent,
) -> None:
    """Write capture, cloud, mesh, scores, report and pictures of a round trip to a folder, all or
    nothing.

    An earlier round trip there is replaced; other files are not. `making` is told in the report.

    Raises:
        OutputError: the folder holds something else, or cannot be written.

    """
    # matplotlib takes half a second that nobody else should pay
    from backproject.report.pictures import contact_sheet, error_map, side_by_side

    with atomic_folder(folder, replaceable=is_roundtrip) as beside:
        progress("writing", 0.0)
        write_capture(result.views, beside / CAPTURE)
        result.cloud.save(beside / "cloud.ply")
        result.reconstruction.save(beside / "mesh.ply")
        write_scores(result.scores, beside / "scores.json", seconds=result.seconds)
        progress("drawing", 0.3)
        contact_sheet(result.views, beside / "depth.png", title=name)
        side_by_side(
            result.truth, result.reconstruction, beside / "shapes.png", title=name, threads=threads
        )
        progress("drawing", 0.7)
        error_map(
            result.reconstruction, result.truth, beside / "error.png", title=name, threads=threads
        )
        write_report(
            beside / REPORT,
            result.reconstruction,
            truth=result.truth,
            views=result.views,
            title=name,
            cloud=result.cloud,
            measured=result.measured,
            making=making or Making(seconds=result.seconds),
            threads=threads,
            progress=progress,
        )


def write_scores(scores: Scores, path: Path, *, seconds: dict[str, float] | None = None) -> None:
    """Write scores as JSON, with the seconds each stage took if they are known."""
    content = scores.to_dict() | ({"seconds": seconds} if seconds else {})
    with atomic_file(path) as beside:
        beside.write_text(json.dumps(content, indent=2) + "\n")


def is_roundtrip(folder: Path) -> bool:
    """Return whether a folder holds nothing but a round trip that `write_roundtrip` wrote."""
    names = {entry.name for entry in folder.iterdir()}
    return names <= {CAPTURE, *FILES} and CAPTURE in names and is_own_capture(folder / CAPTURE)
