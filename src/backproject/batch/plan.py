"""What is to be done: all inputs, less those whose results are there and would be the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from backproject.batch.inputs import Input
from backproject.batch.job import Job
from backproject.batch.ledger import Last
from backproject.batch.settings import Settings
from backproject.batch.stores import Store

_READERS = 16
"""Threads that ask the store: what is far away takes long to answer, but answers many."""
_BATCH = 256


def jobs_of(
    inputs: Sequence[Input],
    settings: Settings,
    store: Store,
    known: Mapping[str, Last],
    *,
    threads: int,
    there: Callable[[], None],
) -> Iterator[Job]:
    """Yield the jobs of what is missing, failed or changed, as they are asked for; `there` is
    called for each input that is done already.
    """
    waiting = iter(inputs)
    with ThreadPoolExecutor(_READERS) as readers:
        while some := list(islice(waiting, _BATCH)):
            done = readers.map(lambda each: is_done(each, settings, store, known), some)
            for each, is_there in zip(some, list(done), strict=True):
                if is_there:
                    there()
                else:
                    yield Job(each, settings, store, threads)


def is_done(given: Input, settings: Settings, store: Store, known: Mapping[str, Last]) -> bool:
    """Return whether an input's results are there, of the same content, settings and version."""
    last = known.get(given.name)
    return (
        last is not None
        and last.done
        and given.stamp is not None
        and last.stamp == given.stamp
        and last.recipe == settings.recipe
        and last.folder is not None
        and last.digest is not None
        and store.whole(last.folder, last.digest) is not None
    )
