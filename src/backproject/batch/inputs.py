"""What the inputs on a command line name: files, folders, members of archives, URLs.

No mesh is opened here: archives' tables of contents, lists and the system's own records tell all.
Captures are looked into as far as it takes to know what they are.
"""

from __future__ import annotations

import glob
import hashlib
import os
import tarfile
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from backproject.batch.own import Own
from backproject.batch.urls import filesystem_of, is_url
from backproject.errors import FileMissingError, FormatError
from backproject.io.meshes import MESH_FORMATS
from backproject.io.sources.registry import recognise

Kind = Literal["mesh", "capture"]
MEMBER = "!"
"""Between an archive and what is meant in it: `a.zip!inner/mesh.obj`."""
LISTS = (".txt", ".list")
PACKED_TARS = (".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
VIEWS = "views.npz"
"""The depth maps in a folder that a batch made."""
FRESH = 2.0
"""Seconds within which a file that changed may change again unnoticed: a clock ticks no finer on
some file systems.
"""
_TAGS = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "created")


@dataclass(frozen=True)
class Input:
    """One shape: its `name` is what the user called it, and stays the same from run to run.

    `place` is an absolute path or a URL; `member` one of the archive there, and `span` the bytes
    (start, length) where it lies in a tar. `stamp` changes when the content does; None where
    nothing tells without reading. `trouble` is why nothing can come of it, if that is known.
    """

    name: str
    place: str
    member: str | None = None
    span: tuple[int, int] | None = None
    stamp: str | None = None
    trouble: str | None = None


def inputs_of(asked: Iterable[str], kind: Kind, *, skip: Iterable[Path | str] = ()) -> list[Input]:
    """Return the shapes that the user's words name, each once, in their order; folders in that of
    names. What lies in the folders `skip`, paths or URLs, is passed over, whatever word names it.

    Raises:
        FileMissingError: a word that names nothing.
        FormatError: an archive or a list that cannot be read.

    """
    found: dict[str, Input] = {}
    own = Own(skip)
    words = list(asked)
    for word in words:
        named = list(_named_by(word, kind, own))
        if not named and not own.holds(word):
            expected = " ".join(MESH_FORMATS) if kind == "mesh" else "depth maps with cameras"
            raise FileMissingError(f"{word}: holds no {kind}, expected some: {expected}")
        for each in named:
            if not own.holds(each.place):
                found.setdefault(each.name, each)
    if not found:
        raise FileMissingError(
            f"{' '.join(words)}: names nothing but this run's own results, expected some {kind}"
        )
    return list(found.values())


def name_bytes(name: str) -> bytes:
    """Return a name as bytes, also one that is no text: file systems know names as bytes."""
    return name.encode("utf-8", "surrogateescape")


def in_shard(name: str, shard: tuple[int, int]) -> bool:
    """Return whether an input belongs to a part (number, of how many), by its name alone."""
    number, count = shard
    return int.from_bytes(hashlib.sha256(name_bytes(name)).digest()[:8], "big") % count == number


def _named_by(word: str, kind: Kind, own: Own) -> Iterator[Input]:
    if is_url(word):
        yield from _in_url(word, kind)
        return
    archive, mark, member = word.partition(MEMBER)
    if not os.path.lexists(word) and mark and Path(archive).is_file():
        chosen = [each for each in _in_archive(Path(archive)) if each.member == member]
        if not chosen:
            raise FileMissingError(f"{archive}: holds no member {member}, expected it")
        yield from chosen
        return
    if os.path.lexists(word):
        yield from _at(Path(word), kind, own)
        return
    matches = sorted(glob.glob(word, recursive=True))  # noqa: PTH207  (Path's: no absolute ones)
    if not matches:
        raise FileMissingError(f"{word}: no such file or folder, expected a {kind} or several")
    for match in matches:
        yield from _at(Path(match), kind, own)


def _at(path: Path, kind: Kind, own: Own) -> Iterator[Input]:
    """Yield what a path that exists stands for: itself, or what it holds."""
    if path.is_dir():
        yield from _in_folder(path, kind, own)
    elif path.suffix.lower() in LISTS:
        yield from _in_list(path, kind, own)
    elif kind == "mesh" and is_archive(path):
        yield from _in_archive(path)
    else:
        yield file_input(path)


def file_input(path: Path) -> Input:
    """Return the input that is a file or a folder itself."""
    return Input(path.as_posix(), str(path.absolute()), stamp=_stamp_of(path))


def _in_list(path: Path, kind: Kind, own: Own) -> Iterator[Input]:
    """Yield what a text file lists, one a line, from its own folder; what is missing is an input
    all the same, which will fail.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: is no text, expected a list of inputs, one a line") from error
    for line in lines:
        word = line.strip()
        if not word or word.startswith("#"):
            continue
        word = word if is_url(word) else str(path.parent / word)
        try:
            yield from _named_by(word, kind, own)
        except (FileMissingError, FormatError, OSError) as error:
            yield _failing(word, error)


def _failing(word: str, error: Exception) -> Input:
    """Return an input of which nothing can come: it costs a row, and not the run."""
    name, place = (word, word) if is_url(word) else (Path(word).as_posix(), Path(word).absolute())
    return Input(name, str(place), trouble=" ".join(str(error).split()))


def _in_folder(folder: Path, kind: Kind, own: Own, seen: set[str] | None = None) -> Iterator[Input]:
    """Yield the shapes below a folder, in the order of names; links are followed, but no folder is
    `seen` twice.
    """
    seen, real = set() if seen is None else seen, os.path.realpath(folder)
    if own.holds(folder) or real in seen:
        return
    seen.add(real)
    if kind == "capture" and (whole := _capture_at(folder)):
        yield file_input(whole)
        return
    for entry in sorted(os.scandir(folder), key=lambda each: each.name):
        path = folder / entry.name
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _in_folder(path, kind, own, seen)
        elif kind == "mesh" and path.suffix.lower() in MESH_FORMATS:
            yield file_input(path)
        elif kind == "mesh":
            yield from _in_archive_of_folder(path)
        elif _recognised(path):
            yield from _at(path, kind, own)


def _in_archive_of_folder(path: Path) -> Iterator[Input]:
    """Yield the members, or what will fail, as nobody named the archive itself."""
    try:
        if is_archive(path):
            yield from _in_archive(path)
    except (FormatError, OSError) as error:
        yield _failing(str(path), error)


def _capture_at(folder: Path) -> Path | None:
    """Return what of a folder is a capture: all of it, or the views that a batch made there."""
    views = folder / VIEWS
    if views.is_file():
        return views
    return folder if _recognised(folder) else None


def _recognised(path: Path) -> bool:
    if path.suffix.lower() in MESH_FORMATS:
        return False
    try:
        recognise(path)
    except (FormatError, FileMissingError):
        return False
    return True


def is_archive(path: Path) -> bool:
    """Return whether a file is an archive of shapes, by its name.

    Raises:
        FormatError: a compressed tar, in which nothing can be found but by unpacking all before it.

    """
    name = path.name.lower()
    if name.endswith(PACKED_TARS):
        raise FormatError(
            f"{path}: is a compressed tar, which cannot be read from the middle, expected a .zip or"
            " a plain .tar: unpack it once"
        )
    return name.endswith((".zip", ".tar"))


def _in_archive(path: Path) -> Iterator[Input]:
    try:
        if path.suffix.lower() == ".zip":
            yield from _in_zip(path)
        else:
            yield from _in_tar(path)
    except (zipfile.BadZipFile, tarfile.TarError) as error:
        raise FormatError(f"{path}: cannot be read: {error}; expected a whole archive") from error


def _in_zip(path: Path) -> Iterator[Input]:
    with zipfile.ZipFile(path) as archive:
        entries = sorted(archive.infolist(), key=lambda each: each.filename)
    for entry in entries:
        if Path(entry.filename).suffix.lower() in MESH_FORMATS:
            stamp = f"{entry.file_size}-{entry.CRC:08x}"
            yield _member(path, entry.filename, stamp=stamp)


def _in_tar(path: Path) -> Iterator[Input]:
    with tarfile.open(path, "r:") as archive:
        entries = sorted(archive.getmembers(), key=lambda each: each.name)
    whole = _stamp_of(path)
    for entry in entries:
        if entry.isreg() and Path(entry.name).suffix.lower() in MESH_FORMATS:
            span = (entry.offset_data, entry.size)
            stamp = whole and f"{whole}-{span[0]}-{span[1]}"
            yield _member(path, entry.name, span=span, stamp=stamp)


def _member(path: Path, member: str, **more: Any) -> Input:
    return Input(f"{path.as_posix()}{MEMBER}{member}", str(path.absolute()), member, **more)


def _in_url(url: str, kind: Kind) -> Iterator[Input]:
    """Yield what a URL stands for: one file, or those below a folder, or that match a pattern."""
    files, path = filesystem_of(url)
    _, chain, rest = url.partition("::")
    wanted = set(MESH_FORMATS) if kind == "mesh" else {".npz", ".zip"}
    if glob.has_magic(path):
        found: Mapping[str, Any] = files.glob(path, detail=True)
    elif files.isdir(path):
        found = files.find(path, detail=True)
        found = {each: told for each, told in found.items() if Path(each).suffix.lower() in wanted}
    elif files.exists(path):
        found = {path: files.info(path)}
    else:
        raise FileMissingError(f"{url}: nothing there, expected a {kind} or several")
    for each in sorted(found):
        name = f"{files.unstrip_protocol(each)}{chain}{rest}"
        yield Input(name, name, stamp=_url_stamp(found[each]))


def _url_stamp(told: Mapping[str, Any]) -> str | None:
    tags = [str(told[tag]) for tag in _TAGS if told.get(tag) is not None]
    return f"{told.get('size')}-{tags[0]}" if tags else None


def _stamp_of(path: Path) -> str | None:
    """Return what the system tells of a file's or a folder's content; None if it changed just now.

    The time of a change of its record, which nobody can set back, counts too.
    """
    fresh_since = time.time() - FRESH
    stamps = []
    try:
        for each in [path] if not path.is_dir() else sorted(path.rglob("*")):
            told = each.stat()
            if max(told.st_mtime, told.st_ctime) > fresh_since:
                return None
            stamps.append(f"{told.st_size}-{told.st_mtime_ns}-{told.st_ctime_ns}")
    except OSError:
        return None
    return stamps[0] if len(stamps) == 1 else hashlib.sha256("\n".join(stamps).encode()).hexdigest()
