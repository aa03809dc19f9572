"""Speculative decoding: a small model drafts tokens, the large one verifies all of them in a step.

Drafts are a chain of k tokens, or a tree with b_i branches at each node of level i. A step of the
large model verifies the tree's nodes n beside the token that it has, q = n + 1 queries of each
sequence on one reading of its cache, after a step of the draft's for each level. With a the chance
that a drafted token is accepted (one in b branches: 1 - (1 - a)^b, taken as independent), a step
yields 1 + m tokens, where m levels in a row are accepted; of a chain on average

    (1 - a^(k + 1)) / (1 - a)

Sequences of an engine move step by step (`stepping.py`), so that a request of O tokens is one of as
many steps as it takes to make them, which are drawn. What contexts are longer than steps is added
to the keys of a step in the mean, and taken off the cache likewise.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.units import counted
from hwmodel.systems.serving.batch import Batch, StepTimes
from hwmodel.systems.serving.cluster import Ran
from hwmodel.systems.serving.requests import Request

FIELDS = ("model", "tokens", "tree", "acceptance", "tp")


@dataclass(frozen=True)
class Drafts:
    """What is drafted for a step: branches of each level, and the chance that a token is right."""

    acceptance: float
    tree: tuple[int, ...]

    @classmethod
    def of(cls, given: Any) -> "Drafts":
        """From a table with `acceptance`, and `tokens` of a chain or the `tree`'s branches."""
        for name in given:
            if name not in FIELDS:
                raise InputError(f"serving: draft: {UnknownNameError('field', name, FIELDS)}")
        part = given.get("acceptance")
        if isinstance(part, bool) or not isinstance(part, (int, float)) or not 0 <= part < 1:
            raise InputError(
                "serving: draft: acceptance: expected a chance from 0 to below 1, found"
                f" {shown(part)}"
            )
        if ("tokens" in given) == ("tree" in given):
            raise InputError("serving: draft: expected tokens (of a chain) or a tree, one of them")
        if "tokens" in given:
            return cls(float(part), (1,) * counted(given["tokens"], where="serving: draft: tokens"))
        tree = tuple(counted(each, where="serving: draft: tree") for each in given["tree"])
        return cls(float(part), tree)

    @cached_property
    def rows(self) -> tuple[int, ...]:
        """Tokens of a sequence that the draft reads for each level: the nodes of the one above."""
        return tuple(math.prod(self.tree[:level]) for level in range(len(self.tree)))

    @property
    def queries(self) -> int:
        """Tokens of each sequence that a step verifies, its own among them."""
        return 1 + sum(math.prod(self.tree[: level + 1]) for level in range(len(self.tree)))

    @cached_property
    def chances(self) -> tuple[float, ...]:
        """That a level is accepted, where the one above it was."""
        return tuple(1 - (1 - self.acceptance) ** branches for branches in self.tree)

    @property
    def tokens(self) -> float:
        """Of a step, on average."""
        return 1 + sum(math.prod(self.chances[: m + 1]) for m in range(len(self.tree)))

    def steps(self, outputs: Sequence[int], seed: int = 0) -> list[int]:
        """Steps in which sequences make so many tokens each, drawn."""
        draw = np.random.default_rng((seed, len(self.tree)))
        left = np.array(outputs, dtype=np.int64)
        made = np.zeros(len(left), dtype=np.int64)
        levels = np.array(self.chances)
        while np.any(left > 0):
            more = left > 0
            right = draw.random((len(left), len(levels))) < levels
            left -= more * (1 + np.cumprod(right, axis=1).sum(axis=1))
            made += more
        return made.tolist()


@dataclass(frozen=True, eq=False)
class Verifying:
    """Steps of an engine that verifies what a draft's steps have made: a `StepTimes`.

    Attributes:
        later: keys by which contexts are longer than the steps tell, of a sequence in the mean.
        kv_tokens: tokens of cache, in those that the steps tell.
    """

    clock: StepTimes
    draft: StepTimes
    drafts: Drafts
    later: float
    kv_tokens: int
    warnings: tuple[str, ...] = ()

    def seconds(self, batch: Batch) -> float:
        """Of the draft's steps, and of the step that verifies."""
        return self._sum(batch, "seconds")

    def joules(self, batch: Batch) -> float:
        """Of both."""
        return self._sum(batch, "joules")

    def _sum(self, batch: Batch, of: str) -> float:
        keys = batch.keys + round(self.later * batch.decodes)
        whole = replace(batch, keys=keys, queries=self.drafts.queries)
        found: float = getattr(self.clock, of)(whole if batch.decodes else batch)
        if batch.prompts:
            read = Batch(prompts=batch.prompts, new=batch.new, pairs=batch.pairs)
            found += getattr(self.draft, of)(read)
        for rows in self.drafts.rows if batch.decodes else ():
            step = Batch(decodes=batch.decodes, keys=keys, queries=rows)
            found += getattr(self.draft, of)(step)
        return found


def stepped(
    requests: Sequence[Request], drafts: Drafts, seed: int
) -> tuple[list[Request], float, float]:
    """Requests by steps instead of tokens; keys to add; held tokens that steps tell, as a share."""
    steps = drafts.steps([each.output - 1 for each in requests], seed)
    told = [replace(each, output=1 + count) for each, count in zip(requests, steps, strict=True)]
    input_ = float(np.mean([each.input for each in requests]))
    output = float(np.mean([each.output for each in requests]))
    made = 1 + float(np.mean(steps))
    return told, (output - made) / 2, (input_ + made / 2) / (input_ + output / 2)


def restored(ran: Ran, requests: Sequence[Request]) -> Ran:
    """What became of a stream, its requests with their tokens again."""
    for stay in ran.stays:
        stay.request = replace(requests[stay.number], arrival_s=stay.request.arrival_s)
    return ran
