"""The answer of a placement: its fields for JSON, and a text for people.

Every number is counted anew from the placement; shares are of all transitions.
"""

import textwrap
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hwmodel.experts.placement import (
    Placement,
    contiguous,
    crossings,
    flows,
    load_imbalance,
    placement,
)
from hwmodel.experts.statistics import Routing
from hwmodel.experts.step import StepTimes
from hwmodel.mappers.mapper import Mapped
from hwmodel.quantity.units import show
from hwmodel.text.grid import grid, width
from hwmodel.verbs.copies import Copies

SHOWN_EXPERTS, SHOWN_LAYERS = 16, 12
"""Largest placement that is printed whole."""


@dataclass(frozen=True, eq=False, repr=False)
class PlaceAnswer(Mapped):
    """A placement, its certificate, and how it compares with consecutive experts.

    Attributes:
        certificate: of the objective; for crossings its value and bound count transitions.
        crossings: transitions that change device, counted anew from the placement.
        contiguous_crossings: the same where each device holds consecutive experts.
        step: times of a step before (consecutive experts) and after, where a topology is given.
        copies: hot experts in the slots that were asked for, beside the placement.
    """

    routing: Routing
    placement: Placement
    nodes: int
    crossings: float
    contiguous_crossings: float
    interrupted: bool
    history: tuple[tuple[float, float, float], ...]
    step: tuple[StepTimes, StepTimes] | None = None
    copies: Copies | None = None
    notes: tuple[str, ...] = field(default=())

    def record(self) -> dict[str, Any]:
        """Every field, for JSON."""
        plain = contiguous(self.routing.layers, self.routing.experts, self.placement.devices)
        steps = self.step and {
            name: {**vars(step), "vanilla_s": step.vanilla_s, "coherent_s": step.coherent_s}
            for name, step in zip(("contiguous", "placed"), self.step, strict=True)
        }
        counted = {"value", "bound"} if not self.certificate.unit else set[str]()
        proof = self.certificate.record()
        return {
            "crossings": _whole(self.crossings),
            "contiguous_crossings": _whole(self.contiguous_crossings),
            **{name: _whole(v) if name in counted else v for name, v in proof.items()},
            "transitions": _whole(self.routing.total),
            "node_crossings": _whole(_node_crossings(self.routing, self.placement, self.nodes)),
            "contiguous_node_crossings": _whole(_node_crossings(self.routing, plain, self.nodes)),
            "load_imbalance": load_imbalance(self.routing, self.placement),
            "contiguous_load_imbalance": load_imbalance(self.routing, plain),
            "nodes": self.nodes,
            "interrupted": self.interrupted,
            "step": steps,
            "copies": self.copies and self.copies.record(),
            "placement": self.placement.record(),
            "history": [
                {"elapsed_s": at_s}
                | {
                    name: _whole(v) if counted else v
                    for name, v in (("value", value), ("bound", bound))
                }
                for at_s, value, bound in self.history
            ],
            "warnings": list(self.notes),
        }

    def __str__(self) -> str:
        """The answer in one line, a row for each pair of layers, and the placement if small."""
        return _text(self)


def _whole(count: float) -> int | float:
    """A count as an integer; counts that are shares of tokens stay as they are."""
    return int(count) if count == int(count) else count


def _node_crossings(routing: Routing, placed: Placement, nodes: int) -> float:
    node = np.array(placed.assignment) // (placed.devices // nodes)
    return crossings(routing, placement(placed.layers, nodes, node))


def _text(answer: PlaceAnswer) -> str:
    routing, certificate, placed = answer.routing, answer.certificate, answer.placement
    plain = contiguous(routing.layers, routing.experts, placed.devices)
    uneven = [load_imbalance(routing, each) for each in (plain, placed)]
    fewer = 1 - answer.crossings / answer.contiguous_crossings if answer.contiguous_crossings else 0
    proof = (
        "proven optimal"
        if certificate.optimal_in_mapspace
        else f"gap {certificate.gap_to_bound:.2%}"
    )
    layers = f"each of {len(routing.layers)} layers" if len(routing.layers) > 1 else "one layer"
    head = f"{routing.experts} experts in {layers} on {placed.devices} devices"
    if routing.transitions:
        found = (
            f"{answer.crossings:,.0f} of {routing.total:,.0f} transitions cross"
            f" ({answer.crossings / routing.total:.1%}), {fewer:.1%} fewer than with consecutive"
            f" experts"
        )
    else:
        found = (
            f"the busiest device serves {uneven[1]:.4g} times the mean load, {uneven[0]:.4g} times"
            " with consecutive experts"
        )
    lines = [
        f"{head}: {found}",
        f"{certificate.objective} {_exact(certificate.value)}, bound {_exact(certificate.bound)}:"
        f" {proof} ({certificate.bound_reason}; {certificate.solve_time_s:.2f} s"
        + (", interrupted)" if answer.interrupted else ")"),
    ]
    before, after = flows(routing, plain), flows(routing, placed)
    rows = [
        [
            f"{a} -> {b}",
            f"{table.sum():,.0f}",
            f"{1 - np.trace(before[a, b]) / table.sum():.1%}",
            f"{1 - np.trace(table) / table.sum():.1%}",
        ]
        for (a, b), table in list(after.items())[:SHOWN_LAYERS]
        if table.sum()
    ]
    heads = ("layers", "transitions", "cross, consecutive", "cross, placed")
    summary = [["load of the busiest device / mean", *(f"{each:.3g}" for each in uneven)]]
    if answer.nodes > 1 and routing.transitions:
        summary.append(
            [
                "transitions that leave a node",
                f"{_node_crossings(routing, plain, answer.nodes) / routing.total:.1%}",
                f"{_node_crossings(routing, placed, answer.nodes) / routing.total:.1%}",
            ]
        )
    if answer.step is not None:
        for name in ("vanilla_exchange_s", "coherent_exchange_s"):
            words = {"v": "two all-to-alls a layer", "c": "one all-to-all a layer, all-gather"}
            cells = [show(getattr(step, name), "s") for step in answer.step]
            summary.append([f"exchanges of a step, {words[name[0]]}", *cells])
    blocks = ["\n".join(map(_wrapped, lines))]
    blocks += [grid(heads, rows, left=(0,))] if rows else []
    blocks.append(grid(("", "consecutive", "placed"), summary, left=(0,)))
    if answer.copies is not None:
        blocks.append("\n".join(map(_wrapped, _copied(answer.copies))))
    if routing.experts <= SHOWN_EXPERTS and len(routing.layers) <= SHOWN_LAYERS:
        pairs = zip(placed.layers, placed.assignment, strict=True)
        named = [[str(x), *map(str, row)] for x, row in pairs]
        experts = [str(expert) for expert in range(routing.experts)]
        blocks.append("device of each expert\n" + grid(("layer", *experts), named, left=()))
    blocks += [_wrapped(f"warning: {note}") for note in answer.notes]
    return "\n\n".join(blocks)


def _copied(copies: Copies) -> list[str]:
    lines = [
        f"{len(copies.slots[0])} slots of each layer for experts and copies: busiest device / mean"
        f" {copies.imbalance:.4g} (EPLB {copies.eplb_imbalance:.4g}, bound"
        f" {copies.least_imbalance:.4g}); placed for load alone"
    ]
    if copies.copy_s is not None:
        steps = copies.break_even_steps
        paid = "no step is shorter: they never pay" if steps is None else f"paid after {steps:,.1f}"
        if copies.saved_s is not None:
            saved = f", a step is {show(copies.saved_s, 's')} shorter: {paid} steps"
            saved = saved if steps is not None else f"; {paid}"
        else:
            saved = "; give the time of a token in an expert (--token-s) for when they pay"
        lines.append(f"copying takes {show(copies.copy_s, 's')}{saved}")
    return lines


def _wrapped(text: str) -> str:
    return textwrap.fill(text, width(), subsequent_indent="  ")


def _exact(value: float) -> str:
    """A count in full, anything else to six digits."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.6g}"
