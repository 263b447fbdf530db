"""Fused depth maps that are not exact: what is averaged, what is left out, and what stays as is."""

import numpy as np
import pytest
from shapes import box, cast, joined, sphere_views

import backproject as bp
from backproject.fusion import surface
from backproject.fusion.evidence import Evidence, observe, sample, smooth

FULL = bp.Rig.dodecahedron()
SMALL = bp.Rig.dodecahedron(size=128)
RADIUS, SIDE = 0.45, 0.5
STEP = 1 / 255
PLANES = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
TURNED_BOX = bp.Mesh(box(SIDE).vertices @ PLANES.T, box(SIDE).faces)
if np.linalg.det(PLANES) < 0:
    TURNED_BOX = bp.Mesh(TURNED_BOX.vertices, TURNED_BOX.faces[:, ::-1])


def footprint(rig, distance=1.5):
    """Return the width of a pixel at the middle of the scene."""
    return distance / rig.intrinsics[0, 0, 0]


def sphere_at(rig):
    return sphere_views(RADIUS, rig)


def box_at(rig):
    return cast(TURNED_BOX, rig)


def off_sphere(points):
    """Return the distances of points from the sphere."""
    return abs(np.linalg.norm(points, axis=1) - RADIUS)


def off_box(points):
    """Return the distances of points from the box's surface."""
    beyond = abs(points @ PLANES) - SIDE / 2
    outside = np.linalg.norm(np.maximum(beyond, 0), axis=1)
    return outside + abs(np.minimum(beyond.max(axis=1), 0))


SHAPES = {"sphere": (sphere_at, off_sphere), "box": (box_at, off_box)}


def quantised(views):
    """Return the views in steps of 1/255, and their error's standard deviation: it is uniform."""
    depth = np.where(np.isfinite(views.depth), np.round(views.depth / STEP) * STEP, views.depth)
    return bp.ViewSet(depth, views.rig), STEP / np.sqrt(12)


def gaussian(views):
    """Return the views with Gaussian noise of half a footprint, and its standard deviation."""
    sigma = footprint(views.rig) / 2
    error = np.random.default_rng(0).normal(0, sigma, views.depth.shape)
    return bp.ViewSet(views.depth + error, views.rig), sigma


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("worsen", [quantised, gaussian])
def test_noise_is_averaged(shape, worsen):
    """A pixel is off by 0.8 standard deviations in the mean. A quadric over 25 pixels leaves 0.43
    of one, 0.35 in the mean; that two views see each place divides it by sqrt(2).
    """
    make, off = SHAPES[shape]
    views, sigma = worsen(make(FULL))
    mesh = bp.fuse(views, resolution=128)
    assert off(mesh.vertices).mean() < 0.25 * sigma
    assert mesh.is_watertight


@pytest.mark.parametrize("shape", SHAPES)
def test_noise_is_estimated(shape):
    """The estimate is a median of gaps that normals, noisy too, have chosen: it is off, but by less
    than half.
    """
    views, sigma = gaussian(SHAPES[shape][0](SMALL))
    found = sample(views, Evidence.of(views, threads=0), noise=None, threads=0).noise
    assert sigma / 1.5 < found < 1.5 * sigma


@pytest.mark.parametrize("shape", SHAPES)
def test_exact_depth_is_not_smoothed(shape):
    views = SHAPES[shape][0](SMALL)
    evidence, _ = observe(views, noise=None, threads=0)
    assert np.array_equal(evidence.inverse_depth, Evidence.of(views, threads=0).inverse_depth)


def test_smoothing_keeps_planes_and_their_edges():
    """All pixels lie on planes, so what is fitted is what was there, but where a face ends within
    reach of the noise: pixels beyond the edge count until they are off by 2.5 standard deviations.
    """
    views, noise = box_at(SMALL), 0.05 * footprint(SMALL)
    smoothed = smooth(views, np.full(len(views), noise), footprint(SMALL), threads=0)
    hit = np.isfinite(views.depth)
    moved = abs(smoothed.depth[hit] - views.depth[hit])
    assert np.array_equal(np.isfinite(smoothed.depth), hit)
    assert np.quantile(moved, 0.5) < 1e-6  # depth is float32
    assert moved.max() < 2.6 * noise  # depth is not quite linear in inverse depth


@pytest.mark.parametrize("shape", SHAPES)
def test_flying_pixels_are_left_out(shape):
    """2 % of the pixels fly. What stays lies within the tolerance of the vote, two footprints, at
    the depth of the far side.
    """
    make, off = SHAPES[shape]
    views, random = make(FULL), np.random.default_rng(1)
    flies = np.isfinite(views.depth) & (random.random(views.depth.shape) < 0.02)
    depth = np.where(flies, random.uniform(1, 2, views.depth.shape), views.depth)
    mesh = bp.fuse(bp.ViewSet(depth, views.rig), resolution=128)
    assert off(mesh.vertices).max() < 2 * footprint(FULL, 1.5 + SIDE)


def test_a_view_of_wrong_pose_is_left_out():
    """A camera is turned by 1 degree, five pixels: as if it had measured nothing."""
    views = box_at(FULL)
    pose = views.rig.world_from_camera.copy()
    turn = np.radians(1.0)
    pose[3, :3, :3] @= [
        [np.cos(turn), 0, np.sin(turn)],
        [0, 1, 0],
        [-np.sin(turn), 0, np.cos(turn)],
    ]
    rig = bp.Rig(views.rig.intrinsics, pose, views.rig.width, views.rig.height)
    without = views.depth.copy()
    without[3] = np.nan
    with pytest.warns(bp.ContradictionWarning, match="views 3"):
        turned = bp.fuse(bp.ViewSet(views.depth, rig), resolution=64)
    expected = bp.fuse(bp.ViewSet(without, rig), resolution=64)
    assert np.array_equal(turned.vertices, expected.vertices)
    assert np.array_equal(turned.faces, expected.faces)


def test_given_noise_overrides_the_estimate():
    """Told that depth is exact, fusion takes it as exact: the noise is then seen in the mesh."""
    views, _ = gaussian(sphere_at(SMALL))
    estimated = off_sphere(bp.fuse(views, resolution=64).vertices).mean()
    taken = off_sphere(bp.fuse(views, resolution=64, noise=0.0).vertices).mean()
    assert estimated < taken


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", [0.01, 0.02, 0.05, 0.12, 0.3, 0.5])
def test_noise_is_not_taken_for_shape(shape, share, monkeypatch):
    """Triangles are fitted to exact samples; each of noisy ones would move its own. Without the fit
    a vertex is the mean of some: half of a pixel's mean error, 0.8 standard deviations, is left.
    """
    make, off = SHAPES[shape]
    exact, sigma = make(SMALL), share * footprint(SMALL)
    error = np.random.default_rng(0).normal(0, sigma, exact.depth.shape)
    both = exact, bp.ViewSet(exact.depth + error, exact.rig)
    fitted = [bp.fuse(views, resolution=128) for views in both]
    monkeypatch.setattr(surface, "STEPS", 0)
    still = [bp.fuse(views, resolution=128) for views in both]
    moved = [np.abs(a.vertices - b.vertices).max() for a, b in zip(fitted, still, strict=True)]
    assert moved[1] == 0 < moved[0]
    missed = [off(mesh.vertices).mean() for mesh in fitted]
    assert missed[1] < missed[0] + 0.4 * sigma


@pytest.mark.parametrize("bits", [16, 24])
def test_fine_steps_of_depth_do_not_keep_triangles_from_their_samples(bits):
    """Steps of 16 bits, as PNG files have, are a thousandth of a pixel's footprint."""
    exact = sphere_at(SMALL)
    steps = 2**bits - 1
    depth = np.where(np.isfinite(exact.depth), np.round(exact.depth * steps) / steps, exact.depth)

    def error(views):
        mesh = bp.fuse(views, resolution=128)
        return off_sphere(mesh.triangles.mean(axis=1)).mean()

    assert error(bp.ViewSet(depth, exact.rig)) < 1.2 * error(exact)


def test_rays_a_little_beside_the_centres_leave_no_view_out():
    """Where nearly all planes meet exactly, a few gaps on edges do not make a view an odd one."""
    unit = bp.normalize(joined(box(), box(center=(3.0, 0.0, 0.0))))
    rig = bp.Rig.fibonacci(20, size=96)
    beside = rig.intrinsics.copy()
    beside[:, :2, 2] += 1e-4  # pixels, as another renderer may look
    seen = bp.render(unit.mesh, bp.Rig(beside, rig.world_from_camera, rig.width, rig.height))
    mesh = bp.fuse(bp.ViewSet(seen.depth, rig), resolution=48)  # a warning would be an error
    assert bp.compare(mesh, unit.mesh).accuracy < 1e-4
