"""The script of docs/blender.md, as people paste it into the text editor."""

import json
import re
from pathlib import Path

import bpy

PAGE = Path(__file__).parents[2] / "docs" / "blender.md"
ONE_PIXEL = 0.0026
"""The mean error that half a pixel of the paper's cameras makes, in diameters."""


def test_the_script_takes_the_monkey_there_and_back(capfd):
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (script,) = (block for block in blocks if "primitive_monkey_add" in block)
    exec(compile(script, str(PAGE), "exec"), {"__name__": "__main__"})
    fused = bpy.context.active_object
    assert fused.name == "Suzanne fused"
    assert json.loads(fused["backproject_scores"])["scores"]["accuracy"] < ONE_PIXEL
    assert bpy.data.objects["Suzanne"].hide_get()
    assert "mean error" in capfd.readouterr().out
