"""Small shapes for all tests of the batch."""

import pytest
from small import make_shapes


@pytest.fixture(scope="session")
def shapes(tmp_path_factory):
    """A folder of 200 small meshes, never written to."""
    return make_shapes(tmp_path_factory.mktemp("shapes") / "many", 200)


@pytest.fixture(scope="session")
def few(tmp_path_factory):
    """A folder of 8 small meshes, never written to."""
    return make_shapes(tmp_path_factory.mktemp("few") / "few", 8)
