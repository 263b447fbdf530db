"""An OBJ file is read all at once where it can be: with what comes of reading line by line."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backproject.io.obj import _all_at_once, _line_by_line, read_obj


def middle(mantissa, power, off):
    """Return digits of the middle of two float64 numbers, to the 18th, or just beside it."""
    exact = str((2 * mantissa + 1) * 5**power)  # tenths to this power make halves to it
    return f"{int(exact[:18]) + off}e{len(exact) - 18 - power}"


WHOLE = st.one_of(
    st.floats(-1e6, 1e6).map(repr),
    st.floats(allow_nan=False, allow_infinity=False).map("{:.17e}".format),
    st.tuples(st.integers(-(10**20), 10**20), st.integers(-30, 30)).map("{0[0]}E{0[1]}".format),
    st.integers(0, 10**22).map("0.00{}".format),
    st.builds(middle, st.integers(2**52, 2**53 - 1), st.integers(1, 40), st.integers(-1, 1)),
    st.sampled_from(["0", "-1", "1e-7", "+3.", ".5", "-0", "1e999", "9007199254740993"]),
)
NUMBERS = st.one_of(WHOLE, WHOLE, WHOLE, st.sampled_from(["-.", "nan", "inf", "1_0", "x", ""]))
CORNERS = st.sampled_from(
    ["1", "2", "3/1", "4//2", "5/6/7", "+6", "-1", "0", "7/", "8.5", "f", "v"]
)
SPACES = st.sampled_from([" "] * 5 + ["  ", "\t", " \u00a0", "\x0b", "\u2028", "\x85", " \\\n"])


@st.composite
def lines(draw):
    gap = draw(SPACES)
    kind = draw(st.sampled_from(["v", "v", "f", "vn", "# v", "", "o f", "v ", " v", "\tf"]))
    words = draw(
        st.lists(NUMBERS, min_size=2, max_size=6) if "v" in kind else st.lists(CORNERS, max_size=6)
    )
    return gap.join([kind, *words])


@st.composite
def plain_lines(draw):
    gap = draw(st.sampled_from([" ", "  ", "\t"]))
    corners = st.sampled_from(["1", "2", "3/1", "4//2", "5/6/7", "+6", "-1"])
    kind, words = draw(
        st.sampled_from(
            [("v", st.tuples(WHOLE, WHOLE, WHOLE)), ("f", st.lists(corners, min_size=1))]
        )
    )
    return gap.join([kind, *draw(words)])


def outcome(read, content):
    """Return what comes of reading, as plain values that compare, or the error."""
    try:
        found = read(content)
    except (ValueError, OverflowError) as error:
        return str(error)
    polygons = found.polygons
    colors = None if found.colors is None else found.colors.tolist()
    return found.vertices.tobytes(), colors, polygons.corners.tolist(), polygons.sizes.tolist()


@given(st.lists(st.tuples(WHOLE, WHOLE, WHOLE), max_size=20))
def test_numbers_are_those_that_python_reads(rows):
    """Also those near the middle of two float64 numbers, see `kernels.obj_lines.quotient`."""
    found = _all_at_once("".join(f"v {x} {y}\t{z}\n" for x, y, z in rows).encode())
    expected = np.array([[float(number) for number in row] for row in rows]).reshape(-1, 3)
    assert found.vertices.tobytes() == expected.tobytes()


@given(
    st.lists(st.one_of(plain_lines(), plain_lines(), lines()), max_size=6),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_both_ways_give_the_same(given_lines, end):
    content = end.join(given_lines).encode()
    if _all_at_once(content) is not None:
        assert outcome(_all_at_once, content) == outcome(_line_by_line, content)


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
    path = tmp_path / "shape.obj"
    path.write_text("\n".join(text))
    found = _all_at_once(path.read_bytes())
    assert outcome(read_obj, path) == outcome(_all_at_once, path.read_bytes())
    polygons = found.polygons
    assert (found.vertices == vertices).all()
    assert polygons.sizes.tolist() == [len(loop) for loop in loops]
    assert (polygons.corners + 1).tolist() == [corner for loop in loops for corner in loop]
