"""A report's section of scores, and of what they cannot tell."""

from __future__ import annotations

from collections.abc import Iterator

from backproject.report.markup import Content, Markup, element
from backproject.report.page import section, table, titled
from backproject.report.result import Result
from backproject.report.scoring import HEAD, Row, score_rows, self_test_rows

ABOUT = (
    "Distances are in diameters: of the truth's bounding sphere or, without a truth, of the"
    " reconstruction's. Those to the truth are exact, from points spread evenly over one surface to"
    " the triangles of the other."
)


def section_in_numbers(result: Result) -> Markup:
    """Return the section: every score with its unit and meaning."""
    content: list[Content] = []
    if result.measured:
        content += [_defined(score_rows(result.measured.scores)), _curves()]
    if result.test:
        content.append(titled("Self-test", _defined(self_test_rows(result.test))))
    if unknown := [element("li", each) for each in _unknown(result)]:
        content.append(titled("What cannot be told", element("ul", *unknown)))
    return section("Scores", *content, id_="scores", about=ABOUT)


def _defined(rows: list[Row]) -> Markup:
    return table(rows, head=HEAD, class_="defined")


def _curves() -> Markup:
    """Return the places that `scene.js` draws the curves in."""
    charts = [
        titled(title, element("div", id_=name, class_="chart"))
        for name, title in (
            ("histogram", "Share of the samples by distance"),
            ("cumulative", "Share of the samples within a distance"),
        )
    ]
    return element("div", *charts, class_="charts")


def _unknown(result: Result) -> Iterator[str]:
    if result.truth is None:
        yield (
            "How far the mesh is from the real shape: no truth was given. The self-test compares it"
            " with the depth maps alone, and says nothing of faults that all of them share, or of"
            " surface that none of them saw."
        )
    if result.views is None:
        yield "How far the mesh is from what cameras saw: no views were given."
        if result.truth is not None:
            yield "What could be seen of the truth: without views, all of it is asked for."
        if result.mesh.support is None:
            yield "What was seen of the mesh: neither views nor its own support tell."
