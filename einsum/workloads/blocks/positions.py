"""Learned positions, or kinds of tokens: rows of a table, added to the tokens' embedding."""

from dataclasses import dataclass

from hwmodel.einsum.workloads.blocks.block import Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.einsum.workloads.rows import add
from hwmodel.einsum.workloads.transformer import embedding


@dataclass(frozen=True)
class Positions:
    """A table of `rows` positions, whole on every device."""

    rows: int
    hidden: int
    path: str
    name: str = "positions"

    def weights(self) -> tuple[Weight, ...]:
        """The table."""
        return (Weight(self.path, (self.rows, self.hidden), "table", "embedding"),)

    def stages(self, step: Step, share: Share) -> Stages:
        """A gather of rows, and their addition."""
        kind, tokens = share.activation, step.tokens
        gathered = embedding(
            *(tokens, self.rows, self.hidden, kind, share.precision.unquantised),
            name=self.name,
        )
        added = add(tokens, self.hidden, kind, f"{self.name} add")
        return (
            share.stage(gathered, f"embedding.{self.name}"),
            share.stage(added, f"embedding.{added.name}"),
        )

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None
