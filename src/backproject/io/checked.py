"""Input that holds something to work on, read with its name in the errors."""

from __future__ import annotations

from pathlib import Path

from backproject.errors import FormatError, InputError, ReconstructionError
from backproject.geometry.mesh import Mesh
from backproject.geometry.plausibility import blind_view, fitting_unit
from backproject.geometry.views import ViewSet
from backproject.io.sources.registry import read_views
from backproject.io.sources.source import Asked


def load_mesh(path: Path) -> Mesh:
    """Return a mesh with a surface.

    Raises:
        BackprojectError: there is none; the message names the file.

    """
    if path.is_dir():
        raise FormatError(f"{path}: is a folder, expected a mesh file")
    mesh = Mesh.load(path)
    try:
        _ = mesh.centroid
    except InputError as error:
        raise InputError(f"{path}: {error}; expected a surface") from error
    return mesh


def load_views(capture: Path, asked: Asked) -> ViewSet:
    """Return the views of a source, which see something and may be of one scene.

    Raises:
        BackprojectError: there are none or they do not; the message names the source.

    """
    views = read_views(capture, asked)
    if not views.silhouettes.any():
        raise ReconstructionError(
            f"{capture}: none of the {len(views)} views holds a finite depth,"
            " expected a capture that sees a surface"
        )
    _check_views_fit(views, capture, asked)
    return views


def _check_views_fit(views: ViewSet, capture: Path, asked: Asked) -> None:
    """Refuse views that cannot be of one scene. A unit that the user named is taken as it is."""
    if blind := blind_view(views):
        k, share = blind
        raise FormatError(
            f"{capture}: view {k} (counted from 0) holds background only, where {share:.0%} of what"
            " the others see should be, expected it to see some: is it the right image and mask?"
            " replace it, or leave it out"
        )
    unit = None if asked.depth_scale or asked.near else fitting_unit(views)
    if unit:
        raise FormatError(
            f"{capture}: depth does not fit the cameras: the views do not agree, but with depth"
            f" times {unit:g} they do; expected depth in the unit of the camera positions: give"
            " --depth-scale, the size of a stored number in that unit (--depth-scale 1 takes the"
            " numbers as they are)"
        )
