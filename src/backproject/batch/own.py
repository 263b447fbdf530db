"""A run's own results, which must not become its inputs, whatever names them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from backproject.batch.urls import filesystem_of, is_url

_LOCAL = "file://"


class Own:
    """Folders, paths or URLs, of results."""

    def __init__(self, places: Iterable[Path | str]) -> None:
        self._real: dict[str, str] = {}
        self._roots = [self._where(str(place)).rstrip("/") for place in places]

    def holds(self, place: Path | str) -> bool:
        """Return whether a path or a URL is one of the folders, or lies in one."""
        if not self._roots:
            return False
        where = self._where(str(place))
        return any(where == root or where.startswith(f"{root}/") for root in self._roots)

    def _where(self, place: str) -> str:
        """Return one word for a place: its path without links, or the URL as its system has it."""
        if is_url(place):
            if "::" in place:  # what lies in an archive: results are in none
                return place
            files, path = filesystem_of(place)
            place = str(files.unstrip_protocol(path))
            if not place.startswith(_LOCAL):
                return place
            place = place.removeprefix(_LOCAL)
        folder, name = os.path.split(Path(place).absolute())
        if folder not in self._real:  # once for all that lies in it
            self._real[folder] = os.path.realpath(folder)
        file = Path(self._real[folder], name)
        return os.path.realpath(file) if name == ".." or file.is_symlink() else str(file)
