"""Jais 2: layer norms, a plain MLP with squared ReLU, biases throughout (`Jais2Config`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.architectures import nemotron
from hwmodel.einsum.workloads.record import Count, Flag

MODEL_TYPES = ("jais2",)


class Config(nemotron.Config):
    """All of a head is rotated."""

    ROTATED: ClassVar[float] = 1.0

    head_dim: Count | None = 128
    attention_bias: Flag = True
    mlp_bias: Flag = True
