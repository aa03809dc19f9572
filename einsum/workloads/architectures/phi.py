"""Phi 1 and 2: attention beside a plain MLP, behind one layer norm; biases (`PhiConfig`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.attention import HeadNorm
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.norm import Kind
from hwmodel.einsum.workloads.decoder import Decoder, Norms
from hwmodel.einsum.workloads.record import Flag

MODEL_TYPES = ("phi",)


class Config(Decoder):
    """Half of a head is rotated where nothing is said; q and k may be normalised by head."""

    ROTATED: ClassVar[float] = 0.5
    NORM: ClassVar[Kind] = "layer"
    NORMS: ClassVar[Norms] = ("input_layernorm", None, None, None)
    FINAL: ClassVar[str] = "model.final_layernorm"
    REQUIRED: ClassVar[tuple[str, ...]] = ()

    hidden_act: str = "gelu_new"
    qk_layernorm: Flag = False
    partial_rotary_factor: float | None = None

    @property
    def parallel(self) -> bool:
        """Always."""
        return True

    def attention(self, window: int | None) -> Block:
        """Attention with biases of all products."""
        norm = HeadNorm(kind="layer", names=("q_layernorm", "k_layernorm"))
        return self.heads(
            window,
            **{"qkv_bias": True, "output_bias": True, "qk_norm": self.qk_layernorm},
            **{"head_norm": norm, "names": ("q_proj", "k_proj", "v_proj", "dense")},
        )

    def inner(self, layer: int) -> Block:
        """MLP of two products."""
        return self.plain()

    def ended(self) -> tuple[Block, ...]:
        """A head with a bias."""
        return (*self.norm("final norm", self.FINAL, last=True), self.head(bias=True))
