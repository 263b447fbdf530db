"""The command that finds out which assumption about cameras or depth is wrong."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import OmitArgPrefixes, arg

from backproject.checking.diagnosis import check
from backproject.cli.checks import check_file_place, check_folder_place
from backproject.cli.commands import CaptureIn, Common
from backproject.cli.console import Reporter
from backproject.errors import FormatError, InputError
from backproject.io.atomic import atomic_file
from backproject.io.captures import is_own_capture
from backproject.io.sources.registry import read_views
from backproject.io.sources.source import Asked


@dataclass(frozen=True, kw_only=True)
class Check(Common):
    """Find out which assumption about cameras or depth is wrong, and mend it."""

    capture: CaptureIn
    """A capture folder, or anything that `backproject formats` lists."""
    out: Annotated[Path | None, arg(aliases=["-o"], metavar="FIXED")] = None
    """Folder for the mended capture."""
    json: Annotated[Path | None, arg(metavar="FILE.json")] = None
    """Write the findings there, too."""
    reading: OmitArgPrefixes[Asked] = field(default_factory=Asked)

    def check(self) -> None:
        """Check the places of the results."""
        super().check()
        if self.out:
            check_folder_place(self.out, is_own_capture, source=self.capture)
        if self.json:
            if self.json.suffix.lower() != ".json":
                raise FormatError(f"{self.json}: suffix `{self.json.suffix}`, expected .json")
            check_file_place(self.json, keep=(self.capture,))

    def work(self, report: Reporter) -> None:
        """Check, print the findings, and write what was asked for."""
        with report.working(f"reading {self.capture}") as progress:
            views = read_views(self.capture, self.reading)
            try:
                diagnosis = check(views, threads=self.threads, progress=progress)
            except InputError as error:
                raise InputError(f"{self.capture}: {error}") from error
            if self.json:
                with atomic_file(self.json) as beside:
                    beside.write_text(json.dumps(diagnosis.to_dict(), indent=2) + "\n", "utf-8")
            if self.out:
                progress(f"writing {self.out}", 1.0)
                diagnosis.apply(views).save(self.out)
        report.table(str(self.capture), diagnosis.table())
        report.say(diagnosis.summary())
        for path in (self.json, self.out):
            if path:
                report.say(f"wrote {path}")
