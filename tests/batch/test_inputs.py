"""What words on a command line name: each shape once, by the same name from run to run."""

import csv
import os
import tarfile
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from small import RENDER, ROUNDTRIP, ledger_rows, make_shapes, octahedron, run, tree

import backproject as bp
from backproject.batch.fetch import content_of, fetch
from backproject.batch.inputs import in_shard, inputs_of
from backproject.errors import FileMissingError, FormatError, InputError


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with the same three shapes in every form."""
    monkeypatch.chdir(tmp_path)
    make_shapes(Path("flat"), 3)
    for number in range(3):
        deep = Path("deep") / f"{number}" / "models"
        deep.mkdir(parents=True)
        octahedron(number).save(deep / "model.obj")
    Path("deep/0/note.md").write_text("no shape")
    files = sorted(Path("flat").iterdir())
    with zipfile.ZipFile("all.zip", "w") as archive:
        for file in files:
            archive.write(file, f"inner/{file.name}")
        archive.writestr("inner/readme.md", "no shape")
    with tarfile.open("all.tar", "w") as archive:
        for file in files:
            archive.add(file)
    Path("list.txt").write_text("# three\n\nflat/shape000.ply\nflat/shape001.ply\nflat/gone.ply\n")
    return tmp_path


def names(*asked, kind="mesh", **more):
    return [each.name for each in inputs_of(asked, kind, **more)]


FLAT = [f"flat/shape00{k}.ply" for k in range(3)]


@pytest.mark.usefixtures("here")
def test_files_folders_and_patterns_name_the_same():
    assert names("flat") == names(*FLAT) == names("flat/*.ply") == FLAT
    assert names("deep") == names("deep/**/*.obj") == [f"deep/{k}/models/model.obj" for k in "012"]


@pytest.mark.usefixtures("here")
def test_a_shape_counts_once_and_words_keep_their_order():
    assert names("flat/shape002.ply", "flat", "flat/*.ply") == [FLAT[2], *FLAT[:2]]


@pytest.mark.usefixtures("here")
def test_a_list_names_what_lies_beside_it_there_or_not(tmp_path, monkeypatch):
    assert names("list.txt") == [*FLAT[:2], "flat/gone.ply"]
    monkeypatch.chdir("/")
    assert names(str(tmp_path / "list.txt"))[0] == str(tmp_path / FLAT[0])


def test_a_missing_line_of_a_list_is_a_row_that_failed(here):
    tally, seen = run(["list.txt"], here / "out")
    assert (tally.done, tally.failed) == (2, 1)
    [row] = [each for each in seen.rows if each["status"] == "failed"]
    assert "gone.ply: no such file" in row["reason"]


@pytest.mark.usefixtures("here")
def test_members_of_archives_are_inputs_of_the_same_content(tmp_path):
    content = [content_of(Path(file)) for file in FLAT]
    for archive, inner in (("all.zip", "inner"), ("all.tar", "flat")):
        found = inputs_of([archive], "mesh")
        assert [each.name for each in found] == [
            f"{archive}!{inner}/shape00{k}.ply" for k in range(3)
        ]
        assert names(f"{archive}!{inner}/shape001.ply") == [found[1].name]
        for number, each in enumerate(found):
            into = tmp_path / f"{archive}{number}"
            into.mkdir()
            assert content_of(fetch(each, into)) == content[number]


@pytest.mark.usefixtures("here")
def test_archives_that_are_none_are_refused():
    Path("bad.zip").write_bytes(Path("all.zip").read_bytes()[:50])
    Path("bad.tar").write_bytes(b"no tar")
    Path("packed.tar.gz").write_bytes(b"")
    for word, told in (
        ("bad.zip", "bad.zip: cannot be read"),
        ("bad.tar", "bad.tar: cannot be read"),
        ("packed.tar.gz", "compressed tar"),
    ):
        with pytest.raises(FormatError, match=told):
            names(word)


def test_a_damaged_member_is_a_row_that_failed(here):
    with zipfile.ZipFile("all.zip") as archive:
        at = archive.getinfo("inner/shape001.ply").header_offset + 60
    content = bytearray(Path("all.zip").read_bytes())
    content[at] ^= 255
    Path("all.zip").write_bytes(content)
    tally, seen = run(["all.zip"], here / "out")
    assert (tally.done, tally.failed) == (2, 1)
    [row] = [each for each in seen.rows if each["status"] == "failed"]
    assert "shape001.ply" in row["reason"]


@pytest.mark.parametrize("word", [".", "odd.txt"])
def test_an_archive_that_is_none_among_others_is_a_row_that_failed(here, word):
    Path("flat/bad.zip").write_bytes(Path("all.zip").read_bytes()[:50])
    Path("flat/packed.tar.gz").write_bytes(b"")
    Path("odd.txt").write_text("flat\nflat/bad.zip\nflat/packed.tar.gz\nflat/shape000.ply\n")
    Path("all.zip").unlink()
    tally, seen = run([word], here / "out")
    failed = {row["input"].rpartition("/")[2]: row for row in seen.rows if row["status"] != "done"}
    assert tally.done == tally.total - 2
    assert {row["kind"] for row in failed.values()} == {"input"}
    assert "bad.zip: cannot be read" in failed["bad.zip"]["reason"]
    assert "is a compressed tar" in failed["packed.tar.gz"]["reason"]


def test_a_name_that_is_no_text_is_a_row_like_any_other(here):
    name = os.fsdecode(b"flat/shape-\xff.ply")
    try:
        Path(FLAT[0]).rename(name)
    except OSError as error:
        pytest.skip(f"this file system has no such names: {error}")
    Path(os.fsdecode(b"flat/bad-\xfe.ply")).write_text("nonsense")
    parts = [run(["flat"], here / "out", shard=(k, 2))[0] for k in range(2)]
    assert (sum(each.done for each in parts), sum(each.failed for each in parts)) == (3, 1)
    with (here / "out" / "scores.csv").open(encoding="utf-8") as stream:
        rows = {row["input"]: row["status"] for row in csv.DictReader(stream)}
    assert rows["flat/shape-\\udcff.ply"] == "done"
    assert "bad-\\udcfe.ply" in (here / "out" / "index.html").read_text("utf-8")
    assert name in [row["input"] for row in ledger_rows(here / "out")]


def test_a_capture_of_names_that_are_no_text_has_a_content(tmp_path):
    try:
        (tmp_path / os.fsdecode(b"\xff.bin")).write_bytes(b"1")
    except OSError as error:
        pytest.skip(f"this file system has no such names: {error}")
    one = content_of(tmp_path)
    (tmp_path / os.fsdecode(b"\xff.bin")).write_bytes(b"2")
    assert content_of(tmp_path) != one


@pytest.mark.usefixtures("here")
def test_linked_folders_are_followed_and_none_is_seen_twice():
    Path("linked").mkdir()
    Path("linked/a").symlink_to(Path("flat").absolute())
    Path("linked/b").symlink_to(Path("flat").absolute())
    Path("linked/round").symlink_to(Path("linked").absolute())
    assert names("linked") == [f"linked/a/{Path(file).name}" for file in FLAT]


@pytest.mark.usefixtures("here")
def test_words_that_name_nothing_are_refused():
    Path("empty").mkdir()
    for word in ("gone.ply", "gone/*.ply", "empty", "all.zip!inner/gone.ply", "file:///gone.ply"):
        with pytest.raises(FileMissingError):
            names(word)


def test_results_among_the_inputs_are_no_inputs(here):
    run(["flat"], here / "flat" / "out")
    assert names("flat", skip=["flat/out"]) == FLAT


FULL = replace(ROUNDTRIP, keep=("mesh",))


def test_a_store_among_the_inputs_holds_no_inputs(here):
    for _ in range(2):
        tally, _ = run(["flat"], here / "out", FULL, store="flat/store")
        assert tally.total == 3


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("word", ["flat/**/*.ply", "deep/../flat", "link", "flat/list.txt"])
def test_whatever_word_names_results_they_are_no_inputs(tmp_path, word):
    Path("link").symlink_to("flat")
    Path("flat/list.txt").write_text(".")
    for _ in range(2):
        assert run([word], tmp_path / "flat" / "out", FULL)[0].total == 3
    # as a shell writes out flat/*, with the results among the words
    assert names("flat/out", *FLAT, skip=["flat/out"]) == FLAT
    with pytest.raises(FileMissingError, match="own results"):
        names("flat/out", skip=["flat/out"])


@pytest.mark.usefixtures("here")
def test_results_at_a_url_are_no_inputs(tmp_path):
    fsspec = pytest.importorskip("fsspec")
    fsspec.filesystem("memory").put("flat", "/mine", recursive=True)
    for _ in range(2):
        tally, _ = run(["memory://mine"], tmp_path / "out", FULL, store="memory://mine/store/")
        assert tally.total == 3
    for _ in range(2):
        url = (tmp_path / "flat").as_uri()
        assert run([url], tmp_path / "flat" / "here", FULL)[0].total == 3
    assert names("flat", skip=[f"{url}/here"]) == FLAT


def test_urls_name_files_folders_and_patterns(here):
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.put(str(here / "flat"), "/url/flat", recursive=True)
    url = "memory://url/flat"
    found = inputs_of([url], "mesh")
    assert [each.name for each in found] == [f"memory:///url/{file}" for file in FLAT]
    assert names(f"{url}/*.ply") == names(url)
    assert names(f"{url}/shape001.ply") == [found[1].name]
    assert names((here / "flat").as_uri())[0].endswith(FLAT[0])
    chain = f"zip://inner/*.ply::{(here / 'all.zip').as_uri()}"
    assert names(chain)[0].startswith("zip://inner/")
    with pytest.raises(InputError, match="nowhere"):
        names("nowhere://x")


def test_urls_and_files_give_the_same_results(here):
    pytest.importorskip("fsspec")
    run(["flat"], here / "out")
    run([f"zip://inner/*.ply::{(here / 'all.zip').as_uri()}"], here / "by-url")
    for one, other in zip(
        sorted(tree(here / "out" / "shapes").items()),
        sorted(tree(here / "by-url" / "shapes").items()),
        strict=True,
    ):
        if one[0].endswith("/views.npz"):
            assert one[1] == other[1]


def test_results_can_go_to_a_url(here):
    fsspec = pytest.importorskip("fsspec")
    store = "memory://results/of/a/run"
    tally, _ = run(["flat"], here / "out", store=store)
    assert tally.done == 3
    assert not (here / "out" / "shapes").exists()
    memory = fsspec.filesystem("memory")
    there = {
        path.removeprefix("/results/of/a/run/"): memory.cat_file(path)
        for path in memory.find("/results/of/a/run")
    }
    run(["flat"], here / "local")
    assert there == tree(here / "local" / "shapes")
    [gone] = [path for path in memory.find("/results") if "shape001" in path and "npz" in path]
    memory.rm_file(gone)
    _, seen = run(["flat"], here / "out", store=store)
    assert sum(row["fresh"] for row in seen.rows) == 1
    assert memory.exists(gone)


def test_captures_are_found_where_a_batch_and_where_others_left_them(here):
    for name in ("one", "two"):
        bp.render(octahedron(), bp.Rig.fibonacci(3, distance=3, size=24)).save(f"captures/{name}")
    assert names("captures", kind="capture") == ["captures/one", "captures/two"]
    assert names("captures/one", kind="capture") == ["captures/one"]
    run(["flat"], here / "rendered")
    made = names("rendered", kind="capture")
    assert len(made) == 3
    assert all(each.endswith("/views.npz") for each in made)


@pytest.mark.usefixtures("here")
def test_a_stamp_tells_what_changed_and_nothing_of_what_just_did():
    file = Path(FLAT[0])
    assert inputs_of([FLAT[0]], "mesh")[0].stamp is None, "a moment old: it may change unnoticed"
    time.sleep(2.1)
    old = inputs_of([FLAT[0]], "mesh")[0].stamp
    assert old is not None
    told = file.stat()
    file.write_bytes(file.read_bytes())
    os.utime(file, ns=(told.st_atime_ns, told.st_mtime_ns))
    time.sleep(2.1)
    assert inputs_of([FLAT[0]], "mesh")[0].stamp != old, "though its time was set back"


def test_shards_part_the_inputs_by_name_alone():
    named = [f"shape{k}" for k in range(1000)]
    parts = [[name for name in named if in_shard(name, (k, 4))] for k in range(4)]
    assert sorted(name for part in parts for name in part) == sorted(named)
    # binomial: 250 expected, 13.7 the deviation; five of them
    assert all(abs(len(part) - 250) < 70 for part in parts)


def test_the_small_task_is_what_it_says():
    assert RENDER.kind == "mesh"
