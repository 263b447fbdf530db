"""Similarities form a group that acts on points."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backproject.errors import InputError
from backproject.geometry.transform import Similarity

# Numbers here are at most 1e3 and scales at most 1e2 and no less than 1e-2, so that three maps in
# a row stay below 1e3 * 1e6 + ...: float64 keeps 16 digits of 1e10 at worst, 1e-6 absolute.
TOLERANCE = {"rtol": 1e-9, "atol": 1e-5}

coordinates = st.floats(-1e3, 1e3, allow_subnormal=False)
vectors = st.tuples(coordinates, coordinates, coordinates).map(np.array)


@st.composite
def similarities(draw):
    quaternion = np.array(draw(st.tuples(*[st.floats(-1, 1)] * 4)))
    length = np.linalg.norm(quaternion)
    w, x, y, z = quaternion / length if length > 0.1 else (1, 0, 0, 0)
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    return Similarity(draw(st.floats(1e-2, 1e2)), rotation, draw(vectors))


@given(similarities(), vectors)
def test_inverse_undoes(map_, point):
    np.testing.assert_allclose(map_.inverse().apply(map_.apply(point)), point, **TOLERANCE)
    np.testing.assert_allclose(map_.apply(map_.inverse().apply(point)), point, **TOLERANCE)
    np.testing.assert_allclose((map_ @ map_.inverse()).apply(point), point, **TOLERANCE)


@given(similarities(), vectors)
def test_identity_changes_nothing(map_, point):
    one = Similarity()
    np.testing.assert_array_equal((one @ map_).apply(point), map_.apply(point))
    np.testing.assert_array_equal((map_ @ one).apply(point), map_.apply(point))


@given(similarities(), similarities(), vectors)
def test_composition_is_application_in_turn(a_from_b, b_from_c, point):
    np.testing.assert_allclose(
        (a_from_b @ b_from_c).apply(point), a_from_b.apply(b_from_c.apply(point)), **TOLERANCE
    )


@given(similarities(), similarities(), similarities(), vectors)
def test_composition_is_associative(a, b, c, point):
    # Three scales of 100 on numbers of 1000: results of 1e9, of which 9 digits are asked.
    np.testing.assert_allclose(
        ((a @ b) @ c).apply(point), (a @ (b @ c)).apply(point), rtol=1e-9, atol=1e-3
    )


@given(similarities(), vectors, vectors)
def test_distances_scale_and_directions_only_turn(map_, point, other):
    distance = np.linalg.norm(map_.apply(point) - map_.apply(other))
    expected = map_.scale * np.linalg.norm(point - other)
    # The two images lie up to 1e5 from the origin: cancellation leaves 1e-16 * 1e5, with room.
    np.testing.assert_allclose(distance, expected, rtol=1e-9, atol=1e-9)
    turned = map_.apply_to_directions(point)
    np.testing.assert_allclose(np.linalg.norm(turned), np.linalg.norm(point), rtol=1e-12)


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        ({"scale": 0}, "scale"),
        ({"scale": np.nan}, "scale"),
        ({"rotation": np.diag([1, 1, -1])}, "reflection"),
        ({"rotation": np.eye(3) * 2}, "not a rotation"),
        ({"rotation": np.full((3, 3), np.nan)}, "nan"),
        ({"translation": [0, np.inf, 0]}, "translation"),
        ({"translation": [0, 0]}, "translation"),
    ],
)
def test_what_is_no_similarity_is_refused(bad, word):
    with pytest.raises(InputError, match=word):
        Similarity(**bad)
