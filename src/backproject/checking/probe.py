"""How well views agree: some pixels of each, looked up in all others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backproject.errors import InputError
from backproject.geometry.views import ViewSet
from backproject.kernels import parallel
from backproject.kernels.agreement import score_placements, score_samples
from backproject.progress import Progress, silent

SAMPLES = 300
"""How many pixels of each view are looked up."""
FOOTPRINTS = 2.0
"""How far from the surface a point may lie and agree, in pixel footprints: one pixel of the view
that saw it and one of the view that is asked, at 45 degrees.
"""
SIGNIFICANT = 5.0
"""How many standard errors a hypothesis must lead by. The lead of two that are equally good exceeds
that less often than once in a million, and at least 25 samples must speak for the better one.
"""
SETTLED = 0.05
"""The share of contradictions among what views say of each other under which they agree. Exact and
8-bit depth have up to 0.01, the paper's images 0.034, a focal length that is 2 % off 0.06 and more.
What is off by less is still found, see `diagnosis.check`.
"""
TALKATIVE = 0.2
"""The least that views say of each other once mended, of what they said before. Right ones say 0.4
of it and more; a ball's, if poses are inverted, say 0.02 and hardly contradict each other.
"""
_SMOOTH = 0.02
"""The share of its depth by which a neighbour of a sampled pixel may differ: not an edge."""

Label = NDArray[np.int64]
"""One integer for each image, (N,)."""
TURNS = np.array(
    [
        [[1, 0], [0, 1]], [[0, 1], [-1, 0]], [[-1, 0], [0, -1]], [[0, -1], [1, 0]],
        [[-1, 0], [0, 1]], [[0, 1], [1, 0]], [[1, 0], [0, -1]], [[0, -1], [-1, 0]],
    ],
    np.float64,
)  # fmt: skip
"""What can have happened to an image, (8, 2, 2): x -> TURNS[label] @ x about its centre, x right
and y down. Label = quarter turns to the left, + 4 if it was mirrored left to right before that.
"""


@dataclass(frozen=True)
class Agreement:
    """The score of each sample in each view: `scores` (N, S, N) int8, `counts` (N,) how many
    samples each view has.
    """

    scores: NDArray[np.int8]
    counts: NDArray[np.int64]

    @property
    def pairs(self) -> NDArray[np.float64]:
        """The mean score of the samples of view i in view j, (N, N), from -2 to 1."""
        sums = self.scores.sum(axis=1, dtype=np.float64)
        return np.asarray(sums / np.maximum(self.counts, 1)[:, None])

    @property
    def consistency(self) -> float:
        """The mean over all pairs of different views: 1 if each sees all that each other sees, -2
        if all points lie in each other's free space.
        """
        count = len(self.counts)
        return float(self.pairs.sum() / max(count * (count - 1), 1))

    @property
    def said(self) -> float:
        """The share of pairs of a view and another's sample of which the view says anything."""
        pairs = int(self.counts.sum()) * (len(self.counts) - 1)
        return float(np.count_nonzero(self.scores) / pairs) if pairs else 0.0

    @property
    def clash(self) -> float:
        """The share of contradictions among what views say of each other's samples."""
        said = np.count_nonzero(self.scores)
        return float(np.count_nonzero(self.scores < 0) / said) if said else 0.0

    @property
    def settled(self) -> bool:
        """Whether views agree: they say enough of each other, and hardly any of it against."""
        return self.lead_over_chance() >= SIGNIFICANT and self.clash <= SETTLED

    def settles(self, given: Agreement) -> bool:
        """Whether views agree that as `given` do not, and not because they look past each other."""
        return self.settled and self.said >= TALKATIVE * given.said

    def lead(self, other: Agreement) -> float:
        """Return by how many standard errors this explains the same samples better than `other`.

        A sample's difference is one draw, which under equally good hypotheses is as often below 0
        as above; so the sum of S of them has the standard error sqrt(sum of their squares).
        """
        ours = self.scores.sum(axis=2, dtype=np.float64)
        theirs = other.scores.sum(axis=2, dtype=np.float64)
        return _in_errors(ours - theirs)

    def lead_in_clash(self, other: Agreement) -> float:
        """Return the same, counting contradictions alone."""
        ours, theirs = (np.count_nonzero(each.scores < 0, axis=2) for each in (self, other))
        return _in_errors((theirs - ours).astype(np.float64))

    def lead_over_chance(self) -> float:
        """Return by how many standard errors confirmations outweigh contradictions."""
        return _in_errors(self.scores.sum(axis=2, dtype=np.float64))

    def lead_of_view(self, k: int, others: NDArray[np.bool_]) -> float:
        """Return the same for view k against `others` (N,) alone: its samples, and theirs in it."""
        own = self.scores[k][:, others].sum(axis=1, dtype=np.float64)
        theirs = self.scores[others, :, k].astype(np.float64)
        return _in_errors(np.concatenate([own, theirs.ravel()]))


def _in_errors(differences: NDArray[np.float64]) -> float:
    spread = float(np.sqrt((differences**2).sum()))
    return float(differences.sum()) / spread if spread > 0 else 0.0


@dataclass(frozen=True)
class Probe:
    """Which pixels of each view are asked about: `rows`, `columns` (N, S) of integers, the first
    `counts` (N,) of each view are used; `seed` chose them.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    counts: NDArray[np.int64]
    seed: int

    @classmethod
    def of(cls, views: ViewSet, *, samples: int = SAMPLES, seed: int = 0) -> Probe:
        """Return up to `samples` pixels of each view, evenly at random. They and their eight
        neighbours lie on smooth surface, so that no sample stands on an edge, where half a pixel
        decides what other views see.

        Raises:
            InputError: fewer than one sample.

        """
        return cls.among(np.stack([_smooth(depth) for depth in views.depth]), samples, seed)

    @classmethod
    def among(cls, pixels: NDArray[np.bool_], samples: int, seed: int) -> Probe:
        """Return up to `samples` of some `pixels` (N, H, W) of each view, evenly at random.

        Raises:
            InputError: fewer than one sample.

        """
        if samples < 1:
            raise InputError(f"samples: got {samples}, expected at least 1")
        rng = np.random.default_rng(seed)
        rows, columns = np.zeros((2, len(pixels), samples), np.int64)
        counts = np.zeros(len(pixels), np.int64)
        for k, mask in enumerate(pixels):
            some = np.argwhere(mask)
            chosen = some[rng.permutation(len(some))[:samples]]
            counts[k] = len(chosen)
            rows[k, : len(chosen)], columns[k, : len(chosen)] = chosen.T
        return cls(rows, columns, counts, seed)

    def fewer(self, samples: int) -> Probe:
        """Return the first `samples` of each view."""
        rows, columns = self.rows[:, :samples], self.columns[:, :samples]
        return Probe(rows, columns, np.minimum(self.counts, samples), self.seed)

    @property
    def pixels(self) -> NDArray[np.float64]:
        """The centres of the sampled pixels, (N, S, 2)."""
        return np.stack([self.columns, self.rows], axis=2).astype(np.float64) + 0.5

    def depth(self, views: ViewSet) -> NDArray[np.float64]:
        """Return the depth of the samples, (N, S), 0 for those that are none."""
        self._check(views)
        images = np.arange(len(views))[:, None]
        depth = views.depth[images, self.rows, self.columns].astype(np.float64)
        used = np.arange(self.rows.shape[1]) < self.counts[:, None]
        return np.where(used & np.isfinite(depth), depth, 0.0)

    def images(self, views: ViewSet) -> NDArray[np.float64]:
        """Return where each view would see the samples of each, in pixels, (N, N, S, 2); nan for
        those that are none.
        """
        depth = self.depth(views)
        placed = np.full((len(depth), *self.pixels.shape), np.nan)
        for k, camera in enumerate(views.rig):
            some = depth[k] > 0
            points = camera.unproject(self.pixels[k, some], depth[k, some])
            for n, other in enumerate(views.rig):
                placed[n, k, some] = other.project(points)[0]
        return placed

    def agreement(
        self,
        views: ViewSet,
        *,
        cameras: Label | None = None,
        turns: Label | None = None,
        footprints: float = FOOTPRINTS,
        about: int = -1,
        threads: int = 0,
    ) -> Agreement:
        """Return the score of each sample in each view, where image k belongs to camera
        `cameras[k]` and was turned by `TURNS[turns[k]]`; by default its own and not at all.
        With `about` an image, only the pairs with it are scored; 0 is written for the others.
        """
        count, samples = self.rows.shape
        scores = np.zeros((count, samples, count), np.int8)
        placed = np.arange(count) if cameras is None else np.asarray(cameras, np.int64)
        turned = np.zeros(count, np.int64) if turns is None else np.asarray(turns, np.int64)
        given = self._given(views)
        parallel.run(
            score_samples,
            count, *given, placed, turned, TURNS, footprints, views.step, about, scores,
            threads=threads,
        )  # fmt: skip
        return Agreement(scores, self.counts)

    def table(
        self,
        views: ViewSet,
        cameras: NDArray[np.int64],
        turns: NDArray[np.int64],
        *,
        progress: Progress = silent,
        stage: str = "",
        threads: int = 0,
    ) -> NDArray[np.float32]:
        """Return the mean scores of all pairs of placed images, both ways, (N, M, N, M): entry
        [i, m, j, n] tells how well placement m of image i and n of image j go together.

        `cameras`, `turns` (N, M) are the M placements of each image.
        """
        count, placements = cameras.shape
        scores = np.zeros((count, placements, count, placements), np.float32)
        given = self._given(views)
        parallel.run(
            score_placements,
            count, *given, cameras, turns, TURNS, FOOTPRINTS, views.step, scores,
            threads=threads,
            on_chunk=lambda share: progress(stage, share),
        )  # fmt: skip
        scores /= np.maximum(self.counts, 1).astype(np.float32)[:, None, None, None]
        return np.asarray(scores + scores.transpose(2, 3, 0, 1))

    def _given(self, views: ViewSet) -> tuple[NDArray[np.generic], ...]:
        rig = views.rig
        focal = np.ascontiguousarray(rig.intrinsics[:, (0, 1), (0, 1)])
        center = np.ascontiguousarray(rig.intrinsics[:, :2, 2])
        poses = rig.world_from_camera, rig.camera_from_world
        return (self.pixels, self.depth(views), views.depth, focal, center, *poses)

    def _check(self, views: ViewSet) -> None:
        if len(views) != len(self.rows):
            raise InputError(
                f"probe: it has samples of {len(self.rows)} views, and there are {len(views)}"
            )


def agreement_of(views: ViewSet) -> Agreement:
    """Return what views say of some samples of each other."""
    return Probe.of(views).agreement(views)


def consistency(views: ViewSet, probe: Probe | None = None) -> float:
    """Return how well views agree, from -2 to 1: the mean over all pairs of views of what the
    samples of one score in the other.

    A sample scores +1 on the surface that the other view sees, -2 where that view sees past it,
    which is impossible, and 0 where it is hidden or outside: silhouette, depth and free space at
    once, as the evidence that TSDF fusion and carving gather (Curless & Levoy 1996).
    """
    return (probe or Probe.of(views)).agreement(views).consistency


def _smooth(depth: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which pixels (H, W) have eight neighbours, all at nearly their own depth."""
    height, width = depth.shape
    smooth = np.zeros((height, width), np.bool_)
    if height < 3 or width < 3:
        return smooth
    center = depth[1:-1, 1:-1]
    inner = np.isfinite(center)
    with np.errstate(invalid="ignore"):
        for row in range(3):
            for column in range(3):
                beside = depth[row : row + height - 2, column : column + width - 2]
                inner &= np.abs(beside - center) < _SMOOTH * center
    smooth[1:-1, 1:-1] = inner
    return smooth
