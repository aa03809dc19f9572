"""GLM 4: biases of q, k and v, half of a head rotated; 0414 with more norms (`Glm4Config`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import Decoder, Norms
from hwmodel.einsum.workloads.record import Count, Flag

MODEL_TYPES = ("glm", "glm4", "glm4v_text")


class Glm(Decoder):
    """One module for gate and up."""

    ROTATED: ClassVar[float] = 0.5

    head_dim: Count | None = 128
    attention_bias: Flag = True
    partial_rotary_factor: float | None = None

    def attention(self, window: int | None) -> Block:
        """Attention with biases by key, none of the output."""
        return self.heads(window, qkv_bias=self.attention_bias)

    def inner(self, layer: int) -> Block:
        """MLP with a fused module."""
        return self.gated(names=("gate_up_proj", "gate_up_proj", "down_proj"))


class Glm4(Glm):
    """Norms before and after both blocks."""

    NORMS: ClassVar[Norms] = (
        *("input_layernorm", "post_self_attn_layernorm"),
        *("post_attention_layernorm", "post_mlp_layernorm"),
    )


class Glm4v(Glm4):
    """The text of GLM 4V: heads as wide as hidden states divide into (`Glm4vTextConfig`)."""

    head_dim: Count | None = None


RECORDS = {"glm": Glm, "glm4": Glm4, "glm4v_text": Glm4v}
