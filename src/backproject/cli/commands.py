"""The commands: each a record of its options, and what it does with them.

tyro makes the command line from these records; their docstrings are its help.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Annotated

from tyro.conf import OmitArgPrefixes, Positional, arg

from backproject.cli.console import Reporter
from backproject.errors import FileMissingError
from backproject.pipeline import RigSettings

Out = Annotated[Path, arg(aliases=["-o"])]
DEMO_MESH = "cc0_headphones_ngons.obj"


@dataclass(frozen=True, kw_only=True)
class Common(ABC):
    """What every command takes."""

    quiet: bool = False
    """Say nothing but errors."""
    threads: int = 0
    """How many threads to use; 0 is one a core."""

    @abstractmethod
    def work(self, report: Reporter) -> None:
        """Do the work, and tell `report`."""


@dataclass(frozen=True, kw_only=True)
class RoundTrip(Common):
    """Render a mesh, fuse its depth maps, and score what came back.

    Writes OUT/capture, OUT/cloud.ply, OUT/mesh.ply (both in the mesh's own coordinates),
    OUT/scores.json (in diameters of the mesh) and pictures: OUT/depth.png, shapes.png, error.png.
    """

    mesh: Positional[Path]
    """The shape: .obj .ply .stl .off .glb"""
    out: Out
    """Folder for the results."""
    cameras: OmitArgPrefixes[RigSettings] = field(default_factory=RigSettings)
    resolution: int = 256
    """Voxels along the diameter of the scene."""

    def work(self, report: Reporter) -> None:
        """Do the round trip and write it."""
        from backproject.geometry.mesh import Mesh
        from backproject.pipeline import roundtrip
        from backproject.report.folder import write_roundtrip

        rig = self.cameras.build()
        with report.working(f"reading {self.mesh}") as progress:
            mesh = Mesh.load(self.mesh)
            result = roundtrip(
                mesh, rig, resolution=self.resolution, threads=self.threads, progress=progress
            )
            write_roundtrip(result, self.out, name=self.mesh.stem, progress=progress)
        report.table(f"{self.mesh.name}, there and back", result.scores.table())
        times = ", ".join(f"{stage} {spent:.2f} s" for stage, spent in result.seconds.items())
        report.say(f"{times}\nwrote {self.out}: look at {self.out / 'shapes.png'}")


@dataclass(frozen=True, kw_only=True)
class Demo(Common):
    """Do the round trip on the headphones that come with the package."""

    out: Out = Path("backproject-demo")
    """Folder for the results."""

    def work(self, report: Reporter) -> None:
        """Do the round trip of the headphones and write it."""
        RoundTrip(mesh=demo_mesh(), out=self.out, threads=self.threads).work(report)


@dataclass(frozen=True, kw_only=True)
class Render(Common):
    """Render depth maps of a mesh from a rig around it, in the mesh's own coordinates."""

    mesh: Positional[Path]
    """The shape: .obj .ply .stl .off .glb"""
    out: Out
    """Folder for the capture: transforms.json and the depth maps."""
    cameras: OmitArgPrefixes[RigSettings] = field(default_factory=RigSettings)

    def work(self, report: Reporter) -> None:
        """Render and write the capture."""
        from backproject.geometry.mesh import Mesh
        from backproject.pipeline import observe

        rig = self.cameras.build()
        with report.working(f"reading {self.mesh}") as progress:
            views = observe(Mesh.load(self.mesh), rig, threads=self.threads, progress=progress)
            views.save(self.out)
        report.say(
            f"wrote {self.out}: {len(views)} views of {rig.width} x {rig.height} pixels,"
            f" {views.silhouettes.mean():.0%} of them on the shape"
        )


@dataclass(frozen=True, kw_only=True)
class Cloud(Common):
    """Back-project a capture's depth maps to one point cloud."""

    capture: Positional[Path]
    """Folder with transforms.json and depth maps."""
    out: Out
    """The cloud: .ply with normals and the view each point came from."""
    consistent: bool = False
    """Keep only the points that the other views confirm."""
    mask_threshold: float = 0.99
    """With --consistent: how much of a silhouette a point must be inside of."""

    def work(self, report: Reporter) -> None:
        """Back-project and write the cloud."""
        from backproject.cloud.consistency import consistent_points
        from backproject.cloud.unproject import backproject
        from backproject.geometry.views import ViewSet

        with report.working(f"reading {self.capture}"):
            views = ViewSet.load(self.capture)
            cloud = backproject(views, threads=self.threads)
            seen = len(cloud)
            if self.consistent:
                confirmed = consistent_points(
                    cloud, views, mask_threshold=self.mask_threshold, threads=self.threads
                )
                cloud = cloud.subset(confirmed)
            cloud.save(self.out)
        fell = f", {seen - len(cloud):,} that other views contradict left out"
        report.say(f"wrote {self.out}: {len(cloud):,} points" + (fell if self.consistent else ""))


@dataclass(frozen=True, kw_only=True)
class Fuse(Common):
    """Fuse a capture's depth maps into a closed mesh."""

    capture: Positional[Path]
    """Folder with transforms.json and depth maps."""
    out: Out
    """The mesh: .ply .obj .stl .glb .off"""
    resolution: int = 256
    """Voxels along the diameter of the scene."""

    def work(self, report: Reporter) -> None:
        """Fuse and write the mesh."""
        from backproject.fusion.fuse import fuse
        from backproject.geometry.views import ViewSet
        from backproject.io.meshes import writable_format

        writable_format(self.out)
        with report.working(f"reading {self.capture}") as progress:
            views = ViewSet.load(self.capture)
            mesh = fuse(views, resolution=self.resolution, threads=self.threads, progress=progress)
            mesh.save(self.out)
        report.say(
            f"wrote {self.out}: {len(mesh.vertices):,} vertices, {len(mesh.faces):,} triangles"
        )


@dataclass(frozen=True, kw_only=True)
class Compare(Common):
    """Score a reconstruction against the truth, both in the same coordinates."""

    reconstruction: Positional[Path]
    """The mesh to be scored."""
    truth: Positional[Path]
    """The mesh it should be."""
    capture: Path | None = None
    """Ask only for the part of the truth that this capture's cameras see."""
    json: Path | None = None
    """Write the scores there, too."""
    samples: int = 100_000
    """Points spread over each surface."""
    seed: int = 0
    """Seed of their places."""

    def work(self, report: Reporter) -> None:
        """Compare, print the scores and write them if asked."""
        from backproject.geometry.mesh import Mesh
        from backproject.geometry.views import ViewSet
        from backproject.metrics.compare import compare
        from backproject.report.folder import write_scores

        with report.working(f"reading {self.reconstruction}") as progress:
            scores = compare(
                Mesh.load(self.reconstruction),
                Mesh.load(self.truth),
                views=ViewSet.load(self.capture) if self.capture else None,
                samples=self.samples,
                seed=self.seed,
                threads=self.threads,
                progress=progress,
            )
            if self.json:
                write_scores(scores, self.json)
        report.table(f"{self.reconstruction.name} against {self.truth.name}", scores.table())


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
