"""What mixers of tokens without a growing cache are made of: a short convolution, a recurrence.

Both keep a state of fixed size for a sequence: the convolution its last inputs, the recurrence what
`hwmodel.einsum.workloads.recurrence` says. Neither is a whole mixer: `mamba.py`, `gated_delta.py`,
`linear_attention.py` and others have products and gates around them. Columns are told in *runs*,
each of which devices divide by its own pieces (values by heads, keys by groups).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from hwmodel.einsum.workloads.blocks.block import Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Role, Split, Weight
from hwmodel.einsum.workloads.recurrence import Rule, causal_conv, chunked, scanned, updated
from hwmodel.einsum.workloads.rows import activation, multiply

PART = "recurrence"
"""Part of a model that these weights are told as."""

Runs: TypeAlias = tuple[tuple[int, Split], ...]
"""Columns side by side: how many, and how devices divide them."""


def columns(runs: Runs, share: Share) -> int:
    """Columns on this device."""
    return sum(size * share.of(split) // split.pieces for size, split in runs)


def products(path: str, runs: Runs, hidden: int) -> tuple[Weight, ...]:
    """Weights of one module that makes these columns of hidden states."""
    return tuple(Weight(path, (n, hidden), "linear", PART, split) for n, split in runs)


def out(path: str, hidden: int, inner: int, split: Split) -> Weight:
    """Weight of the product that leads back to hidden states."""
    return Weight(path, (hidden, inner), "linear", PART, split, axis=1)


def vectors(path: str, names: Sequence[str], size: int, split: Split) -> tuple[Weight, ...]:
    """Parameters of one element for each of `size`, by name."""
    return tuple(Weight(f"{path}.{name}", (size,), "other", PART, split) for name in names)


def biases(weights: Sequence[Weight], role: Role = "bias") -> tuple[Weight, ...]:
    """Biases of modules, divided as their outputs are."""
    return tuple(
        Weight(w.path, w.shape[:1], role, "biases", w.split if w.axis == 0 else None)
        for w in weights
    )


def gated(share: Share, tokens: Any, inner: int, act: str, name: str) -> Stages:
    """`act(z) * y` as two kernels."""
    kind = share.activation
    made = activation(act, tokens, inner, kind, f"{name} gate")
    product = multiply(tokens, inner, kind, f"{name} gate multiply")
    return share.stage(made, f"{name}.gate"), share.stage(product, f"{name}.gate multiply")


@dataclass(frozen=True)
class CausalConv:
    """A filter of `taps` tokens for each channel, and an activation."""

    runs: Runs
    taps: int
    path: str
    bias: bool = False
    act: str | None = "silu"

    def weights(self) -> tuple[Weight, ...]:
        """Filters, and biases where they have them."""
        filters = [Weight(self.path, (n, self.taps), "conv", PART, split) for n, split in self.runs]
        return (*filters, *(biases(filters) if self.bias else ()))

    def stages(self, step: Step, share: Share) -> Stages:
        """One kernel a group; in decode it reads the last tokens and writes them."""
        return step.each(lambda one: self._filtered(one, share))

    def _filtered(self, step: Step, share: Share) -> Stages:
        sizes = (step.batch, step.queries, columns(self.runs, share), self.taps, self.act)
        made = causal_conv(*sizes, decoding=step.decoding, dtype=share.activation)
        return (share.stage(made, "recurrence.conv"),)

    def cache(self) -> Cache | None:
        """Its last inputs but one; runs that are divided alike are counted as the first is."""
        size = sum(n for n, _ in self.runs) * (self.taps - 1)
        return Cache(state=size, state_split=self.runs[0][1])


@dataclass(frozen=True)
class Recurrence:
    """States of `heads`, `key_dim` by `value_dim` elements each; queries and keys of `key_heads`.

    `chunk` is how many tokens a prompt's kernels take together, `state_format` that of the state
    (None: the activations'). Channels (`rule` "channel" or "element") are heads of one value.
    """

    rule: Rule
    heads: int
    split: Split
    key_heads: int
    key_split: Split
    key_dim: int
    value_dim: int
    chunk: int = 64
    state_format: str | None = None

    def weights(self) -> tuple[Weight, ...]:
        """It has none."""
        return ()

    def stages(self, step: Step, share: Share) -> Stages:
        """One call a group, of several launches in prefill."""
        return step.each(lambda one: self._updated(one, share))

    def _updated(self, step: Step, share: Share) -> Stages:
        heads, keys = share.of(self.split), share.of(self.key_split)
        kinds = {"dtype": share.activation, "state_dtype": self.state_format or share.activation}
        given: dict[str, Any] = {**kinds, "rule": self.rule, "name": f"{self.rule} recurrence"}
        batch, queries = step.batch, step.queries
        channels = self.rule in ("channel", "element")
        if step.decoding:
            keys, each, width = (1, 1, heads) if channels else (keys, heads, self.value_dim)
            made = updated(batch, keys, each, self.key_dim, width, **given)
        elif channels:
            made = scanned(batch, queries, heads, self.key_dim, **given)
        else:
            sizes = (batch, queries, keys, heads, self.key_dim, self.value_dim, self.chunk)
            made = chunked(*sizes, **given)
        return (share.stage(made, "recurrence.state"),)

    def cache(self) -> Cache | None:
        """The states of all heads."""
        size = self.heads * self.key_dim * self.value_dim
        return Cache(state=size, state_split=self.split, state_format=self.state_format)
