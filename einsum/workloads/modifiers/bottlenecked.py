"""Bottlenecked Transformers: a processor rewrites keys and values after each step of reasoning.

Once in `every` tokens a transformer of `layers` of this `width` (12 width^2 parameters each) reads
what all layers hold of them and of some `recalled` tokens before, and writes it back. What recalls
these is left out. The system is told so in a survey; all defaults are ours.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block, caches
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.blocks.norm import Norm, Residual
from hwmodel.einsum.workloads.blocks.plain_mlp import PlainMlp
from hwmodel.einsum.workloads.blocks.rewriting import Rewriting
from hwmodel.einsum.workloads.named import counted
from hwmodel.quantity.errors import CoverageError, InputError

HEAD = 64
"""Elements of a head of the processor."""


@dataclass(frozen=True)
class Bottlenecked:
    """`every` and `recalled` tokens, and the processor's `layers` and `width`."""

    NAME: ClassVar[str] = "bottlenecked"
    SOURCE: ClassVar[str] = "told in a survey"

    every: int = counted(32)
    recalled: int = 32
    layers: int = 2
    width: int = counted(1024)

    def of(self, network: Network) -> Network:
        """The network with the processor behind its layers; without layers of its own, as it is.

        Raises `CoverageError` where no layer keeps anything of each token.
        """
        where = f"modifier: {self.NAME}"
        if not self.layers:
            return network
        if self.width % HEAD:
            raise InputError(f"{where}: width: expected a multiple of {HEAD}, found {self.width}")
        kept = tuple(
            (each, len(layers))
            for block, layers in network.placed
            for each in caches(block)
            if each.elements
        )
        if not kept:
            raise CoverageError(
                f"{where}: expected layers that keep something of each token, found none"
            )
        parts = tuple(part for n in range(self.layers) for part in self._layer(f"processor.{n}"))
        rewriting = Rewriting(parts, self.every, self.recalled, kept)
        return replace(network, after=(rewriting, *network.after))

    def _layer(self, path: str) -> tuple[Block, ...]:
        """A layer of the processor, whose tokens see each other and keep nothing."""
        width = self.width
        heads = Attention(
            *(width, width // HEAD, width // HEAD, HEAD),
            rotated=0,
            causal=False,
            cached=False,
            path=f"{path}.self_attn",
        )
        mlp = PlainMlp(width, 4 * width, bias=False, path=f"{path}.mlp")
        return (
            Norm("processor attention norm", f"{path}.attention_norm", width),
            heads,
            Residual("processor attention residual", width),
            Norm("processor mlp norm", f"{path}.mlp_norm", width),
            mlp,
            Residual("processor mlp residual", width),
        )
