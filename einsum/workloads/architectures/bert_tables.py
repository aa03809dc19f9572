"""BERT's kin with other tables before the layers.

`RemBertConfig`, `RoCBertConfig`, `RoFormerConfig`. LayoutLM (`LayoutLMConfig`) adds places of words
on a page, RoCBERT sounds and shapes of characters, which a product joins; RoFormer turns queries
and keys; MPNet (`MPNetConfig`) has a table of biases by distance; X-MOD (`XmodConfig`) an adapter
of the language behind each MLP, with a norm before it.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.architectures.bart import NEAR, idle
from hwmodel.einsum.workloads.architectures.bert import Bert
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.chain import Chain
from hwmodel.einsum.workloads.blocks.ends import Embedding
from hwmodel.einsum.workloads.blocks.held import Held
from hwmodel.einsum.workloads.blocks.norm import Residual
from hwmodel.einsum.workloads.blocks.plain_mlp import PlainMlp
from hwmodel.einsum.workloads.blocks.projection import Projection
from hwmodel.einsum.workloads.blocks.reused import Reused
from hwmodel.einsum.workloads.decoder import Norms
from hwmodel.einsum.workloads.encoder import Encoder
from hwmodel.einsum.workloads.record import Count, Flag, Names, Values, Whole

MODEL_TYPES = (
    "rembert",
    "roc_bert",
    "roformer",
    "layoutlm",
    "mpnet",
    "xmod",
    "big_bird",
    "longformer",
)


class RemBert(Bert):
    """Narrow tables, made wide by a product."""

    ALIASES: ClassVar[Names] = {"input_embedding_size": "embedding_size"}
    HARMLESS: ClassVar[frozenset[str]] = Encoder.HARMLESS | {"output_embedding_size"}

    vocab_size: Count = 250300
    hidden_size: Count = 1152
    intermediate_size: Count | None = 4608
    num_hidden_layers: Count = 32
    num_attention_heads: Count = 18
    embedding_size: Count | None = 256


class RocBert(Bert):
    """Rows of three tables joined and made as wide as hidden states."""

    pronunciation_vocab_size: Count = 910
    pronunciation_embed_dim: Count = 768
    shape_vocab_size: Count = 24858
    shape_embed_dim: Count = 512
    enable_pronunciation: Flag = True
    enable_shape: Flag = True
    concat_input: Flag = True

    def embedded(self) -> tuple[Block, ...]:
        """Those of BERT, the further ones behind the first."""
        first, *others = super().embedded()
        path, more = "embeddings", list[Embedding]()
        if self.enable_pronunciation:
            sizes = (self.pronunciation_vocab_size, self.pronunciation_embed_dim)
            more.append(Embedding(*sizes, f"{path}.pronunciation_embed"))
        if self.enable_shape:
            sizes = (self.shape_vocab_size, self.shape_embed_dim)
            more.append(Embedding(*sizes, f"{path}.shape_embed"))
        if not self.concat_input:
            return (first, *more, *others)
        width = self.hidden_size + sum(each.hidden for each in more)
        joined = Projection(
            "inputs join", width, self.hidden_size, f"{path}.map_inputs_layer", bias=True
        )
        return (first, *more, joined, *others)


class RoFormer(Bert):
    """Positions by rotation, by sinusoids that transformers holds as parameters; no pooler."""

    NEUTRAL: ClassVar[Values] = {"rotary_value": (False,)}
    POOLER: ClassVar[str | None] = None

    vocab_size: Count = 50000
    max_position_embeddings: Count = 1536

    def tables(self) -> tuple[tuple[int, str], ...]:
        """Kinds of tokens alone."""
        return super().tables()[1:]

    def embedded(self) -> tuple[Block, ...]:
        """Tables, and the sinusoids."""
        shape = (self.max_position_embeddings, self.hidden_size // self.num_attention_heads)
        return (*super().embedded(), Held("encoder.embed_positions", shape))

    def attention(self, window: int | None) -> Block:
        """Attention with rotation."""
        return self.heads(window, rotated=None, names=self.NAMES, path=self.LAYER)


class LayoutLm(Bert):
    """Edges, heights and widths of words' boxes: four tables."""

    max_2d_position_embeddings: Count = 1024

    def tables(self) -> tuple[tuple[int, str], ...]:
        """Those of BERT, and of the page."""
        page = ((self.max_2d_position_embeddings, f"{side}_position") for side in "xyhw")
        return (*super().tables(), *page)


class Mpnet(Bert):
    """No kinds of tokens; biases by distance."""

    NAMES: ClassVar[tuple[str, str, str, str]] = (
        *("attention.attn.q", "attention.attn.k", "attention.attn.v", "attention.attn.o"),
    )
    NORMS: ClassVar[Norms] = ("attention.LayerNorm", None, "output.LayerNorm", None)

    vocab_size: Count = 30527
    type_vocab_size: Whole = 0
    relative_attention_num_buckets: Count = 32

    def embedded(self) -> tuple[Block, ...]:
        """Tables, and the biases that all layers share."""
        shape = (self.relative_attention_num_buckets, self.num_attention_heads)
        return (*super().embedded(), Held("encoder.relative_attention_bias", shape))


class Xmod(Bert):
    """An adapter of each language; one of them runs."""

    NEUTRAL: ClassVar[Values] = {"pre_norm": (False,), "adapter_layer_norm": (False,)}
    HARMLESS: ClassVar[frozenset[str]] = Encoder.HARMLESS | {"default_language"}

    adapter_reduction_factor: Count = 2
    adapter_reuse_layer_norm: Flag = True
    ln_before_adapter: Flag = True
    languages: tuple[str, ...] = ("en_XX",)

    def layer(
        self, attention: Block, inner: Block, norms: Norms | None = None
    ) -> tuple[Block, ...]:
        """BERT's, and behind it the norm again and the adapter."""
        made, hidden = super().layer(attention, inner, norms), self.hidden_size
        again = (Reused(made[-1]),) if self.adapter_reuse_layer_norm else ()
        path = f"{self.LAYER}.output.adapter_modules"
        sizes = (hidden, hidden // self.adapter_reduction_factor, self.hidden_act, True)
        of_all = [
            PlainMlp(*sizes, f"{path}.{name}", ("dense1", "dense2"), "adapter_size")
            for name in self.languages
        ]
        idle = (Held(w.path, w.shape, "adapter") for each in of_all[1:] for w in each.weights())
        return (*made, *again, *of_all[:1], *idle, Residual("adapter residual", hidden))


class BigBird(Bert):
    """Each token sees blocks near it, the first, the last, and some at random (2007.14062)."""

    HARMLESS: ClassVar[frozenset[str]] = Encoder.HARMLESS | {"rescale_embeddings"}

    vocab_size: Count = 50358
    hidden_act: str = "gelu_new"
    max_position_embeddings: Count = 4096
    attention_type: str = "block_sparse"
    block_size: Count = 64
    num_random_blocks: Whole = 3
    use_bias: Flag = True

    def attention(self, window: int | None) -> Block:
        """Attention to so many keys."""
        keys = (NEAR + self.num_random_blocks) * self.block_size
        apart = keys if self.attention_type == "block_sparse" else None
        biased = self.use_bias
        return self.heads(window, apart=apart, qkv_bias=biased, names=self.NAMES, path=self.LAYER)


class Longformer(Bert):
    """Each token sees a window (2004.05150); projections of tokens that see all are idle."""

    HARMLESS: ClassVar[frozenset[str]] = Encoder.HARMLESS | {"onnx_export"}

    attention_window: Count | tuple[Count, ...] = 512

    def attention(self, window: int | None) -> Block:
        """Attention within a window, and the idle projections."""
        said = self.attention_window
        width = said if isinstance(said, int) else max(said)
        heads = self.heads(window, apart=width, names=self.NAMES, path=self.LAYER)
        return Chain((heads, *idle(f"{self.LAYER}.attention.self", self.hidden_size)))


RECORDS = {
    **{"big_bird": BigBird, "longformer": Longformer},
    **{"rembert": RemBert, "roc_bert": RocBert, "roformer": RoFormer},
    **{"layoutlm": LayoutLm, "mpnet": Mpnet, "xmod": Xmod},
}
