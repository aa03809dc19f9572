"""GPT-1 and CTRL: norms after residual additions, or before; a head tied to the table.

`OpenAIGPTConfig`; `CTRLConfig` has three modules for q, k and v and positions that are computed.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.architectures import gpt2
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.positions import Positions
from hwmodel.einsum.workloads.decoder import Decoder, Norms
from hwmodel.einsum.workloads.record import Count, Names

MODEL_TYPES = ("openai-gpt", "ctrl")


class OpenAiGpt(gpt2.Gpt2):
    """No last norm; the MLP is four times as wide as hidden states."""

    ALIASES: ClassVar[Names] = {**gpt2.Gpt2.ALIASES, "afn": "hidden_act"}
    EMBEDDING: ClassVar[str] = "transformer.tokens_embed"

    hidden_act: str = "gelu"
    max_position_embeddings: Count = 512

    def embedded(self) -> tuple[Block, ...]:
        """Tokens and positions."""
        rows, path = self.max_position_embeddings, "transformer.positions_embed"
        return (*Decoder.embedded(self), Positions(rows, self.hidden_size, path))

    def ended(self) -> tuple[Block, ...]:
        """The head."""
        return (self.head(),)


class Ctrl(gpt2.Gpt2):
    """A bias of the head, ReLU between the products."""

    ALIASES: ClassVar[Names] = {**gpt2.Gpt2.ALIASES, "dff": "intermediate_size"}
    NORMS: ClassVar[Norms] = ("layernorm1", None, "layernorm2", None)
    EMBEDDING: ClassVar[str] = "transformer.w"
    FINAL: ClassVar[str] = "transformer.layernorm"

    intermediate_size: Count | None = 8192
    hidden_act: str = "relu"
    max_position_embeddings: Count = 256

    def embedded(self) -> tuple[Block, ...]:
        """Tokens, times a factor."""
        return Decoder.embedded(self)

    @property
    def scaled(self) -> frozenset[str]:
        """Embeddings."""
        return frozenset({"embedding"})

    def attention(self, window: int | None) -> Block:
        """Attention with modules of its own."""
        names, path = ("Wq", "Wk", "Wv", "dense"), f"{self.LAYER}.multi_head_attention"
        return self.heads(
            window, qkv_bias=True, output_bias=True, rotated=0, names=names, path=path
        )

    def inner(self, layer: int) -> Block:
        """MLP of two products."""
        return self.plain(names=("0", "2"), path=f"{self.LAYER}.ffn")

    def ended(self) -> tuple[Block, ...]:
        """A head with a bias."""
        return (*self.norm("final norm", self.FINAL, last=True), self.head(bias=True))


RECORDS = {"openai-gpt": OpenAiGpt, "ctrl": Ctrl}
