"""What the commands say: results on stdout; bars, warnings and errors on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from backproject import progress


class Reporter:
    """Bars for long work, lines and tables for results; silent with `quiet`, but for errors.

    `command` is the line that was given, for the record.
    """

    def __init__(self, *, quiet: bool, command: str = "") -> None:
        self.quiet, self.command = quiet, command

    def say(self, line: str) -> None:
        """Print a line of the result."""
        if not self.quiet:
            print(line)

    def table(self, title: str, rows: Iterable[tuple[str, ...]]) -> None:
        """Print rows in columns under a title."""
        rows = list(rows)
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        self.say(title)
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.say(("  " + "  ".join(cells)).rstrip())

    def warn(self, line: str) -> None:
        """Print a line about something doubtful."""
        if not self.quiet:
            print(f"backproject: warning: {line}", file=sys.stderr)

    def note(self, line: str) -> None:
        """Print a line about how far long work is, quiet or not."""
        print(f"backproject: {line}", file=sys.stderr)

    @property
    def draws(self) -> bool:
        """Whether bars are drawn."""
        return not self.quiet and Console(stderr=True).is_terminal

    @contextmanager
    def working(self, what: str) -> Iterator[progress.Progress]:
        """Yield a listener for a stage's progress, shown as a bar that goes when all is done.

        A terminal sees it move; elsewhere nothing is drawn.
        """
        if not self.draws:
            yield progress.silent
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
            # never quite finished: rich would stop the clock at the end of the first stage
            task = bars.add_task(what, total=1 + 1e-6)
            yield lambda stage, share: bars.update(task, description=stage, completed=share)


def fail(line: str) -> None:
    """Print the one line that says why there is no result."""
    print(f"backproject: {' '.join(line.split())}", file=sys.stderr)
