"""Faults planted in exact views, each with what it was, so that an answer can be judged.

The scene is the protocol's: of diameter 1 about the origin, cameras at 1.5, depth from 1 to 2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

import backproject as bp
from backproject.checking.order import reordered
from backproject.checking.turns import describe_turn, turned
from backproject.geometry.conventions import FLIP, ray_lengths
from benchmarks.imperfect import FAR, NEAR

OFF = 0.2
"""By how much of itself a number is off, at most."""
ASIDE = 0.05
"""By how much of an image's width and height the principal point is off, at most."""
TURNED = np.radians(2.0)
"""By how much a camera is turned off, at most."""
MOVED = 0.02
"""By how much of its distance a camera is moved off, at most."""
LEVELS = 255
"""Steps of depth in 8 bits; code 0 is the background."""
MIRRORED = 4
"""The label of an image that is mirrored left to right, the first of those that are mirrored."""
Group = frozenset[str]


@dataclass(frozen=True)
class Planted:
    """Views with a fault: the `views` given, the `truth` that they should be mended to, and in
    words `what` was done.
    """

    views: bp.ViewSet
    truth: bp.ViewSet
    what: str


Plant = Callable[[bp.ViewSet, np.random.Generator], Planted]


@dataclass(frozen=True)
class Fault:
    """A kind of fault. `plant` makes it of clean views and what is random.

    `named`: hypotheses that must be called wrong, one of each group; `also`: those that may be,
    as they say the same thing. `target`: the share of meshes to name and mend it on. `numbers`: the
    error that is left to focal length, depth and distance, of themselves; `pixels`: by how much
    images may stay off, by default what an error of the numbers moves their rim by.
    """

    plant: Plant
    named: tuple[Group, ...]
    target: float
    also: Group = frozenset()
    numbers: float = 0.005
    pixels: float | None = None


def in_bytes(views: bp.ViewSet) -> bp.ViewSet:
    """Return the views as the paper's 8-bit images hold them: z = 2 - I / 255, white is near."""
    code = np.clip(np.round(LEVELS * _codes(views.depth)), 1, LEVELS) / LEVELS
    depth = np.where(views.silhouettes, _decoded(code, NEAR, FAR), views.depth)
    return replace(views, depth=depth.astype(np.float32), step=(FAR - NEAR) / LEVELS)


def _codes(depth: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return depth as images hold it, from 1 at the near end to 0 at the far one."""
    return np.asarray((FAR - depth.astype(np.float64)) / (FAR - NEAR))


def _decoded(code: NDArray[np.float64], near: float, far: float) -> NDArray[np.float64]:
    return far - code * (far - near)


def clean(views: bp.ViewSet, rng: np.random.Generator) -> Planted:  # noqa: ARG001
    """Plant nothing."""
    return Planted(views, views, "nothing")


def one_turned(views: bp.ViewSet, rng: np.random.Generator) -> Planted:
    """Turn or mirror one image."""
    view, label = int(rng.integers(len(views))), int(rng.integers(1, 8))
    labels = np.where(np.arange(len(views)) == view, label, 0)
    return Planted(turned(views, labels), views, f"view {view} {describe_turn(label)}")


def all_turned(views: bp.ViewSet, rng: np.random.Generator) -> Planted:
    """Turn or mirror all images alike: cameras that hang upside down turn them by 180 degrees."""
    label = int(rng.integers(1, 8))
    return Planted(turned(views, np.full(len(views), label)), views, describe_turn(label))


def each_turned(views: bp.ViewSet, rng: np.random.Generator) -> Planted:
    """Turn and mirror each image its own way."""
    labels = rng.integers(8, size=len(views))
    return Planted(turned(views, labels), views, f"labels {labels.tolist()}")


def text_order(views: bp.ViewSet, rng: np.random.Generator) -> Planted:  # noqa: ARG001
    """Sort the images as text, counted from 1: 1, 10, 11, ... 2, 20, 3."""
    cameras = np.array(sorted(range(1, len(views) + 1), key=str)) - 1
    return _with_images(views, cameras, "text order")


def backwards(views: bp.ViewSet, rng: np.random.Generator) -> Planted:  # noqa: ARG001
    """Reverse the order of the images."""
    return _with_images(views, np.arange(len(views))[::-1], "reversed")


def permuted(views: bp.ViewSet, rng: np.random.Generator) -> Planted:
    """Put the images in any order."""
    cameras = rng.permutation(len(views))
    return _with_images(views, cameras, f"order {cameras.tolist()}")


def _with_images(views: bp.ViewSet, cameras: NDArray[np.int64], what: str) -> Planted:
    """Return views whose image k belongs to camera `cameras[k]`."""
    return Planted(reordered(views, np.argsort(cameras)), views, what)


def along_rays(views: bp.ViewSet, rng: np.random.Generator) -> Planted:  # noqa: ARG001
    """Take distance along the rays for planar depth."""
    return Planted(replace(views, depth=views.depth * _lengths(views)), views, "along the ray")


def planar(views: bp.ViewSet, rng: np.random.Generator) -> Planted:  # noqa: ARG001
    """Take planar depth for distance along the rays."""
    return Planted(replace(views, depth=views.depth / _lengths(views)), views, "planar")


def _lengths(views: bp.ViewSet) -> NDArray[np.float32]:
    rig = views.rig
    return np.stack([ray_lengths(rig, k) for k in range(len(rig))]).astype(np.float32)


def white_far(views: bp.ViewSet, rng: np.random.Generator) -> Planted:  # noqa: ARG001
    """Take the images' white for far, and black for near."""
    return Planted(_read_between(views, FAR, NEAR), views, "white is far")


def _read_between(views: bp.ViewSet, near: float, far: float) -> bp.ViewSet:
    """Return views whose codes between `NEAR` and `FAR` are read as between two other depths."""
    depth = np.where(views.silhouettes, _decoded(_codes(views.depth), near, far), views.depth)
    step = views.step * abs(far - near) / (FAR - NEAR)
    return replace(views, depth=depth.astype(np.float32), step=step)


def other_axes(views: bp.ViewSet, rng: np.random.Generator) -> Planted:  # noqa: ARG001
    """Take OpenGL's camera axes for OpenCV's."""
    return Planted(_with_poses(views, views.rig.world_from_camera * FLIP), views, "OpenGL axes")


def other_direction(views: bp.ViewSet, rng: np.random.Generator) -> Planted:  # noqa: ARG001
    """Take world-to-camera matrices for camera-to-world ones."""
    return Planted(_with_poses(views, views.rig.camera_from_world), views, "the other direction")


def _with_poses(views: bp.ViewSet, poses: NDArray[np.float64]) -> bp.ViewSet:
    return replace(views, rig=replace(views.rig, world_from_camera=poses))


def field_of_view(views: bp.ViewSet, rng: np.random.Generator) -> Planted:
    """Let the field of view be off."""
    factor = _off(rng)
    intrinsics = views.rig.intrinsics.copy()
    half = np.array([views.rig.width, views.rig.height]) / 2
    focal = intrinsics[:, (0, 1), (0, 1)]
    intrinsics[:, (0, 1), (0, 1)] = half / np.tan(factor * np.arctan(half / focal))
    rig = replace(views.rig, intrinsics=intrinsics)
    return Planted(replace(views, rig=rig), views, f"field of view times {factor:.3f}")


def distance(views: bp.ViewSet, rng: np.random.Generator) -> Planted:
    """Let the cameras' distance from the middle be off."""
    factor = _off(rng)
    poses = views.rig.world_from_camera.copy()
    poses[:, :3, 3] *= factor
    return Planted(_with_poses(views, poses), views, f"distance times {factor:.3f}")


def near_and_far(views: bp.ViewSet, rng: np.random.Generator) -> Planted:
    """Let near and far be off, each its own way."""
    near, far = NEAR * _off(rng), FAR * _off(rng)
    return Planted(_read_between(views, near, far), views, f"near {near:.3f}, far {far:.3f}")


def _off(rng: np.random.Generator) -> float:
    return float(1 + rng.uniform(-OFF, OFF))


def principal_point(views: bp.ViewSet, rng: np.random.Generator) -> Planted:
    """Let the principal points of all views be off, alike."""
    rig = views.rig
    moved = rng.uniform(-ASIDE, ASIDE, 2) * (rig.width, rig.height)
    intrinsics = rig.intrinsics.copy()
    intrinsics[:, :2, 2] += moved
    off = replace(views, rig=replace(rig, intrinsics=intrinsics))
    return Planted(off, views, "principal point off by ({:+.2f}, {:+.2f})".format(*moved))


def poses(views: bp.ViewSet, rng: np.random.Generator) -> Planted:
    """Let each camera be turned and moved off, its own way."""
    off = views.rig.world_from_camera.copy()
    distances = np.linalg.norm(views.rig.centers_world, axis=1)
    for k, pose in enumerate(off):
        turn = rng.uniform(0, TURNED) * _direction(rng)
        pose[:3, :3] = pose[:3, :3] @ Rotation.from_rotvec(turn).as_matrix()
        pose[:3, 3] += rng.uniform(0, MOVED) * distances[k] * _direction(rng)
    return Planted(_with_poses(views, off), views, "poses off")


def _direction(rng: np.random.Generator) -> NDArray[np.float64]:
    vector = rng.normal(size=3)
    return np.asarray(vector / np.linalg.norm(vector))


def wrong_image(views: bp.ViewSet, rng: np.random.Generator) -> Planted:
    """Put the image of one camera in the place of another's, too."""
    place, other = rng.permutation(len(views))[:2].tolist()
    depth = views.depth.copy()
    depth[place] = depth[other]
    return _with_one(views, place, depth, f"view {place} shows what {other} does")


def empty_image(views: bp.ViewSet, rng: np.random.Generator) -> Planted:
    """Let one image show nothing."""
    place = int(rng.integers(len(views)))
    depth = views.depth.copy()
    depth[place] = np.inf
    return _with_one(views, place, depth, f"view {place} is empty")


def _with_one(views: bp.ViewSet, place: int, depth: NDArray[np.float32], what: str) -> Planted:
    others = views.subset(np.arange(len(views)) != place)
    return Planted(replace(views, depth=depth), others, what)


def both(first: Plant, second: Plant, views: bp.ViewSet, rng: np.random.Generator) -> Planted:
    """Plant a fault, and a second one on top of it."""
    one = first(views, rng)
    two = second(one.views, rng)
    return Planted(two.views, one.truth, f"{one.what}; {two.what}")


def mirrored(views: bp.ViewSet, rng: np.random.Generator) -> Planted:  # noqa: ARG001
    """Mirror all images left to right."""
    labels = np.full(len(views), MIRRORED)
    return Planted(turned(views, labels), views, describe_turn(MIRRORED))


def from_bytes(plant: Plant, views: bp.ViewSet, rng: np.random.Generator) -> Planted:
    """Plant a fault in the views as 8-bit images hold them."""
    return plant(in_bytes(views), rng)


IMAGES, ORDER, DEPTH = frozenset({"images"}), frozenset({"order of images"}), frozenset({"depth"})
MATRICES, VIEW = frozenset({"camera matrices"}), frozenset({"field of view"})
RANGE = frozenset({"depth's scale", "depth's offset"})
FARTHER = frozenset({"distance", "depth's scale"})
"""Cameras that are twice as far and depth that is half as large are the same."""
SINGLE = frozenset({"single views"})
EIGHT_BIT = 0.02
"""What is left to numbers of 8-bit depth."""

FAULTS: Mapping[str, Fault] = MappingProxyType({
    "clean": Fault(clean, (), 1.0),
    "clean 8-bit": Fault(partial(from_bytes, clean), (), 1.0, numbers=EIGHT_BIT),
    "one turned": Fault(one_turned, (IMAGES,), 0.95),
    "all turned": Fault(all_turned, (IMAGES | MATRICES,), 0.95),
    "each turned": Fault(each_turned, (IMAGES,), 0.95),
    "text order": Fault(text_order, (ORDER,), 0.95),
    "reversed": Fault(backwards, (ORDER,), 0.95),
    "permuted": Fault(permuted, (ORDER,), 0.90),
    "ray": Fault(along_rays, (DEPTH,), 0.95),
    "planar": Fault(planar, (DEPTH,), 0.95),
    "white far": Fault(white_far, (frozenset({"near and far"}),), 0.95, also=RANGE),
    "axes": Fault(other_axes, (MATRICES,), 0.95),
    "direction": Fault(other_direction, (MATRICES,), 0.95),
    "field of view": Fault(field_of_view, (VIEW,), 1.0),
    "field of view 8-bit": Fault(
        partial(from_bytes, field_of_view), (VIEW,), 1.0, numbers=EIGHT_BIT
    ),
    "distance": Fault(distance, (FARTHER,), 1.0),
    "distance 8-bit": Fault(partial(from_bytes, distance), (FARTHER,), 1.0, numbers=EIGHT_BIT),
    "near and far": Fault(near_and_far, (RANGE | FARTHER,), 1.0),
    "near and far 8-bit": Fault(
        partial(from_bytes, near_and_far), (RANGE | FARTHER,), 1.0, numbers=EIGHT_BIT
    ),
    "principal point": Fault(
        principal_point, (frozenset({"principal point"}),), 1.0, also=frozenset({"pixel centres"})
    ),
    "poses": Fault(poses, (frozenset({"poses"}),), 1.0, pixels=0.1),
    "wrong image": Fault(wrong_image, (SINGLE,), 0.95),
    "empty image": Fault(empty_image, (SINGLE,), 0.95),
    "text order, mirrored": Fault(partial(both, text_order, mirrored), (ORDER, IMAGES), 0.80),
    "field of view, ray": Fault(partial(both, along_rays, field_of_view), (VIEW, DEPTH), 0.80),
})  # fmt: skip
"""All faults, with what is asked for."""
