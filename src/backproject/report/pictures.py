"""Pictures of a round trip: what went in, what came out, and where they differ.

matplotlib's objects are used without `pyplot`: no global state, no window, safe in threads.
"""

from __future__ import annotations

from os import PathLike

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.patches import Patch
from numpy.typing import NDArray

from backproject.errors import InputError
from backproject.geometry.mesh import Mesh
from backproject.geometry.views import ViewSet
from backproject.io.atomic import atomic_file
from backproject.metrics.visibility import inferred_fraction
from backproject.report.colors import CLAY, DEPTH_STOPS, ERROR_STOPS, INFERRED, UNMEASURED
from backproject.report.colors import ERRORS as ERRORS
from backproject.report.colors import INK as INK
from backproject.report.colors import QUIET as QUIET
from backproject.report.shading import camera_around, shaded, shaded_by_error

VIEWPOINTS = ((0.55, 0.45, 0.85), (-0.7, -0.35, -0.6))
"""From where meshes are shown: the front from above, and from behind and below what it hides."""
DEPTH_COLORS = LinearSegmentedColormap.from_list("depth", list(DEPTH_STOPS))
"""Near to far."""
ERROR_COLORS = LinearSegmentedColormap.from_list("error", list(ERROR_STOPS), N=300)
"""Grey to green up to 0.001, two thirds up the scale; beyond it yellow to red."""
DOTS_PER_INCH = 120
PANEL = 4.6
"""The side of a mesh's picture in inches."""
GOOD = 1e-3
"""The distance of the strictest F-score."""
Path = str | PathLike[str]


def contact_sheet(views: ViewSet, path: Path, *, title: str = "") -> None:
    """Write all depth maps as one picture with a common scale of depth.

    Near is bright, as in the paper's images. Empty pixels (`inf`) are white, and those that were
    not measured (`nan`) pink.

    Raises:
        OutputError: `path` cannot be written.

    """
    count = len(views)
    columns = min(count, 5 if count <= 25 else int(np.ceil(np.sqrt(count * 1.25))))
    rows = -(-count // columns)
    cell = 1.75
    aspect = views.rig.height / views.rig.width
    width, height = columns * cell + 1.35, rows * (cell * aspect + 0.22) + 0.75
    figure = _figure(width, height)
    grid = figure.add_gridspec(
        rows, columns, wspace=0.04, hspace=0.22 / (cell * aspect),
        left=0.15 / width, right=1 - 1.2 / width, top=1 - 0.7 / height, bottom=0.05 / height,
    )  # fmt: skip
    norm = _depth_scale(views)
    for k in range(count):
        axes = figure.add_subplot(grid[k // columns, k % columns])
        _show(axes, _depth_image(views.depth[k], norm), f"{k}", size=8)
        _frame(axes)
    bar = figure.add_axes((1 - 0.98 / width, 0.15, 0.16 / width, 0.6))
    _bar(figure, bar, ScalarMappable(norm, DEPTH_COLORS), "depth, in scene units")
    bar.invert_yaxis()  # near is above, and bright
    size = f"{views.rig.width} x {views.rig.height}"
    _title(figure, title or "Depth maps", f"{count} views of {size} pixels")
    _save(figure, path)


def side_by_side(
    truth: Mesh, reconstruction: Mesh, path: Path, *, title: str = "", threads: int = 0
) -> None:
    """Write truth and reconstruction, shaded, seen by the same cameras from two sides.

    Violet is what no camera saw of a fused mesh (`Mesh.support` is 0): it is only inferred.

    Raises:
        InputError: one of the meshes has no faces.
        OutputError: `path` cannot be written.

    """
    _must_have_faces(truth=truth, reconstruction=reconstruction)
    figure = _figure(2 * PANEL, 2 * PANEL + 1.0)
    grid = _panels(figure, rows=2, columns=2, right=0.0)
    size = int(PANEL * DOTS_PER_INCH)
    for row, direction in enumerate(VIEWPOINTS):
        rig = camera_around(truth, direction, size)
        for column, mesh in enumerate((truth, reconstruction)):
            axes = figure.add_subplot(grid[row, column])
            name = ("truth", "reconstruction")[column]
            image = shaded(mesh, rig, inferred=INFERRED, threads=threads)
            _show(axes, image, "" if row else _size_of(mesh, name))
    _title(figure, title or "Truth and reconstruction", "the same two cameras on both")
    _key(figure, reconstruction, "seen by some camera")
    _save(figure, path)


def error_map(
    reconstruction: Mesh, truth: Mesh, path: Path, *, title: str = "", threads: int = 0
) -> None:
    """Write the reconstruction coloured by its distance to the truth, seen from two sides.

    Distances are exact, at each pixel, in units of the truth's bounding-sphere diameter, on a
    logarithmic scale; the strictest F-score's 0.001 is marked. Violet stripes lie on what no camera
    saw of a fused mesh (`Mesh.support` is 0).

    Raises:
        InputError: one of the meshes has no faces.
        OutputError: `path` cannot be written.

    """
    _must_have_faces(truth=truth, reconstruction=reconstruction)
    width, height = 2 * PANEL + 1.3, PANEL + 0.8
    figure = _figure(width, height)
    grid = _panels(figure, rows=1, columns=2, right=1.3)
    size = int(PANEL * DOTS_PER_INCH)
    for column, direction in enumerate(VIEWPOINTS):
        rig = camera_around(truth, direction, size)
        axes = figure.add_subplot(grid[0, column])
        _show(axes, shaded_by_error(reconstruction, truth, rig, threads=threads), "")
    bar = figure.add_axes((1 - 1.12 / width, 0.14, 0.18 / width, 0.64))
    colors = ScalarMappable(LogNorm(*ERRORS), ERROR_COLORS)
    _bar(figure, bar, colors, "distance to the truth, in diameters")
    bar.axhline(GOOD, color=INK, linewidth=1.4)
    _title(
        figure,
        title or "Error of the reconstruction",
        "green within 0.001 of the truth, yellow to red beyond",
    )
    _key(figure, reconstruction, None)
    _save(figure, path)


def _figure(width: float, height: float) -> Figure:
    figure = Figure((width, height), dpi=DOTS_PER_INCH, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _panels(figure: Figure, *, rows: int, columns: int, right: float) -> GridSpec:
    """Return a grid of square panels under the title, with `right` inches left free."""
    width, height = figure.get_size_inches()
    return figure.add_gridspec(
        rows, columns, wspace=0.0, hspace=0.0,
        left=0.0, right=1 - right / width, bottom=0.0, top=rows * PANEL / height,
    )  # fmt: skip


def _show(axes: Axes, image: NDArray[np.float64], caption: str, *, size: int = 11) -> None:
    axes.imshow(image, interpolation="antialiased")
    axes.set_axis_off()
    if caption:
        axes.set_title(caption, fontsize=size, color=QUIET, pad=3)


def _frame(axes: Axes) -> None:
    """Draw the image's border, so that its size is seen where its corners are empty."""
    axes.set_axis_on()
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(color="#d5d9de", linewidth=0.6)


def _bar(figure: Figure, axes: Axes, colors: ScalarMappable, label: str) -> None:
    bar = figure.colorbar(colors, cax=axes)
    bar.outline.set_visible(False)
    bar.set_label(label, fontsize=9, color=INK)
    axes.tick_params(labelsize=8, colors=QUIET, length=2)


def _title(figure: Figure, title: str, remark: str) -> None:
    width, height = figure.get_size_inches()
    left = 0.18 / width
    figure.text(left, 1 - 0.2 / height, title, fontsize=13, color=INK, va="top", weight="bold")
    figure.text(left, 1 - 0.44 / height, remark, fontsize=9, color=QUIET, va="top")


def _key(figure: Figure, mesh: Mesh, seen: str | None) -> None:
    """Tell what violet is, and how much of the mesh, if the mesh tells seen from inferred."""
    if mesh.support is None:
        return
    share = f"inferred, no camera saw it: {inferred_fraction(mesh):.1%} of the area"
    if seen is None:
        patches = [Patch(facecolor="white", edgecolor=tuple(INFERRED), hatch="////", label=share)]
    else:
        patches = [Patch(color=tuple(CLAY), label=seen), Patch(color=tuple(INFERRED), label=share)]
    width, height = figure.get_size_inches()
    figure.legend(
        handles=patches, loc="upper right", bbox_to_anchor=(1 - 0.12 / width, 1 - 0.12 / height),
        frameon=False, fontsize=9, labelcolor=QUIET, borderpad=0, handlelength=1.4,
    )  # fmt: skip


def _save(figure: Figure, path: Path) -> None:
    with atomic_file(path) as beside:
        figure.savefig(beside, dpi=DOTS_PER_INCH)


def _depth_scale(views: ViewSet) -> Normalize:
    """Return the scale from the nearest to the farthest depth of all views."""
    measured = views.depth[views.silhouettes]
    if len(measured) == 0:
        return Normalize(0, 1)
    near, far = float(measured.min()), float(measured.max())
    return Normalize(near, far if far > near else near + 1)


def _depth_image(depth: NDArray[np.float32], norm: Normalize) -> NDArray[np.float64]:
    """Return a depth map (H, W) as colours (H, W, 3)."""
    image = np.ones((*depth.shape, 3))
    hit = np.isfinite(depth)
    image[hit] = DEPTH_COLORS(norm(depth[hit]))[:, :3]
    image[np.isnan(depth)] = UNMEASURED
    return image


def _size_of(mesh: Mesh, name: str) -> str:
    return f"{name}: {len(mesh.faces):,} triangles"


def _must_have_faces(**meshes: Mesh) -> None:
    for name, mesh in meshes.items():
        if len(mesh.faces) == 0:
            raise InputError(f"{name}: a mesh without faces, so there is nothing to draw")
