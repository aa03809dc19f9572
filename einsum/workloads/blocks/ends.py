"""Both ends of a language model: the embedding of its tokens, the head that makes logits."""

from dataclasses import dataclass

from hwmodel.einsum.workloads.blocks.block import Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import VOCABULARY, Split, Weight
from hwmodel.einsum.workloads.transformer import embedding


@dataclass(frozen=True)
class Embedding:
    """One row of a table for each token."""

    vocabulary: int
    hidden: int
    path: str = "model.embed_tokens"

    def weights(self) -> tuple[Weight, ...]:
        """The table."""
        return (
            Weight(
                *(self.path, (self.vocabulary, self.hidden), "table", "embedding"),
                split=Split(VOCABULARY, self.vocabulary, ragged=True),
            ),
        )

    def stages(self, step: Step, share: Share) -> Stages:
        """A gather of rows; each device has a part of the table."""
        (table,), share = self.weights(), share.of_ends
        made = embedding(
            *(step.tokens, table.sizes(share.tp)[0], self.hidden, share.activation),
            share.precision.of(table, None).weight,
        )
        return share.reduced((share.stage(made, "embedding"),), step.tokens, self.hidden)

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None


@dataclass(frozen=True)
class Head:
    """Logits of each sequence's last token, or of `every` one.

    `tied` to the embedding, it has no own weights.
    """

    vocabulary: int
    hidden: int
    tied: bool = False
    path: str = "lm_head"
    embedding: str = "model.embed_tokens"
    bias: bool = False
    every: bool = False

    @property
    def table(self) -> Weight:
        """What it multiplies by, its own or the embedding's."""
        path, role = (self.embedding, "table") if self.tied else (self.path, "head")
        return Weight(
            *(path, (self.vocabulary, self.hidden), role, "head"),
            split=Split(VOCABULARY, self.vocabulary, ragged=True),
        )

    def weights(self) -> tuple[Weight, ...]:
        """Its own."""
        shift = Weight(self.path, (self.vocabulary,), "bias", "biases", self.table.split)
        return (*(() if self.tied else (self.table,)), *((shift,) if self.bias else ()))

    def stages(self, step: Step, share: Share) -> Stages:
        """A product; logits are gathered from all devices."""
        rows, share = (step.tokens if self.every else step.judged), share.of_ends
        made = share.product(*("head", "head", rows, (self.table,)), bias=self.bias, named=False)
        return share.gathered(made, rows, self.table.sizes(share.tp)[0])

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None
