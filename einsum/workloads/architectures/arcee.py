"""Arcee: Llama with a plain MLP and squared ReLU (`ArceeConfig`)."""

from hwmodel.einsum.workloads.architectures import llama
from hwmodel.einsum.workloads.blocks.block import Block

MODEL_TYPES = ("arcee",)


class Config(llama.Config):
    """Biases by key."""

    hidden_act: str = "relu2"

    def inner(self, layer: int) -> Block:
        """MLP of two products."""
        return self.plain(bias=self.mlp_bias, names=("up_proj", "down_proj"))
