"""An event simulation of messages over links, one by one: what costs of rounds must say.

Nothing here is shared with the package's own fold. Sizes are bytes, times seconds.
"""

import heapq
import itertools
from collections import defaultdict
from dataclasses import dataclass, field

import networkx

from hwmodel.network.rounds import Round
from hwmodel.network.topology import Topology


@dataclass
class Message:
    """From device, to device, bytes; it starts when the messages `after` have arrived."""

    source: int
    destination: int
    size: float
    after: list[int] = field(default_factory=list[int])


def simulate(messages: list[Message], topology: Topology) -> float:
    """Arrival of the last message: links serve in order of arrival and cut through.

    A link is held for `message_s` and the bytes; the head of a message goes on after `latency_s`,
    its tail leaves no link before it has left the one before.
    """
    graph = topology.graph()
    names = topology.devices
    waiting = [len(message.after) for message in messages]
    followers: dict[int, list[int]] = defaultdict(list)
    for index, message in enumerate(messages):
        for other in message.after:
            followers[other].append(index)
    free: dict[tuple[str, str], float] = defaultdict(float)
    order = itertools.count()
    events: list[tuple[float, int, int, list[str], float]] = []

    def start(index: int, now: float) -> None:
        message = messages[index]
        ends = names[message.source], names[message.destination]
        paths = list(networkx.all_shortest_paths(graph, *ends))
        assert len(paths) == 1, "the simulation wants one path"
        heapq.heappush(events, (now, next(order), index, paths[0], now))

    for index, count in enumerate(waiting):
        if not count:
            start(index, 0.0)
    last = 0.0
    while events:
        head, _, index, path, tail = heapq.heappop(events)
        if len(path) == 1:
            last = max(last, tail)
            for follower in followers[index]:
                waiting[follower] -= 1
                if not waiting[follower]:
                    start(follower, tail)
            continue
        link = next(iter(graph[path[0]][path[1]].values()))
        begun = max(head, free[path[0], path[1]])
        held = link["message_s"] + messages[index].size / link["bandwidth_bytes_per_s"]
        free[path[0], path[1]] = done = max(begun + held, tail)
        head, tail = begun + link["latency_s"], done + link["latency_s"]
        arrival = tail if len(path) == 2 else head
        heapq.heappush(events, (arrival, next(order), index, path[1:], tail))
    assert not any(waiting)
    return last


def messages_of(rounds: tuple[Round, ...], size: float) -> list[Message]:
    """A rank starts its next round when all that it sent and was sent in the last has arrived.

    On a ring, whose round is run again, it waits for what it was sent alone: links keep the order.
    """
    found: list[Message] = []
    before: dict[int, list[int]] = defaultdict(list)
    for each in rounds:
        for turn in range(each.times):
            now: dict[int, list[int]] = defaultdict(list)
            for a, b, share in zip(each.source, each.destination, each.share, strict=True):
                if turn == each.times - 1:
                    now[int(a)].append(len(found))
                now[int(b)].append(len(found))
                found.append(Message(int(a), int(b), share * size, before[int(a)]))
            before |= now
    return found


def heard(rounds: tuple[Round, ...], ranks: int) -> list[set[int]]:
    """Whom each rank can know of after the rounds."""
    known = [{rank} for rank in range(ranks)]
    for each in rounds:
        for _ in range(each.times * each.depth):
            news = [set(one) for one in known]
            for a, b in zip(each.source, each.destination, strict=True):
                news[b] |= known[a]
            known = news
    return known
