"""Mamba-2 alone: one mixer a layer, and no cache that grows (`Mamba2Config`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.mamba import Mamba2
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.mixers import Mixers
from hwmodel.einsum.workloads.record import Count, Flag, Layers, Names

MODEL_TYPES = ("mamba2",)


class Config(Mixers):
    """The keys of `Mamba2Config`."""

    ALIASES: ClassVar[Names] = {**{"d_model": "hidden_size", "n_layer": "num_hidden_layers"}}
    HARMLESS: ClassVar[frozenset[str]] = frozenset({"expand", "time_step_rank", "rms_norm"})

    vocab_size: Count = 32768
    hidden_size: Count = 4096
    num_hidden_layers: Layers = 64
    tie_word_embeddings: Flag = False
    hidden_act: str = "silu"
    num_heads: Count = 128
    head_dim: Count = 64
    state_size: Count = 128
    n_groups: Count = 8
    conv_kernel: Count = 4
    chunk_size: Count = 256
    use_bias: Flag = False
    use_conv_bias: Flag = True

    def network(self) -> Network:
        """Equal layers."""
        mixer = Mamba2(
            *(self.hidden_size, self.num_heads, self.head_dim, self.n_groups, self.state_size),
            *(self.conv_kernel, self.chunk_size, self.use_bias, self.use_conv_bias),
            act=self.hidden_act,
            path=f"{self.LAYER}.mixer",
        )
        return self.between([self.single(mixer)] * self.num_hidden_layers)
