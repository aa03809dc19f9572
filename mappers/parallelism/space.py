"""All legal divisions of a phase of a model over devices.

Degrees of tp, cp, dp and pp multiply to the number of devices. A division is legal where the
blocks of the network say so (tensors and experts that divide, heads that go), and

    pp   every stage has a layer
    dp   every replica has a sequence
    cp   every mixer attends (and by a way that it can), every device has two pieces of a prompt
    ep   the experts divide, over devices of one stage, `etp` of a tensor-parallel group on each;
         rows are sent to them in each of the ways that are given (`dispatches`)
    sp   with tp alone; of a micro-batch, with pp alone: all sequences together, as many parts as
         stages, or one at a time (prompts)
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from hwmodel.einsum.division import Division
from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Step, caches
from hwmodel.einsum.workloads.blocks.mla import Mla
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.blocks.weight import Split
from hwmodel.quantity.errors import InputError

WAYS = ("all-gather", "ring", "token-ring", "ulysses")


@dataclass(frozen=True, eq=False)
class Space:
    """A network and a step of it, divided over so many devices."""

    network: Network
    step: Step
    devices: int
    plain: bool = False
    """Whether by tp, dp, pp and ep alone."""
    dispatches: tuple[str, ...] = ("all-to-all",)
    """How rows may be sent to experts that are divided."""

    def __iter__(self) -> Iterator[Division]:
        """Every legal division, once."""
        for tp in filter(self._tensors, divisors(self.devices)):
            for cp in filter(self._tokens, (1,) if self.plain else divisors(self.devices // tp)):
                for dp in divisors(self.devices // (tp * cp)):
                    pp = self.devices // (tp * cp * dp)
                    if dp <= self.step.batch and pp <= self.network.depth:
                        yield from self._with(tp, cp, dp, pp)

    def _with(self, tp: int, cp: int, dp: int, pp: int) -> Iterator[Division]:
        for ep, etp, sent in self._experts(tp, tp * cp * dp):
            for how in self._attends(tp, cp):
                for sp in (False, True) if tp > 1 and not self.plain else (False,):
                    for size in self._sizes(dp, pp):
                        # What is legal here was checked one degree at a time.
                        yield Division.model_construct(
                            tp=tp, cp=cp, dp=dp, pp=pp, ep=ep, etp=etp, sp=sp, attends=how,
                            micro_batch=size, dispatch=sent,
                        )  # fmt: skip

    def _tensors(self, tp: int) -> bool:
        return all(self._divides(split, tp) for split in self._splits)

    def _divides(self, split: Split, ways: int) -> bool:
        try:
            split.share(ways)
        except InputError:
            return False
        return True

    @cached_property
    def _splits(self) -> set[Split]:
        """How tensors are divided that are no expert's."""
        return {w.split for w, _ in self.network.weights if w.split and w.copies == 1}

    @cached_property
    def _copies(self) -> int:
        return max((w.copies for w, _ in self.network.weights), default=1)

    @cached_property
    def _inner(self) -> set[Split]:
        """How tensors of experts are divided."""
        return {w.split for w, _ in self.network.weights if w.split and w.copies > 1}

    def _experts(self, tp: int, width: int) -> Iterator[tuple[int, int | None, str]]:
        """Degrees of experts, on so many devices of a stage; shared by tp where that is all."""
        if all(self._divides(split, tp) for split in self._inner):
            yield 1, None, "all-to-all"
        for ep in divisors(self._copies)[1:]:
            for etp in divisors(tp):
                legal = all(self._divides(split, etp) for split in self._inner)
                if width % (ep * etp) == 0 and legal:
                    yield from ((ep, etp, sent) for sent in self.dispatches)

    @cached_property
    def _mixers(self) -> list[object]:
        """Blocks that look at several tokens of a sequence."""
        return [b for b, _ in self.network.placed if next(caches(b), None) or _looks(b)]

    def _tokens(self, cp: int) -> bool:
        if cp == 1:
            return True
        if not all(getattr(block, "over_contexts", False) for block in self._mixers):
            return False
        if any(isinstance(b, Mla) and b.chosen is not None for b in self._mixers):
            return False
        step = self.step
        return bool(step.context >= cp if step.decoding else step.queries >= 2 * cp)

    def _attends(self, tp: int, cp: int) -> tuple[str, ...]:
        if cp == 1 or self.step.decoding or any(isinstance(b, Mla) for b in self._mixers):
            return WAYS[:1]
        heads = [b.heads // tp for b in self._mixers if isinstance(b, Attention)]
        return WAYS if all(n % cp == 0 for n in heads) else WAYS[:3]

    def _sizes(self, dp: int, pp: int) -> list[int | None]:
        """Sequences of a micro-batch."""
        mine = -(-int(self.step.batch) // dp)
        parts = {-(-mine // pp)} | (set[int]() if self.step.decoding else {1})
        whole = pp == 1 or self.plain
        return [None] if whole else [None, *sorted(n for n in parts if n < mine)]


def _looks(block: object) -> bool:
    return isinstance(block, (Attention, Mla))


def divisors(number: int) -> list[int]:
    """Whole numbers that divide it, in order.

    >>> divisors(12)
    [1, 2, 3, 4, 6, 12]
    """
    small = [n for n in range(1, int(number**0.5) + 1) if number % n == 0]
    return sorted({*small, *(number // n for n in small)})
