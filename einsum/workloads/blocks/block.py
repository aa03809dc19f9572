"""What a network is made of: blocks, their weights, what they cache, the step that they run in.

A block is a frozen value of undivided sizes, and answers three questions: which weights it has,
which stages run on one device, what it keeps in the cache. Everything that is asked of a model
follows from these: parameters and bytes, the modules that exist, what tensor parallelism may divide
(Shoeybi et al., arXiv 1909.08053, section 3), KV bytes, kernels.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias

from hwmodel.einsum.cascade import Stage
from hwmodel.quantity.arithmetic import least
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.units import Amount

if TYPE_CHECKING:
    from hwmodel.einsum.workloads.blocks.share import Share

LAYER, EXPERT = "{layer}", "{expert}"
"""Where a module's name has the number of its layer, and of its expert."""

Role: TypeAlias = Literal["linear", "head", "table", "norm", "bias", "router", "conv", "other"]
"""What a weight is. Those that checkpoints quantise are `linear`, and a `head` of its own."""

PARTS: Final[tuple[str, ...]] = (
    *("embedding", "head", "attention", "mlp", "experts", "router", "biases", "norms"),
)
"""Parts of a model in the order in which they are told; others follow."""


@dataclass(frozen=True)
class Split:
    """How tensor parallelism divides something: `pieces` of which each device has its share.

    `what` is the config key that counts them, for people. Pieces that are `repeated` stand on
    several devices where there are fewer than devices.
    """

    what: str
    pieces: int
    repeated: bool = False

    def share(self, tp: int) -> int:
        """Pieces on one of `tp` devices; `InputError` where they are not divisible."""
        if self.repeated and self.pieces < tp:
            if tp % self.pieces:
                raise InputError(
                    f"model: tp: expected a multiple of the {self.pieces} KV heads when above it,"
                    f" so that each is repeated alike; found {tp}"
                )
            return 1
        if self.pieces % tp:
            raise InputError(
                f"model: tp: expected a divisor of {self.what} ({self.pieces}), found {tp}"
            )
        return self.pieces // tp


@dataclass(frozen=True)
class Weight:
    """One tensor of a checkpoint, as stored: a linear layer's is `[outputs, inputs]`.

    `path` is its module's full name, with `{layer}` and `{expert}`; modules that a checkpoint fuses
    have one path. `split` divides `axis`: 0 outputs (columns, in Megatron's words), heads or rows
    of a table; 1 inputs (rows); no split: every device has all of it. `copies` are equal modules
    under one path (experts), of which a token uses `used` (default: all).
    """

    path: str
    shape: tuple[int, ...]
    role: Role
    part: str
    split: Split | None = None
    axis: int = 0
    copies: int = 1
    used: int | None = None

    def sizes(self, tp: int) -> tuple[int, ...]:
        """Its shape on one of `tp` devices."""
        if self.split is None:
            return self.shape
        divided = self.shape[self.axis] * self.split.share(tp) // self.split.pieces
        return (*self.shape[: self.axis], divided, *self.shape[self.axis + 1 :])

    def elements(self, tp: int = 1) -> int:
        """Parameters on one of `tp` devices, all copies together."""
        total = self.copies
        for size in self.sizes(tp):
            total *= size
        return total

    def active(self, tp: int = 1) -> int:
        """Those that one token uses."""
        used = self.copies if self.used is None else self.used
        return self.elements(tp) // self.copies * used

    def path_in(self, layer: int | None) -> str:
        """Its module's name in a layer; of experts that of the first."""
        named = self.path if layer is None else self.path.replace(LAYER, str(layer))
        return named.replace(EXPERT, "0")


@dataclass(frozen=True)
class Cache:
    """What a layer keeps of a sequence: `elements` a token, of the last `window` tokens if any.

    `state` elements do not depend on the context (`state_format`: theirs; None: the activations').
    A layer that reads the cache of an earlier one keeps nothing: it has no `Cache`.
    """

    elements: int = 0
    split: Split | None = None
    window: int | None = None
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
        """Keys that the new tokens attend to: in decode at most a window's."""
        return seen(self.context, window) if self.decoding else self.context


Stages: TypeAlias = tuple[Stage, ...]


class Block(Protocol):
    """A part of a layer, in the order in which it runs; a frozen, hashable value."""

    def weights(self) -> tuple[Weight, ...]:
        """Its tensors in one layer."""
        ...

    def stages(self, step: Step, share: "Share") -> Stages:
        """Its kernels on one device, each as often as the layers of `share` run it."""
        ...

    def cache(self) -> Cache | None:
        """What it keeps of a sequence in one layer."""
        ...


def seen(tokens: Amount, window: int | None) -> Amount:
    """Keys that a new token attends to, of `tokens` in its context with itself."""
    return tokens if window is None else least((tokens, window))


def _divided(elements: int, split: Split | None, tp: int) -> int:
    return elements if split is None else elements * split.share(tp) // split.pieces
