"""A result as one page: in 3D, in numbers, view by view, and how it was made."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike

from backproject.cloud.unproject import backproject
from backproject.errors import InputError
from backproject.geometry.cloud import PointCloud
from backproject.geometry.mesh import Mesh
from backproject.geometry.views import ViewSet
from backproject.metrics.compare import Measured, measure
from backproject.metrics.visibility import inferred_fraction
from backproject.progress import Progress, silent
from backproject.report.display import Stage
from backproject.report.in_3d import section_in_3d
from backproject.report.in_numbers import section_in_numbers
from backproject.report.in_views import section_of_depth_maps, section_of_self_test
from backproject.report.making import Making, section_of_making
from backproject.report.markup import element, joined
from backproject.report.page import data, document, packaged, script, tiles, write_page
from backproject.report.result import Result
from backproject.report.scene import Scene
from backproject.report.scoring import curves
from backproject.report.selftest import self_test

STAGE = "writing the report"


def write_report(
    path: str | PathLike[str],
    mesh: Mesh,
    *,
    truth: Mesh | None = None,
    views: ViewSet | None = None,
    title: str = "Reconstruction",
    cloud: PointCloud | None = None,
    measured: Measured | None = None,
    making: Making | None = None,
    threads: int = 0,
    progress: Progress = silent,
) -> None:
    """Write a page about a mesh that opens in any browser, offline, and holds all it shows.

    With `truth` it tells how far the mesh is from it; with the `views` that the mesh was made of,
    how far it is from them; without, what cannot be told. All lie in the same coordinates. `cloud`
    and `measured` are made of the others where they are not given. `making` tells the command, its
    settings and the seconds it took. docs/report.md says what the page shows, and how.

    Raises:
        InputError: a mesh without area, or views that see nothing of the truth.
        OutputError: `path` cannot be written.

    """
    for name, each in (("mesh", mesh), ("truth", truth)):
        if each is not None and not each.face_areas.any():
            raise InputError(f"{name}: {len(each.faces)} faces without any area: nothing to show")
    progress(STAGE, 0.0)
    if truth is not None and measured is None:
        measured = measure(mesh, truth, views=views, threads=threads)
    if views is not None and cloud is None:
        cloud = backproject(views, threads=threads)
    stage = Stage.around(truth or mesh, views.rig if views else None)
    test = self_test(mesh, views, stage.diameter, threads=threads) if views else None
    result = Result(mesh, truth, views, cloud, measured, test, stage, making or Making(), threads)
    progress(STAGE, 0.2)
    write_page(_page(result, title), path)
    progress(STAGE, 1.0)


def _page(result: Result, title: str) -> str:
    from plotly.offline import get_plotlyjs

    scene = Scene(result)
    arrays, drawn = scene.arrays()
    sections = [section_in_3d(result, scene, drawn), section_in_numbers(result)]
    if result.views and result.test:
        sections += [
            section_of_depth_maps(result.views, *result.depth_scale),
            section_of_self_test(result.views, result.test),
        ]
    curve = [data(curves(result.measured), "curve-data")] if result.measured else []
    return document(
        title=title,
        lead=joined(element("p", _summary(result), class_="lead"), tiles(_figures(result))),
        sections=[*sections, section_of_making(result.making, result.views)],
        scripts=[
            data(arrays, "scene-data"),
            *curve,
            script(get_plotlyjs()),
            script(packaged("scene.js")),
        ],
        style=packaged("scene.css"),
    )


def _summary(result: Result) -> str:
    told = f"A mesh of {len(result.mesh.faces):,} triangles"
    if result.views:
        count, rig = len(result.views), result.views.rig
        maps = f"{count} depth map{'s' * (count != 1)}"
        told += f", made of {maps} of {rig.width} x {rig.height} pixels"
    if result.truth:
        return f"{told}, and compared with the truth, of {len(result.truth.faces):,} triangles."
    return f"{told}. The truth is not known."


def _figures(result: Result) -> Iterator[tuple[str, str, str]]:
    """Yield value, name and remark of what is asked for first."""
    if result.measured:
        scores = result.measured.scores
        best = scores.f_scores[0]
        yield f"{best.f:.4f}", f"F-score at {best.tau:g}", "1 is best"
        yield f"{scores.chamfer:.1e}", "Chamfer", "diameters, mean of both ways"
    if result.test:
        yield f"{result.test.overall.median:.1e}", "Self-test", "diameters, median of depth"
    yield "yes" if result.mesh.is_watertight else "no", "Watertight", "every edge joins two faces"
    if result.mesh.support is not None:
        yield f"{inferred_fraction(result.mesh):.1%}", "Inferred", "area that no camera saw"
    yield f"{len(result.mesh.faces):,}", "Triangles", "of the reconstruction"
    if result.making.seconds:
        yield f"{result.making.total:.1f} s", "Time", "all stages"
