"""BART and its kin: layer norms, biases, plain MLPs, learned or fixed positions on both sides.

`BartConfig` (arXiv 1910.13461), `MBartConfig`, `PegasusConfig`, `MarianConfig`, `M2M100Config`,
`BlenderbotConfig`; norms stand before blocks or behind residual additions.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.cross import CrossAttention
from hwmodel.einsum.workloads.blocks.ends import Embedding
from hwmodel.einsum.workloads.blocks.plain_mlp import PlainMlp
from hwmodel.einsum.workloads.blocks.positions import Positions
from hwmodel.einsum.workloads.blocks.reused import Reused
from hwmodel.einsum.workloads.blocks.scale import Scale
from hwmodel.einsum.workloads.encoder_decoder import EncoderDecoder, Layers
from hwmodel.einsum.workloads.record import Config as AnyConfig
from hwmodel.einsum.workloads.record import Count, Flag

MODEL_TYPES = (
    "bart",
    "mbart",
    "plbart",
    "pegasus",
    "marian",
    "m2m_100",
    "blenderbot",
    "blenderbot-small",
)


class Bart(EncoderDecoder):
    """Norms behind residual additions, and of embeddings; two positions before the first.

    `AFTER`: norms behind; `ENDS`: a last norm on each side; `NORMED`: embeddings pass one;
    `OFFSET`: positions before the first; `LEARNED`: they are parameters.
    """

    AFTER: ClassVar[bool] = True
    ENDS: ClassVar[bool] = False
    NORMED: ClassVar[bool] = True
    OFFSET: ClassVar[int] = 2
    LEARNED: ClassVar[bool] = True
    KEY_BIAS: ClassVar[bool] = True
    TABLE: ClassVar[str] = "model.shared"

    vocab_size: Count = 50265
    hidden_size: Count = 1024
    encoder_layers: Count = 12
    encoder_ffn_dim: Count = 4096
    encoder_attention_heads: Count = 16
    decoder_layers: Count = 12
    decoder_ffn_dim: Count = 4096
    decoder_attention_heads: Count = 16
    max_position_embeddings: Count = 1024
    scale_embedding: Flag = False

    @property
    def source(self) -> int:
        """The longest that the model was made for, where nothing is said."""
        return self.source_tokens or self.max_position_embeddings

    def embedded(self) -> tuple[Block, ...]:
        """Tokens, positions, and a norm."""
        table = Embedding(self.vocab_size, self.hidden_size, self.TABLE)
        return (table, *self._placed("encoder", self.max_position_embeddings))

    def begun(self) -> tuple[Block, ...]:
        """The same table, other positions."""
        table = Reused(Embedding(self.vocab_size, self.hidden_size, self.TABLE))
        return (table, *self._placed("decoder", self.max_position_embeddings))

    def _placed(self, side: str, rows: int) -> tuple[Block, ...]:
        path = f"model.{side}.embed_positions"
        places: Block = Positions(rows + self.OFFSET, self.hidden_size, path)
        factor = (Scale(f"{side} embedding scale", self.hidden_size),)
        norm = (self.norm(f"{side} embedding norm", f"model.{side}.layernorm_embedding"),)
        return (
            *(factor if self.scale_embedding else ()),
            places if self.LEARNED else Reused(places),
            *(norm if self.NORMED else ()),
        )

    def encoder(self) -> Layers:
        """Attention of all tokens, and an MLP."""
        path, count = "model.encoder.layers.{layer}", self.encoder_layers
        heads = self._heads(f"{path}.self_attn", self.encoder_attention_heads, causal=False)
        layer = (
            *self._added("attention", heads, f"{path}.self_attn_layer_norm"),
            *self._added("mlp", self._mlp(path, self.encoder_ffn_dim), f"{path}.final_layer_norm"),
        )
        last = (*layer, self.norm("encoder norm", "model.encoder.layer_norm"))
        return [*[layer] * (count - 1), last if self.ENDS else layer]

    def decoder(self) -> Layers:
        """Attention of tokens made, attention to the source, and an MLP."""
        path, count = "model.decoder.layers.{layer}", self.decoder_attention_heads
        heads = self._heads(f"{path}.self_attn", count)
        cross = CrossAttention(self._heads(f"{path}.encoder_attn", count), self.source)
        mlp = self._mlp(path, self.decoder_ffn_dim)
        layer = (
            *self._added("decoder attention", heads, f"{path}.self_attn_layer_norm"),
            *self._added("cross attention", cross, f"{path}.encoder_attn_layer_norm"),
            *self._added("decoder mlp", mlp, f"{path}.final_layer_norm"),
        )
        return [layer] * self.decoder_layers

    def ended(self) -> tuple[Block, ...]:
        """The last norm, and the head."""
        norm = (self.norm("final norm", "model.decoder.layer_norm", last=True),)
        return (*(norm if self.ENDS else ()), self.head("lm_head", self.TABLE))

    def _added(self, name: str, block: Block, path: str) -> tuple[Block, ...]:
        return self.added(name, block, path, after=self.AFTER)

    def _heads(self, path: str, heads: int, causal: bool = True) -> Attention:
        return Attention(
            *(self.hidden_size, heads, heads, self.hidden_size // heads),
            qkv_bias=True,
            key_bias=self.KEY_BIAS,
            output_bias=True,
            rotated=0,
            causal=causal,
            cached=causal,
            path=path,
            names=("q_proj", "k_proj", "v_proj", "out_proj"),
        )

    def _mlp(self, path: str, width: int) -> Block:
        return PlainMlp(self.hidden_size, width, self.hidden_act, True, path)


class Before(Bart):
    """Norms before blocks, and a last one."""

    AFTER: ClassVar[bool] = False
    ENDS: ClassVar[bool] = True


class Pegasus(Before):
    """Sinusoids, which transformers holds as parameters, and no norm of embeddings."""

    NORMED: ClassVar[bool] = False
    OFFSET: ClassVar[int] = 0

    vocab_size: Count = 50265


class Blenderbot(Before):
    """Learned positions, no norm of embeddings."""

    NORMED: ClassVar[bool] = False
    OFFSET: ClassVar[int] = 0

    vocab_size: Count = 8008
    hidden_size: Count = 2560
    encoder_layers: Count = 2
    encoder_ffn_dim: Count = 10240
    encoder_attention_heads: Count = 32
    decoder_layers: Count = 24
    decoder_ffn_dim: Count = 10240
    decoder_attention_heads: Count = 32
    max_position_embeddings: Count = 128


class Small(Bart):
    """Blenderbot's small one."""

    OFFSET: ClassVar[int] = 0

    hidden_size: Count = 512
    encoder_layers: Count = 8
    encoder_ffn_dim: Count = 2048
    decoder_layers: Count = 8
    decoder_ffn_dim: Count = 2048
    max_position_embeddings: Count = 512


class Marian(Bart):
    """Sinusoids, which transformers holds as parameters, and no norm of embeddings."""

    NORMED: ClassVar[bool] = False
    OFFSET: ClassVar[int] = 0

    vocab_size: Count = 58101


class M2m(Before):
    """Sinusoids that are no parameters, and no norm of embeddings."""

    NORMED: ClassVar[bool] = False
    LEARNED: ClassVar[bool] = False

    vocab_size: Count = 128112
    hidden_act: str = "relu"
    scale_embedding: Flag = True


RECORDS: dict[str, type[AnyConfig]] = {
    **{"bart": Bart, "plbart": Bart, "mbart": Before, "pegasus": Pegasus, "marian": Marian},
    **{"m2m_100": M2m, "blenderbot": Blenderbot, "blenderbot-small": Small},
}
