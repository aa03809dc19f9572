"""xLSTM 7B (arXiv 2503.13427): a matrix memory and a gated MLP a layer, no attention."""

from dataclasses import replace
from typing import ClassVar

from hwmodel.einsum.workloads.blocks.mlp import Mlp
from hwmodel.einsum.workloads.blocks.mlstm import Mlstm
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.blocks.norm import Norm, Residual
from hwmodel.einsum.workloads.blocks.scale import LogitScale
from hwmodel.einsum.workloads.mixers import Mixers
from hwmodel.einsum.workloads.record import Count, Flag, Layers, Names, Values, state_format

MODEL_TYPES = ("xlstm",)


class Config(Mixers):
    """Queries and keys are narrower than values by `qk_dim_factor`; the MLP is rounded up."""

    ALIASES: ClassVar[Names] = {"embedding_dim": "hidden_size", "num_blocks": "num_hidden_layers"}
    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        "norm_reduction_force_float32 chunkwise_kernel sequence_kernel step_kernel mode"
        " return_last_states autocast_kernel_dtype eps gate_soft_cap"
        " max_inference_chunksize".split()
    )
    NEUTRAL: ClassVar[Values] = {"add_out_norm": (True,), "weight_mode": ("single",)}
    LAYER: ClassVar[str] = "backbone.blocks.{layer}"
    FINAL: ClassVar[str] = "backbone.out_norm"

    vocab_size: Count = 50304
    hidden_size: Count = 4096
    num_hidden_layers: Layers = 32
    num_heads: Count = 8
    use_bias: Flag = False
    qk_dim_factor: float = 0.5
    v_dim_factor: float = 1.0
    ffn_proj_factor: float = 2.667
    ffn_round_up_to_multiple_of: Count = 64
    chunk_size: Count = 64
    inference_state_dtype: str | None = "float32"
    output_logit_soft_cap: float | None = 30.0

    def network(self) -> Network:
        """Equal layers."""
        hidden, biased = self.hidden_size, self.use_bias
        mixer = Mlstm(
            *(hidden, self.num_heads, int(hidden * self.qk_dim_factor)),
            *(int(hidden * self.v_dim_factor), self.chunk_size, biased),
            path=f"{self.LAYER}.mlstm_layer",
            state_format=state_format(self.inference_state_dtype),
        )
        width = _up(hidden * self.ffn_proj_factor, self.ffn_round_up_to_multiple_of)
        names = ("proj_up_gate", "proj_up", "proj_down")
        mlp = Mlp(hidden, width, biased, f"{self.LAYER}.ffn", names, "ffn_proj_factor")
        layer = (
            *(Norm("mixer norm", f"{self.LAYER}.norm_mlstm", hidden), mixer),
            Residual("mixer residual", hidden),
            *(Norm("mlp norm", f"{self.LAYER}.norm_ffn", hidden), mlp),
            Residual("mlp residual", hidden),
        )
        made = self.between([layer] * self.num_hidden_layers)
        if self.output_logit_soft_cap is None:
            return made
        return replace(made, after=(*made.after, LogitScale(self.vocab_size, capped=True)))


def _up(width: float, multiple: int) -> int:
    """A width, rounded up."""
    return int((width + multiple - 1) // multiple * multiple)
