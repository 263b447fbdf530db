"""What fusing must not depend on, what it must always give, and what must never throw it."""

import tracemalloc

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse import csgraph
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

import backproject as bp
from backproject.fusion.evidence import Evidence, sample

RIG = bp.Rig.fibonacci(12, size=64)
PIXEL = 1.5 / RIG.intrinsics[0, 0, 0]
TURN = Rotation.from_euler("xyz", (0.5, -0.3, 0.9)).as_matrix()


def turned(shape):
    return bp.Mesh(np.asarray(shape.vertices) @ TURN.T, np.asarray(shape.faces))


def soup(seed, count=12):
    """Return random triangles, through each other and open."""
    corners = np.random.default_rng(seed).uniform(-0.3, 0.3, (3 * count, 3))
    return bp.Mesh(corners, np.arange(3 * count).reshape(-1, 3))


SHAPES = {
    "ball": turned(trimesh.creation.icosphere(subdivisions=3, radius=0.4)),
    "box": turned(trimesh.creation.box((0.5, 0.3, 0.2))),
    "box along the grid": bp.Mesh(
        *(lambda b: (b.vertices, b.faces))(trimesh.creation.box([0.4] * 3))
    ),
    "torus": turned(trimesh.creation.torus(0.3, 0.1)),
    "tube": turned(trimesh.creation.annulus(0.2, 0.25, 0.5)),
    "wire": turned(trimesh.creation.cylinder(0.006, 0.8)),
    "square": bp.Mesh(
        0.3 * np.array([(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)]) @ TURN.T,
        np.array([(0, 1, 2), (0, 2, 3)]),
    ),
    **{f"soup {seed}": soup(seed) for seed in range(5)},
}
BALL = bp.render(SHAPES["ball"], RIG)
BOX = bp.render(SHAPES["box"], RIG)


def fans(mesh):
    """Return how many fans of faces there are round the vertices: as many as vertices, if each has
    one. Needs a watertight mesh.
    """
    start = mesh.faces.astype(np.int64).ravel()
    end = np.roll(mesh.faces, -1, axis=1).astype(np.int64).ravel()
    size = len(mesh.vertices)
    forward, backward = start * size + end, end * size + start
    order = np.argsort(forward)
    twin = order[np.searchsorted(forward, backward, sorter=order)]
    corner = np.arange(len(start))
    after_twin = twin - twin % 3 + (twin % 3 + 1) % 3  # the same vertex, in the next face round it
    graph = sparse.coo_matrix((np.ones(len(start)), (corner, after_twin)), (len(start),) * 2)
    return csgraph.connected_components(graph)[0]


def assert_manifold(mesh):
    assert mesh.is_watertight
    assert np.array_equal(np.unique(mesh.faces), np.arange(len(mesh.vertices)))
    assert fans(mesh) == len(mesh.vertices)
    assert (mesh.face_areas > 0).all()


def samples_box(views):
    cloud = bp.backproject(views)
    return cloud.points.min(axis=0), cloud.points.max(axis=0)


def assert_within(mesh, low, high, slack):
    assert (mesh.vertices >= low - slack).all()
    assert (mesh.vertices <= high + slack).all()


def apart(one, other):
    """Return the greatest distance from a vertex of either mesh to the nearest of the other."""
    there = cKDTree(other.vertices).query(one.vertices)[0].max()
    return max(there, cKDTree(one.vertices).query(other.vertices)[0].max())


def volume(mesh):
    return float(np.einsum("ij,ij->", mesh.triangles[:, 0], mesh.area_vectors)) / 3


def with_depth(views, change):
    depth = views.depth.copy()
    change(depth)
    return bp.ViewSet(depth, views.rig)


def peak_memory(views, *, resolution):
    """Return the most bytes that fusing held at a time, of what numpy and Python allocate."""
    tracemalloc.start()
    try:
        bp.fuse(views, resolution=resolution, threads=1)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_fans_are_counted():
    # Two tetrahedra that share a corner: closed, but no manifold there.
    faces = np.array([(0, 2, 1), (0, 1, 3), (1, 2, 3), (0, 3, 2)])
    other = np.where(faces == 0, 0, faces + 3)
    mesh = bp.Mesh(np.random.default_rng(0).normal(size=(7, 3)), np.concatenate([faces, other]))
    assert mesh.is_watertight
    assert fans(mesh) == len(mesh.vertices) + 1


# --- always a closed manifold


@pytest.mark.parametrize("resolution", [8, 33, 64])
@pytest.mark.parametrize("name", SHAPES)
def test_any_shape_gives_a_closed_manifold(name, resolution):
    assert_manifold(bp.fuse(bp.render(SHAPES[name], RIG), resolution=resolution))


depths = st.one_of(st.floats(0.0625, 4.0, width=32), st.just(np.inf), st.just(np.nan))


@pytest.mark.filterwarnings("ignore::backproject.ContradictionWarning")
@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(2, 12), st.sampled_from([8, 24]))
def test_noise_gives_a_closed_manifold_or_says_why_not(seed, count, size, resolution):
    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.8, 2.2, (count, size, size))
    share = rng.random(2)
    depth[rng.random(depth.shape) < share[0] / 2] = np.inf
    depth[rng.random(depth.shape) < share[1] / 2] = np.nan
    views = bp.ViewSet(depth, bp.Rig.fibonacci(count, size=size))
    try:
        mesh = bp.fuse(views, resolution=resolution)
    except bp.ReconstructionError:
        return
    assert_manifold(mesh)


@pytest.mark.filterwarnings("ignore::backproject.ContradictionWarning")
@settings(max_examples=40)
@given(st.lists(depths, min_size=32, max_size=32))
def test_any_two_tiny_depth_maps_do_no_harm(values):
    views = bp.ViewSet(np.reshape(values, (2, 4, 4)), bp.Rig.fibonacci(2, size=4))
    try:
        mesh = bp.fuse(views, resolution=16)
    except bp.ReconstructionError:
        return
    assert_manifold(mesh)


@pytest.mark.parametrize("size", [1, 2, 3, (1, 7), (7, 1), (2, 1), (2, 9), 8])
@pytest.mark.parametrize("resolution", [8, 48, 200])
def test_tiny_images_do_no_harm(size, resolution):
    # Pixels are many voxels wide here: neither table nor neighbours may be overrun.
    views = bp.render(SHAPES["ball"], bp.Rig.fibonacci(6, size=size, fov_deg=25.0))
    try:
        mesh = bp.fuse(views, resolution=resolution)
    except bp.ReconstructionError:
        return
    assert_manifold(mesh)


@pytest.mark.parametrize("resolution", [16, 512])
def test_resolutions_at_both_ends_work(resolution):
    # Neither knows more than the depth maps do.
    views = bp.render(SHAPES["wire"], RIG)
    mesh = bp.fuse(views, resolution=resolution)
    assert_manifold(mesh)
    assert_within(mesh, *samples_box(views), PIXEL + 2 * 0.8 / resolution)


@pytest.mark.parametrize("shape", ["ball", "box", "tube"])
def test_voxels_much_wider_than_pixels_rest_on_their_samples(shape):
    # More samples lie around a vertex than are held at once, and its first step can miss them.
    views = bp.render(SHAPES[shape], bp.Rig.dodecahedron(size=400))
    mesh = bp.fuse(views, resolution=16)
    assert mesh.support.min() > 0
    voxel = np.ptp(SHAPES[shape].vertices, axis=0).max() / 16
    assert bp.compare(mesh, SHAPES[shape], views=views).accuracy < 0.05 * voxel


def test_too_few_voxels_are_refused():
    with pytest.raises(bp.InputError, match="resolution"):
        bp.fuse(BALL, resolution=7)


def test_more_voxels_than_pixels_invent_nothing():
    views = bp.render(SHAPES["ball"], bp.Rig.fibonacci(12, size=24))
    mesh = bp.fuse(views, resolution=160)
    assert len(mesh.vertices) - len(mesh.faces) / 2 == 2  # one ball


@pytest.mark.parametrize("surface", ["solid", "seen"])
def test_no_piece_is_smaller_than_a_body_can_be(surface):
    # Two views from opposite sides: between their pixels, specks and bubbles are left.
    views = bp.render(SHAPES["ball"], bp.Rig.fibonacci(2, size=64))
    mesh = bp.fuse(views, resolution=96, surface=surface)
    a, b, c = mesh.faces.T
    ends = np.concatenate([a, b]), np.concatenate([b, c])
    edges = sparse.coo_array((np.ones(2 * len(a)), ends), (len(mesh.vertices),) * 2)
    _, piece = csgraph.connected_components(edges, directed=False)
    assert np.bincount(piece[a]).min() >= 30


def test_memory_follows_the_surface():
    views = bp.render(SHAPES["ball"], bp.Rig.fibonacci(12, size=160))
    coarse, fine = (peak_memory(views, resolution=r) for r in (160, 320))
    # Twice the resolution: 4 times the surface, 8 times the space; the samples are as many.
    assert fine < 4 * coarse


# --- what changes nothing


@pytest.mark.parametrize("scale", [1e-3, 1e4])
def test_units_and_place_move_the_result_along(scale):
    motion = bp.Similarity(scale, TURN.T @ TURN.T, np.array([800.0, -600.0, 300.0]) * scale)
    views = bp.render(SHAPES["torus"], RIG)
    here = bp.fuse(views, resolution=48)
    there = bp.fuse(views.transformed(motion), resolution=48).transformed(motion.inverse())
    truth = SHAPES["torus"]
    # The grid lies elsewhere, so the meshes agree as well as either agrees with the truth.
    errors = [bp.compare(mesh, truth, samples=20_000, threads=1) for mesh in (here, there)]
    assert errors[1].accuracy < 1.2 * errors[0].accuracy
    assert errors[1].completeness < 1.2 * errors[0].completeness
    assert abs(volume(there) / volume(here) - 1) < 1e-3


@pytest.mark.parametrize("views", [BALL, BOX], ids=["ball", "box"])
@pytest.mark.parametrize("scale", [1e-3, 1024.0])
def test_units_alone_change_nothing_but_the_last_digits(views, scale):
    motion = bp.Similarity(scale)
    here, there = bp.fuse(views, resolution=48), bp.fuse(views.transformed(motion), resolution=48)
    # float32 depth rounds anew: 1.5 * 6e-8, and corners that are just free can turn
    assert apart(here, there.transformed(motion.inverse())) < 0.5 * PIXEL
    assert abs(volume(there) / scale**3 / volume(here) - 1) < 1e-4


@settings(max_examples=6)
@given(st.permutations(range(12)))
def test_the_order_of_the_views_changes_nothing(order):
    one, other = bp.fuse(BOX, resolution=48), bp.fuse(BOX.subset(order), resolution=48)
    assert np.array_equal(one.faces.shape, other.faces.shape)
    # Sums in another order: 7 samples or 200, 1e-16 each, and steps that stop at 1e-4 of a width.
    assert np.abs(one.vertices - other.vertices).max() < 1e-4 * PIXEL


@pytest.mark.parametrize("name", ["box", "soup 1"])
def test_threads_change_no_byte(name):
    views = bp.render(SHAPES[name], RIG)
    one, two = (bp.fuse(views, resolution=64, threads=n) for n in (1, 2))
    assert one.vertices.tobytes() == two.vertices.tobytes()
    assert one.faces.tobytes() == two.faces.tobytes()


@settings(max_examples=20)
@given(st.permutations(range(6)), st.integers(2, 5))
def test_neither_threads_nor_the_order_of_the_views_decide_a_close_vote(order, threads):
    # From one place, samples fall on the very middles of pixels: rounding tells beside which.
    pose = np.eye(4)
    pose[:3, :3] = TURN
    lens = np.array([(64, 0, 24), (0, 64, 24), (0, 0, 1)])
    depth = np.random.default_rng(0).uniform(0.9, 1.1, (6, 48, 48))
    views = bp.ViewSet.from_arrays(depth, lens, np.array([pose] * 6))

    def kept(views, threads):
        evidence = Evidence.of(views, threads=threads)
        return sample(views, evidence, noise=0.0, threads=threads).points

    points = kept(views, 1)
    assert 0 < len(points) < depth.size
    assert kept(views, threads).tobytes() == points.tobytes()
    there = kept(views.subset(order), 1)
    assert {tuple(p) for p in there} == {tuple(p) for p in points}


def test_progress_of_each_stage_ends_at_one():
    heard = []
    bp.fuse(BALL, resolution=16, progress=lambda *news: heard.append(news))
    last = dict(heard)
    assert last
    assert set(last.values()) == {1.0}


# --- nan says nothing


def test_background_turned_to_nan_only_grows_the_solid():
    cloudless = with_depth(BOX, lambda d: d.__setitem__(np.isinf(d), np.nan))
    known, unknown = bp.fuse(BOX, resolution=48), bp.fuse(cloudless, resolution=48)
    assert volume(unknown) > volume(known) * (1 - 1e-3)
    assert_within(unknown, *samples_box(BOX), 2 * PIXEL)


@pytest.mark.parametrize("share", [0.02, 0.3])
def test_pixels_that_were_not_measured_carve_no_hole(share):
    gone = np.random.default_rng(4).random(BALL.depth.shape) < share
    patchy = bp.fuse(with_depth(BALL, lambda d: d.__setitem__(gone, np.nan)), resolution=48)
    assert_manifold(patchy)
    radius = np.linalg.norm(patchy.vertices, axis=1)
    # A hole in the shell may cost the region behind it, which is at most four voxels deep.
    assert radius.min() > 0.4 - 4 * (0.8 / 48)
    assert np.quantile(radius, 0.01) > 0.4 - PIXEL
    # Where the background is not known either, it may grow, and little of it does.
    assert np.quantile(radius, 0.99) < 0.4 + PIXEL
    assert abs(volume(patchy) / volume(bp.fuse(BALL, resolution=48)) - 1) < 1e-2


def test_an_empty_view_and_an_unmeasured_one_do_not_undo_the_others():
    # One that claims to see nothing at all carves what no other view holds: the shell stays.
    views = with_depth(BALL, lambda d: d.__setitem__(3, np.nan))
    mesh = bp.fuse(views, resolution=48)
    assert_manifold(mesh)
    assert abs(volume(mesh) / volume(bp.fuse(BALL, resolution=48)) - 1) < 1e-2
    views = with_depth(views, lambda d: d.__setitem__(5, np.inf))
    mesh = bp.fuse(views, resolution=48)
    assert_manifold(mesh)
    rest = np.arange(12) != 5
    outer = np.linalg.norm(bp.backproject(views.subset(rest)).points, axis=1).max()
    assert np.linalg.norm(mesh.vertices, axis=1).max() < outer + 2 * PIXEL
    near = cKDTree(mesh.vertices).query(bp.backproject(views).points)[0]
    assert np.quantile(near, 0.99) < 2 * PIXEL


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_no_depth_at_all_is_said(value):
    with pytest.raises(bp.ReconstructionError, match="nothing to fuse"):
        bp.fuse(with_depth(BALL, lambda d: d.__setitem__(slice(None), value)))


# --- the image's border


def test_what_the_border_cuts_is_not_carved_there():
    # Two of the views see a part of the ball each; the others see all of it.
    whole = bp.fuse(BALL, resolution=48)
    depth = np.full_like(BALL.depth, np.inf)
    half = bp.Rig(
        BALL.rig.intrinsics + np.array([[0, 0, -40.0], [0, 0, 0], [0, 0, 0]]),
        BALL.rig.world_from_camera, 64, 64,
    )  # fmt: skip
    depth = BALL.depth.copy()
    intrinsics = BALL.rig.intrinsics.copy()
    close = bp.render(SHAPES["ball"], half)
    for k in (0, 5):
        depth[k], intrinsics[k] = close.depth[k], half.intrinsics[k]
    assert np.isfinite(depth[0][:, 0]).any()  # it is cut
    rig = bp.Rig(intrinsics, BALL.rig.world_from_camera, 64, 64)
    cut = bp.fuse(bp.ViewSet(depth, rig), resolution=48)
    assert_manifold(cut)
    assert np.abs(np.linalg.norm(cut.vertices, axis=1) - 0.4).max() < PIXEL
    assert abs(volume(cut) / volume(whole) - 1) < 2e-3


def test_an_object_larger_than_every_image_is_solid():
    # All images are full of it: nothing is known to be free behind what they show.
    near = bp.render(SHAPES["ball"], bp.Rig.fibonacci(20, size=64, fov_deg=20.0))
    assert np.isfinite(near.depth).all()
    mesh = bp.fuse(near, resolution=48)
    assert_manifold(mesh)
    assert abs(volume(mesh) / (4 / 3 * np.pi * 0.4**3) - 1) < 0.02


# --- what flies


@pytest.mark.parametrize("value", [1e-3, 0.2, 0.9, 2.0, 5.0, 1e3, 1e10])
@pytest.mark.parametrize("pixels", [1, 4], ids=["one", "a row of four"])
def test_what_flies_changes_neither_bounds_nor_result(value, pixels):
    flying = with_depth(BALL, lambda d: d.__setitem__((0, 3, slice(3, 3 + pixels)), value))
    mesh, clean = bp.fuse(flying, resolution=48), bp.fuse(BALL, resolution=48)
    assert_manifold(mesh)
    assert np.abs(np.linalg.norm(mesh.vertices, axis=1) - 0.4).max() < PIXEL
    assert abs(volume(mesh) / volume(clean) - 1) < 1e-3


def test_what_flies_costs_no_memory():
    flying = with_depth(BALL, lambda d: d.__setitem__((0, 3, 3), 1e6))
    bp.fuse(flying, resolution=48, threads=1)  # what is compiled or loaded first is held, too
    assert peak_memory(flying, resolution=48) < 1.1 * peak_memory(BALL, resolution=48)


@pytest.mark.parametrize("value", [3.0, 1e3])
@pytest.mark.parametrize(
    "rig",
    [
        bp.Rig.dodecahedron(size=48),
        bp.Rig.turntable(36, size=48),
        bp.Rig.fibonacci(40, size=48),
    ],
    ids=["dodecahedron", "turntable", "fibonacci"],
)
def test_one_stray_pixel_anywhere_never_grows_the_bounds(rig, value):
    views = bp.render(SHAPES["ball"], rig)
    clean = bp.fuse(views, resolution=32)
    low, high = clean.vertices.min(axis=0), clean.vertices.max(axis=0)
    rng = np.random.default_rng(6)
    for place in zip(*rng.integers(0, [[len(rig)], [48], [48]], (3, 14)), strict=True):
        mesh = bp.fuse(
            with_depth(views, lambda d, at=place: d.__setitem__(at, value)), resolution=32
        )
        # Its neighbours lose their slope, and the rays around it carve less: a pixel's width.
        assert_within(mesh, low, high, 1.5 / rig.intrinsics[0, 0, 0])


def test_a_flying_patch_that_no_other_view_could_see_does_not_take_the_bounds():
    def throw(depth):
        depth[0, 3:7, 3:7] = 100.0

    mesh = bp.fuse(with_depth(BALL, throw), resolution=48)
    middle = mesh.vertices[np.linalg.norm(mesh.vertices, axis=1) < 1]
    assert len(middle) > 1000
    assert np.abs(np.linalg.norm(middle, axis=1) - 0.4).max() < PIXEL


# --- few views


@pytest.mark.parametrize("name", ["ball", "box", "square", "soup 0"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_views_are_bounded_by_what_they_saw(name, count):
    rig = (
        bp.Rig.fibonacci(count, size=64) if count > 1 else bp.Rig.looking_at([(0, 0, 1.5)], size=64)
    )
    views = bp.render(SHAPES[name], rig)
    mesh = bp.fuse(views, resolution=48)
    assert_manifold(mesh)
    low, high = samples_box(views)
    voxel = np.linalg.norm(high - low) / 48
    assert_within(mesh, low, high, PIXEL + 2 * voxel)
    # And what they saw is there: half a pixel and a voxel to the next vertex. Pixels that no other
    # continues (tips and slivers of the soup) are taken for flying.
    near = cKDTree(mesh.vertices).query(bp.backproject(views).points)[0]
    assert np.quantile(near, 0.97) < 2 * PIXEL + 2 * voxel


def test_views_that_share_nothing_keep_both_places():
    # Two scenes 10 apart, six views each: none sees the other's.
    far = BALL.transformed(bp.Similarity(translation=np.array([10.0, 0, 0])))
    rig = bp.Rig(
        np.concatenate([BALL.rig.intrinsics, far.rig.intrinsics]),
        np.concatenate([BALL.rig.world_from_camera, far.rig.world_from_camera]), 64, 64,
    )  # fmt: skip
    mesh = bp.fuse(bp.ViewSet(np.concatenate([BALL.depth, far.depth]), rig), resolution=320)
    assert_manifold(mesh)
    for center in (0.0, 10.0):
        near = np.abs(mesh.vertices[:, 0] - center) < 1
        radius = np.linalg.norm(mesh.vertices[near] - (center, 0, 0), axis=1)
        assert len(radius) > 100
        assert np.abs(radius - 0.4).max() < 10.8 / 320
