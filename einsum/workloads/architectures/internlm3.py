"""InternLM 3: Llama with keys of its own for biases (`InternLM3Config`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.architectures import llama
from hwmodel.einsum.workloads.record import Count, Names

MODEL_TYPES = ("internlm3",)


class Config(llama.Config):
    """Other names of the keys of biases."""

    ALIASES: ClassVar[Names] = {"qkv_bias": "attention_bias", "bias": "mlp_bias"}

    head_dim: Count | None = 128
