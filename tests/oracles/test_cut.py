"""The minimum cut against scipy's maximum flow."""

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse import csgraph

from backproject.kernels import cut


def random_graph(rng):
    """Return pairs of nodes and their capacities, and what joins each node to either end."""
    nodes = int(rng.integers(1, 40))
    pairs = rng.integers(0, nodes, (rng.integers(0, 4 * nodes), 2)).astype(np.int32)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    source, sink = rng.integers(0, 8, (2, nodes)) * (rng.random((2, nodes)) < 0.4)
    return pairs, rng.integers(0, 6, len(pairs)), source, sink


def scipy_cut(pairs, capacities, source, sink):
    """Return the nodes that the residual of scipy's maximum flow leads to from the source."""
    nodes = len(source)
    number, (a, b) = np.arange(nodes), pairs.T
    rows = np.concatenate([a, b, np.full(nodes, nodes), number])
    columns = np.concatenate([b, a, number, np.full(nodes, nodes + 1)])
    values = np.concatenate([capacities, capacities, source, sink]).astype(np.int32)
    graph = sparse.csr_matrix((values, (rows, columns)), (nodes + 2, nodes + 2))
    graph.eliminate_zeros()
    residual = graph - csgraph.maximum_flow(graph, nodes, nodes + 1).flow
    reached = csgraph.breadth_first_order(residual, nodes, return_predecessors=False)
    return np.isin(number, reached)


@pytest.mark.parametrize("seed", range(300))
def test_the_nodes_cut_off_are_those_that_a_maximum_flow_leaves_in_reach(seed):
    graph = random_graph(np.random.default_rng(seed))
    np.testing.assert_array_equal(cut.minimum_cut(*graph), scipy_cut(*graph))


def test_a_tie_leaves_a_node_on_the_sinks_side():
    nothing = np.empty((0, 2), np.int32)
    ends = np.array([3, 4, 0]), np.array([3, 3, 0])
    side = cut.minimum_cut(nothing, np.empty(0, np.int64), *ends)
    assert side.tolist() == [False, True, False]


def test_what_is_given_is_left_as_it_was():
    graph = random_graph(np.random.default_rng(7))
    before = [given.copy() for given in graph]
    cut.minimum_cut(*graph)
    for given, was in zip(graph, before, strict=True):
        np.testing.assert_array_equal(given, was)


def test_plain_python_cuts_alike(monkeypatch):
    graphs = [random_graph(np.random.default_rng(seed)) for seed in range(8)]
    compiled = [cut.minimum_cut(*graph) for graph in graphs]
    for name in ("link_nodes", "push", "measure_heights", "spread"):
        monkeypatch.setattr(cut, name, getattr(cut, name).py_func)
    for graph, side in zip(graphs, compiled, strict=True):
        np.testing.assert_array_equal(cut.minimum_cut.py_func(*graph), side)
