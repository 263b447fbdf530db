"""Depth maps to a closed mesh."""

from __future__ import annotations

from backproject.errors import InputError
from backproject.fusion.closing import close
from backproject.fusion.evidence import Evidence, sample
from backproject.fusion.solid import carve, make_well_composed
from backproject.fusion.surface import extract
from backproject.geometry.mesh import Mesh
from backproject.geometry.views import ViewSet
from backproject.progress import Progress, silent


def fuse(
    views: ViewSet, *, resolution: int = 256, threads: int = 0, progress: Progress = silent
) -> Mesh:
    """Return a closed 2-manifold mesh of what the views saw, in the scene's own units and place.

    `resolution` is the number of voxels along the diameter of the scene. What any view sees through
    is outside; what no view sees is inside, unless it takes more unsupported surface to close it
    than to leave it open. docs/fusion.md tells the method.

    Raises:
        InputError: a resolution under 8.
        ReconstructionError: the views hold no depth, or contradict each other everywhere.

    """
    if resolution < 8:
        raise InputError(f"resolution: got {resolution}, expected at least 8 voxels")
    evidence = Evidence.of(views, threads=threads)
    samples = sample(views, evidence, threads=threads)
    solid = carve(evidence, samples, resolution=resolution, threads=threads, progress=progress)
    close(solid, threads=threads)
    make_well_composed(solid, threads=threads)
    return extract(solid, samples, evidence, threads=threads, progress=progress)
