# SPDX-License-Identifier: GPL-3.0-or-later
"""Install a zip of the extension into a clean Blender user folder and run every operator, headless.

    python blender_extension/install.py dist/backproject-0.1.0-linux_x64.zip
    python blender_extension/install.py ZIP --blender EXE --user FOLDER   # and keep the folder

Needs Blender: bpy in this Python, or --blender EXE. Nothing else comes from outside the zip.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

INSIDE = Path(__file__).resolve().with_name("try_out.py")


def main() -> None:
    """Install and try out, and exit as that did."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("zip", type=Path)
    parser.add_argument("--blender", metavar="EXE", help="default: bpy in this Python")
    parser.add_argument("--user", type=Path, help="an empty folder; default: one for a while")
    asked = parser.parse_args()
    if not asked.zip.is_file():
        sys.exit(f"error: {asked.zip}: no such file; build it: python blender_extension/build.py")
    with tempfile.TemporaryDirectory(prefix="backproject-") as for_a_while:
        user = (asked.user or Path(for_a_while)).resolve()
        user.mkdir(parents=True, exist_ok=True)
        if any(user.iterdir()):
            sys.exit(f"error: {user}: holds files, expected an empty folder")
        sys.exit(_try_out(asked.zip.resolve(), asked.blender, user))


def _try_out(built: Path, blender: str | None, user: Path) -> int:
    """Return the exit status of Blender trying out the zip, with nobody else's modules in reach."""
    command = [sys.executable, str(INSIDE), str(built)]
    if blender:
        options = ["--background", "--factory-startup", "--python-exit-code", "1"]
        command = [blender, *options, "--python", str(INSIDE), "--", str(built)]
    environment = {key: each for key, each in os.environ.items() if key != "PYTHONPATH"}
    environment["BLENDER_USER_RESOURCES"] = str(user)
    return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    main()
