"""What no view saw: shells with holes, against the body that they bound."""

import numpy as np
import pytest
from shapes import sphere

import backproject as bp

RIG = bp.Rig.dodecahedron(size=128)
RESOLUTION = 96
RADIUS = 0.5
VOXEL = 2 * RADIUS / RESOLUTION


def shell(*, opening):
    """Return a sphere without the faces around -z, within the angle `opening`."""
    whole = sphere(RADIUS, splits=5)
    middle = whole.triangles.mean(axis=1)
    height = -middle[:, 2] / np.linalg.norm(middle, axis=1)
    return bp.Mesh(whole.vertices, whole.faces[height < np.cos(np.radians(opening))])


def volume(mesh):
    """Return the volume within a closed mesh, by the divergence theorem."""
    return np.linalg.det(mesh.triangles).sum() / 6


def revolved(profile):
    """Return the surface that a closed `profile` of (radius, z) sweeps around the z axis."""
    angle = np.linspace(0, 2 * np.pi, 65)[:-1]
    rings = [np.stack([r * np.cos(angle), r * np.sin(angle), 0 * angle + z], 1) for r, z in profile]
    here, after = np.arange(64), (np.arange(64) + 1) % 64
    faces = []
    for k in range(len(profile)):
        low, high = 64 * k, 64 * ((k + 1) % len(profile))
        a, b, c, d = low + here, low + after, high + after, high + here
        faces += [np.stack([a, b, c], 1), np.stack([a, c, d], 1)]
    return bp.Mesh(np.concatenate(rings), np.concatenate(faces))


@pytest.mark.parametrize("opening", [4, 8, 12])
def test_a_scan_with_a_hole_is_closed_at_the_hole(opening):
    views = bp.render(shell(opening=opening), RIG)
    mesh = bp.fuse(views, resolution=RESOLUTION)
    assert mesh.is_watertight
    # A flat cap lies on the circle at cos(opening); the ball is full but for what lies beyond it,
    # and nothing lies deeper than the cap, which may bulge inwards by half its radius.
    cap, radius = RADIUS * np.cos(np.radians(opening)), RADIUS * np.sin(np.radians(opening))
    beyond = np.pi * (RADIUS - cap) ** 2 * (2 * RADIUS + cap) / 3
    assert volume(mesh) > 4 / 3 * np.pi * (RADIUS - VOXEL) ** 3 - beyond - np.pi * radius**3 / 2
    depth = np.linalg.norm(mesh.vertices, axis=1)
    assert depth.min() > cap - radius / 2 - 2 * VOXEL


@pytest.mark.parametrize("opening", [60, 90, 120])
def test_a_cavity_that_is_seen_stays_open(opening):
    views = bp.render(shell(opening=opening), RIG)
    mesh = bp.fuse(views, resolution=RESOLUTION)
    assert mesh.is_watertight
    # A sheet without thickness is a slab whose sides lie on it.
    area = 2 * np.pi * RADIUS**2 * (1 + np.cos(np.radians(opening)))
    assert volume(mesh) < area * VOXEL / 2


def test_a_hole_through_a_solid_stays_open():
    """A thick ring: rays pass through it, and nothing shows on the other side of its wall."""
    ring = revolved([(0.5, -0.2), (0.5, 0.2), (0.2, 0.2), (0.2, -0.2)])
    mesh = bp.fuse(bp.render(ring, RIG), resolution=RESOLUTION)
    area = ring.face_areas.sum()
    assert volume(mesh) == pytest.approx(volume(ring), abs=area * VOXEL / 4)
    assert np.hypot(mesh.vertices[:, 0], mesh.vertices[:, 1]).min() > 0.2 - VOXEL


def test_few_views_never_fill_what_one_of_them_saw_free():
    views = bp.render(shell(opening=12), bp.Rig.fibonacci(6, size=128))
    mesh = bp.fuse(views, resolution=RESOLUTION)
    for camera, depth in zip(views.rig, views.depth, strict=True):
        pixel, along = camera.project(mesh.vertices)
        column, row = np.floor(pixel).astype(int).T
        inside = (column > 2) & (row > 2) & (column < 125) & (row < 125)
        near = np.arange(-2, 3)  # the shell is a voxel thick, as wide as a pixel
        around = np.stack([depth[row[inside] + r, column[inside] + c] for r in near for c in near])
        assert (along[inside] > around.min(axis=0) - 1.5 * VOXEL).all()


def test_what_was_measured_within_thick_walls_is_not_buried():
    # Few views look in and leave walls all around what they see, which a cap would be rid of.
    angle = np.linspace(np.radians(30), np.pi, 60)
    arc = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    pot = revolved([*(0.4 * arc), *(0.5 * arc[::-1])])
    mesh = bp.fuse(bp.render(pot, RIG), resolution=RESOLUTION)
    hollow = 4 / 3 * np.pi * 0.4**3
    assert abs(volume(mesh) - volume(pot)) < hollow / 4
