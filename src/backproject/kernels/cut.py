"""The minimum cut of a graph, by pushing flow from node to node until what is left cannot go on."""

import numpy as np
from numba import njit

OFTEN = 4
"""Heights are measured anew after as many relabels as one in so many nodes."""


@njit(cache=True, nogil=True)
def gather_pairs(edges, used, pairs):
    """Move the pairs that blocks found, `used` (B,) of `edges` (B, E, 3) each, into `pairs`."""
    count = 0
    for block in range(used.shape[0]):
        for e in range(used[block]):
            for k in range(3):
                pairs[count, k] = edges[block, e, k]
            count += 1


@njit(cache=True, nogil=True)
def link_nodes(pairs, capacities, first, ends, back, room):
    """Fill the arcs of every node: those of node v are from first[v] to first[v + 1], to node
    `ends`, with `room` left for flow and the arc `back` that leads the other way.

    Both arcs of one of the `pairs` (E, 2 or more) have its capacity.
    """
    first[:] = 0
    for e in range(pairs.shape[0]):
        first[pairs[e, 0] + 1] += 1
        first[pairs[e, 1] + 1] += 1
    for v in range(1, first.shape[0]):
        first[v] += first[v - 1]
    cursor = first[:-1].copy()
    for e in range(pairs.shape[0]):
        a, b = pairs[e, 0], pairs[e, 1]
        there, here = cursor[a], cursor[b]
        cursor[a] += 1
        cursor[b] += 1
        ends[there], ends[here] = b, a
        back[there], back[here] = here, there
        room[there] = room[here] = capacities[e]


@njit(cache=True, nogil=True)
def measure_heights(first, ends, back, room, sink, height, queue):
    """Fill `height` with the least number of arcs with room that lead from each node out at the
    sink; more than the number of nodes where none do.
    """
    nodes, count = sink.shape[0], 0
    for v in range(nodes):
        height[v] = nodes + 1
        if sink[v] > 0:
            height[v] = 1
            queue[count] = v
            count += 1
    done = 0
    while done < count:
        v = queue[done]
        done += 1
        for arc in range(first[v], first[v + 1]):
            u = ends[arc]
            if room[back[arc]] > 0 and height[u] > nodes:
                height[u] = height[v] + 1
                queue[count] = u
                count += 1


@njit(cache=True, nogil=True)
def minimum_cut(pairs, capacities, source, sink):
    """Return which nodes (N,) are on the source's side of the minimum cut: the fewest there can be,
    those that more flow from the source could still reach.

    Flow is pushed from the end that sends less. From the sink, against its way, what is left of the
    source shows which nodes more of it could reach.

    Each node is joined to the source and to the sink by as much as the whole numbers `source` and
    `sink` (N,) say, and the two nodes that one of the `pairs` (E, 2 or more) begins with by its
    `capacities` (E,), both ways.
    """
    nodes, arcs = source.shape[0], 2 * pairs.shape[0]
    first, room = np.empty(nodes + 1, np.int64), np.empty(arcs, np.int64)
    ends, back = np.empty(arcs, np.int32), np.empty(arcs, np.int32)
    link_nodes(pairs, capacities, first, ends, back, room)
    through = np.minimum(source, sink)
    source, sink = source - through, sink - through
    height, queue = np.empty(nodes, np.int32), np.empty(nodes, np.int32)
    reached = np.empty(nodes, np.bool_)
    if source.sum() <= sink.sum():
        push(first, ends, back, room, source, sink, height, queue)
        spread(first, ends, room, source, queue, reached)
    else:
        push(first, ends, back, room, sink, source, height, queue)
        measure_heights(first, ends, back, room, source, height, queue)
        reached[:] = height <= nodes
    return reached


@njit(cache=True, nogil=True)
def push(first, ends, back, room, source, sink, height, queue):
    """Push as much of `source` (nodes,) as can be through the arcs into the `sink` (nodes,), from
    both of which it is taken, as it is from their `room`; `source` is left with what each node
    holds that cannot go on. No node has both; `height` and `queue` (nodes,) are room for work.

    Arcs are as `link_nodes` leaves them. A preflow (Goldberg & Tarjan 1988), first in first out,
    heights measured anew now and then. What cannot go on could go back to the source the way it
    came: so whatever it can reach, the source can, and the flow need not be mended for the cut.
    """
    nodes = source.shape[0]
    current = first[:-1].copy()
    begin = count = 0
    waits = np.zeros(nodes, np.bool_)
    relabelled = nodes  # none are measured yet
    while True:
        if relabelled * OFTEN >= nodes:
            measure_heights(first, ends, back, room, sink, height, queue)
            relabelled = begin = count = 0
            for v in range(nodes):
                current[v] = first[v]
                waits[v] = source[v] > 0 and height[v] <= nodes
                if waits[v]:
                    queue[count] = v
                    count += 1
        if count == 0:
            break
        v = queue[begin]
        begin, count = (begin + 1) % nodes, count - 1
        waits[v] = False
        while source[v] > 0 and height[v] <= nodes:
            if sink[v] > 0:
                through = min(source[v], sink[v])
                source[v] -= through
                sink[v] -= through
                continue
            arc = current[v]
            if arc < first[v + 1]:
                u = ends[arc]
                if room[arc] > 0 and height[v] == height[u] + 1:
                    through = min(source[v], room[arc])
                    source[v] -= through
                    source[u] += through
                    room[arc] -= through
                    room[back[arc]] += through
                    if not waits[u]:
                        waits[u] = True
                        queue[(begin + count) % nodes] = u
                        count += 1
                if source[v] > 0:
                    current[v] += 1
                continue
            height[v] = nodes + 1
            for arc in range(first[v], first[v + 1]):
                if room[arc] > 0:
                    height[v] = min(height[v], height[ends[arc]] + 1)
            current[v] = first[v]
            relabelled += 1


@njit(cache=True, nogil=True)
def spread(first, ends, room, source, queue, reached):
    """Fill `reached` (nodes,) with the nodes that hold flow, and those that arcs with room lead to
    from there.
    """
    count = done = 0
    for v in range(source.shape[0]):
        reached[v] = source[v] > 0
        if reached[v]:
            queue[count] = v
            count += 1
    while done < count:
        v = queue[done]
        done += 1
        for arc in range(first[v], first[v + 1]):
            if room[arc] > 0 and not reached[ends[arc]]:
                reached[ends[arc]] = True
                queue[count] = ends[arc]
                count += 1
