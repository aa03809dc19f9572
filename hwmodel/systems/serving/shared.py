"""Prompts and tokens side by side on the same devices, each on a share of the processors.

One engine reads prompts on the share r of each device's processors, another makes tokens on the
rest, at the same time and on one cache (Nexus, arXiv 2507.06608; Green Contexts). Steps of each are
those of a device with so many processors: what saturates with fewer is hardly slower. They meet at
the DRAM. A step that uses the share u of its bandwidth beside one that uses v gets, where u + v is
more than all, 1 / (u + v) of what it asks for, as each does, and takes

    t (1 - u^3 + (u max(1, u + v))^3)^(1/3)

by the norm in which time and bytes combine (`machines/gpu/engines/settled.py`). What runs beside is
looked at when a step begins. Not modelled: watts of both beyond the limit of the device.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from hwmodel.machines.gpu.engines.settled import SHARPNESS
from hwmodel.systems.serving.batch import Batch
from hwmodel.systems.serving.cluster import Ran
from hwmodel.systems.serving.pools import handed
from hwmodel.systems.serving.requests import Request, Stay, check
from hwmodel.systems.serving.scheduler import Scheduler
from hwmodel.systems.serving.stepping import Stepping
from hwmodel.systems.serving.together import Together


class Streams(Protocol):
    """Steps that tell what they use of the DRAM's bandwidth: a `StepTimes`."""

    @property
    def kv_tokens(self) -> int:
        """Tokens of cache."""
        ...

    def seconds(self, batch: Batch) -> float:
        """Duration of a step by itself."""
        ...

    def joules(self, batch: Batch) -> float:
        """Energy of it."""
        ...

    def dram_use(self, batch: Batch) -> float:
        """Share of the DRAM's bandwidth that it uses."""
        ...


def beside(used: float, other: float) -> float:
    """How many times as long a step takes that uses so much, beside one that uses so much."""
    short = max(1.0, used + other)
    return (1 - used**SHARPNESS + (used * short) ** SHARPNESS) ** (1 / SHARPNESS)


@dataclass(eq=False)
class Side:
    """One of the two engines of a device, and what its step under way uses."""

    clock: Streams
    kv_tokens: int
    engine: Stepping | None = None
    other: "Side | None" = None
    uses: float = 0.0
    until_s: float = 0.0

    def seconds(self, batch: Batch) -> float:
        """Duration of a step that begins now, beside the other's."""
        assert self.engine is not None
        now_s, other = self.engine.now_s, self.other
        used = self.clock.dram_use(batch)
        there = other.uses if other is not None and other.until_s > now_s else 0.0
        found = self.clock.seconds(batch) * beside(used, there)
        self.uses, self.until_s = used, now_s + found
        return found

    def joules(self, batch: Batch) -> float:
        """Energy of it by itself."""
        return self.clock.joules(batch)


def split(
    requests: Sequence[Request],
    prompts: tuple[Streams, Scheduler],
    tokens: tuple[Streams, Scheduler],
    replicas: int = 1,
) -> Ran:
    """What became of a stream on so many devices that are split; the engines of prompts first.

    A request goes to the device with the fewest. An engine waits for the tokens of its step.
    """
    check(requests, prompts[1].block_tokens)
    together = Together()
    longest = max(each.input for each in requests)
    room = tokens[0].kv_tokens
    reading = min(room // 2, 2 * max(longest, prompts[1].max_batch_tokens))
    pairs: list[tuple[Stepping, Stepping]] = []
    for _ in range(replicas):
        sides = Side(prompts[0], reading), Side(tokens[0], room - reading)
        rules = prompts[1].but(in_flight=1), tokens[1].but(in_flight=1)
        one, two = (
            Stepping(side, rule, done=together.ended)
            for side, rule in zip(sides, rules, strict=True)
        )
        sides[0].engine, sides[0].other = one, sides[1]
        sides[1].engine, sides[1].other = two, sides[0]
        pairs.append((one, two))
    whole = [Stay(number, each) for number, each in enumerate(requests)]
    places = [0] * len(requests)

    def come(number: int, now_s: float) -> None:
        load = [one.outstanding + two.outstanding for one, two in pairs]
        places[number] = place = load.index(min(load))
        request = replace(requests[number], output=1, arrival_s=now_s)
        read = together.send(pairs[place][0], request, lambda end_s: go_on(number, read, end_s))

    def go_on(number: int, read: Stay, now_s: float) -> None:
        stay = whole[number]
        stay.scheduled_s, stay.first_s, stay.hit = read.scheduled_s, now_s, read.hit
        stay.last_s, stay.preempted = now_s, read.preempted
        if stay.request.output > 1:
            later = handed(stay.request, now_s)
            made = together.send(
                pairs[places[number]][1], later, lambda end_s: end(stay, made, end_s)
            )

    def end(stay: Stay, made: Stay, now_s: float) -> None:
        stay.last_s = now_s
        stay.preempted += made.preempted

    for number, each in enumerate(requests):
        together.at(each.arrival_s, lambda now_s, number=number: come(number, now_s))
    together.run([engine for pair in pairs for engine in pair])
    engines = [one for one, _ in pairs] + [two for _, two in pairs]
    return Ran(tuple(whole), tuple(places), tuple(engines))
