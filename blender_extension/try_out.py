# SPDX-License-Identifier: GPL-3.0-or-later
"""Run inside Blender by install.py: install the zip, and take a monkey there and back."""

import os
import sys
import tempfile
import time
import traceback

import bpy

ONE_PIXEL = 0.0026
"""The mean error that half a pixel of the rig makes, in diameters."""


def main() -> None:
    """Install, and call every operator; fail if the fused monkey is not where the monkey is."""
    bpy.ops.extensions.package_install_files(
        filepath=sys.argv[-1], repo="user_default", enable_on_install=True
    )
    bpy.ops.wm.read_homefile(app_template="", use_empty=True)
    bpy.ops.mesh.primitive_monkey_add(size=3, location=(4, -2, 1), rotation=(0.3, 0.2, 1.1))
    monkey = bpy.context.active_object
    with tempfile.TemporaryDirectory() as folder:
        _timed("add_rig", size=128)
        _timed("render_depth", directory=os.path.join(folder, "depth"))  # noqa: PTH118
        _timed("point_cloud")
        _timed("displaced_planes")
        _timed("check_cameras")
        _timed("fuse", resolution=128)
        _timed("compare", truth=monkey.name)
        _timed("import_depth", filepath=bpy.context.scene.backproject.directory)
    _check(bpy.context.active_object, monkey)
    print(f"Blender {bpy.app.version_string}, Python {sys.version.split()[0]}: all operators run")


def _timed(name: str, **options: object) -> None:
    begin = time.perf_counter()
    getattr(bpy.ops.backproject, name)(**options)
    print(f"{name}: {time.perf_counter() - begin:.1f} s", flush=True)


def _check(fused: bpy.types.Object, monkey: bpy.types.Object) -> None:
    """Fail unless the library is the zip's, and the error is less than half a pixel."""
    import backproject
    from backproject.blender.meshes import mesh_of

    library = os.path.realpath(backproject.__file__)
    if not library.startswith(os.path.realpath(bpy.utils.resource_path("USER"))):
        raise RuntimeError(f"{library}: not the library from the zip")
    depsgraph = bpy.context.evaluated_depsgraph_get()
    scores = backproject.compare(mesh_of([fused], depsgraph), mesh_of([monkey], depsgraph))
    if not scores.accuracy < ONE_PIXEL:
        raise RuntimeError(f"mean error {scores.accuracy}, expected less than {ONE_PIXEL}")


try:
    main()
    status = 0
except Exception:
    traceback.print_exc()
    status = 1
sys.stdout.flush()
sys.stderr.flush()
os._exit(status)  # bpy 4.2 crashes in Python's own farewell once an operator was registered
