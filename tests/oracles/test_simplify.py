"""Simplification: fewer triangles, both surfaces within the tolerance, and proved to be."""

import numpy as np
import pytest
from shapes import box, cast, joined, rectangle, sphere

import backproject as bp
from backproject.cli.main import main
from backproject.geometry.transform import Similarity
from backproject.metrics.compare import distances_to
from backproject.metrics.sampling import sample_surface
from backproject.simplification.bound import Target
from backproject.simplification.decimate import Surface

TOLERANCE = 0.01
TURN = np.array([[0.8, -0.6, 0], [0.48, 0.64, -0.6], [0.36, 0.48, 0.8]])


def hausdorff(one, other):
    """Return the largest distance found from either surface, from many points on both."""
    there = distances_to(other, sample_surface(one, 30_000)[0])
    back = distances_to(one, sample_surface(other, 30_000)[0])
    corners = distances_to(other, one.vertices), distances_to(one, other.vertices)
    return max(there.max(), back.max(), corners[0].max(), corners[1].max())


def cap():
    """Return the upper half of a sphere, open, every vertex with a support of its own."""
    whole = sphere(1.0, splits=4)
    faces = whole.faces[(whole.triangles[:, :, 2] > -1e-9).all(axis=1)]
    used, faces = np.unique(faces, return_inverse=True)
    return bp.Mesh(whole.vertices[used], faces.reshape(-1, 3), np.arange(len(used)))


def leaves_out(target, asked, reach):
    return Target.of(target.triangles).leaves_out(asked.triangles, reach)


def test_a_fused_box_is_twelve_triangles_again():
    turn = Similarity(rotation=TURN)
    truth = box(0.5).transformed(turn)
    fused = bp.fuse(cast(truth, bp.Rig.dodecahedron(size=128)), resolution=128)
    # beyond an edge or a corner nothing was seen for up to a pixel's footprint
    footprint = 1.5 * 2 * np.tan(np.radians(43.0) / 2) / 128
    result = bp.simplify(fused, tolerance=1.5 * footprint)
    assert len(result.faces) == 12
    assert result.is_watertight
    gap = np.linalg.norm(truth.vertices[:, None] - result.vertices[None], axis=2).min(axis=1)
    assert gap.max() < 1e-3


@pytest.mark.parametrize("shape", [sphere(1.0, splits=5), cap()], ids=["closed", "open"])
def test_both_surfaces_lie_within_the_tolerance_of_each_other(shape):
    result = bp.simplify(shape, tolerance=TOLERANCE)
    assert len(result.faces) < len(shape.faces) / 4
    assert hausdorff(shape, result) <= TOLERANCE
    assert result.is_watertight == shape.is_watertight


def test_a_smaller_tolerance_keeps_more():
    shape = sphere(1.0, splits=4)
    counts = [len(bp.simplify(shape, tolerance=t).faces) for t in (0.002, 0.01, 0.05)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[2]


def test_unit_and_place_do_not_matter():
    shape = sphere(1.0, splits=4)
    there = Similarity(1000.0, translation=[5e4, -2e4, 1e4])
    near = bp.simplify(shape, tolerance=TOLERANCE)
    far = bp.simplify(shape.transformed(there), tolerance=1000 * TOLERANCE)
    assert hausdorff(far.transformed(there.inverse()), shape) <= TOLERANCE * (1 + 1e-9)
    assert far.is_watertight
    assert abs(len(far.faces) - len(near.faces)) < 0.1 * len(near.faces)


def test_a_thorn_survives_a_tolerance_below_its_height():
    shape = sphere(1.0, splits=5)
    vertices = shape.vertices.copy()
    top = vertices[:, 2].argmax()
    vertices[top] *= 1.05
    thorny = bp.Mesh(vertices, shape.faces)
    result = bp.simplify(thorny, tolerance=TOLERANCE)
    assert len(result.faces) < len(shape.faces) / 4
    assert hausdorff(thorny, result) <= TOLERANCE


def test_support_is_that_of_the_nearest_vertex():
    shape = cap()
    result = bp.simplify(shape, tolerance=TOLERANCE)
    gaps = np.linalg.norm(result.vertices[:, None] - shape.vertices[None], axis=2)
    assert np.array_equal(result.support, shape.support[gaps.argmin(axis=1)])


def test_without_support_there_is_none():
    assert bp.simplify(sphere(1.0, splits=3), tolerance=TOLERANCE).support is None


def test_a_mesh_that_is_no_manifold_is_simplified_too():
    """Two spheres that share a vertex, and three rectangles that share an edge."""
    balls = joined(sphere(1.0, splits=4), sphere(1.0, splits=4))
    vertices = balls.vertices.copy()
    half = len(vertices) // 2
    vertices[half:] -= 2 * vertices[:half][vertices[:half, 2].argmin()] * [0, 0, -1]
    _, index = np.unique(vertices.round(9), axis=0, return_inverse=True)
    corners = np.zeros((index.max() + 1, 3))
    corners[index] = vertices
    touching = bp.Mesh(corners, index[balls.faces])
    assert len(corners) == len(vertices) - 1
    result = bp.simplify(touching, tolerance=TOLERANCE)
    assert len(result.faces) < len(touching.faces)
    assert hausdorff(touching, result) <= TOLERANCE

    fins = np.array([[0, 0, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0], [-1, 0, 0.0]])
    spread = bp.Mesh(fins, np.array([[0, 1, 2], [0, 1, 3], [0, 1, 4]]))
    assert hausdorff(spread, bp.simplify(spread, tolerance=TOLERANCE)) <= TOLERANCE


def test_what_cannot_be_simpler_comes_back():
    assert len(bp.simplify(box(), tolerance=TOLERANCE).faces) == 12
    mesh = sphere(1.0, splits=2)
    assert bp.simplify(mesh, tolerance=0) is mesh
    empty = bp.Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int32))
    assert bp.simplify(empty, tolerance=1.0) is empty


@pytest.mark.parametrize("tolerance", [-1.0, np.inf, np.nan])
def test_a_tolerance_that_is_none_is_refused(tolerance):
    with pytest.raises(bp.InputError, match="tolerance"):
        bp.simplify(box(), tolerance=tolerance)


def test_the_bound_is_refused_to_a_mesh_that_is_too_coarse():
    """An icosphere of 80 triangles lies up to 1 - 0.946 = 0.054 within the sphere."""
    fine, coarse = sphere(1.0, splits=5), sphere(1.0, splits=1)
    sagitta = 1 - np.linalg.norm(coarse.triangles.mean(axis=1), axis=1).min()
    assert leaves_out(fine, coarse, 0.9 * sagitta).any()
    assert leaves_out(coarse, fine, 0.9 * sagitta).any()
    assert not leaves_out(fine, coarse, 1.2 * sagitta).any()
    assert not leaves_out(coarse, fine, 1.2 * sagitta).any()


def test_the_bound_sees_what_happens_between_vertices():
    """A flat lid over a narrow pit has all its corners on the surface, and its middle far from
    it.
    """
    lid = rectangle((-1, -1), (1, 1))
    pit = [(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0), (0.3, 0.1, -0.5)]
    pierced = bp.Mesh(np.array(pit), np.array([(0, 1, 4), (1, 2, 4), (2, 3, 4), (3, 0, 4)]))
    assert leaves_out(pierced, lid, 0.1).any()
    assert leaves_out(lid, pierced, 0.1).all()
    assert not leaves_out(lid, pierced, 0.5).any()


@pytest.mark.parametrize("height", [0.05, 0.089])
def test_the_bound_is_proved_across_many_triangles_up_to_a_tenth_of_it(height):
    floor = bp.Mesh(*grid(20))
    roof = rectangle((0.0, 0.0), (1.0, 1.0), height)
    assert not leaves_out(floor, roof, 0.1).any()
    assert not leaves_out(roof, floor, 0.1).any()
    assert leaves_out(floor, roof, 0.9 * height).all()


def grid(n):
    """Return the vertices and faces of the unit square in 2 n n triangles."""
    line = np.linspace(0, 1, n + 1)
    vertices = np.stack([*np.meshgrid(line, line, indexing="ij"), np.zeros((n + 1, n + 1))], -1)
    corner = (np.arange(n)[:, None] * (n + 1) + np.arange(n)).ravel()
    low = np.stack([corner, corner + n + 1, corner + n + 2], axis=1)
    high = np.stack([corner, corner + n + 2, corner + 1], axis=1)
    return vertices.reshape(-1, 3), np.concatenate([low, high])


def test_fans_that_touch_at_a_vertex_are_cut_apart():
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0.0]])
    surface = Surface.manifold(vertices, np.array([[0, 1, 2], [0, 3, 4]], np.int32))
    assert len(surface.vertices) == 6
    assert np.array_equal(surface.triangles, vertices[[[0, 1, 2], [0, 3, 4]]])


def test_the_commands_simplify_and_say_how_far(tmp_path, capsys):
    sphere(1.0, splits=4).save(tmp_path / "ball.ply")
    ball, fewer = str(tmp_path / "ball.ply"), str(tmp_path / "fewer.ply")
    assert main(["simplify", ball, "-o", fewer, "--tolerance", "0.01"]) == 0
    assert "of 5,120 triangles, 0.01 from" in capsys.readouterr().out
    result = bp.Mesh.load(fewer)
    assert len(result.faces) < 1500
    # the file holds single precision
    assert hausdorff(sphere(1.0, splits=4), result) <= TOLERANCE + 1e-6

    views = bp.render(box(), bp.Rig.fibonacci(8, distance=3, size=64))
    views.save(tmp_path / "capture")
    fuse = ["fuse", str(tmp_path / "capture"), "-o", fewer, "--resolution", "48"]
    assert main(fuse) == 0
    whole = len(bp.Mesh.load(fewer).faces)
    assert main([*fuse, "--simplify", "0.02"]) == 0
    assert len(bp.Mesh.load(fewer).faces) < whole / 4
    assert main([*fuse, "--simplify", "-1"]) == 1
    assert "--simplify" in capsys.readouterr().err
    assert main(["simplify", ball, "-o", ball, "--tolerance", "0.01"]) == 1
