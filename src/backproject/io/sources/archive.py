"""Sources in a .zip, which is unpacked for as long as it takes to read them."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from shutil import copyfileobj
from tempfile import TemporaryDirectory

from backproject.errors import BackprojectError, FormatError
from backproject.geometry.views import Assumption
from backproject.io.sources.folders import quietly
from backproject.io.sources.paper import model_of, models_in
from backproject.io.sources.protocol import MASK_FOLDER, chosen
from backproject.io.sources.source import Asked, Found, Source

MOST_FILES = 20_000
MOST_BYTES = 2**32
"""Unpacked. A thousand views of 1000 x 1000 float32 pixels are as much."""
MOST_RATIO, FREE_BYTES = 200, 2**27
"""Unpacked to packed size, for what is larger than the second: a silhouette on black, as text,
packs well, but no capture of that size packs so well.
"""
_JUNK = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")
_FORBIDDEN = ("\\", ":", "\0")


def is_archive(path: Path) -> bool:
    """Tell whether a path is a .zip file."""
    return path.suffix.lower() == ".zip" and path.is_file() and zipfile.is_zipfile(path)


def read_archive(path: Path, asked: Asked) -> Found:
    """Return the views of the one source in an archive, or of the one model that was asked for."""
    with _opened(path) as archive, TemporaryDirectory(prefix="backproject-") as place:
        folder = Path(place)
        members, asked = _wanted(_members(archive, path), asked, path)
        _unpack(archive, members, folder, path)
        with _renamed(folder, path):
            found, inside = _read_inside(folder, asked)
    moved = [path / file.relative_to(folder) for file in found.files]
    cameras = found.cameras
    if cameras.is_relative_to(folder):
        cameras = path / cameras.relative_to(folder)
    note = Assumption("archive", "its top" if inside == "." else inside, "a source was found there")
    return replace(found, files=moved, cameras=cameras, assumptions=[note, *found.assumptions])


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # on damaged files zipfile raises whatever it runs into
        raise _damaged(path, error) from error
    with archive:
        yield archive


def _members(archive: zipfile.ZipFile, path: Path) -> list[zipfile.ZipInfo]:
    """Return the files in an archive, without what systems add by themselves; each name is safe."""
    # not is_dir(), which trips over an empty name
    members = [each for each in archive.infolist() if not each.filename.endswith("/")]
    kept = [each for each in members if not set(PurePosixPath(each.filename).parts) & set(_JUNK)]
    names = set()
    for member in kept:
        name = PurePosixPath(member.filename)
        outside = name.is_absolute() or ".." in name.parts or not name.parts
        if outside or any(sign in member.filename for sign in _FORBIDDEN):
            raise FormatError(
                f"{path}: names {member.filename[:100]!r}, expected a path that stays inside"
            )
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise FormatError(f"{path}: {member.filename[:100]!r} is a link, expected a plain file")
        if member.flag_bits & 1:
            raise FormatError(f"{path}: {member.filename[:100]!r} is encrypted: unpack it first")
        if name in names:
            raise FormatError(f"{path}: holds {member.filename[:100]!r} twice, expected once")
        names.add(name)
    return kept


def _wanted(
    members: Sequence[zipfile.ZipInfo], asked: Asked, path: Path
) -> tuple[list[zipfile.ZipInfo], Asked]:
    """Return the files to unpack: of the paper's many models, those of one."""
    names = {member: PurePosixPath(member.filename).name for member in members}
    models = models_in(names.values())
    if len(models) < 2:
        return list(members), asked
    model = chosen(models, asked.model, path)
    kept = [member for member, name in names.items() if model_of(name) in (None, model)]
    return kept, replace(asked, model=model)


def _unpack(
    archive: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo], folder: Path, path: Path
) -> None:
    """Write files under a folder, if they are neither too many nor too large."""
    size = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if len(members) > MOST_FILES:
        raise FormatError(
            f"{path}: holds {len(members)} files, expected no more than {MOST_FILES}: unpack it"
            " and give a folder of it"
        )
    if size > MOST_BYTES or size > max(FREE_BYTES, MOST_RATIO * packed):
        raise FormatError(
            f"{path}: claims {size} bytes unpacked from {packed}, expected no more than"
            f" {MOST_BYTES}, and {MOST_RATIO} times the packed ones: unpack it yourself if you"
            " trust it"
        )
    for member in members:
        target = folder / member.filename
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as packed_file, target.open("xb") as file:
                copyfileobj(packed_file, file)  # never more than the size that was claimed
        except Exception as error:
            raise _damaged(path, error) from error


def _read_inside(folder: Path, asked: Asked) -> tuple[Found, str]:
    """Return what the one source in a folder holds, and the path to it."""
    top = folder
    while len(inside := sorted(top.iterdir())) == 1 and inside[0].is_dir():
        top = inside[0]
    things = [each for each in inside if each.name != MASK_FOLDER]
    alone = [each for each in things if each.is_file()] if len(things) == 1 else []
    for places in (alone, [top], [each for each in inside if each.is_dir()], inside):
        known = {place.name: (place, source) for place in places if (source := _source_of(place))}
        if known:
            several = len(known) > 1
            name = chosen(list(known), asked.model if several else None, top)
            place, source = known[name]
            asked = replace(asked, model=None) if several else asked
            return source.read(place, asked), place.relative_to(folder).as_posix()
    names = ", ".join(each.name for each in inside)[:100] or "nothing"
    raise FormatError(
        f"{top}: holds {names}, expected a source of a kind that can be read, one folder deep at"
        " most; `backproject formats` lists what can"
    )


def _source_of(path: Path) -> Source | None:
    from backproject.io.sources.registry import SOURCES  # it lists this one too

    kinds = (source for source in SOURCES if source is not SOURCE)
    return next((source for source in kinds if source.recognises(path)), None)


@contextmanager
def _renamed(folder: Path, path: Path) -> Iterator[None]:
    """Let errors name the archive instead of the folder that it was unpacked to."""
    try:
        yield
    except BackprojectError as error:
        raise type(error)(str(error).replace(str(folder), str(path))) from error


def _damaged(path: Path, error: Exception) -> FormatError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return FormatError(f"{path}: cannot be unpacked: {reason}; expected a whole .zip")


SOURCE = Source(
    name="zip",
    files="a .zip with one of these at its top, or in a folder",
    what="whatever is found there; --model for one of several models or folders",
    recognises=quietly(is_archive),
    read=read_archive,
)
