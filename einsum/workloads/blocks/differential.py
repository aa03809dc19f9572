"""Attention whose halves are subtracted (DiffLlama; Ye et al., arXiv 2410.05258).

Every head attends to pairs of heads of values, twice as wide; what the second half of the heads
finds, times a learned number, is taken from what the first finds, and the difference passes a norm
without weights. Values are counted as read by each half.
"""

from dataclasses import dataclass, replace

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.einsum.workloads.rows import add, rmsnorm, scale

_VECTORS = ("lambda_q1", "lambda_k1", "lambda_q2", "lambda_k2")


@dataclass(frozen=True)
class Differential:
    """Attention of so many heads, and the difference of its halves."""

    heads: Attention

    @property
    def words(self) -> str:
        """Its heads, for people."""
        return self.heads.words

    def weights(self) -> tuple[Weight, ...]:
        """Those of attention, and the four vectors that make the number."""
        path, dim = self.heads.path, self.heads.head_dim
        vectors = (Weight(f"{path}.{name}", (dim,), "other", "attention") for name in _VECTORS)
        return (*self.heads.weights(), *vectors)

    def stages(self, step: Step, share: Share) -> Stages:
        """Those of attention with wide values, and the difference before the output."""
        made = self.heads.stages(step, share)
        scores = [i for i, stage in enumerate(made) if stage.role == "attention.scores"]
        wide = (replace(made[i], cascade=self._wide(made[i].cascade)) for i in scores)
        after = made[scores[-1] + 1 :]
        return (*made[: scores[0]], *wide, *self._difference(step, share), *after)

    def _wide(self, cascade: Cascade) -> Cascade:
        """The attention of all heads to values of two."""
        return cascade.but(value_dim=2 * self.heads.head_dim)

    def _difference(self, step: Step, share: Share) -> Stages:
        """The second half times a number, taken from the first, and a norm."""
        heads, kind = share.of(self.heads.query_split), share.activation
        rows, columns = step.tokens * (heads // 2), 2 * self.heads.head_dim
        made = (
            scale(rows, columns, kind, "difference scale"),
            add(rows, columns, kind, "difference"),
            rmsnorm(rows, columns, kind, name="difference norm"),
        )
        return tuple(share.stage(each, f"attention.{each.name}") for each in made)

    def cache(self) -> Cache | None:
        """Keys and values."""
        return self.heads.cache()
