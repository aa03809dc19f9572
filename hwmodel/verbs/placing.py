"""What `hw.place` and `hwmodel place` are asked, answered: a routing's experts on devices.

Objectives: `crossings` counts transitions that change device, `hops` counts 1 within a node and 2
between nodes (as ExFlow scores), `seconds` adds up what each transition's `token_bytes` take alone
on its path through the topology, and `token_s` for each choice on the busiest device of each layer;
`load` counts these choices alone. Where nodes are given and crossings are minimised, devices are
dealt to nodes afterwards so that few crossings leave a node; the number of crossings stays.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from hwmodel.experts.placement import Placement, contiguous, crossings, flows, hop_cost, placement
from hwmodel.experts.statistics import Counts, Routing, from_loads
from hwmodel.experts.step import Exchange, StepTimes, step_times
from hwmodel.experts.traces import read_routing
from hwmodel.mappers.placement.place import Progress, place_experts
from hwmodel.mappers.placement.search import regroup
from hwmodel.network.topologies import topology as find_topology
from hwmodel.network.topology import Topology
from hwmodel.quantity.checked import checked
from hwmodel.quantity.errors import CapacityError, InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.reading import DEVICES, EXPERTS, SLOTS
from hwmodel.quantity.units import amount, counted, show
from hwmodel.verbs.placed import PlaceAnswer

OBJECTIVES = {"crossings": "", "hops": "", "load": "", "seconds": "s"}
"""What can be minimised, and its unit."""

_PLAIN = re.compile(r"[0-9]{1,300}(\.[0-9]*)?")
"""Bytes without a unit, as the command line gives them."""


@checked
def place(
    routing: Routing | Counts | Sequence[Any] | str | Path,
    *,
    devices: int | None = None,
    nodes: int | None = None,
    topology: Topology | str | Path | None = None,
    kind: str | None = None,
    domains: Sequence[str] | None = None,
    experts: int | None = None,
    objective: str | None = None,
    token_bytes: float | str | None = None,
    slack: int = 0,
    memory: float | str | None = None,
    expert_bytes: float | str | None = None,
    shared_experts: int = 0,
    pinned: Mapping[tuple[int, int], int] | None = None,
    forbidden: Mapping[tuple[int, int], tuple[int, ...]] | None = None,
    tokens: int = 4096,
    choices: int = 1,
    token_s: float = 0.0,
    slots: int | None = None,
    time_limit_s: float = 60.0,
    gap: float = 0.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> PlaceAnswer:
    """Place the experts of a routing (or of a file of traces, counts or loads) on devices.

    Loads `(layers, experts)`, or of one layer, may be given as they are. `objective` is crossings
    by default; load where there are no transitions, of which loads and single layers say nothing.
    The devices are the first of a topology, by default all of it. `memory` of a device and
    `expert_bytes` limit how many experts of each layer it holds, beside `shared_experts` of each
    layer that every device holds. With a topology and `token_bytes` the times of a step of `tokens`
    tokens with `choices` experts each are predicted before and after; `token_s` is what an expert
    takes for a token. With `slots` for each layer hot experts get copies (`place_copies`), apart
    from the placement. Raises `InputError`, `CapacityError` where the experts have no room,
    `SolverError` where constraints leave no way.
    """
    if objective is not None and (
        not isinstance(objective, str)  # pyright: ignore[reportUnnecessaryIsInstance]
        or objective not in OBJECTIVES
    ):
        raise UnknownNameError("objective", objective, OBJECTIVES)
    time_limit_s = _number("time_limit_s", time_limit_s, least=1e-9)
    gap = _number("gap", gap, most=np.nextafter(1.0, 0.0))
    token_s = _number("token_s", token_s)
    tokens, choices = (
        counted(n, where=f"place: {w}") for n, w in ((tokens, "tokens"), (choices, "choices"))
    )
    seed = counted(seed, where="place: seed", least=0)
    slack = counted(slack, where="place: slack", least=0, most=EXPERTS)
    shared_experts = counted(shared_experts, where="place: shared_experts", least=0)
    experts, devices, nodes, slots = (
        None if n is None else counted(n, where=f"place: {w}", most=most)
        for n, w, most in (
            (experts, "experts", EXPERTS),
            (devices, "devices", DEVICES),
            (nodes, "nodes", DEVICES),
            (slots, "slots", SLOTS),
        )
    )
    if isinstance(domains, (list, tuple)) and not domains:
        raise InputError("place: domains: expected names, found none; leave it out for all")
    pinned = _places("pinned", pinned)
    forbidden = _places("forbidden", forbidden)
    if isinstance(routing, (list, tuple, np.ndarray)):
        routing = from_loads(routing)
    if not isinstance(routing, Routing):
        path = cast(str | Path, routing)
        names = () if domains is None else domains
        routing = read_routing(path, kind=kind, domains=names, experts=experts)
    if choices > routing.experts:
        raise InputError(
            f"place: choices: expected at most the {routing.experts} experts of a layer, found"
            f" {choices}; a token chooses each once"
        )
    objective = _objective(routing, objective)
    network: Any = find_topology(topology) if isinstance(topology, (str, Path)) else topology
    if not (network is None or isinstance(network, Topology)):
        raise InputError(f"place: expected a topology, found {shown(network)}")
    devices, nodes = _machines(devices, nodes, network)
    size_bytes, each_bytes = (
        _bytes(n, w) for n, w in ((token_bytes, "token_bytes"), (expert_bytes, "expert_bytes"))
    )
    cost = _cost(objective, devices, nodes, network, size_bytes)
    found = place_experts(
        routing,
        devices,
        cost=cost,
        load_cost={"load": 1.0, "seconds": token_s}.get(objective, 0.0),
        slack=slack,
        most=_room(routing, memory, expert_bytes, shared_experts),
        pinned=pinned,
        forbidden=forbidden,
        objective=objective,
        unit=OBJECTIVES[objective],
        time_limit_s=time_limit_s,
        gap=gap,
        seed=seed,
        progress=progress,
    )
    placed = found.placement
    if objective == "crossings" and nodes > 1 and not pinned and not forbidden:
        order = regroup(np.sum(list(flows(routing, placed).values()), axis=0), nodes)
        placed = placement(placed.layers, devices, order[np.array(placed.assignment)])
    plain = contiguous(routing.layers, routing.experts, devices)
    exchange_s = None if network is None else _exchange(network, devices)
    step = None
    if exchange_s is not None and size_bytes is not None and routing.transitions:
        work = {"tokens": tokens, "token_bytes": size_bytes, "choices": choices, "token_s": token_s}
        step = _steps(routing, plain, placed, exchange_s, work)
    copies = None
    if slots is not None:
        if slots > devices * routing.experts:
            raise InputError(
                f"place: slots: expected at most {devices} devices x {routing.experts} experts, of"
                f" which each device then holds all, found {slots}"
            )
        from hwmodel.verbs.copies import with_copies

        copies = with_copies(
            routing,
            placed,
            slots,
            choices_s=tokens * choices * token_s,
            expert_bytes=each_bytes,
            exchange_s=exchange_s,
        )
    return PlaceAnswer(
        routing=routing,
        placement=placed,
        nodes=nodes,
        certificate=found.certificate,
        crossings=crossings(routing, placed),
        contiguous_crossings=crossings(routing, plain),
        interrupted=found.interrupted,
        history=found.history,
        step=step,
        copies=copies,
        notes=_notes(routing),
    )


def _objective(routing: Routing, asked: str | None) -> str:
    """What is minimised; without transitions that is the load alone."""
    if routing.transitions:
        return asked or "crossings"
    if asked not in (None, "load"):
        raise InputError(
            f"place: objective {asked!r}: expected transitions between layers, found loads alone,"
            " which say nothing of what crosses; minimise 'load', or give traces or counts"
        )
    return "load"


def _machines(devices: int | None, nodes: int | None, network: Topology | None) -> tuple[int, int]:
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


def _cost(
    objective: str, devices: int, nodes: int, network: Topology | None, size_bytes: float | None
) -> Counts | None:
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


def _exchange(network: Topology, devices: int) -> Exchange:
    """Seconds of an all-to-all between the first devices of a topology."""
    from hwmodel.network.routes import all_to_all_s, routes

    known = routes(network)
    others = len(known.devices) - devices

    def exchange_s(matrix: Counts) -> float:
        return float(all_to_all_s(np.pad(matrix, (0, others)), known))

    return exchange_s


def _steps(
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


def _room(
    routing: Routing,
    memory: float | str | None,
    expert_bytes: float | str | None,
    shared_experts: int,
) -> int | None:
    """Experts of each layer that a device's memory holds beside the shared ones."""
    have, each = _bytes(memory, "memory"), _bytes(expert_bytes, "expert_bytes")
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


def _bytes(value: float | str | None, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        value = float(value)
    found = amount(value, "bytes", where=where)
    if isinstance(found, np.ndarray):
        raise InputError(f"{where}: expected one size, found {shown(value)}")
    return float(found)


def _number(name: str, value: Any, *, least: float = 0.0, most: float = np.inf) -> float:
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


def _places(name: str, given: Any) -> dict[tuple[int, int], Any]:
    """A table by (layer, expert), whose values `place_experts` checks."""
    table: Any = {} if given is None else given
    pairs = isinstance(table, Mapping) and all(map(_is_place, cast(Mapping[Any, Any], table)))
    if not pairs:
        raise InputError(
            f"place: {name}: expected a table such as {{(layer, expert): device}}, found"
            f" {shown(given)}"
        )
    return dict(cast(Mapping[tuple[int, int], Any], table))


def _notes(routing: Routing) -> tuple[str, ...]:
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
