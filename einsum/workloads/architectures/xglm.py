"""XGLM (arXiv 2112.10668): positions that are computed, layer norms, a plain MLP (`XGLMConfig`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.norm import Kind
from hwmodel.einsum.workloads.decoder import Decoder, Norms
from hwmodel.einsum.workloads.record import Flag, Names

MODEL_TYPES = ("xglm",)


class Config(Decoder):
    """Biases throughout; what is added for positions is not counted."""

    REQUIRED: ClassVar[tuple[str, ...]] = ()
    ALIASES: ClassVar[Names] = {
        **{"d_model": "hidden_size", "ffn_dim": "intermediate_size"},
        **{"num_layers": "num_hidden_layers", "attention_heads": "num_attention_heads"},
        **{"activation_function": "hidden_act"},
    }
    HARMLESS: ClassVar[frozenset[str]] = frozenset({"layerdrop", "init_std"})
    NORM: ClassVar[Kind] = "layer"
    NORMS: ClassVar[Norms] = ("self_attn_layer_norm", None, "final_layer_norm", None)
    FINAL: ClassVar[str] = "model.layer_norm"

    num_attention_heads: int = 16
    hidden_act: str = "gelu"
    tie_word_embeddings: Flag = True
    scale_embedding: Flag = True

    @property
    def scaled(self) -> frozenset[str]:
        """Embeddings, by key."""
        return frozenset({"embedding"}) if self.scale_embedding else frozenset()

    def attention(self, window: int | None) -> Block:
        """Attention that nothing turns."""
        names = ("q_proj", "k_proj", "v_proj", "out_proj")
        return self.heads(window, qkv_bias=True, output_bias=True, rotated=0, names=names)

    def inner(self, layer: int) -> Block:
        """MLP of two products."""
        return self.plain(path=self.LAYER)
