"""Granite with experts, some with a shared one beside them (`GraniteMoeSharedConfig`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.architectures import granite
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import check_experts
from hwmodel.einsum.workloads.record import Count, Whole

MODEL_TYPES = ("granitemoe", "granitemoeshared", "granitemoe_swa")


class GraniteMoe(granite.Config):
    """Experts of the size that `intermediate_size` says, in every layer."""

    num_local_experts: Count = 8
    num_experts_per_tok: Count = 2
    shared_intermediate_size: Whole = 0

    NAMES: ClassVar[tuple[str, str, str]] = ("input_linear", "input_linear", "output_linear")

    def inner(self, layer: int) -> Block:
        """Experts, and the shared one if there is one."""
        routed = self.experts(
            experts=self.num_local_experts,
            picks=self.num_experts_per_tok,
            intermediate=self.inner_size,
            path=f"{self.LAYER}.block_sparse_moe",
            names=self.NAMES,
            counted="intermediate_size",
            router="router.layer",
        )
        return self.shared(routed, self.shared_intermediate_size, "shared_mlp")

    def check(self, where: str) -> None:
        """No more experts a token than there are."""
        super().check(where)
        check_experts(where, self.num_local_experts, self.num_experts_per_tok)


class Swa(GraniteMoe):
    """A window in layers that are said to have one, and a sink of each head."""

    HARMLESS: ClassVar[frozenset[str]] = frozenset({"layer_rope_theta"})

    sliding_window: Count | None = 128

    def windows(self) -> tuple[int | None, ...]:
        """None where kinds of layers are not said."""
        return super().windows() if self.layer_types else (None,) * self.num_hidden_layers

    def attention(self, window: int | None) -> Block:
        """Attention with sinks."""
        biased = self.attention_bias
        return self.heads(window, qkv_bias=biased, output_bias=biased, sinks=True)


RECORDS = {"granitemoe": GraniteMoe, "granitemoeshared": GraniteMoe, "granitemoe_swa": Swa}
