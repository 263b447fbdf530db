"""The page that sums up a run: how scores are spread, the worst shapes, and what failed and why."""

from __future__ import annotations

import base64
import heapq
import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backproject.batch.collect import rows_of
from backproject.batch.ledger import Last, Row
from backproject.batch.stores import Store
from backproject.io.atomic import atomic_file

PAGE = "index.html"
WORST = 20
"""Shapes that are shown with their pictures."""
EXAMPLES = 5
"""Inputs that are named for each reason of a failure."""
BINS = 40
JUDGED = {
    "roundtrip": (("chamfer", "Chamfer, in diameters"), ("inferred_fraction", "share inferred")),
    "fuse": (("inferred_fraction", "share inferred"),),
    "check": (("clash_given", "share of contradiction"),),
    "render": (),
}
"""By task: the facts whose spread is shown, more is worse; the first picks the worst shapes."""
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#2b2f36;max-width:60rem;margin:2rem auto;
padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}td,th{padding:.15rem .8rem .15rem 0;
text-align:left;vertical-align:top}td.n{text-align:right;font-variant-numeric:tabular-nums}
.shapes{display:grid;grid-template-columns:repeat(auto-fill,minmax(17rem,1fr));gap:1rem}
figure{margin:0}figure img{width:100%;border:1px solid #d5d9de}figcaption{font-size:.8rem;
overflow-wrap:anywhere}.quiet{color:#7a808a}svg text{font-size:11px;fill:#7a808a}
"""


@dataclass
class _Sums:
    """What of all rows the page needs, gathered in one pass."""

    done: int = 0
    failed: int = 0
    seconds: float = 0.0
    bytes: int = 0
    task: str = "roundtrip"
    values: dict[str, list[float]] = field(default_factory=dict)
    worst: list[tuple[float, str, Row]] = field(default_factory=list)
    reasons: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    counts: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        self.task = row["task"]
        if row["status"] != "done":
            self._failed(row)
            return
        self.done += 1
        self.seconds += row.get("busy") or 0.0
        self.bytes += row.get("bytes") or 0
        facts = row.get("facts") or {}
        for number, (name, _) in enumerate(JUDGED.get(self.task, ())):
            value = facts.get(name)
            if not isinstance(value, float | int):
                continue
            self.values.setdefault(name, []).append(float(value))
            if number == 0:
                heapq.heappush(self.worst, (float(value), row["input"], row))
                if len(self.worst) > WORST:
                    heapq.heappop(self.worst)

    def _failed(self, row: Row) -> None:
        self.failed += 1
        kind, name = str(row.get("kind")), row["input"]
        reason = (kind, str(row.get("reason")).replace(Path(name).name, "*").replace(name, "*"))
        self.counts[reason] = self.counts.get(reason, 0) + 1
        examples = self.reasons.setdefault(reason, [])
        if len(examples) < EXAMPLES:
            examples.append(name)


def write_summary(known: Mapping[str, Last], store: Store, out: Path) -> Path:
    """Write the page, one file that needs no other; return it."""
    sums = _Sums()
    for row in rows_of(known):
        sums.add(row)
    title = f"{sums.done + sums.failed:,} shapes, {sums.task}"
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title>",
        f"<style>{_STYLE}</style><h1>{html.escape(title)}</h1>",
        f"<p>{sums.done:,} done, {sums.failed:,} failed. <span class=quiet>",
        f"{sums.seconds:,.0f} seconds of one core, {sums.bytes / 1e6:,.1f} MB.</span></p>",
        *(
            _spread(what, sums.values[name])
            for name, what in JUDGED.get(sums.task, ())
            if sums.values.get(name)
        ),
        _worst(sums, store),
        _failures(sums),
    ]
    with atomic_file(out / PAGE) as beside:
        beside.write_text("\n".join(parts), "utf-8")
    return out / PAGE


def _spread(what: str, values: Sequence[float]) -> str:
    """Return a histogram on a logarithmic scale, with median and the last percent marked."""
    ordered = sorted(values)
    marks = {f"{share:.0%}": ordered[int(share * (len(ordered) - 1))] for share in (0.5, 0.95, 1)}
    least = max(1e-7, min((value for value in ordered if value > 0), default=1e-7))
    low, high = math.log10(least), math.log10(max(ordered[-1], least * 1.01))
    counts = [0] * BINS
    for value in ordered:
        place = (math.log10(max(value, least)) - low) / (high - low)
        counts[min(BINS - 1, int(place * BINS))] += 1
    bars = "".join(
        f"<rect x={k * 16} y={110 - round(100 * n / max(counts))} width=14"
        f" height={round(100 * n / max(counts))} fill='#5f879f'><title>{n}</title></rect>"
        for k, n in enumerate(counts)
    )
    told = ", ".join(f"{share} at most {value:.3g}" for share, value in marks.items())
    return (
        f"<h2>{html.escape(what)}</h2><svg viewBox='0 0 {BINS * 16} 130' width='100%'>{bars}"
        f"<text x=0 y=126>{least:.2g}</text><text x={BINS * 16} y=126 text-anchor=end>"
        f"{ordered[-1]:.2g}</text></svg><p class=quiet>{told}; logarithmic scale.</p>"
    )


def _worst(sums: _Sums, store: Store) -> str:
    if not sums.worst:
        return ""
    name, what = JUDGED[sums.task][0]
    shown = []
    for value, given, row in sorted(sums.worst, key=lambda each: (-each[0], each[1])):
        picture = store.read(str(row.get("folder")), "picture.png")
        image = ""
        if picture:
            code = base64.b64encode(picture).decode()
            image = f"<img alt='' src='data:image/png;base64,{code}'>"
        shown.append(
            f"<figure>{image}<figcaption>{html.escape(given)}<br>{name} {value:.3g}"
            f" <span class=quiet>{html.escape(str(row.get('folder')))}</span></figcaption></figure>"
        )
    return f"<h2>The worst by {html.escape(what)}</h2><div class=shapes>{''.join(shown)}</div>"


def _failures(sums: _Sums) -> str:
    if not sums.counts:
        return ""
    rows = [
        [str(count), kind, reason, "; ".join(sums.reasons[kind, reason])]
        for (kind, reason), count in sorted(sums.counts.items(), key=lambda each: -each[1])
    ]
    return "<h2>Failures</h2>" + _table(["shapes", "kind", "reason", "among them"], rows)


def _table(head: Iterable[str], rows: Iterable[Sequence[Any]]) -> str:
    top = "".join(f"<th>{html.escape(each)}</th>" for each in head)
    lines = ("".join(f"<td>{html.escape(str(each))}</td>" for each in row) for row in rows)
    return f"<table><tr>{top}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"
