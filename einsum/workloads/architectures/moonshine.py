"""Moonshine: an encoder of a waveform, and a decoder of text (`MoonshineConfig`, arXiv 2410.15608).

A token of the source is a position behind three convolutions, of 384 samples. Heads are turned in
part, norms have no shifts, the decoder's MLP is gated.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.convolution import Convolution
from hwmodel.einsum.workloads.blocks.cross import CrossAttention
from hwmodel.einsum.workloads.blocks.ends import Embedding
from hwmodel.einsum.workloads.blocks.held import Held
from hwmodel.einsum.workloads.blocks.mlp import Mlp
from hwmodel.einsum.workloads.blocks.norm import Kind
from hwmodel.einsum.workloads.blocks.plain_mlp import PlainMlp
from hwmodel.einsum.workloads.encoder_decoder import EncoderDecoder, Layers
from hwmodel.einsum.workloads.record import Count, Flag, Values

MODEL_TYPES = ("moonshine",)
SOURCE = 416
"""Positions of ten seconds at 16 kHz."""


class Config(EncoderDecoder):
    """Heads and layers by side."""

    NEUTRAL: ClassVar[Values] = {
        **EncoderDecoder.NEUTRAL,
        **{"partial_rotary_factor": (0.9,), "pad_head_dim_to_multiple_of": (None,)},
    }
    NORM: ClassVar[Kind] = "layer without shift"

    vocab_size: Count = 32768
    hidden_size: Count = 288
    intermediate_size: Count = 1152
    encoder_num_hidden_layers: Count = 6
    encoder_num_attention_heads: Count = 8
    encoder_num_key_value_heads: Count | None = None
    encoder_hidden_act: str = "gelu"
    decoder_num_hidden_layers: Count = 6
    decoder_num_attention_heads: Count = 8
    decoder_num_key_value_heads: Count | None = None
    decoder_hidden_act: str = "silu"
    attention_bias: Flag = False

    @property
    def source(self) -> int:
        """Ten seconds, where nothing is said."""
        return self.source_tokens or SOURCE

    def embedded(self) -> tuple[Block, ...]:
        """Three convolutions of the waveform, a norm behind the first."""
        hidden, path = self.hidden_size, "model.encoder"
        gains = Held(f"{path}.groupnorm", (hidden,), "norms")
        return (
            Convolution("conv 1", 127, hidden, f"{path}.conv1", act="tanh", finer=6),
            *(gains, gains),
            Convolution(
                "conv 2", 7 * hidden, 2 * hidden, f"{path}.conv2", True, act="gelu", finer=2
            ),
            Convolution("conv 3", 6 * hidden, hidden, f"{path}.conv3", True, act="gelu"),
        )

    def begun(self) -> tuple[Block, ...]:
        """Tokens."""
        return (Embedding(self.vocab_size, self.hidden_size, "model.decoder.embed_tokens"),)

    def _heads(
        self, path: str, side: str, *, causal: bool = True, turned: bool = True
    ) -> Attention:
        count: int = getattr(self, f"{side}_num_attention_heads")
        shared: int = getattr(self, f"{side}_num_key_value_heads") or count
        size = self.hidden_size // count
        return Attention(
            *(self.hidden_size, count, shared, size),
            qkv_bias=self.attention_bias,
            rotated=int(size * self.rotated(0.9)) // 2 * 2 if turned else 0,
            causal=causal,
            cached=causal,
            path=path,
        )

    def encoder(self) -> Layers:
        """Attention of all positions, and an MLP; a last norm."""
        path, hidden = "model.encoder.layers.{layer}", self.hidden_size
        heads = self._heads(f"{path}.self_attn", "encoder", causal=False)
        mlp = PlainMlp(
            *(hidden, self.intermediate_size, self.encoder_hidden_act, True, f"{path}.mlp")
        )
        layer = (
            *self.added("attention", heads, f"{path}.input_layernorm"),
            *self.added("mlp", mlp, f"{path}.post_attention_layernorm"),
        )
        last = (*layer, self.norm("encoder norm", "model.encoder.layer_norm"))
        return [*[layer] * (self.encoder_num_hidden_layers - 1), last]

    def decoder(self) -> Layers:
        """Attention of tokens made, attention to the source, and a gated MLP."""
        path = "model.decoder.layers.{layer}"
        heads = self._heads(f"{path}.self_attn", "decoder")
        cross = self._heads(f"{path}.encoder_attn", "decoder", turned=False)
        mlp = Mlp(
            *(self.hidden_size, self.intermediate_size, True, f"{path}.mlp", ("fc1", "fc1", "fc2")),
            act=self.decoder_hidden_act,
        )
        layer = (
            *self.added("decoder attention", heads, f"{path}.input_layernorm"),
            *self.added(
                "cross attention",
                CrossAttention(cross, self.source),
                f"{path}.post_attention_layernorm",
            ),
            *self.added("decoder mlp", mlp, f"{path}.final_layernorm"),
        )
        return [layer] * self.decoder_num_hidden_layers

    def ended(self) -> tuple[Block, ...]:
        """The last norm and the head."""
        norm = self.norm("final norm", "model.decoder.norm", last=True)
        return (norm, self.head("proj_out", "model.decoder.embed_tokens"))
