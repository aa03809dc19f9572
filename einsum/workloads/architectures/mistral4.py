"""Mistral 4 and A.X K1: DeepSeek's latent attention and experts (`Mistral4Config`, `AXK1Config`).

A.X K1's experts, with the shared ones, pass a norm before they are added.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.architectures.deepseek import DeepseekV3
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.chain import Chain
from hwmodel.einsum.workloads.blocks.norm import Norm
from hwmodel.einsum.workloads.record import Count, Layers, Whole

MODEL_TYPES = ("mistral4", "axk1")


class Mistral4(DeepseekV3):
    """Softmaxes score experts, in every layer where nothing is said."""

    SCORES: ClassVar[str] = "softmax"

    vocab_size: Count = 131072
    hidden_size: Count = 4096
    intermediate_size: Count | None = 12288
    num_hidden_layers: Layers = 36
    num_attention_heads: Count = 32
    q_lora_rank: Count | None = 1024
    kv_lora_rank: Count = 256
    qk_nope_head_dim: Count = 64
    n_routed_experts: Count | None = 128
    num_experts_per_tok: Count | None = 4
    first_k_dense_replace: Whole = 0
    n_group: Count | None = 1
    topk_group: Count | None = 1
    routed_scaling_factor: float | None = 1.0


class AxK1(DeepseekV3):
    """Which layers are dense by kind."""

    first_k_dense_replace: Whole = 1
    mlp_layer_types: tuple[str, ...] | None = None

    def inner(self, layer: int) -> Block:
        """A dense MLP, or experts with a norm behind them."""
        kinds = self.mlp_layer_types
        dense = layer < self.first_k_dense_replace if kinds is None else kinds[layer] == "dense"
        if dense:
            return self.gated()
        routed = self.model_copy(update={"first_k_dense_replace": 0})
        path = f"{self.LAYER}.mlp.post_mlp_layernorm"
        norm = Norm("experts output norm", path, self.hidden_size, self.NORM)
        return Chain((super(AxK1, routed).inner(layer), norm))


RECORDS = {"mistral4": Mistral4, "axk1": AxK1}
