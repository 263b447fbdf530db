"""What the commands say while they work, and when they are done. All on stderr."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from backproject import progress

PATIENCE = 0.5
"""Seconds after which work that is still going on gets a bar."""


class Reporter:
    """Bars for long work, lines and tables for results; silent with `quiet`."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self.console = Console(stderr=True, highlight=False, quiet=quiet)

    def say(self, line: str) -> None:
        """Print a line."""
        self.console.print(line, markup=False, soft_wrap=True)

    def table(self, title: str, rows: Iterable[tuple[str, ...]]) -> None:
        """Print rows under a title."""
        table = Table(title=title, title_justify="left", show_header=False, box=None)
        for row in rows:
            table.add_row(*row)
        self.console.print(table)

    @contextmanager
    def working(self, what: str) -> Iterator[progress.Progress]:
        """Yield a listener for a stage's progress; its bar shows when the work takes a while.

        A terminal sees it move; elsewhere nothing is drawn.
        """
        if self.quiet or not self.console.is_terminal:
            yield progress.silent
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
        )
        begin = time.perf_counter()
        with Progress(*columns, console=self.console, transient=True) as bars:
            task = bars.add_task(what, total=1.0, visible=True)

            def listen(stage: str, fraction: float) -> None:
                if time.perf_counter() - begin > PATIENCE or fraction < 1:
                    bars.update(task, description=stage, completed=fraction)

            yield listen
