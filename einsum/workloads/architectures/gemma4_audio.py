"""Gemma 4's audio: frames joined by convolutions, then conformers with attention in chunks.

`Gemma4AudioConfig`. A token of a step is four frames of 10 ms of a mel spectrogram. A layer is half
an MLP, attention of a chunk to itself and the frames before it, a filter of each channel between
products, and half an MLP (Gulati et al., arXiv 2005.08100); limits of what products read
and make cost nothing here.
"""

from typing import Any, ClassVar

from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.chain import Chain
from hwmodel.einsum.workloads.blocks.convolution import Convolution, Filters
from hwmodel.einsum.workloads.blocks.distances import Distances
from hwmodel.einsum.workloads.blocks.held import Held
from hwmodel.einsum.workloads.blocks.network import Network, grouped
from hwmodel.einsum.workloads.blocks.norm import Norm, Residual
from hwmodel.einsum.workloads.blocks.plain_mlp import PlainMlp
from hwmodel.einsum.workloads.blocks.projection import Projection
from hwmodel.einsum.workloads.record import Config as AnyConfig
from hwmodel.einsum.workloads.record import Count, Layers, Whole

MODEL_TYPES = ("gemma4_audio",)
TAPS = 9
"""Elements of a window of 3 x 3."""


class Config(AnyConfig):
    """Layers of one kind, and a product at the end."""

    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        "attention_invalid_logits_value attention_logit_cap gradient_clipping residual_weight"
        " use_clipped_linears".split()
    )

    hidden_size: Count = 1024
    num_hidden_layers: Layers = 12
    num_attention_heads: Count = 8
    hidden_act: str = "silu"
    feature_size: Count = 128
    subsampling_conv_channels: tuple[Count, Count] = (128, 32)
    conv_kernel_size: Count = 5
    attention_chunk_size: Count = 12
    attention_context_left: Count = 13
    attention_context_right: Whole = 0
    output_proj_dims: Count = 1536

    def network(self) -> Network:
        """Conformers."""
        layers = [self.layer(number) for number in range(self.num_hidden_layers)]
        sizes = (self.hidden_size, self.output_proj_dims, "output_proj")
        end = (Projection("output product", *sizes, bias=True),)
        return Network(self.hidden_size, self.embedded(), grouped(layers), end, generates=False)

    def embedded(self) -> tuple[Block, ...]:
        """Two convolutions that halve frames and bins, and a product."""
        first, second = self.subsampling_conv_channels
        path, bins = "subsample_conv_projection", self.feature_size
        gains = [
            Held(f"{path}.layer{n}.norm", (size,), "norms")
            for n, size in enumerate((first, second))
        ]
        return (
            Convolution("conv 1", TAPS, first, f"{path}.layer0.conv", act="relu", finer=bins),
            gains[0],
            Convolution(
                "conv 2", TAPS * first, second, f"{path}.layer1.conv", act="relu", finer=bins // 4
            ),
            gains[1],
            Projection(
                "frames", first // 4 * second, self.hidden_size, f"{path}.input_proj_linear"
            ),
        )

    def layer(self, number: int) -> tuple[Block, ...]:
        """Half an MLP, attention, filters, half an MLP, a norm."""
        return (
            *self._half(1),
            *self._normed("attention", self._attention(), "norm_pre_attn", "norm_post_attn"),
            *self._filters(),
            *self._half(2),
            self._norm("layer norm", "norm_out"),
        )

    def _norm(self, name: str, path: str) -> Block:
        return Norm(name, f"layers.{{layer}}.{path}", self.hidden_size)

    def _normed(self, name: str, block: Block, before: str, after: str) -> tuple[Block, ...]:
        """A block between norms, added to what it has read."""
        norms = (self._norm(f"{name} norm", before), self._norm(f"{name} output norm", after))
        return (norms[0], block, norms[1], Residual(f"{name} residual", self.hidden_size))

    def _half(self, number: int) -> tuple[Block, ...]:
        path, hidden = f"feed_forward{number}", self.hidden_size
        names = ("ffw_layer_1", "ffw_layer_2")
        sizes = (hidden, 4 * hidden, self.hidden_act, False, f"layers.{{layer}}.{path}", names)
        made = PlainMlp(*sizes, "hidden_size")
        return self._normed(
            f"mlp {number}", made, f"{path}.pre_layer_norm", f"{path}.post_layer_norm"
        )

    def _attention(self) -> Block:
        """Attention of chunks: each to itself and what lies before it, counted as a window."""
        hidden, heads = self.hidden_size, self.num_attention_heads
        size, path = hidden // heads, "layers.{layer}.self_attn"
        around = self.attention_context_left - 1 + self.attention_context_right
        names = ("q_proj", "k_proj", "v_proj", "post")
        plain: dict[str, Any] = {"rotated": 0, "cached": False, "path": path, "names": names}
        places = Distances(
            *(hidden, heads, size, around + 1, 1),
            modules=((f"{path}.relative_k_proj", False),),
            gathered=self.attention_chunk_size + around,
        )
        window = self.attention_chunk_size + around
        scale = Held(f"{path}.per_dim_scale", (size,))
        return Chain((places, Attention(hidden, heads, heads, size, window, **plain), scale))

    def _filters(self) -> tuple[Block, ...]:
        """Products around a filter of each channel, the first gated."""
        hidden, path = self.hidden_size, "lconv1d"
        where = f"layers.{{layer}}.{path}"
        return (
            self._norm("filters norm", f"{path}.pre_layer_norm"),
            Projection(
                "filters in", hidden, 2 * hidden, f"{where}.linear_start", part="convolution"
            ),
            Filters("filters", hidden, self.conv_kernel_size, f"{where}.depthwise_conv1d"),
            self._norm("filters inner norm", f"{path}.conv_norm"),
            Projection("filters out", hidden, hidden, f"{where}.linear_end", part="convolution"),
            Residual("filters residual", hidden),
        )
