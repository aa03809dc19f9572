"""What `place` is asked, read: objectives, devices and nodes, bytes, pins, times of a step.

Objectives: `crossings` counts transitions that change device, `hops` counts 1 within a node and 2
between nodes (as ExFlow scores), `seconds` adds up what each transition's `token_bytes` take alone
on its path through the topology, and `token_s` for each choice on the busiest device of each layer;
`load` counts these choices alone. Where nodes are given and crossings are minimised, devices are
dealt to nodes afterwards so that few crossings leave a node; the number of crossings stays.
"""

import re
from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from hwmodel.experts.placement import Placement, hop_cost
from hwmodel.experts.statistics import Counts, Routing
from hwmodel.experts.step import Exchange, StepTimes, step_times
from hwmodel.network.topology import Topology
from hwmodel.quantity.errors import CapacityError, InputError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.units import amount, show

OBJECTIVES = {"crossings": "", "hops": "", "load": "", "seconds": "s"}
"""What can be minimised, and its unit."""

_PLAIN = re.compile(r"[0-9]{1,300}(\.[0-9]*)?")
"""Bytes without a unit, as the command line gives them."""


def objective_of(routing: Routing, asked: str | None) -> str:
    """What is minimised; without transitions that is the load alone."""
    if routing.transitions:
        return asked or "crossings"
    if asked not in (None, "load"):
        raise InputError(
            f"place: objective {asked!r}: expected transitions between layers, found loads alone,"
            " which say nothing of what crosses; minimise 'load', or give traces or counts"
        )
    return "load"


def machines_of(
    devices: int | None, nodes: int | None, network: Topology | None
) -> tuple[int, int]:
    """How many devices on how many nodes; a topology says both."""
    if network is None:
        if devices is None:
            raise InputError("place: expected --devices or a topology, found neither")
        nodes = 1 if nodes is None else nodes
    else:
        count = len(network.devices)
        if devices is not None and devices > count:
            raise InputError(
                f"place: {network.name} has {count} devices, found devices={devices}; use fewer, or"
                " a larger topology"
            )
        devices = count if devices is None else devices
        nodes = _boxes(network, devices) if nodes is None else nodes
    if devices < 1:
        raise InputError(f"place: expected one device or more, found {devices}")
    if nodes < 1 or devices % nodes:
        raise InputError(
            f"place: expected nodes that divide the devices, found {devices} devices on {nodes}"
            " nodes"
        )
    return devices, nodes


def _boxes(network: Topology, devices: int) -> int:
    """Nodes on which the first devices stand in equal runs; 1 where they do not."""
    runs = [[device for device in run if device < devices] for run in network.groups]
    runs = [run for run in runs if run]
    even = {len(run) for run in runs} == {devices // max(1, len(runs))}
    in_order = [device for run in runs for device in run] == list(range(devices))
    return len(runs) if even and in_order and len(runs[0]) > 1 else 1


def cost_of(
    objective: str, devices: int, nodes: int, network: Topology | None, size_bytes: float | None
) -> Counts | None:
    """What a transition between two devices costs; None: 1 for each that changes device."""
    if objective == "crossings":
        return None
    if objective == "hops":
        return hop_cost(devices, nodes)
    if objective == "load":
        return np.zeros((devices, devices))
    if network is None or size_bytes is None:
        raise InputError("place: seconds need a topology and token_bytes (--token-bytes)")
    from hwmodel.network.routes import routes

    return np.asarray(routes(network).byte_s)[:devices, :devices] * size_bytes


def exchange_of(network: Topology, devices: int) -> Exchange:
    """Seconds of an all-to-all between the first devices of a topology."""
    from hwmodel.network.routes import all_to_all_s, routes

    known = routes(network)
    others = len(known.devices) - devices

    def exchange_s(matrix: Counts) -> float:
        return float(all_to_all_s(np.pad(matrix, (0, others)), known))

    return exchange_s


def steps_of(
    routing: Routing,
    plain: Placement,
    placed: Placement,
    exchange_s: Exchange,
    work: Mapping[str, Any],
) -> tuple[StepTimes, StepTimes]:
    """Times of a step before and after; the all-gather sends each device's tokens to all others."""
    part = work["tokens"] * work["token_bytes"] / placed.devices
    gathered = part * (1.0 - np.eye(placed.devices))
    first, second = (
        step_times(routing, each, exchange_s, gather_s=exchange_s(gathered), **work)
        for each in (plain, placed)
    )
    return first, second


def room_of(
    routing: Routing,
    memory: float | str | None,
    expert_bytes: float | str | None,
    shared_experts: int,
) -> int | None:
    """Experts of each layer that a device's memory holds beside the shared ones."""
    have, each = bytes_of(memory, "memory"), bytes_of(expert_bytes, "expert_bytes")
    if shared_experts < 0:
        raise InputError(f"shared experts: expected 0 or more, found {shared_experts}")
    if have is None:
        return None
    if each is None:
        raise InputError("place: memory limits placements by the bytes of an expert; give both")
    most = int(have // (each * len(routing.layers))) - shared_experts
    if most < 1:
        least = (1 + shared_experts) * each * len(routing.layers)
        raise CapacityError(
            f"place: {show(have, 'bytes')} hold not even one expert of each of"
            f" {len(routing.layers)} layers and {shared_experts} shared ones; that takes"
            f" {show(least, 'bytes')}"
        )
    return most


def bytes_of(value: float | str | None, where: str) -> float | None:
    """Bytes of a text with or without a unit, or of a number; raises `InputError`."""
    if value is None:
        return None
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        value = float(value)
    found = amount(value, "bytes", where=where)
    if isinstance(found, np.ndarray):
        raise InputError(f"{where}: expected one size, found {shown(value)}")
    return float(found)


def number_of(name: str, value: Any, *, least: float = 0.0, most: float = np.inf) -> float:
    """One finite number within limits."""
    found = amount(value, where=f"place: {name}", zero=True)
    if isinstance(found, np.ndarray) or not least <= found <= most:
        told = f"a number from {least:g} to {most:.4g}" if most < np.inf else f"{least:g} or more"
        raise InputError(f"place: {name}: expected {told}, found {shown(value)}")
    return float(found)


def _is_place(key: Any) -> bool:
    """Whether a key is (layer, expert)."""
    numbers = cast(tuple[Any, ...], key) if isinstance(key, tuple) else ()
    return len(numbers) == 2 and all(isinstance(number, int) for number in numbers)


def places_of(name: str, given: Any) -> dict[tuple[int, int], Any]:
    """A table by (layer, expert), whose values `place_experts` checks."""
    table: Any = {} if given is None else given
    pairs = isinstance(table, Mapping) and all(map(_is_place, cast(Mapping[Any, Any], table)))
    if not pairs:
        raise InputError(
            f"place: {name}: expected a table such as {{(layer, expert): device}}, found"
            f" {shown(given)}"
        )
    return dict(cast(Mapping[tuple[int, int], Any], table))


def notes_of(routing: Routing) -> tuple[str, ...]:
    """What the counts cannot say."""
    if not routing.transitions:
        return ("loads alone: nothing is known of which tokens cross between devices",)
    gaps = [(a, b) for a, b in routing.transitions if b - a != 1]
    if not gaps:
        return ()
    return (
        "transitions are between layers "
        + ", ".join(f"{a} and {b}" for a, b in gaps)
        + ", not between consecutive ones, whose affinity may differ",
    )
