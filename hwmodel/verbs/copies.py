"""Copies of hot experts beside a placement: how even the devices become, and when copies have paid.

Experts get `slots` places in each layer, `slots / devices` on each device, placed for load alone
(`hwmodel.mappers.placement.replicas`): that what moves between layers crosses less is the business
of the placement without copies. Loads are compared with that placement, and with DeepSeek's
balancer (EPLB). Where links and the times of experts are known, the copies that a device does not
hold yet are fetched from the placement's devices all at once, which pays after copy_s / saved_s
steps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwmodel.experts.placement import Placement, device_loads
from hwmodel.experts.statistics import Counts, Routing
from hwmodel.experts.step import break_even_steps
from hwmodel.mappers.placement.replicas import balance, eplb, largest_load
from hwmodel.spine.certificate import Certificate


@dataclass(frozen=True)
class Copies:
    """Experts in slots, the load of the busiest device over the mean, and what copying costs.

    Attributes:
        slots: expert in each slot, `(layers, slots)`, the slots of a device together.
        certificate: largest device load, summed over layers, and its bound.
        imbalance: load of the busiest device over the mean; `eplb_imbalance` that of EPLB.
        least_imbalance: a proven bound on it, for copies that share their load evenly.
        copy_s: seconds to fetch the copies; None where links or sizes are not known.
        saved_s: seconds of experts that a step is shorter than with the placement without copies.
    """

    slots: tuple[tuple[int, ...], ...]
    certificate: Certificate
    imbalance: float
    eplb_imbalance: float
    least_imbalance: float
    copy_s: float | None = None
    saved_s: float | None = None

    @property
    def break_even_steps(self) -> float | None:
        """Steps after which the copies have paid; None where unknown, or never."""
        if self.copy_s is None or not self.saved_s or self.saved_s <= 0:
            return None
        return break_even_steps(copy_s=self.copy_s, saved_s=self.saved_s)

    def record(self) -> dict[str, Any]:
        """Every field, for JSON."""
        fields = {name: value for name, value in vars(self).items() if name != "certificate"}
        return {**fields, "break_even_steps": self.break_even_steps, **self.certificate.record()}


def with_copies(
    routing: Routing,
    placed: Placement,
    slots: int,
    *,
    choices_s: float = 0.0,
    expert_bytes: float | None = None,
    exchange_s: Callable[[Counts], float] | None = None,
) -> Copies:
    """The best copies found; `choices_s` is what all choices of a layer take on one device.

    Raises `InputError` for slots that the devices do not divide, `CapacityError` for too few.
    """
    devices = placed.devices
    found = balance(routing.loads, slots, devices)
    rows = eplb(routing.loads, slots, devices)
    pairs = list(zip(routing.loads, rows, strict=True))
    mean = float(routing.loads.sum()) / devices
    copy_s = None
    if expert_bytes is not None and exchange_s is not None:
        copy_s = exchange_s(_fetched(placed, found.slots) * expert_bytes)
    before = device_loads(routing, placed).max(axis=1)
    after = np.array(
        [
            largest_load(load, np.array(row), devices)
            for load, row in zip(routing.loads, found.slots, strict=True)
        ]
    )
    shorter = float(((before - after) / routing.loads.sum(axis=1)).sum())
    return Copies(
        slots=found.slots,
        certificate=found.certificate,
        imbalance=float(after.sum()) / mean,
        eplb_imbalance=sum(largest_load(load, row, devices) for load, row in pairs) / mean,
        least_imbalance=found.certificate.mapspace_bound / mean,
        copy_s=copy_s,
        saved_s=choices_s * shorter if choices_s > 0 else None,
    )


def _fetched(placed: Placement, slots: tuple[tuple[int, ...], ...]) -> Counts:
    """Experts that each device takes from each other one, `(from, to)`."""
    table = np.zeros((placed.devices, placed.devices))
    each = len(slots[0]) // placed.devices
    for row, homes in zip(slots, placed.assignment, strict=True):
        for device, expert in {(slot // each, expert) for slot, expert in enumerate(row)}:
            table[homes[expert], device] += 1
    np.fill_diagonal(table, 0.0)
    return table
