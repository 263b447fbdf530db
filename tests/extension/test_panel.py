"""The panel, drawn with a layout that records what it is given."""

import bpy
import pytest
from scenes import add_monkey, render, select, settings

PANELS = [
    each
    for each in bpy.types.Panel.__subclasses__()
    if getattr(each, "bl_idname", "").startswith("VIEW3D_PT_backproject")
]


class Layout:
    """Records what is drawn; every part of it records in the same list."""

    def __init__(self, drawn=None):
        self.drawn = [] if drawn is None else drawn

    def __getattr__(self, name):
        if name not in ("column", "row", "box", "split"):
            raise AttributeError(name)
        return lambda **_: Layout(self.drawn)

    def prop(self, owner, name, **options):
        if name.startswith("["):
            assert name[2:-2] in owner
        else:
            assert name in owner.bl_rna.properties
        self.drawn.append(("prop", name, options))

    def operator(self, name, **options):
        group, operator = name.split(".")
        rna = getattr(getattr(bpy.ops, group), operator).get_rna_type()
        button = Button(rna.properties)
        self.drawn.append((name, button, options))
        return button

    def label(self, **options):
        self.drawn.append(("label", options["text"], options))

    def separator(self, **_):
        pass


class Button:
    """Takes what the operator has, and nothing else."""

    def __init__(self, known):
        object.__setattr__(self, "_known", known)

    def __setattr__(self, name, value):
        assert self._known.get(name) is not None
        object.__setattr__(self, name, value)


def draw():
    """Return what all panels draw."""
    layout = Layout()
    for panel in PANELS:
        drawing = type("Drawing", (), {"layout": layout, "bl_label": panel.bl_label})()
        panel.draw(drawing, bpy.context)
    return layout.drawn


def test_there_is_a_button_for_every_operator():
    buttons = {name for name, _, _ in draw() if name.startswith("backproject.")}
    assert buttons == {f"backproject.{name}" for name in dir(bpy.ops.backproject)}


def test_buttons_take_what_the_panel_shows():
    settings().rig = "turntable:7"
    settings().resolution = 99
    buttons = {name: button for name, button, _ in draw() if name.startswith("backproject.")}
    assert buttons["backproject.add_rig"].rig == "turntable:7"
    assert buttons["backproject.fuse"].resolution == 99


def test_every_option_says_what_it_is():
    for name in dir(bpy.ops.backproject):
        rna = getattr(bpy.ops.backproject, name).get_rna_type()
        assert rna.description
        for key, each in rna.properties.items():
            assert key == "rna_type" or each.name, (name, key)


def test_it_shows_scores_findings_and_the_planes_slider(tmp_path):
    monkey = add_monkey()
    render(monkey, tmp_path / "c", rig="fibonacci:6", size=64)
    bpy.ops.backproject.displaced_planes()
    bpy.ops.backproject.check_cameras()
    bpy.ops.backproject.fuse(resolution=48)
    bpy.ops.backproject.compare(truth=monkey.name, samples=1000)
    drawn = draw()
    labels = [text for kind, text, _ in drawn if kind == "label"]
    assert "Against Suzanne" in labels
    assert "Chamfer" in labels
    assert any("contradiction" in text for text in labels)
    assert ("prop", '["strength"]') in [(kind, name) for kind, name, _ in drawn]


@pytest.mark.parametrize("what", ["nothing", "empty"])
def test_it_draws_whatever_is_selected(what):
    if what == "empty":
        bpy.ops.object.empty_add()
        select(bpy.context.active_object)
    assert draw()
