"""Whatever fails, nothing half-written is taken for done, and no shape fails for another's sake."""

import ctypes
import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from small import RENDER, ROUNDTRIP, ledger_rows, make_shapes, octahedron, run, tree, unsound

from backproject.batch.executors import Processes, Serial
from backproject.batch.job import attempt
from backproject.batch.ledger import locked
from backproject.batch.warm import warm_up
from backproject.errors import OutputError

COMMAND = [sys.executable, "-m", "backproject.cli.main", "batch"]
SMALL = ["--task", "render", "--rig", "fibonacci:3", "--size", "24"]


@pytest.fixture(scope="module")
def expected(shapes, tmp_path_factory):
    """The folders of all shapes, made one after the other in this process."""
    out = tmp_path_factory.mktemp("expected") / "out"
    run([shapes], out)
    return tree(out / "shapes")


def crash_on(name, job):
    """Do a job, and end this process by a wrong address at the input of that name."""
    if job.input.name.endswith(name):
        ctypes.string_at(0)
    return attempt(job)


def crash_once(marks, job):
    """Do a job, and end this process at the first try of each."""
    mark = Path(marks) / Path(job.input.name).name
    if not mark.exists():
        mark.touch()
        os._exit(1)
    return attempt(job)


def grab_on(name, job):
    """Do a job whose task asks for far too much memory at the input of that name."""
    if not job.input.name.endswith(name):
        return attempt(job)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("backproject.batch.job.do_task", lambda _work: bytearray(10**11))
        return attempt(job)


def test_workers_killed_at_random_cost_no_shape(shapes, expected, tmp_path):
    """All 200 arrive, byte for byte, and each once."""
    over, killed = threading.Event(), []

    def engine():
        executor = Processes(2)
        threading.Thread(target=kill_some, args=(executor,)).start()
        return executor

    def kill_some(executor):
        chance = random.Random(0)
        while not over.wait(chance.uniform(0.2, 0.6)):
            for process in executor.processes[:1]:
                with suppress(ProcessLookupError):  # it is just being replaced
                    os.kill(process, signal.SIGKILL)
                    killed.append(process)

    try:
        tally, seen = run([shapes], tmp_path / "out", engine=engine, retries=100)
    finally:
        over.set()
    assert killed
    assert (tally.done, tally.failed) == (200, 0)
    assert len(set(seen.names)) == len(seen.names) == 200
    assert tree(tmp_path / "out" / "shapes") == expected


def test_a_shape_that_crashes_the_interpreter_is_one_row(few, tmp_path):
    engine = partial(Processes, 2)
    tally, seen = run(
        [few], tmp_path / "out", engine=engine, do=partial(crash_on, "003.ply"), retries=1
    )
    assert (tally.done, tally.failed) == (7, 1)
    [row] = [each for each in seen.rows if each["status"] == "failed"]
    assert row["input"].endswith("shape003.ply")
    assert (row["kind"], row["attempts"]) == ("crash", 2)
    assert "signal 11" in row["reason"]


def test_what_may_pass_is_tried_again(tmp_path):
    few = make_shapes(tmp_path / "few", 3)
    (tmp_path / "marks").mkdir()
    tally, seen = run(
        [few],
        tmp_path / "out",
        engine=partial(Processes, 2),
        do=partial(crash_once, str(tmp_path / "marks")),
        retries=1,
    )
    assert (tally.done, tally.failed) == (3, 0)
    assert [row["attempts"] for row in seen.rows] == [2, 2, 2]


def test_what_the_input_is_to_blame_for_is_not_tried_again(tmp_path):
    few = make_shapes(tmp_path / "few", 2)
    (few / "bad.ply").write_text("ply\nnonsense")
    (few / "empty.obj").write_text("")
    tally, seen = run([few], tmp_path / "out", retries=5)
    assert (tally.done, tally.failed, tally.reasons) == (2, 2, {"input": 2})
    failed = [row for row in seen.rows if row["status"] == "failed"]
    assert [row["attempts"] for row in failed] == [1, 1]
    assert all(Path(row["input"]).name in row["reason"] for row in failed)


def test_out_of_memory_is_one_row(tmp_path):
    few = make_shapes(tmp_path / "few", 3)
    tally, seen = run(
        [few],
        tmp_path / "out",
        engine=partial(Processes, 1, memory=2_000_000_000),
        do=partial(grab_on, "001.ply"),
        retries=0,
    )
    assert (tally.done, tally.failed) == (2, 1)
    [row] = [each for each in seen.rows if each["status"] == "failed"]
    assert (row["kind"], row["input"][-12:]) == ("memory", "shape001.ply")


def test_an_input_that_hangs_costs_its_time_and_nobody_elses(tmp_path):
    few = make_shapes(tmp_path / "few", 6)
    os.mkfifo(few / "shape002a.ply")  # opened, it waits for a writer that never comes
    # warm, so that the time of the others is that of their work, and not of a start
    engine = partial(Processes, 2, timeout=5, warm=partial(warm_up, RENDER))
    tally, seen = run([few], tmp_path / "out", engine=engine, retries=0)
    assert (tally.done, tally.failed) == (6, 1)
    [row] = [each for each in seen.rows if each["status"] == "failed"]
    assert (row["kind"], row["input"][-13:]) == ("timeout", "shape002a.ply")


def test_a_second_driver_says_so_and_stops(few, tmp_path):
    out = tmp_path / "out"
    run([few], out)
    before = tree(out)
    with locked(out, None), pytest.raises(OutputError, match="at work there"):
        run([few], out)
    assert tree(out).keys() == before.keys()
    done = subprocess.Popen([*COMMAND, str(few), "-o", str(out), *SMALL], stderr=subprocess.PIPE)
    _, told = done.communicate()
    assert done.returncode == 0, told


@pytest.fixture
def small_disk(tmp_path):
    """A file system of half a megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if not sys.platform.startswith("linux") or os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("mounting a small file system takes Linux and root")
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "none", str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {made.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_ends_the_run_and_the_next_one_goes_on(few, small_disk, tmp_path):
    out = small_disk / "out"
    bulky = replace(ROUNDTRIP, keep=("mesh", "views", "cloud", "scores"), samples=200)
    for engine in (Serial, partial(Processes, 2)):
        with pytest.raises(OutputError, match="No space left"):
            run([few], out, bulky, engine, retries=3)
        assert unsound(out / "shapes") == []
        assert all(row["status"] == "done" for row in ledger_rows(out))
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    tally, _ = run([few], out, bulky)
    assert (tally.done + tally.there, tally.failed) == (8, 0)
    run([few], tmp_path / "elsewhere", bulky)
    assert tree(out / "shapes") == tree(tmp_path / "elsewhere" / "shapes")


@pytest.fixture
def mounts(monkeypatch):
    """Return what lets folders count as file systems of their own: no rename leads out or in."""
    roots, rename = [], Path.rename

    def of(path):
        return [root for root in roots if Path(path).is_relative_to(root)]

    def checked(path, target):
        if of(path) != of(target):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(path))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", checked)
    return roots


def test_a_store_can_be_a_file_system_of_its_own(tmp_path, mounts):
    """Shapes are made, made again when they changed, and nothing is left beside them."""
    few, out, store = make_shapes(tmp_path / "few", 3), tmp_path / "out", tmp_path / "store"
    mounts.append(store)
    assert run([few], out, store=str(store))[0].done == 3
    octahedron(99).save(few / "shape001.ply")
    assert run([few], out, store=str(store), shard=(0, 1))[0].failed == 0
    run([few], tmp_path / "plain")
    assert tree(store) == tree(tmp_path / "plain" / "shapes")
    assert {each.name for each in store.iterdir()} == {
        each.name for each in (tmp_path / "plain" / "shapes").iterdir()
    }


def start(shapes, out, *more):
    """Return a driver in a process of its own, that did some shapes and has others to do."""
    # a session of its own: Ctrl-C goes to all of its processes, as from a terminal
    driver = subprocess.Popen(
        [*COMMAND, str(shapes), "-o", str(out), *SMALL, "--jobs", "2", *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    ledger = out / "ledger.jsonl"
    for _ in range(3000):
        if ledger.exists() and ledger.read_bytes().count(b"\n") >= 20:
            return driver
        if driver.poll() is not None:
            break
        time.sleep(0.01)
    driver.kill()
    pytest.fail(f"the driver did too little: {driver.communicate()}")


def test_a_driver_killed_loses_at_most_the_shapes_in_flight(shapes, expected, tmp_path):
    out = tmp_path / "out"
    driver = start(shapes, out)
    driver.send_signal(signal.SIGKILL)
    driver.communicate()  # workers hold its pipes: it returns when they are gone, too
    assert unsound(out / "shapes") == []
    before = [row["input"] for row in ledger_rows(out) if row["status"] == "done"]
    assert 20 <= len(before) < 200
    folders = len(list((out / "shapes").iterdir()))
    assert 0 <= folders - len(before) <= 6, "two run, and twice as many were submitted"
    tally, seen = run([shapes], out)
    assert (tally.there + tally.done, tally.failed) == (200, 0)
    assert tree(out / "shapes") == expected
    # folders whose rows were lost are found whole, and not done again
    assert sum(row["fresh"] for row in seen.rows) == 200 - folders
    assert not list(out.glob(".work*"))


def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(shapes, expected, tmp_path):
    out = tmp_path / "out"
    driver = start(shapes, out)
    os.killpg(driver.pid, signal.SIGINT)
    _, told = driver.communicate(timeout=60)
    assert driver.returncode == 130, told
    assert "Traceback" not in told
    assert "the same command goes on from here" in told
    assert not list(out.glob(".work*"))
    assert unsound(out / "shapes") == []
    run([shapes], out)
    assert tree(out / "shapes") == expected


def test_no_row_is_lost_wherever_the_ledger_is_cut(tmp_path):
    """Cut at each 37th byte of its last two rows and around their ends, exactly the shapes that are
    cut off are asked for again, and found whole.
    """
    few = make_shapes(tmp_path / "few", 4)
    time.sleep(2.1)  # younger, files have no stamps, and all are asked for again
    out = tmp_path / "out"
    run([few], out)
    path = out / "ledger.jsonl"
    whole = path.read_bytes()
    shapes = tree(out / "shapes")
    ends = [k + 1 for k, byte in enumerate(whole) if byte == ord("\n")]
    around = {end + by for end in ends[1:] for by in (-2, -1, 0)}
    for length in sorted({*range(ends[1], len(whole) + 1, 37), *around}):
        path.write_bytes(whole[:length])
        tally, seen = run([few], out)
        kept = sum(length >= end - 1 for end in ends)
        assert (tally.there, len(seen.rows)) == (kept, 4 - kept)
        assert not any(row["fresh"] for row in seen.rows)
        assert {row["input"] for row in ledger_rows(out)} >= {str(each) for each in few.iterdir()}
        assert len(ledger_rows(out)) >= kept
    assert tree(out / "shapes") == shapes


def test_a_damaged_folder_is_made_again(few, tmp_path):
    out = tmp_path / "out"
    run([few], out)
    whole = tree(out / "shapes")
    folders = sorted((out / "shapes").iterdir())
    (folders[0] / "manifest.json").unlink()
    (folders[1] / "manifest.json").write_text('{"digest": "')
    views = folders[2] / "views.npz"
    views.write_bytes(views.read_bytes()[:-1])
    (folders[3] / "views.npz").unlink()
    shutil.rmtree(folders[4])
    _, seen = run([few], out)
    assert sum(row["fresh"] for row in seen.rows) == 5
    assert tree(out / "shapes") == whole


def test_the_same_bytes_whoever_does_it(few, tmp_path):
    """With scores, a picture and all else that can be kept."""
    settings = replace(ROUNDTRIP, keep=("mesh", "scores", "picture", "views", "cloud"))
    engines = {"serial": Serial, "one": partial(Processes, 1), "three": partial(Processes, 3)}
    made = {}
    for name, engine in engines.items():
        tally, _ = run([few], tmp_path / name, settings, engine)
        assert tally.done == 8
        made[name] = tree(tmp_path / name / "shapes")
    assert made["serial"] == made["one"] == made["three"]
    run([few], tmp_path / "threads", settings, threads=3)
    assert tree(tmp_path / "threads" / "shapes") == made["serial"]


def test_render_settings_are_what_the_faults_use():
    """The command of this file and the settings of the other tests say the same."""
    assert (RENDER.task, RENDER.rig.rig, RENDER.rig.size) == ("render", "fibonacci:3", 24)
