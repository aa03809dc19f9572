"""BART and its kin: layer norms, biases, plain MLPs, learned or fixed positions on both sides.

`BartConfig` (arXiv 1910.13461), `MBartConfig`, `PegasusConfig`, `MarianConfig`, `M2M100Config`,
`BlenderbotConfig`; norms stand before blocks or behind residual additions.
"""

from dataclasses import replace
from typing import ClassVar

from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.chain import Chain
from hwmodel.einsum.workloads.blocks.cross import CrossAttention
from hwmodel.einsum.workloads.blocks.ends import Embedding
from hwmodel.einsum.workloads.blocks.held import Held
from hwmodel.einsum.workloads.blocks.mixture import Mixture
from hwmodel.einsum.workloads.blocks.plain_mlp import PlainMlp
from hwmodel.einsum.workloads.blocks.positions import Positions
from hwmodel.einsum.workloads.blocks.reused import Reused
from hwmodel.einsum.workloads.blocks.scale import Scale
from hwmodel.einsum.workloads.encoder_decoder import EncoderDecoder, Layers
from hwmodel.einsum.workloads.record import Config as AnyConfig
from hwmodel.einsum.workloads.record import Count, Flag, Names, Values, Whole

MODEL_TYPES = (
    "bart",
    "mbart",
    "plbart",
    "pegasus",
    "marian",
    "m2m_100",
    "blenderbot",
    "blenderbot-small",
    "mvp",
    "nllb-moe",
    "fsmt",
    "bigbird_pegasus",
    "led",
)


NEAR = 5
"""Blocks that a token of BigBird sees beside those at random: three around it, and both ends."""


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
        heads = self.reads(f"{path}.self_attn")
        made = [
            (
                *self._added("attention", heads, f"{path}.self_attn_layer_norm"),
                *self._added("mlp", self.inner("encoder", number), f"{path}.final_layer_norm"),
            )
            for number in range(count)
        ]
        last = (*made[-1], self.norm("encoder norm", "model.encoder.layer_norm"))
        return [*made[:-1], last if self.ENDS else made[-1]]

    def reads(self, path: str) -> Block:
        """Attention of the encoder."""
        return self._heads(path, self.encoder_attention_heads, causal=False)

    def inner(self, side: str, number: int) -> Block:
        """What a layer of a side has after its attention."""
        width = self.encoder_ffn_dim if side == "encoder" else self.decoder_ffn_dim
        return self._mlp(f"model.{side}.layers.{{layer}}", width)

    def decoder(self) -> Layers:
        """Attention of tokens made, attention to the source, and an MLP."""
        path, count = "model.decoder.layers.{layer}", self.decoder_attention_heads
        heads = self._heads(f"{path}.self_attn", count)
        cross = CrossAttention(self._heads(f"{path}.encoder_attn", count), self.source)
        return [
            (
                *self._added("decoder attention", heads, f"{path}.self_attn_layer_norm"),
                *self._added("cross attention", cross, f"{path}.encoder_attn_layer_norm"),
                *self._added(
                    "decoder mlp", self.inner("decoder", number), f"{path}.final_layer_norm"
                ),
            )
            for number in range(self.decoder_layers)
        ]

    def ended(self) -> tuple[Block, ...]:
        """The last norm, and the head."""
        norm = (self.norm("final norm", "model.decoder.layer_norm", last=True),)
        return (*(norm if self.ENDS else ()), self.head("lm_head", self.TABLE))

    @property
    def biased(self) -> bool:
        """Whether products of attention have biases."""
        return True

    def _added(self, name: str, block: Block, path: str) -> tuple[Block, ...]:
        return self.added(name, block, path, after=self.AFTER)

    def _heads(self, path: str, heads: int, causal: bool = True) -> Attention:
        return Attention(
            *(self.hidden_size, heads, heads, self.hidden_size // heads),
            qkv_bias=self.biased,
            key_bias=self.KEY_BIAS,
            output_bias=self.biased,
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


class Mvp(Bart):
    """BART without prompts of its own."""

    HARMLESS: ClassVar[frozenset[str]] = Bart.HARMLESS | {"prompt_length", "prompt_mid_dim"}
    NEUTRAL: ClassVar[Values] = {**Bart.NEUTRAL, "use_prompt": (False,)}

    vocab_size: Count = 50267


class NllbMoe(M2m):
    """Experts in every so many layers of a side (arXiv 2207.04672); a token takes two."""

    HARMLESS: ClassVar[frozenset[str]] = M2m.HARMLESS | frozenset(
        "expert_capacity batch_prioritized_routing moe_eval_capacity_token_fraction"
        " second_expert_policy normalize_router_prob_before_dropping moe_token_dropout".split()
    )
    PICKS: ClassVar[int] = 2

    num_experts: Count = 128
    encoder_sparse_step: Whole = 4
    decoder_sparse_step: Whole = 4
    router_bias: Flag = False

    def inner(self, side: str, number: int) -> Block:
        """An MLP, or experts of two products."""
        step = self.encoder_sparse_step if side == "encoder" else self.decoder_sparse_step
        if not step or (number + 1) % step:
            return super().inner(side, number)
        width = self.encoder_ffn_dim if side == "encoder" else self.decoder_ffn_dim
        return Mixture(
            *(self.hidden_size, self.num_experts, self.PICKS, width),
            path=f"model.{side}.layers.{{layer}}.ffn",
            names=("fc1", "fc2"),
            counted=f"{side}_ffn_dim",
            router="router.classifier",
            act=self.hidden_act,
            router_bias=self.router_bias,
            bias=True,
        )


class Fsmt(Bart):
    """A table for each language, and a head of its own; sinusoids, held as parameters."""

    NORMED: ClassVar[bool] = False
    OFFSET: ClassVar[int] = 1
    HARMLESS: ClassVar[frozenset[str]] = Bart.HARMLESS | {"langs"}
    TABLE: ClassVar[str] = "model.encoder.embed_tokens"
    ALIASES: ClassVar[Names] = {**Bart.ALIASES, "tgt_vocab_size": "vocab_size"}

    vocab_size: Count = 42024
    src_vocab_size: Count = 42024
    hidden_act: str = "relu"
    tie_word_embeddings: Flag = False
    scale_embedding: Flag = True
    pad_token_id: Whole = 1

    @property
    def rows(self) -> int:
        """Positions behind that of padding."""
        return self.max_position_embeddings + self.pad_token_id

    def embedded(self) -> tuple[Block, ...]:
        """Tokens of the source."""
        table = Embedding(self.src_vocab_size, self.hidden_size, self.TABLE)
        return (table, *self._placed("encoder", self.rows))

    def begun(self) -> tuple[Block, ...]:
        """Tokens of the target."""
        table = Embedding(self.vocab_size, self.hidden_size, "model.decoder.embed_tokens")
        return (table, *self._placed("decoder", self.rows))


class BigBirdPegasus(Before):
    """Each token of a source sees blocks near it, the first, the last, and some at random."""

    NORMED: ClassVar[bool] = False
    OFFSET: ClassVar[int] = 0

    vocab_size: Count = 96103
    hidden_act: str = "gelu_new"
    encoder_layers: Count = 16
    decoder_layers: Count = 16
    max_position_embeddings: Count = 4096
    scale_embedding: Flag = True
    attention_type: str = "block_sparse"
    block_size: Count = 64
    num_random_blocks: Whole = 3
    use_bias: Flag = False

    @property
    def biased(self) -> bool:
        """By key."""
        return self.use_bias

    def reads(self, path: str) -> Block:
        """Attention to so many keys: blocks around, at both ends and at random."""
        whole = self._heads(path, self.encoder_attention_heads, causal=False)
        keys = (NEAR + self.num_random_blocks) * self.block_size
        return whole if self.attention_type != "block_sparse" else replace(whole, apart=keys)


class Led(Bart):
    """Each token of a source sees a window; projections of tokens that see all are idle."""

    OFFSET: ClassVar[int] = 0
    HARMLESS: ClassVar[frozenset[str]] = Bart.HARMLESS | {"max_position_embeddings"}

    max_encoder_position_embeddings: Count = 16384
    max_decoder_position_embeddings: Count = 1024
    attention_window: Count | tuple[Count, ...] = 512

    @property
    def source(self) -> int:
        """The longest that the model was made for, where nothing is said."""
        return self.source_tokens or self.max_encoder_position_embeddings

    def embedded(self) -> tuple[Block, ...]:
        """Tokens, positions, and a norm."""
        table = Embedding(self.vocab_size, self.hidden_size, self.TABLE)
        return (table, *self._placed("encoder", self.max_encoder_position_embeddings))

    def begun(self) -> tuple[Block, ...]:
        """The same table, other positions."""
        table = Reused(Embedding(self.vocab_size, self.hidden_size, self.TABLE))
        return (table, *self._placed("decoder", self.max_decoder_position_embeddings))

    def reads(self, path: str) -> Block:
        """Attention within a window, and the idle projections."""
        said = self.attention_window
        width = said if isinstance(said, int) else max(said)
        heads = replace(self._heads(path, self.encoder_attention_heads, causal=False), apart=width)
        return Chain((heads, *idle(path, self.hidden_size)))


def idle(path: str, hidden: int) -> tuple[Block, ...]:
    """Projections of tokens that see all others and are seen by them, of which there are none."""
    names = ("query_global", "key_global", "value_global")
    shapes = ((hidden, hidden), (hidden,))
    return tuple(Held(f"{path}.{name}", shape) for name in names for shape in shapes)


RECORDS: dict[str, type[AnyConfig]] = {
    **{"mvp": Mvp, "nllb-moe": NllbMoe, "fsmt": Fsmt, "led": Led},
    "bigbird_pegasus": BigBirdPegasus,
    **{"bart": Bart, "plbart": Bart, "mbart": Before, "pegasus": Pegasus, "marian": Marian},
    **{"m2m_100": M2m, "blenderbot": Blenderbot, "blenderbot-small": Small},
}
