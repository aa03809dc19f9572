"""OLMoE (arXiv 2409.02060) and FlexOlmo: OLMo with experts (`OlmoeConfig`, `FlexOlmoConfig`).

Both normalise q and k of all heads together; OLMoE norms before blocks, FlexOlmo after them.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.attention import HeadNorm
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import Decoder, Norms, check_experts
from hwmodel.einsum.workloads.record import Count, Flag, Names, Values

MODEL_TYPES = ("olmoe", "flex_olmo")


class Olmoe(Decoder):
    """Experts of the size that `intermediate_size` says, in every layer."""

    ALIASES: ClassVar[Names] = {"num_local_experts": "num_experts"}

    HARMLESS: ClassVar[frozenset[str]] = frozenset({"expert_intermediate_size"})
    NEUTRAL: ClassVar[Values] = {
        **{"use_qk_norm": (True,), "norm_type": ("rms_norm",)},
    }

    attention_bias: Flag = False
    clip_qkv: float | None = None
    num_experts: Count = 64
    num_experts_per_tok: Count = 8
    norm_topk_prob: Flag = False

    def attention(self, window: int | None) -> Block:
        """Attention with norms of q and k, which may be clipped."""
        biased = self.attention_bias
        return self.heads(
            *(window,),
            **{"qkv_bias": biased, "output_bias": biased, "qk_norm": True},
            **{"head_norm": HeadNorm(whole=True), "clipped": self.clip_qkv is not None},
        )

    def inner(self, layer: int) -> Block:
        """Experts."""
        return self.experts(
            experts=self.num_experts,
            picks=self.num_experts_per_tok,
            intermediate=self.inner_size,
            normalised=self.norm_topk_prob,
            counted="intermediate_size",
        )

    def check(self, where: str) -> None:
        """No more experts a token than there are."""
        super().check(where)
        check_experts(where, self.num_experts, self.num_experts_per_tok)


class FlexOlmo(Olmoe):
    """Norms after blocks alone."""

    NORMS: ClassVar[Norms] = (None, "post_attention_layernorm", None, "post_feedforward_layernorm")

    num_experts: Count = 7
    num_experts_per_tok: Count = 5


RECORDS = {"olmoe": Olmoe, "flex_olmo": FlexOlmo}
