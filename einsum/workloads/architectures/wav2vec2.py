"""wav2vec 2.0 and its kin: convolutions of a waveform, then an encoder (`Wav2Vec2Config`).

Baevski et al., arXiv 2006.11477; `HubertConfig`, `WavLMConfig`, `UniSpeechConfig`,
`UniSpeechSatConfig`. A token of a step is a frame that the convolutions make, of 20 ms: each of
them has as many rows for it as those behind it join. Positions are a convolution in groups.
"""

import re
from collections.abc import Sequence
from math import prod
from typing import Any, ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.convolution import Convolution
from hwmodel.einsum.workloads.blocks.held import Held
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.blocks.norm import Norm, Residual
from hwmodel.einsum.workloads.blocks.projection import Projection
from hwmodel.einsum.workloads.decoder import Decoder, Norms
from hwmodel.einsum.workloads.encoder import Encoder
from hwmodel.einsum.workloads.record import Count, Flag, Layers, Values
from hwmodel.quantity.errors import InputError

MODEL_TYPES = ("wav2vec2", "hubert", "wavlm", "unispeech", "unispeech-sat")


class Wav2Vec2(Encoder):
    """Norms behind residual additions, or with `do_stable_layer_norm` before blocks."""

    HARMLESS: ClassVar[frozenset[str]] = Encoder.HARMLESS | frozenset(
        "num_feat_extract_layers apply_spec_augment vocab_size final_dropout"
        " adapter_kernel_size adapter_stride num_adapter_layers output_hidden_size"
        " feat_quantizer_dropout diversity_loss_weight contrastive_logits_temperature"
        " num_negatives num_codevectors_per_group num_codevector_groups codevector_dim"
        " proj_codevector_dim xvector_output_dim use_weighted_layer_sum num_ctc_classes"
        " replace_prob num_clusters max_distance".split()
    )
    RULES: ClassVar[re.Pattern[str] | None] = re.compile("mask_.*|ctc_.*|tdnn_.*|feat_.*dropout.*")
    NEUTRAL: ClassVar[Values] = {
        **{"add_adapter": (False,), "adapter_attn_dim": (None,), "conv_pos_batch_norm": (False,)},
    }
    AFTER: ClassVar[bool] = True
    NORMS: ClassVar[Norms] = ("layer_norm", None, "final_layer_norm", None)
    LAYER: ClassVar[str] = "encoder.layers.{layer}"

    hidden_size: Count = 768
    intermediate_size: Count | None = 3072
    num_hidden_layers: Layers = 12
    num_attention_heads: Count = 12
    conv_dim: tuple[Count, ...] = (512,) * 7
    conv_kernel: tuple[Count, ...] = (10, 3, 3, 3, 3, 2, 2)
    conv_stride: tuple[Count, ...] = (5, 2, 2, 2, 2, 2, 2)
    conv_bias: Flag = False
    feat_extract_norm: str = "group"
    feat_extract_activation: str = "gelu"
    feat_proj_layer_norm: Flag = True
    num_conv_pos_embeddings: Count = 128
    num_conv_pos_embedding_groups: Count = 16
    do_stable_layer_norm: Flag = False
    mask_time_prob: float = 0.05
    mask_feature_prob: float = 0.0

    def embedded(self) -> tuple[Block, ...]:
        """Convolutions of the waveform, a norm and a product, positions."""
        hidden, width = self.hidden_size, self.conv_dim[-1]
        path = "feature_projection"
        norm = (Norm("features norm", f"{path}.layer_norm", width, "layer"),)
        masked = (Held("masked_spec_embed", (hidden,), "embedding"),)
        return (
            *self._features(),
            *(norm if self.feat_proj_layer_norm else ()),
            Projection("features", width, hidden, f"{path}.projection", bias=True),
            *(masked if self.mask_time_prob or self.mask_feature_prob else ()),
            *self._positions(),
            *(
                ()
                if self.do_stable_layer_norm
                else self.norm("embedding norm", "encoder.layer_norm")
            ),
        )

    def _features(self) -> tuple[Block, ...]:
        made, before = list[Block](), 1
        for number, (width, taps) in enumerate(zip(self.conv_dim, self.conv_kernel, strict=True)):
            path = f"feature_extractor.conv_layers.{number}.conv"
            sizes, act = (taps * before, width, path), self.feat_extract_activation
            finer = prod(self.conv_stride[number + 1 :])
            made.append(
                Convolution(f"conv {number + 1}", *sizes, self.conv_bias, act=act, finer=finer)
            )
            if number == 0 or self.feat_extract_norm == "layer":
                gains = Held(
                    f"feature_extractor.conv_layers.{number}.layer_norm", (width,), "norms"
                )
                made += [gains, gains]
            before = width
        return tuple(made)

    def _positions(self) -> tuple[Block, ...]:
        taps, hidden = self.num_conv_pos_embeddings, self.hidden_size
        path = "encoder.pos_conv_embed.conv"
        inputs = taps * hidden // self.num_conv_pos_embedding_groups
        return (
            Convolution("positions", inputs, hidden, path, True, act="gelu"),
            Held(f"{path}.parametrizations.weight.original0", (taps,), "convolution"),
            Residual("positions add", hidden),
        )

    def attention(self, window: int | None) -> Block:
        """Attention by other names."""
        names = ("q_proj", "k_proj", "v_proj", "out_proj")
        return self.heads(window, names=names, path=f"{self.LAYER}.attention")

    def inner(self, layer: int) -> Block:
        """MLP by other names."""
        return self.plain(names=("intermediate_dense", "output_dense"))

    def layer(
        self, attention: Block, inner: Block, norms: Norms | None = None
    ) -> tuple[Block, ...]:
        """Norms by key."""
        if self.do_stable_layer_norm:
            return Decoder.layer(self, attention, inner, norms)
        return super().layer(attention, inner, norms)

    def ended(self) -> tuple[Block, ...]:
        """The last norm, where norms stand before blocks."""
        return self.norm("final norm", "encoder.layer_norm") if self.do_stable_layer_norm else ()

    def check(self, where: str) -> None:
        """As many strides and windows as convolutions."""
        super().check(where)
        sizes = {len(self.conv_dim), len(self.conv_kernel), len(self.conv_stride)}
        if len(sizes) > 1:
            raise InputError(
                f"{where}: conv_dim, conv_kernel, conv_stride: expected as many of each, found"
                f" {len(self.conv_dim)}, {len(self.conv_kernel)} and {len(self.conv_stride)}"
            )


class Hubert(Wav2Vec2):
    """The same."""


class WavLm(Wav2Vec2):
    """Biases by distance, which gates of each query weigh."""

    num_buckets: Count = 320
    max_bucket_distance: Any = 800
    num_codevectors_per_group: Any = None

    def between(self, layers: Sequence[tuple[Block, ...]]) -> Network:
        """The layers, the first with the table of biases."""
        heads, size = self.num_attention_heads, self.head_size
        path = f"{self.LAYER}.attention"
        gates = (
            Held(f"{path}.gru_rel_pos_const", (heads,)),
            Projection("distance gates", size, 8, f"{path}.gru_rel_pos_linear", part="attention"),
            Held(f"{path}.gru_rel_pos_linear.bias", (8,)),
        )
        first, *others = [(*layer, *gates) for layer in layers]
        table = Held(f"{path}.rel_attn_embed", (self.num_buckets, heads))
        return super().between([(*first, table), *others])


RECORDS = {
    **{"wav2vec2": Wav2Vec2, "hubert": Hubert, "wavlm": WavLm},
    **{"unispeech": Wav2Vec2, "unispeech-sat": Wav2Vec2},
}
