"""The `backproject` command."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import tyro

from backproject.cli.commands import Cloud, Common, Compare, Demo, Fuse, Render, RoundTrip
from backproject.cli.console import Reporter
from backproject.errors import BackprojectError

DESCRIPTION = "Depth maps of an object, seen from known cameras, go back to the object."

Command = (
    Annotated[Demo, tyro.conf.subcommand("demo")]
    | Annotated[RoundTrip, tyro.conf.subcommand("roundtrip")]
    | Annotated[Render, tyro.conf.subcommand("render")]
    | Annotated[Cloud, tyro.conf.subcommand("cloud")]
    | Annotated[Fuse, tyro.conf.subcommand("fuse")]
    | Annotated[Compare, tyro.conf.subcommand("compare")]
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code: 0 well, 1 with one line on stderr for bad input, 2 for bad usage."""
    command: Common = tyro.cli(
        Command,
        prog="backproject",
        description=DESCRIPTION,
        args=arguments,
    )
    try:
        command.work(Reporter(quiet=command.quiet))
    except (BackprojectError, OSError, MemoryError) as error:
        line = " ".join(str(error).split()) or type(error).__name__
        print(f"backproject: {line}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("backproject: stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
