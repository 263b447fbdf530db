"""How near a reconstruction is to the truth, in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backproject.errors import InputError


@dataclass(frozen=True)
class FScore:
    """`precision`, `recall` and their harmonic mean `f`, from 0 to 1, at `tau` diameters."""

    tau: float
    precision: float
    recall: float

    @property
    def f(self) -> float:
        """The harmonic mean of precision and recall; 0 where both are."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total > 0 else 0.0


@dataclass(frozen=True)
class Scores:
    """A reconstruction's distances from the truth; docs/scores.md defines each number.

    Distances are in units of the truth's bounding-sphere diameter, and never squared. "The seen
    truth" is the part of the truth that some camera sees; all of it where no views were given. What
    no camera saw of the reconstruction is inferred.

        accuracy              mean distance, reconstruction to truth
        accuracy_median       its median
        accuracy_seen         accuracy of what some camera saw; None if there is none, or if
                              neither `support` nor views tell it
        completeness          mean distance, seen truth to reconstruction
        completeness_median   its median
        hausdorff             largest distance, either way
        signed_bias           mean height over the truth along own normals: above 0 is thicker
        normal_consistency    mean |cosine| of normals at nearest points, mean of both ways
        f_scores              precision, recall and F-score at 0.001, 0.0025 and 0.005
        seen_fraction         share of the truth's area that some camera sees; None without views
        inferred_fraction     share of the reconstruction's area that no camera saw; None if neither
                              `support` nor views tell it
        watertight            whether every edge joins exactly two faces, alike oriented
        vertices, faces       how many the reconstruction has (vertices of no face do not count)
        components            how many connected pieces they form
        truth_diameter        the unit of the distances, in the scene's units
    """

    accuracy: float
    accuracy_median: float
    accuracy_seen: float | None
    completeness: float
    completeness_median: float
    hausdorff: float
    signed_bias: float
    normal_consistency: float
    f_scores: tuple[FScore, ...]
    seen_fraction: float | None
    inferred_fraction: float | None
    watertight: bool
    vertices: int
    faces: int
    components: int
    truth_diameter: float

    @property
    def chamfer(self) -> float:
        """The mean of accuracy and completeness (not their sum), in diameters."""
        return (self.accuracy + self.completeness) / 2

    def f_score(self, tau: float) -> float:
        """Return the F-score at `tau` (in diameters), one of those that were measured."""
        measured = {score.tau: score.f for score in self.f_scores}
        if tau not in measured:
            raise InputError(f"tau: got {tau}, expected one of {sorted(measured)}")
        return measured[tau]

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, booleans and None under the fields' names, ready for JSON.

        The three scores at each tau go under `f_score`, `precision` and `recall`, by tau:
        `{"0.001": 0.98, ...}`.
        """
        return {
            "chamfer": self.chamfer,
            "accuracy": self.accuracy,
            "accuracy_median": self.accuracy_median,
            "accuracy_seen": self.accuracy_seen,
            "completeness": self.completeness,
            "completeness_median": self.completeness_median,
            "hausdorff": self.hausdorff,
            "signed_bias": self.signed_bias,
            "normal_consistency": self.normal_consistency,
            "f_score": {f"{s.tau:g}": s.f for s in self.f_scores},
            "precision": {f"{s.tau:g}": s.precision for s in self.f_scores},
            "recall": {f"{s.tau:g}": s.recall for s in self.f_scores},
            "seen_fraction": self.seen_fraction,
            "inferred_fraction": self.inferred_fraction,
            "watertight": self.watertight,
            "vertices": self.vertices,
            "faces": self.faces,
            "components": self.components,
            "truth_diameter": self.truth_diameter,
        }

    def table(self) -> list[tuple[str, str, str]]:
        """Return rows of name, value and meaning, for people to read."""
        return [
            ("accuracy", f"{self.accuracy:.3g}", "mean distance, reconstruction to truth"),
            (
                "accuracy, seen",
                _known(self.accuracy_seen, ".3g"),
                "the same, where some camera saw it",
            ),
            ("completeness", f"{self.completeness:.3g}", "mean distance, seen truth to it"),
            ("Chamfer", f"{self.chamfer:.3g}", "mean of the two"),
            *(
                (
                    f"F-score at {s.tau:g}",
                    f"{s.f:.4f}",
                    f"precision {s.precision:.4f}, recall {s.recall:.4f}",
                )
                for s in self.f_scores
            ),
            ("Hausdorff", f"{self.hausdorff:.3g}", "largest distance, either way"),
            ("signed bias", f"{self.signed_bias:+.2g}", "above 0: thicker than the truth"),
            ("normals", f"{self.normal_consistency:.4f}", "mean |cosine|, both ways"),
            ("watertight", "yes" if self.watertight else "no", "every edge joins two faces"),
            (
                "truth seen",
                _known(self.seen_fraction, ".1%"),
                "share of its area that some camera sees",
            ),
            (
                "inferred",
                _known(self.inferred_fraction, ".1%"),
                "share of the reconstruction's area that no camera saw",
            ),
            (
                "size",
                f"{self.faces:,} faces",
                f"in {self.components:,} connected piece{'s' * (self.components != 1)}",
            ),
        ]


def _known(value: float | None, form: str) -> str:
    return "not known" if value is None else format(value, form)
