"""What the package promises under its own name, and what it does not do when imported."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import backproject as bp

PUBLIC = [
    "BackprojectError", "Camera", "ContradictionWarning", "FileMissingError", "FormatError",
    "InputError", "Mesh", "NormalizedMesh", "OutputError", "PointCloud", "ReconstructionError",
    "Rig", "Scores", "Similarity", "ViewSet", "backproject", "check", "compare", "fuse",
    "normalize", "render", "roundtrip", "simplify", "write_report",
]  # fmt: skip
SOURCE = Path(bp.__file__).parent


def fresh(code):
    """Run code in an interpreter of its own and return what it prints."""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.split()


def test_the_public_names_are_these():
    assert bp.__all__ == PUBLIC
    assert set(PUBLIC) <= set(dir(bp))


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there_and_says_what_it_is(name):
    value = getattr(bp, name)
    assert callable(value)
    assert value.__name__ == name
    # dataclasses without one are given their signature
    assert (value.__doc__ or "").strip() not in ("", f"{name}()")
    assert not value.__doc__.startswith(f"{name}(")


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'fuze'"):
        _ = bp.fuze


def test_importing_costs_no_heavy_library():
    heavy = "numba matplotlib trimesh igl scipy PIL OpenEXR imageio plotly tyro rich"
    loaded = fresh(
        "import sys, backproject\n"
        f"print(*(name for name in {heavy!r}.split() if name in sys.modules))"
    )
    assert loaded == []


def test_importing_the_library_does_not_import_the_command_line():
    loaded = fresh(
        "import sys, backproject as bp\n"
        "for name in bp.__all__: getattr(bp, name)\n"
        "print(*(name for name in ('tyro', 'rich', 'matplotlib') if name in sys.modules))"
    )
    assert loaded == []


def test_no_submodule_takes_the_place_of_a_public_function():
    """Importing a submodule sets its name on the package: `bp.backproject` must stay a function,
    whichever modules were imported before.
    """
    modules = sorted(
        ".".join(("backproject", *path.relative_to(SOURCE).with_suffix("").parts))
        for path in SOURCE.rglob("*.py")
        if path.stem != "__init__"
        and path.parent.name != "blender"  # which needs bpy, and is imported by tests/blender
    )
    assert "backproject.pipeline" in modules
    kinds = fresh(
        "from importlib import import_module\n"
        f"for name in {modules!r}: import_module(name)\n"
        "import types, backproject as bp\n"
        "for name in bp.__all__:\n"
        "    if isinstance(getattr(bp, name), types.ModuleType): print(name)"
    )
    assert kinds == []


def test_errors_are_one_family_and_natural_builtins():
    for name, builtin in {
        "InputError": ValueError,
        "FormatError": ValueError,
        "FileMissingError": FileNotFoundError,
        "OutputError": OSError,
        "ReconstructionError": RuntimeError,
    }.items():
        assert issubclass(getattr(bp, name), (bp.BackprojectError, builtin))
        assert issubclass(getattr(bp, name), builtin)
        assert issubclass(getattr(bp, name), bp.BackprojectError)


def test_only_the_command_line_prints_and_exits():
    speaks = re.compile(r"(?<![\w.])(print|exit|quit)\(|sys\.(exit|stdout|stderr)")
    speakers = {
        path.relative_to(SOURCE).parts[0]
        for path in SOURCE.rglob("*.py")
        if speaks.search(path.read_text("utf-8"))
    }
    assert speakers == {"cli"}
