"""Reuse factors: the fastest hls4ml design of a network on an FPGA, with a proof.

Mapspace `legal reuse factors`: every layer at any reuse factor that the kernel allows it
(`hwmodel.machines.fpga.reuse`). One is chosen for each layer so that the cycles are least (their
sum, or the slowest layer's where layers are joined by streams) while DSP slices, LUTs, flip-flops
and block RAMs together fit, as they are counted (`hwmodel.machines.fpga.fabric`). That is a
multiple-choice knapsack, solved as an integer program by HiGHS; factors that another one of the
layer beats in everything are left out first.

No design needs fewer cycles than all multiply-accumulates on as many multipliers as the device can
hold, each busy in every cycle. The answer is costed again from its tree.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.network import Stack
from hwmodel.hardware.hardware import Hardware, Limits, limits
from hwmodel.machines.fpga.fabric import Dense
from hwmodel.machines.fpga.hls4ml import (
    OVERHEAD_CYCLES,
    PRIOR,
    TAKES,
    Design,
    layers,
    least_cycles,
    shortages,
    smallest_target,
    too_large,
)
from hwmodel.machines.fpga.rates import spatial_rates
from hwmodel.machines.fpga.reuse import legal_reuse_factors
from hwmodel.mappers.mapper import Mapped, Proposal, proposed
from hwmodel.quantity.errors import CapacityError, InputError, SolverError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import fold

KERNEL = "hls4ml"


@dataclass(frozen=True)
class Factors:
    """What is chosen on an FPGA: a reuse factor for each layer."""

    reuse: tuple[int, ...]


@dataclass(frozen=True, eq=False, repr=False)
class ReuseMapped(Mapped):
    """The answer: a design, what it takes, and the proof."""

    design: Design
    seconds: float

    def record(self) -> dict[str, Any]:
        """Every field, for JSON."""
        made = self.design
        return {
            "layers": [
                {**row, "fan_in": layer.fan_in, "fan_out": layer.fan_out}
                for row, layer in zip(made.by_layer(), made.layers, strict=True)
            ],
            **{"io": made.io, "cycles": made.cycles, "time_s": self.seconds},
            **made.resources,
            "warnings": [PRIOR],
            **self.certificate.record(),
        }

    def __str__(self) -> str:
        """Reuse factors in a line, what they take, and the proof."""
        made, proof = self.design, self.certificate
        used = ", ".join(f"{count:,} {name}" for name, count in made.resources.items())
        return "\n".join(
            (
                f"reuse     {', '.join(map(str, made.reuse))} ({made.io})",
                f"takes     {made.cycles:,} cycles, {self.seconds * 1e6:.4g} us; {used}",
                f"proof     {proof.words}; at least {proof.bound:,.0f} cycles"
                f" for any design ({proof.bound_reason}), gap {proof.gap_to_bound:.1%}",
                f"warning   {PRIOR}",
            )
        )


def map_reuse(
    workload: Cascade | Stack,
    hardware: Hardware,
    *,
    objective: str,
    capacities: Mapping[str, Amount],
    kernel: str | None = None,
) -> Proposal:
    """The design with fewest cycles that fits.

    Raises `CapacityError` where one multiplier a layer is too much, `CoverageError` for a workload
    that hls4ml does not unroll.
    """
    if kernel not in (None, KERNEL):
        raise UnknownNameError(f"kernel on {hardware.name}", kernel, (KERNEL,))
    net = layers(workload)
    chosen = best(net, replace(limits(hardware), resources=capacities))
    return Proposal(
        Factors(chosen.reuse),
        mapspace="legal reuse factors",
        candidates=sum(len(options(layer)) for layer in net),
        optimal=True,
    )


def certified(
    mapper: Callable[..., Proposal],
    workload: Cascade | Stack,
    hardware: Hardware,
    *,
    objective: str = "latency",
    room: Limits | None = None,
    **asked: Any,
) -> ReuseMapped:
    """What a mapper proposes, built anew; `room` replaces the device's resources.

    Raises `InputError` for factors that the kernel does not allow, `CapacityError` where they do
    not fit, and what the mapper raises.
    """
    started_s = time.perf_counter()
    room = room or limits(hardware)
    found = proposed(
        mapper, workload, hardware, objective=objective, capacities=room.resources, **asked
    )
    net = layers(workload)
    made = _design(net, found.choice, hardware)
    if shortages(made, room):
        raise CapacityError(too_large(made, room))
    speeds = spatial_rates(hardware, len(net), frozenset(layer.bits for layer in net))
    seconds = float(fold(made.activity(), speeds).time_s)
    cycles = round(seconds * float(np.max(hardware.clock_hz)))
    general = least_cycles(net, room), "every multiplier busy in every cycle"
    took_s = time.perf_counter() - started_s
    return ReuseMapped(
        certificate=found.certificate(objective, "cycles", cycles, general, took_s),
        design=made,
        seconds=seconds,
    )


def _design(net: Sequence[Dense], choice: object, hardware: Hardware) -> Design:
    menus = [legal_reuse_factors(layer.fan_in, layer.fan_out) for layer in net]
    if not isinstance(choice, Factors) or len(choice.reuse) != len(net):
        raise InputError(
            f"{hardware.name}: expected hwmodel.mappers.reuse.Factors of {len(net)} layers as a"
            f" proposal's choice, found {shown(choice)}"
        )
    for layer, reuse, menu in zip(net, choice.reuse, menus, strict=True):
        if reuse not in menu:
            raise InputError(
                f"{hardware.name}: layer {layer.name}: expected a legal reuse factor"
                f" ({', '.join(map(str, menu))}), found {shown(reuse)}"
            )
    return Design(tuple(net), choice.reuse)


def best(net: Sequence[Dense], room: Limits) -> Design:
    """The fastest design that fits: an integer program over the options of every layer."""
    smallest_target(net, room)  # refuses what cannot fit at all, and says what is short
    streams = Design(tuple(net), (1,) * len(net)).at_once
    menus = [options(layer) for layer in net]
    flat = [(row, made) for row, menu in enumerate(menus) for made in menu]
    count, rows = len(flat), len(net)
    turns = np.array([made.cycles - OVERHEAD_CYCLES for _, made in flat], np.float64)
    one_each = np.zeros((rows, count + 1))
    for column, (row, _) in enumerate(flat):
        one_each[row, column] = 1
    taken = np.array([[*(made.resources[n] for _, made in flat), 0] for n in TAKES], float)
    have = [float(np.max(room.resources.get(name, 0))) for name in TAKES]
    # The last variable is the slowest layer's turns: what streams minimise, 0 otherwise.
    slowest = np.hstack([one_each[:, :count] * turns, -np.ones((rows, 1))])
    from scipy.optimize import Bounds, LinearConstraint, milp  # late: costly to load

    rules = [
        LinearConstraint(one_each, 1, 1),
        LinearConstraint(taken, -np.inf, have),
    ]
    if streams:
        rules.append(LinearConstraint(slowest, -np.inf, 0))
    found: Any = milp(
        np.append(np.zeros(count), 1) if streams else np.append(turns, 0),
        constraints=rules,
        integrality=np.append(np.ones(count), 0),
        bounds=Bounds(0, np.append(np.ones(count), np.inf)),
        options={"mip_rel_gap": 0},
    )
    if found.status != 0:
        raise SolverError(
            f"reuse: HiGHS ended with {found.message!r}, though a common reuse factor fits; take"
            " that one (kernel hls4ml)"
        )
    reuse = {row: flat[at][1].reuse[0] for at, (row, _) in enumerate(flat) if found.x[at] > 0.5}
    return Design(tuple(net), tuple(reuse[row] for row in range(rows)))


def options(layer: Dense) -> tuple[Design, ...]:
    """Designs of one layer that no other of its designs beats in cycles and every resource."""
    every = [
        Design((layer,), (reuse,)) for reuse in legal_reuse_factors(layer.fan_in, layer.fan_out)
    ]
    costs = [(made.cycles, *made.resources.values()) for made in every]
    return tuple(
        made
        for made, cost in zip(every, costs, strict=True)
        if not any(other != cost and all(map(_no_more, other, cost)) for other in costs)
    )


def _no_more(one: float, other: float) -> bool:
    return one <= other
