"""The examples run as they stand, and end in a picture that shows something."""

import subprocess
import sys
from pathlib import Path

import imageio.v3 as imageio
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name, folder):
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), str(folder)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_tested():
    assert {path.name for path in EXAMPLES.glob("*.py")} == {"01_roundtrip.py", "02_own_arrays.py"}


@pytest.mark.parametrize(
    ("name", "picture", "told"),
    [
        ("01_roundtrip.py", "01_error.png", "F-score at 0.001"),
        ("02_own_arrays.py", "02_depth.png", "truly 0.4"),
    ],
)
def test_an_example_ends_in_a_picture(name, picture, told, tmp_path):
    assert told in run(name, tmp_path)
    image = imageio.imread(tmp_path / picture)[..., :3]
    height, width = image.shape[:2]
    assert min(height, width) > 300
    # neither blank nor full: paper around a drawing
    assert 0.05 < (image < 240).any(axis=-1).mean() < 0.95
