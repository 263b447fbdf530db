"""The reference: every public name has its place on the site and says what an array's shape is, and
what each number means.
"""

import inspect
import re
from functools import cached_property
from pathlib import Path

import pytest

import backproject as bp
from backproject.checking.diagnosis import Diagnosis
from backproject.checking.hypotheses import Finding
from backproject.geometry.views import Assumption
from backproject.metrics.scores import FScore
from backproject.pipeline import RoundTrip

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "api").glob("*.md"))
RETURNED = [Assumption, Diagnosis, FScore, Finding, RoundTrip]
"""Types that public functions return, without a public name."""
SIZE = r"(?:[A-Z]\w*|\d+|\.\.\.)"
SHAPE = re.compile(rf"\({SIZE}(?:, ?{SIZE})*,?\)")
COMMON = {"threads"}
"""Numbers that mean the same everywhere: docs/api/index.md tells what."""


def public():
    """Return the public names' values and the types that they return."""
    return [*(getattr(bp, name) for name in bp.__all__), *RETURNED]


def members(kind):
    """Return a class's own public functions, methods and properties by their names."""
    for name, value in vars(kind).items():
        if name.startswith("_"):
            continue
        if isinstance(value, property):
            yield name, value.fget
        elif isinstance(value, cached_property):
            yield name, value.func
        elif isinstance(value, classmethod | staticmethod):
            yield name, value.__func__
        elif inspect.isfunction(value):
            yield name, value


def documented():
    """Return every public function by its full name."""
    for value in public():
        if inspect.isclass(value):
            yield from ((f"{value.__name__}.{name}", each) for name, each in members(value))
        else:
            yield value.__name__, value


FUNCTIONS = dict(documented())
CLASSES = {value.__name__: value for value in public() if inspect.isclass(value)}


def words(value):
    """Return a docstring on one line."""
    return " ".join((value.__doc__ or "").split())


def test_the_pages_hold_the_public_names_once_each():
    shown = re.findall(
        r"^::: (\S+)$", "\n".join(page.read_text("utf-8") for page in PAGES), re.MULTILINE
    )
    returned = [f"{value.__module__}.{value.__name__}" for value in RETURNED]
    assert sorted(shown) == sorted([*(f"backproject.{name}" for name in bp.__all__), *returned])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_says_what_it_does(name):
    assert len(words(FUNCTIONS[name])) > 15


@pytest.mark.parametrize("name", FUNCTIONS)
def test_arrays_have_their_shapes_told(name):
    function = FUNCTIONS[name]
    kinds = map(str, inspect.signature(function).parameters.values())
    kinds = [*kinds, str(inspect.signature(function).return_annotation)]
    if any("NDArray" in each or "ArrayLike" in each for each in kinds):
        assert SHAPE.search(words(function)), words(function)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_numbers_are_told(name):
    function = FUNCTIONS[name]
    text = words(function)
    for each in inspect.signature(function).parameters.values():
        number = re.search(r"\b(int|float)\b", str(each.annotation))
        if number and each.name not in COMMON:
            assert f"`{each.name}`" in text, each.name


@pytest.mark.parametrize("name", CLASSES)
def test_fields_are_told_and_arrays_have_their_shapes(name):
    text = words(CLASSES[name])
    assert len(text) > 15
    for field, kind in getattr(CLASSES[name], "__annotations__", {}).items():
        assert re.search(rf"\b{field}\b", text), field
        if "NDArray" in str(kind):
            assert re.search(rf"`{field}`[^;`]*{SHAPE.pattern}", text), field
