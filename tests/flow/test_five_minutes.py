"""docs/five_minutes.md, done block by block in one folder, says and makes what it says it does."""

import re
import shlex
from pathlib import Path

import pytest

import backproject as bp
from backproject.cli.main import main

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "five_minutes.md"
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
PIXEL = 1.5 * 0.7878 / 128
"""A pixel's footprint in the middle of the page's views, in their unit."""


def rows(text):
    """Return the rows of a printed table, cell by cell."""
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The folder, and what each block printed."""
    folder = tmp_path_factory.mktemp("five")
    (folder / "examples").symlink_to(ROOT / "examples")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


def test_every_block_runs_and_prints_what_is_shown(done, capsys):
    kinds = [kind for kind, _ in BLOCKS]
    assert kinds == ["python", "python", "", "text", "", "text", "", "python"]
    told = ""
    for kind, text in BLOCKS:
        if kind == "text":
            shown = rows(told)
            assert all(row in shown for row in rows(text)), told
        elif kind == "python":
            exec(compile(text, str(PAGE), "exec"), {"__name__": "__main__"})
            told = capsys.readouterr().out
        else:
            program, *arguments = shlex.split(text)
            assert program == "backproject"
            assert main(arguments) == 0
            told = capsys.readouterr().out
    assert float(re.search(r"within ([\d.e-]+)", told)[1]) < PIXEL / 10
    assert bp.Mesh.load(done / "mine.ply").is_watertight
