"""OPT (arXiv 2205.01068): learned positions, a plain MLP with ReLU, biases by key (`OPTConfig`).

Of 350M the table's rows are narrower than hidden states, products lead from one to the other, and
norms stand after residual additions; there is no last norm.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.ends import Embedding, Head
from hwmodel.einsum.workloads.blocks.norm import Kind
from hwmodel.einsum.workloads.blocks.positions import Positions
from hwmodel.einsum.workloads.blocks.projection import Projection
from hwmodel.einsum.workloads.decoder import Decoder, Norms
from hwmodel.einsum.workloads.record import Count, Flag, Names, Values

MODEL_TYPES = ("opt",)
_OFFSET = 2
"""Rows of the table of positions before the first."""


class Config(Decoder):
    """The keys of `OPTConfig`."""

    REQUIRED: ClassVar[tuple[str, ...]] = ()
    ALIASES: ClassVar[Names] = {
        **{"ffn_dim": "intermediate_size", "activation_function": "hidden_act"},
    }
    HARMLESS: ClassVar[frozenset[str]] = frozenset({"layerdrop", "init_std"})
    NEUTRAL: ClassVar[Values] = {"layer_norm_elementwise_affine": (True,)}
    NORM: ClassVar[Kind] = "layer"
    NORMS: ClassVar[Norms] = ("self_attn_layer_norm", None, "final_layer_norm", None)
    LAYER: ClassVar[str] = "model.decoder.layers.{layer}"
    EMBEDDING: ClassVar[str] = "model.decoder.embed_tokens"
    FINAL: ClassVar[str] = "model.decoder.final_layer_norm"

    hidden_act: str = "relu"
    tie_word_embeddings: Flag = True
    max_position_embeddings: Count = 2048
    do_layer_norm_before: Flag = True
    enable_bias: Flag = True
    word_embed_proj_dim: Count | None = None

    @property
    def width(self) -> int:
        """Columns of the table of tokens."""
        return self.word_embed_proj_dim or self.hidden_size

    def embedded(self) -> tuple[Block, ...]:
        """Tokens, made as wide as hidden states, and positions."""
        rows = self.max_position_embeddings + _OFFSET
        path = "model.decoder.embed_positions"
        table = Embedding(self.vocab_size, self.width, self.EMBEDDING)
        return (table, *self._between(True), Positions(rows, self.hidden_size, path))

    def ended(self) -> tuple[Block, ...]:
        """The last norm, hidden states made as narrow as the table, and the head."""
        norm = self.norm("final norm", self.FINAL, last=True) if self.do_layer_norm_before else ()
        head = Head(
            *(self.vocab_size, self.width, self.tie_word_embeddings, self.HEAD, self.EMBEDDING)
        )
        return (*norm, *self._between(False), head)

    def _between(self, inwards: bool) -> tuple[Block, ...]:
        if self.width == self.hidden_size:
            return ()
        sizes = (self.width, self.hidden_size) if inwards else (self.hidden_size, self.width)
        name = "project_in" if inwards else "project_out"
        return (Projection(name, *sizes, f"model.decoder.{name}", last=not inwards),)

    def attention(self, window: int | None) -> Block:
        """Attention that nothing turns."""
        names, biased = ("q_proj", "k_proj", "v_proj", "out_proj"), self.enable_bias
        return self.heads(window, qkv_bias=biased, output_bias=biased, rotated=0, names=names)

    def inner(self, layer: int) -> Block:
        """MLP of two products."""
        return self.plain(bias=self.enable_bias, path=self.LAYER)
