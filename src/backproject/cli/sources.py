"""The commands about sources of depth maps: what can be read, what one holds, and turning them
into one another.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import OmitArgPrefixes, Positional, arg

from backproject.cli.checks import check_folder_place
from backproject.cli.commands import CaptureIn, Common, Out
from backproject.cli.console import Reporter
from backproject.errors import InputError
from backproject.io.captures import is_own_capture
from backproject.io.checked import load_views
from backproject.io.depth_images import DEPTH_FORMATS
from backproject.io.sources.registry import SOURCES
from backproject.io.sources.source import Asked, Source
from backproject.report.capture import assumptions_of, facts_of


@dataclass(frozen=True, kw_only=True)
class Info(Common):
    """Tell what a source of depth maps holds, and how its numbers were understood."""

    capture: CaptureIn
    """A capture folder, or anything that `backproject formats` lists."""
    reading: OmitArgPrefixes[Asked] = field(default_factory=Asked)

    def work(self, report: Reporter) -> None:
        """Read and tell."""
        with report.working(f"reading {self.capture}"):
            views = load_views(self.capture, self.reading)
        report.table(str(self.capture), facts_of(views))
        report.table("understood as", assumptions_of(views))


@dataclass(frozen=True, kw_only=True)
class Convert(Common):
    """Turn a source of depth maps into a capture folder, or into another format."""

    capture: Annotated[Positional[Path], arg(metavar="SOURCE")]
    """A capture folder, or anything that `backproject formats` lists."""
    out: Out
    """Where to write it."""
    to: str = "transforms.json"
    """The format to write, by its name in `backproject formats`."""
    reading: OmitArgPrefixes[Asked] = field(default_factory=Asked)

    def check(self) -> None:
        """Check the format and the place."""
        super().check()
        writer_of(self.to)
        if self.to == "transforms.json":
            check_folder_place(self.out, is_own_capture, source=self.capture)

    def work(self, report: Reporter) -> None:
        """Read and write."""
        with report.working(f"reading {self.capture}") as progress:
            views = load_views(self.capture, self.reading)
            progress(f"writing {self.out}", 0.5)
            source = writer_of(self.to)
            assert source.write is not None
            source.write(views, self.out)
        report.table("understood as", assumptions_of(views))
        report.say(f"wrote {self.out}: {len(views)} views as {source.name}")


@dataclass(frozen=True, kw_only=True)
class Formats(Common):
    """List the sources of depth maps that can be read, and those that can be written."""

    def work(self, report: Reporter) -> None:
        """Print the table."""
        report.say("sources (* can be written too, with `convert --to`)")
        for source in SOURCES:
            report.say(f"  {source.name}{' *' if source.write else ''}")
            report.say(f"      {source.files}")
            report.say(f"      {source.what}")
        images = [(suffix, each.name) for suffix, each in DEPTH_FORMATS.items()]
        report.table("depth images", images)


def writer_of(name: str) -> Source:
    """Return the kind of source of a name, which can be written.

    Raises:
        InputError: there is none.

    """
    known = {source.name: source for source in SOURCES if source.write}
    if name not in known:
        raise InputError(f"--to {name}: expected one of {', '.join(known)}")
    return known[name]
