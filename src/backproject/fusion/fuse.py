"""Depth maps to a closed mesh."""

from __future__ import annotations

from functools import cache
from typing import Literal, get_args

import numpy as np

from backproject.coloring.colorize import colorize
from backproject.errors import InputError
from backproject.fusion.closing import close
from backproject.fusion.evidence import observe
from backproject.fusion.solid import carve, make_well_composed
from backproject.fusion.surface import extract, seen_part, sort_samples
from backproject.geometry.mesh import Mesh
from backproject.geometry.views import ViewSet
from backproject.kernels import parallel
from backproject.progress import Progress, silent

Surface = Literal["solid", "seen"]


def fuse(
    views: ViewSet,
    *,
    resolution: int = 256,
    surface: Surface = "solid",
    noise: float | None = None,
    threads: int = 0,
    progress: Progress = silent,
) -> Mesh:
    """Return the mesh of what the views saw, in the scene's own units and place.

    `surface` is "solid", a closed 2-manifold, or "seen", the part of it that some view saw, open
    elsewhere. `mesh.support` tells how many views saw each vertex; where it is 0, the solid is only
    inferred. `noise` is the standard deviation of depth in scene units; by default it is estimated
    from how far the views disagree. Views with colours give the mesh its `colors`, see
    `coloring.colorize`, but for those that were left out because they contradict the others.

    `resolution` is the number of voxels along the diameter of the scene. What any view sees through
    is outside; what no view sees is inside, unless it takes more unsupported surface to close it
    than to leave it open. docs/fusion.md tells the method.

    Raises:
        InputError: a resolution under 8, a surface of no known name, or negative noise.
        ReconstructionError: the views hold no depth, or contradict each other everywhere.

    """
    if resolution < 8:
        raise InputError(f"resolution: got {resolution}, expected at least 8 voxels")
    if noise is not None and not 0 <= noise < float("inf"):
        raise InputError(f"noise: got {noise}, expected 0 or more, in scene units")
    if surface not in get_args(Surface):
        raise InputError(f"surface: got {surface!r}, expected one of {get_args(Surface)}")
    _keep_freed_memory()
    with parallel.at_most(threads):
        return _fused(views, resolution, surface, noise, threads, progress)


@cache
def _keep_freed_memory() -> None:
    """Let the C library keep up to 64 MB that are freed, instead of giving them back to the system
    at once: to get as much again page by page takes a tenth of a fusion.

    glibc keeps twice of the largest block that was ever freed, up to 32 MB (mallopt(3)). This one
    is never touched, so it takes no memory itself; other C libraries do as they do.
    """
    np.empty(2**25 - 2**16, np.uint8)


def _fused(
    views: ViewSet,
    resolution: int,
    surface: Surface,
    noise: float | None,
    threads: int,
    progress: Progress,
) -> Mesh:
    progress("sampling the depth maps", 0.0)
    evidence, samples = observe(views, noise=noise, threads=threads)
    progress("sampling the depth maps", 1.0)
    solid = carve(evidence, samples, resolution=resolution, threads=threads, progress=progress)
    order = sort_samples(solid, samples)  # beside what follows, of which parts take one core
    progress("closing what nobody saw", 0.0)
    close(solid, evidence, threads=threads)
    make_well_composed(solid, threads=threads)
    progress("closing what nobody saw", 1.0)
    mesh = extract(solid, samples, order(), evidence, threads=threads, progress=progress)
    mesh = seen_part(mesh) if surface == "seen" else mesh
    if views.colors is None:
        return mesh
    trusted = np.delete(np.arange(len(views)), samples.left_out)
    return colorize(mesh, views.subset(trusted), threads=threads, progress=progress)
