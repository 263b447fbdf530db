# SPDX-License-Identifier: GPL-3.0-or-later
"""Drive a real Blender window through the extension, and leave pictures of it.

Not part of the normal run: it needs a Blender with a window, and a zip for its Python.
ImageMagick takes the pictures. Without a screen, Xvfb and Mesa's software renderer will do:

    BLENDER_USER_RESOURCES=$(mktemp -d) xvfb-run -a -s "-screen 0 1600x1000x24" \
        blender --factory-startup --enable-event-simulate --window-geometry 0 0 1600 1000 \
        --python tests/blender_window/drive.py -- ZIP OUT

It ends with 0 if all went as told below: operators work in steps beside the window, Esc stops them
and leaves nothing, and what they add can be undone.
"""

import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import bpy

TICK = 0.2
"""Seconds between two looks at the window."""
LONGEST = 900
"""Seconds after which something hangs; the first run compiles the loops."""
TAB = 20
"""The width of the sidebar's tabs, in pixels; they are longer."""
DRAWS = 3
"""Ticks until the window shows what was done."""


def story(built: Path, out: Path) -> Iterator[None]:
    """Do what a user does, yielding where Blender is to go on by itself."""
    bpy.ops.extensions.package_install_files(
        filepath=str(built), repo="user_default", enable_on_install=True
    )
    bpy.ops.object.select_all(action="SELECT")
    bpy.ops.object.delete()
    bpy.ops.mesh.primitive_monkey_add()
    monkey = bpy.context.active_object
    bpy.ops.object.shade_smooth()
    bpy.ops.ed.undo_push(message="Monkey")
    yield from _opened_sidebar()
    yield from _drawn(out / "1_monkey.png")
    press("add_rig")
    yield
    assert len(bpy.context.scene.backproject.cameras.objects) == 20
    _show_all()
    yield from _drawn(out / "2_rig.png")
    press("render_depth")
    yield
    assert at_work(), "rendering takes no steps"
    yield from _finished()
    assert bpy.context.scene.backproject.directory
    yield from _drawn(out / "3_depth.png")
    yield from _stopped_at_escape("fuse", resolution=400)
    press("fuse")
    yield from _ticks(10 * DRAWS)
    yield from _drawn(out / "4_at_work.png")
    yield from _finished()
    fused = bpy.context.active_object
    assert fused.name == f"{monkey.name} fused", fused.name
    monkey.hide_set(True)
    with _at_view():
        bpy.ops.view3d.view_selected()
    yield from _drawn(out / "5_fused.png")
    press("compare", truth=monkey.name)
    yield from _finished()
    assert "backproject_scores" in fused, "no scores"
    _space().shading.color_type = "VERTEX"
    yield from _drawn(out / "6_compared.png")
    yield from _undone()
    press("displaced_planes", strength=0.6)
    yield from _finished()
    yield from _drawn(out / "7_planes.png")


def _stopped_at_escape(name: str, **options: object) -> Iterator[None]:
    """Start an operator, press Esc, and expect the file to be as it was."""
    before = _everything()
    press(name, **options)
    yield from _ticks(DRAWS)
    assert at_work(), f"{name} takes no steps"
    simulate("ESC", x=800, y=500)
    yield from _ticks(DRAWS)
    assert not at_work(), "Esc does not stop it"
    assert _everything() == before, "Esc leaves something behind"


def _undone() -> Iterator[None]:
    """Undo twice, to before the fusion, and redo."""
    names = {each.name for each in bpy.data.objects}
    for _ in range(2):
        with _at_view():
            bpy.ops.ed.undo()
        yield from _ticks(DRAWS)
    gone = names - {each.name for each in bpy.data.objects}
    assert gone == {"Suzanne fused"}, gone
    for _ in range(2):
        with _at_view():
            bpy.ops.ed.redo()
        yield from _ticks(DRAWS)
    assert {each.name for each in bpy.data.objects} == names


def press(name: str, **options: object) -> None:
    """Do as the panel's button does."""
    with _at_view():
        getattr(bpy.ops.backproject, name)("INVOKE_DEFAULT", **options)


def simulate(kind: str, value: str = "PRESS", **where: object) -> None:
    """Let the window believe that something was pressed."""
    bpy.context.window_manager.windows[0].event_simulate(type=kind, value=value, **where)


def at_work() -> bool:
    """Return whether an operator of the extension is at work."""
    window = bpy.context.window_manager.windows[0]
    return any(each.bl_idname.startswith("BACKPROJECT_OT_") for each in window.modal_operators)


def _everything() -> dict[str, list[str]]:
    kinds = ("objects", "meshes", "materials", "scenes", "collections", "images")
    return {kind: sorted(each.name for each in getattr(bpy.data, kind)) for kind in kinds}


def _finished() -> Iterator[None]:
    yield
    while at_work():
        yield
    yield


def _ticks(count: int) -> Iterator[None]:
    for _ in range(count):
        yield


def _drawn(picture: Path) -> Iterator[None]:
    """Wait until all is drawn, and keep a picture of the window."""
    yield from _ticks(DRAWS)
    _keep_picture(picture)
    yield


def _keep_picture(picture: Path) -> None:
    """Keep what the screen shows; Blender's own screenshots are black under Mesa."""
    subprocess.run(["import", "-window", "root", str(picture)], check=True)


def _opened_sidebar() -> Iterator[None]:
    """Open the sidebar, and click down its tabs until ours is there."""
    simulate("ESC", x=800, y=500)  # the splash screen
    _space().show_region_ui = True
    _show_all()
    yield from _ticks(DRAWS)
    side = _region("UI")
    x = side.x + side.width - TAB // 2
    for y in range(side.y + side.height - TAB, side.y, -TAB):
        simulate("MOUSEMOVE", "NOTHING", x=x, y=y)
        yield
        for value in ("PRESS", "RELEASE"):
            simulate("LEFTMOUSE", value, x=x, y=y)
            yield
        yield from _ticks(DRAWS)
        if side.active_panel_category == "Backproject":
            return
    raise AssertionError(f"the sidebar shows {side.active_panel_category}")


def _show_all() -> None:
    with _at_view():
        bpy.ops.view3d.view_all(center=False)


def _at_view() -> object:
    window = bpy.context.window_manager.windows[0]
    return bpy.context.temp_override(window=window, area=_area(), region=_region("WINDOW"))


def _area() -> bpy.types.Area:
    window = bpy.context.window_manager.windows[0]
    return next(each for each in window.screen.areas if each.type == "VIEW_3D")


def _space() -> bpy.types.Space:
    return _area().spaces.active


def _region(kind: str) -> bpy.types.Region:
    return next(each for each in _area().regions if each.type == kind)


def _ticking(told: Iterator[None], failed: Path) -> Callable[[], float]:
    """Return a timer that tells the story, and ends Blender at its end."""
    ticks = iter(range(int(LONGEST / TICK)))

    def tick() -> float:
        try:
            next(ticks)
            next(told)
        except StopIteration:
            finished = told.gi_frame is None
            print("drive: all went well" if finished else f"drive: not done in {LONGEST} s")
            _end(0 if finished else 1)
        except Exception:
            traceback.print_exc()
            _keep_picture(failed)
            _end(1)
        return TICK

    return tick


def _end(status: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    built, out = (Path(each).resolve() for each in sys.argv[sys.argv.index("--") + 1 :])
    out.mkdir(parents=True, exist_ok=True)
    bpy.app.timers.register(_ticking(story(built, out), out / "failed.png"), first_interval=1.0)
