"""All rows as one table: `scores.csv`, and `scores.parquet` where pyarrow is installed."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from backproject.batch.ledger import Last, Row, read_row
from backproject.io.atomic import atomic_file

TABLE = "scores.csv"
PARQUET = "scores.parquet"
_FIRST = (
    *("input", "status", "kind", "reason", "task", "folder", "content", "bytes"),
    *("attempts", "host", "at", "busy", "peak", "warnings"),
)
"""What every row may tell, in this order; then facts, then the seconds of each stage."""


def rows_of(known: Mapping[str, Last]) -> Iterator[Row]:
    """Yield each input's last row, in the order of names, one in memory at a time."""
    with ExitStack() as opened:
        ledgers = {
            path: opened.enter_context(path.open("rb"))
            for path in {last.ledger for last in known.values()}
        }
        for name in sorted(known):
            last = known[name]
            ledgers[last.ledger].seek(last.offset)
            row = read_row(ledgers[last.ledger].readline())
            if row is not None:
                yield row


def flat(row: Row) -> dict[str, Any]:
    """Return a row without inner tables: `f_score_0.001`, `seconds_fuse`."""
    told = {name: row.get(name) for name in _FIRST}
    told["warnings"] = "; ".join(row.get("warnings") or ())
    for name, value in (row.get("facts") or {}).items():
        if isinstance(value, Mapping):
            told |= {f"{name}_{key}": each for key, each in value.items()}
        else:
            told[name] = value
    seconds = row.get("seconds") or {}
    told |= {f"seconds_{stage}": spent for stage, spent in seconds.items()}
    return told | ({"seconds": sum(seconds.values())} if seconds else {})


def write_table(known: Mapping[str, Last], out: Path) -> list[Path]:
    """Write the table of each input's last row; return the files. Of a name that is no text, bytes
    are written as numbers.
    """
    path = out / TABLE
    columns = _columns(flat(row) for row in rows_of(known))
    with (
        atomic_file(path) as beside,
        beside.open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream,
    ):
        table = csv.DictWriter(stream, columns, restval="")
        table.writeheader()
        table.writerows(flat(row) for row in rows_of(known))
    return [path, *_parquet(path, out / PARQUET)]


def _columns(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    found = dict.fromkeys(_FIRST)
    for row in rows:
        found |= dict.fromkeys(row)
    return sorted(found, key=lambda name: name.startswith("seconds"))


def _parquet(table: Path, path: Path) -> list[Path]:
    try:
        from pyarrow import csv as arrow
        from pyarrow import parquet
    except ImportError:
        return []
    with atomic_file(path) as beside, table.open("rb") as source, beside.open("wb") as target:
        parquet.write_table(arrow.read_csv(source), target)
    return [path]
