"""Show: a mapper's answer as text and as JSON.

The text opens with the answer in one line, then the loop nest as a person writes it, what each
tensor moves, what each memory holds and moves, and what the answer rests on. JSON has every field.
"""

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hwmodel.bounds.sensitivity import Sensitivity
from hwmodel.einsum.counts import cascade_counts
from hwmodel.machines.spatial.counts import Transfer
from hwmodel.mappers.nests.answer import Mapped
from hwmodel.quantity.units import show
from hwmodel.show.json import plain
from hwmodel.text.grid import grid, width

if TYPE_CHECKING:
    from hwmodel.mappers.fusion.reformulate import Compared


def mapped_record(mapped: Mapped) -> dict[str, Any]:
    """Every field of the answer in SI units, JSON ready."""
    costs, certificate = mapped.costs, mapped.certificate
    return plain(
        {
            "cascade": mapped.mapping.cascade,
            "machine": mapped.mapping.machine,
            "traffic_bytes": costs.traffic_bytes,
            "bound_bytes": mapped.bound.bytes,
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
            "levels": [_level(mapped, level) for level in mapped.limits.capacity_bytes],
            "transfers": [_transfer(t) for t in costs.counts.transfers],
            "sensitivity": mapped.sensitivity,
            "rules": mapped.rules.name,
            "rules_words": mapped.rules.words,
            "notes": list(mapped.notes),
        }
    )


def _level(mapped: Mapped, level: str) -> dict[str, Any]:
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


def mapped_text(mapped: Mapped) -> str:
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
    proof = (
        f"nothing in {certificate.mapspace!r} is better"
        if certificate.optimal_in_mapspace
        else f"at most {certificate.mapspace_gap:.2%} above the best in {certificate.mapspace!r}"
    )
    if certificate.given:
        proof += f", given {' and '.join(certificate.given)}"
    lines = [
        f"objective  {certificate.objective}, {_amount(certificate.value, certificate.unit)}",
        f"mapspace   {proof}; {certificate.candidates:,} candidates in"
        f" {show(certificate.solve_time_s, 's')}",
        f"bound      {_amount(certificate.bound, certificate.unit)} for any schedule, a gap of"
        f" {certificate.gap_to_bound:.1%}; {certificate.bound_reason}",
        *(f"worth      {_worth(worth)}" for worth in mapped.sensitivity),
        f"rules      {mapped.rules.name}: {mapped.rules.words}",
        *(f"note       {note}" for note in mapped.notes),
    ]
    return "\n\n".join((head, nest, tensors, levels, "\n".join(map(_wrapped, lines))))


def _worth(worth: Sensitivity) -> str:
    """What more memory inside a level, or a faster one, takes off the bound."""
    saved = f"1 KiB more inside {worth.level} takes {float(worth.bytes_saved_per_kib):,.0f} bytes"
    byte_s = worth.time_saved_per_byte_per_s_s or 0.0
    return f"{saved} off the bound, 1 byte/s more {byte_s:.3g} s off their transfer"


def front_text(points: Sequence[Mapped]) -> str:
    """One row for each mapping of a front."""
    rows = [
        [
            ", ".join(f"{n} {whole(v)}" for n, v in p.costs.counts.footprint_bytes.items()),
            whole(p.traffic_bytes),
            show(p.costs.time_s, "s"),
            show(p.costs.energy_j, "j"),
            " ".join(f"{rank}={tile}" for rank, tile in p.tiles.items()),
        ]
        for p in points
    ]
    first = points[0]
    head = f"{first.mapping.cascade} on {first.mapping.machine}: {len(points)} mappings, none of"
    table = grid(("bytes held", "traffic", "time", "energy", "tiles"), rows, left=(0, 4))
    return f"{head} which another beats\n\n{table}"


def forms_record(answers: Sequence["Compared"]) -> list[dict[str, Any]]:
    """Every form with its extra operations and, where it fits, its mapping's record."""
    return [
        {
            "form": answer.form.name,
            "extra_operations": answer.form.extra_operations,
            **({"fits": True, **answer.mapped.record()} if answer.mapped else {"fits": False}),
        }
        for answer in answers
    ]


def forms_text(answers: Sequence["Compared"]) -> str:
    """What wins and what it pays; a row for each form; the winner's loop nest."""
    from hwmodel.mappers.fusion.reformulate import verdict

    given = next(answer for answer in answers if not answer.form.extra_operations)
    done = float(sum(cascade_counts(given.form.cascade).values()))
    rows = [
        [
            answer.form.name,
            whole(answer.mapped.traffic_bytes) if answer.mapped else "does not fit",
            f"{answer.mapped.certificate.gap_to_bound:.1%}" if answer.mapped else "-",
            f"{sum(answer.form.extra_operations.values()) / done:+.1%}",
        ]
        for answer in answers
    ]
    table = grid(("form", "traffic", "gap", "operations"), rows, left=(0,))
    best = answers[0].mapped
    head = textwrap.fill(verdict(tuple(answers)), width())
    return "\n\n".join((head, table, *([str(best.mapping)] if best else [])))


def _wrapped(line: str) -> str:
    return textwrap.fill(line, width(), subsequent_indent=" " * 11)


def _tensor_row(t: Transfer) -> Sequence[str]:
    sizes = (t.tile, t.fills, t.drains, t.returns)
    tile, *moved = (whole(n * t.element_bytes) if n else "-" for n in sizes)
    between = f"{t.outer} > {t.inner}" if t.moved_bytes else f"in {t.inner} alone"
    return (t.tensor, between, f"2 x {tile}" if t.double else tile, *moved)


def _level_row(mapped: Mapped, level: str) -> Sequence[str]:
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
