"""Granite: Llama with factors of embedding, residual additions and logits (`GraniteConfig`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.architectures import llama
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import Norms
from hwmodel.einsum.workloads.record import Count, Flag

MODEL_TYPES = ("granite", "granite_swa", "hyperclovax")


class Config(llama.Config):
    """The factors; that of attention is part of its softmax."""

    embedding_multiplier: float = 1.0
    residual_multiplier: float = 1.0
    attention_multiplier: float = 1.0
    logits_scaling: float = 1.0

    @property
    def scaled(self) -> frozenset[str]:
        """All three, whatever their value: the code multiplies by 1 too."""
        return frozenset({"embedding", "residual", "logits"})


class Swa(Config):
    """A window in layers that are said to have one, and a sink of each head."""

    HARMLESS: ClassVar[frozenset[str]] = frozenset({"layer_rope_theta"})

    tie_word_embeddings: Flag = True
    sliding_window: Count | None = 128

    def windows(self) -> tuple[int | None, ...]:
        """None where kinds of layers are not said."""
        return super().windows() if self.layer_types else (None,) * self.num_hidden_layers

    def attention(self, window: int | None) -> Block:
        """Attention with sinks."""
        biased = self.attention_bias
        return self.heads(window, qkv_bias=biased, output_bias=biased, sinks=True)


class HyperClovaX(Config):
    """Norms after blocks too, unless they are off."""

    NORMS: ClassVar[Norms] = (
        *("input_layernorm", "post_norm1", "post_attention_layernorm", "post_norm2"),
    )

    use_post_norm: Flag = True

    def norm(self, name: str, module: str | None, *, last: bool = False) -> tuple[Block, ...]:
        """Norms after blocks by key."""
        left_out = not self.use_post_norm and "output norm" in name
        return () if left_out else super().norm(name, module, last=last)


RECORDS = {"granite": Config, "granite_swa": Swa, "hyperclovax": HyperClovaX}
