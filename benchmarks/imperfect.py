"""Imperfect views of the unit frame: each maker is given the truth, its exact views, and a seed.

The scene is the protocol's: of diameter 1 about the origin, cameras at 1.5, depth from 1 to 2.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

import backproject as bp

NEAR, FAR = 1.0, 2.0
"""The protocol's window of depth: the cameras' distance, less and plus the scene's radius."""
FLYING = 0.02
"""How many of the pixels fly."""
FINER = 4
"""Rays along a pixel's side whose mean an anti-aliased pixel is."""
ODD_VIEW = 3
"""The view that is missing, or off."""
OFF = np.radians(1.0)
"""How far that view is off."""
Maker = Callable[[bp.Mesh, bp.ViewSet, int], bp.ViewSet]


def exact(truth: bp.Mesh, views: bp.ViewSet, seed: int) -> bp.ViewSet:  # noqa: ARG001
    """Return the views as they are."""
    return views


def quantised(truth: bp.Mesh, views: bp.ViewSet, seed: int) -> bp.ViewSet:  # noqa: ARG001
    """Return the views as the paper's 8-bit images hold them: z = 2 - I / 255, white is near."""
    depth = views.depth.copy()
    hit = views.silhouettes
    depth[hit] = FAR - np.clip(np.round(255 * (FAR - depth[hit])), 1, 255) / 255
    return bp.ViewSet(depth, views.rig)


def gaussian(truth: bp.Mesh, views: bp.ViewSet, seed: int) -> bp.ViewSet:  # noqa: ARG001
    """Return the views with Gaussian noise of half a pixel's footprint along the optical axis."""
    footprint = views.depth / views.rig.intrinsics[:, 0, 0, None, None]
    half = np.where(views.silhouettes, footprint / 2, 0)
    noise = np.random.default_rng(seed).normal(size=views.depth.shape) * half
    return bp.ViewSet(views.depth + noise.astype(np.float32), views.rig)


def flying(truth: bp.Mesh, views: bp.ViewSet, seed: int) -> bp.ViewSet:  # noqa: ARG001
    """Return the views with 2 % of the surface's pixels anywhere along their rays in the window."""
    random = np.random.default_rng(seed)
    flies = views.silhouettes & (random.random(views.depth.shape) < FLYING)
    anywhere = random.uniform(NEAR, FAR, views.depth.shape).astype(np.float32)
    return bp.ViewSet(np.where(flies, anywhere, views.depth), views.rig)


def antialiased(truth: bp.Mesh, views: bp.ViewSet, seed: int) -> bp.ViewSet:  # noqa: ARG001
    """Return the means of 4 x 4 rays a pixel, as a smoothed image's edges have them.

    What a ray that hits nothing counts is the far end of the window, an image's black. So pixels on
    an edge lie between what they show.
    """
    rig = views.rig
    scale = np.diag([FINER, FINER, 1.0])  # a pixel's corner, not its centre, is at a whole number
    size = (FINER * rig.width, FINER * rig.height)
    fine = bp.render(truth, bp.Rig(scale @ rig.intrinsics, rig.world_from_camera, *size)).depth
    rays = fine.reshape(len(rig), rig.height, FINER, rig.width, FINER)
    hit = np.isfinite(rays)
    mean = np.where(hit, rays, FAR).mean(axis=(2, 4), dtype=np.float64)
    return bp.ViewSet(np.where(hit.any(axis=(2, 4)), mean, np.inf).astype(np.float32), rig)


def one_missing(truth: bp.Mesh, views: bp.ViewSet, seed: int) -> bp.ViewSet:  # noqa: ARG001
    """Return all views but one."""
    return views.subset(np.arange(len(views)) != ODD_VIEW)


def one_turned(truth: bp.Mesh, views: bp.ViewSet, seed: int) -> bp.ViewSet:  # noqa: ARG001
    """Return the views with the pose of one turned by 1 degree where the camera stands."""
    pose = views.rig.world_from_camera[ODD_VIEW].copy()
    pose[:3, :3] = pose[:3, :3] @ _about_y(OFF)
    return _with_pose(views, pose)


def one_orbited(truth: bp.Mesh, views: bp.ViewSet, seed: int) -> bp.ViewSet:  # noqa: ARG001
    """Return the views with the pose of one taken 1 degree around the origin."""
    pose = views.rig.world_from_camera[ODD_VIEW].copy()
    axes = pose[:3, :3]
    pose[:3] = axes @ _about_y(OFF) @ axes.T @ pose[:3]
    return _with_pose(views, pose)


MAKERS: dict[str, Maker] = {
    "exact": exact,
    "8bit": quantised,
    "gaussian": gaussian,
    "flying": flying,
    "antialiased": antialiased,
    "missing": one_missing,
    "turned": one_turned,
    "orbited": one_orbited,
}


def _about_y(angle: float) -> NDArray[np.float64]:
    """Return the rotation (3, 3) about the y axis, by an angle in radians."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])


def _with_pose(views: bp.ViewSet, pose: NDArray[np.float64]) -> bp.ViewSet:
    rig = views.rig
    poses = rig.world_from_camera.copy()
    poses[ODD_VIEW] = pose
    return bp.ViewSet(views.depth, bp.Rig(rig.intrinsics, poses, rig.width, rig.height))
