"""The README's promises that a machine can hold it to."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def code_lines(markdown):
    """Return the lines inside fenced code blocks."""
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", markdown, re.MULTILINE | re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines()]


def test_the_test_command_is_what_ci_runs():
    readme = code_lines((ROOT / "README.md").read_text("utf-8"))
    told = [line for line in readme if "pytest" in line]
    run = [
        line.strip()
        for line in (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
        if "pytest" in line and not line.lstrip().startswith("#")
    ]
    assert len(run) == 1
    assert told == run


def test_the_demo_is_one_line_that_sets_itself_up():
    readme = code_lines((ROOT / "README.md").read_text("utf-8"))
    demo = [line for line in readme if "backproject demo" in line and "pip install" in line]
    assert len(demo) == 1
    assert demo[0].startswith("python3 -m venv ")
