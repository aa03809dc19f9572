"""One replica of an engine in time: requests come, steps are scheduled and end, tokens leave.

    a boundary   a step ends: its tokens leave, sequences that end give back their blocks; what has
                 come since the last boundary is queued; the next step is scheduled
    a step       sequences that decode first, one token each; then a prompt that is cut; then
                 prompts that wait, first come first served, while budget, sequences and blocks last
    in flight    with two steps in flight the step after next is scheduled at a boundary: what comes
                 during a step is read in the one after the next, and a sequence that is preempted
                 loses the token under way

It is a loop over boundaries and no list of tasks of `hwmodel.systems.events`: a step is two heap
operations and a dozen sums there for every sequence, here a few sums in all, since sequences that
decode move together. A count of decode steps stands for their contexts, classes of contexts modulo
the block for the blocks they take. Where nothing happens between two boundaries (nobody comes, ends
or can be admitted, and blocks last), the run of steps is one cumulative sum, of the same durations
in the same order, hence bit for bit what stepping gives.
"""

from collections import deque
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from typing import Any

import numpy as np

from hwmodel.quantity.errors import CapacityError
from hwmodel.systems.serving.batch import Batch, StepTimes
from hwmodel.systems.serving.blocks import Blocks
from hwmodel.systems.serving.requests import Stay
from hwmodel.systems.serving.scheduler import Scheduler

AT_ONCE = 24
"""Steps from which on a run of them is summed as an array: below, the array costs more."""
LONGEST = 4096
"""Steps of one run."""
UNDONE = (
    *("now_s", "busy_s", "joules", "steps", "peak", "computed"),
    *("_ready_s", "_ticks", "_since", "_done"),
)
"""What a run of steps changes, besides what is in flight and the blocks."""
AGAIN = 20
"""Tokens of each sequence that a falling reserve counts anew after a retraction (SGLang)."""


class Replica:
    """An engine on its devices.

    Attributes:
        now_s: the boundary that was reached.
        busy_s: seconds during which steps ran. joules: of those steps. steps: of them.
        peak: blocks held at most.
        computed: tokens computed, those computed again included; of `prompts` those of prompts.
        reused: tokens of prompts that were found in the cache.
    """

    def __init__(
        self,
        clock: StepTimes,
        rules: Scheduler,
        done: Callable[["Replica", Stay], None] | None = None,
    ) -> None:
        self.clock, self.rules, self.done = clock, rules, done
        self.blocks = Blocks(clock.kv_tokens // rules.block_tokens)
        self.now_s = self.busy_s = self.joules = 0.0
        self.steps = self.peak = self.computed = self.reused = self.outstanding = 0
        self.inbox: deque[Stay] = deque()
        self.waiting: deque[Stay] = deque()
        self.running: dict[int, Stay] = {}
        self._flight: deque[tuple[float, bool, Any, Any]] = deque()
        self._ready_s = 0.0  # the end of the last step that is scheduled
        self._partial: Stay | None = None
        self._decodes = self._sum = self._ticks = self._done = 0
        self._classes = [0] * rules.block_tokens
        self._ends: dict[int, list[tuple[Stay, int]]] = {}
        self._next_ends: list[int] = []
        self._blocked = False
        self._share, self._since = rules.reserve.start, 0
        self._state: tuple[Any, ...] = ()  # before the last run of steps
        self._ahead_of: tuple[Any, ...] = ()
        self._took = 0

    # Requests in, time on.

    def offer(self, sequence: Stay) -> None:
        """A request comes, not before any that came."""
        total = sequence.request.input + sequence.request.output - 1
        if -(-total // self.rules.block_tokens) > self.blocks.count:
            raise CapacityError(
                f"serving: request {sequence.number}: expected at most"
                f" {self.blocks.count * self.rules.block_tokens:,} tokens, which the cache of a"
                f" replica holds, found {total:,}; give it more memory, or fewer tokens"
            )
        if not self.rules.chunked and sequence.request.input > self.rules.max_batch_tokens:
            raise CapacityError(
                f"serving: request {sequence.number}: expected a prompt of at most"
                f" {self.rules.max_batch_tokens:,} tokens, which a step computes unless prompts are"
                f" cut, found {sequence.request.input:,}"
            )
        self.outstanding += 1
        if self.now_s > sequence.request.arrival_s and not self.waiting and self._state:
            self._take_back(sequence.request.arrival_s)
        self.inbox.append(sequence)

    @property
    def next_s(self) -> float:
        """The next boundary; infinity where nothing is to be done."""
        if self._flight:
            return self._flight[0][0]
        if self.waiting or self._decodes or self._partial is not None:
            return self.now_s
        if self.inbox:
            return max(self.now_s, self.inbox[0].request.arrival_s)
        return float("inf")

    def advance(self, until_s: float = float("inf")) -> None:
        """Reach every boundary up to `until_s`; what comes later may change later ones."""
        while True:
            next_s = self.next_s
            if next_s > until_s or next_s == float("inf"):
                return
            self.now_s, self._state = next_s, ()
            idle = not self._flight
            if not idle:
                self._complete()
            inbox = self.inbox
            while inbox and (
                inbox[0].request.arrival_s < next_s
                or (idle and inbox[0].request.arrival_s == next_s)
            ):
                self.waiting.append(inbox.popleft())
            if not (self._quiet() and self._run()):
                while len(self._flight) < self.rules.in_flight and self._schedule():
                    pass

    # What leaves at a boundary.

    def _complete(self) -> None:
        """The oldest step ends."""
        end_s, decoded, firsts, lasts = self._flight.popleft()
        if decoded:
            self._done += 1
        for sequence, epoch in firsts:
            if sequence.epoch == epoch:
                sequence.delivered = True
                if sequence.first_s != sequence.first_s:
                    sequence.first_s = end_s
        for sequence, epoch in lasts:
            if sequence.epoch == epoch:
                sequence.last_s = end_s
                sequence.epoch += 1
                del self.running[sequence.number]
                self._give_back(sequence)
                self._blocked = False
                self.outstanding -= 1
                if self.done is not None:
                    self.done(self, sequence)

    def _give_back(self, sequence: Stay, again: bool = False) -> None:
        """Blocks of a sequence, its end first; `again`: for it to find what is whole of them."""
        spans = sequence.request.hashes[: sequence.spans]
        if again and self.rules.prefix_cache:
            held = sum(1 for _ in spans) * sequence.request.span // self.rules.block_tokens
            whole = min(
                sequence.blocks, max(0, sequence.computed // self.rules.block_tokens - held)
            )
            self.blocks.put(sequence.blocks - whole)
            self.blocks.put(whole, own=sequence.number)
        else:
            self.blocks.put(sequence.blocks)
        for span in reversed(spans):
            self.blocks.release(span)
        sequence.blocks = sequence.spans = 0

    # The next step.

    def _schedule(self) -> bool:
        """Schedule a step; False where nothing can be."""
        rules = self.rules
        mixed = rules.mixed
        batch: list[int] = [0, 0, 0]  # prompts, new, pairs
        firsts: list[tuple[Stay, int]] = []
        lasts: list[tuple[Stay, int]] = []
        if not mixed:
            self._read(rules.max_batch_tokens, batch, firsts, lasts)
        decodes = keys = 0
        if self._decodes and not batch[0]:
            preempted = self._grow()
            decodes = self._decodes
            if decodes:
                self._ticks += 1
                self._since += 1
                keys = self._sum + decodes * self._ticks
                lasts += self._ended(self._ticks)
            if preempted and not decodes:
                return self._schedule()
        else:
            preempted = False
        if mixed:
            self._read(rules.max_batch_tokens - decodes, batch, firsts, lasts, not preempted)
        prompts, new, pairs = batch
        if not decodes and not prompts:
            return False
        step = Batch(decodes, keys, prompts, new, pairs)
        seconds = self.clock.seconds(step)
        self._ready_s = max(self._ready_s, self.now_s) + seconds
        self.busy_s += seconds
        self.joules += self.clock.joules(step)
        self.steps += 1
        self.computed += decodes + new
        self._flight.append((self._ready_s, bool(decodes), firsts, lasts))
        return True

    def _ended(self, tick: int) -> list[tuple[Stay, int]]:
        """Sequences whose last token this decode step makes: they decode no more."""
        if not self._next_ends or self._next_ends[0] != tick:
            return []
        heappop(self._next_ends)
        found = [(each, epoch) for each, epoch in self._ends.pop(tick) if each.epoch == epoch]
        for sequence, _ in found:
            self._leave(sequence)
            sequence.computed = sequence.base + tick
        return found

    def _leave(self, sequence: Stay) -> None:
        """A sequence decodes no longer."""
        self._decodes -= 1
        self._sum -= sequence.base
        at = sequence.base % self.rules.block_tokens
        self._classes[at] -= 1
        # Blocks of those that decode are counted when they leave: contexts tell them.
        blocks = -(-(sequence.base + self._ticks) // self.rules.block_tokens)
        sequence.blocks = blocks - sequence.spans * sequence.request.span // self.rules.block_tokens

    def _grow(self) -> bool:
        """Blocks for one more token of each that decodes; whether that preempted a sequence."""
        size = self.rules.block_tokens
        need = self._classes[-self._ticks % size]
        if need <= self.blocks.free:
            if need:
                self.blocks.take(need)
                self._peak()
            return False
        for sequence in list(self.running.values()):
            if sequence.number not in self.running or not self._decoding(sequence):
                continue
            if (sequence.base + self._ticks) % size:
                continue
            while self.blocks.free == 0 and sequence.number in self.running:
                self._preempt()
            if sequence.number in self.running:
                self.blocks.take(1)
        self._peak()
        return True

    def _decoding(self, sequence: Stay) -> bool:
        """Whether it decodes in the next step."""
        made = sequence.made + self._ticks - sequence.tick
        return sequence is not self._partial and made < sequence.request.output

    def _preempt(self) -> None:
        """The sequence admitted last gives up its blocks, to be computed again."""
        _, sequence = self.running.popitem()
        if sequence is self._partial:
            self._partial = None
        else:
            made = sequence.made
            sequence.made = made + self._done - sequence.tick if sequence.delivered else made - 1
            if made + self._ticks - sequence.tick < sequence.request.output:
                self._leave(sequence)
                sequence.computed = sequence.base + self._ticks
        self._give_back(sequence, again=True)
        sequence.epoch += 1
        sequence.preempted += 1
        sequence.target = sequence.request.input + sequence.made
        sequence.computed = 0
        self.waiting.appendleft(sequence)
        self._blocked = False
        self._retract()

    def _retract(self) -> None:
        """A falling reserve rises after a retraction, to what still has to be made (SGLang)."""
        if self.rules.reserve.steps and self.running:
            most = self.rules.reserve.most
            made = sum(
                each.made + max(0, self._ticks - each.tick) for each in self.running.values()
            )
            asked = sum(min(each.request.output, most) for each in self.running.values())
            self._share = min(1.0, (made + AGAIN * len(self.running)) / (asked + 1))
            self._since = 0

    def _read(
        self,
        budget: int,
        batch: list[int],
        firsts: list[tuple[Stay, int]],
        lasts: list[tuple[Stay, int]],
        admits: bool = True,
    ) -> None:
        """Chunks of prompts within the budget: of the one that is cut, then of those that wait."""
        partial = self._partial
        if partial is not None:
            count = min(partial.target - partial.computed, budget)
            if count > 0 and self._allocate(partial, count):
                budget -= count
                self._chunk(partial, count, batch, firsts, lasts)
        if not admits:
            return
        waiting, most = self.waiting, self.rules.max_batch
        while waiting and budget > 0 and len(self.running) < most and self._partial is None:
            count = self._admit(waiting[0], budget)
            if not count:
                self._blocked = True
                return
            sequence = waiting.popleft()
            budget -= count
            self.running[sequence.number] = sequence
            if sequence.scheduled_s != sequence.scheduled_s:
                sequence.scheduled_s = self.now_s
            self._chunk(sequence, count, batch, firsts, lasts)
        self._blocked = bool(waiting) and len(self.running) >= most

    def _allocate(self, sequence: Stay, count: int) -> bool:
        """Blocks for so many more tokens; without them the sequence preempts itself."""
        size = self.rules.block_tokens
        held = -(-sequence.computed // size)
        need = -(-(sequence.computed + count) // size) - held
        if need > self.blocks.free:
            self._preempt()
            return False
        self.blocks.take(need)
        sequence.blocks += need
        self._peak()
        return True

    def _admit(self, sequence: Stay, budget: int) -> int:
        """Tokens of a waiting sequence that are read now, its blocks taken; 0: it waits."""
        size, blocks, request = self.rules.block_tokens, self.blocks, sequence.request
        hit, spans, held = self._hits(sequence)
        count = sequence.target - hit
        if count > budget:
            if not self.rules.chunked:
                return 0
            count = budget
        need = -(-(hit + count) // size) - hit // size
        own = (hit - spans * request.span) // size
        if need + held > blocks.free or not self._leaves_room(sequence, hit, held):
            return 0
        for span in request.hashes[:spans]:
            blocks.hold(span)
        if own:
            blocks.again(sequence.number, own)
        blocks.take(need)
        sequence.blocks, sequence.spans = need + own, spans
        sequence.computed = hit
        if not sequence.preempted:
            sequence.hit = hit
            self.reused += hit
        self._peak()
        return count

    def _hits(self, sequence: Stay) -> tuple[int, int, int]:
        """Tokens that the cache holds of it, whole spans among them, free blocks they stand in.

        The last token of a prompt is always computed, with all of its block.
        """
        if not self.rules.prefix_cache or not (sequence.request.hashes or sequence.preempted):
            return 0, 0, 0
        size, blocks, request = self.rules.block_tokens, self.blocks, sequence.request
        most = (sequence.target - 1) // size
        spans = free = 0
        each = request.span // size
        for span in request.hashes:
            if (spans + 1) * each > most or not blocks.cached(span):
                break
            free += blocks.free_in(span)
            spans += 1
        found = spans * each
        if sequence.preempted and spans == len(request.hashes):
            own = min(blocks.found(sequence.number), most - found)
            found += own
            free += own
        return found * size, spans, free

    def _leaves_room(self, sequence: Stay, hit: int, held: int) -> bool:
        """Whether what runs, and this one, may go on to what is reserved of their outputs."""
        if not self.rules.reserve.start or not self.running:
            return True
        share = self._reserved()
        asked = self._ahead(hit, sequence, sequence.made, share)
        for each in self.running.values():
            steps = max(0, self._ticks - each.tick) if each.made else 0
            now = each.computed if each is self._partial else each.base + self._ticks
            asked += self._ahead(now, each, each.made + steps, share)
        return asked <= self.blocks.free - held

    def _reserved(self) -> float:
        """The share of outputs that is reserved now."""
        reserve = self.rules.reserve
        if not reserve.steps:
            return reserve.start
        fall = (reserve.start - reserve.least) / reserve.steps
        return max(reserve.least, self._share - fall * self._since)

    def _ahead(self, now: int, sequence: Stay, made: int, share: float) -> int:
        """Blocks that a sequence takes from `now` tokens to what is reserved of it."""
        size = self.rules.block_tokens
        left = max(0, min(sequence.request.output, self.rules.reserve.most) - max(made, 1))
        return max(0, -(-int(max(now, sequence.target) + share * left) // size) + now // -size)

    def _chunk(
        self,
        sequence: Stay,
        count: int,
        batch: list[int],
        firsts: list[tuple[Stay, int]],
        lasts: list[tuple[Stay, int]],
    ) -> None:
        """Read so many tokens of a prompt; where they are its last, it decodes from then on."""
        cached = sequence.computed
        batch[0] += 1
        batch[1] += count
        batch[2] += count * cached + count * (count + 1) // 2
        sequence.computed = cached + count
        if sequence.request.hashes and self.rules.prefix_cache:
            self._keep(sequence)
        if sequence.computed < sequence.target:
            self._partial = sequence
            return
        self._partial = None
        sequence.delivered = False
        sequence.made += 1
        sequence.tick = self._ticks
        sequence.base = sequence.computed - self._ticks
        firsts.append((sequence, sequence.epoch))
        left = sequence.request.output - sequence.made
        if not left:
            lasts.append((sequence, sequence.epoch))
            return
        self._decodes += 1
        self._sum += sequence.base
        self._classes[sequence.base % self.rules.block_tokens] += 1
        end = self._ticks + left
        if end not in self._ends:
            self._ends[end] = []
            heappush(self._next_ends, end)
        self._ends[end].append((sequence, sequence.epoch))

    def _keep(self, sequence: Stay) -> None:
        """Spans that are computed now may be found by others."""
        request, each = sequence.request, sequence.request.span // self.rules.block_tokens
        while sequence.spans < len(request.hashes):
            if (sequence.spans + 1) * request.span > sequence.computed:
                return
            if not self.blocks.keep(request.hashes[sequence.spans], each):
                return
            sequence.blocks -= each
            sequence.spans += 1

    def _peak(self) -> None:
        held = self.blocks.count - self.blocks.free
        if held > self.peak:
            self.peak = held

    # Runs of steps in which nothing happens.

    def _quiet(self) -> bool:
        """Whether the next steps decode the same sequences, and nothing else."""
        return (
            self._decodes > 0
            and self._partial is None
            and len(self._flight) == self.rules.in_flight - 1
            and (not self.waiting or (self._blocked and not self.rules.reserve.steps))
            and not any(firsts or lasts for _, _, firsts, lasts in self._flight)
        )

    def _run(self) -> bool:
        """Schedule steps up to the next event; False where that is the next step.

        Requests that are not known of yet may come before: `offer` then takes back the steps that
        would be scheduled after them.
        """
        count = min(self._next_ends[0] - self._ticks - 1, self._lasting())
        if count < 1:
            return False
        until_s = self.inbox[0].request.arrival_s if self.inbox else float("inf")
        until_s = float("inf") if self.waiting else until_s
        first = Batch(self._decodes, self._sum + self._decodes * (self._ticks + 1))
        start_s = max(self._ready_s, self.now_s)
        fit = float(count)
        if until_s < float("inf"):
            fit = (until_s - start_s) / self.clock.seconds(first) + len(self._flight) + 2
        seconds, joules = in_a_row(self.clock, first, int(min(count, LONGEST, max(1.0, fit))))
        ends = np.cumsum([start_s, *seconds])[1:]
        self._state = tuple(getattr(self, name) for name in UNDONE)
        self._ahead_of = tuple(self._flight), ends, seconds, joules
        self._steps_until(until_s)
        return True

    def _steps_until(self, until_s: float) -> None:
        """Of the run that was found, the steps that are scheduled up to an instant."""
        flight, ends, seconds, joules = self._ahead_of
        # A step is scheduled at a boundary: now, when those in flight end, when its own do.
        bounds = np.concatenate(([self.now_s], [step[0] for step in flight], ends))
        made = 1 + int(np.searchsorted(bounds[1 : len(ends)], until_s, side="right"))
        ahead, ended = len(flight), made - 1
        self._done += sum(step[1] for step in flight[:ended]) + max(0, ended - ahead)
        later = ((float(end), True, (), ()) for end in ends[max(0, ended - ahead) : made])
        self._flight = deque([*flight[ended:], *later])
        self.busy_s = float(np.cumsum([self.busy_s, *seconds[:made]])[-1])
        self.joules = float(np.cumsum([self.joules, *joules[:made]])[-1])
        self.now_s, self._ready_s = float(bounds[made - 1]), float(ends[made - 1])
        self._took = sum(self._needs(made))
        self.blocks.take(self._took)
        self._peak()
        self.steps += made
        self._ticks += made
        self._since += made
        self.computed += made * self._decodes

    def _take_back(self, until_s: float) -> None:
        """Undo the steps of the last run that are scheduled after an instant."""
        for name, value in zip(UNDONE, self._state, strict=True):
            setattr(self, name, value)
        self.blocks.untake(self._took)
        self._steps_until(until_s)

    def _needs(self, steps: int) -> Iterator[int]:
        """Blocks that so many decode steps take, each."""
        size = self.rules.block_tokens
        periods, rest = divmod(steps, size)
        yield periods * self._decodes
        yield from (self._classes[-(self._ticks + step) % size] for step in range(rest))

    def _lasting(self) -> int:
        """Decode steps for which the free blocks last."""
        size = self.rules.block_tokens
        periods, left = divmod(self.blocks.free, self._decodes)
        for step in range(size):
            left -= self._classes[-(self._ticks + step) % size]
            if left < 0:
                return periods * size + step
        return periods * size + size


def in_a_row(clock: StepTimes, first: Batch, steps: int) -> tuple[Any, Any]:
    """Seconds and joules of decode steps in a row: each attends to one more key a sequence.

    A clock that answers for arrays of `keys` has `row(first, steps)`.
    """
    row = getattr(clock, "row", None)
    if row is not None and steps >= AT_ONCE:
        return row(first, steps)
    each = [
        Batch(
            first.decodes, first.keys + step * first.decodes * first.queries, queries=first.queries
        )
        for step in range(steps)
    ]
    return [clock.seconds(step) for step in each], [clock.joules(step) for step in each]
