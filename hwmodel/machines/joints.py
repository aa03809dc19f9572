"""Collectives between the stages of a workload: what they cost, and their parts of an estimate."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from hwmodel.einsum.cascade import Collective, Stage
from hwmodel.einsum.division import Division
from hwmodel.einsum.network import Workload
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.kept import Kept
from hwmodel.machines.run import timed
from hwmodel.network import collectives, least, spans
from hwmodel.network.collectives import Cost
from hwmodel.network.topology import Topology
from hwmodel.quantity.arithmetic import most
from hwmodel.quantity.errors import CoverageError
from hwmodel.quantity.units import Amount
from hwmodel.spine.estimate import Part

HIDDEN_S = 1e-12
"""What is left of a collective that other work hides: no part of an answer takes no time."""


@dataclass(frozen=True, eq=False)
class Joint:
    """A stage's collective: how often, what it costs, and its seconds at the least."""

    times: Amount
    cost: Cost
    alone: Part
    least_s: Amount
    warnings: tuple[str, ...]
    beside: bool = False

    def part(self, hidden_s: Amount, slow_s: Amount, idle_w: Amount) -> Part:
        """Its part of an estimate, less the seconds that it goes on beside the stage."""
        made = replace(self.alone, times=self.times)
        if not self.beside:
            return made
        shown_s = most((made.time_s - hidden_s, HIDDEN_S))
        return replace(
            made,
            time_s=shown_s,
            sustained_s=most((made.sustained_s - slow_s, HIDDEN_S)),
            energy_j=most((made.energy_j - idle_w * (made.time_s - shown_s), 0.0)),
        )


Joints: TypeAlias = Sequence[Joint | None]
"""Of each stage, where it ends in a collective."""


def joints_of(
    workload: Workload,
    machine: Hardware,
    topology: Topology | None,
    library: str | None,
    keeping: Kept,
) -> Joints:
    """What the collectives of all stages cost; equal ones are looked at once."""
    asked = [stage.collective for stage in workload.stages]
    found: list[Joint | None] = []
    for stage, joint in zip(workload.stages, asked, strict=True):
        if joint is None:
            found.append(None)
            continue
        served = workload.served
        ways = served.ways if served is not None and served.devices > 1 else None
        made = _cost(joint, ways, machine, topology, library, keeping)
        found.append(Joint(stage.times, *made, beside=joint.beside))
    return found


def _cost(
    joint: Collective,
    ways: Division | None,
    machine: Hardware,
    topology: Topology | None,
    library: str | None,
    keeping: Kept,
) -> tuple[Cost, Part, Amount, tuple[str, ...]]:
    """A collective's cost among the devices of its axis, a part, least seconds, warnings."""
    if machine.link is None and topology is None:
        raise CoverageError(f"{machine.name}: has no link to others of its kind; use tp 1")
    told: tuple[str, ...] = ()
    groups, network = None, topology
    if ways is not None:
        over = joint.over
        network, groups, told = keeping.once(
            spans.pattern(ways, over), lambda: spans.joined(ways, over, machine, topology)
        )

    def priced() -> tuple[Cost, Part, Amount]:
        sizes = (joint.op, joint.bytes, joint.ranks, machine, network)
        whose: dict[str, Any] = {"fan": joint.fan, "sent": joint.sent}
        whose["algorithm"] = joint.algorithm
        cost = collectives.cost(*sizes, groups=groups, library=library, **whose)
        each = (cost.name, collectives.FAMILY, 1, cost.tree, cost.rates, None)
        part = timed(*each, cost.interval, outside=cost.outside)
        return cost, part, least.least_s(*sizes, joint.fan)

    sizes: Any = (id(n) if np.ndim(n) else n for n in (joint.bytes, joint.ranks))
    key: Hashable = ("collective", joint.op, *sizes, id(network), groups, joint.fan)
    key = (key, joint.sent, joint.algorithm)
    return (*keeping.once(key, priced), told)


def exchange_s(
    stage: Stage,
    ways: Division,
    machine: Hardware,
    topology: Topology | None,
    library: str | None,
    keeping: Kept,
) -> float:
    """Seconds of all runs of a stage's collective among devices that are divided in such ways."""
    assert stage.collective is not None
    _, part, *_ = _cost(stage.collective, ways, machine, topology, library, keeping)
    return float(stage.times * part.time_s)


def held_by(joints: Joints) -> int:
    """Processors that exchanges keep from other work."""
    return max((joint.cost.held for joint in joints if joint is not None), default=0)


def with_links(busy_s: Mapping[str, Amount], joints: Joints) -> Mapping[str, Amount]:
    """The least that units are busy, and links."""
    if not any(joints):
        return busy_s
    links_s = (joint.times * joint.least_s for joint in joints if joint is not None)
    return {**busy_s, "link": sum(links_s, start=0)}


def warned(joints: Joints) -> Iterator[str]:
    """What is told of the collectives and of what joins devices."""
    for joint in joints:
        yield from (*joint.cost.warnings, *joint.warnings) if joint is not None else ()


def assumed(joints: Joints) -> Iterator[str]:
    """What their costs rest on."""
    for joint in joints:
        yield from joint.cost.assumptions if joint is not None else ()


def with_joints(
    parts: Sequence[Sequence[Part]], joints: Joints, idle_w: Amount
) -> list[tuple[Part, ...]]:
    """The parts of each stage, and its collective after them."""
    # A machine may run stages joined, or without a workload's stages: then none has a collective.
    every = joints if any(joints) else (None,) * len(parts)
    found: list[tuple[Part, ...]] = []
    for own, joint in zip(parts, every, strict=True):
        if joint is None:
            found.append(tuple(own))
            continue
        ran_s: Amount = sum((part.time_s for part in own), start=0.0)
        slow_s: Amount = sum((part.sustained_s for part in own), start=0.0)
        found.append((*own, joint.part(ran_s, slow_s, idle_w)))
    return found
