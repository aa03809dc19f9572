"""ChatGLM 2 and 3, GLM 4 9B: few heads of keys, half rotated (remote code of THUDM)."""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import Decoder, Norms
from hwmodel.einsum.workloads.record import Count, Flag, Names

MODEL_TYPES = ("chatglm",)


class Config(Decoder):
    """`multi_query_group_num` heads of keys, where that is on."""

    REQUIRED: ClassVar[tuple[str, ...]] = ()
    ROTATED: ClassVar[float] = 0.5
    ALIASES: ClassVar[Names] = {
        **{"ffn_hidden_size": "intermediate_size", "num_layers": "num_hidden_layers"},
        **{"padded_vocab_size": "vocab_size", "kv_channels": "head_dim"},
        **{"seq_length": "max_position_embeddings"},
    }
    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        "apply_query_key_layer_scaling apply_residual_connection_post_layernorm"
        " attention_softmax_in_fp32 bias_dropout_fusion fp32_residual_connection original_rope"
        " rmsnorm pre_seq_len prefix_projection quantization_bit rope_ratio post_layer_norm"
        " interleaved_qkv".split()
    )
    NORMS: ClassVar[Norms] = ("input_layernorm", None, "post_attention_layernorm", None)
    LAYER: ClassVar[str] = "transformer.encoder.layers.{layer}"
    EMBEDDING: ClassVar[str] = "transformer.embedding.word_embeddings"
    FINAL: ClassVar[str] = "transformer.encoder.final_layernorm"
    HEAD: ClassVar[str] = "transformer.output_layer"

    add_qkv_bias: Flag = True
    add_bias_linear: Flag = False
    multi_query_attention: Flag = True
    multi_query_group_num: Count = 2

    @property
    def key_heads(self) -> int:
        """Groups, or as many as of queries."""
        return (
            self.multi_query_group_num if self.multi_query_attention else self.num_attention_heads
        )

    def attention(self, window: int | None) -> Block:
        """Attention with a fused module."""
        fused = "query_key_value"
        return self.heads(
            *(window,),
            **{"qkv_bias": self.add_qkv_bias or self.add_bias_linear},
            **{"output_bias": self.add_bias_linear, "names": (fused, fused, fused, "dense")},
            path=f"{self.LAYER}.self_attention",
        )

    def inner(self, layer: int) -> Block:
        """MLP with a fused module."""
        names = ("dense_h_to_4h", "dense_h_to_4h", "dense_4h_to_h")
        return self.gated(bias=self.add_bias_linear, names=names)
