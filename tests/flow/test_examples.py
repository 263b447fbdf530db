"""The examples run as they stand, tell something true, and end in a picture."""

import re
import runpy
from importlib.util import find_spec
from pathlib import Path

import imageio.v3 as imageio
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = sorted(path.name for path in EXAMPLES.glob("*.py"))
PIXEL = 1.5 * 0.7878 / 160
"""A pixel's footprint in the examples of 160 pixels: at 1.5, 43 degrees wide."""


def tell(name, folder, monkeypatch, capsys):
    """Run an example into a folder and return what it prints."""
    monkeypatch.setattr("sys.argv", [name, str(folder)])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    return capsys.readouterr().out


def numbers(pattern, text):
    return [float(each) for each in re.findall(pattern, text)]


def _roundtrip(told):
    (score,) = numbers(r"F-score at 0\.0025\s+([\d.]+)", told)
    assert score > 0.95  # what no camera sees is missing


def _radius(told):
    ((least, greatest),) = re.findall(r"radius ([\d.]+) to ([\d.]+), truly 0.4", told)
    assert 0.398 < float(least) < float(greatest) < 0.402  # a quarter of a pixel's 0.0089


def _ring(told):
    assert "manifold: True, Euler: 0" in told


def _nerfstudio(told):
    assert "axes: opengl" in told
    assert "depth: 0.001 x the stored number" in told


def _paper(told):
    ((step, error),) = re.findall(r"step of depth is ([\d.]+); the mean error is ([\d.]+)", told)
    assert float(step) == pytest.approx(1 / 255, abs=1e-4)
    assert float(error) < float(step) / 2  # what rounding alone can do, at worst


def _noise(told):
    rough, smooth = numbers(r"mean error ([\d.e-]+)", told)
    assert smooth < rough < PIXEL
    rough, smooth = numbers(r"normals ([\d.]+)", told)
    assert smooth > rough


def _orbit(told):
    solid, seen = numbers(r"(\d+)% inferred", told)
    assert solid > 10
    assert seen == 0
    solid, seen = numbers(r"mean error ([\d.e-]+)", told)
    assert seen < solid


def _scene(told):
    volumes = numbers(r"volume ([\d.]+) of the true", told)
    assert volumes == pytest.approx([1, 1, 1], abs=0.01)


def _orthographic(told):
    (error,) = numbers(r"mean error ([\d.e-]+)", told)
    assert error < 1.1 / 192 / 10  # a tenth of a pixel


def _half(told):
    assert numbers(r"overlap by ([\d.]+)%", told)[0] > 98
    assert numbers(r"differs by ([\d.]+) pixels", told)[0] < 0.1


def _own_fuser(told):
    mine, theirs = numbers(r"F-score at 0\.0025 ([\d.]+)", told)
    assert mine < theirs


TOLD = {
    "01_roundtrip.py": _roundtrip,
    "02_own_arrays.py": _radius,
    "03_open3d.py": _ring,
    "04_nerfstudio.py": _nerfstudio,
    "05_paper.py": _paper,
    "06_noise.py": _noise,
    "07_orbit.py": _orbit,
    "08_scene.py": _scene,
    "09_orthographic.py": _orthographic,
    "10_half_the_views.py": _half,
    "11_own_fuser.py": _own_fuser,
}
"""Of each example, what its words must say."""


def test_every_example_is_tested_and_on_the_page():
    assert list(TOLD) == SCRIPTS
    page = (EXAMPLES / "README.md").read_text("utf-8")
    assert re.findall(r"^## (\d\d_\w+\.py)$", page, re.MULTILINE) == SCRIPTS


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_example_is_short(name):
    code = (EXAMPLES / name).read_text("utf-8").split('"""', 2)[2]
    lines = [line for line in code.splitlines() if line and not line.startswith(("import", "from"))]
    assert len(lines) <= 35


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_example_tells_the_truth_and_ends_in_a_picture(name, tmp_path, monkeypatch, capsys):
    if name == "03_open3d.py" and not find_spec("open3d"):
        pytest.skip("open3d is not installed (extra `bench`)")
    TOLD[name](tell(name, tmp_path, monkeypatch, capsys))
    (picture,) = tmp_path.glob(f"{name[:2]}_*.png")
    image = imageio.imread(picture)[..., :3]
    height, width = image.shape[:2]
    assert min(height, width) > 300
    # neither blank nor full: paper around a drawing
    assert 0.05 < (image < 240).any(axis=-1).mean() < 0.95
