"""What a network is made of: blocks, their weights, what they cache, the step that they run in.

A block is a frozen value of undivided sizes, and answers three questions: which weights it has,
which stages run on one device, what it keeps in the cache. Everything that is asked of a model
follows from these: parameters and bytes, the modules that exist, what tensor parallelism may divide
(Shoeybi et al., arXiv 1909.08053, section 3), KV bytes, kernels.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Split, Weight
from hwmodel.einsum.workloads.policies.kept import Kept
from hwmodel.quantity.arithmetic import least
from hwmodel.quantity.units import Amount


@dataclass(frozen=True)
class Cache:
    """What a layer keeps of a sequence: `elements` a token, of the last `window` tokens if any.

    In the place of a window may stand the tokens that a policy has `Kept`. `state` elements do not
    depend on the context (`state_format`: theirs; None: the activations'; "cache": that of keys and
    values).
    A layer that reads the cache of an earlier one keeps nothing: it has no `Cache`.
    """

    elements: int = 0
    split: Split | None = None
    window: int | Kept | None = None
    state: int = 0
    state_split: Split | None = None
    state_format: str | None = None

    def per_token(self, tp: int = 1) -> int:
        """Elements a token on one of `tp` devices."""
        return _divided(self.elements, self.split, tp)

    def states(self, tp: int = 1) -> int:
        """Elements that do not grow, on one of `tp` devices."""
        return _divided(self.state, self.state_split, tp)


@dataclass(frozen=True, eq=False)
class Step:
    """One run of a model: `queries` new tokens per sequence, the last of `context` of each.

    Prefill of an empty cache has queries = context; decode (`decoding`) queries = 1. Tokens before
    the new ones are in the cache. `routing` and `exponent` are those of `moe.py`. Sizes are counts
    or arrays of them.
    """

    batch: Amount
    queries: Amount
    context: Amount
    decoding: bool
    routing: str = "uniform"
    exponent: float | None = None

    @property
    def tokens(self) -> Amount:
        """New tokens of all sequences."""
        return self.batch * self.queries

    def seen(self, window: int | None) -> Amount:
        """Keys that any new token attends to: the first sees a window back, the last is one."""
        return seen(self.context, None if window is None else window + self.queries - 1)


class Block(Protocol):
    """A part of a layer, in the order in which it runs; a frozen, hashable value.

    A block that is made of others, which keep something, has them as `parts`.
    """

    def weights(self) -> tuple[Weight, ...]:
        """Its tensors in one layer."""
        ...

    def stages(self, step: Step, share: Share) -> Stages:
        """Its kernels on one device, each as often as the layers of `share` run it."""
        ...

    def cache(self) -> Cache | None:
        """What it keeps of a sequence in one layer."""
        ...


def caches(block: Block) -> Iterator[Cache]:
    """What a block keeps, and what the blocks that it is made of keep (its `parts`)."""
    own = block.cache()
    if own is not None:
        yield own
    for part in getattr(block, "parts", ()):
        yield from caches(part)


def seen(tokens: Amount, window: Amount | Kept | None) -> Amount:
    """Keys that a new token attends to, of `tokens` in its context with itself."""
    if isinstance(window, Kept):
        return window.tokens(tokens)
    return tokens if window is None else least((tokens, window))


def _divided(elements: int, split: Split | None, tp: int) -> int:
    return elements if split is None else elements * split.share(tp) // split.pieces
