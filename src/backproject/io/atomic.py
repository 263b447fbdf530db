"""Write beside, then rename: whoever looks sees the old result or the new, never half of one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from backproject.errors import BackprojectError, OutputError


@contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a path beside `path` to write to; it becomes `path` when the block ends well.

    It has the same suffix. Missing parent folders are made. After an error in the block nothing is
    left behind, and a file that was there stays.

    Raises:
        OutputError: the place is a folder or cannot be written.

    """
    path = Path(path)
    if path.is_dir():
        raise OutputError(f"{path}: is a folder, expected the name of a file to write")
    beside = _beside(path)
    with _said_as_output_error(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield beside
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


@contextmanager
def atomic_folder(
    path: str | os.PathLike[str], *, replaceable: Callable[[Path], bool] = lambda _: False
) -> Iterator[Path]:
    """Yield an empty folder beside `path` to fill; it becomes `path` when the block ends well.

    A folder already at `path` is replaced if it is empty or `replaceable` recognises it as an
    earlier result: this program deletes nothing that it did not write. Missing parent folders are
    made; after an error everything is as it was before.

    Raises:
        OutputError: the place is a file, holds something else, or cannot be written.

    """
    path = Path(path)
    _check_place(path, replaceable)
    # The names of `..` and of a link are not the folder's own: rename where it really is.
    target = path.resolve()
    beside = _beside(target)
    with _said_as_output_error(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        beside.mkdir()
        try:
            yield beside
            _check_place(target, replaceable)
            _replace_folder(beside, target)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def _check_place(path: Path, replaceable: Callable[[Path], bool]) -> None:
    with _said_as_output_error(path):
        if path.exists() and not path.is_dir():
            raise OutputError(f"{path}: is a file, expected the name of a folder to write")
        if path.is_dir() and any(path.iterdir()) and not replaceable(path):
            raise OutputError(
                f"{path}: holds other files, which will not be overwritten;"
                " choose another folder or empty this one"
            )


def _replace_folder(new: Path, target: Path) -> None:
    if not target.exists():
        new.rename(target)
        return
    old = _beside(target)
    target.rename(old)
    try:
        new.rename(target)
    except BaseException:  # Ctrl-C too
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.stem}.{token_hex(4)}{path.suffix}")


@contextmanager
def _said_as_output_error(path: Path) -> Iterator[None]:
    try:
        yield
    except BackprojectError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{path}: cannot be written: {reason}") from error
