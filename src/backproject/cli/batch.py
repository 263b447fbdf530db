"""The command for many shapes."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Literal

import numpy as np
from tyro.conf import OmitArgPrefixes, Positional, arg

from backproject.batch.cluster import Cluster
from backproject.batch.drive import Tally
from backproject.batch.executors import (
    Engine,
    Processes,
    Serial,
    can_bound_memory,
    slots_and_threads,
)
from backproject.batch.ledger import Row, Shard
from backproject.batch.run import check_out, run_batch
from backproject.batch.settings import Settings, Task
from backproject.batch.summary import PAGE
from backproject.batch.warm import warm_up
from backproject.cli.checks import (
    RENDER_BYTES,
    ROUNDTRIP_BYTES,
    build_rig,
    check_between,
    check_resolution,
    doubt_about,
)
from backproject.cli.commands import Common, Out, check_tolerance
from backproject.cli.console import Reporter
from backproject.errors import InputError, ReconstructionError
from backproject.fusion.fuse import Surface
from backproject.geometry.rig import RigSettings
from backproject.io.sources.source import Asked
from backproject.progress import Progress

OF_BOTH = ("fov", "orthographic", "distance")
"""What a rig has, and what a user may know of captures."""
A_MINUTE = 60.0
"""Seconds from a line about how far it is to the next, where no bar is drawn."""


@dataclass(frozen=True, kw_only=True)
class Given(Asked):
    """The rig of the tasks that render, and what you know of the captures of those that do not."""

    rig: str = "dodecahedron"
    """dodecahedron (the paper's 20), fibonacci:N, turntable:N, or a file of `x y z` lines."""
    size: int = 224
    """Width and height of a depth map, in pixels."""
    fov: float | None = None
    """Vertical field of view, in degrees: of the rig (43), or of captures' cameras that come
    without."""
    orthographic: float | None = None
    """Orthographic cameras, and the height of their images: of the rig, in diameters of the object;
    or of captures' cameras, in the unit of their positions, whatever lens the source tells of."""
    distance: float | None = None
    """Of the rig's cameras from the object's centre, in diameters of the object (1.5); or of
    captures' camera directions."""

    @property
    def cameras(self) -> RigSettings:
        """The rig, with what is not said as in the single commands."""
        said = {name: getattr(self, name) for name in OF_BOTH}
        known = {name: value for name, value in said.items() if value is not None}
        return RigSettings(rig=self.rig, size=self.size, **known)

    @property
    def reading(self) -> Asked:
        """What is known of captures."""
        return Asked(**{name: getattr(self, name) for name in Asked.__dataclass_fields__})

    def check_of_meshes(self, task: Task) -> None:
        """Refuse what is known of captures, for a task that takes none.

        Raises:
            InputError: an option that would change nothing.

        """
        for name, value in vars(self.reading).items():
            if name not in OF_BOTH and value != Asked.__dataclass_fields__[name].default:
                raise InputError(
                    f"--{name.replace('_', '-')}: got it with --task {task}, which takes meshes,"
                    " expected --task fuse or check"
                )


@dataclass(frozen=True, kw_only=True)
class Batch(Common):
    """Do one task to many shapes: in worker processes, and only what is not done yet.

    Writes a folder for each shape, OUT/shapes/ID, and OUT/ledger.jsonl, scores.csv and index.html.
    Run it again to go on, or to do again what failed or changed.
    """

    quiet: bool = False
    """Say nothing but errors, and how far it is once a minute."""
    inputs: Annotated[Positional[tuple[str, ...]], arg(metavar="INPUT...")]
    """Files, folders, patterns, text lists, zips and tars of meshes, or URLs; captures for fuse and
    check."""
    out: Out
    """Folder for the results."""
    task: Task = "roundtrip"
    """What to do to each."""
    jobs: int = 0
    """Workers at a time; 0 is one a core, or as --threads allows."""
    engine: Literal["local", "ray", "serial"] = "local"
    """local: processes of this machine. ray: a Ray cluster. serial: this process, to debug."""
    address: str | None = None
    """With --engine ray: the cluster; by default this machine's, or else one of its own."""
    retries: int = 2
    """How often to try again what may pass: a crash, a time-out, no memory."""
    timeout: float = 3600.0
    """Seconds for a shape; then its worker is killed."""
    memory: float | None = None
    """Most gigabytes of memory for a worker."""
    shard: Annotated[str | None, arg(metavar="I/N")] = None
    """Only part I, from 0, of N: for the tasks of an array, with one OUT."""
    store: Annotated[str | None, arg(metavar="PLACE")] = None
    """Put the shapes' folders there, a folder or a URL, and not in OUT/shapes."""
    keep: Annotated[str, arg(metavar="NAME,...")] = ""
    """Files to keep of a shape: of roundtrip mesh,scores,picture (the default), views, cloud; of
    render views, picture; of fuse mesh, picture; of check findings, views."""
    samples: int = 20_000
    """Points spread over each surface for the scores."""
    resolution: int = 256
    """Voxels along the diameter of the scene."""
    surface: Surface = "solid"
    """solid: closed, what no camera saw is inferred. seen: open, only what some camera saw."""
    noise: float | None = None
    """Standard deviation of depth, in the shape's units; by default estimated from the views."""
    simplify: Annotated[float | None, arg(metavar="TOLERANCE")] = None
    """Leave triangles out, and stay within this distance, in the shape's units."""
    given: OmitArgPrefixes[Given] = field(default_factory=Given)

    def check(self) -> None:
        """Check the numbers, the rig and the place of the results."""
        super().check()
        if sys.platform == "win32":
            raise InputError("batch: got Windows, expected Linux or macOS, whose locks it needs")
        if not self.inputs:
            raise InputError("INPUT: got none, expected files, folders, archives or URLs")
        check_between("--jobs", self.jobs, 0, 10_000, "0 (one a core) to 10000")
        check_between("--retries", self.retries, 0, 1000, "0 to 1000")
        check_between("--timeout", self.timeout, 0.001, np.inf, "a number of seconds above 0")
        check_between("--samples", self.samples, 1, np.inf, "at least 1")
        if self.memory is not None:
            check_between("--memory", self.memory, 0.001, np.inf, "gigabytes above 0")
            if not can_bound_memory():
                raise InputError(f"--memory: cannot be kept on {sys.platform}, expected Linux")
        if self.engine == "serial" and self.memory is not None:
            raise InputError("--memory: got --engine serial, expected workers that it can bound")
        if self.address is not None and self.engine != "ray":
            raise InputError(f"--address {self.address}: expected it with --engine ray")
        check_resolution(self.resolution)
        if self.simplify is not None:
            check_tolerance("--simplify", self.simplify)
        _shard(self.shard)
        self.given.reading.check()
        if self._settings().kind == "mesh":
            self.given.check_of_meshes(self.task)
            bytes = RENDER_BYTES if self.task == "render" else ROUNDTRIP_BYTES
            build_rig(self.given.cameras, pixel_bytes=bytes)
        check_out(self.out)

    def work(self, report: Reporter) -> None:
        """Do what is missing, and tell how it goes."""
        settings = self._settings()
        if settings.kind == "mesh" and (doubt := doubt_about(settings.cameras)):
            report.warn(doubt)
        jobs, threads = slots_and_threads(self.jobs, self.threads)
        if self.engine == "ray":
            jobs, threads = self.jobs, self.threads or 1
        with report.working("listing the inputs") as progress:
            teller = _Teller(report, progress)
            try:
                tally = run_batch(
                    self.inputs,
                    self.out,
                    settings,
                    lambda: self._engine(settings, jobs, threads),
                    store=self.store,
                    shard=_shard(self.shard),
                    retries=self.retries,
                    threads=threads,
                    listen=teller,
                )
            except KeyboardInterrupt:
                teller.stopped()
                raise
        report.say(f"{tally.told()}\nwrote {self.out}: look at {self.out / PAGE}")
        if tally.failed and tally.failed == tally.total:
            raise ReconstructionError(
                f"{self.out}: all {tally.failed} shapes failed, expected some to pass: the reasons"
                f" are in {self.out / PAGE}"
            )

    def _settings(self) -> Settings:
        return Settings(
            task=self.task,
            rig=self.given.cameras,
            resolution=self.resolution,
            surface=self.surface,
            noise=self.noise,
            simplify=self.simplify,
            samples=self.samples,
            keep=tuple(each.strip() for each in self.keep.split(",") if each.strip()),
            reading=self.given.reading,
        )

    def _engine(self, settings: Settings, jobs: int, threads: int) -> Engine:
        if self.engine == "serial":
            return Serial()
        memory = None if self.memory is None else int(self.memory * 1e9)
        warm = partial(warm_up, settings)
        if self.engine == "ray":
            return Cluster(
                self.address,
                most=jobs,
                timeout=self.timeout,
                memory=memory,
                threads=threads,
                warm=warm,
            )
        return Processes(jobs, timeout=self.timeout, memory=memory, threads=threads, warm=warm)


class _Teller:
    """Hears how far a run is: moves a bar where there is one, else prints a line a minute, on
    stderr; and tells each failure, unless it is to be quiet.
    """

    def __init__(self, report: Reporter, progress: Progress) -> None:
        self._report, self._progress = report, progress
        self._told = time.monotonic()
        self._tally: Tally | None = None

    def __call__(self, tally: Tally, row: Row | None) -> None:
        self._tally = tally
        self._progress(tally.told(), 1 - tally.left / max(tally.total, 1))
        if row and row["status"] != "done":
            self._report.warn(f"{row['input']}: {row['kind']}: {row['reason']}")
        if time.monotonic() - self._told >= A_MINUTE and not self._report.draws:
            self._told = time.monotonic()
            self._report.note(tally.told())

    def stopped(self) -> None:
        """Tell where it stopped."""
        if self._tally:
            self._report.note(f"{self._tally.told()}; the same command goes on from here")


def _shard(text: str | None) -> Shard | None:
    if text is None:
        return None
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and int(number) < int(count)):
        raise InputError(f"--shard {text}: expected I/N, a part from 0 and how many there are")
    return int(number), int(count)
