"""BERT and its kin: norms behind residual additions, learned positions and kinds of tokens.

`BertConfig`, `RobertaConfig`, `XLMRobertaConfig`, `CamembertConfig`, `ErnieConfig`, `IBertConfig`,
`SplinterConfig`, `DPRConfig`; DistilBERT has no kinds of tokens and other names; ELECTRA's and
ALBERT's tables are narrower than hidden states, and ALBERT's layers are one (arXiv 1909.11942).
What is read is the encoder with its pooler, without a head for a task.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.ends import Embedding
from hwmodel.einsum.workloads.blocks.network import Network, grouped
from hwmodel.einsum.workloads.blocks.norm import Norm
from hwmodel.einsum.workloads.blocks.positions import Positions
from hwmodel.einsum.workloads.blocks.projection import Projection
from hwmodel.einsum.workloads.blocks.reused import Reused
from hwmodel.einsum.workloads.decoder import Norms
from hwmodel.einsum.workloads.encoder import Encoder
from hwmodel.einsum.workloads.record import Count, Flag, Names, Values, Whole

MODEL_TYPES = (
    "bert",
    "roberta",
    "xlm-roberta",
    "camembert",
    "distilbert",
    "electra",
    "albert",
    "ernie",
    "data2vec-text",
    "ibert",
    "splinter",
    "dpr",
    "bert-generation",
)


class Bert(Encoder):
    """A pooler makes one vector of a sequence's first token."""

    AFTER: ClassVar[bool] = True
    NORMS: ClassVar[Norms] = ("attention.output.LayerNorm", None, "output.LayerNorm", None)
    LAYER: ClassVar[str] = "encoder.layer.{layer}"
    EMBEDDING: ClassVar[str] = "embeddings.word_embeddings"
    POOLER: ClassVar[str | None] = "pooler.dense"
    NAMES: ClassVar[tuple[str, str, str, str]] = (
        *("attention.self.query", "attention.self.key", "attention.self.value"),
        "attention.output.dense",
    )
    MLP: ClassVar[tuple[str, str]] = ("intermediate.dense", "output.dense")

    vocab_size: Count = 30522
    max_position_embeddings: Count = 512
    type_vocab_size: Whole = 2
    task_type_vocab_size: Whole = 0
    embedding_size: Count | None = None

    @property
    def width(self) -> int:
        """Columns of the tables."""
        return self.embedding_size or self.hidden_size

    def embedded(self) -> tuple[Block, ...]:
        """Tokens, positions, kinds of tokens, their norm, made as wide as hidden states."""
        width = self.width
        tables = [
            Positions(rows, width, f"embeddings.{name}_embeddings", name)
            for rows, name in self.tables()
            if rows
        ]
        norm = Norm("embedding norm", "embeddings.LayerNorm", width, self.NORM)
        return (Embedding(self.vocab_size, width, self.EMBEDDING), *tables, norm, *self._wide())

    def tables(self) -> tuple[tuple[int, str], ...]:
        """Rows and names of what is added to a token's row."""
        places = (self.max_position_embeddings, "position")
        return places, (self.type_vocab_size, "token_type")

    def _wide(self) -> tuple[Block, ...]:
        if self.width == self.hidden_size:
            return ()
        sizes = (self.width, self.hidden_size)
        return (Projection("embeddings project", *sizes, "embeddings_project", bias=True),)

    def attention(self, window: int | None) -> Block:
        """Attention by other names."""
        return self.heads(window, names=self.NAMES, path=self.LAYER)

    def inner(self, layer: int) -> Block:
        """MLP by other names."""
        return self.plain(names=self.MLP, path=self.LAYER)

    def ended(self) -> tuple[Block, ...]:
        """The pooler."""
        if self.POOLER is None:
            return ()
        sizes = (self.hidden_size, self.hidden_size)
        pooler = Projection("pooler", *sizes, self.POOLER, True, "pooler", bias=True, act="tanh")
        return (pooler,)


class Electra(Bert):
    """No pooler; tables of 128 columns."""

    POOLER: ClassVar[str | None] = None

    embedding_size: Count | None = 128


class DistilBert(Bert):
    """No kinds of tokens, no pooler."""

    ALIASES: ClassVar[Names] = {
        **{"dim": "hidden_size", "n_layers": "num_hidden_layers", "n_heads": "num_attention_heads"},
        **{"hidden_dim": "intermediate_size", "activation": "hidden_act"},
    }
    HARMLESS: ClassVar[frozenset[str]] = frozenset({"sinusoidal_pos_embds", "tie_weights_"})
    NORMS: ClassVar[Norms] = ("sa_layer_norm", None, "output_layer_norm", None)
    LAYER: ClassVar[str] = "transformer.layer.{layer}"
    POOLER: ClassVar[str | None] = None
    NAMES: ClassVar[tuple[str, str, str, str]] = (
        *("attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin"),
    )
    MLP: ClassVar[tuple[str, str]] = ("ffn.lin1", "ffn.lin2")

    hidden_size: Count = 768
    type_vocab_size: Whole = 0


class Ernie(Bert):
    """Kinds of tasks, where they are used."""

    use_task_id: Flag = False
    task_type_vocab_size: Whole = 3

    def tables(self) -> tuple[tuple[int, str], ...]:
        """Those of BERT, and kinds of tasks."""
        tasks = self.task_type_vocab_size if self.use_task_id else 0
        return (*super().tables(), (tasks, "task_type"))


class Ibert(Bert):
    """RoBERTa computed in integers where `quant_mode` says so; in floating point else."""

    NEUTRAL: ClassVar[Values] = {"quant_mode": (False,), "force_dequant": ("none",)}


class Splinter(Bert):
    """No pooler."""

    HARMLESS: ClassVar[frozenset[str]] = Encoder.HARMLESS | {"question_token_id"}
    POOLER: ClassVar[str | None] = None


class Dpr(Splinter):
    """No pooler; a product at the end by key."""

    projection_dim: Whole = 0

    def ended(self) -> tuple[Block, ...]:
        """The product."""
        sizes = (self.hidden_size, self.projection_dim)
        end = Projection("projection", *sizes, "encode_proj", True, "pooler", bias=True)
        return (end,) if self.projection_dim else ()


class Generation(Bert):
    """Neither kinds of tokens nor a pooler."""

    POOLER: ClassVar[str | None] = None

    vocab_size: Count = 50358
    hidden_size: Count = 1024
    intermediate_size: Count | None = 4096
    num_hidden_layers: Count = 24
    num_attention_heads: Count = 16
    type_vocab_size: Whole = 0


class Albert(Bert):
    """All layers of a group have the weights of its first."""

    HARMLESS: ClassVar[frozenset[str]] = Encoder.HARMLESS | {
        *("net_structure_type", "down_scale_factor", "num_memory_blocks", "gap_size"),
    }
    NORMS: ClassVar[Norms] = ("attention.LayerNorm", None, "full_layer_layer_norm", None)
    LAYER: ClassVar[str] = "encoder.albert_layer_groups.0.albert_layers.0"
    POOLER: ClassVar[str | None] = "pooler"
    NAMES: ClassVar[tuple[str, str, str, str]] = (
        *("attention.query", "attention.key", "attention.value", "attention.dense"),
    )
    MLP: ClassVar[tuple[str, str]] = ("ffn", "ffn_output")

    vocab_size: Count = 30000
    embedding_size: Count | None = 128
    hidden_act: str = "gelu_new"
    num_hidden_groups: Count = 1
    inner_group_num: Count = 1

    def network(self) -> Network:
        """The first layers with weights, the rest without."""
        own = self.num_hidden_groups * self.inner_group_num
        layers = [
            tuple(block if number < own else Reused(block) for block in blocks)
            for number, blocks in (
                (number, self.layer(self.attention(None), self.inner(number)))
                for number in range(self.num_hidden_layers * self.inner_group_num)
            )
        ]
        whole = super().network()
        return Network(whole.hidden, whole.before, grouped(layers), whole.after, generates=False)


RECORDS = {
    **dict.fromkeys(("bert", "roberta", "xlm-roberta", "camembert", "data2vec-text"), Bert),
    **{"distilbert": DistilBert, "electra": Electra, "albert": Albert, "ernie": Ernie},
    **{"ibert": Ibert, "splinter": Splinter, "dpr": Dpr, "bert-generation": Generation},
}
