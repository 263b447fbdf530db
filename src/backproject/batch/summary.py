"""The page that sums up a run: how scores are spread, the worst shapes, and what failed and why."""

from __future__ import annotations

import base64
import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from backproject.batch.collect import TABLE, rows_of
from backproject.batch.ledger import Last, Row
from backproject.batch.stores import Store
from backproject.batch.tasks import PICTURE_FILE
from backproject.report.markup import Markup, element, joined
from backproject.report.page import (
    document,
    gallery,
    picture,
    section,
    table,
    tiles,
    titled,
    write_page,
)

PAGE = "index.html"
WORST = 20
"""Shapes that are shown with their pictures."""
EXAMPLES = 5
"""Inputs that are named for each reason of a failure."""
REASONS = 100
"""Reasons that are listed, those of the most shapes."""
BINS = 40
LEAST = 1e-7
"""Below it, a value counts as this on a logarithmic scale."""
_WIDTH, _HEIGHT, _BELOW = 16, 100, 20
JUDGED = {
    "roundtrip": (
        ("chamfer", "Chamfer, in diameters"),
        ("hausdorff", "Hausdorff, in diameters"),
        ("inferred_fraction", "share of the surface that is inferred"),
    ),
    "fuse": (("inferred_fraction", "share of the surface that is inferred"),),
    "check": (("clash_given", "share of contradiction in what views say of each other"),),
    "render": (),
}
"""By task: the facts whose spread is shown, more is worse; the first picks the worst shapes."""
_STYLE = """
svg{display:block;width:100%;max-width:44rem}svg text{font-size:11px;fill:#6b727d}
.gallery{grid-template-columns:repeat(auto-fill,minmax(260px,1fr))}
"""


@dataclass
class _Sums:
    """What of all rows the page needs, gathered in one pass."""

    done: int = 0
    failed: int = 0
    measured: int = 0
    busy: float = 0.0
    bytes: int = 0
    task: str = "roundtrip"
    values: dict[str, list[float]] = field(default_factory=dict)
    worst: list[tuple[float, str, str]] = field(default_factory=list)
    reasons: dict[tuple[str, str], tuple[int, list[str]]] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        self.task = row["task"]
        if row["status"] == "done":
            self._done(row)
        else:
            self._failed(row)

    def _done(self, row: Row) -> None:
        self.done += 1
        self.measured += bool(row.get("seconds"))  # of one found whole, the row may be lost
        self.busy += row.get("busy") or 0.0
        self.bytes += row.get("bytes") or 0
        facts = row.get("facts") or {}
        for number, (name, _) in enumerate(JUDGED[self.task]):
            value = facts.get(name)
            if value is None:
                continue
            self.values.setdefault(name, []).append(float(value))
            if number == 0:
                heapq.heappush(self.worst, (float(value), row["input"], str(row["folder"])))
                if len(self.worst) > WORST:
                    heapq.heappop(self.worst)

    def _failed(self, row: Row) -> None:
        self.failed += 1
        kind, name = str(row.get("kind")), row["input"]
        told = str(row.get("reason"))
        for own in (name, PurePosixPath(name).name):  # alike but for the name is the same reason
            told = told.replace(own, "*")
        count, examples = self.reasons.setdefault((kind, told), (0, []))
        if count < EXAMPLES:
            examples.append(name)
        self.reasons[kind, told] = (count + 1, examples)


def write_summary(known: Mapping[str, Last], store: Store, out: Path) -> Path:
    """Write the page, one file that needs no other; return it."""
    sums = _Sums()
    for row in rows_of(known):
        sums.add(_as_text(row))
    page = document(
        title=f"{sums.done + sums.failed:,} shapes, {sums.task}",
        lead=joined(
            element("p", f"One row a shape is in {TABLE}.", class_="lead"), tiles(_figures(sums))
        ),
        sections=[each for each in (_spreads(sums), _worst(sums, store), _failures(sums)) if each],
        style=_STYLE,
    )
    write_page(page, out / PAGE)
    return out / PAGE


def _as_text(row: Row) -> Row:
    """Return a row whose bytes of names that are no text are written as in the table."""
    told = {name: row[name] for name in ("input", "reason") if isinstance(row.get(name), str)}
    return row | {
        name: text.encode("utf-8", "backslashreplace").decode() for name, text in told.items()
    }


def _figures(sums: _Sums) -> Iterator[tuple[str, str, str]]:
    yield f"{sums.done:,}", "Done", "shapes"
    yield f"{sums.failed:,}", "Failed", "shapes"
    for name, what in JUDGED[sums.task][:1]:
        if name in sums.values:
            yield f"{_at(sums.values[name], 0.5):.2g}", f"Median {name}", what
    if sums.measured:
        yield f"{sums.busy / sums.measured:.2g} s", "A shape", "of one core, mean"
        yield f"{sums.bytes / sums.measured / 1e6:.2g} MB", "A shape", "of files, mean"


def _at(values: Sequence[float], share: float) -> float:
    return sorted(values)[int(share * (len(values) - 1))]


def _spreads(sums: _Sums) -> Markup | None:
    shown = [
        titled(what, _histogram(sums.values[name]))
        for name, what in JUDGED[sums.task]
        if name in sums.values
    ]
    if not shown:
        return None
    return section("How it is spread", *shown, id_="spread", about="On a logarithmic scale.")


def _histogram(values: Sequence[float]) -> Markup:
    """Return bars over the logarithm of the values, and some of the values below."""
    logs = [math.log10(max(value, LEAST)) for value in values]
    low, high = min(logs), max(logs)
    counts = [0] * BINS
    for each in logs:
        share = (each - low) / (high - low) if high > low else 0.5
        counts[min(BINS - 1, int(share * BINS))] += 1
    told = ", ".join(f"{share:.0%} at most {_at(values, share):.3g}" for share in (0.5, 0.95, 1))
    return joined(
        element(
            "svg",
            *(_bar(k, count, max(counts)) for k, count in enumerate(counts)),
            element("text", f"{10**low:.2g}", x=0, y=_HEIGHT + _BELOW - 4),
            element(
                "text",
                f"{10**high:.2g}",
                x=BINS * _WIDTH,
                y=_HEIGHT + _BELOW - 4,
                text_anchor="end",
            ),
            viewBox=f"0 0 {BINS * _WIDTH} {_HEIGHT + _BELOW}",
        ),
        element("p", told, class_="about"),
    )


def _bar(number: int, count: int, most: int) -> Markup:
    height = round(_HEIGHT * count / most, 1)
    return element(
        "rect",
        element("title", f"{count:,}"),
        x=number * _WIDTH,
        y=_HEIGHT - height,
        width=_WIDTH - 2,
        height=height,
        fill="#5f879f",
    )


def _worst(sums: _Sums, store: Store) -> Markup | None:
    if not sums.worst:
        return None
    name, what = JUDGED[sums.task][0]
    figures = []
    for value, given, folder in sorted(sums.worst, key=lambda each: (-each[0], each[1])):
        caption = joined(element("b", f"{value:.3g}"), f" {given}, in {folder}")
        content = store.read(folder, PICTURE_FILE)
        if content is None:
            figures.append(element("figure", element("figcaption", caption)))
        else:
            source = "data:image/png;base64," + base64.b64encode(content).decode("ascii")
            figures.append(picture(source, f"{given}, {name} {value:.3g}", caption))
    beside = " Left what was given, right what was made of it." if sums.task == "roundtrip" else ""
    about = f"By {what}.{beside}"
    return section("The worst", gallery(figures), id_="worst", about=about)


def _failures(sums: _Sums) -> Markup | None:
    if not sums.reasons:
        return None
    most = sorted(sums.reasons.items(), key=lambda each: (-each[1][0], each[0]))[:REASONS]
    rows = [
        (f"{count:,}", kind, told, "; ".join(examples)) for (kind, told), (count, examples) in most
    ]
    head = ("shapes", "kind", "reason", "among them")
    return section("What failed", table(rows, head=head), id_="failures")
