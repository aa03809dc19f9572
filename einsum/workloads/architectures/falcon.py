"""Falcon (arXiv 2311.16867): one head of keys, or groups; blocks side by side (`FalconConfig`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.norm import Kind
from hwmodel.einsum.workloads.decoder import Decoder
from hwmodel.einsum.workloads.record import Count, Flag, Names, Whole

MODEL_TYPES = ("falcon",)


class Config(Decoder):
    """7B has one norm for both blocks, 40B two (`new_decoder_architecture`), 1B ALiBi and order."""

    REQUIRED: ClassVar[tuple[str, ...]] = ()
    ALIASES: ClassVar[Names] = {
        **{
            "n_embed": "hidden_size",
            "n_layer": "num_hidden_layers",
            "n_head": "num_attention_heads",
        },
        **{"n_head_kv": "num_kv_heads", "ffn_hidden_size": "intermediate_size"},
        **{"activation": "hidden_act"},
    }
    HARMLESS: ClassVar[frozenset[str]] = frozenset({"apply_residual_connection_post_layernorm"})
    NORM: ClassVar[Kind] = "layer"
    LAYER: ClassVar[str] = "transformer.h.{layer}"
    EMBEDDING: ClassVar[str] = "transformer.word_embeddings"
    FINAL: ClassVar[str] = "transformer.ln_f"

    intermediate_size: Count | None = None
    hidden_act: str = "gelu"
    tie_word_embeddings: Flag = True
    num_kv_heads: Count | None = None
    num_ln_in_parallel_attn: Whole | None = None
    new_decoder_architecture: Flag = False
    multi_query: Flag = True
    parallel_attn: Flag = True
    bias: Flag = False
    alibi: Flag = False

    @property
    def inner_size(self) -> int:
        """Columns between the products of the MLP."""
        return self.intermediate_size or 4 * self.hidden_size

    @property
    def key_heads(self) -> int:
        """Groups of the newer form; one; or as many as of queries."""
        if self.new_decoder_architecture:
            return self.num_kv_heads or self.num_attention_heads
        return 1 if self.multi_query else self.num_attention_heads

    @property
    def parallel(self) -> bool:
        """Always in the newer form, else by key."""
        return self.new_decoder_architecture or self.parallel_attn

    def norm(self, name: str, module: str | None, *, last: bool = False) -> tuple[Block, ...]:
        """Two norms a layer in the newer form and in order, else one."""
        newer = self.new_decoder_architecture and (self.num_ln_in_parallel_attn or 2) == 2
        names = {"attention norm": "ln_attn", "mlp norm": "ln_mlp"} if newer else {}
        if name == "mlp norm" and self.parallel and not newer:
            return ()
        named = f"{self.LAYER}.{names[name]}" if name in names else module
        return super().norm(name, named, last=last)

    def attention(self, window: int | None) -> Block:
        """Attention that rotary embedding turns, or ALiBi instead."""
        fused, turned = "query_key_value", {"rotated": 0} if self.alibi else {}
        return self.heads(
            *(window,),
            **{"qkv_bias": self.bias, "output_bias": self.bias, **turned},
            **{"names": (fused, fused, fused, "dense"), "path": f"{self.LAYER}.self_attention"},
        )

    def inner(self, layer: int) -> Block:
        """MLP of two products."""
        return self.plain(bias=self.bias, names=("dense_h_to_4h", "dense_4h_to_h"))
