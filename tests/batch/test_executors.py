"""Executors: the vocabulary of concurrent.futures, and a job that ends badly is alone in it."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import wait
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from backproject.batch.executors import (
    CrashedError,
    OverdueError,
    Processes,
    Serial,
    slots_and_threads,
)
from backproject.errors import InputError
from backproject.kernels.parallel import available_threads


def add(one, other=0):
    return one + other


def refuse(text):
    raise InputError(text)


class StubbornError(Exception):
    """An exception that cannot be pickled."""

    def __init__(self, text):
        super().__init__(text)
        self.lock = __import__("threading").Lock()


def refuse_stubbornly():
    raise StubbornError("no")


def crash():
    ctypes.string_at(0)


def vanish(code):
    os._exit(code)


def be_killed():
    os.kill(os.getpid(), signal.SIGKILL)


def sleep(seconds):
    time.sleep(seconds)
    return seconds


def grab(count):
    return float(np.ones(count).sum())


def where():
    return os.getpid()


@pytest.fixture(scope="module")
def two():
    """Two worker processes that may take a second for a job."""
    with Processes(2, timeout=20) as executor:
        yield executor


@pytest.fixture(params=["serial", "processes"])
def executor(request, two):
    return Serial() if request.param == "serial" else two


def test_a_future_gives_the_result(executor):
    assert executor.submit(add, 2, other=3).result() == 5
    assert [each.result() for each in [executor.submit(add, k) for k in range(20)]] == [*range(20)]


def test_a_future_raises_what_the_job_raised(executor):
    with pytest.raises(InputError, match="a word"):
        executor.submit(refuse, "a word").result()


def test_an_exception_that_cannot_travel_is_told(two):
    with pytest.raises(RuntimeError, match="StubbornError: no"):
        two.submit(refuse_stubbornly).result()
    assert two.submit(add, 1).result() == 1


@pytest.mark.parametrize(
    ("end", "told"),
    [
        ((crash,), f"signal {signal.SIGSEGV:d}"),
        ((vanish, 3), "exit code 3"),
        ((vanish, 0), "exit code 0"),
        ((be_killed,), f"signal {signal.SIGKILL:d}"),
    ],
)
def test_a_worker_that_dies_takes_its_own_job_only(two, end, told):
    beside = two.submit(sleep, 0.5)
    with pytest.raises(CrashedError, match=told):
        two.submit(*end).result()
    assert beside.result() == 0.5
    assert two.submit(add, 1).result() == 1


def test_a_job_that_outstays_its_time_is_ended_and_not_its_neighbour():
    with Processes(2, timeout=1.5) as short:
        wait([short.submit(add, 1), short.submit(add, 1)])
        late, beside = short.submit(sleep, 60), short.submit(sleep, 0.5)
        begin = time.monotonic()
        with pytest.raises(OverdueError, match=r"1\.5 seconds"):
            late.result()
        assert time.monotonic() - begin < 30
        assert beside.result() == 0.5


@pytest.mark.parametrize("timeout", [1e7, float("inf")])
def test_a_time_longer_than_the_system_can_wait_is_no_bound(timeout):
    with Processes(1, timeout=timeout) as patient:
        assert [patient.submit(add, k).result() for k in range(3)] == [0, 1, 2]


class Unreadable:
    """What a worker can send, and nobody can read."""

    def __reduce__(self):
        return refuse, ("cannot be read",)


def test_without_a_whole_answer_a_worker_goes(two):
    """What the driver cannot read says nothing of what the worker does meanwhile."""
    before = two.submit(where).result()
    with pytest.raises(InputError, match="cannot be read"):
        two.submit(Unreadable).result()
    assert before not in two.processes
    assert two.submit(add, 1).result() == 1


def test_a_worker_that_cannot_be_warmed_goes():
    with Processes(1, warm=partial(refuse, "cold")) as cold:
        for _ in range(2):
            with pytest.raises(InputError, match="cold"):
                cold.submit(add, 1).result()
            assert cold.processes == []


@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded on Linux alone")
def test_a_job_that_takes_too_much_memory_fails_alone():
    with Processes(1, memory=1_000_000_000) as bounded:
        with pytest.raises(MemoryError):
            bounded.submit(grab, 10**9).result()
        assert bounded.submit(grab, 10**6).result() == 10**6


def test_workers_stay_warm(two):
    """Jobs one after the other find the same process."""
    assert len({two.submit(where).result() for _ in range(5)}) == 1


def test_shutting_down_at_once_ends_what_is_under_way():
    executor = Processes(1)
    executor.submit(add, 1).result()
    running, waiting = executor.submit(sleep, 60), executor.submit(sleep, 60)
    time.sleep(0.2)
    there = executor.processes
    begin = time.monotonic()
    executor.shutdown(wait=False, cancel_futures=True)
    assert time.monotonic() - begin < 30
    assert waiting.cancelled()
    with pytest.raises(CrashedError):
        running.result()
    for process in there:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_workers_end_with_the_process_that_started_them():
    """Killed itself, it cannot end them: they must notice."""
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import os, signal, time\n"
            "from backproject.batch.executors import Processes\n"
            "if __name__ == '__main__':\n"
            "    two = Processes(2)\n"
            "    print(*{two.submit(time.sleep, 0.3) and two.submit(os.getpid).result()"
            " for _ in range(4)}, flush=True)\n"
            "    two.submit(time.sleep, 600)\n"
            "    time.sleep(0.3)\n"
            "    os.kill(os.getpid(), signal.SIGKILL)\n",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == -signal.SIGKILL, told.stderr
    processes = [int(word) for word in told.stdout.split()]
    assert processes
    for _ in range(200):
        if not any(Path(f"/proc/{each}").exists() for each in processes):
            return
        time.sleep(0.1)
    pytest.fail(f"{processes} still run")


def test_workers_times_threads_are_the_cores():
    cores = available_threads()
    assert slots_and_threads(0, 0) == (cores, 1)
    assert slots_and_threads(1, 0) == (1, cores)
    assert slots_and_threads(0, cores) == (1, cores)
    assert slots_and_threads(3, 5) == (3, 5)
