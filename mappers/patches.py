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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.network import Stack
from hwmodel.einsum.workloads.layer import Layer
from hwmodel.einsum.workloads.patches import Patched, patched, splits
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import predict
from hwmodel.machines.mcu.arena import Held, arena
from hwmodel.machines.mcu.libraries import library
from hwmodel.machines.mcu.predict import family_of, image, leaf, mcu_rates, scheduled
from hwmodel.quantity.errors import CapacityError, InputError, UnknownNameError
from hwmodel.quantity.units import amount
from hwmodel.show.html import Notebook
from hwmodel.show.json import full_record, plain
from hwmodel.spine.activity import Rates, Work, energy_j, fold
from hwmodel.spine.certificate import Certificate
from hwmodel.spine.estimate import Estimate

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


@dataclass(frozen=True, eq=False, repr=False)
class PatchMapped(Notebook):
    """The answer: the schedule, what it takes, and the proof.

    `workload` is the network so scheduled: predict, compare and bound take it as any other.
    `sram_bytes` is the limit that was kept, `in_place` the library's rule.
    """

    workload: Stack
    schedule: Patched
    held: tuple[Held, ...]
    estimate: Estimate
    certificate: Certificate
    sram_bytes: float
    in_place: bool

    @property
    def peak_bytes(self) -> int:
        """Most bytes that are live at once."""
        return max(each.bytes for each in self.held)

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
            words,
            "",
            f"SRAM      {self.peak_bytes / 1024:,.1f} KiB of {self.sram_bytes / 1024:,.1f} KiB",
            f"computed  {found.macs / 1e6:,.1f} M multiply-accumulates, {found.overhead:.1%} more"
            f" ({found.stage_overhead:.1%} of the fused layers')",
            f"time      {float(est.time_s) * 1e3:,.4g} ms, {float(est.time_low_s) * 1e3:,.4g} to"
            f" {float(est.time_high_s) * 1e3:,.4g} (90 %)",
            f"energy    {float(est.energy_j) * 1e3:,.4g} mJ",
            f"proof     best of all {proof.candidates:,} in mapspace {proof.mapspace!r}:"
            f" {proof.objective} {proof.value:.6g} {proof.unit}; at least {proof.bound:.6g} for any"
            f" schedule ({proof.bound_reason}), gap {proof.gap_to_bound:.1%}",
        ]
        rows += [
            f"warning   {store.name} is short by {store.short_by_bytes / 1024:,.1f} KiB"
            for store in est.stores
            if store.short_by_bytes
        ]
        return "\n".join(rows)


def map_patches(
    workload: Cascade | Stack,
    hardware: Hardware,
    *,
    objective: str | None = None,
    kernel: str | None = None,
    sram_bytes: Any = None,
) -> PatchMapped:
    """The best split and grid of a network on a microcontroller, proven by looking at all.

    `objective` is one of `OBJECTIVES`, by default `DEFAULT_OBJECTIVE`.
    `sram_bytes` (a number, or text such as "192 KiB") replaces the machine's SRAM as the limit.
    Raises `CapacityError` with the least that would suffice where nothing fits.
    """
    started_s = time.perf_counter()
    objective = objective or DEFAULT_OBJECTIVE
    if objective not in OBJECTIVES:
        raise UnknownNameError("objective", objective, OBJECTIVES)
    limit = hardware.memory("sram").capacity_bytes
    if sram_bytes is not None:
        limit = amount(sram_bytes, "bytes", where="sram")
    if not isinstance(limit, (int, float)):
        raise InputError("sram: expected one size, found an array; map one limit at a time")
    given, dtype = scheduled(workload, hardware)
    used = library(kernel)
    rates = mcu_rates(hardware, family_of(hardware, used.name)[0], dtype)
    network = given.network
    members = [patched(network)]
    for split in splits(network):
        last = network.layers[split - 1]
        sides = range(2, min(last.out_height, last.out_width) + 1)
        members += [patched(network, grid, split) for grid in sides]
    charged: dict[Layer, Charge] = {}
    costs = [
        _cost(member, arena(member, in_place=used.in_place), rates, dtype, charged)
        for member in members
    ]
    fitting = [at for at, cost in enumerate(costs) if cost["sram"] <= limit]
    if not fitting:
        leanest = min(range(len(members)), key=lambda at: costs[at]["sram"])
        raise _short(members[leanest], costs[leanest]["sram"], limit, hardware)
    other = "latency" if objective == "sram" else "sram"
    best = min(fitting, key=lambda at: (costs[at][objective], costs[at][other]))
    chosen = members[best]
    assert isinstance(workload, Stack)  # else `scheduled` has refused it
    scheduled_so = workload.but(patches=chosen.grid, split=chosen.split)
    bound = costs[0][objective] if objective != "sram" else network.layers[-1].outputs_elements
    estimate = predict(scheduled_so, hardware, kernel=kernel)
    value = costs[best][objective]
    return PatchMapped(
        workload=scheduled_so,
        schedule=chosen,
        held=arena(chosen, in_place=used.in_place),
        estimate=estimate,
        certificate=Certificate(
            objective=objective,
            unit=OBJECTIVES[objective],
            value=_again(objective, estimate),
            mapspace="grids",
            mapspace_bound=value,
            bound=bound,
            bound_reason=REASONS[objective],
            candidates=len(members),
            solve_time_s=time.perf_counter() - started_s,
        ),
        sram_bytes=float(limit),
        in_place=used.in_place,
    )


def _cost(
    member: Patched,
    held: Sequence[Held],
    rates: Rates,
    dtype: str,
    charged: dict[Layer, Charge],
) -> dict[str, float]:
    """Latency, energy, bytes from outside and live bytes of one schedule; layers charged once."""
    runs, charges = [1], [_charge(image(member), rates)]
    for each in held:
        if each.layer not in charged:
            charged[each.layer] = _charge(leaf(each, dtype), rates)
        charges.append(charged[each.layer])
        runs.append(member.runs if each.fused else 1)
    sums = [sum(n * c[at] for n, c in zip(runs, charges, strict=True)) for at in range(3)]
    most = float(max(each.bytes for each in held))
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


def _short(member: Patched, least: float, limit: float, hardware: Hardware) -> CapacityError:
    grid = f"{member.grid} x {member.grid} patches over {member.split} layers"
    how = grid if member.tiles else "layer by layer"
    return CapacityError(
        f"{member.network.name} on {hardware.name}: expected a schedule within"
        f" {limit / 1024:,.1f} KiB of SRAM; the leanest, {how},"
        f" needs {least / 1024:,.1f} KiB, {(least - limit) / 1024:,.1f} KiB more; lower the"
        " resolution or the width"
    )
