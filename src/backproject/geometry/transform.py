"""A change of frame that keeps shape: scale, rotation, translation."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backproject.errors import InputError

TOLERANCE = 1e-4
"""How far a rotation may be off orthonormal."""


@dataclass(frozen=True)
class Similarity:
    """The map `x -> scale * rotation @ x + translation` between two frames, named `a_from_b`.

    `scale` is above 0, `rotation` (3, 3), and `translation` (3,) in units of the new frame.
    Similarities compose with `@` (`a_from_b @ b_from_c` is `a_from_c`) and form a group.
    """

    scale: float = 1.0
    rotation: NDArray[np.float64] = field(default_factory=lambda: np.eye(3))
    translation: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", float(self.scale))
        object.__setattr__(self, "rotation", np.asarray(self.rotation, np.float64))
        object.__setattr__(self, "translation", np.asarray(self.translation, np.float64))
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise InputError(f"scale of a Similarity: got {self.scale}, expected a number above 0")
        check_rotation(self.rotation, "rotation of a Similarity")
        if self.translation.shape != (3,) or not np.isfinite(self.translation).all():
            raise InputError(
                f"translation of a Similarity: got {self.translation}, expected 3 finite numbers"
            )

    def apply(self, points: ArrayLike) -> NDArray[np.float64]:
        """Return the points (..., 3) in the other frame."""
        rotated = np.asarray(points, np.float64) @ self.rotation.T
        return self.scale * rotated + self.translation

    def apply_to_directions(self, directions: ArrayLike) -> NDArray[np.float64]:
        """Return unit directions (..., 3) in the other frame: rotated only."""
        return np.asarray(directions, np.float64) @ self.rotation.T

    def inverse(self) -> Similarity:
        """Return the way back."""
        rotation = self.rotation.T
        return Similarity(1 / self.scale, rotation, -(rotation @ self.translation) / self.scale)

    def __matmul__(self, other: Similarity) -> Similarity:
        return Similarity(
            self.scale * other.scale,
            self.rotation @ other.rotation,
            self.apply(other.translation),
        )


def are_rotations(matrices: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which of (N, 3, 3) are orthonormal within `TOLERANCE` and no reflections."""
    with np.errstate(all="ignore"):
        off = np.abs(matrices @ np.swapaxes(matrices, 1, 2) - np.eye(3)).max(axis=(1, 2))
        return np.asarray((off <= TOLERANCE) & (np.linalg.det(matrices) > 0))


def check_rotation(rotation: NDArray[np.float64], name: str) -> None:
    """Raise InputError unless `rotation` is (3, 3), orthonormal within `TOLERANCE` and not a
    reflection.
    """
    if rotation.shape != (3, 3):
        raise InputError(f"{name}: got shape {rotation.shape}, expected (3, 3)")
    if not np.isfinite(rotation).all():
        raise InputError(f"{name}: holds nan or infinite numbers, expected a rotation")
    with np.errstate(all="ignore"):
        determinant = float(np.linalg.det(rotation))
        off = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
    if off > TOLERANCE or determinant < 0:
        what = "a reflection" if determinant < 0 and off <= TOLERANCE else "not a rotation"
        raise InputError(
            f"{name}: {what} (determinant {determinant:.4g}, off orthonormal by {off:.2g}),"
            " expected determinant 1"
        )
