"""Layers that are applied again, to fewer tokens each time (Mixture-of-Recursions, 2507.10524)."""

from collections.abc import Sequence
from dataclasses import replace

from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block, caches
from hwmodel.einsum.workloads.blocks.replaced import replaced
from hwmodel.einsum.workloads.blocks.reused import Reused
from hwmodel.einsum.workloads.blocks.routed import Keys, Routed
from hwmodel.quantity.errors import CoverageError

Layers = Sequence[tuple[Block, ...]]


def recursed(layers: Layers, shares: Sequence[float], keys: Keys) -> list[tuple[Block, ...]]:
    """The layers once for each of the shares of tokens; their weights are held once.

    Each application keeps keys and values of its tokens, its `own`, or takes `all` of the first;
    raises `CoverageError` where layers keep something else, which cannot be taken.
    """
    found = [tuple(_passed(block, shares[0], "own") for block in blocks) for blocks in layers]
    for share in shares[1:]:
        found += [
            tuple(Reused(_passed(_taken(block, keys), share, keys)) for block in blocks)
            for blocks in layers
        ]
    return found


def linear(applications: int) -> tuple[float, ...]:
    """Shares of tokens where as many leave after each of n applications: n/n, (n-1)/n, ..., 1/n."""
    return tuple((applications - each) / applications for each in range(applications))


def _passed(block: Block, share: float, keys: Keys) -> Block:
    return block if share == 1 else Routed(block, share, keys)


def _taken(block: Block, keys: Keys) -> Block:
    """A block whose attention takes keys and values, instead of making them."""

    def change(each: Block) -> Block | None:
        return replace(each, borrowed=True) if isinstance(each, Attention) else None

    if keys == "own":
        return block
    taken = replaced(block, change)
    if any(caches(taken)):
        raise CoverageError(
            "recursions: keys 'all' takes keys and values of the first application; expected"
            f" attention that keeps them by head, found {type(block).__name__}; use 'own'"
        )
    return taken
