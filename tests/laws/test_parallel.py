"""Work spread over threads: all of it once, the same whatever their number, and stopped as one."""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest

from backproject.kernels import parallel


@pytest.mark.parametrize("listened", [False, True])
@pytest.mark.parametrize("count", [0, 1, 7, 1000])
@pytest.mark.parametrize("threads", [0, 1, 2, 5])
def test_every_item_is_worked_on_once_on_any_number_of_threads(threads, count, listened):
    times = np.zeros(count, int)
    heard = []

    def kernel(start, stop, values):
        values[start:stop] += 1

    parallel.run(kernel, count, times, threads=threads, on_chunk=heard.append if listened else None)
    assert (times == 1).all()
    if listened:
        assert heard == sorted(heard)
        assert heard[-1] == 1.0


@pytest.mark.parametrize("failure", [ValueError("here"), KeyboardInterrupt(), SystemExit(3)])
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_a_failure_stops_the_rest_and_is_raised_here(threads, failure):
    started, at_work = [], []

    def kernel(start, stop):
        started.append((start, stop))
        if len(started) == 1:
            raise failure
        at_work.append(start)
        time.sleep(0.1)  # long enough for the failure to be noted
        at_work.remove(start)

    with pytest.raises(type(failure)) as caught:
        parallel.run(kernel, 1000, threads=threads, chunks_per_thread=50, on_chunk=lambda _: None)
    assert caught.value is failure
    assert len(started) <= threads  # of 16 or more: those that had begun
    assert at_work == []  # nobody goes on behind the caller's back


def test_the_first_failure_of_a_helper_reaches_the_caller():
    caller = threading.get_ident()
    helper_failed = threading.Event()

    def kernel(_start, _stop):
        if threading.get_ident() == caller:
            helper_failed.wait(10)
            return
        helper_failed.set()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        parallel.run(kernel, 100, threads=2)
    assert helper_failed.is_set()


def test_a_listener_that_raises_stops_the_work():
    started = []

    def refuse(_):
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        parallel.run(lambda start, _: started.append(start), 100, threads=1, on_chunk=refuse)
    assert started == [0]


def test_ctrl_c_while_the_caller_waits_lets_no_helper_go_on(monkeypatch):
    # The caller's own ranges are done; it is interrupted while it waits for the helper.
    caller, result, waited = threading.get_ident(), Future.result, []
    helper_began, finished = threading.Event(), []

    def interrupted(future, timeout=None):
        waited.append(future)
        if len(waited) == 1:
            raise KeyboardInterrupt
        return result(future, timeout)

    def kernel(start, _stop):
        if threading.get_ident() == caller:
            helper_began.wait(10)
        else:
            helper_began.set()
            time.sleep(0.2)
        finished.append(start)

    monkeypatch.setattr(Future, "result", interrupted)
    with pytest.raises(KeyboardInterrupt):
        parallel.run(kernel, 2, threads=2)
    assert sorted(finished) == [0, 1]


def test_at_most_limits_what_is_run_within_and_nothing_after():
    everywhere = parallel.available_threads()
    with parallel.at_most(1):
        assert parallel.available_threads() == 1
        with parallel.at_most(3):
            assert parallel.available_threads() == 3
        with parallel.at_most(0):
            assert parallel.available_threads() == 1
    assert parallel.available_threads() == everywhere


def test_helpers_are_kept_within_at_most_and_gone_after():
    before, seen = threading.active_count(), set()
    with parallel.at_most(3):
        for _ in range(20):
            parallel.run(lambda *_: seen.add(threading.get_ident()), 30)
        assert threading.active_count() <= before + 2
    assert len(seen) <= 3
    assert threading.active_count() == before


def test_more_threads_than_at_most_can_be_asked_for():
    together = threading.Barrier(3, timeout=10)
    with parallel.at_most(2):
        parallel.run(lambda *_: together.wait(), 3, threads=3)


@pytest.mark.parametrize(("threads", "elsewhere"), [(1, False), (2, True)])
def test_work_beside_is_done_by_a_helper_if_there_is_one(threads, elsewhere):
    with parallel.at_most(threads):
        done = parallel.beside(lambda text: (text, threading.get_ident()), "done")
        text, worker = done()
    assert text == "done"
    assert (worker != threading.get_ident()) == elsewhere


def test_kernels_are_run_without_a_helper_that_is_busy():
    may_end, done = threading.Event(), []
    with parallel.at_most(2):
        busy = parallel.beside(may_end.wait, 10)
        parallel.run(lambda start, stop: done.extend(range(start, stop)), 100)
        assert sorted(done) == list(range(100))
        may_end.set()
        assert busy()


def test_a_helper_that_cannot_be_started_leaves_none_behind(monkeypatch):
    began, ended, submit = threading.Event(), [], ThreadPoolExecutor.submit

    def only_once(pool, work):
        if began.wait(0):
            raise RuntimeError("can't start new thread")
        future = submit(pool, work)
        began.wait(10)
        return future

    def kernel(start, _stop):
        began.set()
        time.sleep(0.1)
        ended.append(start)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", only_once)
    with parallel.at_most(3):
        with pytest.raises(RuntimeError, match="new thread"):
            parallel.run(kernel, 100)
        assert len(ended) == 1


def test_a_failure_beside_is_raised_where_it_is_waited_for():
    with parallel.at_most(2), pytest.raises(ZeroDivisionError):
        parallel.beside(lambda: 1 / 0)()
