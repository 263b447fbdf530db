"""A job: a pure function from an input to a folder."""

from __future__ import annotations

import errno
import hashlib
import platform
import re
import sys
import time
import traceback
import warnings
from dataclasses import dataclass, field
from typing import Any, Literal

from backproject.batch.fetch import content_of, fetch
from backproject.batch.inputs import Input, name_bytes
from backproject.batch.settings import Settings
from backproject.batch.stores import Store, write_manifest
from backproject.batch.tasks import Work, do_task
from backproject.errors import BackprojectError, ContradictionWarning, OutputError

Kind = Literal["input", "memory", "system", "full", "crash", "timeout", "bug"]
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_NAMED = 48
"""Letters of the input's name in the folder's."""


@dataclass(frozen=True)
class Job:
    """What a worker is told: the input, what to do, where to put it, on how many threads."""

    input: Input
    settings: Settings
    store: Store
    threads: int = 1


@dataclass(frozen=True)
class Made:
    """A shape's folder is there. `fresh` is False where it already was; seconds are by stage."""

    folder: str
    content: str
    digest: str
    fresh: bool = True
    facts: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    busy: float = 0.0
    bytes: int = 0
    peak: int = 0
    host: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failure:
    """A shape has no folder, and why; `where` is for who mends this program."""

    kind: Kind
    reason: str
    where: str = ""

    @property
    def may_pass(self) -> bool:
        """Whether it is worth another try: all but what the input is to blame for."""
        return self.kind not in ("input", "full")


def attempt(job: Job) -> Made | Failure:
    """Do a job, and return what came of it, whatever that is."""
    try:
        return work(job)
    except Exception as error:
        return Failure(_kind_of(error), _line(error), traceback.format_exc(limit=-3))


def work(job: Job) -> Made:
    """Return what was made of an input, its folder published.

    Raises:
        BackprojectError: the input is to blame.
        OSError: the system is.

    """
    begin = time.process_time()
    with job.store.scratch() as scratch, warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", ContradictionWarning)
        path = fetch(job.input, scratch)
        content = content_of(path)
        id, digest = id_of(job.input.name, content), digest_of(content, job.settings)
        if there := job.store.whole(id, digest):
            return Made(id, content, digest, fresh=False, facts=there.get("facts", {}))
        folder = scratch / "whole"
        folder.mkdir()
        doing = Work(path, job.settings, folder, job.threads)
        facts = do_task(doing)
        with doing.timed("publish"):
            size = write_manifest(
                folder,
                {
                    "input": job.input.name,
                    "content": content,
                    "settings": job.settings.described,
                    "digest": digest,
                    "facts": facts,
                },
            )
            job.store.publish(folder, id)
    return Made(
        folder=id,
        content=content,
        digest=digest,
        facts=facts,
        seconds=doing.seconds,
        busy=time.process_time() - begin,
        bytes=size,
        peak=peak_bytes(),
        host=platform.node(),
        warnings=tuple(str(each.message) for each in heard),
    )


def id_of(name: str, content: str) -> str:
    """Return the folder of an input: readable, and its own for each name and content."""
    own_part = name.partition("::")[0]  # of a chain of URLs, the one inside the others
    readable = re.sub(r"[^A-Za-z0-9._]+", "-", own_part)[-_NAMED:].strip("-.")
    told = hashlib.sha256(name_bytes("\0".join((name, content)))).hexdigest()[:16]
    return f"{readable}-{told}"


def digest_of(content: str, settings: Settings) -> str:
    """Return one number for what went in and what was to be done."""
    return hashlib.sha256(f"{content} {settings.recipe}".encode()).hexdigest()


def peak_bytes() -> int:
    """Return the most memory that this process has had."""
    import resource  # POSIX alone has it

    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kibibytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _kind_of(error: BaseException) -> Kind:
    causes = [error]
    while causes[-1].__cause__ is not None:
        causes.append(causes[-1].__cause__)
    if any(isinstance(each, MemoryError) for each in causes):
        return "memory"
    if any(isinstance(each, OSError) and each.errno in NO_ROOM for each in causes):
        return "full"
    if isinstance(error, BackprojectError) and not isinstance(error, OutputError):
        return "input"
    return "system" if isinstance(error, OSError) else "bug"


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, BackprojectError) else f"{type(error).__name__}: {text}"
