"""The paper's folders: `model_<x>_Cam_<k>.png`, and its samples `<name>-<k>-rec.png`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from backproject.errors import FormatError
from backproject.geometry.views import Assumption
from backproject.io.depth_images import read_stored
from backproject.io.sources.folders import quietly
from backproject.io.sources.order import natural_order
from backproject.io.sources.protocol import (
    IMAGE_SUFFIXES,
    cameras_for,
    check_views,
    chosen,
    found_of,
    masks_of,
    meaning_of,
)
from backproject.io.sources.source import Asked, Found, Source

_SUFFIXES = (".txt", *IMAGE_SUFFIXES)
"""The first that holds all of a model's views is read: floats are exact, JPEG is not."""
_NAMES = (
    re.compile(r"(?P<model>model_.+)_Cam_(?P<view>\d{1,9})(?P<suffix>\.\w+)", re.IGNORECASE),
    re.compile(r"(?P<name>.+)-(?P<view>\d{1,9})-(?P<kind>rec|or)(?P<suffix>\.\w+)", re.IGNORECASE),
)


def model_of(name: str) -> str | None:
    """Return the model that an image shows by the name of its file, None if it is not named so:
    `model_7` of `model_7_Cam_0.png`, `chair-rec` of `chair-0-rec.png`.
    """
    parts = _parts(name)
    return parts[0] if parts else None


def is_paper(path: Path) -> bool:
    """Tell whether a path is such a folder, or one image of one."""
    if path.is_dir():
        return any(model_of(file.name) for file in path.iterdir())
    return model_of(path.name) is not None and path.is_file()


def read_paper(path: Path, asked: Asked) -> Found:
    """Return the views of one model of a folder: the only one, the one asked for, or the one whose
    image was named.
    """
    folder = path if path.is_dir() else path.parent
    files = [file for file in folder.iterdir() if model_of(file.name) and file.is_file()]
    models = models_in(file.name for file in files)
    model = chosen(models, asked.model if path.is_dir() else model_of(path.name), path)
    files, notes = _of_one_suffix([file for file in files if model_of(file.name) == model], folder)
    stored = [read_stored(file) for file in files]
    cameras = cameras_for(folder, asked, stored[0].shape)
    check_views([_view_of(file) for file in files], cameras, folder, f"images of {model}")
    meaning = meaning_of(stored, files, masks_of(files, folder))
    notes = [Assumption("model", model, "the files' names"), *notes]
    return found_of(SOURCE.name, files, cameras, notes, meaning)


def models_in(names: Iterable[str]) -> list[str]:
    """Return the models that files show by their names, in natural order."""
    models = {model for name in names if (model := model_of(name))}
    return [path.name for path in natural_order(Path(model) for model in models)[0]]


def _parts(name: str) -> tuple[str, int, str] | None:
    """Return model, view and suffix."""
    for pattern in _NAMES:
        match = pattern.fullmatch(name)
        if match and match["suffix"].lower() in _SUFFIXES:
            groups = match.groupdict()
            model = groups.get("model") or f"{groups['name']}-{groups['kind']}"
            return model, int(groups["view"]), groups["suffix"].lower()
    return None


def _view_of(file: Path) -> int:
    parts = _parts(file.name)
    assert parts is not None
    return parts[1]


def _of_one_suffix(files: list[Path], folder: Path) -> tuple[list[Path], list[Assumption]]:
    """Return a model's images of one suffix, a view each, in the order of views."""
    by_suffix: dict[str, list[Path]] = {}
    for file in files:
        by_suffix.setdefault(file.suffix.lower(), []).append(file)
    most = max(len(some) for some in by_suffix.values())
    suffix = next(each for each in _SUFFIXES if len(by_suffix.get(each, ())) == most)
    ordered, told = natural_order(by_suffix.pop(suffix))
    notes = [told] if told else []
    seen: dict[int, Path] = {}
    for file in ordered:
        if _view_of(file) in seen:
            raise FormatError(
                f"{folder}: {seen[_view_of(file)].name} and {file.name} show the same view,"
                " expected one image of it: move the other elsewhere"
            )
        seen[_view_of(file)] = file
    if by_suffix:
        others = " and ".join(sorted(by_suffix))
        notes.append(Assumption("images", suffix, f"rather than {others} beside them"))
    return ordered, notes


SOURCE = Source(
    name="paper",
    files="a folder of model_<x>_Cam_<k>.png, .jpg or .txt, or of <name>-<k>-rec.png with mask/,"
    " or one of these images",
    what="8 bits, white near, from cameras of camPosList.txt, --camera-file or the paper's 20",
    recognises=quietly(is_paper),
    read=read_paper,
)
