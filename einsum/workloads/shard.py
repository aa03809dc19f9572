"""One device's share of a model: exact parameters, bytes of weights and of the cache.

All of it follows from the weights and caches of the network's blocks. Parameters of the whole model
(`tp=1`) equal the totals that checkpoints publish. Under tensor parallelism what has a `Split` is
divided; the rest (norms, routers, biases of row-divided products) is on every device.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from hwmodel.einsum.division import ALONE, Division
from hwmodel.einsum.workloads.blocks.block import Cache, caches, seen
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.blocks.share import Share
from hwmodel.einsum.workloads.blocks.weight import PARTS
from hwmodel.einsum.workloads.policies.kept import Kept
from hwmodel.einsum.workloads.precision import Precision
from hwmodel.einsum.workloads.workload import whole
from hwmodel.quantity.arithmetic import ceil_div, most
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.errors import UnknownNameError
from hwmodel.quantity.units import Amount


@dataclass(frozen=True)
class Shard:
    """One device's share of a model: parameters and bytes.

    Of a pipeline it is the whole model's; `stages` has that of each stage.
    """

    network: Network
    precision: Precision
    ways: Division = ALONE

    @property
    def tp(self) -> int:
        """Devices that divide tensors."""
        return self.ways.tp

    @cached_property
    def stages(self) -> "tuple[Shard, ...]":
        """One device's share of each stage of the pipeline."""
        return tuple(replace(self, network=part) for part in self.network.cut(self.ways.pp))

    @cached_property
    def share(self) -> Share:
        """What blocks make their stages for."""
        return Share(self.precision, self.ways)

    def pieces(self, counted: str) -> int:
        """Pieces on this device of what a config key counts, such as "num_key_value_heads"."""
        splits = {w.split.what: w.split for w, _ in self.network.weights if w.split is not None}
        if counted not in splits:
            raise UnknownNameError("size that devices divide", counted, splits)
        return splits[counted].share(self.tp)

    @cached_property
    def parameters_by_part(self) -> dict[str, int]:
        """Parameters of each part, all layers together."""
        found: dict[str, int] = dict.fromkeys(PARTS, 0)
        for weight, layers in self.network.weights:
            held = len(layers) * weight.elements(self.ways)
            found[weight.part] = found.get(weight.part, 0) + held
        return found

    @property
    def parameters(self) -> int:
        """Parameters held, tied ones once."""
        return sum(self.parameters_by_part.values())

    @cached_property
    def active_parameters(self) -> int:
        """Parameters that one token uses: all but the experts that it is not sent to."""
        return sum(len(layers) * w.active(self.ways) for w, layers in self.network.weights)

    @cached_property
    def weight_bytes(self) -> int | float:
        """Bytes of all weights, block scales included."""
        held: dict[str, int] = {}
        for weight, layers in self.network.weights:
            elements = weight.elements(self.ways)
            for stored, times in self.precision.stored_in(weight, layers).items():
                held[stored] = held.get(stored, 0) + times * elements
        return sum(_bytes(elements, stored) for stored, elements in held.items())

    @cached_property
    def fullest_bytes(self) -> int | float:
        """Bytes of the weights of the stage that has most."""
        return max(part.weight_bytes for part in self.stages)

    @cached_property
    def kv_bytes_per_token(self) -> int | float:
        """Bytes of keys and values of one token in all layers, while no window has filled."""
        held: dict[str, int] = {}
        for cache, times in self._caches:
            kind = cache.format or self.precision.kv
            held[kind] = held.get(kind, 0) + times * cache.per_token(self.tp)
        return sum(_bytes(elements, kind) for kind, elements in held.items())

    def kv_bytes(self, batch: Amount, tokens: Amount) -> Amount:
        """Bytes of the cache of `batch` sequences of `tokens`; a windowed layer keeps its last."""
        sizes = whole("kv_bytes", batch=batch, tokens=tokens)
        windows: dict[tuple[int | Kept | None, str], int] = {}
        for cache, times in self._caches:
            held = times * cache.per_token(self.tp)
            key = cache.window, cache.format or self.precision.kv
            windows[key] = windows.get(key, 0) + held
        total: Amount = self.state_bytes
        for (window, kind), elements in windows.items():
            total = total + _bytes(elements, kind) * seen(sizes["tokens"], window)
        return sizes["batch"] * total

    def fullest_kv_bytes(self, tokens: Amount) -> Amount:
        """Bytes that a sequence's cache takes on all devices of its replica, each as the fullest.

        Devices that divide tokens keep their part of them; stages of a pipeline their layers'.
        """
        mine = ceil_div(tokens, self.ways.cp)
        kept = most(part.kv_bytes(1, mine) for part in self._kinds)
        return kept * (self.ways.tp * self.ways.cp * self.ways.pp)

    @cached_property
    def _kinds(self) -> "tuple[Shard, ...]":
        """Stages that differ in what they keep, one of each kind."""
        return tuple({part._caches: part for part in self.stages}.values())

    @cached_property
    def state_bytes(self) -> int | float:
        """Bytes that a sequence keeps whatever its length (states of recurrent layers)."""
        total: int | float = 0
        for cache, times in self._caches:
            said = cache.state_format or self.precision.activation
            stored = self.precision.kv if said == "cache" else said
            total += times * _bytes(cache.states(self.tp), stored)
        return total

    @cached_property
    def kept_layers(self) -> tuple[int, int]:
        """(layers that keep a state, layers that keep something of each token)."""
        placed = [(tuple(caches(block)), len(layers)) for block, layers in self.network.placed]
        states = sum(n for kept, n in placed if any(each.states(self.tp) for each in kept))
        return states, sum(n for kept, n in placed if any(c.per_token(self.tp) for c in kept))

    @cached_property
    def _caches(self) -> tuple[tuple[Cache, int], ...]:
        """What blocks keep, and in how many layers."""
        return tuple(
            (cache, len(layers)) for block, layers in self.network.placed for cache in caches(block)
        )


def _bytes(elements: int, dtype: str) -> int | float:
    size = elements * bytes_of(dtype)
    return int(size) if np.equal(size, np.floor(size)) else size
