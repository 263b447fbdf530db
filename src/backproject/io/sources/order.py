"""The order of numbered files: as people count, not as text sorts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from backproject.geometry.views import Assumption


def natural_order(paths: Iterable[Path]) -> tuple[list[Path], Assumption | None]:
    """Return paths with their numbers in order of value, and what to tell if text order differs.

    `Cam_2` comes before `Cam_10`, which sorts first as text.
    """
    paths = list(paths)
    ordered = sorted(paths, key=lambda path: (_counted(path), path.as_posix()))
    as_text = sorted(paths, key=lambda path: path.as_posix())
    for ours, theirs in zip(ordered, as_text, strict=True):
        if ours != theirs:
            taken = f"by number: {ours.name} comes before {theirs.name}"
            return ordered, Assumption("order of files", taken, "as text they sort otherwise")
    return ordered, None


def _counted(path: Path) -> list[list[str | int]]:
    """Return the path's parts, each split into text and numbers in turn, text first."""
    return [
        [int(piece) if odd % 2 else piece for odd, piece in enumerate(re.split(r"(\d+)", part))]
        for part in path.parts
    ]
