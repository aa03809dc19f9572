"""T5, mT5, UMT5 and their kin: RMS norms, no biases, tables of biases by distance (`T5Config`).

Raffel et al., arXiv 1910.10683. From 1.1 on the MLP is gated; UMT5 has a table of distances in
every layer, the others in the first of each side.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.cross import CrossAttention, RelativeBias
from hwmodel.einsum.workloads.blocks.ends import Embedding
from hwmodel.einsum.workloads.blocks.mlp import Mlp
from hwmodel.einsum.workloads.blocks.norm import Kind
from hwmodel.einsum.workloads.blocks.plain_mlp import PlainMlp
from hwmodel.einsum.workloads.blocks.reused import Reused
from hwmodel.einsum.workloads.encoder_decoder import EncoderDecoder, Layers
from hwmodel.einsum.workloads.record import Config as AnyConfig
from hwmodel.einsum.workloads.record import Count, Flag, Names

MODEL_TYPES = ("t5", "mt5", "umt5")


class T5(EncoderDecoder):
    """The keys of `T5Config`."""

    ALIASES: ClassVar[Names] = {
        **{"d_model": "hidden_size", "num_layers": "num_encoder_layers"},
        **{"num_hidden_layers": "num_encoder_layers", "num_attention_heads": "num_heads"},
    }
    HARMLESS: ClassVar[frozenset[str]] = EncoderDecoder.HARMLESS | frozenset(
        "relative_attention_max_distance n_positions output_past scalable_attention"
        " scale_decoder_outputs"
        " dense_act_fn hidden_act max_new_tokens".split()
    )
    NORM: ClassVar[Kind] = "rms"
    EVERY: ClassVar[bool] = False

    vocab_size: Count = 32128
    hidden_size: Count = 512
    d_ff: Count = 2048
    d_kv: Count = 64
    num_encoder_layers: Count = 6
    num_decoder_layers: Count | None = None
    num_heads: Count = 8
    relative_attention_num_buckets: Count = 32
    feed_forward_proj: str = "relu"
    is_gated_act: Flag | None = None

    @property
    def activation(self) -> str:
        """The MLP's activation: T5's gated GELU is the form with a tanh."""
        said = self.feed_forward_proj.removeprefix("gated-")
        return "gelu_new" if self.feed_forward_proj == "gated-gelu" else said

    def embedded(self) -> tuple[Block, ...]:
        """A row of the table that both sides share."""
        return (Embedding(self.vocab_size, self.hidden_size, "shared"),)

    def begun(self) -> tuple[Block, ...]:
        """The same table."""
        return (Reused(self.embedded()[0]),)

    def encoder(self) -> Layers:
        """Attention of all tokens, and an MLP."""
        count, path = self.num_encoder_layers, "encoder.block.{layer}.layer"
        made: Layers = []
        for layer in range(count):
            heads = self._heads(f"{path}.0.SelfAttention", causal=False)
            last = (self.norm("encoder norm", "encoder.final_layer_norm"),)
            made.append(
                (
                    *self.added("attention", heads, f"{path}.0.layer_norm"),
                    *self.added(
                        "mlp", self._mlp(f"{path}.1.DenseReluDense"), f"{path}.1.layer_norm"
                    ),
                    *self._bias(layer, f"{path}.0.SelfAttention"),
                    *(last if layer == count - 1 else ()),
                )
            )
        return made

    def decoder(self) -> Layers:
        """Attention of tokens made, attention to the source, and an MLP."""
        path = "decoder.block.{layer}.layer"
        heads = self._heads(f"{path}.0.SelfAttention")
        cross = CrossAttention(self._heads(f"{path}.1.EncDecAttention"), self.source)
        return [
            (
                *self.added("decoder attention", heads, f"{path}.0.layer_norm"),
                *self.added("cross attention", cross, f"{path}.1.layer_norm"),
                *self.added(
                    "decoder mlp", self._mlp(f"{path}.2.DenseReluDense"), f"{path}.2.layer_norm"
                ),
                *self._bias(layer, f"{path}.0.SelfAttention"),
            )
            for layer in range(self.num_decoder_layers or self.num_encoder_layers)
        ]

    def ended(self) -> tuple[Block, ...]:
        """The last norm and the head."""
        norm = self.norm("final norm", "decoder.final_layer_norm", last=True)
        return (norm, self.head("lm_head", "shared"))

    def _heads(self, path: str, causal: bool = True) -> Attention:
        return Attention(
            *(self.hidden_size, self.num_heads, self.num_heads, self.d_kv),
            rotated=0,
            causal=causal,
            cached=causal,
            path=path,
            names=("q", "k", "v", "o"),
        )

    def _bias(self, layer: int, path: str) -> tuple[Block, ...]:
        if layer and not self.EVERY:
            return ()
        path = f"{path}.relative_attention_bias"
        return (RelativeBias(self.relative_attention_num_buckets, self.num_heads, path),)

    def _mlp(self, path: str) -> Block:
        gated = self.feed_forward_proj.startswith("gated") or self.is_gated_act
        if gated:
            names = ("wi_0", "wi_1", "wo")
            sizes = (self.hidden_size, self.d_ff, False, path, names, "d_ff")
            return Mlp(*sizes, self.activation)
        sizes = (self.hidden_size, self.d_ff, self.activation, False, path)
        return PlainMlp(*sizes, ("wi", "wo"), "d_ff")


class Mt5(T5):
    """A gated MLP where nothing is said."""

    vocab_size: Count = 250112
    d_ff: Count = 1024
    num_encoder_layers: Count = 8
    num_heads: Count = 6
    feed_forward_proj: str = "gated-gelu"


class Umt5(Mt5):
    """A table of distances in every layer."""

    EVERY: ClassVar[bool] = True


RECORDS: dict[str, type[AnyConfig]] = {"t5": T5, "mt5": Mt5, "umt5": Umt5}
