"""What became of each input: a row a line, safe to cut at any byte; and who may write there."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backproject.errors import OutputError

Row = dict[str, Any]
Shard = tuple[int, int]
PATTERN = "ledger*.jsonl"
LOCK = ".lock"
SUMMARY_LOCK = f"{LOCK}-summary"
_SYNC = 1.0
"""Seconds after which rows are on the disk itself, and not only with the system."""


@dataclass(frozen=True)
class Last:
    """Of an input's last row what the next run asks for, and where the row is; of the last row that
    said done, `folder`, `digest` and where it is (`made`), also if the input failed since.
    """

    done: bool
    at: str
    task: str
    stamp: str | None
    recipe: str | None
    folder: str | None
    digest: str | None
    ledger: Path
    offset: int
    made: tuple[Path, int] | None = None


class Ledger:
    """The rows of one driver; opened, a line that was cut is closed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        self._synced, self._dirty = 0.0, False
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            self._write(b"\n")

    def add(self, row: Row) -> None:
        """Append a row, in one write.

        Raises:
            OutputError: it cannot be written.

        """
        self._write(json.dumps(row).encode() + b"\n")
        self._dirty = True
        self.tick()

    def tick(self) -> None:
        """Let rows reach the disk, if the last time is long enough ago; to be called now and then,
        also when there is no new row.
        """
        if self._dirty and time.monotonic() - self._synced > _SYNC:
            self.sync()

    def sync(self) -> None:
        """Let all rows reach the disk."""
        os.fsync(self._file)
        self._synced, self._dirty = time.monotonic(), False

    def close(self) -> None:
        """Sync, and let go of the file."""
        with suppress(OSError):  # a full disk has said so at the write
            self.sync()
        os.close(self._file)

    def _write(self, line: bytes) -> None:
        try:
            while line:
                line = line[os.write(self._file, line) :]
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written: {error.strerror}") from error


def name_of(shard: Shard | None) -> str:
    """Return the name of a driver's ledger."""
    return f"ledger-{shard[0]}-of-{shard[1]}.jsonl" if shard else "ledger.jsonl"


def ledgers_in(out: Path) -> list[Path]:
    """Return the ledgers of all drivers that ever wrote to a folder."""
    return sorted(out.glob(PATTERN))


def rows_in(path: Path) -> Iterator[tuple[int, Row]]:
    """Yield each row and where its line begins; lines that were cut are passed over."""
    offset = 0
    with path.open("rb") as lines:
        for line in lines:
            row = read_row(line)
            if row is not None:
                yield offset, row
            offset += len(line)


def read_row(line: bytes) -> Row | None:
    """Return the row of a line; None of one that was cut."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    sound = isinstance(row, dict) and isinstance(row.get("input"), str) and "status" in row
    return row if sound else None


def row_at(path: Path, offset: int) -> Row | None:
    """Return the row whose line begins there."""
    with path.open("rb") as lines:
        lines.seek(offset)
        return read_row(lines.readline())


def last_rows(paths: Iterable[Path]) -> dict[str, Last]:
    """Return the last row of each input in all ledgers, by its time."""
    found: dict[str, Last] = {}
    made: dict[str, Last] = {}
    for path in paths:
        for offset, row in rows_in(path):
            last, name = _last_of(row, path, offset), row["input"]
            for lasts in (found, made) if last.done else (found,):
                known = lasts.get(name)
                if known is None or last.at >= known.at:
                    lasts[name] = last
    for name, last in found.items():
        if name in made and not last.done:
            was = made[name]
            found[name] = replace(last, folder=was.folder, digest=was.digest, made=was.made)
    return found


def _last_of(row: Row, path: Path, offset: int) -> Last:
    done = row["status"] == "done"
    return Last(
        done=done,
        at=str(row.get("at")),
        task=str(row.get("task")),
        stamp=row.get("stamp"),
        recipe=row.get("recipe"),
        folder=row.get("folder"),
        digest=row.get("digest"),
        ledger=path,
        offset=offset,
        made=(path, offset) if done else None,
    )


@contextmanager
def locked(out: Path, shard: Shard | None) -> Iterator[None]:
    """Hold a folder for this driver alone, or, with a shard, its part of it beside other shards.

    The system lets go of what a dead process held.

    Raises:
        OutputError: another driver is at work there, or the file system knows no locks.

    """
    held: list[int] = []
    try:
        held.append(_lock(out / LOCK, shared=shard is not None))
        if shard:
            held.append(_lock(out / f"{LOCK}-{shard[0]}-of-{shard[1]}", shared=False))
        yield
    finally:
        for file in held:
            os.close(file)


@contextmanager
def summing_up(out: Path) -> Iterator[None]:
    """Wait until no other driver sums up a folder, and let none until the end."""
    import fcntl  # POSIX alone has it

    file = os.open(out / SUMMARY_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _lock(path: Path, *, shared: bool) -> int:
    import fcntl  # POSIX alone has it

    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(file, 200, 0).decode("utf-8", "replace").strip() or "another driver"
        os.close(file)
        raise OutputError(
            f"{path.parent}: {holder} is at work there, expected no other: wait for it, or give"
            " every driver a part of its own, --shard I/N"
        ) from error
    except OSError as error:
        os.close(file)
        raise OutputError(
            f"{path}: cannot be locked: {error.strerror}; expected a file system with locks: put"
            " OUT elsewhere, and the shapes there by --store"
        ) from error
    os.ftruncate(file, 0)
    told = f"process {os.getpid()} on {platform.node()}, since {time.strftime('%F %T')},"
    os.pwrite(file, told.encode(), 0)
    return file
