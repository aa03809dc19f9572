"""The best way to divide and run a step of training: branches, opened as far as bounds ask.

What a step does not say is free: its degrees (`steps`), sequences of a micro-batch (every divisor
of a replica's), what is computed again (nothing, selectively, whole layers), and chunks of layers a
stage where a schedule may interleave them. A branch stands for all ways that share what is settled
of them, and its bound holds for each:

    division      its degrees           operations at the peak and exchanges, of the micro-batch
                                        that takes the least; states of its parameters
    micro-batch   its sequences too     the same, of that micro-batch
    way           all of it             kernels as they run, in stages that all take the same
    looked at     all of it             stages as they are: their slowest, the way to it and from
                                        it, what ends the step; what the fullest device holds

A way that no bound rules out is predicted; where a stage has one run of layers, these are dealt by
their seconds (`deal`). Each micro-batch on each device's part of a layer asks for its kernels'
seconds: where those are more than `MOST`, as of mixtures on many devices, divisions are searched
with micro-batches of one sequence, which need the least memory, and the other micro-batches of the
best divisions then.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from hwmodel.einsum.workloads.training_step import Training
from hwmodel.hardware.hardware import Hardware
from hwmodel.mappers.parallelism.deal import dealt
from hwmodel.mappers.parallelism.search import Costs, Searched, search
from hwmodel.mappers.parallelism.space import divisors
from hwmodel.mappers.parallelism.steps import Steps
from hwmodel.quantity.errors import CoverageError
from hwmodel.spine.execution import Execution
from hwmodel.systems.training.alone import Known
from hwmodel.systems.training.fabric import Fabric
from hwmodel.systems.training.least import least_bytes, least_s, spread_s
from hwmodel.systems.training.made import made
from hwmodel.systems.training.step import trained

AGAIN = ("none", "selective", "full")
"""What may be computed again of any model."""
ENDS = (0, 1, 2)
"""Of the embedding and the head, those that count as a layer where chunks are as even as they go
(Megatron's `account_for_embedding_in_pipeline_split` and its like)."""
CHUNKED = ("vp", "schedule", "layers", "vocabulary")
"""What says how many chunks a stage has."""
DIVISION, MICRO_BATCH, WAY, LOOKED_AT = range(4)
MOST = 1_000
"""Pairs of a micro-batch and a device's part of a layer that are looked at."""
PARTS = ("tp", "cp", "sp", "ep")
"""What a device's part of a layer depends on."""
SPACES = {
    "all": "every micro-batch of every division",
    "one": "micro-batches of one sequence, and of the best divisions every other",
    "more": "every other micro-batch",
}
"""Which micro-batches are searched -> in words."""


@dataclass(frozen=True)
class Branch:
    """An execution of which so much is settled; the rest is as where nothing is said."""

    how: Execution
    settled: int


@dataclass(frozen=True, eq=False)
class Ways:
    """All ways to run a step on devices."""

    work: Training
    steps: Steps
    one: Hardware
    fabric: Fabric
    batches: str = "all"
    """Micro-batches of a division, of `SPACES`."""
    found: dict[Execution, Any] = field(default_factory=lambda: {})
    """Of ways that were predicted and fit: the answer."""
    _alone: Known = field(default_factory=Known)
    _dealt: dict[Execution, tuple[Execution, ...]] = field(default_factory=lambda: {})
    _counts: dict[tuple[int, int], int] = field(default_factory=lambda: {})

    @property
    def _said(self) -> bool:
        """Whether more than degrees is as said: of a step with a host, or without gradients."""
        return self.work.host is not None or not self.work.backwards

    @cached_property
    def again(self) -> tuple[str, ...]:
        """What may be computed again: of fused attention Megatron has no scores to leave out."""
        given = self.work.parallel
        if self._said or "recompute" in given:
            return (given.get("recompute", "none"),)
        alike = self.work.attention == "flash" and given.get("zero", 1) < 3
        return tuple(each for each in AGAIN if each != "selective" or not alike)

    def sizes(self, how: Execution) -> list[int]:
        """Sequences that a micro-batch of a division may have."""
        if self._said or "micro_batch" in self.work.parallel:
            return [how.micro_batch]
        assert how.global_batch is not None
        if self.batches == "one":
            return [1]
        return divisors(how.global_batch // how.dp)[self.batches == "more" :]

    def chunks(self, how: Execution) -> list[int]:
        """Chunks of layers that a stage of an execution may have, one first."""
        said = any(name in self.work.parallel for name in CHUNKED)
        assert how.micro_batches is not None
        if self._said or said or how.pp == 1 or how.micro_batches % how.pp:
            return [how.vp]
        layers, stages = self.steps.network.depth, how.pp
        most = (layers + ENDS[-1]) // stages
        several = [n for n in range(2, most + 1) for e in ENDS if (layers + e) % (stages * n) == 0]
        return [1, *several]

    def of_division(self, how: Execution) -> Iterator[Execution]:
        """Its micro-batches."""
        for size in self.sizes(how):
            each = how.model_copy(update={"micro_batch": size})
            if not each.reasons():
                yield each

    def count(self, branch: Branch) -> int:
        """Ways that a branch stands for."""
        how = branch.how
        if branch.settled >= WAY:
            return 1
        if branch.settled == MICRO_BATCH:
            return len(self.again) * len(self.chunks(how))
        key = how.dp, how.pp
        if key not in self._counts:
            each = (self.count(Branch(each, MICRO_BATCH)) for each in self.of_division(how))
            self._counts[key] = sum(each)
        return self._counts[key]

    def floor(self, how: Execution) -> Costs:
        """Of a division, whichever micro-batch it has."""
        if self.steps.too_large(how, self.work, self.one):
            return (math.inf,)
        return min((self._least(each) for each in self.of_division(how)), default=(math.inf,))

    def _least(self, how: Execution) -> Costs:
        """Of a micro-batch."""
        if self.steps.overfull(how, self.work, self.one):
            return (math.inf,)
        return (self.steps.least_s(how, self.work, self.one, self.fabric),)

    def opened(self, branch: Branch) -> Sequence[tuple[Branch, Costs]] | None:
        """What a branch stands for, with bounds; None for a way that was looked at."""
        how = branch.how
        if branch.settled == DIVISION:
            each_of = list(self.of_division(how))
            return [(Branch(each, MICRO_BATCH), self._least(each)) for each in each_of]
        if branch.settled == MICRO_BATCH:
            return [
                (Branch(how.model_copy(update=more), WAY), (seconds,))
                for seconds, more in self._ways(how)
            ]
        return [(Branch(how, LOOKED_AT), self._closer(how))] if branch.settled == WAY else None

    def _ways(self, how: Execution) -> Iterator[tuple[float, dict[str, Any]]]:
        """What may be settled of a micro-batch yet, and seconds at the least."""
        for again in self.again:
            each = how.model_copy(update={"recompute": again})
            try:
                whole = made(self.work, each, self.one, self.fabric, None, None, self._alone)
            except CoverageError:  # which its evaluation tells
                whole = None
            for chunks in self.chunks(how):
                more = {"recompute": again, "vp": chunks}
                way = each.model_copy(update=more)
                yield (0.0 if whole is None else spread_s(self.work, way, whole)), more

    def _all(self, how: Execution) -> tuple[Execution, ...]:
        """With layers dealt so that the slowest stage takes the least; as even as they go."""
        if how not in self._dealt:
            self._dealt[how] = dealt(self.work, how, self.one, self.fabric, self._alone)
        return self._dealt[how]

    def _closer(self, how: Execution) -> Costs:
        """What its busiest rank does; infinite where what it holds is too much."""
        given = self.one, self.fabric, self._alone
        try:
            every = self._all(how)
            held = min(least_bytes(self.work, each, *given) for each in every)
            least = min(least_s(self.work, each, *given) for each in every)
        except CoverageError:
            return (0.0,)  # which its evaluation tells
        return (math.inf if held > self.steps.room(self.one) else least,)

    def costs(self, branch: Branch) -> Costs | None:
        """Of the layers dealt, or as even as they go; None where neither fits."""
        for each in self._all(branch.how):
            try:
                found = trained(self.work, each, self.one, fabric=self.fabric, known=self._alone)
            except CoverageError:
                return None
            if found.fits:
                self.found[branch.how] = found
                return (float(found.step_time_s),)
        return None

    def search(self, keep: int) -> tuple[Searched[Branch], str]:
        """The best ways, predicted in `found`; and which micro-batches were searched."""
        space = [Branch(how, DIVISION) for how in self.steps]
        parts = {
            (*(getattr(each.how, name) for name in PARTS), size)
            for each in space
            for size in self.sizes(each.how)
        }
        if len(parts) <= MOST:
            return self._search(space, keep), SPACES["all"]
        first = replace(self, batches="one")._search(space, keep)
        plain = {"micro_batch": 1, "recompute": self.again[0], "vp": 1}
        winners = dict.fromkeys(each.how.model_copy(update=plain) for each, _ in first.best)
        again = replace(self, batches="more", _counts={})
        second = again._search([Branch(how, DIVISION) for how in winners], keep)
        return first.with_more(second, keep), SPACES["one"]

    def _search(self, space: Sequence[Branch], keep: int) -> Searched[Branch]:
        bounds = np.array([self.floor(each.how) for each in space]).reshape(len(space), 1)
        return search(space, bounds, self.costs, keep=keep, opened=self.opened, weigh=self.count)
