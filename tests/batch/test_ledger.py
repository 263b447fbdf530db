"""The ledger: cut at any byte it loses the row that was cut, and nothing else; and its lock."""

import os
import subprocess
import sys
import threading

import pytest

from backproject.batch.ledger import Ledger, last_rows, locked, rows_in, summing_up
from backproject.batch.run import sum_up
from backproject.batch.stores import FolderStore
from backproject.errors import OutputError


def row(name, at=0, status="done"):
    return {
        "input": name,
        "status": status,
        "at": f"2026-01-01T00:00:{at:02}",
        "folder": f"{name}-é",
    }


def test_a_ledger_cut_at_any_byte_loses_only_the_row_that_was_cut(tmp_path):
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    ends = [0]
    for number, name in enumerate("abc"):
        ledger.add(row(name, number))
        ends.append(path.stat().st_size)
    ledger.close()
    whole = path.read_bytes()
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        again = Ledger(path)
        again.add(row("new", 9))
        again.close()
        # a row is whole with or without the line's end
        kept = [name for name, end in zip("abc", ends[1:], strict=True) if length >= end - 1]
        assert [each["input"] for _, each in rows_in(path)] == [*kept, "new"]
        assert set(last_rows([path])) == {*kept, "new"}


def test_lines_that_are_no_rows_are_passed_over(tmp_path):
    path = tmp_path / "ledger.jsonl"
    lines = [b"\x00\xff", b"[1, 2]", b'"text"', b'{"input": 3, "status": "done"}', b"{}", b"", b"7"]
    path.write_bytes(b"\n".join(lines) + b"\n")
    ledger = Ledger(path)
    ledger.add(row("a"))
    ledger.close()
    assert [each["input"] for _, each in rows_in(path)] == ["a"]


def test_the_last_row_counts_whichever_ledger_holds_it(tmp_path):
    first, second = tmp_path / "ledger-0-of-2.jsonl", tmp_path / "ledger.jsonl"
    for path, at, status in ((first, 5, "done"), (second, 3, "failed")):
        ledger = Ledger(path)
        ledger.add(row("a", at, status))
        ledger.close()
    last = last_rows([first, second])["a"]
    assert (last.done, last.ledger) == (True, first)


def test_a_second_driver_is_told_of_the_first(tmp_path):
    with locked(tmp_path, None), pytest.raises(OutputError, match=f"process {os.getpid()} on"):
        locked(tmp_path, None).__enter__()
    with locked(tmp_path, None):
        pass  # the first is gone


def test_shards_share_and_each_part_has_one_driver(tmp_path):
    with locked(tmp_path, (0, 2)), locked(tmp_path, (1, 2)):
        for shard in ((0, 2), None):
            with pytest.raises(OutputError, match="is at work there"):
                locked(tmp_path, shard).__enter__()
    with locked(tmp_path, None), pytest.raises(OutputError, match="is at work there"):
        locked(tmp_path, (0, 2)).__enter__()


def test_a_dead_driver_holds_nothing(tmp_path):
    subprocess.run(
        [
            sys.executable,
            "-c",
            "import os, sys\nfrom pathlib import Path\n"
            "from backproject.batch.ledger import locked\n"
            "locked(Path(sys.argv[1]), None).__enter__()\nos.kill(os.getpid(), 9)",
            str(tmp_path),
        ],
        check=False,
    )
    assert (tmp_path / ".lock").read_text().startswith("process ")
    with locked(tmp_path, None):
        pass


def test_rows_reach_the_disk_while_none_is_added(tmp_path, monkeypatch):
    clock, synced = [100.0], []
    monkeypatch.setattr("backproject.batch.ledger.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("os.fsync", synced.append)
    ledger = Ledger(tmp_path / "ledger.jsonl")
    for name in "ab":
        ledger.add(row(name))
    assert len(synced) == 1, "the second came at once"
    clock[0] += 1.1
    for _ in range(2):
        ledger.tick()
        assert len(synced) == 2, "then there is nothing new"
    ledger.close()


def test_who_sums_up_last_has_read_the_rows_of_all(tmp_path):
    """One that waits for another reads the ledgers after it, and not before."""
    store, ledger = FolderStore(tmp_path / "shapes", tmp_path), Ledger(tmp_path / "ledger.jsonl")
    with summing_up(tmp_path):
        waiting = threading.Thread(target=sum_up, args=(tmp_path, store))
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive()
        ledger.add(row("late", status="failed") | {"task": "render"})
        ledger.close()
    waiting.join(60)
    assert "late" in (tmp_path / "scores.csv").read_text()
