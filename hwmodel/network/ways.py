"""Ways of a collective on a topology: which algorithms run, as schedules between its devices."""

from collections.abc import Sequence

import numpy as np

from hwmodel.einsum.fan import Fan
from hwmodel.network import nccl
from hwmodel.network.algorithms import ADDED, ALGORITHMS, EQUAL, GRID, check, schedule
from hwmodel.network.alike import PAIRS, folded, from_first, represented
from hwmodel.network.boxes import Boxes
from hwmodel.network.flows import Groups, Protocol, carried
from hwmodel.network.grids import sides_of
from hwmodel.network.nccl import Way
from hwmodel.network.routes import speeds
from hwmodel.network.spans import box_of
from hwmodel.network.topology import Topology
from hwmodel.network.tori import torus_of
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.units import Amount

ALIKE = ("all_to_all",)
"""Operations whose schedules look the same from every box."""


def candidates(op: str, topology: Topology, groups: Groups, boxes: Boxes) -> list[str]:
    """What the library chooses from, between ranks of which so many stand in each box.

    Trees are among them inside a box too: the shipped topologies were fitted with them.
    """
    names = [nccl.ON_ONE_SWITCH[op]] + (["tree"] if op in nccl.TREES else [])
    if GRID in ALGORITHMS[op] and topology.sides and sides_of(groups, topology.sides):
        names.append(GRID)
    if not any(node.kind == "switch" for node in topology.nodes):
        own = ("direct", "tree", "star")  # links to every peer: rings in all directions at once
        names += [name for name in own if name in ALGORITHMS[op] and name not in names]
    levels = ["hierarchical"] if _leveled(op, boxes) and op != "broadcast" else []
    return [*names, *levels, *_adding(op, topology, boxes)]


def _leveled(op: str, boxes: Boxes) -> bool:
    """Whether an operation can run inside boxes and between them in turn."""
    if len(boxes) == 1 or max(boxes) == 1 or "hierarchical" not in ALGORITHMS[op]:
        return False
    return op not in EQUAL or min(boxes) == max(boxes)


def _adding(op: str, topology: Topology, boxes: Boxes) -> list[str]:
    """Algorithms that leave sums to switches, where there are such and ranks enough for them."""
    if op != "all_reduce" or min(boxes) < nccl.LEAST_ADDED:
        return []
    inside, between = (
        any(kind.startswith(word) for kind in speeds(topology)[1]) for word in ("link", "nic")
    )
    if not inside:
        return []
    return ["in-switch", "in-network"] if between and len(boxes) > 1 else ["in-switch"]


def ways_on(
    op: str,
    size: Amount,
    topology: Topology,
    groups: Groups,
    boxes: Boxes,
    algorithms: Sequence[str] | None = None,
    protocol: Protocol | None = None,
    fan: Fan | None = None,
) -> list[Way]:
    """Algorithms as schedules between groups of devices, as `boxed` has them; by default all.

    Raises `UnknownNameError`, and `InputError` for the hierarchical one where it has no two levels.
    """
    check(op)
    count = len(groups[0])
    across, alike = len(boxes) > 1, min(boxes) == max(boxes)
    few = represented(topology, groups, boxes[0]) if op in ALIKE and across and alike else None
    known, asked = few or topology, groups if few is None else None
    whole = torus_of(known) is not None and count == len(known.devices)
    free = [name for name in ALGORITHMS[op] if name not in (*ADDED, GRID)]
    names = algorithms or [name for name in free if name != "hierarchical" or _leveled(op, boxes)]
    if "hierarchical" in names and not _leveled(op, boxes):
        raise InputError(
            f"{op}: hierarchical: expected devices in several boxes{_EQUALLY * (op in EQUAL)},"
            f" found {count} devices in boxes of {listed(boxes)}; choose another algorithm"
        )
    for name in names:
        if name in ADDED and name not in _adding(op, topology, boxes):
            where = "between boxes too" if name == "in-network" else "of a box"
            raise InputError(
                f"{op}: {name}: expected switches {where} that add (`reduction` of a link) and"
                f" {nccl.LEAST_ADDED} ranks or more in each box, found {count} ranks of"
                f" {topology.name} in boxes of {listed(boxes)}; choose another algorithm"
            )
    found: list[Way] = []
    for name in names:
        if name == GRID:
            found.append(_in_grid(op, size, topology, groups, protocol or Protocol()))
            continue
        if name in PAIRS and op != "p2p" and whole and fan is None:
            rounds = from_first(op, name, count)
        else:
            rounds = schedule(op, name, count, boxes if across or name in ADDED else 1, fan)
            rounds = rounds if few is None else folded(rounds, boxes[0])
        found.append(Way(name, *carried(rounds, size, known, asked, protocol or Protocol())))
    return found


def _in_grid(op: str, size: Amount, topology: Topology, groups: Groups, protocol: Protocol) -> Way:
    """The bucket algorithm between groups that are grids of a torus."""
    grid = sides_of(groups, topology.sides) if topology.sides else None
    if grid is None:
        raise InputError(
            f"{op}: {GRID}: expected devices that are a grid of a torus, found"
            f" {len(groups[0])} of {topology.name}; choose another algorithm"
        )
    sides, placed = grid
    rounds = schedule(op, GRID, len(placed[0]), sides)
    return Way(GRID, *carried(rounds, size, topology, placed, protocol))


_EQUALLY = " of equally many"


def listed(boxes: Boxes) -> str:
    """The sizes of boxes, each once."""
    return " and ".join(str(size) for size in sorted(set(boxes), reverse=True))


def boxed(topology: Topology, groups: Groups) -> tuple[list[list[int]], tuple[int, ...]]:
    """Devices of each group in the order of their boxes, the fullest first; and how many in each.

    1 in each where groups differ. Raises `InputError` for devices that are none, or stand twice.
    """
    most_known = len(topology.devices) - 1
    every = [device for group in groups for device in group]
    if strange := [i for i in every if not 0 <= i <= most_known]:
        raise InputError(f"{topology.name}: expected devices 0 to {most_known}, found {strange[0]}")
    if len(set(every)) < len(every) or not every:
        raise InputError(f"{topology.name}: expected devices, each once, found {every}")
    places = box_of(topology)
    found: list[list[int]] = []
    sizes: set[tuple[int, ...]] = set()
    for group in groups:
        ranks = np.sort(group)
        _, box, counts = np.unique(places[ranks], return_inverse=True, return_counts=True)
        found.append(ranks[np.lexsort((box, -counts[box]))].tolist())
        sizes.add(tuple(np.sort(counts)[::-1].tolist()))
    return found, sizes.pop() if len(sizes) == 1 else (1,) * len(groups[0])
