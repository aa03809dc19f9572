"""Decoder-only transformers: the keys that their configs share, and their layers.

A layer is norm, attention, residual addition, norm, MLP (or experts), residual addition; before the
layers the embedding, after them a norm and the head, on each sequence's last token only. As kernels
it is the plain, unfused stack that `kernel: torch` means; no sampling, no host.
"""

from collections.abc import Sequence
from typing import ClassVar

from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.ends import Embedding, Head
from hwmodel.einsum.workloads.blocks.mlp import Mlp
from hwmodel.einsum.workloads.blocks.network import Network, grouped
from hwmodel.einsum.workloads.blocks.norm import Norm, Residual
from hwmodel.einsum.workloads.record import Config, Count, Flag, Layers
from hwmodel.quantity.errors import CoverageError, InputError

KINDS = ("full_attention", "sliding_attention")


class Decoder(Config):
    """The keys of a plain decoder, and the blocks that they make; a subclass says what differs."""

    REQUIRED: ClassVar[tuple[str, ...]] = ("num_key_value_heads",)
    ACTIVATIONS: ClassVar[tuple[str, ...]] = ("silu",)

    hidden_size: Count
    intermediate_size: Count
    num_hidden_layers: Layers
    num_attention_heads: Count
    num_key_value_heads: Count | None = None
    head_dim: Count | None = None
    vocab_size: Count
    hidden_act: str = "silu"
    tie_word_embeddings: Flag = False
    layer_types: tuple[str, ...] | None = None

    def network(self) -> Network:
        """The layers, each with its window."""
        windows = self.windows()
        layers = [
            self.layer(self.attention(windows[layer]), self.inner(layer))
            for layer in range(self.num_hidden_layers)
        ]
        return self.between(layers)

    def attention(self, window: int | None) -> Block:
        """A layer's attention."""
        return Attention(
            *(self.hidden_size, self.num_attention_heads, self.key_heads, self.head_size, window)
        )

    def inner(self, layer: int) -> Block:
        """What a layer has after its attention."""
        return Mlp(self.hidden_size, self.intermediate_size)

    @property
    def key_heads(self) -> int:
        """Heads of keys and values."""
        return self.num_key_value_heads or self.num_attention_heads

    @property
    def head_size(self) -> int:
        """Size of a head."""
        return self.head_dim or self.hidden_size // self.num_attention_heads

    def layer(self, attention: Block, inner: Block) -> tuple[Block, ...]:
        """The blocks of a layer, norms before what they feed."""
        hidden, path = self.hidden_size, "model.layers.{layer}"
        return (
            Norm("attention norm", f"{path}.input_layernorm", hidden),
            attention,
            Residual("attention residual", hidden),
            Norm("mlp norm", f"{path}.post_attention_layernorm", hidden),
            inner,
            Residual("mlp residual", hidden),
        )

    def between(self, layers: Sequence[tuple[Block, ...]]) -> Network:
        """The layers between embedding and head."""
        return Network(
            hidden=self.hidden_size,
            before=(Embedding(self.vocab_size, self.hidden_size),),
            layers=grouped(layers),
            after=(
                Norm("final norm", "model.norm", self.hidden_size, last=True),
                Head(self.vocab_size, self.hidden_size, self.tie_word_embeddings),
            ),
        )

    def windows(self) -> tuple[int | None, ...]:
        """Sliding window of each layer, None where attention sees the whole context."""
        window: int | None = getattr(self, "sliding_window", None)
        if self.layer_types is not None:
            return tuple(
                window if kind == "sliding_attention" else None for kind in self.layer_types
            )
        return (window,) * self.num_hidden_layers

    def check(self, where: str) -> None:
        """Heads that divide, layers that are as many as said."""
        if self.hidden_act not in self.ACTIVATIONS:
            raise CoverageError(
                f"{where}: hidden_act: {self.hidden_act!r} is not modelled; expected"
                f" {' or '.join(map(repr, self.ACTIVATIONS))}"
            )
        super().check(where)
        if self.num_attention_heads % self.key_heads:
            raise InputError(
                f"{where}: num_key_value_heads: expected a divisor of num_attention_heads"
                f" ({self.num_attention_heads}), found {self.key_heads}"
            )
        if self.head_dim is None and self.hidden_size % self.num_attention_heads:
            raise InputError(
                f"{where}: hidden_size: expected a multiple of num_attention_heads"
                f" ({self.num_attention_heads}) or a key 'head_dim', found {self.hidden_size}"
            )
        self._check_layers(where)

    def _check_layers(self, where: str) -> None:
        kinds = self.layer_types
        if kinds is None:
            return
        if len(kinds) != self.num_hidden_layers:
            raise InputError(
                f"{where}: layer_types: expected one entry for each of the"
                f" {self.num_hidden_layers} layers, found {len(kinds)}"
            )
        for kind in kinds:
            if kind not in KINDS:
                raise CoverageError(
                    f"{where}: layer_types: {kind!r} is not modelled;"
                    f" expected {' or '.join(map(repr, KINDS))}"
                )
        if "sliding_attention" in kinds and getattr(self, "sliding_window", None) is None:
            raise InputError(
                f"{where}: layer_types: sliding_attention needs the key 'sliding_window'"
            )


def check_experts(where: str, experts: int | None, picks: int | None) -> None:
    """A token takes no more experts than there are."""
    if experts and picks and picks > experts:
        raise InputError(
            f"{where}: num_experts_per_tok: expected at most the {experts} experts, found {picks}"
        )
