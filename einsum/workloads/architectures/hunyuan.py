"""Hunyuan: Llama with norms of q and k, after rotary embedding; with experts.

`HunYuanDenseV1Config`; `HunYuanMoEV1Config` says sizes of experts as one number, or as one for each
layer.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.attention import HeadNorm
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import Decoder
from hwmodel.einsum.workloads.record import Count, Flag, Names

MODEL_TYPES = ("hunyuan_v1_dense", "hunyuan_v1_moe")
Each = Count | tuple[Count, ...]
"""One number for all layers, or one for each."""


class Dense(Decoder):
    """Biases of all four projections by key."""

    attention_bias: Flag = False
    use_qk_norm: Flag = True

    def attention(self, window: int | None) -> Block:
        """Attention with norms of q and k."""
        biased, norm = self.attention_bias, HeadNorm(names=("query_layernorm", "key_layernorm"))
        return self.heads(
            window, qkv_bias=biased, output_bias=biased, qk_norm=self.use_qk_norm, head_norm=norm
        )


class Moe(Dense):
    """Experts and shared ones of the same kind beside them, in every layer."""

    ALIASES: ClassVar[Names] = {
        **{"num_local_experts": "num_experts", "num_experts_per_tok": "moe_topk"},
    }

    num_experts: Each = 1
    moe_topk: Each = 1
    moe_intermediate_size: Each | None = None
    num_shared_expert: Each = 1

    def inner(self, layer: int) -> Block:
        """Experts, and those that all tokens pass."""
        width = _of(self.moe_intermediate_size or self.inner_size, layer)
        routed = self.experts(
            experts=_of(self.num_experts, layer),
            picks=_of(self.moe_topk, layer),
            intermediate=width,
            router="gate.wg",
        )
        shared = _of(self.num_shared_expert, layer) * self.inner_size
        return self.shared(routed, shared, "mlp.shared_mlp")


def _of(said: Each, layer: int) -> int:
    return said if isinstance(said, int) else said[layer]


RECORDS = {"hunyuan_v1_dense": Dense, "hunyuan_v1_moe": Moe}
