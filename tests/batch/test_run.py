"""A run does what is missing, failed or changed, and nothing else; and sums up all there is."""

import csv
import json
import os
import pickle
import time
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser

import numpy as np
import pytest
from small import RENDER, ROUNDTRIP, ledger_rows, make_shapes, octahedron, run, tree

import backproject as bp
from backproject.batch.drive import Tally, drive
from backproject.batch.executors import Engine, Processes, Serial
from backproject.batch.inputs import Input
from backproject.batch.job import Failure, Job, Made, attempt
from backproject.batch.ledger import Ledger
from backproject.batch.settings import Settings
from backproject.batch.stores import FolderStore
from backproject.cli.main import main
from backproject.errors import FileMissingError, InputError, OutputError
from backproject.geometry.rig import RigSettings
from backproject.io.sources.source import Asked
from backproject.pipeline import observe


@pytest.fixture
def aged(tmp_path):
    """A folder of 4 shapes that changed long enough ago."""
    folder = make_shapes(tmp_path / "aged", 4)
    time.sleep(2.1)
    return folder


def test_a_second_run_does_nothing(aged, tmp_path):
    out = tmp_path / "out"
    assert run([aged], out)[0].done == 4
    before = tree(out / "shapes")
    tally, seen = run([aged], out)
    assert (tally.there, tally.done, seen.rows) == (4, 0, [])
    assert tree(out / "shapes") == before
    assert len(ledger_rows(out)) == 4


def test_what_changed_is_done_again_and_its_old_folder_goes(aged, tmp_path):
    out = tmp_path / "out"
    run([aged], out)
    octahedron(99).save(aged / "shape001.ply")
    tally, seen = run([aged], out)
    assert (tally.there, tally.done, seen.names) == (3, 1, ["shape001.ply"])
    assert len(list((out / "shapes").iterdir())) == 4
    run([aged], tmp_path / "fresh")
    assert tree(out / "shapes") == tree(tmp_path / "fresh" / "shapes")


def test_what_was_only_touched_is_read_and_not_done_again(aged, tmp_path):
    out = tmp_path / "out"
    run([aged], out)
    os.utime(aged / "shape002.ply")
    _, seen = run([aged], out)
    assert [(row["input"][-12:], row["fresh"]) for row in seen.rows] == [("shape002.ply", False)]
    facts = {row["input"]: row["facts"] for row in ledger_rows(out)[:4]}
    assert seen.rows[0]["facts"] == facts[seen.rows[0]["input"]]


def test_what_failed_is_tried_again_by_the_next_run(aged, tmp_path):
    out = tmp_path / "out"
    whole = (aged / "shape000.ply").read_bytes()
    (aged / "shape000.ply").write_bytes(whole[:-5])
    assert run([aged], out)[0].failed == 1
    assert run([aged], out)[0].failed == 1
    (aged / "shape000.ply").write_bytes(whole)
    tally, seen = run([aged], out)
    assert (tally.there, seen.names) == (3, ["shape000.ply"])


def test_the_folder_before_a_failure_goes_with_the_next_success(aged, tmp_path):
    out = tmp_path / "out"
    run([aged], out)
    (aged / "shape001.ply").write_text("nonsense")
    for _ in range(2):
        assert run([aged], out)[0].failed == 1
    assert len(list((out / "shapes").iterdir())) == 4, "until then it is the best there is"
    octahedron(99).save(aged / "shape001.ply")
    assert run([aged], out)[0].failed == 0
    run([aged], tmp_path / "fresh")
    assert tree(out / "shapes") == tree(tmp_path / "fresh" / "shapes")


@pytest.mark.parametrize("step", [(Ledger, "add"), (FolderStore, "remove")])
def test_a_driver_killed_while_it_replaces_a_folder_leaves_no_old_one(aged, tmp_path, step):
    """Killed right after either of the two steps: the next run mends it."""
    out = tmp_path / "out"
    run([aged], out)
    [old] = [row["folder"] for row in ledger_rows(out) if row["input"].endswith("001.ply")]
    octahedron(99).save(aged / "shape001.ply")
    owner, name = step
    do = getattr(owner, name)

    def killed_after(self, given):
        do(self, given)
        if given == old or name == "add":
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(owner, name, killed_after)
        with pytest.raises(KeyboardInterrupt):
            run([aged], out)
    assert run([aged], out)[0].failed == 0
    run([aged], tmp_path / "fresh")
    assert tree(out / "shapes") == tree(tmp_path / "fresh" / "shapes")


def test_what_is_found_whole_keeps_what_it_cost(aged, tmp_path):
    """Touched, and after a failure: the last rows tell what the first did."""
    out, told = tmp_path / "out", ("seconds", "busy", "bytes", "peak", "host")
    run([aged], out)
    first = {row["input"]: row for row in ledger_rows(out)}
    page = (out / "index.html").read_text()
    bad = aged / "shape000.ply"
    whole = bad.read_bytes()
    bad.write_bytes(b"nonsense")
    run([aged], out)
    bad.write_bytes(whole)
    os.utime(aged / "shape002.ply")
    _, seen = run([aged], out)
    assert [row["fresh"] for row in seen.rows] == [False, False]
    for row in ledger_rows(out)[-2:]:
        assert all(row[name] for name in told)
        assert {name: row[name] for name in told} == {
            name: first[row["input"]][name] for name in told
        }
    assert (out / "index.html").read_text() == page


def test_means_are_of_the_shapes_whose_cost_is_known(aged, tmp_path):
    """A ledger that lost its rows makes no shape cheaper than it was."""
    out = tmp_path / "out"
    run([aged], out)
    ledger = out / "ledger.jsonl"
    row = ledger_rows(out)[0] | {"busy": 3.0, "bytes": 2_000_000}
    ledger.write_text(json.dumps(row) + "\n")
    run([aged], out)
    told = Reader((out / "index.html").read_text()).text
    assert "4 shapes" in told
    assert "3 s" in told
    assert "2 MB" in told


@pytest.mark.parametrize(
    "other",
    [
        replace(RENDER, rig=RigSettings(rig="fibonacci:3", size=25)),
        replace(RENDER, rig=RigSettings(rig="fibonacci:4", size=24)),
        replace(RENDER, keep=("views", "picture")),
    ],
)
def test_other_settings_are_another_result(aged, tmp_path, other):
    out = tmp_path / "out"
    run([aged], out)
    _, seen = run([aged], out, other)
    assert sum(row["fresh"] for row in seen.rows) == 4
    run([aged], tmp_path / "fresh", other)
    assert tree(out / "shapes") == tree(tmp_path / "fresh" / "shapes")


def test_another_version_is_another_result(aged, tmp_path, monkeypatch):
    out = tmp_path / "out"
    run([aged], out)
    monkeypatch.setattr("backproject.batch.settings.version", lambda: "99")
    settings = Settings(task="render", rig=RENDER.rig)
    assert settings.recipe != RENDER.recipe
    _, seen = run([aged], out, settings)
    assert sum(row["fresh"] for row in seen.rows) == 4


def test_settings_that_a_task_does_not_use_change_nothing():
    assert replace(RENDER, samples=7, resolution=99).recipe == RENDER.recipe
    assert replace(ROUNDTRIP, samples=7).recipe != ROUNDTRIP.recipe
    bare = replace(ROUNDTRIP, keep=("mesh",))
    assert replace(bare, samples=7).recipe == bare.recipe


def test_a_camera_list_counts_by_what_it_holds(tmp_path):
    cameras = tmp_path / "cameras.txt"
    cameras.write_text("1 0 0\n0 1 0\n0 0 1\n")
    before = Settings(task="render", rig=RigSettings(rig=str(cameras)))
    recipe = before.recipe
    cameras.write_text("1 0 0\n0 1 0\n0 0 -1\n")
    assert replace(before).recipe != recipe


@pytest.mark.parametrize("option", ["camera_file", "color_folder"])
def test_what_is_read_beside_captures_counts_by_what_it_holds(tmp_path, option):
    """Files and folders alike, whose names stay; and no worker reads them for it again."""
    file = tmp_path / "known" if option == "camera_file" else tmp_path / "known" / "one.png"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"before")
    before = Settings(task="fuse", reading=Asked(**{option: tmp_path / "known"}))
    recipe = before.recipe
    file.write_bytes(b"after!")
    assert replace(before).recipe != recipe
    assert pickle.loads(pickle.dumps(before)).recipe == recipe
    file.unlink()
    again = replace(before, reading=Asked(**{option: file}))
    with pytest.raises(FileMissingError, match=f"--{option.replace('_', '-')}"):
        run([tmp_path], tmp_path / "out", again)
    assert not (tmp_path / "out").exists()


def test_settings_travel_with_what_they_were_when_the_run_began(few, tmp_path):
    """The file of cameras is gone when the jobs are done: no worker looks for it."""
    cameras = tmp_path / "cameras.txt"
    cameras.write_text("1 0 0\n0 1 0\n0 0 1\n")
    settings = Settings(task="render", rig=RigSettings(rig=str(cameras), size=24))
    tally, _ = run([few], tmp_path / "out", settings, do=partial(without, cameras))
    assert tally.done == 8


def without(file, job):
    """Do a job as in another process, where a file is not."""
    file.unlink(missing_ok=True)
    return attempt(pickle.loads(pickle.dumps(job)))


def test_out_that_holds_something_else_is_refused(few, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("mine")
    (tmp_path / "file").touch()
    for place, told in (("mine", "letter.txt"), ("file", "is a file")):
        with pytest.raises(OutputError, match=told):
            run([few], tmp_path / place)
    run([few], tmp_path / "out")
    with pytest.raises(OutputError, match="--task render"):
        run([few], tmp_path / "out", ROUNDTRIP)
    with pytest.raises(InputError, match="--keep scores"):
        replace(RENDER, keep=("scores",))


def test_shards_on_one_out_make_what_one_run_makes(few, tmp_path):
    out = tmp_path / "out"
    done = [run([few], out, shard=(k, 3))[0].done for k in range(3)]
    assert sum(done) == 8
    run([few], tmp_path / "whole")
    assert tree(out / "shapes") == tree(tmp_path / "whole" / "shapes")
    with (out / "scores.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 8, "the last one sums up all"
    tally, seen = run([few], out)
    assert tally.there + tally.done == 8
    assert not any(row["fresh"] for row in seen.rows)


class Reader(HTMLParser):
    """Reads the text and the pictures of a page."""

    def __init__(self, page):
        super().__init__()
        self.text, self.images = "", []
        self.feed(page)

    def handle_data(self, data):
        self.text += data

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.images.append(dict(attrs)["src"])


@pytest.fixture(scope="module")
def summed(tmp_path_factory):
    """A run of 23 shapes, two of which are none."""
    folder = make_shapes(tmp_path_factory.mktemp("summed") / "in", 23)
    for number in (3, 5):
        (folder / f"shape{number:03}.ply").write_text("ply\n<b>nonsense")
    out = folder.parent / "out"
    run([folder], out, ROUNDTRIP)
    return out


def test_the_table_has_a_row_for_every_shape(summed):
    with (summed / "scores.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["status"] for row in rows].count("done") == 21
    assert len({row["input"] for row in rows}) == 23
    for row in rows:
        if row["status"] == "failed":
            assert row["kind"] == "input"
            assert row["chamfer"] == ""
            continue
        scores = json.loads((summed / "shapes" / row["folder"] / "scores.json").read_text())
        assert float(row["chamfer"]) == scores["chamfer"]
        assert float(row["f_score_0.001"]) == scores["f_score"]["0.001"]
        assert row["watertight"] == str(scores["watertight"])
        stages = sum(float(row[name]) for name in row if name.startswith("seconds_"))
        assert float(row["seconds"]) == pytest.approx(stages)


def test_parquet_holds_the_same(summed):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(summed / "scores.parquet")
    with (summed / "scores.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert table.column_names == list(rows[0])
    assert table["input"].to_pylist() == [row["input"] for row in rows]
    known = [row["chamfer"] for row in rows]
    assert table["chamfer"].to_pylist() == [float(value) if value else None for value in known]


def test_the_page_shows_the_worst_and_says_what_failed_and_why(summed):
    page = Reader((summed / "index.html").read_text())
    assert "23 shapes, roundtrip" in page.text
    assert "Left what was given" in page.text
    with (summed / "scores.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["status"] == "done"]
    ordered = sorted(rows, key=lambda row: -float(row["chamfer"]))
    assert len(page.images) == 20
    assert all(source.startswith("data:image/png;base64,") for source in page.images)
    places = [page.text.index(row["folder"]) for row in ordered[:20]]
    assert places == sorted(places)
    assert ordered[20]["folder"] not in page.text
    assert page.text.count("cannot be read as PLY") == 1, "one reason, of two shapes"
    assert "shape003.ply" in page.text
    assert "shape005.ply" in page.text


def test_the_driver_syncs_the_ledger_while_it_waits(few, tmp_path, monkeypatch):
    ticks = []
    monkeypatch.setattr(Ledger, "tick", lambda _self: ticks.append(time.monotonic()))
    [slow, *_] = sorted(few.iterdir())
    run([slow], tmp_path / "out", engine=partial(Processes, 1), do=sleepy)
    assert len(ticks) >= 3, "with no row, a second after the other"


def sleepy(job):
    """Do a job slowly."""
    time.sleep(2.5)
    return attempt(job)


class Greedy(Engine):
    """An engine that counts what is submitted and not yet ended."""

    slots = 3

    def __init__(self):
        self.pending, self.most = [], 0

    def submit(self, _work, /, job):
        future = Future()
        future.set_running_or_notify_cancel()
        self.pending.append((future, job))
        self.most = max(self.most, len(self.pending))
        if len(self.pending) == 2 * self.slots:
            for each, given in self.pending:
                each.set_result(Made(given.input.name, "", ""))
            self.pending.clear()
        return future


def test_never_more_than_twice_the_slots_are_pending(tmp_path):
    engine, tally, taken = Greedy(), Tally(5000 * 6), []
    store = FolderStore(tmp_path, tmp_path)

    def jobs():
        for number in range(5000 * 6):
            taken.append(number)
            assert len(taken) - tally.done <= 2 * engine.slots
            yield Job(Input(str(number), ""), RENDER, store)

    drive(jobs(), engine, lambda _row: None, tally)
    assert (tally.done, engine.most) == (30_000, 6)


def test_the_tally_tells_what_is_left_and_how_long():
    tally = Tally(1000, there=100, done=30, failed=0, begun=time.monotonic() - 60)
    assert tally.told().startswith("130 done, 0 failed, 870 left, 30 a minute, 29 min to go")


def fail_like(kind, _job):
    return Failure(kind, "as asked")


@pytest.mark.parametrize(
    ("kind", "attempts"),
    [("input", 1), ("crash", 4), ("timeout", 4), ("memory", 4), ("system", 4), ("bug", 4)],
)
def test_what_may_pass_is_tried_as_often_as_asked(few, tmp_path, kind, attempts):
    tally, seen = run([few], tmp_path / "out", do=partial(fail_like, kind), retries=3)
    assert (tally.failed, tally.reasons) == (8, {kind: 8})
    assert {row["attempts"] for row in seen.rows} == {attempts}


@pytest.mark.parametrize("lens", [{"orthographic": 1.2}, {"fov": 30.0}, {"distance": 2.0}])
def test_the_rig_has_the_lens_that_is_asked_for(tmp_path, lens):
    folder, out = make_shapes(tmp_path / "in", 1), tmp_path / "out"
    said = [word for name, value in lens.items() for word in (f"--{name}", str(value))]
    command = ["batch", str(folder), "-o", str(out), "--engine", "serial", "--quiet", *said]
    small = ["--task", "render", "--rig", "fibonacci:3", "--size", "24"]
    assert main([*command, *small]) == 0
    [row] = ledger_rows(out)
    made = bp.ViewSet.load(out / "shapes" / row["folder"] / "views.npz")
    rig = RigSettings(rig="fibonacci:3", size=24, **lens)
    alone = observe(bp.Mesh.load(row["input"]), rig.build())
    assert made.rig.orthographic.all() == ("orthographic" in lens)
    np.testing.assert_array_equal(made.depth, alone.depth)
    np.testing.assert_array_equal(made.rig.intrinsics, alone.rig.intrinsics)


@pytest.mark.parametrize("task", ["fuse", "check"])
def test_captures_are_fused_and_checked_alike(tmp_path, task):
    made = ["--rig", "fibonacci:8", "--size", "48"]
    (tmp_path / "in").mkdir()
    bp.Mesh.save(octahedron(), tmp_path / "in" / "shape.ply")
    command = ["batch", "--engine", "serial", "--quiet"]
    rendered, out = str(tmp_path / "rendered"), tmp_path / "out"
    assert main([*command, str(tmp_path / "in"), "-o", rendered, "--task", "render", *made]) == 0
    more = ["--resolution", "16"] if task == "fuse" else []
    assert main([*command, rendered, "-o", str(out), "--task", task, *more]) == 0
    [row] = ledger_rows(out)
    folder = out / "shapes" / row["folder"]
    if task == "fuse":
        views = bp.ViewSet.load(row["input"])
        alone = bp.fuse(views, resolution=16)
        assert bp.Mesh.load(folder / "mesh.ply").faces.tolist() == alone.faces.tolist()
        assert row["facts"]["faces"] == len(alone.faces)
    else:
        alone = bp.check(bp.ViewSet.load(row["input"]))
        told = json.loads((folder / "findings.json").read_text())
        assert told == json.loads(json.dumps(alone.to_dict()))
        assert row["facts"]["clash_given"] == alone.clash_given
    assert "Left what was given" not in (out / "index.html").read_text(), "there is one picture"


def test_the_command_says_what_it_did_and_which_failed(tmp_path, capsys):
    folder = make_shapes(tmp_path / "in", 2)
    (folder / "bad.obj").write_text("")
    command = ["batch", str(folder), "-o", str(tmp_path / "out"), "--engine", "serial"]
    small = ["--task", "render", "--rig", "fibonacci:3", "--size", "24"]
    assert main([*command, *small]) == 0
    told = capsys.readouterr()
    assert "2 done, 1 failed, 0 left" in told.out
    assert "bad.obj: input: " in told.err


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["--shard", "3/3"], "--shard 3/3"),
        (["--shard", "x"], "--shard x"),
        (["--keep", "soup"], "--keep soup"),
        (["--timeout", "0"], "--timeout"),
        (["--jobs", "-1"], "--jobs"),
        (["--retries", "-1"], "--retries"),
        (["--samples", "0"], "--samples"),
        (["--address", "here"], "--address here"),
        (["--memory", "0"], "--memory"),
        (["--rig", "fibonacci:0"], "fibonacci"),
        (["--near", "1"], "--near"),
        (["--near", "1", "--far", "2"], "--near: got it with --task roundtrip"),
        (["--task", "render", "--axes", "opengl"], "--axes: got it with --task render"),
        (["--without-color"], "--without-color"),
        (["--orthographic", "1", "--fov", "40"], "--orthographic"),
        (["--orthographic", "0"], "--orthographic"),
    ],
)
def test_options_that_cannot_be_are_one_line(few, tmp_path, capsys, asked, told):
    assert main(["batch", str(few), "-o", str(tmp_path / "out"), *asked]) == 1
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_no_input_and_a_url_for_out_are_one_line(few, tmp_path, capsys):
    assert main(["batch", "-o", str(tmp_path / "out")]) == 1
    assert "INPUT" in capsys.readouterr().err
    assert main(["batch", str(few), "-o", "memory://out"]) == 1
    assert "--store" in capsys.readouterr().err


def test_serial_and_processes_are_engines():
    assert isinstance(Serial(), Engine)
    assert issubclass(Processes, Engine)
