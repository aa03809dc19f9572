"""Granite: Llama with factors of embedding, residual additions and logits (`GraniteConfig`)."""

from hwmodel.einsum.workloads.architectures import llama

MODEL_TYPES = ("granite",)


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
