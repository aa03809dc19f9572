"""Gemma 1 and 2: tied embeddings times a factor, a gated MLP with GELU (`Gemma2Config`).

Gemma 2 (arXiv 2408.00118) norms before and after both blocks, has a window in every other layer,
and caps scores and logits by tanh. VaultGemma is Gemma 2 without the norms after blocks.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.scale import LogitScale
from hwmodel.einsum.workloads.decoder import Decoder, Norms, every
from hwmodel.einsum.workloads.record import Count, Flag

MODEL_TYPES = ("gemma", "gemma2", "vaultgemma")


class Gemma(Decoder):
    """`hidden_activation` is a newer name of `hidden_act`, and wins."""

    HARMLESS: ClassVar[frozenset[str]] = frozenset({"use_bidirectional_attention"})

    head_dim: Count | None = 256
    hidden_act: str = "gelu_pytorch_tanh"
    hidden_activation: str | None = None
    tie_word_embeddings: Flag = True
    attention_bias: Flag = False

    @property
    def scaled(self) -> frozenset[str]:
        """Embeddings, by the root of the hidden size."""
        return frozenset({"embedding"})

    def attention(self, window: int | None) -> Block:
        """Attention with biases by key."""
        return self.heads(window, qkv_bias=self.attention_bias, output_bias=self.attention_bias)

    def inner(self, layer: int) -> Block:
        """MLP with the activation, whichever key says it."""
        return self.gated(act=self.hidden_activation or "gelu_pytorch_tanh")


class Gemma2(Gemma):
    """Windows in every other layer, beginning with the first."""

    NORMS: ClassVar[Norms] = (
        *("input_layernorm", "post_attention_layernorm"),
        *("pre_feedforward_layernorm", "post_feedforward_layernorm"),
    )

    sliding_window: Count | None = 4096
    query_pre_attn_scalar: float | None = 256
    attn_logit_softcapping: float | None = 50.0
    final_logit_softcapping: float | None = 30.0

    def windows(self) -> tuple[int | None, ...]:
        """Layers by their kind, said or every other."""
        return super().windows() if self.layer_types else every(2, self)

    def ended(self) -> tuple[Block, ...]:
        """Logits are capped."""
        cap = (LogitScale(self.vocab_size, capped=True),) if self.final_logit_softcapping else ()
        return (*super().ended(), *cap)

    def notes(self) -> tuple[str, ...]:
        """The cap of scores."""
        if not self.attn_logit_softcapping:
            return ()
        return ("attn_logit_softcapping: a tanh of each score, inside attention, is not counted",)


class VaultGemma(Gemma2):
    """Norms before blocks alone."""

    NORMS: ClassVar[Norms] = ("input_layernorm", None, "pre_feedforward_layernorm", None)


RECORDS = {"gemma": Gemma, "gemma2": Gemma2, "vaultgemma": VaultGemma}
