"""MiMo 7B: Qwen 2, with layers beside it that predict further tokens (Xiaomi's own code)."""

from hwmodel.einsum.workloads.architectures import qwen2
from hwmodel.einsum.workloads.record import Flag

MODEL_TYPES = ("mimo",)


class Config(qwen2.Config):
    """Biases of q, k and v, as of Qwen 2."""

    attention_bias: Flag = True
