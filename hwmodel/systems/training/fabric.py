"""Seconds of exchanges in a cluster; of boxes in closed form, as many executions are asked about.

Inside a box it is the device's switch, as `network.collectives` has it. Between boxes each device
has a card. Of n ranks, k in each box, a ring sends over the cards of a box (its k rings use one
card each)

    all_reduce              2 (n - 1) / n of the buffer, over k cards
    all_gather, reduce_scatter  (n - 1) / n of the whole buffer, over k cards
    all_to_all              (n - k) / n of a rank's buffer, over its own card

and the slower of the two levels paces the other. Where a topology has no cards (a torus) exchanges
are those of `network.collectives` on its links, with all groups of devices at once.

Tokens on their way to experts (`routed`) go as DeepEP's kernels for training and prompts send them
(deepseek-ai/DeepEP, README: NVLink and RDMA with forwarding between the two): a token enters each
other box that has one of its experts once, over the card, and each device of a box once, over the
switch, however many of its experts are there (`Fan` says to how many on average).
NCCL's all-to-all sends a copy for each expert instead.
"""

import math
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from hwmodel.einsum.fan import Fan
from hwmodel.hardware.hardware import Hardware
from hwmodel.network.collectives import cost
from hwmodel.network.flows import carried
from hwmodel.network.nccl import link_of
from hwmodel.network.rounds import shifted
from hwmodel.network.topology import Topology
from hwmodel.network.ways import boxed
from hwmodel.quantity.errors import CoverageError, InputError
from hwmodel.spine.activity import fold

SHARES = {"all_reduce": 2.0, "all_gather": 1.0, "reduce_scatter": 1.0}
CARD_BYTES_PER_S = {"ampere": 22.1e9, "hopper": 44.2e9, "blackwell": 44.2e9, "cdna3": 44.2e9}
"""A card of 200 or 400 Gb/s for each device, of which NCCL carries 0.884 (fitted to all_reduces
between boxes: the shipped topologies h100-ndr, gb200-nvl72, p6-b200)."""
OTHER_CARD = 22.1e9
CARD_S = 25e-6
"""Start of an exchange between boxes (as the shipped topologies have it for messages)."""

WORD_BYTES = 4096
"""To whose multiples messages are rounded: kernels of exchanges move whole words."""

LONG_BYTES = 2**30
"""Of messages that are all bandwidth."""


@dataclass(frozen=True)
class Fabric:
    """Boxes of `box` devices behind a switch each, and a card for each device.

    Attributes:
        machine: the device, with its link.
        card_bytes_per_s: of each device's card, in each direction.
        network: the links where there are no cards; the first `devices` of it take part.
    """

    machine: Hardware
    box: int
    card_bytes_per_s: float
    card_s: float = CARD_S
    network: Topology | None = None
    devices: int = 1
    _asked: dict[tuple[str, float, int, int], float] = field(
        default_factory=lambda: {}, compare=False, repr=False
    )

    @classmethod
    def of(
        cls, machine: Hardware, *, box: int | None = None, card_bytes_per_s: float | None = None
    ) -> "Fabric":
        """As most clusters of a device are built, but for what is given."""
        inside = 1 if machine.link is None else int(link_of(machine).max_devices)
        card = CARD_BYTES_PER_S.get(machine.architecture or "", OTHER_CARD)
        return cls(machine, box or inside, card_bytes_per_s or card)

    def seconds(self, op: str, size: float, ranks: int, stride: int = 1) -> float:
        """One exchange among `ranks` devices whose numbers differ by `stride`.

        `size` is counted as nccl-tests does. Raises `CoverageError` for a device without a link.
        """
        if ranks <= 1 or size <= 0:
            return 0.0
        if self.network is not None:
            return self._on_links(op, size, ranks, stride)
        inside = min(ranks, max(1, self.box // stride))
        within = self._in_box(op, size, inside)
        if inside == ranks:
            return within
        return max(within, self._between(op, size, ranks, inside)) + self.card_s

    def routed(
        self, size: float, picks: int, experts: int, ranks: int, stride: int = 1, *, dispatch: str
    ) -> float:
        """Tokens of `size` bytes on a device sent to `picks` of all experts each, or back.

        `dispatch` is a `Division`'s.
        """
        if dispatch == "all-to-all":
            return self.seconds("all_to_all", size * picks, ranks, stride)
        inside = min(ranks, max(1, self.box // stride))
        near = math.ceil(size * Fan(picks, experts).reached(ranks) / WORD_BYTES) * WORD_BYTES
        if self.network is not None:
            return self.seconds("all_to_all", near, ranks, stride)
        within = self._in_box("all_to_all", near, inside)
        if inside == ranks:
            return within
        boxes = ranks / inside
        leaves = size * Fan(picks, experts).reached(boxes) * (boxes - 1) / boxes
        return max(within, leaves / self.card_bytes_per_s) + self.card_s

    def sent(self, size: float, stride: int) -> float:
        """A message to the device `stride` further on."""
        if self.network is not None:
            return self._on_links("p2p", size, 2, stride)
        if stride < self.box and self.machine.link is not None:
            return self._in_box("p2p", size, 2)
        return size / self.card_bytes_per_s + self.card_s

    def _between(self, op: str, size: float, ranks: int, inside: int) -> float:
        if op == "all_to_all":
            return size * (ranks - inside) / ranks / self.card_bytes_per_s
        share = SHARES[op] * (ranks - 1) / ranks
        return size * share / inside / self.card_bytes_per_s

    def _on_links(self, op: str, size: float, ranks: int, stride: int) -> float:
        """The same on the links of a topology, while all other groups exchange, too."""
        assert self.network is not None
        key = (op, size, ranks, stride)
        if key not in self._asked:
            most = len(self.network.devices)
            if self.devices > most:
                raise InputError(
                    f"training: topology: expected a network of {self.devices} devices or more,"
                    f" found {self.network.title or self.network.name} with {most}; say a larger"
                    " one, or fewer devices"
                )
            groups = strided(ranks, stride, self.devices)
            found = cost(op, size, ranks, self.machine, self.network, groups)
            self._asked[key] = float(fold(found.tree, found.rates).time_s)
        return self._asked[key]

    def _in_box(self, op: str, size: float, ranks: int) -> float:
        if ranks <= 1:
            return 0.0
        if self.machine.link is None:
            raise CoverageError(f"{self.machine.name}: has no link to others of its kind")
        key = (op, size, ranks, 1)
        if key not in self._asked:
            found = cost(op, size, ranks, self.machine)
            self._asked[key] = float(fold(found.tree, found.rates).time_s)
        return self._asked[key]


@lru_cache(maxsize=256)
def strided(ranks: int, stride: int, devices: int) -> tuple[tuple[int, ...], ...]:
    """Groups of so many of the first devices, whose numbers differ by `stride`; those that fit."""
    blocks = max(1, devices // (ranks * stride))
    numbers = np.arange(blocks * ranks * stride).reshape(blocks, ranks, stride)
    return tuple(map(tuple, numbers.swapaxes(1, 2).reshape(-1, ranks).tolist()))


def collided(topology: Topology) -> float:
    """How many times longer an exchange between boxes takes for flows that a hash puts on one path.

    Of long messages, all cards sending at once. 1 where paths are planned, or where there is one
    alone (C4, arXiv 2406.04594).
    """
    if topology.paths != "hashed":
        return 1.0
    planned = topology.model_copy(update={"paths": "even"})
    return _exchange_s(topology) / _exchange_s(planned)


def _exchange_s(topology: Topology) -> float:
    """Seconds in which each device sends a long message to its like in the next box."""
    groups, boxes = boxed(topology, [range(len(topology.devices))])
    sends = shifted(len(groups[0]), min(boxes), 1.0)
    return float(fold(*carried((sends,), LONG_BYTES, topology, groups)).time_s)
