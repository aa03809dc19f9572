"""Apertus: norms of q and k, a plain MLP whose activation is learned (`ApertusConfig`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import Decoder, Norms
from hwmodel.einsum.workloads.record import Flag

MODEL_TYPES = ("apertus", "apertus1p5_text")


class Config(Decoder):
    """xIELU (arXiv 2411.13010) has two parameters a layer."""

    NORMS: ClassVar[Norms] = ("attention_layernorm", None, "feedforward_layernorm", None)

    hidden_act: str = "xielu"
    attention_bias: Flag = False
    mlp_bias: Flag = False

    def attention(self, window: int | None) -> Block:
        """Attention with norms of q and k."""
        biased = self.attention_bias
        return self.heads(window, qkv_bias=biased, output_bias=biased, qk_norm=True)

    def inner(self, layer: int) -> Block:
        """MLP of two products."""
        learned = ("act_fn.alpha_p", "act_fn.alpha_n") if self.hidden_act == "xielu" else ()
        names = ("up_proj", "down_proj")
        return self.plain(bias=self.mlp_bias, names=names, learned=learned)
