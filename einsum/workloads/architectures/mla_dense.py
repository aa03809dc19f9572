"""Latent attention and dense MLPs: Youtu-LLM (`YoutuConfig`), MiniCPM 3 (`MiniCPM3Config`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.architectures.deepseek import DeepseekV3
from hwmodel.einsum.workloads.record import Count, Flag, Whole

MODEL_TYPES = ("youtu", "minicpm3")


class Youtu(DeepseekV3):
    """No experts."""

    HARMLESS: ClassVar[frozenset[str]] = frozenset({"embedding_initializer_range", "mlp_bias"})

    tie_word_embeddings: Flag = True
    n_routed_experts: Count | None = None
    n_shared_experts: Whole | None = None
    n_group: Count | None = None
    topk_group: Count | None = None


class MiniCpm3(Youtu):
    """Factors of embedding, residual additions and logits."""

    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        "scale_emb scale_depth dim_model_base mlp_bias".split()
    )

    q_lora_rank: Count | None = 768
    kv_lora_rank: Count = 256
    qk_nope_head_dim: Count = 64
    qk_rope_head_dim: Count = 32
    v_head_dim: Count = 64

    @property
    def scaled(self) -> frozenset[str]:
        """All three."""
        return frozenset({"embedding", "residual", "logits"})


RECORDS = {"youtu": Youtu, "minicpm3": MiniCpm3}
