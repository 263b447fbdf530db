"""An input, wherever it is, to a local file; and what a file holds, in one number."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import IO

from backproject.batch.inputs import Input, name_bytes
from backproject.batch.urls import filesystem_of, is_url
from backproject.errors import FileMissingError, FormatError

_PIECE = 1 << 20


def fetch(given: Input, folder: Path) -> Path:
    """Return a local path with the input's content: itself, or a copy in `folder`.

    Raises:
        FileMissingError: it is not there any more.
        FormatError: a damaged archive.

    """
    if given.trouble is not None:
        raise FormatError(given.trouble)
    if is_url(given.place):
        files, path = filesystem_of(given.place)
        copy = folder / PurePosixPath(path).name
        files.get_file(path, str(copy))
        return copy
    place = Path(given.place)
    if not place.exists():
        raise FileMissingError(f"{given.name}: no such file, expected it where it was listed")
    if given.member is None:
        return place
    copy = folder / PurePosixPath(given.member).name
    try:
        _unpack(given, place, copy)
    except (zipfile.BadZipFile, KeyError, EOFError, zlib.error) as error:
        raise FormatError(f"{given.name}: {error}; expected a whole member") from error
    return copy


def _unpack(given: Input, place: Path, copy: Path) -> None:
    assert given.member is not None
    with copy.open("wb") as target:
        if given.span is None:
            with _opened_zip(given.place, place.stat().st_mtime_ns).open(given.member) as source:
                shutil.copyfileobj(source, target)
        else:
            with place.open("rb") as source:
                source.seek(given.span[0])
                _copy(source, target, given.span[1])


@lru_cache(maxsize=2)
def _opened_zip(path: str, _changed: int) -> zipfile.ZipFile:
    """Return an archive whose table of contents is read once a process, not once a member."""
    return zipfile.ZipFile(path)


def _copy(source: IO[bytes], target: IO[bytes], count: int) -> None:
    while count:
        piece = source.read(min(count, _PIECE))
        if not piece:
            raise EOFError("the archive ends within it")
        target.write(piece)
        count -= len(piece)


def content_of(path: Path) -> str:
    """Return the SHA-256 of a file, or of all names and files in a folder, as hexadecimal."""
    if not path.is_dir():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    whole = hashlib.sha256()
    for file in sorted(each for each in path.rglob("*") if not each.is_dir()):
        whole.update(name_bytes(f"{file.relative_to(path).as_posix()}\0{content_of(file)}\n"))
    return whole.hexdigest()
