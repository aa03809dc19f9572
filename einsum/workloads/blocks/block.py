"""What a network is made of: blocks, their weights, what they cache, the step that they run in.

A block is a frozen value of undivided sizes, and answers three questions: which weights it has,
which stages run on one device, what it keeps in the cache. Everything that is asked of a model
follows from these: parameters and bytes, the modules that exist, what tensor parallelism may divide
(Shoeybi et al., arXiv 1909.08053), KV bytes, kernels.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Split, Weight
from hwmodel.einsum.workloads.policies.kept import Kept
from hwmodel.quantity.arithmetic import ceil_div, least, most
from hwmodel.quantity.units import Amount


@dataclass(frozen=True)
class Cache:
    """What a layer keeps of a sequence: `elements` a token, of the last `window` tokens if any.

    In the place of a window may stand the tokens that a policy has `Kept`. `state` elements do not
    depend on the context (`state_format`: theirs; None: the activations'; "cache": that of keys and
    values). What grows is stored as `format` (None: as the cache is).
    A layer that reads the cache of an earlier one keeps nothing: it has no `Cache`.
    """

    elements: int = 0
    split: Split | None = None
    window: int | Kept | None = None
    state: int = 0
    state_split: Split | None = None
    state_format: str | None = None
    format: str | None = None

    def per_token(self, tp: int = 1) -> int:
        """Elements a token on one of `tp` devices."""
        return _divided(self.elements, self.split, tp)

    def states(self, tp: int = 1) -> int:
        """Elements that do not grow, on one of `tp` devices."""
        return _divided(self.state, self.state_split, tp)


@dataclass(frozen=True, eq=False)
class Step:
    """One run of a model: `queries` new tokens per sequence, the last of `context` of each.

    Prefill of an empty cache has queries = context; decode (`decoding`) queries = 1, or more where
    drafts are verified. Tokens before the new ones are in the cache. `routing` and `exponent` are
    those of `moe.py`. Sizes are counts or arrays of them. A step of several `groups` of sequences
    (`together`) is to rows of hidden states one of as many sequences as it has tokens; what looks
    at a sequence is asked of `each`.
    """

    batch: Amount
    queries: Amount
    context: Amount
    decoding: bool
    routing: str = "uniform"
    exponent: float | None = None
    groups: tuple["Step", ...] = ()
    span: Amount | None = None
    """New tokens of a sequence on all devices that divide it; None: `queries`, on this one."""
    scattered: bool = False
    """Whether these are a device's part of the tokens that all of a tensor-parallel group have."""

    @property
    def tokens(self) -> Amount:
        """New tokens of all sequences."""
        return self.batch * self.queries

    @property
    def alike(self) -> tuple["Step", ...]:
        """Steps of sequences that are alike: its groups, or itself."""
        return self.groups or (self,)

    @property
    def sequences(self) -> Amount:
        """Sequences of all groups."""
        return sum((one.batch for one in self.alike[1:]), start=self.alike[0].batch)

    @property
    def judged(self) -> Amount:
        """Tokens whose logits are asked for: all that decode, of each prompt the last."""
        each = [one.tokens if one.decoding else one.batch for one in self.alike]
        return sum(each[1:], start=each[0])

    def each(self, made: Callable[["Step"], Stages]) -> Stages:
        """The stages that each group has for itself, in order."""
        return tuple(stage for one in self.alike for stage in made(one))

    def seen(self, window: int | None) -> Amount:
        """Keys that any new token attends to: the first sees a window back, the last is one."""
        return seen(self.context, None if window is None else window + self.queries - 1)

    def scatter(self, ways: int) -> "Step":
        """One device's part of the tokens, where `ways` of them divide these."""
        rows = ceil_div(self.tokens, ways)
        return replace(self, batch=1, queries=rows, groups=(), scattered=True)


def together(*groups: Step) -> Step:
    """One step of groups of sequences, whose tokens pass products together; one group as it is."""
    first, *others = groups
    if not others:
        return first
    tokens = sum((one.tokens for one in others), start=first.tokens)
    longest = most(one.context for one in groups)
    return replace(
        first, batch=tokens, queries=1, context=longest, decoding=False, groups=tuple(groups)
    )


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
