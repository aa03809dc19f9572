"""Phi 3 small: one module for q, k and v, biases, block-sparse attention in every second layer.

Microsoft's own code (`Phi3SmallConfig`). Its MLP's activation is a gated GELU of interleaved
columns. The sparsity is left out: every layer is counted as if it saw all keys.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.norm import Kind
from hwmodel.einsum.workloads.decoder import Decoder
from hwmodel.einsum.workloads.record import Count, Flag, Names

MODEL_TYPES = ("phi3small",)


class Config(Decoder):
    """`dense_attention_every_n_layers` says which layers see all keys."""

    ALIASES: ClassVar[Names] = {"ff_intermediate_size": "intermediate_size"}
    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        "blocksparse_block_size blocksparse_homo_head_pattern blocksparse_num_local_blocks"
        " blocksparse_triton_kernel_block_size blocksparse_vert_stride gegelu_limit"
        " gegelu_pad_to_256 mup_attn_multiplier mup_embedding_multiplier mup_width_multiplier"
        " pad_sequence_to_multiple_of_64 reorder_and_upcast_attn ff_dim_multiplier"
        " dummy_token_indices attention_bias".split()
    )
    NORM: ClassVar[Kind] = "layer"
    FINAL: ClassVar[str] = "model.final_layernorm"

    hidden_act: str = "gegelu"
    tie_word_embeddings: Flag = True
    mup_use_scaling: Flag = True
    dense_attention_every_n_layers: Count | None = 2

    @property
    def scaled(self) -> frozenset[str]:
        """Embeddings and logits, by key."""
        return frozenset({"embedding", "logits"}) if self.mup_use_scaling else frozenset()

    def attention(self, window: int | None) -> Block:
        """Attention with a fused module, and biases."""
        fused = "query_key_value"
        names = (fused, fused, fused, "dense")
        return self.heads(window, qkv_bias=True, output_bias=True, names=names)

    def inner(self, layer: int) -> Block:
        """MLP with a fused module, and biases."""
        return self.gated(act="gelu", bias=True, names=("up_proj", "up_proj", "down_proj"))

    def notes(self) -> tuple[str, ...]:
        """The sparsity."""
        if self.dense_attention_every_n_layers in (None, 1):
            return ()
        return ("blocksparse attention: counted as if every layer saw all keys",)
