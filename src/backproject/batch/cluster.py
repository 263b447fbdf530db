"""Ray as an engine: it places jobs on machines and notices those that die. What a job may take, and
how one ends that takes too much, is up to a worker process of `executors`, beside each of Ray's.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from functools import cache
from typing import Any, TypeVar

from backproject.batch.executors import CrashedError, Engine, Processes
from backproject.errors import InputError

T = TypeVar("T")


class Cluster(Engine):
    """Jobs on a Ray cluster: at `address`, or else the one that this machine belongs to, or else
    one of this machine alone.

    A job demands `threads` CPUs and `memory` bytes of its machine; `most` bounds how many run at
    once (0: as many as the cluster's CPUs allow, asked again and again, as machines come and go).
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        most: int = 0,
        timeout: float | None = None,
        memory: int | None = None,
        threads: int = 1,
        warm: Callable[[], Any] | None = None,
    ) -> None:
        self._ray = _imported()
        self._most, self._threads = most, threads
        self._kept = pickle.dumps(
            {"timeout": timeout, "memory": memory, "threads": threads, "warm": warm}
        )
        self._ours = not self._ray.is_initialized()
        if self._ours:
            self._connect(address)
        demands: dict[str, Any] = {
            "num_cpus": threads,
            "max_retries": 0,
        }  # retries are the driver's
        if memory is not None:
            demands["memory"] = memory
        self._task = self._ray.remote(_beside_ray).options(**demands)
        self._running: dict[Future[Any], Any] = {}

    @property
    def slots(self) -> int:
        """What the cluster's CPUs allow now; one where it has none, so that it is asked at all."""
        there = float(self._ray.cluster_resources().get("CPU", 0))
        slots = max(1, math.floor(there / self._threads))
        return min(slots, self._most) if self._most else slots

    def submit(self, work: Callable[..., T], /, *given: Any, **named: Any) -> Future[T]:
        """Return the future of a call somewhere in the cluster.

        It raises `CrashedError` where a machine or Ray's own worker ended first.
        """
        reference = self._task.remote(self._kept, work, given, named)
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        self._running[future] = reference
        reference.future().add_done_callback(lambda theirs: self._hand_on(theirs, future))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let jobs end, or without `wait` end them; then leave the cluster."""
        if wait and not cancel_futures:
            wait_for(list(self._running))
        for reference in list(self._running.values()):
            self._ray.cancel(reference, force=True)
        self._running.clear()
        if self._ours:
            self._ray.shutdown()

    def _connect(self, address: str | None) -> None:
        try:
            self._ray.init(
                address=address,
                ignore_reinit_error=True,
                include_dashboard=None if address else False,
                log_to_driver=False,
                logging_level="ERROR",
            )
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            raise InputError(
                f"--address {address or 'auto'}: {' '.join(str(error).split())[:200]};"
                " expected a Ray cluster, as `ray start --head` makes one"
            ) from error

    def _hand_on(self, theirs: Future[Any], ours: Future[Any]) -> None:
        """Let our future tell what Ray's did; what is Ray's own trouble is a crash."""
        self._running.pop(ours, None)
        try:
            fine, result = theirs.result()
        except BaseException as error:
            told = " ".join(str(error).split())[:200]
            ours.set_exception(CrashedError(f"{type(error).__name__}: {told}"))
            return
        if fine:
            ours.set_result(result)
        else:
            ours.set_exception(result)


def _beside_ray(
    kept: bytes, work: Callable[..., Any], given: tuple[Any, ...], named: dict[str, Any]
) -> tuple[bool, Any]:
    """Return whether a call went well, in the process beside this one of Ray's, and its result."""
    try:
        return True, _process(kept).submit(work, *given, **named).result()
    except Exception as error:
        return False, error


@cache
def _process(kept: bytes) -> Processes:
    """Return the one worker beside this process of Ray's, which stays for its later tasks: by the
    bytes of its settings, which are the same for all tasks of a driver.
    """
    return Processes(1, **pickle.loads(kept))


def _imported() -> Any:
    try:
        import ray
    except ImportError as error:
        raise InputError(
            "--engine ray: Ray is missing, expected it to be installed:"
            " pip install 'backproject[cluster]'"
        ) from error
    return ray
