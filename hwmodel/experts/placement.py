"""Which device holds which expert, and what a routing costs there.

A transition from expert i of one layer to expert j of another crosses where their devices differ. A
link cost is charged per transition from device d to device e: 1 off the diagonal counts crossings,
hop counts or seconds per token weigh them. The load of a device in a layer is the number of choices
of its experts. These functions judge placements; the mappers that find them share none of them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodel.experts.statistics import Counts, Routing
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.reading import json_table


@dataclass(frozen=True)
class Placement:
    """One device for each expert of each layer.

    Attributes:
        layers: numbers of the layers, in order.
        devices: how many devices there are.
        assignment: device of each expert, `(layers, experts)`.
    """

    layers: tuple[int, ...]
    devices: int
    assignment: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        """Refuse a placement that leaves an expert out or names no device."""
        if self.devices < 1 or len(self.assignment) != len(self.layers) or not self.layers:
            raise InputError(
                f"placement: expected a row for each of {len(self.layers)} layers and a device or"
                f" more, found {len(self.assignment)} rows and {self.devices} devices"
            )
        for layer, row in zip(self.layers, self.assignment, strict=True):
            if len(row) != len(self.assignment[0]):
                raise InputError(
                    f"placement, layer {layer}: expected {len(self.assignment[0])} experts, found"
                    f" {len(row)}"
                )
            for expert, device in enumerate(row):
                if not 0 <= device < self.devices:
                    raise InputError(
                        f"placement, layer {layer}, expert {expert}: expected a device of 0 to"
                        f" {self.devices - 1}, found {device}"
                    )

    @property
    def experts(self) -> int:
        """Experts in each layer."""
        return len(self.assignment[0])

    def held(self) -> NDArray[np.int64]:
        """How many experts of each layer each device holds, `(layers, devices)`."""
        return np.stack([np.bincount(row, minlength=self.devices) for row in self.assignment])

    def record(self) -> dict[str, Any]:
        """Devices by layer number, for JSON."""
        rows = zip(self.layers, self.assignment, strict=True)
        return {"devices": self.devices, "layers": {str(layer): list(row) for layer, row in rows}}


def placement(layers: tuple[int, ...], devices: int, assignment: NDArray[Any]) -> Placement:
    """A placement from an array `(layers, experts)` of devices."""
    return Placement(layers, devices, tuple(tuple(int(d) for d in row) for row in assignment))


def contiguous(layers: tuple[int, ...], experts: int, devices: int) -> Placement:
    """Equal runs of consecutive experts on each device, as frameworks place them by default.

    The first devices hold one expert more where the experts do not divide evenly.
    """
    parts = np.array_split(np.arange(experts), devices)
    row = tuple(device for device, part in enumerate(parts) for _ in range(len(part)))
    return Placement(layers, devices, (row,) * len(layers))


def read_placement(path: str | Path) -> Placement:
    """A placement from the JSON that `record` describes, alone or under the key `placement`."""
    try:
        data = json_table(path, "a placement")
        data = data.get("placement", data)
        layers = {int(layer): tuple(map(int, row)) for layer, row in data["layers"].items()}
        devices = int(data["devices"])
    except InputError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise InputError(
            f'{path}: expected {{"devices": 4, "layers": {{"0": [0, 0, 1, ...], ...}}}}, found'
            f" something else ({type(error).__name__}: {error})"
        ) from None
    order = sorted(layers)
    return Placement(tuple(order), devices, tuple(layers[layer] for layer in order))


def flows(routing: Routing, placed: Placement) -> dict[tuple[int, int], Counts]:
    """Transitions from device to device, `(devices, devices)`, by pair of layers."""
    if (placed.layers, placed.experts) != (routing.layers, routing.experts):
        raise InputError(
            f"placement: expected {routing.experts} experts in layers {list(routing.layers)}, found"
            f" {placed.experts} in {list(placed.layers)}"
        )
    found: dict[tuple[int, int], Counts] = {}
    for (a, b), counts in routing.transitions.items():
        rows = np.array(placed.assignment[placed.layers.index(a)])
        columns = np.array(placed.assignment[placed.layers.index(b)])
        table = np.zeros((placed.devices, placed.devices))
        np.add.at(table, (rows[:, None], columns[None, :]), counts)
        found[a, b] = table
    return found


def crossings(routing: Routing, placed: Placement) -> float:
    """Transitions whose two experts stand on different devices."""
    return float(sum(table.sum() - np.trace(table) for table in flows(routing, placed).values()))


def link_cost(routing: Routing, placed: Placement, cost: Counts) -> float:
    """Transitions weighed by `cost` `(devices, devices)`, the cost of one transition."""
    return float(sum((table * cost).sum() for table in flows(routing, placed).values()))


def device_loads(routing: Routing, placed: Placement) -> Counts:
    """Choices that each device serves in each layer, `(layers, devices)`."""
    found = np.zeros((len(placed.layers), placed.devices))
    for layer, (load, row) in enumerate(zip(routing.loads, placed.assignment, strict=True)):
        np.add.at(found[layer], list(row), load)
    return found


def load_imbalance(routing: Routing, placed: Placement) -> float:
    """Load of the busiest device over the mean one, layer by layer, weighed by load; 1 is even."""
    loads = device_loads(routing, placed)
    return float(loads.max(axis=1).sum() / loads.mean(axis=1).sum())


def hop_cost(devices: int, nodes: int, *, within: float = 1.0, between: float = 2.0) -> Counts:
    """Cost 0 on a device, `within` between devices of a node, `between` from node to node.

    Devices stand on nodes in equal runs. The defaults are the hop counts that ExFlow scores with.
    """
    if nodes < 1 or devices % nodes:
        raise InputError(f"nodes: expected a divisor of {devices} devices, found {nodes}")
    node = np.arange(devices) // (devices // nodes)
    cost = np.where(node[:, None] == node[None, :], within, between)
    np.fill_diagonal(cost, 0.0)
    return cost
