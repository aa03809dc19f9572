"""Decoders whose layers are one block each, between a norm and a residual addition: state models.

Mamba (arXiv 2312.00752) and its kin have no attention, no positions and no MLP; hybrids such as
Nemotron-H have a mixer or an MLP in a layer, by a pattern.
"""

import math
import re
from typing import Any, ClassVar, Final

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.ends import Embedding, Head
from hwmodel.einsum.workloads.blocks.mamba import Mamba2
from hwmodel.einsum.workloads.blocks.network import Network, grouped
from hwmodel.einsum.workloads.blocks.norm import Kind, Norm, Residual
from hwmodel.einsum.workloads.record import Config, Count, Flag
from hwmodel.einsum.workloads.rows import ACTIVATIONS
from hwmodel.quantity.errors import CoverageError

HARMLESS: Final = re.compile(
    r"time_step_(min|max|floor|scale|limit|init_scheme)|rescale_prenorm_residual|residual_in_fp32"
    r"|(use_)?mamba_?(py|_kernels)?|use_.*(mambapy|associative_scan|kernels|mem_eff_path)"
    r"|num_logits_to_keep|mamba_(dt_.*|proj_split)|z_loss_coefficient|norm_before_gate"
)
"""Keys that hybrids and state models have, and that change no count."""


class Mixers(Config):
    """Embedding, layers of one block, norm and head."""

    RULES: ClassVar[re.Pattern[str] | None] = HARMLESS
    LAYER: ClassVar[str] = "backbone.layers.{layer}"
    EMBEDDING: ClassVar[str] = "backbone.embeddings"
    FINAL: ClassVar[str] = "backbone.norm_f"
    HEAD: ClassVar[str] = "lm_head"
    NORM: ClassVar[Kind] = "rms"

    vocab_size: Count
    hidden_size: Count
    hidden_act: str = "silu"
    tie_word_embeddings: Flag = False

    def single(self, block: Block, name: str = "mixer") -> tuple[Block, ...]:
        """A layer: norm, block, residual addition."""
        norm = Norm(f"{name} norm", f"{self.LAYER}.norm", self.hidden_size, self.NORM)
        return norm, block, Residual(f"{name} residual", self.hidden_size)

    def between(self, layers: list[tuple[Block, ...]]) -> Network:
        """The layers between embedding and head."""
        sizes = (self.vocab_size, self.hidden_size)
        return Network(
            hidden=self.hidden_size,
            before=(Embedding(*sizes, self.EMBEDDING),),
            layers=grouped(layers),
            after=(
                Norm("final norm", self.FINAL, self.hidden_size, self.NORM, last=True),
                Head(*sizes, self.tie_word_embeddings, self.HEAD, self.EMBEDDING),
            ),
        )

    def check(self, where: str) -> None:
        """An activation that is modelled."""
        super().check(where)
        if self.hidden_act not in ACTIVATIONS:
            raise CoverageError(f"{where}: hidden_act: {self.hidden_act!r} is not modelled")


class Mamba2Keys(Config):
    """Keys of Mamba-2's mixers as hybrids of attention and mixers have them."""

    RULES: ClassVar[re.Pattern[str] | None] = HARMLESS

    hidden_size: Count
    mamba_n_heads: Count = 128
    mamba_d_head: Count | str = "auto"
    mamba_n_groups: Count = 1
    mamba_d_state: Count = 256
    mamba_d_conv: Count = 4
    mamba_expand: float = 2
    mamba_chunk_size: Count = 256
    mamba_conv_bias: Flag = True
    mamba_proj_bias: Flag = False

    def mixer(self, path: str, **more: Any) -> Mamba2:
        """A mixer of these sizes."""
        inner, said = int(self.mamba_expand * self.hidden_size), self.mamba_d_head
        size = said if isinstance(said, int) else inner // self.mamba_n_heads
        return Mamba2(
            *(self.hidden_size, self.mamba_n_heads, size, self.mamba_n_groups),
            *(self.mamba_d_state, self.mamba_d_conv, self.mamba_chunk_size, self.mamba_proj_bias),
            conv_bias=self.mamba_conv_bias,
            path=path,
            **more,
        )


def rank(said: int | str | None, hidden: int) -> int:
    """Rank of the steps' product: a sixteenth of the hidden size where it is "auto"."""
    return said if isinstance(said, int) else math.ceil(hidden / 16)
