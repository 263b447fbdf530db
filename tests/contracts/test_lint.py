"""The lint before a commit is the lint of CI."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINTERS = re.compile(r"\.venv/bin/(?:ruff|mypy|lint-imports)\b.*")


def test_the_hooks_are_the_lines_of_ci():
    hooks = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    asked = re.findall(r"^ +entry: (.*)$", hooks, re.MULTILINE)
    run = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    assert asked == [line for line in run if LINTERS.fullmatch(line)]
