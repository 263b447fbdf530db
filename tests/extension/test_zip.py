"""What is in the zip, and what is not."""

import re
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
ZIPS = sorted((ROOT / "dist").glob("backproject-*.zip"))

PURE = {"tifffile", "threadpoolctl", "backproject"}
"""Packages of Python alone: one wheel for all."""


def manifest_of(built):
    return tomllib.loads(built.read("blender_manifest.toml").decode())


def packages():
    """Return the packages that wheels.txt pins, and the library."""
    pins = re.findall(r"^([\w-]+)==", (ROOT / "blender_extension/wheels.txt").read_text(), re.M)
    return {name.lower().replace("-", "_") for name in pins} | {"backproject"}


@pytest.mark.parametrize("path", ZIPS, ids=lambda path: path.stem)
def test_it_brings_all_that_is_pinned_for_each_python_and_never_numpy(path):
    with ZipFile(path) as built:
        named = manifest_of(built)["wheels"]
        inside = [f"./{each}" for each in built.namelist() if each.endswith(".whl")]
        licence = built.read("LICENSE")
    assert sorted(named) == sorted(inside)
    pythons = {tag for each in named for tag in re.findall(r"-cp(311|313)-", each)}
    compiled = [Path(each).name.split("-") for each in named if "-none-any" not in each]
    assert {parts[0].lower() for parts in compiled} | PURE == packages()
    for name in packages() - PURE:
        assert len([parts for parts in compiled if parts[0].lower() == name]) == len(pythons)
    assert b"GNU GENERAL PUBLIC LICENSE" in licence


@pytest.mark.parametrize("path", ZIPS, ids=lambda path: path.stem)
def test_its_version_is_the_librarys(path):
    library = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    with ZipFile(path) as built:
        manifest = manifest_of(built)
    assert manifest["version"] == library
    assert f"./wheels/backproject-{library}-py3-none-any.whl" in manifest["wheels"]


def test_the_wheel_names_its_licences():
    with (
        ZipFile(ZIPS[-1]) as built,
        built.open(
            next(each for each in built.namelist() if "wheels/backproject-" in each)
        ) as wheel,
        ZipFile(wheel) as library,
    ):
        names = library.namelist()
    assert "backproject/blender/LICENSE" in names
