"""Falcon H1: attention and Mamba-2 side by side in every layer, and an MLP (`FalconH1Config`).

Factors on all sides (`*_multiplier`) scale matrices that are multiplied anyway, but those of the
embedding and the logits, which are kernels.
"""

from dataclasses import replace
from typing import Any, ClassVar

from hwmodel.einsum.workloads.blocks.beside import Beside
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import Decoder, Norms
from hwmodel.einsum.workloads.mixers import Mamba2Keys
from hwmodel.einsum.workloads.record import Count, Flag, Layers, Values

MODEL_TYPES = ("falcon_h1",)


class Config(Mamba2Keys, Decoder):
    """`mamba_d_ssm` are the values of a token in the mixer."""

    REQUIRED: ClassVar[tuple[str, ...]] = ()
    NORMS: ClassVar[Norms] = ("input_layernorm", None, "pre_ff_layernorm", None)
    FINAL: ClassVar[str] = "model.final_layernorm"
    KINDS: ClassVar[tuple[str, ...]] = ("hybrid",)
    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        "attention_in_multiplier attention_out_multiplier key_multiplier mlp_multipliers"
        " ssm_in_multiplier ssm_out_multiplier ssm_multipliers lm_head_multiplier"
        " embedding_multiplier mamba_norm_before_gate attn_layer_indices".split()
    )
    NEUTRAL: ClassVar[Values] = {"mamba_use_mlp": (True,)}

    vocab_size: Count = 128000
    hidden_size: Count = 4096
    intermediate_size: Count | None = 14336
    num_hidden_layers: Layers = 32
    num_attention_heads: Count = 32
    num_key_value_heads: Count | None = 8
    attention_bias: Flag = False
    mlp_bias: Flag = False
    projectors_bias: Flag = False
    mamba_d_ssm: Count | None = 1024
    mamba_rms_norm: Flag = False

    @property
    def scaled(self) -> frozenset[str]:
        """Both, whatever their value: the code multiplies by 1 too."""
        return frozenset({"embedding", "logits"})

    def attention_in(self, layer: int, window: int | None) -> Block:
        """Attention and a mixer, added together."""
        sizes: dict[str, Any] = {}
        if self.mamba_d_ssm is not None and not isinstance(self.mamba_d_head, int):
            sizes["head_dim"] = self.mamba_d_ssm // self.mamba_n_heads
        mixer = self.mixer(f"{self.LAYER}.mamba", normed=self.mamba_rms_norm)
        attention = self.heads(None, qkv_bias=self.attention_bias, output_bias=self.attention_bias)
        return Beside(self.hidden_size, attention, replace(mixer, **sizes), name="mixer")

    def inner(self, layer: int) -> Block:
        """A gated MLP."""
        return self.gated(bias=self.mlp_bias, path=f"{self.LAYER}.feed_forward")
