"""Paged cache of keys and values: blocks that sequences take, share and leave behind.

As in vLLM, a block that nobody holds stands in one queue, whatever it still keeps: blocks are taken
from its head and come back at its tail, the end of a sequence before its beginning. What a block
keeps can be found until it is taken: a *span*, by the name of a common beginning, or what a
preempted sequence had computed, by its number. A span that is taken in part is lost as a whole;
with spans of one block that is vLLM's rule to the block.

With a second memory (a host's) a span that is lost there goes to this one, and is found in it until
others, used later, take its place.
"""

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import cast


class Blocks:
    """All blocks of a replica.

    Attributes:
        count: of them.
        free: blocks that nobody holds.
        beyond: blocks that the second memory holds.
    """

    def __init__(self, count: int, beyond: int = 0) -> None:
        self.count = self.free = count
        self.beyond = beyond
        self._away: OrderedDict[int, int] = OrderedDict()  # spans there, used last at the end
        self._left = beyond
        self._queue: OrderedDict[Hashable, int] = OrderedDict()  # runs of free blocks, head first
        self._held: dict[Hashable, list[int]] = {}  # span -> holders, blocks
        self._owed = 0  # taken from the head, and not yet removed from the queue
        self._mark = 0  # of nameless runs
        self._nameless(count)

    def take(self, count: int) -> None:
        """Take free blocks, of which there must be enough."""
        self.free -= count
        self._owed += count

    def untake(self, count: int) -> None:
        """Take back the last taking of so many."""
        self.free += count
        self._owed -= count

    def put(self, count: int, own: int | None = None) -> None:
        """Give blocks back; `own` sequence may find its beginning again."""
        if not count:
            return
        self.free += count
        if own is None:
            self._nameless(count)
        else:
            self._settle()
            self._nameless(self._queue.pop(("own", own), 0))  # what it did not find again
            self._queue["own", own] = count

    def found(self, own: int) -> int:
        """Blocks from the beginning that a preempted sequence still finds."""
        self._settle()
        return self._queue.get(("own", own), 0)

    def again(self, own: int, count: int) -> None:
        """A sequence takes so many of those; the rest is nobody's any more."""
        rest = self._queue.pop(("own", own)) - count
        self.free -= count
        self._nameless(rest)

    def cached(self, span: int) -> bool:
        """Whether a span is kept, held or not."""
        self._settle()
        return ("span", span) in self._queue or span in self._held

    def away(self, spans: Sequence[int]) -> int:
        """How many of these in a row the second memory keeps; they are used now."""
        if not self.beyond:
            return 0
        self._settle()
        found = 0
        for span in spans:
            if span not in self._away:
                break
            self._away.move_to_end(span)
            found += 1
        return found

    def _sent(self, span: int, count: int) -> None:
        """A span goes to the second memory, in the place of those used longest ago."""
        if span in self._away or count > self.beyond:
            return
        while self._left < count:
            self._left += self._away.popitem(last=False)[1]
        self._away[span] = count
        self._left -= count

    def free_in(self, span: int) -> int:
        """Blocks of a kept span that nobody holds."""
        return self._queue.get(("span", span), 0)

    def hold(self, span: int) -> None:
        """One more sequence holds a kept span."""
        if span in self._held:
            self._held[span][0] += 1
            return
        count = self._queue.pop(("span", span))
        self.free -= count
        self._held[span] = [1, count]

    def keep(self, span: int, count: int) -> bool:
        """Blocks that a sequence took are a span from now on, unless it is kept already."""
        if self.cached(span):
            return False
        self._held[span] = [1, count]
        return True

    def release(self, span: int) -> None:
        """A sequence holds a span no longer."""
        holders = self._held[span]
        holders[0] -= 1
        if not holders[0]:
            del self._held[span]
            self.free += holders[1]
            self._queue["span", span] = holders[1]

    def _nameless(self, count: int) -> None:
        """Blocks that keep nothing anybody looks for, at the tail."""
        if not count:
            return
        last = ("", self._mark)
        if self._queue and next(reversed(self._queue)) == last:
            self._queue[last] += count
        else:
            self._mark += 1
            self._queue["", self._mark] = count

    def _settle(self) -> None:
        """Remove what was taken from the head."""
        while self._owed:
            key, count = next(iter(self._queue.items()))
            gone = min(count, self._owed)
            if self.beyond and isinstance(key, tuple) and key[0] == "span":
                self._sent(cast(tuple[str, int], key)[1], count)
            self._owed -= gone
            if gone == count:
                del self._queue[key]
                continue
            self._queue[key] = count - gone
            if isinstance(key, tuple) and key[0] == "span":
                del self._queue[key]
                self._mark += 1
                self._queue["", self._mark] = count - gone
                self._queue.move_to_end(("", self._mark), last=False)
