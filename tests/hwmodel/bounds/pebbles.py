"""The least traffic of a small computation, by search: the red-blue pebble game, played perfectly.

A value is a node of a graph; `room` values fit into fast memory, each load and each store costs its
width. To compute a node, all values that it needs lie in fast memory, and the result may take the
place of one of them. Inputs start in slow memory, and outputs must end there. Values may be dropped
and, with `again`, computed anew. A* over (in fast memory, in slow memory, done), told that each
output is still to be stored and each input that an unfinished output rests on to be loaded.
"""

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

Node = str
State = tuple[int, int, int]


@dataclass(frozen=True)
class Graph:
    """For each computed node what it needs; inputs are named by need alone."""

    needs: Mapping[Node, tuple[Node, ...]]
    outputs: tuple[Node, ...]


def least_traffic(graph: Graph, room: int, *, again: bool = True) -> int:
    """Fewest values moved between the memories."""
    names = list(dict.fromkeys(n for node, needs in graph.needs.items() for n in (*needs, node)))
    bit = {name: 1 << at for at, name in enumerate(names)}
    needs = {bit[node]: sum(bit[n] for n in given) for node, given in graph.needs.items()}
    inputs = sum(bit[name] for name in names if name not in graph.needs)
    wanted = sum(bit[name] for name in graph.outputs)

    def missing(node: int, red: int, blue: int) -> int:
        """Inputs that are to be loaded before a node can be had."""
        if node & red or node & blue & ~inputs:
            return 0
        if node & inputs:
            return node
        found = 0
        for given in _bits(needs[node]):
            found |= missing(given, red, blue)
        return found

    def still(red: int, blue: int) -> int:
        """No more than what is yet to be moved."""
        loads = 0
        for node in _bits(wanted & ~blue):
            loads |= missing(node, red, blue)
        return (wanted & ~blue).bit_count() + loads.bit_count()

    start: State = (0, inputs, 0)
    best: dict[State, int] = {start: 0}
    queue: list[tuple[int, int, State]] = [(still(0, inputs), 0, start)]
    while queue:
        _, less, state = heapq.heappop(queue)
        cost = -less
        if cost > best[state]:
            continue
        red, blue, done = state
        if not wanted & ~blue:
            return cost
        for extra, following in _moves(red, blue, done, needs, room, again):
            if cost + extra < best.get(following, 1 << 30):
                best[following] = cost + extra
                guess = cost + extra + still(following[0], following[1])
                heapq.heappush(queue, (guess, -cost - extra, following))
    raise ValueError(f"no way to compute {graph.outputs} with room for {room}")


def _moves(
    red: int, blue: int, done: int, needs: Mapping[int, int], room: int, again: bool
) -> Iterator[tuple[int, State]]:
    full = red.bit_count() >= room
    for node in _bits(red & ~blue):  # inputs lie there already
        yield 1, (red, blue | node, done)
    for node in _bits(blue & ~red):
        if not full:
            yield 1, (red | node, blue, done)
        else:
            for victim in _bits(red):
                yield 1, (red & ~victim | node, blue, done)
    for node, given in needs.items():
        if red & node or given & ~red or (done & node and not again):
            continue
        after = done if again else done | node
        if not full:
            yield 0, (red | node, blue, after)
        else:
            for victim in _bits(red):
                yield 0, (red & ~victim | node, blue, after)


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low
        mask ^= low


def matmul(m: int, n: int, k: int) -> Graph:
    """Every multiply-accumulate is a node: c after a and b of this k, and c of the k before."""
    needs = {
        f"c{i}{j}{h}": (f"a{i}{h}", f"b{h}{j}", *([f"c{i}{j}{h - 1}"] if h else []))
        for i, j, h in product(range(m), range(n), range(k))
    }
    return Graph(needs, tuple(f"c{i}{j}{k - 1}" for i, j in product(range(m), range(n))))


def nearest(points: int, clusters: int) -> Graph:
    """Distances of one coordinate, and the least so far for each point."""
    needs: dict[Node, tuple[Node, ...]] = {}
    for i, j in product(range(points), range(clusters)):
        needs[f"d{i}{j}"] = (f"x{i}", f"c{j}")
        needs[f"a{i}{j}"] = (f"d{i}{j}", *([f"a{i}{j - 1}"] if j else []))
    return Graph(needs, tuple(f"a{i}{clusters - 1}" for i in range(points)))


def attention(queries: int, keys: int) -> Graph:
    """Scores of vectors of one element, and the weighted sum of values so far for each query."""
    needs: dict[Node, tuple[Node, ...]] = {}
    for i, j in product(range(queries), range(keys)):
        needs[f"s{i}{j}"] = (f"q{i}", f"k{j}")
        needs[f"o{i}{j}"] = (f"s{i}{j}", f"v{j}", *([f"o{i}{j - 1}"] if j else []))
    return Graph(needs, tuple(f"o{i}{keys - 1}" for i in range(queries)))


def butterflies(stages: int) -> Graph:
    """A transform on 2**stages values of one word: each stage joins x and x + 2**stage."""
    places = range(2**stages)
    needs = {
        f"v{s + 1}.{x}": (f"v{s}.{x}", f"v{s}.{x ^ (1 << s)}")
        for s, x in product(range(stages), places)
    }
    return Graph(needs, tuple(f"v{stages}.{x}" for x in places))
