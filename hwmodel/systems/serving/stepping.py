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
the block for the blocks they take. `hwmodel.systems.serving.replica` skips ahead over it.
"""

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from hwmodel.quantity.errors import CapacityError
from hwmodel.systems.serving.batch import Batch, StepTimes, cost
from hwmodel.systems.serving.blocks import Blocks
from hwmodel.systems.serving.requests import Stay
from hwmodel.systems.serving.scheduler import Scheduler, rest

AGAIN = 20
"""Tokens of each sequence that a falling reserve counts anew after a retraction (SGLang)."""


class Stepping:
    """An engine on its devices, every step made by itself.

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
        done: Callable[["Stepping", Stay], None] | None = None,
    ) -> None:
        self.clock, self.rules, self.done = clock, rules, done
        beyond = getattr(clock, "beyond_tokens", 0) // rules.block_tokens
        self.blocks = Blocks(clock.kv_tokens // rules.block_tokens, beyond)
        self.now_s = self.busy_s = self.joules = 0.0
        self.steps: int = 0
        self.peak = self.computed = self.reused = self.outstanding = 0
        self._owed: int = 0  # blocks that all that run are yet to take
        self.inbox: deque[Stay] = deque()
        self.waiting: deque[Stay] = deque()
        self.running: dict[int, Stay] = {}
        self._flight: deque[tuple[float, bool, Any, Any]] = deque()
        self._ready_s = 0.0  # the end of the last step that is scheduled
        self._partial: dict[int, Stay] = {}  # prompts that are cut, by number
        self._decodes = self._sum = 0
        self._ticks: int = 0
        self._done: int = 0
        self._classes = [0] * rules.block_tokens
        self._ends: dict[int, list[tuple[Stay, int]]] = {}
        self._next_ends: list[int] = []
        self._blocked = False
        self._share, self._since = rules.reserve.start, 0

    # Requests in, time on.

    def offer(self, stay: Stay) -> None:
        """A request comes, not before any that came."""
        total = stay.request.input + stay.request.output - 1
        if -(-total // self.rules.block_tokens) > self.blocks.count:
            raise CapacityError(
                f"serving: request {stay.number}: expected at most"
                f" {self.blocks.count * self.rules.block_tokens:,} tokens, which the cache of a"
                f" replica holds, found {total:,}; give it more memory, or fewer tokens"
            )
        if not self.rules.chunked and stay.request.input > self.rules.max_batch_tokens:
            raise CapacityError(
                f"serving: request {stay.number}: expected a prompt of at most"
                f" {self.rules.max_batch_tokens:,} tokens, which a step computes unless prompts are"
                f" cut, found {stay.request.input:,}"
            )
        self.outstanding += 1
        self.inbox.append(stay)

    @property
    def next_s(self) -> float:
        """The next boundary; infinity where nothing is to be done."""
        if self._flight:
            return self._flight[0][0]
        if self.waiting or self._decodes or self._partial:
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
            self.now_s = next_s
            if self._flight:
                self._complete()
            while self.inbox and self.inbox[0].request.arrival_s <= next_s:
                self.waiting.append(self.inbox.popleft())
            if not self._skipped():
                while len(self._flight) < self.rules.in_flight and self._schedule():
                    pass

    # What leaves at a boundary.

    def _complete(self) -> None:
        """The oldest step ends."""
        end_s, decoded, firsts, lasts = self._flight.popleft()
        if decoded:
            self._done += 1
        for stay, epoch in firsts:
            if stay.epoch == epoch:
                stay.delivered = True
                if stay.first_s != stay.first_s:
                    stay.first_s = end_s
        for stay, epoch in lasts:
            if stay.epoch == epoch:
                stay.last_s = end_s
                stay.epoch += 1
                del self.running[stay.number]
                self._give_back(stay)
                self._blocked = False
                self.outstanding -= 1
                if self.done is not None:
                    self.done(self, stay)

    def _give_back(self, stay: Stay, again: bool = False) -> None:
        """Blocks of a sequence, its end first; `again`: for it to find what is whole of them."""
        spans = stay.request.hashes[: stay.spans]
        if again and self.rules.prefix_cache:
            held = sum(1 for _ in spans) * stay.request.span // self.rules.block_tokens
            whole = min(stay.blocks, max(0, stay.computed // self.rules.block_tokens - held))
            self.blocks.put(stay.blocks - whole)
            self.blocks.put(whole, own=stay.number)
        else:
            self.blocks.put(stay.blocks)
        for span in reversed(spans):
            self.blocks.release(span)
        stay.blocks = stay.spans = 0

    # The next step.

    def _schedule(self) -> bool:
        """Schedule a step; False where nothing can be."""
        rules, mixed = self.rules, self.rules.mixed
        batch: list[int] = [0, 0, 0, 0]  # prompts, new, pairs, loaded
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
            budget = rules.max_batch_tokens - decodes * rules.queries
            self._read(budget, batch, firsts, lasts, not preempted)
        prompts, new, pairs, loaded = batch
        if not decodes and not prompts:
            return False
        seconds, joules = cost(self.clock, Batch(decodes, keys, prompts, new, pairs, loaded))
        self._ready_s = max(self._ready_s, self.now_s) + seconds
        self.busy_s += seconds
        self.joules += joules
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
        for stay, _ in found:
            self._leave(stay)
            stay.computed = stay.base + tick
        return found

    def _leave(self, stay: Stay) -> None:
        """A sequence decodes no longer."""
        self._decodes -= 1
        self._sum -= stay.base
        at = stay.base % self.rules.block_tokens
        self._classes[at] -= 1
        # Blocks of those that decode are counted when they leave: contexts tell them.
        blocks = -(-(stay.base + self._ticks) // self.rules.block_tokens)
        stay.blocks = blocks - stay.spans * stay.request.span // self.rules.block_tokens

    def _grow(self) -> bool:
        """Blocks for one more token of each that decodes; whether that preempted a sequence."""
        size = self.rules.block_tokens
        need = self._classes[-self._ticks % size]
        if need <= self.blocks.free:
            if need:
                self._take(need)
            return False
        for stay in list(self.running.values()):
            if stay.number not in self.running or not self._decoding(stay):
                continue
            if (stay.base + self._ticks) % size:
                continue
            while self.blocks.free == 0 and stay.number in self.running:
                self._preempt()
            if stay.number in self.running:
                self._take(1)
        return True

    def _decoding(self, stay: Stay) -> bool:
        """Whether it decodes in the next step."""
        made = stay.made + self._ticks - stay.tick
        return stay.number not in self._partial and made < stay.request.output

    def _preempt(self) -> None:
        """The sequence admitted last gives up its blocks, to be computed again."""
        (_, stay), size = self.running.popitem(), self.rules.block_tokens
        cut = self._partial.pop(stay.number, None) is not None
        self._owed -= rest(stay, stay.computed if cut else stay.base + self._ticks, size)
        if not cut:
            made = stay.made
            stay.made = made + self._done - stay.tick if stay.delivered else made - 1
            if made + self._ticks - stay.tick < stay.request.output:
                self._leave(stay)
                stay.computed = stay.base + self._ticks
        self._give_back(stay, again=True)
        stay.epoch += 1
        stay.preempted += 1
        stay.target = stay.request.input + stay.made
        stay.computed = 0
        self.waiting.appendleft(stay)
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
        """Chunks of prompts within the budget: of those that are cut, then of those that wait.

        A prompt is read by one of the ranks, within its share of the budget, and each cuts one.
        """
        ranks, own = self.rules.ranks, self.rules.max_batch_tokens // self.rules.ranks
        for partial in list(self._partial.values()):
            if partial.number not in self._partial:
                continue  # one that was cut before it took its blocks
            queued = len(self.waiting)
            count = min(partial.target - partial.computed, budget, own)
            if count > 0 and self._allocate(partial, count):
                budget -= count
                self._chunk(partial, count, batch, firsts, lasts)
                admits = admits and len(self.waiting) == queued
        if not admits:
            return
        waiting, most = self.waiting, self.rules.max_batch
        while waiting and budget > 0 and len(self.running) < most and len(self._partial) < ranks:
            count = self._admit(waiting[0], min(budget, own), batch)
            if not count:
                self._blocked = True
                return
            stay = waiting.popleft()
            budget -= count
            self.running[stay.number] = stay
            if stay.scheduled_s != stay.scheduled_s:
                stay.scheduled_s = self.now_s
            self._chunk(stay, count, batch, firsts, lasts)
        self._blocked = bool(waiting) and len(self.running) >= most

    def _allocate(self, stay: Stay, count: int) -> bool:
        """Blocks for so many more tokens; without them the sequence preempts itself."""
        size = self.rules.block_tokens
        held = -(-stay.computed // size)
        need = -(-(stay.computed + count) // size) - held
        while need > self.blocks.free:
            self._preempt()
            if stay.number not in self.running:
                return False
        self._take(need)
        stay.blocks += need
        return True

    def _admit(self, stay: Stay, budget: int, batch: list[int]) -> int:
        """Tokens of a waiting sequence that are read now, its blocks taken; 0: it waits."""
        size, blocks, request = self.rules.block_tokens, self.blocks, stay.request
        hit, spans, held = self._hits(stay)
        most = (stay.target - 1) // request.span if self.rules.prefix_cache else 0
        away = request.span * blocks.away(request.hashes[spans:most])
        there = max(hit + away, 0 if stay.preempted else request.shipped)  # in blocks of its own
        count = stay.target - there
        if count > budget:
            if not self.rules.chunked:
                return 0
            count = budget
        need = -(-(there + count) // size) - hit // size
        own = (hit - spans * request.span) // size
        if need + held > blocks.free:
            return 0
        if self.rules.reserve.start and self.running and not self._leaves_room(stay, hit, held):
            return 0
        for span in request.hashes[:spans]:
            blocks.hold(span)
        if own:
            blocks.again(stay.number, own)
        blocks.take(need)
        stay.blocks, stay.spans = need + own, spans
        stay.computed = there
        batch[3] += away
        if not stay.preempted:
            stay.hit = hit + away
            self.reused += hit + away
        self._owed += rest(stay, there + count, size)
        self._peak()
        return count

    def _hits(self, stay: Stay) -> tuple[int, int, int]:
        """Tokens that the cache holds of it, whole spans among them, free blocks they stand in.

        The last token of a prompt is always computed, with all of its block.
        """
        if not self.rules.prefix_cache or not (stay.request.hashes or stay.preempted):
            return 0, 0, 0
        size, blocks, request = self.rules.block_tokens, self.blocks, stay.request
        most = (stay.target - 1) // size
        spans = free = 0
        each = request.span // size
        for span in request.hashes:
            if (spans + 1) * each > most or not blocks.cached(span):
                break
            free += blocks.free_in(span)
            spans += 1
        found = spans * each
        if stay.preempted and spans == len(request.hashes):
            own = min(blocks.found(stay.number), most - found)
            found += own
            free += own
        return found * size, spans, free

    def _leaves_room(self, stay: Stay, hit: int, held: int) -> bool:
        """Whether what runs, and this one, may go on to what is reserved of their outputs."""
        reserve, size = self.rules.reserve, self.rules.block_tokens
        if reserve.whole:
            return rest(stay, hit, size) + self._owed <= self.blocks.free - held
        share = reserve.left(self._share, self._since)
        asked = reserve.ahead(hit, stay, stay.made, share, size)
        for each in self.running.values():
            steps = max(0, self._ticks - each.tick) if each.made else 0
            now = each.computed if each.number in self._partial else each.base + self._ticks
            asked += reserve.ahead(now, each, each.made + steps, share, size)
        return asked <= self.blocks.free - held

    def _chunk(
        self,
        stay: Stay,
        count: int,
        batch: list[int],
        firsts: list[tuple[Stay, int]],
        lasts: list[tuple[Stay, int]],
    ) -> None:
        """Read so many tokens of a prompt; where they are its last, it decodes from then on."""
        cached = stay.computed
        batch[0] += 1
        batch[1] += count
        batch[2] += count * cached + count * (count + 1) // 2
        stay.computed = cached + count
        if stay.request.hashes and self.rules.prefix_cache:
            self._keep(stay)
        if stay.computed < stay.target:
            self._partial[stay.number] = stay
            return
        self._partial.pop(stay.number, None)
        stay.delivered = False
        stay.made += 1
        stay.tick = self._ticks
        stay.base = stay.computed - self._ticks
        firsts.append((stay, stay.epoch))
        left = stay.request.output - stay.made
        if not left:
            lasts.append((stay, stay.epoch))
            return
        self._decodes += 1
        self._sum += stay.base
        self._classes[stay.base % self.rules.block_tokens] += 1
        end = self._ticks + left
        if end not in self._ends:
            self._ends[end] = []
            heappush(self._next_ends, end)
        self._ends[end].append((stay, stay.epoch))

    def _keep(self, stay: Stay) -> None:
        """Spans that are computed now may be found by others."""
        request, each = stay.request, stay.request.span // self.rules.block_tokens
        while stay.spans < len(request.hashes):
            if (stay.spans + 1) * request.span > stay.computed:
                return
            if not self.blocks.keep(request.hashes[stay.spans], each):
                return
            stay.blocks -= each
            stay.spans += 1

    def _take(self, count: int) -> None:
        """Blocks for what sequences that run have computed."""
        self.blocks.take(count)
        self._owed -= count
        self._peak()

    def _peak(self) -> None:
        self.peak = max(self.peak, self.blocks.count - self.blocks.free)

    def _skipped(self) -> bool:
        """Whether more than a step was scheduled at once."""
        return False
