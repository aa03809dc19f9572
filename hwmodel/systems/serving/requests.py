"""A request to a serving engine: when it comes, and how many tokens it brings and wants."""

from collections.abc import Sequence
from dataclasses import dataclass

from hwmodel.quantity.errors import InputError


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        arrival_s: since the start of the stream; of a closed loop, where it is only a place in a
            row, 0.
        input: tokens of the prompt.
        output: tokens that it is to generate, to the last.
        hashes: what the prompt begins with, as names of spans of tokens: two requests whose first
            n names agree share n spans. None: nothing of it is another's.
        span: tokens of each of them.
        shipped: tokens of the prompt whose keys and values come with it, from another replica;
            at least the last one is left to be computed.
    """

    arrival_s: float
    input: int
    output: int
    hashes: tuple[int, ...] = ()
    span: int = 16
    shipped: int = 0


class Stay:
    """A request on a replica: what is computed of it, and when its tokens left.

    Attributes:
        number: its place in the stream.
        scheduled_s, first_s, last_s: when it was first scheduled, and when its first and last
            token left.
        preempted: times that it was. hit: tokens of its prompt that were in the cache.
        epoch: changes where tokens under way are lost.
        computed: tokens, up to the last step in which it read its prompt.
        target: tokens that it reads before it decodes: the prompt, and what it had made before it
            was preempted.
        made: tokens that it had made, or will have, when its prompt is read.
        delivered: whether the first token since it was admitted has left.
        base, tick: its context less the count of decode steps, and that count, when it began to.
        blocks, spans: that it holds alone, and with others.
    """

    __slots__ = (
        *("number", "request", "scheduled_s", "first_s", "last_s", "preempted", "hit", "epoch"),
        *("computed", "target", "made", "delivered", "base", "tick", "blocks", "spans"),
    )

    def __init__(self, number: int, request: Request) -> None:
        self.number, self.request = number, request
        self.scheduled_s = self.first_s = self.last_s = float("nan")
        self.preempted = self.hit = self.epoch = 0
        self.computed = self.made = self.base = self.tick = self.blocks = self.spans = 0
        self.target, self.delivered = request.input, False


def check(requests: Sequence[Request], block: int = 16) -> None:
    """Raises `InputError` for a stream that is none: empty, out of order, or without tokens."""
    if not requests:
        raise InputError("serving: expected one request or more, found none")
    last_s = 0.0
    for place, each in enumerate(requests):
        where = f"serving: request {place}"
        if each.input < 1 or each.output < 1:
            raise InputError(
                f"{where}: expected 1 token or more of prompt and of output, found {each.input} and"
                f" {each.output}"
            )
        if not last_s <= each.arrival_s < float("inf"):
            raise InputError(
                f"{where}: expected an arrival from {last_s:g} s on, found {each.arrival_s:g}"
            )
        if not 0 <= each.shipped < each.input:
            raise InputError(
                f"{where}: shipped: expected 0 to {each.input - 1} tokens of its prompt, found"
                f" {each.shipped}"
            )
        if len(each.hashes) * each.span > each.input:
            raise InputError(
                f"{where}: expected at most {each.input} tokens in its spans, found"
                f" {len(each.hashes)} of {each.span}"
            )
        if each.hashes and each.span % block:
            raise InputError(
                f"{where}: span: expected whole blocks of {block} tokens, found {each.span}"
            )
        last_s = each.arrival_s
