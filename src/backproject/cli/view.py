"""The command that shows a capture and meshes in a viewer."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import OmitArgPrefixes, Positional, arg

from backproject.cli.checks import check_file_place, check_viewer
from backproject.cli.commands import CaptureIn, Common
from backproject.cli.console import Reporter
from backproject.errors import FormatError
from backproject.io.checked import load_mesh, load_views
from backproject.io.sources.source import Asked
from backproject.report.viewer import Viewer


@dataclass(frozen=True, kw_only=True)
class View(Common):
    """Show a capture in rerun's viewer: cameras, depth maps, the points of each view, and meshes.

    Needs the extra `view`: pip install 'backproject[view]'.
    """

    capture: CaptureIn
    """A capture folder, or anything that `backproject formats` lists."""
    meshes: Annotated[Positional[tuple[Path, ...]], arg(metavar="[MESH ...]")] = ()
    """Meshes to show with it, in the same coordinates."""
    save: Annotated[Path | None, arg(metavar="FILE.rrd")] = None
    """Write what would be shown to a file, which `rerun FILE.rrd` opens; no screen is needed."""
    reading: OmitArgPrefixes[Asked] = field(default_factory=Asked)

    def check(self) -> None:
        """Check that the viewer is there, and a screen for it or a place for the file."""
        super().check()
        check_viewer("view", on_screen=self.save is None)
        if self.save is None:
            return
        if self.save.suffix.lower() != ".rrd":
            raise FormatError(f"{self.save}: suffix `{self.save.suffix}`, expected .rrd")
        check_file_place(self.save, keep=(self.capture, *self.meshes))

    def work(self, report: Reporter) -> None:
        """Read and show."""
        with report.working(f"reading {self.capture}") as progress:
            views = load_views(self.capture, self.reading)
            meshes = [(load_mesh(path), path.stem) for path in self.meshes]
            progress("showing", 0.5)
            with Viewer(self.capture.name, save=self.save) as viewer:
                viewer.add_views(views, threads=self.threads)
                for mesh, name in meshes:
                    viewer.add_mesh(mesh, name)
        report.say(f"wrote {self.save}" if self.save else "shown by rerun")
