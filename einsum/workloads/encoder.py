"""Encoders of the transformer: every token sees every other, nothing is cached, no token is made.

A step is `prefill`: so many tokens of each sequence, from embedding to hidden states, and what a
model makes of one of them. Heads for tasks (masked tokens, classes) are left out.
"""

from dataclasses import replace
from typing import Any, ClassVar

from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.blocks.norm import Kind, Residual
from hwmodel.einsum.workloads.decoder import Decoder, Norms
from hwmodel.einsum.workloads.record import Flag, Whole


class Encoder(Decoder):
    """Layer norms and biases throughout, a plain MLP; a subclass says what differs.

    `AFTER`: norms stand behind residual additions, as of the first transformers.
    """

    REQUIRED: ClassVar[tuple[str, ...]] = ()
    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        {"position_embedding_type", "layerdrop", "qkv_bias", "gradient_checkpointing"}
    )
    NORM: ClassVar[Kind] = "layer"
    AFTER: ClassVar[bool] = False
    BETWEEN: ClassVar[bool] = True
    """Whether every token sees every other, and not earlier ones alone."""

    vocab_size: Whole = 0
    hidden_act: str = "gelu"
    tie_word_embeddings: Flag = True

    def heads(self, window: int | None, **more: Any) -> Attention:
        """Attention with biases, of all tokens, that nothing turns."""
        usual: dict[str, Any] = {
            **{"qkv_bias": True, "output_bias": True, "rotated": 0},
            **{"causal": not self.BETWEEN, "cached": False},
        }
        return super().heads(window, **{**usual, **more})

    def inner(self, layer: int) -> Block:
        """MLP of two products."""
        return self.plain()

    def layer(
        self, attention: Block, inner: Block, norms: Norms | None = None
    ) -> tuple[Block, ...]:
        """Norms before blocks, or behind residual additions."""
        if not self.AFTER:
            return super().layer(attention, inner, norms)
        modules = [f"{self.LAYER}.{name}" for name in norms or self.NORMS if name is not None]
        hidden = self.hidden_size
        return (
            *(attention, Residual("attention residual", hidden)),
            *self.norm("attention norm", modules[0]),
            *(inner, Residual("mlp residual", hidden)),
            *self.norm("mlp norm", modules[1]),
        )

    def ended(self) -> tuple[Block, ...]:
        """The last norm, of all tokens, where norms stand before blocks."""
        return () if self.AFTER else self.norm("final norm", self.FINAL)

    def network(self) -> Network:
        """One that makes no tokens."""
        return replace(super().network(), generates=False)
