"""MiniCPM 1 and 2: Llama with factors of embedding, residual additions and logits.

OpenBMB's own code. Some have experts in every layer. `MiniCPM3` has latent attention, and stands
with Youtu-LLM.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.architectures import llama
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.record import Flag, Whole

MODEL_TYPES = ("minicpm",)


class Config(llama.Config):
    """A tied head, whatever is said of experts."""

    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        "scale_emb scale_depth dim_model_base sparse_config mup_denominator".split()
    )

    tie_word_embeddings: Flag = True
    num_experts: Whole = 0
    num_experts_per_tok: Whole = 2

    @property
    def scaled(self) -> frozenset[str]:
        """All three."""
        return frozenset({"embedding", "residual", "logits"})

    def inner(self, layer: int) -> Block:
        """Experts, or an MLP."""
        if not self.num_experts:
            return super().inner(layer)
        return self.experts(
            experts=self.num_experts,
            picks=self.num_experts_per_tok,
            intermediate=self.inner_size,
            names=("w1", "w3", "w2"),
            counted="intermediate_size",
        )
