"""Fused depth maps of shapes whose surface is known: on it, all of it, and nothing else."""

import igl
import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from shapes import box, cast, joined, off_sphere, rays, rectangle, sphere_views

import backproject as bp
from backproject.fusion import surface as extraction

TURN = Rotation.from_euler("xyz", (0.5, -0.3, 0.9)).as_matrix()
SMALL = bp.Rig.dodecahedron(size=96)
FULL = bp.Rig.dodecahedron()


def footprint(rig, distance=1.5):
    """Return the width of a pixel at the middle of the scene."""
    return distance / rig.intrinsics[0, 0, 0]


def traced(distance, rig):
    """Return the depth maps of a solid by its signed distance (sphere tracing, Hart 1996)."""
    depth = np.full((len(rig), rig.height, rig.width), np.inf)
    for k, (origin, direction) in enumerate(rays(rig)):
        origin, direction = origin.reshape(-1, 3), direction.reshape(-1, 3)
        steps = 1 / np.linalg.norm(direction, axis=1)
        z = np.full(len(direction), 0.3)
        alive = np.arange(len(direction))
        for _ in range(400):
            gap = distance(origin[alive] + z[alive, None] * direction[alive])
            z[alive] += gap * steps[alive]
            hit = alive[gap < 1e-9]
            depth[k].reshape(-1)[hit] = z[hit]
            alive = alive[(gap >= 1e-9) & (z[alive] < 3)]
    return bp.ViewSet(depth, rig)


def torus(points, ring=0.3, tube=0.12):
    p = points @ TURN
    return np.hypot(np.hypot(p[..., 0], p[..., 1]) - ring, p[..., 2]) - tube


def torus_points(count, ring=0.3, tube=0.12):
    """Return points spread over the torus."""
    a, b = np.random.default_rng(1).uniform(0, 2 * np.pi, (2, count))
    around = ring + tube * np.cos(b)
    return np.stack([around * np.cos(a), around * np.sin(a), tube * np.sin(b)], axis=1) @ TURN.T


def cup(points, radius=0.3, half=0.3, wall=0.06):
    """Return the distance to a cup that opens along +y; within the wall's corners a lower bound."""
    x, y, z = np.moveaxis(points, -1, 0)
    across = np.hypot(x, z)

    def cylinder(radius, low, high):
        beyond = np.stack([across - radius, np.abs(y - (low + high) / 2) - (high - low) / 2])
        return np.minimum(beyond.max(axis=0), 0) + np.linalg.norm(np.maximum(beyond, 0), axis=0)

    return np.maximum(cylinder(radius, -half, half), -cylinder(radius - wall, wall - half, 2.0))


def cap_views(rig, *, radius, lowest, center=(0.0, 0.0, 0.0)):
    """Return the depth maps of the part of a sphere without thickness above y = `lowest`."""
    depth = []
    for origin, direction in rays(rig):
        away = origin - center
        a = (direction**2).sum(axis=-1)
        b = (direction * away).sum(axis=-1)
        rest = b**2 - a * ((away**2).sum(axis=-1) - radius**2)
        root = np.sqrt(np.maximum(rest, 0))
        z = np.full(a.shape, np.inf)
        for t in ((-b + root) / a, (-b - root) / a):
            on_it = (rest > 0) & (t > 0) & (origin[..., 1] + t * direction[..., 1] > lowest)
            z = np.where(on_it & (t < z), t, z)
        depth.append(z)
    return bp.ViewSet(np.stack(depth), rig)


def cap_points(count, *, radius, lowest, center=(0.0, 0.0, 0.0)):
    """Return points spread evenly over such a part of a sphere (Archimedes: even in y)."""
    rng = np.random.default_rng(2)
    y = rng.uniform(lowest - center[1], radius, count)
    angle = rng.uniform(0, 2 * np.pi, count)
    across = np.sqrt(radius**2 - y**2)
    return np.stack([across * np.cos(angle), y, across * np.sin(angle)], axis=1) + center


def surface(mesh, count=20_000):
    """Return points spread evenly over a mesh."""
    rng = np.random.default_rng(3)
    faces = rng.choice(len(mesh.faces), count, p=mesh.face_areas / mesh.face_areas.sum())
    shares = rng.dirichlet((1, 1, 1), count)
    return np.einsum("ij,ijk->ik", shares, mesh.triangles[faces])


def distance(points, mesh):
    """Return each point's distance to a mesh."""
    squared = igl.point_mesh_squared_distance(points, mesh.vertices, mesh.faces.astype(np.int64))[0]
    return np.sqrt(squared)


def inside(mesh, points):
    """Return which points a closed mesh holds."""
    return igl.fast_winding_number(mesh.vertices, mesh.faces.astype(np.int64), points) > 0.5


def euler(mesh):
    """Return twice the bodies less twice the holes through them, of a closed mesh."""
    return len(mesh.vertices) - len(mesh.faces) // 2


def volume(mesh):
    return float(np.einsum("ij,ij->", mesh.triangles[:, 0], mesh.area_vectors)) / 3


# --- solids seen from all around


def test_a_sphere_comes_back_within_a_thousandth_of_a_pixel():
    # Triangles cannot follow it: what is left is that they are flat, half of them outside, half in.
    off, outward, either, chord = off_sphere(bp.fuse(sphere_views(0.4, SMALL), resolution=64), 0.4)
    assert abs(outward) < 0.05 * chord
    assert either < 0.35 * chord < 2e-3 * footprint(SMALL)
    assert np.abs(off).max() < 1e-2 * footprint(SMALL)


@pytest.mark.parametrize("size", [256, 384])
def test_more_pixels_than_a_vertex_can_weigh_cost_no_accuracy(size):
    # Hundreds of samples around each vertex: finer pixels may only bring the mesh nearer.
    rig = bp.Rig.dodecahedron(size=size)
    off, outward, either, chord = off_sphere(bp.fuse(sphere_views(0.4, rig), resolution=64), 0.4)
    assert abs(outward) < 0.05 * chord
    assert either < 0.35 * chord
    assert np.abs(off - chord).max() < 1e-2 * footprint(rig) + chord  # some are not lifted


def test_a_torus_comes_back_within_a_hundredth_of_a_pixel():
    mesh = bp.fuse(traced(torus, SMALL), resolution=96)
    error = torus(mesh.vertices)
    assert np.abs(error).mean() < 1e-2 * footprint(SMALL)
    assert abs(error.mean()) < 5e-3 * footprint(SMALL)
    # chords of a circle of the tube's radius, two voxels long, and the vertices' own error
    voxel, tube = 0.84 / 96, 0.12
    assert distance(torus_points(5000), mesh).max() < (2 * voxel) ** 2 / (8 * tube) + 1e-3
    assert mesh.is_watertight


def test_one_body_comes_back_as_one():
    mesh = bp.fuse(traced(torus, SMALL), resolution=128)
    assert euler(mesh) == 0  # one body with one hole through it


def test_full_size_sphere_and_torus_are_within_2e_5():
    # The bound holds over the surface and not only at the vertices.
    error = np.linalg.norm(surface(bp.fuse(sphere_views(0.4, FULL))), axis=1) - 0.4
    assert np.abs(error).mean() < 2e-5
    error = torus(surface(bp.fuse(traced(torus, FULL))))
    assert np.abs(error).mean() < 2e-5


def test_a_turned_box_is_flat_between_its_edges_and_unshrunk():
    turn = bp.Similarity(rotation=TURN)
    mesh = bp.fuse(cast(box(0.5).transformed(turn), SMALL), resolution=64)
    voxel = np.sqrt(3) / 2 / 64
    local = np.abs(mesh.vertices @ TURN)
    off = local.max(axis=1) - 0.25
    flat = np.sort(local, axis=1)[:, 1] < 0.25 - 3 * max(footprint(SMALL), voxel)
    assert flat.mean() > 0.4
    # Depth on a plane is exact: what is left is float32, and where a face is seen at a grazing
    # angle a slope that reaches over its edge.
    assert np.quantile(np.abs(off[flat]), 0.99) < 1e-6
    assert np.abs(off[flat]).max() < 0.01 * footprint(SMALL)
    # At an edge no sample shows how the faces go on: a pixel is the limit.
    assert np.abs(off).max() < footprint(SMALL) + voxel
    corners = box(0.5).transformed(turn)
    assert distance(surface(corners), mesh).max() < footprint(SMALL) + voxel
    assert abs(volume(mesh) / 0.125 - 1) < 0.01


@pytest.mark.parametrize("seed", range(4))
def test_edges_and_corners_of_a_box_come_back_within_half_a_pixel(seed):
    """Beside an edge the slopes of depth are those of neither side, yet its samples lie on one."""
    turn = bp.Similarity(rotation=Rotation.random(random_state=seed).as_matrix())
    truth = box(0.5).transformed(turn)
    mesh = bp.fuse(bp.render(truth, FULL))
    half = footprint(FULL) / 2
    off = distance(mesh.vertices, truth)
    corner = np.linalg.norm(mesh.vertices[:, None] - truth.vertices, axis=2).min(axis=1) < 4 * half
    assert off[~corner].max() < half
    assert off.max() < 1.2 * half  # a corner's three planes may have a single sample each
    assert distance(surface(truth), mesh).max() < half
    missed = distance(truth.vertices, mesh)
    assert missed.max() < half
    assert missed.mean() < 0.4 * half


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("size", "resolution"), [(96, 48), (128, 64), (128, 96), (160, 96)])
def test_fitted_triangles_lie_nearer_to_a_box_than_without_the_fit(
    size, resolution, seed, monkeypatch
):
    """Also where pixels are coarse: a triangle across an edge is not pulled to one side."""
    turn = Rotation.random(random_state=seed).as_matrix()
    views = bp.render(
        box(0.5).transformed(bp.Similarity(rotation=turn)), bp.Rig.dodecahedron(size=size)
    )

    def error():
        beyond = np.abs(surface(bp.fuse(views, resolution=resolution)) @ turn) - 0.25
        outside = np.linalg.norm(np.maximum(beyond, 0), axis=1)
        return (outside + np.abs(np.minimum(beyond.max(axis=1), 0))).mean()

    fitted = error()
    monkeypatch.setattr(extraction, "STEPS", 0)
    assert fitted < error()


@pytest.mark.parametrize("radius", [0.15, 0.4])
@pytest.mark.parametrize(("size", "resolution"), [(96, 48), (128, 128), (160, 64)])
def test_fitted_triangles_lie_nearer_to_a_ball_than_without_the_fit(
    size, resolution, radius, monkeypatch
):
    views = sphere_views(radius, bp.Rig.dodecahedron(size=size))

    def error():
        points = surface(bp.fuse(views, resolution=resolution))
        return np.abs(np.linalg.norm(points, axis=1) - radius).mean()

    fitted = error()
    monkeypatch.setattr(extraction, "STEPS", 0)
    assert fitted < error()


def test_two_near_bodies_stay_two():
    # Two balls with two pixels and three voxels between them; from the side one sees through.
    gap, radius = 0.035, 0.15
    centers = np.array([(-1, 0, 0), (1, 0, 0)]) * (radius + gap / 2) @ TURN.T

    def balls(points):
        return np.linalg.norm(points[..., None, :] - centers, axis=-1).min(axis=-1) - radius

    mesh = bp.fuse(traced(balls, SMALL), resolution=64)
    assert euler(mesh) == 4  # two balls
    assert np.abs(balls(mesh.vertices)).mean() < 0.01 * footprint(SMALL)
    assert np.abs(balls(mesh.vertices)).max() < 0.5 * footprint(SMALL)
    assert abs(volume(mesh) / (8 / 3 * np.pi * radius**3) - 1) < 0.01


def test_touching_bodies_become_one_closed_body():
    both = joined(box(0.3, (-0.15, 0, 0)), box(0.3, (0.15, 0.1, 0)))
    mesh = bp.fuse(cast(both, SMALL), resolution=64)
    assert mesh.is_watertight
    assert euler(mesh) == 2
    assert abs(volume(mesh) / (2 * 0.3**3) - 1) < 0.02


def test_a_cavity_that_is_seen_stays_open():
    rig = bp.Rig.dodecahedron(size=128)
    mesh = bp.fuse(traced(cup, rig), resolution=96)
    voxel = 0.85 / 96
    hollow = np.array([(0.0, y, 0.0) for y in np.linspace(-0.2, 0.35, 12)])
    assert not inside(mesh, hollow).any()
    wall = np.array([(0.27 * np.cos(a), 0, 0.27 * np.sin(a)) for a in np.arange(6)])
    assert inside(mesh, wall).all()
    assert inside(mesh, np.array([(0, -0.27, 0)])).all()
    # The inner foot is a concave edge, rounded by a pixel at most.
    error = np.abs(cup(mesh.vertices))
    assert error.max() < footprint(rig) + voxel
    assert error.mean() < 0.02 * footprint(rig)


# --- surfaces without thickness


@pytest.mark.parametrize(
    "rotation",
    [
        TURN,
        pytest.param(Rotation.from_euler("xyz", (0.05, 0.02, 0.03)).as_matrix()),
        *(pytest.param(np.roll(np.eye(3), k, axis=0)) for k in range(3)),
        *(pytest.param(Rotation.random(random_state=seed).as_matrix()) for seed in (0, 7)),
    ],
    ids=["turned", "nearly along the grid", "z", "y", "x", "random", "another"],
)
def test_a_square_without_thickness_is_a_closed_shell_on_it(rotation):
    turn = bp.Similarity(rotation=rotation)
    square = rectangle((-0.3, -0.3), (0.3, 0.3)).transformed(turn)
    mesh = bp.fuse(bp.render(square, SMALL), resolution=64)
    voxel = 0.6 * np.sqrt(2) / 64
    local = mesh.vertices @ rotation
    beyond = np.abs(local[:, :2]).max(axis=1) - 0.3
    rim = beyond > -3 * voxel
    assert mesh.is_watertight
    # exact, as all planes, but around the vertices whose samples' slopes were off
    assert np.median(np.abs(local[~rim, 2])) < 1e-6
    assert np.abs(local[~rim, 2]).mean() < 1e-3 * voxel
    assert np.abs(local[~rim, 2]).max() < 0.05 * voxel
    assert np.abs(local[:, 2]).max() < voxel  # the shell's half thickness, where it turns round
    assert beyond.max() < footprint(SMALL) + voxel
    assert distance(surface(square), mesh).max() < footprint(SMALL) + voxel / 2
    # two sides, no third layer: a rim of at most a pixel and a voxel more or less
    assert abs(mesh.face_areas.sum() / (2 * 0.36) - 1) < 4 * (footprint(SMALL) + voxel) / 0.6


def test_a_disc_without_thickness_is_covered_without_holes():
    corners = np.stack([np.cos(a := np.arange(48) * np.pi / 24), np.sin(a), 0 * a], axis=1) * 0.35
    fan = np.stack([np.full(48, 48), np.arange(48), np.roll(np.arange(48), -1)], axis=1)
    disc = bp.Mesh(np.concatenate([corners, np.zeros((1, 3))]) @ TURN.T, fan)
    mesh = bp.fuse(bp.render(disc, SMALL), resolution=64)
    voxel = 0.7 / 64
    off = np.abs(mesh.vertices @ TURN[:, 2])
    assert np.quantile(off, 0.9) < 0.01 * voxel
    assert off.max() < voxel  # the shell's half thickness, where it turns round
    assert distance(surface(disc), mesh).max() < footprint(SMALL) + voxel / 2
    assert euler(mesh) == 2  # a hole would make a ring of it


@pytest.mark.parametrize(
    ("radius", "lowest", "center"),
    [(0.8, 0.15, (0, -0.6, 0)), (0.4, 0.0, (0, 0, 0)), (0.4, -0.35, (0, 0, 0))],
    ids=["a lens", "a bowl", "a sphere with a hole"],
)
def test_an_open_scan_keeps_its_surface(radius, lowest, center):
    views = cap_views(SMALL, radius=radius, lowest=lowest, center=center)
    mesh = bp.fuse(views, resolution=64)
    truth = cap_points(5000, radius=radius, lowest=lowest, center=center)
    voxel = np.ptp(truth, axis=0).max() / 64
    assert mesh.is_watertight
    # chords of a voxel or two, and a pixel at the rim, where no sample lies
    assert distance(truth, mesh).max() < footprint(SMALL) + voxel
    off = np.abs(np.linalg.norm(mesh.vertices - center, axis=1) - radius)
    open_end = mesh.vertices[:, 1] < lowest + 3 * voxel
    assert np.median(off[~open_end]) < 0.02 * voxel
    assert np.quantile(off[~open_end], 0.95) < 0.5 * voxel


def test_an_empty_bowl_is_not_filled():
    # Its hollow is seen from above: what it holds is air.
    mesh = bp.fuse(cap_views(SMALL, radius=0.4, lowest=0.0), resolution=64)
    hollow = np.array([(0.0, y, 0.0) for y in (0.05, 0.15, 0.25, 0.35)])
    assert not inside(mesh, hollow).any()


@pytest.mark.parametrize("pixels", [0.7, 1.0, 2.0])
def test_a_thin_wire_is_there_along_its_length(pixels):
    rig = bp.Rig.dodecahedron(size=128)
    thick = pixels * footprint(rig) / 2
    along = TURN[:, 0]

    def wire(points):
        t = np.clip(points @ along, -0.4, 0.4)
        return np.linalg.norm(points - t[..., None] * along, axis=-1) - thick

    mesh = bp.fuse(traced(wire, rig), resolution=96)
    voxel = 0.8 / 96
    assert mesh.is_watertight
    axis = np.linspace(-0.4, 0.4, 400)[:, None] * along
    # Nowhere broken, and nowhere more than a voxel's diagonal and a pixel off.
    assert distance(axis, mesh).max() < thick + footprint(rig)
    assert wire(mesh.vertices).max() < footprint(rig) + np.sqrt(3) * voxel
