"""Steps: the same at once and beside the window, and nothing goes on once they are stopped."""

import importlib
import time

import pytest

working = importlib.import_module("bl_ext.user_default.backproject.working")


def steps(log, *, fails=False):
    try:
        yield working.Told("first", 0.0)
        log.append((yield working.aside(lambda: "called")))
        log.append((yield working.listening(told_twice, fails=fails)))
        return "done"
    finally:
        log.append("tidy")


def told_twice(*, progress, fails):
    progress("half", 0.5)
    if fails:
        raise ValueError("failed")
    progress("all", 1.0)
    return "told"


def in_steps(work):
    while work.advance():
        time.sleep(0.001)
    return work.said


def test_at_once_and_in_steps_do_the_same():
    at_once, beside = [], []
    assert working.Work(steps(at_once)).finish() == in_steps(working.Work(steps(beside))) == "done"
    assert at_once == beside == ["called", "told", "tidy"]


@pytest.mark.parametrize("way", [lambda work: work.finish(), in_steps])
def test_an_error_of_a_call_is_raised_where_it_is_waited_for(way):
    log = []
    with pytest.raises(ValueError, match="failed"):
        way(working.Work(steps(log, fails=True)))
    assert log == ["called", "tidy"]


def test_a_stopped_call_ends_at_its_next_word():
    def endless(*, progress):
        while True:
            progress("on and on", 0.5)
            time.sleep(0.001)

    def one_step():
        try:
            yield working.listening(endless)
        finally:
            log.append("tidy")

    log = []
    work = working.Work(one_step())
    assert work.advance()
    thread = work._aside.thread
    deadline = time.monotonic() + 10
    while work.told.what != "on and on" and time.monotonic() < deadline:
        time.sleep(0.001)
    assert work.told == working.Told("on and on", 0.5)
    work.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert log == ["tidy"]
