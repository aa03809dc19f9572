"""TimesFM: decoders of time series, a token for each patch of values (`TimesFmConfig`).

Das et al., arXiv 2310.10688; `TimesFm2_5Config`. Patches pass a residual block of two products with
a third beside them. A forecast reads all patches at once, so that a step is `prefill`.
"""

from dataclasses import dataclass
from typing import ClassVar

from hwmodel.einsum.workloads.blocks.attention import HeadNorm
from hwmodel.einsum.workloads.blocks.block import Block, Cache, Step
from hwmodel.einsum.workloads.blocks.held import Held
from hwmodel.einsum.workloads.blocks.norm import Kind
from hwmodel.einsum.workloads.blocks.projection import Projection
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.einsum.workloads.decoder import Norms
from hwmodel.einsum.workloads.encoder import Encoder
from hwmodel.einsum.workloads.record import Count, Flag, Layers, Names
from hwmodel.einsum.workloads.rows import add

MODEL_TYPES = ("timesfm", "timesfm2_5")


@dataclass(frozen=True)
class Series:
    """Values of a patch, and which of them are missing, made as wide as hidden states."""

    inputs: int
    inner: int
    outputs: int
    path: str = "input_ff_layer"

    def _products(self) -> tuple[Projection, ...]:
        path, more = self.path, ("embedding", True)
        return (
            Projection(
                "values up", self.inputs, self.inner, f"{path}.input_layer", False, *more, "silu"
            ),
            Projection(
                "values down", self.inner, self.outputs, f"{path}.output_layer", False, *more
            ),
            Projection(
                "values beside", self.inputs, self.outputs, f"{path}.residual_layer", False, *more
            ),
        )

    def weights(self) -> tuple[Weight, ...]:
        """Three products with biases."""
        return tuple(weight for each in self._products() for weight in each.weights())

    def stages(self, step: Step, share: Share) -> Stages:
        """The products, and the sum of two."""
        made = tuple(stage for each in self._products() for stage in each.stages(step, share))
        total = add(step.tokens, self.outputs, share.activation, "values add")
        return (*made, share.stage(total, "embedding.values"))

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None


class TimesFm(Encoder):
    """Biases throughout, a plain MLP of ReLUs, a learned scale of each element of a query."""

    HARMLESS: ClassVar[frozenset[str]] = Encoder.HARMLESS | frozenset(
        "context_length horizon_length tolerance quantiles pad_val min_timescale max_timescale"
        " use_positional_embedding decode_index force_flip_invariance infer_is_positive"
        " output_quantile_len use_continuous_quantile_head use_bias".split()
    )
    BETWEEN: ClassVar[bool] = False
    NORM: ClassVar[Kind] = "rms"
    NORMS: ClassVar[Norms] = ("input_layernorm", None, "mlp.layer_norm", None)
    LAYER: ClassVar[str] = "layers.{layer}"

    hidden_size: Count = 1280
    intermediate_size: Count | None = 1280
    num_hidden_layers: Layers = 50
    num_attention_heads: Count = 16
    head_dim: Count | None = 80
    hidden_act: str = "relu"
    patch_length: Count = 32
    freq_size: Count = 3

    def embedded(self) -> tuple[Block, ...]:
        """Values, and a row for the frequency of a series."""
        table = Held("freq_emb", (self.freq_size, self.hidden_size), "embedding")
        return (Series(2 * self.patch_length, self.inner_size, self.hidden_size), table)

    def attention(self, window: int | None) -> Block:
        """Causal attention that nothing turns."""
        return self.heads(window)

    def inner(self, layer: int) -> Block:
        """MLP by other names."""
        return self.plain(names=("gate_proj", "down_proj"))

    def layer(
        self, attention: Block, inner: Block, norms: Norms | None = None
    ) -> tuple[Block, ...]:
        """With the scale of queries; the MLP's norm has shifts."""
        scale = Held(f"{self.LAYER}.self_attn.scaling", (self.head_size,))
        shift = Held(f"{self.LAYER}.mlp.layer_norm.bias", (self.hidden_size,), "norms")
        return (*super().layer(attention, inner, norms), scale, shift)

    def ended(self) -> tuple[Block, ...]:
        """Nothing."""
        return ()


class TimesFm25(TimesFm):
    """Rotation, norms of q and k, norms around blocks, no biases."""

    NORMS: ClassVar[Norms] = (
        *("input_layernorm", "post_attention_layernorm"),
        *("pre_feedforward_layernorm", "post_feedforward_layernorm"),
    )
    ALIASES: ClassVar[Names] = {"activation": "hidden_act"}

    num_hidden_layers: Layers = 20
    hidden_act: str = "swish"
    attention_bias: Flag = False

    def embedded(self) -> tuple[Block, ...]:
        """Values, by a block as wide as hidden states."""
        return (Series(2 * self.patch_length, self.hidden_size, self.hidden_size),)

    def attention(self, window: int | None) -> Block:
        """Rotary attention."""
        biased = {"qkv_bias": self.attention_bias, "output_bias": self.attention_bias}
        return self.heads(window, rotated=None, qk_norm=True, head_norm=HeadNorm(), **biased)

    def inner(self, layer: int) -> Block:
        """MLP of two products."""
        return self.plain(bias=False)

    def layer(
        self, attention: Block, inner: Block, norms: Norms | None = None
    ) -> tuple[Block, ...]:
        """With the scale of queries."""
        return super().layer(attention, inner, norms)[:-1]


RECORDS = {"timesfm": TimesFm, "timesfm2_5": TimesFm25}
