"""What the commands tell a report about themselves, and where it may be written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from backproject.cli.checks import check_file_place
from backproject.cli.console import Reporter
from backproject.errors import FormatError, OutputError
from backproject.report.making import Making
from backproject.report.page import is_page


def check_report_place(path: Path) -> None:
    """Refuse a place for a report that is no .html, cannot be written, or holds another's file.

    Raises:
        BackprojectError: it is, it cannot, or it does.

    """
    if path.suffix.lower() != ".html":
        raise FormatError(f"{path}: suffix `{path.suffix}`, expected .html for a report")
    if path.is_file() and not is_page(path):
        raise OutputError(
            f"{path}: is there, and no report that this program wrote, which it would replace;"
            " give another place: --report FILE.html"
        )
    check_file_place(path)


def making_of(command: Any, report: Reporter, seconds: dict[str, float]) -> Making:
    """Return how a command made its result: `command` is the record of its options."""
    return Making(command=report.command, settings=dict(_settings(command)), seconds=seconds)


def _settings(record: Any) -> Iterator[tuple[str, str]]:
    for field in fields(record):
        value = getattr(record, field.name)
        if is_dataclass(value):
            yield from _settings(value)
        else:
            yield field.name.replace("_", " "), "not given" if value is None else str(value)
