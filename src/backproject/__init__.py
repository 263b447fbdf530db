"""backproject: depth maps of an object, seen from known cameras, go back to the object.

    mesh  = bp.Mesh.load("headphones.obj")
    unit  = bp.normalize(mesh)
    views = bp.render(unit.mesh, bp.Rig.dodecahedron())
    recon = bp.fuse(views)
    score = bp.compare(recon, unit.mesh, views=views)

Names are imported when first used, so that `import backproject` costs milliseconds.
START READING in `pipeline.py`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backproject.checking.diagnosis import check as check
    from backproject.cloud.unproject import backproject as backproject
    from backproject.errors import BackprojectError as BackprojectError
    from backproject.errors import ContradictionWarning as ContradictionWarning
    from backproject.errors import FileMissingError as FileMissingError
    from backproject.errors import FormatError as FormatError
    from backproject.errors import InputError as InputError
    from backproject.errors import OutputError as OutputError
    from backproject.errors import ReconstructionError as ReconstructionError
    from backproject.fusion.fuse import fuse as fuse
    from backproject.geometry.cloud import PointCloud as PointCloud
    from backproject.geometry.mesh import Mesh as Mesh
    from backproject.geometry.mesh import NormalizedMesh as NormalizedMesh
    from backproject.geometry.mesh import normalize as normalize
    from backproject.geometry.rig import Camera as Camera
    from backproject.geometry.rig import Rig as Rig
    from backproject.geometry.transform import Similarity as Similarity
    from backproject.geometry.views import ViewSet as ViewSet
    from backproject.metrics.compare import compare as compare
    from backproject.metrics.scores import Scores as Scores
    from backproject.pipeline import roundtrip as roundtrip
    from backproject.rendering.render import render as render
    from backproject.report.write import write_report as write_report
    from backproject.simplification.simplify import simplify as simplify

_HOME = {
    "BackprojectError": "errors",
    "Camera": "geometry.rig",
    "ContradictionWarning": "errors",
    "FileMissingError": "errors",
    "FormatError": "errors",
    "InputError": "errors",
    "Mesh": "geometry.mesh",
    "NormalizedMesh": "geometry.mesh",
    "OutputError": "errors",
    "PointCloud": "geometry.cloud",
    "ReconstructionError": "errors",
    "Rig": "geometry.rig",
    "Scores": "metrics.scores",
    "Similarity": "geometry.transform",
    "ViewSet": "geometry.views",
    "backproject": "cloud.unproject",
    "check": "checking.diagnosis",
    "compare": "metrics.compare",
    "fuse": "fusion.fuse",
    "normalize": "geometry.mesh",
    "render": "rendering.render",
    "roundtrip": "pipeline",
    "simplify": "simplification.simplify",
    "write_report": "report.write",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'backproject' has no attribute {name!r}")
    value = getattr(import_module(f"backproject.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
