"""Attention whose heads keep some of their tokens alone: a stage, and a cache, for each class."""

from dataclasses import dataclass, replace

from hwmodel.einsum.cascade import Cascade, Stage
from hwmodel.einsum.workloads.attention import attention
from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block, Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Split, Weight
from hwmodel.einsum.workloads.policies.policy import HeadClass, OfChunks, Policy
from hwmodel.einsum.workloads.selection import Heads
from hwmodel.quantity.units import Amount


@dataclass(frozen=True)
class Holding:
    """What the heads of a class keep; it computes nothing."""

    kept: Cache

    def weights(self) -> tuple[Weight, ...]:
        """None."""
        return ()

    def stages(self, step: Step, share: Share) -> Stages:
        """None."""
        return ()

    def cache(self) -> Cache | None:
        """Keys and values of a class."""
        return self.kept


@dataclass(frozen=True)
class Evicting:
    """`attention`, of whose key-value heads each class keeps its own number of tokens.

    Heads of a class are divided between devices; where they do not divide, the device that has one
    more is meant.
    """

    attention: Attention
    classes: tuple[HeadClass, ...]
    policy: Policy

    @property
    def words(self) -> str:
        """Its heads, for people."""
        return self.attention.words

    @property
    def parts(self) -> tuple[Block, ...]:
        """What each class keeps."""
        elements = self.attention.head_dim + self.attention.value_size
        return tuple(
            Holding(
                Cache(
                    *(each.heads * elements, _split(each), each.held or each.kept),
                    format=each.dtype,
                )
            )
            for each in self.classes
        )

    def weights(self) -> tuple[Weight, ...]:
        """Those of the attention."""
        return self.attention.weights()

    def stages(self, step: Step, share: Share) -> Stages:
        """A stage of scores for each class, and the kernels that choose; prompts are seen whole."""
        made = self.attention.stages(step, share)
        groups, found = iter(step.alike), list[Stage]()
        for stage in made:
            one = next(groups) if stage.role == "attention.scores" else None
            if one is None or not (one.decoding or isinstance(self.policy, OfChunks)):
                found.append(stage)
                continue
            of_class = self._class if one.decoding else self._chunk
            found += [new for each in self.classes for new in of_class(each, one, share)]
        return tuple(found)

    def _chunk(self, each: HeadClass, step: Step, share: Share) -> list[Stage]:
        """What one class keeps of its own tokens and those before, and attention to these."""
        assert isinstance(self.policy, OfChunks)
        mine, kv_heads = self.attention, _split(each).share(share.tp)
        group = mine.heads // mine.kv_heads
        found = each.kept.tokens(step.context - step.queries) + step.queries
        sizes = (step.batch, step.queries, found, kv_heads, group, mine.head_dim)
        heads = Heads(*sizes, share.activation, share.precision.kv, decoding=False)
        seen = replace(step, context=each.kept.tokens(found))
        scores = mine.scores(
            seen, share, kv_heads * group, kv_heads, name=f"attention, {each.name}"
        )
        books = self.policy.chunk(heads, each.kept)
        return [
            *(share.stage(cascade, "attention.eviction") for cascade in books),
            share.stage(scores, "attention.scores"),
        ]

    def _class(self, each: HeadClass, step: Step, share: Share) -> list[Stage]:
        """Attention of one class to what it keeps, and its books."""
        mine, kv_heads = self.attention, _split(each).share(share.tp)
        heads = kv_heads * (mine.heads // mine.kv_heads)
        kept = each.kept.tokens(step.context)
        scores = attention(
            batch=step.batch,
            heads=heads,
            kv_heads=kv_heads,
            queries=1,
            keys=kept,
            head_dim=mine.head_dim,
            value_dim=mine.value_dim,
            dtype=share.activation,
            kv_dtype=each.dtype or share.precision.kv,
            out_dtype=share.activation,
            name=f"attention, {each.name}",
        )
        books = self._books(each, step.batch * heads, kept)
        return [
            share.stage(scores, "attention.scores"),
            *(share.stage(cascade, "attention.eviction") for cascade in books),
        ]

    def _books(self, each: HeadClass, rows: Amount, kept: Amount) -> tuple[Cascade, ...]:
        """Kernels that choose; heads that keep everything choose nothing."""
        return () if each.kept.share == 1 else tuple(self.policy.work(rows, kept))

    def cache(self) -> Cache | None:
        """Its parts keep what is kept."""
        return None


def _split(each: HeadClass) -> Split:
    """How devices divide the heads of a class."""
    return Split("num_key_value_heads", each.heads, ragged=True)
