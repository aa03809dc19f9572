"""What a workload modifier is: a network of blocks to a network of blocks.

A modifier changes what layers compute: which pairs of queries and keys, which tokens, in which
phase, by layers and classes of heads. What chooses them is kernels of its own, whose cost is
predicted like any other's. Weights stay, but for modifiers of whole layers; how accurate the
answers are is not looked at. One step of a model is changed; a schedule of several steps is as many
questions.
"""

from collections.abc import Callable
from typing import ClassVar, Protocol, TypeAlias

from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.evicting import Evicting
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.blocks.replaced import replaced
from hwmodel.einsum.workloads.named import options_of
from hwmodel.quantity.errors import CoverageError


class Modifier(Protocol):
    """A frozen value; its fields are its options."""

    NAME: ClassVar[str]
    SOURCE: ClassVar[str]

    def of(self, network: Network) -> Network:
        """The network that it makes of one; `CoverageError` where it has nothing to change."""
        ...


Made: TypeAlias = Callable[[int, Block, Attention], Block]
"""A layer's number, its attention as it is (its cache may follow a policy), and the sizes of it."""


def attending(modifier: Modifier, network: Network, make: Made) -> Network:
    """The network with other attention: of all layers whose heads see the whole context.

    Raises `CoverageError` where there is none.
    """
    found = 0

    def in_layer(layer: int, blocks: tuple[Block, ...]) -> tuple[Block, ...]:
        def change(block: Block) -> Block | None:
            nonlocal found
            heads = block.attention if isinstance(block, Evicting) else block
            if not isinstance(heads, Attention) or heads.window is not None or heads.apart:
                return None
            found += 1
            return make(layer, block, heads)

        return tuple(replaced(block, change) for block in blocks)

    made = network.changed(in_layer)
    if not found:
        raise CoverageError(
            f"modifier: {modifier.NAME}: expected layers that attend to the whole context with"
            " keys and values by head, found none in this model"
        )
    return made


def chosen(count: int, layer: int, of: int) -> bool:
    """Whether a layer is among `count` that are spread evenly over `of` layers, the last one in."""
    return (layer + 1) * count // of > layer * count // of


def modified(where: str, modifier: Modifier) -> str:
    """What an answer has to tell of a modifier."""
    return (
        f"{where}: changed by {modifier.NAME} ({options_of(modifier)}; {modifier.SOURCE}): kernels"
        " that choose are stages, accuracy is not looked at"
    )


def idle(where: str, modifier: Modifier) -> tuple[str, ...]:
    """What an answer has to tell of a modifier that leaves a phase as it is."""
    told = f"{modifier.NAME} changes nothing of this step; it costs what it would without"
    return (f"{where}: {told}",)
