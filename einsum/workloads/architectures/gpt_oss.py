"""gpt-oss: experts in every layer, every second layer's attention under a window (`GptOssConfig`).

Attention has biases and a learned sink a head. Router and experts have biases; weights are the
softmax of the chosen experts' logits. Experts are one tensor for all, gate and up interleaved, and
their SiLU is cut off (`modeling_gpt_oss.py`). OpenAI's checkpoints hold them in MXFP4.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import Decoder, check_experts
from hwmodel.einsum.workloads.dispatch import Scoring
from hwmodel.einsum.workloads.record import Count, Flag

MODEL_TYPES = ("gpt_oss",)


class Config(Decoder):
    """A window in layers 0, 2, 4, ... unless `layer_types` says otherwise."""

    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        ("swiglu_alpha", "swiglu_limit", "experts_per_token", "initial_context_length")
    )

    num_key_value_heads: Count | None = 8
    head_dim: Count | None = 64
    attention_bias: Flag = True
    sliding_window: Count | None = 128
    num_local_experts: Count = 128
    num_experts_per_tok: Count = 4

    def attention(self, window: int | None) -> Block:
        """Attention with biases and sinks."""
        biased = self.attention_bias
        return self.heads(window, qkv_bias=biased, output_bias=biased, sinks=True)

    def inner(self, layer: int) -> Block:
        """Experts."""
        return self.experts(
            experts=self.num_local_experts,
            picks=self.num_experts_per_tok,
            intermediate=self.intermediate_size,
            scoring=Scoring("chosen softmax"),
            act="clamped",
            router_bias=True,
            bias=True,
            names=("gate_up_proj", "gate_up_proj", "down_proj"),
            stacked=True,
            router="router",
            counted="intermediate_size",
        )

    def windows(self) -> tuple[int | None, ...]:
        """Every second layer's, from the first."""
        if self.layer_types is not None:
            return super().windows()
        layers = range(self.num_hidden_layers)
        return tuple(None if layer % 2 else self.sliding_window for layer in layers)

    def check(self, where: str) -> None:
        """No more experts a token than there are."""
        super().check(where)
        check_experts(where, self.num_local_experts, self.num_experts_per_tok)
