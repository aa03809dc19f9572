"""StableLM 2: layer norms, a quarter of a head rotated (`StableLmConfig`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.attention import HeadNorm
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.norm import Kind
from hwmodel.einsum.workloads.decoder import Decoder
from hwmodel.einsum.workloads.record import Flag

MODEL_TYPES = ("stablelm",)


class Config(Decoder):
    """Biases of q, k and v, and norms of each head of q and k, by key."""

    ROTATED: ClassVar[float] = 0.25
    NORM: ClassVar[Kind] = "layer"

    use_qkv_bias: Flag = False
    qk_layernorm: Flag = False
    use_parallel_residual: Flag = False
    partial_rotary_factor: float | None = None

    @property
    def parallel(self) -> bool:
        """By key; then one norm feeds both."""
        return self.use_parallel_residual

    def norm(self, name: str, module: str | None, *, last: bool = False) -> tuple[Block, ...]:
        """No norm before the MLP where that reads what attention reads."""
        left_out = self.parallel and name == "mlp norm"
        return () if left_out else super().norm(name, module, last=last)

    def attention(self, window: int | None) -> Block:
        """Attention with what keys say."""
        norm = HeadNorm(
            gains="each", kind="layer without shift", names=("q_layernorm", "k_layernorm")
        )
        return self.heads(
            window, qkv_bias=self.use_qkv_bias, qk_norm=self.qk_layernorm, head_norm=norm
        )
