"""MLPs by token, of any model: a small one, the whole or none (Duo-LLM); slices or loops of one.

Duo-LLM routes a token in each layer to a small MLP, a big one, or past both. VersatileFFN sends
some tokens through few slices of the MLP's columns, others through all of it several times, with no
weights of its own but routers. Of both the abstracts were read alone; all defaults are ours.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.mlp import Mlp
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.blocks.replaced import replaced
from hwmodel.einsum.workloads.blocks.routed import Choice
from hwmodel.einsum.workloads.blocks.versatile import VersatileMlp
from hwmodel.einsum.workloads.named import counted
from hwmodel.quantity.errors import CoverageError, InputError


@dataclass(frozen=True)
class DuoLlm:
    """`big` of the tokens take the MLP, `small` one of `width` times its columns, others none."""

    NAME: ClassVar[str] = "duo-llm"
    SOURCE: ClassVar[str] = "its abstract"

    width: float = 0.25
    small: float = 0.4
    big: float = 0.4

    def of(self, network: Network) -> Network:
        """Every gated MLP as a choice; raises `InputError` where shares are more than all."""
        if self.small + self.big > 1 + 1e-9:
            raise InputError(
                f"modifier: {self.NAME}: expected shares small and big of 1 together at most,"
                f" found {self.small + self.big:g}"
            )

        def change(mlp: Mlp) -> Block:
            columns = max(1, round(mlp.intermediate * self.width))
            small = replace(mlp, intermediate=columns, path=f"{mlp.path}.small")
            shares = (self.small, self.big)
            return Choice(mlp.hidden, (small, mlp), shares, f"{mlp.path}.router")

        return _with_mlps(self.NAME, network, change)


@dataclass(frozen=True)
class VersatileFfn:
    """A `deep` share of tokens passes the MLP `loops` times, others `active` of its `slices`."""

    NAME: ClassVar[str] = "versatile-ffn"
    SOURCE: ClassVar[str] = "its abstract"

    slices: int = counted(8)
    active: int = counted(2)
    loops: int = counted(2)
    deep: float = 0.5

    def of(self, network: Network) -> Network:
        """Every gated MLP as slices and loops; `InputError` where slices do not divide it."""

        def change(mlp: Mlp) -> Block:
            if self.active > self.slices or mlp.intermediate % self.slices:
                raise InputError(
                    f"modifier: {self.NAME}: expected slices that divide {mlp.intermediate}"
                    f" columns, no fewer than the {self.active} active ones, found {self.slices}"
                )
            return VersatileMlp(mlp, self.slices, self.active, self.loops, self.deep)

        return _with_mlps(self.NAME, network, change)


def _with_mlps(name: str, network: Network, make: Callable[[Mlp], Block]) -> Network:
    """The network with other MLPs; `CoverageError` where it has none that is gated."""

    def in_layer(layer: int, blocks: tuple[Block, ...]) -> tuple[Block, ...]:
        return tuple(replaced(b, lambda each: _of_mlp(each, make)) for b in blocks)

    made = network.changed(in_layer)
    if made == network:
        raise CoverageError(
            f"modifier: {name}: expected layers with a gated MLP, found none in this model"
        )
    return made


def _of_mlp(block: Block, make: Callable[[Mlp], Block]) -> Block | None:
    return make(block) if isinstance(block, Mlp) else None
