"""Granite 4: Mamba-2 or attention by layer, experts or none beside a shared MLP.

`GraniteMoeHybridConfig`; attention is rotated where `position_embedding_type` says "rope".
"""

from typing import Any, ClassVar

from hwmodel.einsum.workloads.architectures.granitemoe import GraniteMoe
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.mlp import Mlp
from hwmodel.einsum.workloads.mixers import Mamba2Keys
from hwmodel.einsum.workloads.record import Count, Layers, Whole

MODEL_TYPES = ("granitemoehybrid",)


class Config(Mamba2Keys, GraniteMoe):
    """`layer_types` says which layers are of attention; without experts the shared MLP is alone."""

    KINDS: ClassVar[tuple[str, ...]] = (
        *("attention", "full_attention", "mamba", "linear_attention"),
    )

    vocab_size: Count = 32000
    hidden_size: Count = 4096
    intermediate_size: Count | None = 11008
    num_hidden_layers: Layers = 32
    num_attention_heads: Count = 32
    num_local_experts: Whole = 8
    num_experts_per_tok: Whole = 2
    shared_intermediate_size: Whole = 1024
    position_embedding_type: str | None = None

    def attention_in(self, layer: int, window: int | None) -> Block:
        """Attention, or a mixer."""
        kind = "mamba" if self.layer_types is None else self.layer_types[layer]
        if "attention" not in kind or kind == "linear_attention":
            return self.mixer(f"{self.LAYER}.mamba")
        biased = self.attention_bias
        turned: dict[str, Any] = {} if self.position_embedding_type == "rope" else {"rotated": 0}
        return self.heads(None, qkv_bias=biased, output_bias=biased, **turned)

    def inner(self, layer: int) -> Block:
        """Experts and the shared MLP, or that alone."""
        if self.num_local_experts:
            return super().inner(layer)
        width, path = self.shared_intermediate_size, f"{self.LAYER}.shared_mlp"
        names = ("input_linear", "input_linear", "output_linear")
        counted = "shared_intermediate_size"
        return Mlp(self.hidden_size, width, False, path, names, counted, self.hidden_act)
