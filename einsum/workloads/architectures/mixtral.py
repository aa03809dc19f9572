"""Mixtral: Mistral with experts in every layer, whose weights sum to 1 (`MixtralConfig`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.mixture import Mixture
from hwmodel.einsum.workloads.decoder import Decoder, check_experts
from hwmodel.einsum.workloads.record import Count

MODEL_TYPES = ("mixtral",)


class Config(Decoder):
    """Experts of the size that `intermediate_size` says."""

    REQUIRED: ClassVar[tuple[str, ...]] = (
        *("num_key_value_heads", "num_local_experts", "num_experts_per_tok"),
    )

    sliding_window: Count | None = None
    num_local_experts: Count | None = None
    num_experts_per_tok: Count | None = None

    def inner(self, layer: int) -> Block:
        """Experts."""
        return Mixture(
            hidden=self.hidden_size,
            experts=self.num_local_experts or 1,
            picks=self.num_experts_per_tok or 1,
            intermediate=self.inner_size,
            path="model.layers.{layer}.block_sparse_moe",
            names=("w1", "w3", "w2"),
            counted="intermediate_size",
        )

    def check(self, where: str) -> None:
        """No more experts a token than there are."""
        super().check(where)
        check_experts(where, self.num_local_experts, self.num_experts_per_tok)
