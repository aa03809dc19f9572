"""Patches: how many layers of a network to run tile by tile, and on how fine a grid, with a proof.

Mapspace `grids`: layer by layer, or the first L layers on n x n tiles of their output and the rest
on whole maps, for every L after which one map alone is needed and every n up to that map's side
(`hwmodel.einsum.workloads.patches`). It is small: a thousand members for MobileNetV2, all of which
are looked at, so that the answer is the best of them. Tiles compute their halo again, so that layer
by layer is best where it fits. What is minimised, among those whose arena fits into the SRAM:

    latency, energy   of the library's kernels; no schedule takes less than every MAC once, from
                      weights that are read once, on whole maps
    traffic           bytes from outside the SRAM; at least the weights and the image, once each
    sram              live bytes; at least the answer itself

The smaller arena decides between equals (for `sram`: the lower latency). The answer is costed again
by `hwmodel.predict`. Grids: MCUNetV2 (Lin et al., NeurIPS 2021, arXiv 2110.15352).
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeAlias

from hwmodel.einsum.network import Workload
from hwmodel.einsum.workloads.layer import Layer, Network
from hwmodel.einsum.workloads.patches import Patched, patched, splits
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import predict
from hwmodel.machines.mcu.arena import Held, arena
from hwmodel.machines.mcu.libraries import Runtime, library
from hwmodel.machines.mcu.planner import needed_bytes
from hwmodel.machines.mcu.predict import family_of, image, leaf, mcu_rates, scheduled
from hwmodel.mappers.mapper import Mapped, Proposal, capacities_of, proposed
from hwmodel.quantity.errors import CapacityError, InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.units import amount
from hwmodel.show.json import full_record, plain
from hwmodel.spine.activity import Rates, Work, fold
from hwmodel.spine.estimate import Estimate
from hwmodel.spine.power import energy_j
from hwmodel.text.grid import hanging

OBJECTIVES: Mapping[str, str] = {"latency": "s", "energy": "J", "traffic": "bytes", "sram": "bytes"}
"""What can be minimised, and its unit."""

DEFAULT_OBJECTIVE = "latency"
"""What is minimised where nothing is asked for, in Python and on the command line alike."""

Charge: TypeAlias = tuple[float, float, float]

REASONS = {
    "latency": "every multiply-accumulate once, weights read once, whole maps",
    "energy": "every multiply-accumulate once, weights read once, whole maps",
    "traffic": "weights and image once",
    "sram": "the answer is held",
}


@dataclass(frozen=True)
class Patching:
    """What is chosen on a microcontroller.

    The first `split` layers on `patches` x `patches` tiles of their output, the rest on whole maps;
    0 layers: layer by layer. `kernel` is the library.
    """

    patches: int = 1
    split: int = 0
    kernel: str | None = None


@dataclass(frozen=True, eq=False, repr=False)
class PatchMapped(Mapped):
    """The answer: the schedule, what it takes, and the proof.

    `workload` is the network so scheduled: predict, compare and bound take it as any other.
    `sram_bytes` is the limit that was kept, `library` has the rules of its arena.
    """

    workload: Workload
    schedule: Patched
    held: tuple[Held, ...]
    estimate: Estimate
    sram_bytes: float
    library: Runtime

    @property
    def peak_bytes(self) -> int:
        """Bytes of the arena: most that are live at once, or those of the library's plan."""
        return needed_bytes(self.schedule, self.held, self.library)

    def record(self) -> dict[str, Any]:
        """Every field, as JSON writes it."""
        found = self.schedule
        tile = found.tiles[0] if found.tiles else None
        return plain(
            {
                **{"network": found.network.name, "machine": self.estimate.device},
                **{"patches": found.grid, "split": found.split},
                "tile": tile and [tile.height, tile.width, tile.channels],
                "stage_overhead": found.stage_overhead,
                "overhead": found.overhead,
                **{"macs": found.macs, "peak_bytes": self.peak_bytes},
                "sram_bytes": self.sram_bytes,
                **self.certificate.record(),
                "layers": [
                    {"layer": each.layer.name, "fused": each.fused, "bytes": each.bytes}
                    for each in self.held
                ],
                "estimate": full_record(self.estimate),
            }
        )

    def __str__(self) -> str:
        """The schedule in a line, then what it costs, then the proof."""
        found, proof = self.schedule, self.certificate
        words = f"{found.network.name} on {self.estimate.device}: "
        if found.tiles:
            tile = found.tiles[0]
            words += (
                f"the first {found.split} layers on {found.grid} x {found.grid} patches of"
                f" {tile.height} x {tile.width}, then layer by layer"
            )
        else:
            words += "layer by layer"
        est = self.estimate
        rows = [
            f"SRAM      {self.peak_bytes / 1024:,.1f} KiB of {self.sram_bytes / 1024:,.1f} KiB",
            f"computed  {found.macs / 1e6:,.1f} M multiply-accumulates, {found.overhead:.1%} more"
            f" ({found.stage_overhead:.1%} of the fused layers')",
            f"time      {float(est.time_s) * 1e3:,.4g} ms, {float(est.time_low_s) * 1e3:,.4g} to"
            f" {float(est.time_high_s) * 1e3:,.4g} (90 %)",
            f"energy    {float(est.energy_j) * 1e3:,.4g} mJ",
            f"proof     {proof.words}, of {proof.candidates:,} looked at:"
            f" {proof.objective} {proof.value:.6g} {proof.unit}; at least {proof.bound:.6g} for any"
            f" schedule ({proof.bound_reason}), gap {proof.gap_to_bound:.1%}",
        ]
        rows += [
            f"warning   {store.name} is short by {store.short_by_bytes / 1024:,.1f} KiB"
            for store in est.stores
            if store.short_by_bytes
        ]
        return "\n".join((words, "", *map(hanging, rows)))


def map_patches(
    workload: Workload,
    hardware: Hardware,
    *,
    objective: str,
    capacities: Mapping[str, Any],
    kernel: str | None = None,
) -> Proposal:
    """The best split and grid of a network on a microcontroller, proven by looking at all.

    Raises `CapacityError` with the least that would suffice where nothing fits.
    """
    posed = _pose(workload, hardware, kernel)
    limit = capacities["sram"]
    members, arenas = _members(posed.network, posed.library.in_place)
    charged: dict[int, Charge] = {}
    costs = [_cost(*each, posed, charged) for each in zip(members, arenas, strict=True)]
    fitting = [at for at, cost in enumerate(costs) if cost["sram"] <= limit]
    if not fitting:
        leanest = min(range(len(members)), key=lambda at: costs[at]["sram"])
        raise _short(members[leanest], costs[leanest]["sram"], limit, hardware)
    other = "latency" if objective == "sram" else "sram"
    best = min(fitting, key=lambda at: (costs[at][objective], costs[at][other]))
    return Proposal(
        Patching(members[best].grid, members[best].split, kernel),
        mapspace="grids",
        candidates=len(members),
        least=costs[best][objective],
    )


@lru_cache(maxsize=8)
def _members(
    network: Network, in_place: bool
) -> tuple[tuple[Patched, ...], tuple[tuple[Held, ...], ...]]:
    """Every schedule of a network with what is live in it, whatever the machine.

    Layers that are equal are one value, so that a machine charges each once.
    """
    members = [patched(network)]
    for split in splits(network):
        last = network.layers[split - 1]
        sides = range(2, min(last.out_height, last.out_width) + 1)
        members += [patched(network, grid, split) for grid in sides]
    same: dict[Layer, Layer] = {}
    arenas = [
        tuple(
            replace(held, layer=same.setdefault(held.layer, held.layer)) if held.fused else held
            for held in arena(member, in_place=in_place)
        )
        for member in members
    ]
    return tuple(members), tuple(arenas)


def certified(
    mapper: Callable[..., Proposal],
    workload: Workload,
    hardware: Hardware,
    *,
    objective: str = DEFAULT_OBJECTIVE,
    sram_bytes: Any = None,
    **asked: Any,
) -> PatchMapped:
    """What a mapper proposes for a network on a microcontroller, costed anew.

    `objective` is one of `OBJECTIVES`. `sram_bytes` (a number, or text such as "192 KiB") replaces
    the machine's SRAM as the limit. Raises `CapacityError` for a schedule that does not fit,
    `InputError` for one that is none, and what the mapper raises.
    """
    started_s = time.perf_counter()
    if objective not in OBJECTIVES:
        raise UnknownNameError("objective", objective, OBJECTIVES)
    limit = hardware.memory("sram").capacity_bytes
    if sram_bytes is not None:
        limit = amount(sram_bytes, "bytes", where="sram")
    if not isinstance(limit, (int, float)):
        raise InputError("sram: expected one size, found an array; map one limit at a time")
    room = {**capacities_of(hardware), "sram": limit}
    found = proposed(mapper, workload, hardware, objective=objective, capacities=room, **asked)
    choice = found.choice
    if not isinstance(choice, Patching):
        raise InputError(
            f"{hardware.name}: expected hwmodel.mappers.patches.Patching as a proposal's choice,"
            f" found {shown(choice)}"
        )
    posed = _pose(workload, hardware, choice.kernel)
    chosen = patched(posed.network, choice.patches, choice.split)
    held = arena(chosen, in_place=posed.library.in_place)
    most = needed_bytes(chosen, held, posed.library)
    if most > limit:
        raise _short(chosen, most, limit, hardware, "the one proposed")
    scheduled_so = posed.workload.but(patches=chosen.grid, split=chosen.split)
    estimate = predict(scheduled_so, hardware, kernel=choice.kernel)
    plain = patched(posed.network)
    bare = replace(posed, as_is=False)  # copies of maps are no part of what any schedule takes
    whole = _cost(plain, arena(plain, in_place=posed.library.in_place), bare, {})
    last = posed.network.layers[-1].outputs_elements
    general = float(last) if objective == "sram" else whole[objective], REASONS[objective]
    value, unit = _again(objective, estimate), OBJECTIVES[objective]
    took_s = time.perf_counter() - started_s
    return PatchMapped(
        certificate=found.certificate(objective, unit, value, general, took_s),
        workload=scheduled_so,
        schedule=chosen,
        held=held,
        estimate=estimate,
        sram_bytes=float(limit),
        library=posed.library,
    )


@dataclass(frozen=True)
class _Posed:
    """A network on a microcontroller, by a library."""

    workload: Workload
    network: Network
    dtype: str
    library: Runtime
    rates: Rates
    as_is: bool
    """Whether the copies that the network's file makes are made."""


def _pose(workload: Workload, hardware: Hardware, kernel: str | None) -> _Posed:
    given, dtype = scheduled(workload, hardware)
    used = library(kernel)
    rates = mcu_rates(hardware, family_of(hardware, used.name)[0], dtype)
    return _Posed(workload, given.network, dtype, used, rates, used.planned)


def _cost(
    member: Patched, held: tuple[Held, ...], posed: _Posed, charged: dict[int, Charge]
) -> dict[str, float]:
    """Latency, energy, bytes from outside and live bytes of one schedule; layers charged once.

    `charged` is by the layer's identity: whoever asks for several keeps their layers.
    """
    runs, charges = [1], [_charge(image(member), posed.rates)]
    for each in held:
        if id(each.layer) not in charged:
            work = leaf(each, posed.dtype, as_is=posed.as_is)
            charged[id(each.layer)] = _charge(work, posed.rates)
        charges.append(charged[id(each.layer)])
        runs.append(member.runs if each.fused else 1)
    sums = [sum(n * c[at] for n, c in zip(runs, charges, strict=True)) for at in range(3)]
    most = float(needed_bytes(member, held, posed.library))
    return dict(zip(("latency", "energy", "traffic"), sums, strict=True)) | {"sram": most}


def _charge(work: Work, rates: Rates) -> Charge:
    """Seconds, joules and bytes from outside of one leaf."""
    time_s = float(fold(work, rates).time_s)
    return time_s, float(energy_j(work, rates, time_s)), float(work.read["flash"])


def _again(objective: str, estimate: Estimate) -> float:
    """The objective's value, out of the estimate."""
    table = {
        "latency": estimate.time_s,
        "energy": estimate.energy_j,
        "traffic": estimate.dram_bytes_read,
        "sram": estimate.stores[0].needed_bytes,
    }
    return float(table[objective])


def _short(
    member: Patched, least: float, limit: float, hardware: Hardware, which: str = "the leanest"
) -> CapacityError:
    grid = f"{member.grid} x {member.grid} patches over {member.split} layers"
    how = grid if member.tiles else "layer by layer"
    return CapacityError(
        f"{member.network.name} on {hardware.name}: expected a schedule within"
        f" {limit / 1024:,.1f} KiB of SRAM; {which}, {how},"
        f" needs {least / 1024:,.1f} KiB, {(least - limit) / 1024:,.1f} KiB more; lower the"
        " resolution or the width"
    )
