"""VISOR (arXiv 2603.23495): layers of a vision-language model that look at the image, and others.

The prompt begins with `image` tokens. In `full` layers they take part as text does; in `cross`
layers text looks at them, and the layer runs on text alone; all others do not see them. Layers of
both kinds are spread evenly. Keys and values of the image are kept where it is looked at. Which
hidden states of the image a cross layer reads (those that the last full layer made) changes no
count. All defaults are ours.
"""

from dataclasses import dataclass
from typing import ClassVar

from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.fewer import Fewer
from hwmodel.einsum.workloads.blocks.looking import Looking
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.blocks.replaced import replaced
from hwmodel.einsum.workloads.modifiers.modifier import chosen
from hwmodel.einsum.workloads.policies.kept import Kept
from hwmodel.quantity.errors import CoverageError, InputError


@dataclass(frozen=True)
class Visor:
    """Numbers of layers of two kinds, the others see text alone."""

    NAME: ClassVar[str] = "visor"
    SOURCE: ClassVar[str] = "arXiv 2603.23495"

    image: int = 576
    full: int = 4
    cross: int = 8

    def of(self, network: Network) -> Network:
        """Layers on all tokens, and on text, some of which look at the image."""
        depth = network.depth
        if self.full + self.cross > depth:
            raise InputError(
                f"modifier: {self.NAME}: expected full and cross layers among the {depth} of the"
                f" model, found {self.full} and {self.cross}"
            )
        others = [layer for layer in range(depth) if not chosen(self.full, layer, depth)]
        cross = {n for i, n in enumerate(others) if chosen(self.cross, i, len(others))}
        text = Kept(fixed=-self.image, share=1.0)

        def look(block: Block) -> Block | None:
            return Looking(block, text) if isinstance(block, Attention) else None

        def in_layer(layer: int, blocks: tuple[Block, ...]) -> tuple[Block, ...]:
            if layer not in others:
                return blocks
            made: list[Block] = []
            for block in blocks:
                looking = replaced(block, look) if layer in cross else block
                made.append(Fewer(block, text) if looking == block else looking)
            if layer in cross and not any(isinstance(each, Looking) for each in made):
                raise CoverageError(
                    f"modifier: {self.NAME}: layer {layer}: expected attention with keys and values"
                    " by head as a block of the layer, found none"
                )
            return tuple(made)

        return network.changed(in_layer)
