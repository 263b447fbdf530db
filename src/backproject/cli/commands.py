"""The commands: each a record of its options, and what it does with them.

tyro makes the command line from these records; their docstrings are its help.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Annotated

import numpy as np
from tyro.conf import OmitArgPrefixes, Positional, UseAppendAction, arg

from backproject.cli.blender import (
    BLEND,
    SCENE_RIG,
    RendererName,
    check_bpy,
    observe_blend,
    renderer_named,
)
from backproject.cli.checks import (
    MOST_THREADS,
    RENDER_BYTES,
    ROUNDTRIP_BYTES,
    SAMPLE_BYTES,
    build_rig,
    check_between,
    check_file_place,
    check_folder_place,
    check_memory,
    check_resolution,
    check_viewer,
    doubt_about,
)
from backproject.cli.console import Reporter
from backproject.cli.reports import check_report_place, making_of
from backproject.cloud.consistency import MASK_THRESHOLD, consistent_points
from backproject.cloud.unproject import backproject
from backproject.errors import FileMissingError, FormatError, InputError, ReconstructionError
from backproject.fusion.fuse import Surface, fuse
from backproject.geometry.mesh import Mesh
from backproject.geometry.rig import RigSettings
from backproject.geometry.views import ViewSet
from backproject.io.captures import CAMERAS_FILE, is_own_capture
from backproject.io.checked import load_mesh, load_views
from backproject.io.meshes import writable_format
from backproject.io.sources.source import Asked
from backproject.metrics.compare import measure
from backproject.metrics.visibility import inferred_fraction
from backproject.pipeline import observe, roundtrip
from backproject.progress import Progress, timed
from backproject.report.folder import REPORT, is_roundtrip, write_roundtrip, write_scores
from backproject.report.viewer import Viewer
from backproject.report.write import write_report
from backproject.simplification.simplify import simplify

Out = Annotated[Path, arg(aliases=["-o"], metavar="OUT")]
MeshIn = Annotated[Positional[Path], arg(metavar="MESH")]
CaptureIn = Annotated[Positional[Path], arg(metavar="CAPTURE")]
MUCH_INFERRED = 0.15
"""The share of inferred surface that suggests views from one side. Such views of seventeen shapes,
one, three or six of them, left at least 16 %, and twenty around the shapes at most 9 %.
"""
DEMO_MESH = "cc0_headphones_ngons.obj"


@dataclass(frozen=True, kw_only=True)
class Common(ABC):
    """What every command takes."""

    quiet: bool = False
    """Say nothing but errors."""
    threads: int = 0
    """How many threads to use; 0 is one a core."""

    def check(self) -> None:
        """Refuse, before any work, what cannot end well.

        Raises:
            BackprojectError: something of it.

        """
        check_between(
            "--threads", self.threads, 0, MOST_THREADS, f"0 (one a core) to {MOST_THREADS}"
        )

    @abstractmethod
    def work(self, report: Reporter) -> None:
        """Do the work, and tell `report`."""


@dataclass(frozen=True, kw_only=True)
class RoundTrip(Common):
    """Render a mesh, fuse its depth maps, and score what came back.

    Writes OUT/capture, OUT/cloud.ply, OUT/mesh.ply (both in the mesh's own coordinates),
    OUT/scores.json (in diameters of the mesh), OUT/report.html, all of it as one page that opens
    offline, and pictures: OUT/depth.png, shapes.png, error.png.
    """

    mesh: MeshIn
    """The shape: .obj .ply .stl .off .glb .gltf"""
    out: Out
    """Folder for the results."""
    cameras: OmitArgPrefixes[RigSettings] = field(default_factory=RigSettings)
    resolution: int = 256
    """Voxels along the diameter of the scene."""

    def check(self) -> None:
        """Check the numbers, the rig and the place of the results."""
        super().check()
        check_resolution(self.resolution)
        build_rig(self.cameras, pixel_bytes=ROUNDTRIP_BYTES)
        check_folder_place(self.out, is_roundtrip, source=self.mesh)

    def work(self, report: Reporter) -> None:
        """Do the round trip and write it."""
        rig = self.cameras.build()
        with report.working(f"reading {self.mesh}") as progress:
            mesh = load_mesh(self.mesh)
            if doubt := doubt_about(rig):
                report.warn(doubt)
            result = roundtrip(
                mesh, rig, resolution=self.resolution, threads=self.threads, progress=progress
            )
            write_roundtrip(
                result,
                self.out,
                name=self.mesh.stem,
                making=making_of(self, report, result.seconds),
                threads=self.threads,
                progress=progress,
            )
        report.table(f"{self.mesh.name}, there and back", result.scores.table())
        times = ", ".join(f"{stage} {spent:.2f} s" for stage, spent in result.seconds.items())
        report.say(f"{times}\nwrote {self.out}: look at {self.out / REPORT}")


@dataclass(frozen=True, kw_only=True)
class Demo(Common):
    """Do the round trip on the headphones that come with the package."""

    out: Out = Path("backproject-demo")
    """Folder for the results."""

    def check(self) -> None:
        """Check as the round trip does."""
        self._roundtrip().check()

    def work(self, report: Reporter) -> None:
        """Do the round trip of the headphones and write it."""
        self._roundtrip().work(report)

    def _roundtrip(self) -> RoundTrip:
        return RoundTrip(mesh=demo_mesh(), out=self.out, quiet=self.quiet, threads=self.threads)


@dataclass(frozen=True, kw_only=True)
class Render(Common):
    """Render depth maps of a mesh from a rig around it, in the mesh's own coordinates.

    Of a Blender scene, .blend, what a render of it shows, or the objects named by --object. There
    the rig stands upright along +z, and `--rig scene` is the scene's own cameras and image size.
    """

    mesh: MeshIn
    """The shape: .obj .ply .stl .off .glb .gltf, or a scene: .blend"""
    out: Out
    """Folder for the capture: transforms.json and the depth maps."""
    renderer: Annotated[RendererName | None, arg(metavar="{embedded,blender}")] = None
    """embedded, or blender: Blender's Cycles, for the same depth; the default for a .blend file."""
    objects: Annotated[UseAppendAction[tuple[str, ...]], arg(name="object", metavar="NAME")] = ()
    """Of a .blend file, only the object of this name; may be given more than once."""
    cameras: OmitArgPrefixes[RigSettings] = field(default_factory=RigSettings)

    def check(self) -> None:
        """Check the rig, the place of the capture, and that Blender is there if needed."""
        super().check()
        if not self._is_blend:
            if self.cameras.rig == SCENE_RIG:
                raise InputError(f"--rig scene: got {self.mesh}, expected a .blend file with it")
            if self.objects:
                raise InputError(
                    f"--object {self.objects[0]}: got {self.mesh}, expected a .blend file with it"
                )
        if self.cameras.rig != SCENE_RIG:
            build_rig(self.cameras, pixel_bytes=RENDER_BYTES)
        check_folder_place(self.out, is_own_capture, source=self.mesh)
        if self._is_blend:
            check_bpy(str(self.mesh))
        elif self.renderer == "blender":
            check_bpy("--renderer blender")

    def work(self, report: Reporter) -> None:
        """Render and write the capture."""
        with report.working(f"reading {self.mesh}") as progress:
            views = self._observed(report, progress)
            if not views.silhouettes.any():
                raise ReconstructionError(
                    f"{self.mesh}: none of the {len(views)} views sees it,"
                    " expected some pixels on the shape: change --fov, --size or --distance"
                )
            progress(f"writing {self.out}", 1.0)
            views.save(self.out)
        report.say(
            f"wrote {self.out}: {len(views)} views of {views.rig.width} x {views.rig.height}"
            f" pixels, {views.silhouettes.mean():.0%} of them on the shape"
        )

    @property
    def _is_blend(self) -> bool:
        return self.mesh.suffix.lower() == BLEND

    def _observed(self, report: Reporter, progress: Progress) -> ViewSet:
        """Return the depth maps, and warn of a rig that cannot see all."""
        if self.cameras.rig != SCENE_RIG and (doubt := doubt_about(self.cameras.build())):
            report.warn(doubt)
        if self._is_blend:
            return observe_blend(
                self.mesh,
                self.objects,
                self.cameras,
                renderer=self.renderer or "blender",
                threads=self.threads,
                progress=progress,
            )
        return observe(
            load_mesh(self.mesh),
            self.cameras.build(),
            renderer=renderer_named(self.renderer or "embedded"),
            threads=self.threads,
            progress=progress,
        )


@dataclass(frozen=True, kw_only=True)
class Cloud(Common):
    """Back-project a capture's depth maps to one point cloud."""

    capture: CaptureIn
    """A capture folder, or anything that `backproject formats` lists."""
    out: Out
    """The cloud: .ply with normals, the view each point came from, and colours if there are."""
    consistent: bool = False
    """Keep only the points that the other views confirm."""
    mask_threshold: float = MASK_THRESHOLD
    """With --consistent: the value from 0 to below 1 that a silhouette's pixel must exceed to count
    as covered. Captures hold no soft masks yet: a pixel with depth is 1, any other 0, so that every
    threshold gives the same cloud."""
    reading: OmitArgPrefixes[Asked] = field(default_factory=Asked)

    def check(self) -> None:
        """Check the threshold and the place of the cloud."""
        super().check()
        if not 0 <= self.mask_threshold < 1:
            raise InputError(
                f"--mask-threshold: got {self.mask_threshold}, expected 0 or more, and below 1"
            )
        if self.out.suffix.lower() != ".ply":
            raise FormatError(f"{self.out}: suffix `{self.out.suffix}`, expected .ply for a cloud")
        check_file_place(self.out)

    def work(self, report: Reporter) -> None:
        """Back-project and write the cloud."""
        with report.working(f"reading {self.capture}") as progress:
            views = load_views(self.capture, self.reading)
            progress("back-projecting", 0.2)
            cloud = backproject(views, threads=self.threads)
            seen = len(cloud)
            if self.consistent:
                progress("asking the other views", 0.5)
                confirmed = consistent_points(
                    cloud, views, mask_threshold=self.mask_threshold, threads=self.threads
                )
                cloud = cloud.subset(confirmed)
            progress(f"writing {self.out}", 0.8)
            cloud.save(self.out)
        fell = f", {seen - len(cloud):,} that other views contradict left out"
        report.say(f"wrote {self.out}: {len(cloud):,} points" + (fell if self.consistent else ""))


@dataclass(frozen=True, kw_only=True)
class Fuse(Common):
    """Fuse a capture's depth maps into a mesh, with the colours of its images if it has them."""

    capture: CaptureIn
    """A capture folder, or anything that `backproject formats` lists."""
    out: Out
    """The mesh: .ply .obj .stl .glb .off"""
    resolution: int = 256
    """Voxels along the diameter of the scene."""
    surface: Surface = "solid"
    """solid: closed, what no camera saw is inferred. seen: open, only what some camera saw."""
    noise: float | None = None
    """Standard deviation of depth, in the capture's units; by default estimated from the views."""
    simplify: Annotated[float | None, arg(metavar="TOLERANCE")] = None
    """Leave triangles out, and stay within this distance, in the capture's units."""
    report: Annotated[Path | None, arg(metavar="FILE.html")] = None
    """Write a page about the mesh there, too, that opens offline: in 3D, and view by view."""
    view: bool = False
    """Show the views in rerun's viewer, one by one, and then the mesh; needs the extra view."""
    reading: OmitArgPrefixes[Asked] = field(default_factory=Asked)

    def check(self) -> None:
        """Check the numbers and the place of the mesh."""
        super().check()
        check_resolution(self.resolution)
        if self.simplify is not None:
            check_tolerance("--simplify", self.simplify)
        writable_format(self.out)
        check_file_place(self.out)
        if self.report:
            check_report_place(self.report)
        if self.view:
            check_viewer("--view")

    def work(self, report: Reporter) -> None:
        """Fuse and write the mesh."""
        watching = Viewer(self.capture.name) if self.view else nullcontext()
        with report.working(f"reading {self.capture}") as progress, watching as viewer:
            views, mesh, seconds = self._fused(progress, viewer)
            progress(f"writing {self.out}", 1.0)
            mesh.save(self.out)
            if self.report:
                write_report(
                    self.report,
                    mesh,
                    views=views,
                    title=self.out.stem,
                    making=making_of(self, report, seconds),
                    threads=self.threads,
                    progress=progress,
                )
        report.say(
            f"wrote {self.out}: {len(mesh.vertices):,} vertices, {len(mesh.faces):,} triangles"
            + said_of_support(mesh)
            + ("" if mesh.colors is None else "; coloured")
        )
        if self.report:
            report.say(f"wrote {self.report}")

    def _fused(
        self, progress: Progress, viewer: Viewer | None
    ) -> tuple[ViewSet, Mesh, dict[str, float]]:
        """Return the views, the mesh, and the seconds that each stage took; show them too."""
        seconds: dict[str, float] = {}
        with timed("read", seconds):
            views = load_views(self.capture, self.reading)
        if viewer:
            viewer.add_views(views, threads=self.threads)
        with timed("fuse", seconds):
            mesh = fuse(
                views,
                resolution=self.resolution,
                surface=self.surface,
                noise=self.noise,
                threads=self.threads,
                progress=progress,
            )
        if self.simplify is not None:
            with timed("simplify", seconds):
                mesh = simplify(
                    mesh, tolerance=self.simplify, threads=self.threads, progress=progress
                )
        if viewer:
            viewer.add_mesh(mesh, self.out.stem)
        return views, mesh, seconds


@dataclass(frozen=True, kw_only=True)
class Simplify(Common):
    """Leave triangles out of a mesh, and stay within a tolerance, which is proved."""

    mesh: MeshIn
    """The shape: .obj .ply .stl .off .glb .gltf"""
    out: Out
    """The mesh: .ply .obj .stl .glb .off"""
    tolerance: float
    """How far the surfaces may be from each other anywhere, in the mesh's own units."""

    def check(self) -> None:
        """Check the tolerance and the place of the mesh."""
        super().check()
        check_tolerance("--tolerance", self.tolerance)
        writable_format(self.out)
        check_file_place(self.out, keep=(self.mesh,))

    def work(self, report: Reporter) -> None:
        """Simplify and write the mesh."""
        with report.working(f"reading {self.mesh}") as progress:
            given = load_mesh(self.mesh)
            mesh = simplify(
                given, tolerance=self.tolerance, threads=self.threads, progress=progress
            )
            progress(f"writing {self.out}", 1.0)
            mesh.save(self.out)
        report.say(
            f"wrote {self.out}: {len(mesh.faces):,} of {len(given.faces):,} triangles,"
            f" {self.tolerance:g} from the given surface at most"
        )


@dataclass(frozen=True, kw_only=True)
class Compare(Common):
    """Score a reconstruction against the truth, both in the same coordinates.

    Writes report.html, a page of the two in 3D and in numbers that opens offline.
    """

    reconstruction: Annotated[Positional[Path], arg(metavar="RECON")]
    """The mesh to be scored."""
    truth: Annotated[Positional[Path], arg(metavar="TRUTH")]
    """The mesh it should be."""
    capture: Annotated[Path | None, arg(metavar="CAPTURE")] = None
    """Ask only for the part of the truth that this capture's cameras see."""
    json: Annotated[Path | None, arg(metavar="FILE.json")] = None
    """Write the scores there, too."""
    report: Annotated[Path, arg(metavar="FILE.html")] = Path("report.html")
    """Where to write the report; an earlier one is replaced, other files are not."""
    no_report: bool = False
    """Write no report."""
    samples: int = 100_000
    """Points spread over each surface."""
    seed: int = 0
    """Seed of their places."""
    reading: OmitArgPrefixes[Asked] = field(default_factory=Asked)

    @property
    def _cameras(self) -> Asked:
        """What was said of the source; scores need no colours, but the report shows them."""
        if not self.no_report:
            return self.reading
        return replace(self.reading, without_color=True, color_folder=None)

    def check(self) -> None:
        """Check the numbers and the place of the scores."""
        super().check()
        check_between("--samples", self.samples, 1, np.inf, "at least 1")
        check_memory(self.samples * SAMPLE_BYTES, f"--samples {self.samples}")
        check_between("--seed", self.seed, 0, np.inf, "0 or more")
        if self.json:
            if self.json.suffix.lower() != ".json":
                raise FormatError(f"{self.json}: suffix `{self.json.suffix}`, expected .json")
            cameras = (self.capture / CAMERAS_FILE, self.capture) if self.capture else ()
            check_file_place(self.json, keep=cameras)
        if not self.no_report:
            check_report_place(self.report)

    def work(self, report: Reporter) -> None:
        """Compare, print the scores and write what is asked for."""
        seconds: dict[str, float] = {}
        title = f"{self.reconstruction.name} against {self.truth.name}"
        with report.working(f"reading {self.reconstruction}") as progress:
            with timed("read", seconds):
                mesh, truth = load_mesh(self.reconstruction), load_mesh(self.truth)
                views = load_views(self.capture, self._cameras) if self.capture else None
            with timed("compare", seconds):
                measured = measure(
                    mesh,
                    truth,
                    views=views,
                    samples=self.samples,
                    seed=self.seed,
                    threads=self.threads,
                    progress=progress,
                )
            if self.json:
                write_scores(measured.scores, self.json)
            if not self.no_report:
                write_report(
                    self.report,
                    mesh,
                    truth=truth,
                    views=views,
                    title=title,
                    measured=measured,
                    making=making_of(self, report, seconds),
                    threads=self.threads,
                    progress=progress,
                )
        report.table(title, measured.scores.table())
        for wanted, path in ((self.json, self.json), (not self.no_report, self.report)):
            if wanted:
                report.say(f"wrote {path}")


def check_tolerance(name: str, tolerance: float) -> None:
    """Refuse a tolerance that is none."""
    check_between(name, tolerance, 0, np.finfo(float).max, "a finite distance of 0 or more")


def said_of_support(mesh: Mesh) -> str:
    """Return what is to be said of the surface that no camera saw, as the end of a sentence."""
    share = inferred_fraction(mesh)
    if share == 0:
        return "; some camera saw all of it"
    told = f"; {share:.1%} of the surface is inferred, no camera saw it"
    if share < MUCH_INFERRED:
        return f"{told} (--surface seen leaves it out)"
    return f"{told}: where views do not surround the object, better use --surface seen"


def demo_mesh() -> Path:
    """Return the path of the headphones: in the installed package, or in the source's examples."""
    installed = Path(str(resources.files("backproject"))) / "data" / DEMO_MESH
    in_tree = Path(__file__).parents[3] / "examples" / "data" / DEMO_MESH
    for path in (installed, in_tree):
        if path.is_file():
            return path
    raise FileMissingError(
        f"{installed}: the demo's mesh is not there; reinstall the package, or use"
        " `backproject roundtrip` with a mesh of your own"
    )
