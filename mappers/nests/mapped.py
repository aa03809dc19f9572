"""Mapped: a loop nest as an answer, with what it costs, its proof, its text and its JSON.

The text opens with the answer in one line, then the loop nest as a person writes it, what each
tensor moves, what each memory holds and moves, and what the answer rests on. JSON has every field.
"""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hwmodel.bounds.bound import LevelBound
from hwmodel.bounds.sensitivity import Gain, on_machine
from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.counts import points
from hwmodel.hardware.hardware import Hardware, Limits, limits
from hwmodel.machines.spatial.counts import Transfer
from hwmodel.machines.spatial.rules import Rules
from hwmodel.mappers.mapper import Mapped
from hwmodel.mappers.nests.costs import Costs
from hwmodel.quantity.units import show
from hwmodel.show.json import plain
from hwmodel.spine.mapping import Loop, walk
from hwmodel.spine.mapping import Mapping as LoopNest
from hwmodel.text.grid import grid, width


@dataclass(frozen=True, eq=False, repr=False)
class NestMapped(Mapped):
    """A loop nest and what it costs; `timed`: its seconds and joules mean the machine's.

    `area_m2`: of the machine, where its tables or what was published of it have one.
    """

    mapping: LoopNest
    costs: Costs
    rules: Rules
    least: LevelBound
    cascade: Cascade
    hardware: Hardware
    notes: tuple[str, ...] = ()
    timed: bool = True
    area_m2: float | None = None

    @property
    def limits(self) -> Limits:
        """Capacities of the machine that the mapping is for."""
        return limits(self.hardware)

    @cached_property
    def sensitivity(self) -> tuple[Gain, ...]:
        """What more memory or bandwidth would take off the bound; nothing where there are zeros."""
        if any(tensor.density is not None for tensor in self.cascade.tensors.values()):
            return ()
        return on_machine(self.cascade, self.hardware)

    @property
    def traffic_bytes(self) -> int | float:
        """Bytes across the boundary of the outermost memory."""
        return self.costs.traffic_bytes

    @property
    def utilisation(self) -> float | None:
        """Points computed over what all elements of the array could in as many steps; null without.

        Below 1 where fewer elements than there are work, or some idle in a smaller last turn.
        """
        arrays = self.hardware.arrays.values()
        elements = math.prod(float(array.rows) * float(array.columns) for array in arrays)
        if not self.hardware.arrays or not self.timed:
            return None
        done = sum(float(points(einsum, self.cascade)) for einsum in self.cascade.einsums)
        counts = self.costs.counts
        return done * counts.share / (elements * float(counts.steps))

    @property
    def tiles(self) -> dict[str, int | list[int]]:
        """Tile sizes by rank, one or several from the outside in; ranks without loops are whole."""
        found: dict[str, list[int]] = {}
        for _, node in walk(self.mapping.nest):
            if isinstance(node, Loop):
                found.setdefault(node.rank, []).append(node.tile)
        return {rank: sizes[0] if len(sizes) == 1 else sizes for rank, sizes in found.items()}

    def record(self) -> dict[str, Any]:
        """Every field, as JSON writes it."""
        return _record(self)

    def __str__(self) -> str:
        """The loop nest, the counts and the certificate, for a person."""
        return _text(self)


def _record(mapped: NestMapped) -> dict[str, Any]:
    """Every field of the answer in SI units, JSON ready."""
    costs, certificate = mapped.costs, mapped.certificate
    return plain(
        {
            "cascade": mapped.mapping.cascade,
            "machine": mapped.mapping.machine,
            "traffic_bytes": costs.traffic_bytes,
            "bound_bytes": mapped.least.bytes,
            **certificate.record(),
            "tiles": mapped.tiles,
            "mapping": mapped.mapping.record(),
            "loop_nest": str(mapped.mapping).splitlines(),
            "time_s": costs.time_s if mapped.timed else None,
            "energy_j": costs.energy_j if mapped.timed else None,
            "bottleneck": costs.bottleneck if mapped.timed else None,
            "busy_s": dict(costs.busy_s) if mapped.timed else {},
            "operations": {" ".join(key): n for key, n in costs.work.operations.items()},
            "elements": costs.counts.elements,
            "steps": costs.counts.steps,
            "utilisation": mapped.utilisation,
            "area_m2": mapped.area_m2,
            "levels": [_level(mapped, level) for level in mapped.limits.capacity_bytes],
            "transfers": [_transfer(t) for t in costs.counts.transfers],
            "sensitivity": mapped.sensitivity,
            "rules": mapped.rules.name,
            "rules_words": mapped.rules.words,
            "notes": list(mapped.notes),
        }
    )


def _level(mapped: NestMapped, level: str) -> dict[str, Any]:
    costs, instances = mapped.costs, mapped.limits.instances.get(level, 1)
    return {
        "level": level,
        "read_bytes": costs.work.read.get(level, 0),
        "written_bytes": costs.work.written.get(level, 0),
        "footprint_bytes": costs.counts.footprint_bytes.get(level),
        "capacity_bytes": mapped.limits.capacity_bytes[level] / instances,
        "memories": instances,
    }


def _transfer(t: Transfer) -> dict[str, Any]:
    return {
        "tensor": t.tensor,
        "outer": t.outer,
        "inner": t.inner,
        "tile_bytes": t.tile * t.element_bytes,
        "double": t.double,
        "filled_bytes": t.fills * t.element_bytes,
        "drained_bytes": t.drains * t.element_bytes,
        "returned_bytes": t.returns * t.element_bytes,
    }


def _text(mapped: NestMapped) -> str:
    """The answer for a person to read."""
    costs, certificate = mapped.costs, mapped.certificate
    outermost = next(iter(mapped.limits.capacity_bytes))
    head = (
        f"{mapped.mapping.cascade} on {mapped.mapping.machine}:"
        f" {whole(costs.traffic_bytes)} bytes cross the {outermost} boundary"
    )
    if mapped.timed:
        head += (
            f", {show(costs.time_s, 's')}, {show(costs.energy_j, 'j')}; {costs.bottleneck} binds"
        )
    nest = "\n".join(f"  {line}" for line in str(mapped.mapping).splitlines()[1:])
    tensors = grid(
        ("tensor", "between", "tile", "filled", "drained", "returned"),
        [_tensor_row(t) for t in costs.counts.transfers],
        left=(0, 1),
    )
    levels = grid(
        ("level", "held", "of", "read", "written", "busy"),
        [_level_row(mapped, level) for level in mapped.limits.capacity_bytes],
        left=(0,),
    )
    lines = [
        f"objective  {certificate.objective}, {_amount(certificate.value, certificate.unit)}",
        f"mapspace   {certificate.words}; {certificate.candidates:,} candidates in"
        f" {show(certificate.solve_time_s, 's')}",
        f"bound      {_amount(certificate.bound, certificate.unit)} for any schedule, a gap of"
        f" {certificate.gap_to_bound:.1%}; {certificate.bound_reason}",
        *_working(mapped),
        *(f"worth      {_worth(worth)}" for worth in mapped.sensitivity),
        f"rules      {mapped.rules.name}: {mapped.rules.words}",
        *(f"note       {note}" for note in mapped.notes),
    ]
    return "\n\n".join((head, nest, tensors, levels, "\n".join(map(_wrapped, lines))))


def _working(mapped: NestMapped) -> Sequence[str]:
    """How much of an array works."""
    share, counts = mapped.utilisation, mapped.costs.counts
    if share is None:
        return ()
    area = "" if mapped.area_m2 is None else f"; {show(mapped.area_m2, 'm2')}"
    return (
        f"array      {share:.1%} of the elements' turns do work: {counts.elements:,} elements,"
        f" {counts.steps:,.12g} steps{area}",
    )


def _worth(worth: Gain) -> str:
    """What more memory inside a level, or a faster one, takes off the bound."""
    saved = f"1 KiB more inside {worth.level} takes {float(worth.bytes_saved_per_kib):,.0f} bytes"
    byte_s = worth.time_saved_per_byte_per_s_s
    faster = "" if byte_s is None else f", 1 byte/s more {byte_s:.3g} s off their transfer"
    return f"{saved} off the bound{faster}"


def _wrapped(line: str) -> str:
    return textwrap.fill(line, width(), subsequent_indent=" " * 11)


def _tensor_row(t: Transfer) -> Sequence[str]:
    sizes = (t.tile, t.fills, t.drains, t.returns)
    tile, *moved = (whole(n * t.element_bytes) if n else "-" for n in sizes)
    between = f"{t.outer} > {t.inner}" if t.moved_bytes else f"in {t.inner} alone"
    return (t.tensor, between, f"2 x {tile}" if t.double else tile, *moved)


def _level_row(mapped: NestMapped, level: str) -> Sequence[str]:
    found = _level(mapped, level)
    held = found["footprint_bytes"]
    busy = mapped.costs.busy_s.get(level)
    return (
        level + (f" (each of {found['memories']:g})" if found["memories"] > 1 else ""),
        "-" if held is None else whole(held),
        "-" if held is None else whole(found["capacity_bytes"]),
        whole(found["read_bytes"]),
        whole(found["written_bytes"]),
        "-" if busy is None else show(busy, "s"),
    )


def whole(value: float) -> str:
    """A count with separators, and decimals only where it has any."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.3f}"


def _amount(value: float, unit: str) -> str:
    if unit == "bytes":
        return f"{math.ceil(value):,} bytes"
    return show(value, {"J": "j", "s": "s"}[unit]) if unit in ("J", "s") else f"{value:.6g} {unit}"
