"""The README's promises that a machine can hold it to."""

import re
from pathlib import Path
from typing import get_args

from backproject.cli.main import Command

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def code_lines(markdown):
    """Return the lines inside fenced code blocks."""
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", markdown, re.MULTILINE | re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines()]


def test_the_test_command_is_what_ci_runs():
    readme = code_lines(README)
    told = [line for line in readme if "pytest" in line]
    run = [
        line.strip()
        for line in (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
        if "pytest" in line and not line.lstrip().startswith("#")
    ]
    assert len(run) == 1
    assert told == run


def test_the_demo_is_one_line_that_sets_itself_up():
    readme = code_lines(README)
    demo = [line for line in readme if "backproject demo" in line and "pip install" in line]
    assert len(demo) == 1
    assert demo[0].startswith("python3 -m venv ")


def test_python_fits_on_eight_lines_that_run(tmp_path, monkeypatch, capsys):
    (code,) = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert len(code.split("\n\n", 1)[1].splitlines()) <= 8
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    assert "'f_score'" in capsys.readouterr().out
    assert (tmp_path / "headphones.ply").is_file()


def test_the_commands_are_those_that_there_are():
    told = re.findall(r"^\| `backproject (\w+)", README, re.MULTILINE)
    there = [settings.name for each in get_args(Command) for settings in each.__metadata__]
    assert sorted(told) == sorted(there)
