"""Mamba and Falcon Mamba: mixers alone, one a layer, and no cache that grows (`MambaConfig`).

Falcon Mamba's steps, keys and queries pass norms without weights.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.mamba import Mamba
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.mixers import Mixers, rank
from hwmodel.einsum.workloads.record import Config as AnyConfig
from hwmodel.einsum.workloads.record import Count, Flag, Layers, Names

MODEL_TYPES = ("mamba", "falcon_mamba")


class Config(Mixers):
    """The keys of `MambaConfig`; channels are `intermediate_size`, or follow from `expand`."""

    ALIASES: ClassVar[Names] = {**{"d_model": "hidden_size", "n_layer": "num_hidden_layers"}}
    HARMLESS: ClassVar[frozenset[str]] = frozenset({"d_inner", "ssm_cfg"})
    NORMED: ClassVar[bool] = False

    vocab_size: Count = 50280
    hidden_size: Count = 768
    num_hidden_layers: Layers = 32
    tie_word_embeddings: Flag = True
    hidden_act: str = "silu"
    intermediate_size: Count | None = None
    state_size: Count = 16
    expand: float = 2
    conv_kernel: Count = 4
    time_step_rank: Count | str = "auto"
    use_bias: Flag = False
    use_conv_bias: Flag = True

    def network(self) -> Network:
        """Equal layers."""
        mixer: Block = Mamba(
            hidden=self.hidden_size,
            inner=self.intermediate_size or int(self.expand * self.hidden_size),
            state=self.state_size,
            rank=rank(self.time_step_rank, self.hidden_size),
            taps=self.conv_kernel,
            bias=self.use_bias,
            conv_bias=self.use_conv_bias,
            normed=self.NORMED,
            act=self.hidden_act,
            path=f"{self.LAYER}.mixer",
        )
        return self.between([self.single(mixer)] * self.num_hidden_layers)


class Falcon(Config):
    """Falcon Mamba."""

    NORMED: ClassVar[bool] = True


RECORDS: dict[str, type[AnyConfig]] = {"mamba": Config, "falcon_mamba": Falcon}
