"""JetMoE: experts of attention, which make queries and outputs, and experts of the MLP.

Shen et al., arXiv 2404.07413 (`JetMoeConfig`). Each layer's MLP is a mixture; heads of queries are
as many sets as a token has experts, keys are shared by the sets.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.chain import Chain
from hwmodel.einsum.workloads.blocks.held import Held
from hwmodel.einsum.workloads.blocks.routed_heads import RoutedHeads
from hwmodel.einsum.workloads.decoder import Decoder, check_experts
from hwmodel.einsum.workloads.record import Count, Flag, Layers, Names
from hwmodel.quantity.errors import InputError

MODEL_TYPES = ("jetmoe",)


class Config(Decoder):
    """`kv_channels` is a head's size."""

    ALIASES: ClassVar[Names] = {"activation_function": "hidden_act", "kv_channels": "head_dim"}
    REQUIRED: ClassVar[tuple[str, ...]] = ()

    vocab_size: Count = 32000
    hidden_size: Count = 2048
    intermediate_size: Count | None = 5632
    num_hidden_layers: Layers = 12
    num_attention_heads: Count = 32
    num_key_value_heads: Count | None = 16
    head_dim: Count | None = 128
    num_local_experts: Count = 8
    num_experts_per_tok: Count = 2
    tie_word_embeddings: Flag = True

    def attention(self, window: int | None) -> Block:
        """Attention whose queries experts make."""
        path = f"{self.LAYER}.self_attention"
        heads = self.heads(window, path=path, names=("q", "kv_proj", "kv_proj", "o"))
        sizes = (self.num_local_experts, self.num_experts_per_tok, f"{path}.experts")
        return RoutedHeads(heads, *sizes)

    def inner(self, layer: int) -> Block:
        """Experts, and a bias of their sum."""
        experts = self.experts(
            experts=self.num_local_experts,
            picks=self.num_experts_per_tok,
            intermediate=self.inner_size,
            names=("input_linear", "input_linear", "output_linear"),
            counted="intermediate_size",
            router="router.layer",
            act=self.hidden_act,
        )
        return Chain((experts, Held(f"{self.LAYER}.mlp.bias", (self.hidden_size,), "biases")))

    def check(self, where: str) -> None:
        """Heads of as many sets as experts of a token."""
        super().check(where)
        check_experts(where, self.num_local_experts, self.num_experts_per_tok)
        sets = self.key_heads * self.num_experts_per_tok
        if self.num_attention_heads != sets:
            raise InputError(
                f"{where}: num_attention_heads: expected num_key_value_heads times"
                f" num_experts_per_tok ({sets}), found {self.num_attention_heads}"
            )
