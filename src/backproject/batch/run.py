"""A whole run: lock, list, drive, sum up. What is there already is not done again."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from backproject.batch.collect import write_table
from backproject.batch.drive import Listener, Tally, drive
from backproject.batch.executors import Engine
from backproject.batch.inputs import Input, in_shard, inputs_of
from backproject.batch.job import Failure, Job, Made, attempt
from backproject.batch.ledger import (
    LOCK,
    Last,
    Ledger,
    Row,
    Shard,
    last_rows,
    ledgers_in,
    locked,
    name_of,
    row_at,
    summing_up,
)
from backproject.batch.plan import jobs_of
from backproject.batch.settings import Settings
from backproject.batch.stores import Store, store_at
from backproject.batch.summary import write_summary
from backproject.batch.urls import is_url
from backproject.errors import OutputError

SHAPES = "shapes"
WORK = ".work"
COSTS = ("seconds", "busy", "bytes", "peak", "host")
"""What a row tells of the making, and a shape that was found whole cost before."""


def run_batch(
    asked: Sequence[str],
    out: Path,
    settings: Settings,
    engine: Callable[[], Engine],
    *,
    store: str | None = None,
    shard: Shard | None = None,
    retries: int = 2,
    threads: int = 1,
    do: Callable[[Job], Made | Failure] = attempt,
    listen: Listener = lambda _tally, _row: None,
) -> Tally:
    """Return how it went, with every shape in a folder of its own, a ledger, a table and a page.

    `asked` are files, folders, patterns, lists, archives and URLs; `engine` makes who does the
    jobs, each on `threads` threads; `do` is the job itself. The shapes' folders go to `store`, a
    folder or a URL, if not to `out`.

    Raises:
        FileMissingError: an input, or a file among the settings, that is not there.
        OutputError: another driver is at work in `out`, it holds something else, or it is full.

    """
    check_out(out)
    _ = settings.recipe  # once, here: it travels with the settings, and workers read no file for it
    inputs = inputs_of(asked, settings.kind, skip=[out, *([store] if store else [])])
    if shard:
        inputs = [each for each in inputs if in_shard(each.name, shard)]
    out.mkdir(parents=True, exist_ok=True)
    with locked(out, shard), _work_folder(_work_at(out, store, shard)) as work:
        place = store_at(store or out / SHAPES, work=work)
        known = last_rows(ledgers_in(out))
        _check_task(known, settings, out)
        tally = Tally(len(inputs))
        with _ledger(out / name_of(shard)) as ledger, _ended(engine()) as there:
            drive(
                _jobs(inputs, settings, place, known, threads, tally, listen),
                there,
                _recorder(ledger, known, place),
                tally,
                retries=retries,
                do=do,
                listen=_also_ticking(ledger, listen),
            )
        listen(tally, None)
        sum_up(out, place)
    return tally


def check_out(out: Path) -> None:
    """Refuse a place that holds anything but what a batch made.

    Raises:
        OutputError: it does, or it is no folder.

    """
    if is_url(str(out)):
        raise OutputError(
            f"{out}: is a URL, expected a folder for the ledger and the tables; the shapes' folders"
            " go to a URL by --store"
        )
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out}: is a file, expected the name of a folder to write")
    if out.is_dir() and not ledgers_in(out):
        others = [each.name for each in out.iterdir() if not each.name.startswith((LOCK, WORK))]
        if others:
            raise OutputError(
                f"{out}: holds other files, such as {others[0]}, which are no batch's;"
                " choose another folder or empty this one"
            )


def sum_up(out: Path, store: Store) -> None:
    """Write the table and the page of all rows in a folder: one driver at a time, so that the last
    has read the rows of all.
    """
    with summing_up(out):
        known = last_rows(ledgers_in(out))
        write_table(known, out)
        write_summary(known, store, out)


def _check_task(known: Mapping[str, Last], settings: Settings, out: Path) -> None:
    others = {last.task for last in known.values()} - {settings.task}
    if others:
        raise OutputError(
            f"{out}: holds results of --task {min(others)}, got --task {settings.task}; choose"
            " another folder"
        )


def _jobs(
    inputs: Sequence[Input],
    settings: Settings,
    place: Store,
    known: Mapping[str, Last],
    threads: int,
    tally: Tally,
    listen: Listener,
) -> Iterator[Job]:
    def there() -> None:
        tally.there += 1
        if tally.there % 100 == 0:
            listen(tally, None)

    return jobs_of(inputs, settings, place, known, threads=threads, there=there)


def _recorder(ledger: Ledger, known: Mapping[str, Last], place: Store) -> Callable[[Row], None]:
    """Return what writes a row, and first removes the folder of what the input was before.

    First, for a driver that ends between the two: the next one finds a row without its folder, and
    does what it takes, while a folder without a row would stay.
    """

    def record(row: Row) -> None:
        before = known.get(row["input"])
        if row["status"] == "done" and before:
            if before.folder not in (None, row["folder"]):
                assert before.folder is not None
                place.remove(before.folder)
            row = _with_costs(row, before)
        ledger.add(row)

    return record


def _with_costs(row: Row, before: Last) -> Row:
    """Return a row with what its folder cost, if it was there, of the row that told of it."""
    if row["fresh"] or before.digest != row["digest"] or before.made is None:
        return row
    told = row_at(*before.made) or {}
    return row | {name: told[name] for name in COSTS if name in told}


def _work_at(out: Path, store: str | None, shard: Shard | None) -> Path:
    """Return where this driver makes folders: on the file system of those that they become."""
    part = f"-{shard[0]}-of-{shard[1]}" if shard else ""
    if store is None or is_url(store):
        return out / f"{WORK}{part}"
    # in a store, and not beside it: it may be a mount; by OUT, as several may have one store
    own = hashlib.sha256(os.fsencode(out.resolve())).hexdigest()[:8]
    return Path(store) / f"{WORK}-{own}{part}"


@contextmanager
def _work_folder(work: Path) -> Iterator[Path]:
    """Yield where folders are made; what a driver that was killed left there goes first."""
    shutil.rmtree(work, ignore_errors=True)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _also_ticking(ledger: Ledger, listen: Listener) -> Listener:
    """Return a listener that lets the ledger's rows reach the disk, also while none is added."""

    def heard(tally: Tally, row: Row | None) -> None:
        ledger.tick()
        listen(tally, row)

    return heard


@contextmanager
def _ledger(path: Path) -> Iterator[Ledger]:
    ledger = Ledger(path)
    try:
        yield ledger
    finally:
        ledger.close()


@contextmanager
def _ended(engine: Engine) -> Iterator[Engine]:
    """Let the engine's workers end; at once, whatever they do, if the block did not end well."""
    try:
        yield engine
    except BaseException:  # Ctrl-C too
        engine.shutdown(wait=False, cancel_futures=True)
        raise
    engine.shutdown()
