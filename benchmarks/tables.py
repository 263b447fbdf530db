"""Tables for the terminal and as markdown, under the command and the machine that made them."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

Grid = tuple[str, list[str], list[list[str]]]
"""A title, the names of the columns, and rows of cells."""


def parser_of(text: str | None, *, repeat: int, help_repeat: str) -> argparse.ArgumentParser:
    """Return a parser with what every benchmark takes: meshes, `--repeat` and `--markdown`.

    `text` is the module's docstring, whose first line says what it does.
    """
    parser = argparse.ArgumentParser(description=(text or "").split("\n")[0])
    parser.add_argument("meshes", nargs="*", help="files or folders (default: the shared meshes)")
    parser.add_argument("--repeat", type=int, default=repeat, help=help_repeat)
    parser.add_argument("--markdown", metavar="FILE", help="write the tables here")
    return parser


def command_of(module: str) -> str:
    """Return the command that this process was started with."""
    return " ".join([f"python -m benchmarks.{module}", *sys.argv[1:]])


def console(*, stderr: bool = False) -> Console:
    """Return a console that is wide enough for the tables; a log file has no width of its own."""
    return Console(stderr=stderr, width=max(Console().width, 175), highlight=False)


def publish(
    module: str, grids: list[Grid], notes: list[str], markdown: str | None, *, level: int = 3
) -> None:
    """Print the tables of a benchmark, and write them as markdown if a file is named."""
    for note in notes:
        console().print(note)
    for grid in grids:
        console().print(to_rich(*grid))
    if markdown:
        Path(markdown).write_text(to_markdown(command_of(module), grids, notes, level=level))


def to_markdown(command: str, grids: list[Grid], notes: list[str], *, level: int) -> str:
    """Return the command, the machine, the notes and all tables, under headings of the `level`."""
    machine = ", ".join(f"{key} {value}" for key, value in describe_machine().items()) + "."
    lines = [f"    {command}", "", *notes, machine]
    for grid in grids:
        lines += grid_to_markdown(*grid, level=level)
    return "\n".join(lines) + "\n"


def to_rich(title: str, head: list[str], rows: list[list[str]]) -> Table:
    """Return a table for the terminal."""
    table = Table(title=title, title_justify="left")
    for k, name in enumerate(head):
        table.add_column(name, justify="left" if k == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*(cell.replace("**", "") for cell in row))
    return table


def grid_to_markdown(title: str, head: list[str], rows: list[list[str]], level: int) -> list[str]:
    """Return the lines of a table under its title, a heading of the `level`."""
    lines = ["", f"{'#' * level} {title}", "", "| " + " | ".join(head) + " |"]
    lines += ["|---" + "|---:" * (len(head) - 1) + "|"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def describe_machine() -> dict[str, Any]:
    """Return what the seconds depend on."""
    versions = {name: _version(name) for name in ("numpy", "numba", "open3d", "libigl")}
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [x for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        model = names[0].split(":")[1].strip() if names else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"cpu": model, "cores": cores, "python": platform.python_version(), **versions}


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
