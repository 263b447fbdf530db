"""The surfaces of all views brought together: robust Gauss-Newton on the gaps between them.

Points of each view are projected into every other, and their distances to the plane of the surface
there are made small (point to plane: Chen & Medioni 1992; many views at once: Pulli 1999), with
Tukey's weights: gaps past a gate do not count, and the gate shrinks with the gaps that are left.
Pairs are found anew in each round. Unknown are the poses, and what all views share: focal length,
scale and offset of depth, principal point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backproject.geometry.rig import invert_poses
from backproject.geometry.views import ViewSet
from backproject.kernels import parallel
from backproject.kernels.adjust import (
    SEEN_PAST,
    SHARED,
    TWIST,
    UNKNOWNS,
    add_up_pairs,
    pair_equations,
    tally,
)
from backproject.kernels.smooth import smooth_rows

FLAT = 0.25
"""Footprints by which a sample's neighbours on both sides may be off the line through it."""
RECURS = 16
"""Depth is held in steps if each of its values is that of so many pixels in the mean."""
SMOOTHED = 4
"""Pixels to each side that depth in steps is smoothed over."""
SHRINK = 0.8
"""The most by which the gate shrinks in a round."""
OUTLYING = 6.0
"""Median gaps beyond which a gap is another surface's: 4 standard deviations."""
NARROWEST = 0.25
"""The least gate, in footprints. Between pixels a surface bent by a radius of R pixels is off by up
to 1 / (8 R); what is bent as a pixel is must count beside planes, as it may tell what they do not.
"""
LONGEST = 0.1
"""The most by which focal length, scale and offset change in a round, of themselves and of the
typical depth: where surfaces do not belong together the equations ask for anything.
"""
STILL = 1e-3
"""Steps that move no sample by more than so many footprints end the rounds."""
GATE = 8.0
"""Footprints within which surfaces are paired where they lie together about."""
SHOWS = 2.0
"""A change shows if it parts the surfaces by so many times what they are apart already."""
DAMPING = 1e-4
"""The square of what a motion must part surfaces by, of itself, for a step to follow it in full
(Levenberg-Marquardt): what nothing determines stays where it is.
"""


@dataclass(frozen=True)
class Scene:
    """Views made ready: `depth` (N, H, W) float32, smooth where it was held in steps;
    `surface`, the same, nan off the midst of smooth surface; `pixels` (N, S, 2), centres of some of
    that, nan past a view's last; `reach` (N, 2) the
    least and largest depth of each; the `rig` is that of `views`; `middle` (3,) of the scene and
    its `radius`; `footprint`, a pixel's width there.
    """

    views: ViewSet
    depth: NDArray[np.float32]
    surface: NDArray[np.float32]
    pixels: NDArray[np.float64]
    reach: NDArray[np.float64]
    middle: NDArray[np.float64]
    radius: float
    footprint: float
    step: float

    @classmethod
    def of(cls, views: ViewSet, *, samples: int = 200, seed: int = 0) -> Scene:
        """Return the scene of some views, with so many samples of each."""
        step = views.step or _recurring_step(views.depth)
        depth = _without_steps(views, step) if step else views.depth
        rng = np.random.default_rng(seed)
        smooth = np.stack(
            [_smooth(image, k) for image, k in zip(depth, views.rig.intrinsics, strict=True)]
        )
        pixels = np.stack([_drawn(mask, samples, rng) for mask in smooth])
        points = [
            camera.unproject(chosen, depth[k][tuple(chosen.astype(int).T[::-1])])
            for k, camera in enumerate(views.rig)
            for chosen in [pixels[k][~np.isnan(pixels[k, :, 0])]]
        ]
        together = np.concatenate(points)
        middle = np.median(together, axis=0) if len(together) else np.zeros(3)
        radius = float(np.median(np.linalg.norm(together - middle, axis=1))) if len(together) else 1
        known = np.where(np.isfinite(depth), depth, np.nan)
        seen = np.isfinite(depth).any(axis=(1, 2))
        reach = np.tile([1.0, 0.0], (len(views), 1))
        if seen.any():
            reach[seen] = np.stack(
                [np.nanmin(known[seen], axis=(1, 2)), np.nanmax(known[seen], axis=(1, 2))], axis=1
            )
        typical = float(np.nanmedian(known)) if seen.any() else 1.0
        footprint = typical / float(np.median(views.rig.intrinsics[:, 0, 0]))
        surface = np.where(smooth, depth, np.float32(np.nan))
        return cls(views, depth, surface, pixels, reach, middle, radius, footprint, step)

    def with_creases(self) -> Scene:
        """Return the scene in which bent and creased surface counts too: less exact, but there is
        more to go by.
        """
        return replace(self, surface=self.depth)

    def seen_from(self, view: int) -> Scene:
        """Return the scene with the samples of one view alone."""
        pixels = np.full_like(self.pixels, np.nan)
        pixels[view] = self.pixels[view]
        return replace(self, pixels=pixels)

    def without(self, views: NDArray[np.bool_]) -> Scene:
        """Return the scene in which some views (N,) see nothing."""
        blind = views[:, None, None]
        depth, surface, pixels = (
            np.where(blind, np.float32(np.nan), each)
            for each in (self.depth, self.surface, self.pixels)
        )
        return replace(self, depth=depth, surface=surface, pixels=pixels)

    @property
    def typical_depth(self) -> float:
        """The median depth."""
        return self.footprint * float(np.median(self.views.rig.intrinsics[:, 0, 0]))


@dataclass(frozen=True)
class State:
    """What the views are taken to be: `poses` (N, 4, 4) world from camera; focal lengths times
    `focal`, depth times `scale` plus `offset`, principal points moved by `center` (2,).
    """

    poses: NDArray[np.float64]
    focal: float = 1.0
    scale: float = 1.0
    offset: float = 0.0
    center: tuple[float, float] = (0.0, 0.0)

    def intrinsics(self, given: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the intrinsics (N, 3, 3) that the `given` ones become."""
        changed = given.copy()
        changed[:, (0, 1), (0, 1)] *= self.focal
        changed[:, :2, 2] += self.center
        return changed

    def apply(self, views: ViewSet) -> ViewSet:
        """Return the views as they are taken to be."""
        intrinsics = self.intrinsics(views.rig.intrinsics)
        rig = replace(views.rig, intrinsics=intrinsics, world_from_camera=self.poses)
        return replace(with_depth(views, self.scale, self.offset), rig=rig)

    def moved(self, step: NDArray[np.float64], middle: NDArray[np.float64]) -> State:
        """Return the state after a step of the unknowns (6 N + 5,), turns about the `middle`."""
        twists = step[:-SHARED].reshape(-1, TWIST)
        focal, scale, offset, across, down = step[-SHARED:].tolist()
        return State(
            _twisted(self.poses, twists, middle),
            self.focal * np.exp(focal),
            self.scale * np.exp(scale),
            self.offset + offset,
            (self.center[0] + across, self.center[1] + down),
        )


@dataclass(frozen=True)
class Equations:
    """`square` (M, M) and `rights` (P, M) of each pair of views that meet, M = 6 N + 5; `energy`
    (P,), the weighted sums of squared gaps; `pull` (M,) the right side if all gaps were 1; `gaps`
    (N, N, S), nan where a sample meets no surface.
    """

    square: NDArray[np.float64]
    rights: NDArray[np.float64]
    energy: NDArray[np.float64]
    pull: NDArray[np.float64]
    gaps: NDArray[np.float64]

    @property
    def median_gap(self) -> float:
        """The median of how far the surfaces are apart; inf if they meet nowhere."""
        return _median(self.gaps)


def equations(scene: Scene, state: State, gate: float) -> Equations:
    """Return the gaps between all views, up to the `gate`, and their normal equations."""
    count, samples = scene.pixels.shape[:2]
    squares = np.zeros((count, count, UNKNOWNS, UNKNOWNS))
    rights, pulls = np.zeros((count, count, UNKNOWNS)), np.zeros((count, count, UNKNOWNS))
    energies, gaps = np.zeros((count, count)), np.full((count, count, samples), np.nan)
    parallel.run(
        pair_equations, count, scene.pixels, scene.depth, scene.surface,
        state.scale * scene.reach + state.offset, state.intrinsics(scene.views.rig.intrinsics),
        np.ascontiguousarray(state.poses), invert_poses(state.poses), scene.middle,
        state.scale, state.offset, gate, squares, rights, pulls, energies, gaps,
    )  # fmt: skip
    size = TWIST * count + SHARED
    square, pull = np.zeros((size, size)), np.zeros(size)
    most = count * (count - 1) // 2
    together, energy = np.zeros((most, size)), np.zeros(most)
    pairs = add_up_pairs(squares, rights, pulls, energies, square, pull, together, energy)
    return Equations(square, together[:pairs], energy[:pairs], pull, gaps)


def free_unknowns(count: int, names: tuple[str, ...]) -> NDArray[np.bool_]:
    """Return which of the 6 N + 5 unknowns are `names`: poses, focal, scale, offset, center."""
    shared = [name in names for name in ("focal", "scale", "offset", "center", "center")]
    return np.array(["poses" in names] * (TWIST * count) + shared)


def adjust(
    scene: Scene,
    state: State,
    free: NDArray[np.bool_],
    *,
    gate: float,
    rounds: int = 40,
    heard: Callable[[float], None] | None = None,
) -> tuple[State, Equations]:
    """Return the state whose surfaces lie together, and its equations, `free` (6 N + 5,) unknowns
    let go, from a `gate` in scene units on.
    """
    # each of two surfaces lies within half a step of what is stored
    narrowest = max(NARROWEST * scene.footprint, state.scale * scene.step)
    longest = LONGEST * np.array([1.0, 1.0, scene.typical_depth])
    for k in range(rounds):
        found = _in_pixels(equations(scene, state, gate))
        step = np.zeros(len(free))
        step[free] = _solved(scene, found, free)
        step[-SHARED:-2] = step[-SHARED:-2].clip(-longest, longest)
        state = state.moved(step, scene.middle)
        if heard is not None:
            heard(k / rounds)
        least = narrowest / state.focal
        outlying = OUTLYING * found.median_gap
        settled = gate <= least or gate <= outlying
        if settled and _moves(scene, step) < STILL * scene.footprint:
            break
        gate = max(min(SHRINK * gate, outlying), least)
    return state, equations(scene, state, gate)


def _in_pixels(found: Equations) -> Equations:
    """Return the equations of gaps that are counted in pixels, gap times focal length.

    In scene units all gaps vanish where everything shrinks to a point under an endless focal
    length. With F = exp(u) the residual F gap has the derivative F (d gap / du + gap).
    """
    focal = len(found.square) - SHARED
    square, rights = found.square.copy(), found.rights.copy()
    square[focal] += rights.sum(axis=0)
    square[:, focal] += rights.sum(axis=0)
    square[focal, focal] += found.energy.sum()
    rights[:, focal] += found.energy
    return replace(found, square=square, rights=rights)


def shows(scene: Scene, state: State, step: NDArray[np.float64]) -> bool:
    """Return whether a step parts the surfaces by `SHOWS` times what they are apart already."""
    gate = GATE * scene.footprint
    before, after = (
        equations(scene, each, gate).median_gap for each in (state, state.moved(step, scene.middle))
    )
    return np.isfinite(before) and after > SHOWS * before


def standard_errors(found: Equations, free: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the standard errors (6 N + 5,) of the free unknowns, 0 of the others.

    Chance is told by the sandwich of clusters (Liang & Zeger 1986), each pair of views one: gaps of
    a pair have common causes, so they are not so many independent ones. Between pixels curved
    surfaces are taken for chords, which all err to one side: to that comes what the median gap
    would do if all gaps were that.
    """
    inverse = np.linalg.pinv(found.square[free][:, free], hermitian=True)
    rights = found.rights[:, free]
    errors = np.zeros(len(free))
    chance = np.diag(inverse @ (rights.T @ rights) @ inverse).clip(0)
    if np.isfinite(found.median_gap):
        chance = chance + (found.median_gap * (inverse @ found.pull[free])) ** 2
    errors[free] = np.sqrt(chance)
    return errors


def score_candidates(
    scene: Scene,
    candidates: NDArray[np.float64],
    poses: NDArray[np.float64],
    *,
    tolerance: float,
    samples: int,
    view: int = -1,
) -> NDArray[np.float64]:
    """Return the consistency (K,) of `candidates` (K, 3): focal factor, depth scale, offset, at
    `poses` (1 or K, N, 4, 4); that of the pairs with one `view`, if one is named.

    The mean over pairs of views of the share of samples on the other's surface, less twice the
    share that it looks past.
    """
    agree, past = np.zeros(len(candidates)), np.zeros(len(candidates))
    pixels = np.ascontiguousarray(scene.pixels[:, :samples])
    parallel.run(
        tally, len(candidates), candidates, pixels, scene.depth, scene.views.rig.intrinsics,
        poses, invert_poses(poses), tolerance, view, agree, past,
    )  # fmt: skip
    counts = np.count_nonzero(~np.isnan(pixels[..., 0]), axis=1)
    others = len(counts) - 1
    asked = counts.sum() * others if view < 0 else counts[view] * (others - 1) + counts.sum()
    return np.asarray((agree - SEEN_PAST * past) / max(int(asked), 1))


def with_depth(views: ViewSet, scale: float, offset: float) -> ViewSet:
    """Return the views with depth times `scale`, above 0, plus `offset`; nan where that is not
    above 0.
    """
    if scale == 1 and offset == 0:
        return views
    changed = views.depth.astype(np.float64)  # inf and nan stay
    changed *= scale
    changed += offset
    changed[changed <= 0] = np.nan
    return replace(views, depth=changed.astype(np.float32), step=views.step * scale)


def _median(gaps: NDArray[np.float64]) -> float:
    known = np.abs(gaps[~np.isnan(gaps)])
    return float(np.median(known)) if len(known) else np.inf


def _solved(scene: Scene, found: Equations, free: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the step of the free unknowns. A turn is weighed by how far it moves the scene."""
    diagonal = np.diag(found.square)
    if not diagonal[free].any():
        return np.zeros(np.count_nonzero(free))
    twists = diagonal[:-SHARED].reshape(-1, TWIST)
    # normals are unit vectors: the shifts' squares add up to the weights
    weights = twists[:, 3:].sum(axis=1, keepdims=True)
    metric = np.repeat([[scene.radius**2, 1.0]], 3, axis=1)
    damping = np.concatenate([(weights * metric).ravel(), diagonal[-SHARED:]]) * DAMPING
    damping += 1e-12 * diagonal[free].max()
    square = found.square + np.diag(damping)
    return np.asarray(np.linalg.solve(square[free][:, free], -found.rights.sum(axis=0)[free]))


def _moves(scene: Scene, step: NDArray[np.float64]) -> float:
    """Return how far a step moves a sample at most, about, in scene units."""
    twists = np.abs(step[:-SHARED]).reshape(-1, TWIST)
    focal, scale, offset, across, down = np.abs(step[-SHARED:]).tolist()
    shared = (focal + scale) * scene.typical_depth + offset + (across + down) * scene.footprint
    return float(shared + (twists[:, :3] * scene.radius + twists[:, 3:]).max())


def _twisted(
    poses: NDArray[np.float64], twists: NDArray[np.float64], middle: NDArray[np.float64]
) -> NDArray[np.float64]:
    turns = Rotation.from_rotvec(twists[:, :3]).as_matrix()
    turned = poses.copy()
    turned[:, :3, :3] = turns @ poses[:, :3, :3]
    from_middle = poses[:, :3, 3] - middle
    turned[:, :3, 3] = (turns @ from_middle[:, :, None])[:, :, 0] + middle + twists[:, 3:]
    return turned


def _without_steps(views: ViewSet, step: float) -> NDArray[np.float32]:
    """Return depth held in steps moved onto the surfaces that run through them."""
    count, rig = len(views), views.rig
    smoothed = np.empty_like(views.depth)
    parallel.run(
        smooth_rows, count * rig.height, views.depth, rig.intrinsics, rig.orthographic,
        np.full(count, step / np.sqrt(12)), np.full(count, SMOOTHED), smoothed,
    )  # fmt: skip
    return smoothed


def _recurring_step(depth: NDArray[np.float32]) -> float:
    """Return the step that depth seems to be held in, 0 if its values do not recur."""
    known = depth[np.isfinite(depth)]
    values = np.unique(known)
    if len(values) < 2 or len(known) < RECURS * len(values):
        return 0.0
    return float(np.median(np.diff(values)))


def _smooth(depth: NDArray[np.float32], intrinsics: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which pixels (H, W) have neighbours on both sides, about in line with them."""
    inverse = np.full(depth.shape, np.nan)
    known = np.isfinite(depth)
    inverse[known] = 1 / depth[known].astype(np.float64)
    middle = inverse[1:-1, 1:-1]
    off = np.maximum(
        np.abs(inverse[1:-1, :-2] + inverse[1:-1, 2:] - 2 * middle),
        np.abs(inverse[:-2, 1:-1] + inverse[2:, 1:-1] - 2 * middle),
    )
    smooth = np.zeros(depth.shape, np.bool_)
    smooth[1:-1, 1:-1] = off <= 2 * FLAT * middle / min(intrinsics[0, 0], intrinsics[1, 1])
    return smooth  # where nan is not


def _drawn(mask: NDArray[np.bool_], count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return centres (count, 2) of pixels of the mask at random; nan past the last."""
    rows, columns = np.nonzero(mask)
    chosen = rng.permutation(len(rows))[:count]
    pixels = np.full((count, 2), np.nan)
    pixels[: len(chosen)] = np.stack([columns[chosen], rows[chosen]], axis=1) + 0.5
    return pixels
