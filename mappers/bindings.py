"""Bindings: which shipped binding of attention is best on a machine with a 2D and a 1D array.

The mapspace `bindings` is every shipped binding that the machine has the functions and the room
for, each with query blocks that divide and of any size. All are predicted, as `predict` does, so
that the best of them is proven; the answer's seconds and joules are `predict`'s, to the last bit.

The bound for any schedule is the prediction's roofline for time, and for energy what must cross
DRAM's boundary.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hwmodel.einsum.cascade import Cascade
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines import driver
from hwmodel.machines.spatial.binding import Binding, binding, bindings
from hwmodel.mappers.mapper import Mapped, Proposal
from hwmodel.quantity.errors import CapacityError, CoverageError
from hwmodel.spine.estimate import Estimate

OBJECTIVES: Mapping[str, str] = {"latency": "s", "energy": "J", "edp": "J s"}
"""What can be minimised, and its unit."""


@dataclass(frozen=True, eq=False, repr=False)
class BoundMapped(Mapped):
    """The best binding, its prediction, and what the others come to, by name."""

    binding: Binding
    estimate: Estimate
    others: Mapping[str, float]

    @property
    def time_s(self) -> float:
        """Seconds, as predicted."""
        return float(self.estimate.time_s)

    @property
    def energy_j(self) -> float:
        """Joules, as predicted."""
        return float(self.estimate.energy_j)

    def record(self) -> dict[str, Any]:
        """The certificate, the binding, and the prediction's fields."""
        return {
            **self.certificate.record(),
            "binding": self.binding.name,
            "others": dict(self.others),
            "estimate": self.estimate.record(),
        }

    def __str__(self) -> str:
        """The binding, how good it is, and the prediction."""
        proof = self.certificate
        listed = ", ".join(f"{name} {value:.4g}" for name, value in self.others.items())
        return (
            f"{self.binding.name}: {self.binding.title}\n{proof.objective} {proof.value:.6g}"
            f" {proof.unit}: {proof.words}; bound {proof.bound:.6g} for any schedule\n"
            f"others ({proof.unit}): {listed or 'none runs here'}\n\n{self.estimate}"
        )


def map_bindings(
    cascade: Cascade, hardware: Hardware, *, objective: str, capacities: Mapping[str, float]
) -> Proposal:
    """The binding of attention with the least seconds, joules or product of both.

    Raises `CoverageError` where none runs.
    """
    del capacities  # a binding fills the machine's own
    return _proposal(_predicted(cascade, hardware), objective)


def _proposal(found: Mapping[str, Estimate], objective: str) -> Proposal:
    values = {name: _value(estimate, objective) for name, estimate in found.items()}
    best = min(values, key=lambda name: values[name])
    return Proposal(
        binding(best),
        mapspace="bindings",
        candidates=len(found),
        optimal=True,
        expected=values[best],
        given=(f"one of {', '.join(found)}",),
    )


def certified(cascade: Cascade, hardware: Hardware, *, objective: str) -> BoundMapped:
    """The best binding, with its prediction and certificate."""
    started_s = time.perf_counter()
    found = _predicted(cascade, hardware)
    proposal = _proposal(found, objective)
    chosen = proposal.choice
    assert isinstance(chosen, Binding)
    estimate = found.pop(chosen.name)
    took_s = time.perf_counter() - started_s
    value, unit = _value(estimate, objective), OBJECTIVES[objective]
    general = _bound(estimate, hardware, objective)
    return BoundMapped(
        certificate=proposal.certificate(objective, unit, value, general, took_s),
        binding=chosen,
        estimate=estimate,
        others={name: _value(each, objective) for name, each in found.items()},
    )


def _predicted(cascade: Cascade, hardware: Hardware) -> dict[str, Estimate]:
    """The prediction of every shipped binding that runs."""
    found: dict[str, Estimate] = {}
    reasons: list[str] = []
    for name in bindings():
        try:
            found[name] = driver.predict(cascade, hardware, kernel=name)
        except (CapacityError, CoverageError) as error:
            reasons.append(f"{name}: {error}")
    if not found:
        raise CoverageError(
            f"{cascade.name} on {hardware.name}: no shipped binding runs; {'; '.join(reasons)}"
        )
    return found


def _value(estimate: Estimate, objective: str) -> float:
    seconds, joules = float(estimate.time_s), float(estimate.energy_j)
    return {"latency": seconds, "energy": joules, "edp": seconds * joules}[objective]


def _bound(estimate: Estimate, hardware: Hardware, objective: str) -> tuple[float, str]:
    seconds = float(estimate.bound_s)
    joules = float(estimate.bound_bytes) * float(hardware.memory("dram").energy_j_per_byte)
    value = {"latency": seconds, "energy": joules, "edp": seconds * joules}[objective]
    reasons = {"latency": "the roofline", "energy": "bytes across DRAM's boundary alone"}
    return value, reasons.get(objective, "the roofline, and bytes across DRAM's boundary")
