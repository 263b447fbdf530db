"""Who runs a job, in the vocabulary of `concurrent.futures`: `submit` returns a `Future`.

`Serial` works in this process. `Processes` has warm worker processes that share nothing: one that
dies, or outstays its time, takes its own job only, and another takes its place.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
from abc import abstractmethod
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from backproject.kernels.parallel import available_threads

T = TypeVar("T")
_PATIENCE = 5.0
"""Seconds that a worker with nothing to do has to end by itself."""
_LONGEST = 2e6
"""Seconds that the system can wait: it counts milliseconds in 31 bits. More is no bound."""


class WorkerError(Exception):
    """A worker ended before its job did."""


class CrashedError(WorkerError):
    """By itself: a crash of the interpreter, or somebody killed it."""


class OverdueError(WorkerError):
    """By its time: the job took too long, and its worker was killed."""


class Engine(Executor):
    """An executor that tells how many jobs it can run at once, which may change."""

    @property
    @abstractmethod
    def slots(self) -> int:
        """How many jobs can run at once."""


class Serial(Engine):
    """Everything at once, in this process: to look for what is wrong."""

    slots = 1

    def submit(self, work: Callable[..., T], /, *given: Any, **named: Any) -> Future[T]:
        """Return a future that is already there."""
        future: Future[T] = Future()
        try:
            future.set_result(work(*given, **named))
        except Exception as error:
            future.set_exception(error)
        return future


class Processes(Engine):
    """`slots` worker processes, each driven by a thread of this one.

    `timeout` bounds a job's seconds (None: nothing does), `memory` a worker's bytes, `threads` what
    libraries in a worker take. `warm` is called in each new worker before its first job, without a
    time limit, and by the first worker alone: what it compiles, the others find on the disk.
    """

    def __init__(
        self,
        slots: int,
        *,
        timeout: float | None = None,
        memory: int | None = None,
        threads: int = 1,
        warm: Callable[[], Any] | None = None,
    ) -> None:
        self._slots = slots
        self._timeout = None if timeout is not None and timeout > _LONGEST else timeout
        self._memory, self._threads, self._warm = memory, threads, warm
        self._drivers = ThreadPoolExecutor(slots, "batch")
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._lock, self._starting = threading.Lock(), threading.Lock()
        self._is_warm = warm is None
        self._closed = False

    def submit(self, work: Callable[..., T], /, *given: Any, **named: Any) -> Future[T]:
        """Return the future of a call in a worker; the call and its result are pickled.

        It raises `CrashedError` or `OverdueError` where the worker ended first.
        """
        return self._drivers.submit(self._call, work, given, named)

    @property
    def slots(self) -> int:
        """How many workers there can be."""
        return self._slots

    @property
    def processes(self) -> list[int]:
        """The process ids of the workers there are."""
        with self._lock:
            return [each.id for each in self._all]

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let jobs end, or with `wait=False` kill their workers; then end the workers."""
        self._drivers.shutdown(wait=wait, cancel_futures=cancel_futures)
        with self._lock:
            self._closed = True
            there = list(self._all)
        if not wait:
            for worker in there:
                worker.kill()
        # Threads that talk to a worker see it end, and let go of it themselves: nobody else may
        # close the pipe that they listen to.
        self._drivers.shutdown(wait=True)
        with self._lock:
            there = list(self._all)
        for worker in there:
            worker.end(kill=not wait)

    def _call(self, work: Callable[..., T], given: tuple[Any, ...], named: dict[str, Any]) -> T:
        worker = self._take()
        try:
            fine, result = worker.call(work, given, named, self._timeout)
        except BaseException:  # without a whole answer it may be busy still
            self._drop(worker)
            raise
        self._give_back(worker)
        if not fine:
            raise result
        return result  # type: ignore[no-any-return]

    def _take(self) -> _Worker:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        if self._is_warm:
            return self._started()
        with self._starting:
            worker = self._started()
            self._is_warm = True
        return worker

    def _started(self) -> _Worker:
        worker = _Worker(self._memory, self._threads)
        with self._lock:
            self._all.add(worker)
            closed = self._closed
        if closed:
            self._drop(worker)
            raise CrashedError("the executor was shut down")
        if self._warm is not None:
            try:
                fine, result = worker.call(self._warm, (), {}, None)
                if not fine:
                    raise result
            except BaseException:
                self._drop(worker)
                raise
        return worker

    def _give_back(self, worker: _Worker) -> None:
        with self._lock:
            self._idle.append(worker)

    def _drop(self, worker: _Worker) -> None:
        worker.end(kill=True)
        with self._lock:
            self._all.discard(worker)


class _Worker:
    """A process, and this end of the pipe to it. One thread at a time talks to it."""

    def __init__(self, memory: int | None, threads: int) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy locks that threads hold
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, memory, threads), daemon=True)
        with _interrupts_held():
            self._process.start()
        theirs.close()
        self.id = self._process.pid or 0

    def call(
        self,
        work: Callable[..., Any],
        given: tuple[Any, ...],
        named: dict[str, Any],
        timeout: float | None,
    ) -> tuple[bool, Any]:
        """Return whether the call went well, and its result or what it raised."""
        try:
            self._pipe.send((work, given, named))
            if not wait([self._pipe, self._process.sentinel], timeout):
                raise OverdueError(f"not done within {timeout:g} seconds")
            fine, result = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise CrashedError(self._how_it_ended()) from error
        return fine, result

    def kill(self) -> None:
        """End the process; whoever talks to it is told."""
        self._process.kill()

    def end(self, *, kill: bool) -> None:
        """End the process: by the pipe, which it watches, or at once."""
        if kill:
            self._process.kill()
        else:
            self._pipe.close()
        self._process.join(_PATIENCE)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._pipe.close()

    def _how_it_ended(self) -> str:
        self._process.join(_PATIENCE)
        code = self._process.exitcode
        if code is None:
            return "the worker closed its pipe"
        if code >= 0:
            return f"the worker ended with exit code {code}"
        name = signal.strsignal(-code) or "unknown"
        hint = ", as the system does when memory runs out" if -code == signal.SIGKILL else ""
        return f"the worker was ended by signal {-code} ({name}){hint}"


class _interrupts_held:  # noqa: N801  (a context, used as a verb)
    """Start a process that Ctrl-C does not reach before it can say that it will not hear it."""

    def __enter__(self) -> None:
        self._before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

    def __exit__(self, *_: object) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._before)


def _serve(pipe: Connection, memory: int | None, threads: int) -> None:
    """Do what comes through the pipe, until it closes or whoever started this is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver hears Ctrl-C, and decides
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_parent, daemon=True).start()
    bound(memory=memory, threads=threads)
    with suppress(EOFError, OSError):  # the other end is gone
        while True:
            try:
                work, given, named = pipe.recv()
                answer = True, work(*given, **named)
            except EOFError:
                return
            except Exception as error:
                answer = False, _sendable(error)
            pipe.send(answer)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _sendable(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever the error's class runs into
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def bound(*, memory: int | None, threads: int) -> None:
    """Let this process have so much memory, and its libraries so many threads."""
    if memory is not None:
        import resource  # POSIX alone has it

        # what it writes to; address space alone would count libraries and stacks never touched
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    os.environ["IGL_NUM_THREADS"] = str(threads)  # libigl looks when it is first called
    from threadpoolctl import threadpool_limits

    threadpool_limits(threads)


def can_bound_memory() -> bool:
    """Return whether the system keeps a process to its memory: Linux does."""
    return sys.platform == "linux"


def slots_and_threads(jobs: int, threads: int) -> tuple[int, int]:
    """Return how many workers of how many threads fill the cores; what is given (not 0) stays."""
    cores = available_threads()
    jobs = jobs or max(1, cores // (threads or 1))
    return jobs, threads or max(1, cores // jobs)
