"""An OBJ file is read all at once where it can be: with what comes of reading line by line."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backproject.io.obj import _all_at_once, _line_by_line, read_obj

NUMBERS = st.one_of(
    st.floats(-1e6, 1e6).map(repr),
    st.sampled_from(["0", "-1", "1e-7", "+3.", ".5", "nan", "inf", "1_0", "x", ""]),
)
CORNERS = st.sampled_from(
    ["1", "2", "3/1", "4//2", "5/6/7", "+6", "-1", "0", "7/", "8.5", "f", "v"]
)
SPACES = st.sampled_from([" ", "  ", "\t", " \u00a0", "\x0b", "\u2028"])


@st.composite
def lines(draw):
    gap = draw(SPACES)
    kind = draw(st.sampled_from(["v", "v", "f", "f", "vn", "# v", "", "o f", "v ", " v", "\tf"]))
    words = draw(
        st.lists(NUMBERS, min_size=2, max_size=5) if "v" in kind else st.lists(CORNERS, max_size=6)
    )
    return gap.join([kind, *words])


def outcome(read, text):
    """Return what comes of reading, as plain values that compare, or the error."""
    try:
        found = read(text)
    except (ValueError, OverflowError) as error:
        return str(error)
    assert found.colors is None or len(found.colors) == len(found.vertices)
    polygons = found.polygons
    return found.vertices.tobytes(), polygons.corners.tolist(), polygons.sizes.tolist()


@given(st.lists(lines(), max_size=8))
def test_both_ways_give_the_same(given_lines):
    text = "\n".join(given_lines)
    if _all_at_once(text) is not None:
        assert outcome(_all_at_once, text) == outcome(_line_by_line, text)


@pytest.mark.parametrize("slashes", ["", "/1", "//2", "/3/4"])
def test_what_programs_write_is_read_all_at_once(tmp_path, slashes):
    random = np.random.default_rng(0)
    vertices = random.normal(size=(50, 3))
    loops = [random.integers(1, 51, random.integers(3, 9)).tolist() for _ in range(40)]
    text = [
        "# a comment",
        "mtllib x.mtl",
        "o name",
        *(f"v {x!r} {y!r} {z!r}" for x, y, z in vertices.tolist()),
    ]
    text += [
        "vn 0 0 1",
        "s off",
        *("f " + " ".join(f"{c}{slashes}" for c in loop) for loop in loops),
    ]
    assert _all_at_once("\n".join(text)) is not None
    path = tmp_path / "shape.obj"
    path.write_text("\n".join(text))
    found = read_obj(path)
    polygons = found.polygons
    assert (found.vertices == vertices).all()
    assert polygons.sizes.tolist() == [len(loop) for loop in loops]
    assert (polygons.corners + 1).tolist() == [corner for loop in loops for corner in loop]
