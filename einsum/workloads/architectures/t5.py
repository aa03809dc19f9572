"""T5, mT5, UMT5 and their kin: RMS norms, no biases, tables of biases by distance (`T5Config`).

Raffel et al., arXiv 1910.10683. From 1.1 on the MLP is gated; UMT5 has a table of distances in
every layer, the others in the first of each side.
"""

from dataclasses import replace
from typing import ClassVar

from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.cross import CrossAttention, RelativeBias
from hwmodel.einsum.workloads.blocks.ends import Embedding
from hwmodel.einsum.workloads.blocks.mixture import Mixture
from hwmodel.einsum.workloads.blocks.mlp import Mlp
from hwmodel.einsum.workloads.blocks.norm import Kind
from hwmodel.einsum.workloads.blocks.plain_mlp import PlainMlp
from hwmodel.einsum.workloads.blocks.reused import Reused
from hwmodel.einsum.workloads.encoder_decoder import EncoderDecoder, Layers
from hwmodel.einsum.workloads.record import Config as AnyConfig
from hwmodel.einsum.workloads.record import Count, Flag, Names, Values, Whole

MODEL_TYPES = ("t5", "mt5", "umt5", "longt5", "switch_transformers")


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
            heads = self.reads(f"{path}.0.SelfAttention")
            last = (self.norm("encoder norm", "encoder.final_layer_norm"),)
            made.append(
                (
                    *self.added("attention", heads, f"{path}.0.layer_norm"),
                    *self.added(
                        "mlp", self.inner("encoder", layer, f"{path}.1"), f"{path}.1.layer_norm"
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
                    "decoder mlp", self.inner("decoder", layer, f"{path}.2"), f"{path}.2.layer_norm"
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

    def reads(self, path: str) -> Attention:
        """Attention of the encoder."""
        return self._heads(path, causal=False)

    def inner(self, side: str, layer: int, path: str) -> Block:
        """What a layer of a side has after its attention."""
        return self._mlp(f"{path}.DenseReluDense")

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


class LongT5(T5):
    """Each token of a source sees those around it; means of blocks are refused."""

    HARMLESS: ClassVar[frozenset[str]] = T5.HARMLESS | {"global_block_size"}
    NEUTRAL: ClassVar[Values] = {**T5.NEUTRAL, "encoder_attention_type": ("local",)}

    local_radius: Count = 127

    def reads(self, path: str) -> Attention:
        """Attention to a window on both sides."""
        return replace(super().reads(path), apart=2 * self.local_radius + 1)


class Switch(T5):
    """Experts in every so many layers of a side, of which a token takes one (arXiv 2101.03961)."""

    HARMLESS: ClassVar[frozenset[str]] = T5.HARMLESS | frozenset(
        "expert_capacity add_router_probs router_type batch_prioritized_routing".split()
    )

    hidden_size: Count = 768
    num_encoder_layers: Count = 12
    num_decoder_layers: Count | None = 12
    num_heads: Count = 12
    num_experts: Count = 8
    encoder_sparse_step: Whole | None = None
    decoder_sparse_step: Whole | None = None
    num_sparse_encoder_layers: Whole = 3
    num_sparse_decoder_layers: Whole = 3
    router_bias: Flag = False

    def inner(self, side: str, layer: int, path: str) -> Block:
        """An MLP, or experts of two products."""
        step = self._step(side)
        if not step or (step > 1 and layer % step != 1):
            return self._mlp(f"{path}.mlp")
        return Mixture(
            *(self.hidden_size, self.num_experts, 1, self.d_ff),
            path=f"{path}.mlp",
            names=("wi", "wo"),
            counted="d_ff",
            router="router.classifier",
            act=self.activation,
            router_bias=self.router_bias,
        )

    def _step(self, side: str) -> int:
        """Every which layer has experts, said or by how many have; 0: none."""
        if side == "encoder":
            said, some = self.encoder_sparse_step, self.num_sparse_encoder_layers
            layers = self.num_encoder_layers
        else:
            said, some = self.decoder_sparse_step, self.num_sparse_decoder_layers
            layers = self.num_decoder_layers or self.num_encoder_layers
        return said if said is not None else layers // some if some else 0


RECORDS: dict[str, type[AnyConfig]] = {
    **{"t5": T5, "mt5": Mt5, "umt5": Umt5, "longt5": LongT5, "switch_transformers": Switch},
}
