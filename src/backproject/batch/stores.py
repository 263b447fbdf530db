"""Where the shapes' folders go: a folder, or a URL. Each is there whole, or is not taken for there.

Whole is a folder whose `manifest.json` has the digest that is asked for, and whose files have the
sizes that the manifest tells.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any, Protocol

from backproject.batch.urls import filesystem_of, is_url

MANIFEST = "manifest.json"
Manifest = dict[str, Any]


class Store(Protocol):
    """A place of folders by their ids."""

    def scratch(self) -> Any:
        """Return a context with an empty folder to work in, which goes in the end."""

    def whole(self, id: str, digest: str) -> Manifest | None:
        """Return the folder's manifest, if it is there, whole, and of this digest."""

    def publish(self, folder: Path, id: str) -> None:
        """Let a folder with its manifest be the one of this id, instead of any other."""

    def read(self, id: str, name: str) -> bytes | None:
        """Return a file of a folder, or None."""

    def remove(self, id: str) -> None:
        """Remove a folder, if it is there."""


@dataclass(frozen=True)
class FolderStore:
    """Folders in the folder `root`, made in `work`, which lies on the same file system."""

    root: Path
    work: Path

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Yield a folder from which a rename to `root` is one step."""
        folder = self.work / token_hex(8)
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def whole(self, id: str, digest: str) -> Manifest | None:
        """Read the manifest, and ask for the sizes."""
        return _whole(self, id, digest, lambda name: (self.root / id / name).stat().st_size)

    def publish(self, folder: Path, id: str) -> None:
        """Rename; an older folder is out of the way first."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.remove(id)
        folder.rename(self.root / id)

    def read(self, id: str, name: str) -> bytes | None:
        """Return what the file holds."""
        try:
            return (self.root / id / name).read_bytes()
        except OSError:
            return None

    def remove(self, id: str) -> None:
        """Rename, so that it is gone in one step, then delete."""
        old = self.work / token_hex(8)
        with suppress(FileNotFoundError):
            self.work.mkdir(parents=True, exist_ok=True)
            (self.root / id).rename(old)
            shutil.rmtree(old, ignore_errors=True)


@dataclass(frozen=True)
class UrlStore:
    """Folders below a URL. Object stores rename nothing, so the manifest goes last, and first when
    a folder is removed.
    """

    url: str

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Yield a folder of the system's for such."""
        with tempfile.TemporaryDirectory(prefix="backproject-") as folder:
            yield Path(folder)

    def whole(self, id: str, digest: str) -> Manifest | None:
        """Read the manifest, and ask for the sizes."""
        files, path = self._at(id)
        return _whole(self, id, digest, lambda name: int(files.size(f"{path}/{name}") or 0))

    def publish(self, folder: Path, id: str) -> None:
        """Copy the files, and the manifest when all are there."""
        self.remove(id)
        files, path = self._at(id)
        files.makedirs(path, exist_ok=True)
        for file in sorted(folder.iterdir(), key=lambda each: (each.name == MANIFEST, each.name)):
            files.put_file(str(file), f"{path}/{file.name}")

    def read(self, id: str, name: str) -> bytes | None:
        """Return what the file holds."""
        files, path = self._at(id)
        try:
            return bytes(files.cat_file(f"{path}/{name}"))
        except OSError:
            return None

    def remove(self, id: str) -> None:
        """Remove the manifest, then the rest."""
        files, path = self._at(id)
        with suppress(FileNotFoundError):
            files.rm_file(f"{path}/{MANIFEST}")
        with suppress(FileNotFoundError):
            files.rm(path, recursive=True)

    def _at(self, id: str) -> tuple[Any, str]:
        files, path = filesystem_of(self.url)
        return files, f"{path.rstrip('/')}/{id}"


def store_at(place: Path | str, *, work: Path) -> Store:
    """Return the store at a folder or a URL."""
    text = str(place)
    return UrlStore(text) if is_url(text) else FolderStore(Path(place).absolute(), work.absolute())


def write_manifest(folder: Path, told: Mapping[str, Any]) -> int:
    """Write what is told and each file's size and SHA-256; return the bytes of all files."""
    files = {file.name: _described(file) for file in sorted(folder.iterdir())}
    text = json.dumps({**told, "files": files}, indent=2, sort_keys=True) + "\n"
    (folder / MANIFEST).write_text(text, "utf-8")
    return sum(file.stat().st_size for file in folder.iterdir())


def _described(file: Path) -> dict[str, Any]:
    content = file.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _whole(store: Store, id: str, digest: str, size_of: Callable[[str], int]) -> Manifest | None:
    try:
        told = json.loads(store.read(id, MANIFEST) or b"")
        if told["digest"] != digest:
            return None
        sizes = {name: int(file["bytes"]) for name, file in told["files"].items()}
        sound = all(size_of(name) == size for name, size in sizes.items())
        return dict(told) if sound else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # half of one, or no file
        return None
