"""Compare: the forms of a cascade with a softmax, each mapped at its best; which wins, and why."""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.counts import cascade_counts
from hwmodel.hardware.hardware import Hardware
from hwmodel.mappers.fusion.fuse import fuse
from hwmodel.mappers.fusion.reformulate import TILES, Reformulation, reformulations
from hwmodel.mappers.nests.certify import certified
from hwmodel.mappers.nests.mapped import NestMapped, whole
from hwmodel.quantity.errors import CapacityError
from hwmodel.text.grid import grid, width


@dataclass(frozen=True)
class Compared:
    """A reformulation and its best fused mapping; None where nothing fits."""

    form: Reformulation
    mapped: NestMapped | None
    reason: str = ""


def compare(
    cascade: Cascade,
    hardware: Hardware,
    *,
    tiles: Iterable[int] = TILES,
    mapspace: str = "uniform",
) -> tuple[Compared, ...]:
    """Every reformulation with its best fused mapping, least traffic first."""
    answers: list[Compared] = []
    for form in reformulations(cascade, tiles):
        try:
            answers.append(
                Compared(form, certified(fuse, form.cascade, hardware, mapspace=mapspace))
            )
        except CapacityError as error:
            answers.append(Compared(form, None, str(error)))
    return tuple(sorted(answers, key=_order))


def verdict(answers: tuple[Compared, ...]) -> str:
    """Which form wins, by how much, and what it pays for that."""
    given = next(a for a in answers if a.form.name == "as given")
    best = answers[0]
    if best.mapped is None:
        return f"no form fits: {best.reason}"
    paid = ", ".join(f"{n:,} {kind}" for kind, n in best.form.extra_operations.items() if n > 0)
    saved = ", ".join(f"{-n:,} {kind}" for kind, n in best.form.extra_operations.items() if n < 0)
    if best is given:
        return f"as given: no reformulation moves less than {best.mapped.traffic_bytes:,} bytes"
    against = (
        f"{given.mapped.traffic_bytes:,} bytes as given"
        if given.mapped
        else "none that fits as given"
    )
    return (
        f"{best.form.name}: {best.mapped.traffic_bytes:,} bytes against {against}, because no fiber"
        f" of {given.form.cascade.name} has to be held whole or written out between passes; it pays"
        f" {paid or 'no operation'}" + (f" and saves {saved}" if saved else "")
    )


def _order(answer: Compared) -> tuple[float, int]:
    moved = answer.mapped.traffic_bytes if answer.mapped else float("inf")
    return moved, sum(answer.form.extra_operations.values())


def forms_record(answers: Sequence[Compared]) -> list[dict[str, Any]]:
    """Every form with its extra operations and, where it fits, its mapping's record."""
    return [
        {
            "form": answer.form.name,
            "extra_operations": answer.form.extra_operations,
            **({"fits": True, **answer.mapped.record()} if answer.mapped else {"fits": False}),
        }
        for answer in answers
    ]


def forms_text(answers: Sequence[Compared]) -> str:
    """What wins and what it pays; a row for each form; the winner's loop nest."""
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
