"""The `backproject` command."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import tyro

from backproject.cli.batch import Batch
from backproject.cli.checking import Check
from backproject.cli.commands import (
    Cloud,
    Common,
    Compare,
    Demo,
    Fuse,
    Render,
    RoundTrip,
    Simplify,
)
from backproject.cli.console import Reporter, fail
from backproject.cli.sources import Convert, Formats, Info
from backproject.cli.view import View
from backproject.errors import BackprojectError, ContradictionWarning

DESCRIPTION = "Depth maps of an object, seen from known cameras, go back to the object."

Command = (
    Annotated[Demo, tyro.conf.subcommand("demo")]
    | Annotated[RoundTrip, tyro.conf.subcommand("roundtrip")]
    | Annotated[Render, tyro.conf.subcommand("render")]
    | Annotated[Cloud, tyro.conf.subcommand("cloud")]
    | Annotated[Fuse, tyro.conf.subcommand("fuse")]
    | Annotated[Check, tyro.conf.subcommand("check")]
    | Annotated[Info, tyro.conf.subcommand("info")]
    | Annotated[Convert, tyro.conf.subcommand("convert")]
    | Annotated[Formats, tyro.conf.subcommand("formats")]
    | Annotated[Simplify, tyro.conf.subcommand("simplify")]
    | Annotated[Compare, tyro.conf.subcommand("compare")]
    | Annotated[Batch, tyro.conf.subcommand("batch")]
    | Annotated[View, tyro.conf.subcommand("view")]
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code: 0 well, 1 with one line on stderr for bad input, 130 if interrupted.

    Bad usage ends in SystemExit with code 2, and `--help` with 0, as argparse does it.
    """
    _end_as_interrupted("SIGTERM", "SIGHUP")
    try:
        command: Common = tyro.cli(
            Command,
            prog="backproject",
            description=DESCRIPTION,
            args=arguments,
            config=(tyro.conf.FlagCreatePairsOff,),
        )
        command.check()
        given = sys.argv[1:] if arguments is None else arguments
        report = Reporter(quiet=command.quiet, command=shlex.join(["backproject", *given]))
        with _told_of_contradictions(report):
            command.work(report)
        sys.stdout.flush()
    except BrokenPipeError:
        # whoever read the results has heard enough; nor may the interpreter's last flush complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (BackprojectError, OSError) as error:
        fail(str(error) or type(error).__name__)
        return 1
    except MemoryError as error:
        fail(f"out of memory: {error}; try a lower --resolution, --size or --samples")
        return 1
    except KeyboardInterrupt:
        fail("stopped")
        return 130
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        fail(
            f"{type(error).__name__}: {error} ({frame.filename}, line {frame.lineno}):"
            " this should not happen; please report it with the command that you gave"
        )
        return 1
    return 0


@contextmanager
def _told_of_contradictions(report: Reporter) -> Iterator[None]:
    """Let users hear what concerns their views, and nothing that is for those who program."""
    if sys.warnoptions:
        yield
        return
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", ContradictionWarning)
        try:
            yield
        finally:
            for each in heard:
                report.warn(str(each.message))


def _end_as_interrupted(*names: str) -> None:
    """Let these signals raise KeyboardInterrupt too, so that nothing half-written is left behind.

    Not where they are ignored (nohup) or somebody else's, nor outside the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for name in names:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


if __name__ == "__main__":
    sys.exit(main())
