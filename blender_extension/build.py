# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the Blender extension: one zip for each platform in dist/, validated by Blender.

    python blender_extension/build.py
    python blender_extension/build.py --platform linux-x64 --python 3.11   # one of each: quicker

Needs pip, an index to download wheels from, and Blender: bpy in this Python, or --blender EXE.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
STAGE = ROOT / "build" / "blender_extension"
PYTHONS = ("3.11", "3.13")
"""Blender 4.2 to 5.0 run 3.11, later ones 3.13."""
PLATFORMS = {
    "linux-x64": [f"manylinux_2_{minor}_x86_64" for minor in (17, 27, 28)],
    "windows-x64": ["win_amd64"],
    "macos-arm64": [f"macosx_{major}_0_arm64" for major in (11, 12)],
}
"""Which wheels suit a platform: glibc 2.28 is Blender's own floor; SciPy asks for macOS 12."""
EXTENSION_COMMAND = (
    "import sys, bpy; from bl_pkg.bl_extension_cli import cli_extension_handler;"
    " sys.exit(cli_extension_handler(sys.argv[1:]))"
)


def main() -> None:
    """Build what was asked for, and say what came of it."""
    asked = _asked()
    extension = _extension_command(asked.blender)
    asked.out.mkdir(parents=True, exist_ok=True)
    source, out = f"--source-dir={STAGE}", f"--output-dir={asked.out}"
    for platform in asked.platform:
        _stage(platform, asked.python)
        _run([*extension, "build", "--split-platforms", source, out])  # which names it after both
        (built,) = asked.out.glob(f"backproject-{_version()}-{platform.replace('-', '_')}.zip")
        _run([*extension, "validate", str(built)])
        print(f"{built}: {built.stat().st_size / 1e6:.0f} MB")


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--platform", choices=PLATFORMS, action="append", help="default: all")
    parser.add_argument("--python", choices=PYTHONS, action="append", help="default: all")
    parser.add_argument("--blender", metavar="EXE", help="default: bpy in this Python")
    parser.add_argument("-o", "--out", type=Path, default=ROOT / "dist", help="default: dist/")
    asked = parser.parse_args()
    asked.platform = asked.platform or list(PLATFORMS)
    asked.python = asked.python or list(PYTHONS)
    asked.out = asked.out.resolve()
    return asked


def _extension_command(blender: str | None) -> list[str]:
    """Return how to call Blender's own `extension` command, which builds and validates."""
    if blender:
        return [blender, "--command", "extension"]
    if find_spec("bpy") is None:
        sys.exit("error: no Blender to validate with: `pip install bpy`, or give --blender EXE")
    return [sys.executable, "-c", EXTENSION_COMMAND]


def _stage(platform: str, pythons: Sequence[str]) -> None:
    """Lay out what goes into a zip: the extension's files, the wheels, and a manifest that names
    them.
    """
    shutil.rmtree(STAGE, ignore_errors=True)
    shutil.copytree(HERE / "source", STAGE, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(HERE / "LICENSE", STAGE)
    wheels = STAGE / "wheels"
    _run([*_pip("wheel"), "--no-deps", f"--wheel-dir={wheels}", str(ROOT)])
    for python in pythons:
        _download(wheels, python, PLATFORMS[platform])
    manifest = STAGE / "blender_manifest.toml"
    names = [f"./wheels/{each.name}" for each in sorted(wheels.iterdir())]
    added = f'platforms = ["{platform}"]\nwheels = {names}\n'  # before the first table
    manifest.write_text(added + manifest.read_text("utf-8"), "utf-8")


def _download(wheels: Path, python: str, tags: Sequence[str]) -> None:
    """Download what wheels.txt names, without what it depends on: numpy is Blender's own."""
    fitting = ["--only-binary=:all:", "--implementation=cp", f"--python-version={python}"]
    fitting += [f"--platform={tag}" for tag in tags]
    named = f"--requirement={HERE / 'wheels.txt'}"
    _run([*_pip("download"), "--no-deps", *fitting, f"--dest={wheels}", named])


def _version() -> str:
    manifest = (HERE / "source" / "blender_manifest.toml").read_text("utf-8")
    return str(tomllib.loads(manifest)["version"])


def _pip(verb: str) -> list[str]:
    return [sys.executable, "-m", "pip", verb, "--quiet", "--disable-pip-version-check"]


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, check=False)
    if done.returncode:
        sys.exit(f"error: exit {done.returncode} of: {' '.join(command)}")


if __name__ == "__main__":
    main()
