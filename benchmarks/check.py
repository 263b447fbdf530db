"""Plant faults in cameras and depth, and count how often `bp.check` names and mends them.

    python -m benchmarks.check                                   every fault, every mesh
    python -m benchmarks.check spot.obj --faults "one turned" poses --shapes --detail

The faults are those of `benchmarks.faults`, `benchmarks.judging` says what an answer is worth.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass

import numpy as np

import backproject as bp
from benchmarks import analytic, solids
from benchmarks.clock import Times
from benchmarks.faults import FAULTS, Fault, Planted
from benchmarks.judging import Verdict, judge
from benchmarks.meshes import chosen_meshes, load_unit
from benchmarks.tables import Grid, console, parser_of, publish

SECONDS_TARGET = {"permuted": 60.0}
SECONDS_TARGETS = 10.0
"""That of all faults that have none of their own."""
WARM_UP = 48
"""Side of the images of the run that is not counted: it compiles."""


@dataclass(frozen=True)
class Answer:
    """What became of one fault on one mesh: the worth of the answer, or the `error`."""

    mesh: str
    what: str
    times: Times
    verdict: Verdict | None
    clash_given: float
    clash_mended: float
    said: str

    @property
    def told(self) -> bool:
        """Whether the views tell of the fault: what was told right could be told."""
        return self.verdict is None or self.verdict.right or not self.verdict.untold


def main() -> None:
    """Run the benchmark: a row for each fault, and with `--detail` one for each mesh."""
    options = _options()
    rig = bp.Rig.dodecahedron(size=options.size)
    clean = {path.stem: bp.render(load_unit(path), rig) for path in chosen_meshes(options.meshes)}
    if options.shapes:
        clean |= symmetric_shapes(rig)
    bp.check(bp.render(solids.torus(), bp.Rig.dodecahedron(size=WARM_UP)))
    answers = {fault: run(fault, clean, options) for fault in options.faults}
    notes = [
        f"{len(clean)} shapes, {len(rig)} views of {options.size} px, seed {options.seed}.",
        "Rate: named and mended, of those that the views tell; the others cannot be told by anyone,"
        " as the faulty views agree as well as the true ones. Wrong answers: something else is"
        " called wrong, and what is mended is not the truth.",
    ]
    grids = [rate_table(answers)]
    if options.detail:
        grids.append(detail_table(answers))
    publish("check", grids, notes, options.markdown)


def symmetric_shapes(rig: bp.Rig) -> dict[str, bp.ViewSet]:
    """Return views of shapes that hide some faults: sphere, torus, and a box along the axes."""
    from trimesh.creation import box

    made = box(solids.BOX)
    upright = bp.normalize(bp.Mesh(made.vertices, made.faces)).mesh
    round_ones = {name: analytic.traced(shape, rig) for name, shape in analytic.ROUND.items()}
    return {**round_ones, "box": bp.render(upright, rig)}


def run(name: str, clean: dict[str, bp.ViewSet], options: argparse.Namespace) -> list[Answer]:
    """Return an answer for each mesh, and tell of each in a line."""
    answers = []
    for mesh, views in clean.items():
        planted = FAULTS[name].plant(views, random_of(options.seed, name, mesh))
        answers.append(ask(FAULTS[name], mesh, planted, options.repeat))
        console(stderr=True).print(f"{name:22} {in_short(answers[-1])}", soft_wrap=True)
    return answers


def random_of(seed: int, *names: str) -> np.random.Generator:
    """Return what is random of a fault on a mesh, the same whatever else is run."""
    return np.random.default_rng([seed, *"/".join(names).encode()])


def ask(fault: Fault, mesh: str, planted: Planted, repeat: int) -> Answer:
    """Return what `bp.check` says of planted views, and what that is worth."""
    times = Times()
    try:
        for _ in range(repeat):
            diagnosis = times.add(lambda: bp.check(planted.views))
        verdict = judge(fault, planted, diagnosis)
    except Exception as error:
        return Answer(mesh, planted.what, times, None, np.nan, np.nan, f"{error!r}")
    wrong = [each for each in diagnosis.findings if each.verdict == "wrong"]
    said = "; ".join(f"{each.hypothesis}: {each.best}" for each in wrong) or "nothing wrong"
    clashes = diagnosis.clash_given, diagnosis.clash_mended
    return Answer(mesh, planted.what, times, verdict, *clashes, said)


def rate_table(answers: dict[str, list[Answer]]) -> Grid:
    """Return a row for each fault: how often it was named and mended, and the seconds."""
    head = ["fault", "shapes", "cannot be told", "named", "mended", "both", "rate", "target"]
    head += ["wrong answers", "errors", "seconds", "most", "target", "processor's", "most"]
    return "Faults named and mended", head, [_rates(name, each) for name, each in answers.items()]


def _rates(name: str, answers: list[Answer]) -> list[str]:
    judged = [each.verdict for each in answers if each.verdict]
    told = [each.verdict for each in answers if each.verdict and each.told]
    both, asked = sum(each.right for each in told), sum(each.told for each in answers)
    counts = [
        len(answers),
        len(answers) - asked,
        sum(each.named for each in told),
        sum(each.mended for each in told),
        both,
    ]
    rate = f"{both / asked:.0%}" if asked else "-"
    invented = sum(each.invented for each in judged)
    failed = len(answers) - len(judged)
    return [
        name, *map(str, counts), rate, f"{FAULTS[name].target:.0%}", f"{invented}", f"{failed}",
        *_seconds([each.times.all_seconds for each in answers]),
        f"{SECONDS_TARGET.get(name, SECONDS_TARGETS):g}",
        *_seconds([each.times.all_busy for each in answers]),
    ]  # fmt: skip


def _seconds(runs: list[list[float]]) -> list[str]:
    medians = [statistics.median(each) for each in runs if each]
    return [f"{summary(medians):.1f}" for summary in (statistics.median, max)] if medians else []


def detail_table(answers: dict[str, list[Answer]]) -> Grid:
    """Return a row for each fault and mesh."""
    head = ["fault", "shape", "planted", "said", "worth", "clash", "mended", "numbers", "pixels"]
    body = [
        [name, each.mesh, each.what, each.said, *_worth(each)]
        for name, of_fault in answers.items()
        for each in of_fault
    ]
    return "Each fault on each shape", [*head, "seconds", "processor's"], body


def _worth(answer: Answer) -> list[str]:
    errors = answer.verdict.errors if answer.verdict else None
    off = [f"{errors.numbers:.2%}", f"{errors.pixels:.2f}"] if errors else ["-", "-"]
    clashes = [f"{answer.clash_given:.3f}", f"{answer.clash_mended:.3f}"]
    seconds = [f"{each[0]:.1f}" if each else "-" for each in _runs(answer)]
    return [in_words(answer), *clashes, *off, *seconds]


def _runs(answer: Answer) -> tuple[list[float], list[float]]:
    return answer.times.all_seconds, answer.times.all_busy


def in_words(answer: Answer) -> str:
    """Return what an answer is worth, in words."""
    verdict = answer.verdict
    if verdict is None:
        return "error"
    words = [
        "named" if verdict.named else "not named",
        "mended" if verdict.mended else "not mended",
    ]
    if verdict.untold:
        words.append("cannot be told")
    if verdict.invented:
        words.append("WRONG")
    if verdict.errors and verdict.errors.mirrored:
        words.append("mirrored scene")
    return ", ".join(words)


def in_short(answer: Answer) -> str:
    """Return an answer as one line."""
    _, clash, mended, numbers, pixels, seconds, busy = _worth(answer)
    return (
        f"{answer.mesh:22} {seconds:>5} s {busy:>5} s  clash {clash} -> {mended}"
        f"  numbers {numbers:>6}  pixels {pixels:>5}  {in_words(answer)}"
        f" | {answer.what} | {answer.said}"
    )


def _options() -> argparse.Namespace:
    parser = parser_of(__doc__, repeat=1, help_repeat="timed runs of each check")
    parser.add_argument("--size", type=int, default=224, help="side of the images in pixels")
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=list(FAULTS))
    parser.add_argument("--shapes", action="store_true", help="symmetric shapes, too")
    parser.add_argument("--detail", action="store_true", help="a row for each fault and mesh")
    parser.add_argument("--seed", type=int, default=0, help="of what is random")
    return parser.parse_args()


if __name__ == "__main__":
    main()
