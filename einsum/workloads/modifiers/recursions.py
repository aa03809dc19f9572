"""Mixture-of-Recursions (arXiv 2507.10524) of any model: a part of its layers, applied again.

Of a model's layers the first n-th is held, and applied n times; after each time 1/n of the tokens
leave. Their keys and values are kept of each application (`own`) or of the first (`all`). The
routers, a product with one column each, are left out.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

from hwmodel.einsum.workloads.blocks.network import Network, grouped
from hwmodel.einsum.workloads.blocks.recursed import linear, recursed
from hwmodel.einsum.workloads.named import counted
from hwmodel.quantity.errors import InputError


@dataclass(frozen=True)
class Recursions:
    """So many `recursions`, whose `keys` are their own or all of the first's."""

    NAME: ClassVar[str] = "mixture-of-recursions"
    SOURCE: ClassVar[str] = "arXiv 2507.10524"

    recursions: int = counted(2)
    keys: str = "own"

    def of(self, network: Network) -> Network:
        """The first layers, applied again; raises `InputError` where layers do not divide."""
        where = f"modifier: {self.NAME}"
        if self.keys not in ("own", "all"):
            raise InputError(f"{where}: keys: expected 'own' or 'all', found {self.keys!r}")
        if network.depth % self.recursions:
            raise InputError(
                f"{where}: recursions: expected a divisor of the model's {network.depth} layers,"
                f" found {self.recursions}"
            )
        by_number = {n: group.blocks for group in network.layers for n in group.numbers}
        held = [by_number[n] for n in range(network.depth // self.recursions)]
        again = recursed(held, linear(self.recursions), self.keys)
        return replace(network, layers=grouped(again))
