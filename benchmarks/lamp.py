"""Ask `bp.check` for field of view and depth code of the paper's own 8-bit images of a lamp.

    python -m benchmarks.lamp                      the set beside the checkout, from 14 guesses
    python -m benchmarks.lamp FOLDER --repeat 3

Known are 20 directions and the distance, 1.5. The truth (a field of view of 43 degrees, and depth
from 1 to 2) is what the reader takes; each guess is handed over in its place.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np

import backproject as bp
from benchmarks.clock import Times
from benchmarks.imperfect import FAR, NEAR
from benchmarks.meshes import ROOT
from benchmarks.tables import Grid, publish

FIELD_OF_VIEW = 43.0
DISTANCE = 1.5
VIEW_FACTORS = (0.8, 0.9, 1.0, 1.1, 1.2)
CODES = ((NEAR, FAR), (0.85 * NEAR, 1.1 * FAR), (1.1 * NEAR, 0.95 * FAR))
TARGET = 0.03
"""The error of each number, of itself, that is asked for."""


@dataclass(frozen=True)
class Numbers:
    """Field of view in degrees, and the depths that black and white stand for."""

    view: float
    near: float
    far: float

    def worst(self, truth: Numbers) -> float:
        """Return the largest error of a number, of itself."""
        mine, theirs = (np.array([each.view, each.near, each.far]) for each in (self, truth))
        return float(np.abs(mine / theirs - 1).max())


TRUTH = Numbers(FIELD_OF_VIEW, NEAR, FAR)


def main() -> None:
    """Run the benchmark: a row for each guess."""
    options = _options()
    folder = Path(options.folder)
    if not folder.exists():
        sys.exit(f"{folder}: no such file or folder")
    lamp = bp.ViewSet.load(folder)
    guesses = [
        Numbers(FIELD_OF_VIEW * factor, *code) for factor, code in product(VIEW_FACTORS, CODES)
    ]
    answers = [answer(lamp, guess, options.repeat) for guess in guesses if guess != TRUTH]
    good = sum(worst <= TARGET for worst, _ in answers)
    notes = [
        f"{len(lamp)} views of {lamp.rig.width} x {lamp.rig.height} px; the truth is"
        f" {FIELD_OF_VIEW:g} degrees, {NEAR:g} to {FAR:g}. All three within {TARGET:.0%}: {good} of"
        f" {len(answers)} guesses.",
    ]
    head = ["guess", "near", "far", "found", "near", "far", "worst", "wrong, it says", "views"]
    grid: Grid = "The paper's lamp", [*head, "seconds"], [row for _, row in answers]
    publish("lamp", [grid], notes, options.markdown)


def answer(lamp: bp.ViewSet, guess: Numbers, repeat: int) -> tuple[float, list[str]]:
    """Return the largest error that the check leaves of a guess, and its row."""
    views, times = guessed(lamp, guess), Times()
    for _ in range(repeat):
        diagnosis = times.add(lambda: bp.check(views))
    mended = diagnosis.apply(views)
    wrong = [each.hypothesis for each in diagnosis.findings if each.verdict == "wrong"]
    found = numbers_of(mended, lamp) if len(mended) == len(lamp) else None
    worst = found.worst(TRUTH) if found else np.inf
    said = ", ".join(wrong) or ("cannot be told" if diagnosis.mends else "nothing")
    cells = [f"{found.view:.1f}", f"{found.near:.3f}", f"{found.far:.3f}"] if found else ["-"] * 3
    return worst, [
        f"{guess.view:.1f}", f"{guess.near:g}", f"{guess.far:g}", *cells, f"{worst:.1%}", said,
        str(len(mended)), f"{statistics.median(times.all_seconds):.1f}",
    ]  # fmt: skip


def guessed(lamp: bp.ViewSet, guess: Numbers) -> bp.ViewSet:
    """Return the views with another field of view, their codes read between other depths."""
    intrinsics = lamp.rig.intrinsics.copy()
    intrinsics[:, (0, 1), (0, 1)] *= _tangent(FIELD_OF_VIEW) / _tangent(guess.view)
    contrast = (guess.far - guess.near) / (FAR - NEAR)
    depth = guess.near + (lamp.depth - NEAR) * np.float32(contrast)
    rig = replace(lamp.rig, intrinsics=intrinsics)
    return replace(lamp, depth=depth, rig=rig, step=lamp.step * contrast)


def numbers_of(views: bp.ViewSet, lamp: bp.ViewSet) -> Numbers:
    """Return the numbers that views of the lamp stand for, in units in which the cameras are at
    `DISTANCE`.
    """
    zoom = views.rig.intrinsics[0, 1, 1] / lamp.rig.intrinsics[0, 1, 1]
    view = 2 * np.degrees(np.arctan(_tangent(FIELD_OF_VIEW) / zoom))
    known = np.isfinite(lamp.depth) & np.isfinite(views.depth)
    contrast, offset = np.polyfit(lamp.depth[known], views.depth[known], 1)
    unit = DISTANCE / np.linalg.norm(views.rig.centers_world, axis=1).mean()
    near, far = (unit * (contrast * depth + offset) for depth in (NEAR, FAR))
    return Numbers(float(view), float(near), float(far))


def _tangent(degrees: float) -> float:
    return float(np.tan(np.radians(degrees / 2)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    beside = ROOT.parent / "shared" / "data" / "paper_lamp"
    parser.add_argument("folder", nargs="?", default=beside, help="default: beside the checkout")
    parser.add_argument("--repeat", type=int, default=1, help="timed runs of each check")
    parser.add_argument("--markdown", metavar="FILE", help="write the table here")
    return parser.parse_args()


if __name__ == "__main__":
    main()
