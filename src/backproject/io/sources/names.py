"""Pairs of images and depth maps by their names: `rgb/a_012.jpg` and `depth/a_012.geometric.bin`,
`012.color.png` and `012.depth.png`, `color_012.png` and `depth_012.npy`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from backproject.errors import FormatError

_SUFFIXES = re.compile(
    r"(\.(npy|npz|exr|png|tiff?|pfm|txt|jpe?g|bmp|webp|bin|geometric|photometric))+$", re.IGNORECASE
)
_KINDS = re.compile(r"^(depth|colou?r|rgb|image|img)$", re.IGNORECASE)


def by_name(names: Sequence[str], files: Sequence[Path], folder: Path) -> dict[int, int]:
    """Return which depth map belongs to which image: positions in `files` by positions in `names`.

    Images in folders of their own are looked for in such folders first, and then by name alone.

    Raises:
        FormatError: two of either are the same but for suffixes and words such as `depth`.

    """
    keys = [_key(PurePosixPath(file.relative_to(folder).as_posix())) for file in files]
    wanted = [_key(PurePosixPath(name.replace("\\", "/"))) for name in names]
    if not set(keys) & set(wanted):
        keys, wanted = [key[-1:] for key in keys], [key[-1:] for key in wanted]
    depth_of = _positions(keys, [file.name for file in files], folder)
    image_of = _positions(wanted, names, folder)
    return {k: depth_of[key] for key, k in image_of.items() if key in depth_of}


def _key(path: PurePosixPath) -> tuple[str, ...]:
    """Return a path without suffixes, and without the words that only say of what kind it is."""
    pieces = re.split(r"[._\-\s]+", _SUFFIXES.sub("", path.name))
    kept = [piece for piece in pieces if piece and not _KINDS.match(piece)]
    return (*(part for part in path.parts[:-1] if part != "."), "_".join(kept))


def _positions(
    keys: Sequence[tuple[str, ...]], names: Sequence[str], folder: Path
) -> dict[tuple[str, ...], int]:
    positions: dict[tuple[str, ...], int] = {}
    for k, key in enumerate(keys):
        if key in positions:
            raise FormatError(
                f"{folder}: `{names[positions[key]]}` and `{names[k]}` mean the same view by their"
                " names, expected one for each: move the other elsewhere"
            )
        positions[key] = k
    return positions
