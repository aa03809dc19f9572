"""Attention of which parts are computed: by heads' classes, in prefill and in decode.

The kernels before and behind it are those of the attention itself. Each class of heads is a kernel
of its own. Which heads belong to a class may depend on data: of devices that divide the heads, the
one with the most work is meant, since all wait for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from hwmodel.einsum.cascade import Cascade, Stage
from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block, Cache, Step
from hwmodel.einsum.workloads.blocks.fewer import of
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.einsum.workloads.policies.kept import Kept
from hwmodel.einsum.workloads.selection import Heads
from hwmodel.quantity.arithmetic import ceil_div, least
from hwmodel.quantity.units import Amount


@dataclass(frozen=True)
class Sight:
    """What queries see: a `density` of all blocks of queries and keys, and of them the last ones.

    `density` is the share of all pairs of blocks of `block` tokens, those that a causal mask leaves
    out among them, as publications count it. `tokens` are those that take part, as queries and as
    keys; `window` how many keys a query sees at most.
    """

    density: float = 1.0
    block: int = 128
    tokens: Kept | None = None
    window: int | None = None

    @property
    def whole(self) -> bool:
        """Whether everything is seen."""
        return self.density == 1 and self.tokens is None and self.window is None


@dataclass(frozen=True)
class Seeing:
    """`heads` key-value heads of a layer, with their queries', that see alike."""

    name: str
    heads: int
    prefill: Sight = Sight()
    decode: Sight = Sight()

    def sight(self, step: Step) -> Sight:
        """What they see in a step."""
        return self.decode if step.decoding else self.prefill


class Around(Protocol):
    """Kernels around attention of which parts are computed; a frozen value."""

    def before(self, heads: Heads) -> Sequence[Cascade]:
        """What chooses, before attention."""
        ...

    def behind(self, heads: Heads) -> Sequence[Cascade]:
        """What is done to heads' results."""
        ...


@dataclass(frozen=True)
class Sparse:
    """`inner`, whose heads (those of `attention`) see what their classes say, in each phase.

    `inner` is the attention itself, or that whose cache follows a policy.
    """

    inner: Block
    attention: Attention
    classes: tuple[Seeing, ...]
    around: Around

    @property
    def words(self) -> str:
        """Its heads, for people."""
        return self.attention.words

    @property
    def parts(self) -> tuple[Block, ...]:
        """What is inside keeps what is kept."""
        return (self.inner,)

    def weights(self) -> tuple[Weight, ...]:
        """Those of the attention."""
        return self.inner.weights()

    def stages(self, step: Step, share: Share) -> Stages:
        """Kernels that choose, and a stage of scores for each class."""
        before, _, behind = parted(self.inner.stages(step, share))
        return (*before, *step.each(lambda one: self._attended(one, share)), *behind)

    def _attended(self, step: Step, share: Share) -> Stages:
        """Attention of sequences that are alike, and the kernels around it."""
        heads = self._heads(step, share)
        scores = tuple(self._scores(step, share))
        if all(each.sight(step).whole for each in self.classes):
            _, scores, _ = parted(self.inner.stages(step, share))
        return (
            *(share.stage(each, "attention.selection") for each in self.around.before(heads)),
            *scores,
            *(share.stage(each, "attention.correction") for each in self.around.behind(heads)),
        )

    def _heads(self, step: Step, share: Share) -> Heads:
        mine = self.attention
        return Heads(
            *(step.batch, step.queries, step.context, share.of(mine.key_split)),
            *(mine.heads // mine.kv_heads, mine.head_dim, share.activation, share.precision.kv),
            decoding=step.decoding,
        )

    def _scores(self, step: Step, share: Share) -> list[Stage]:
        """Attention of each class, as many of its heads as the device with most work has."""
        mine, made, left = self.attention, list[Stage](), share.of(self.attention.key_split)
        group = share.of(mine.query_split) // left
        for each in sorted(self.classes, key=lambda each: -each.sight(step).density):
            heads = min(left, each.heads)
            left -= heads
            if heads:
                cascade = self._seen(each, step, share, heads, heads * group)
                made.append(share.stage(cascade, "attention.scores"))
        return made

    def _seen(self, each: Seeing, step: Step, share: Share, kv_heads: int, heads: int) -> Cascade:
        """The attention of so many heads of a class."""
        sight = each.sight(step)
        name = None if sight.whole else f"attention, {each.name}"
        seen = step if sight.tokens is None else of(step, sight.tokens)
        mine = self.attention
        if sight.window is not None:
            mine = replace(mine, window=sight.window)
        if step.decoding and sight.density < 1:
            blocks = ceil_div(ceil_div(seen.context, sight.block) * sight.density, 1)
            seen = replace(seen, context=least((seen.context, blocks * sight.block)))
            return mine.scores(seen, share, heads, kv_heads, name=name)
        within = 1.0 if sight.density == 1 else self._within(sight, seen)
        return mine.scores(seen, share, heads, kv_heads, density=within, name=name)

    def _within(self, sight: Sight, step: Step) -> Amount:
        """Share of the pairs of blocks that the mask leaves, of a share of all of them.

        Of Tq blocks of queries, the last of Tk of keys, a causal mask leaves 1 - (Tq - 1) / (2 Tk).
        """
        queries, keys = (ceil_div(n, sight.block) for n in (step.queries, step.context))
        left = 1 - (queries - 1) / (2 * keys) if self.attention.causal else 1.0
        return least((1.0, sight.density / left))

    def cache(self) -> Cache | None:
        """Its part keeps what is kept."""
        return None


def parted(stages: Stages) -> tuple[Stages, Stages, Stages]:
    """Kernels before the scores, those of scores and the books of policies, and those behind."""
    ours = [i for i, stage in enumerate(stages) if stage.role in ATTENDING]
    first, last = ours[0], ours[-1] + 1
    return stages[:first], stages[first:last], stages[last:]


ATTENDING = ("attention.scores", "attention.eviction")
"""Roles of stages that look at a sequence's keys."""
