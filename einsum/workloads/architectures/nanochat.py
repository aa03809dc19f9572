"""nanochat: norms without weights, of q and k too, capped logits (`NanoChatConfig`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.attention import HeadNorm
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.norm import Kind
from hwmodel.einsum.workloads.blocks.scale import LogitScale
from hwmodel.einsum.workloads.decoder import Decoder
from hwmodel.einsum.workloads.record import Flag

MODEL_TYPES = ("nanochat",)


class Config(Decoder):
    """The embedding passes a norm, too."""

    NORM: ClassVar[Kind] = "rms without weights"

    hidden_act: str = "relu2"
    attention_bias: Flag = False
    final_logit_softcapping: float | None = 15.0

    def embedded(self) -> tuple[Block, ...]:
        """Tokens, and their norm."""
        return (*super().embedded(), *self.norm("embedding norm", "model.norm"))

    def attention(self, window: int | None) -> Block:
        """Attention with norms of q and k."""
        biased, norm = self.attention_bias, HeadNorm(gains="none")
        return self.heads(window, qkv_bias=biased, output_bias=biased, qk_norm=True, head_norm=norm)

    def inner(self, layer: int) -> Block:
        """MLP of two products."""
        return self.plain(bias=False)

    def ended(self) -> tuple[Block, ...]:
        """Logits are capped."""
        cap = (LogitScale(self.vocab_size, capped=True),) if self.final_logit_softcapping else ()
        return (*super().ended(), *cap)
