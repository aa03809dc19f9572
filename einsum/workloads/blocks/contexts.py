"""Attention whose tokens are divided over devices: how queries meet keys that others hold.

Each of n devices has q = S / n of S new tokens, which attend to the c tokens before them too. How
they are dealt decides what causal masks leave the busiest device:

    zigzag       a piece from each end: all have the same, q (c + (S + 1) / 2) pairs
    striped      every n-th token: the last device has (n - 1) / 2 keys more a query
    blocks       in order: the last device has q (c + S - (q - 1) / 2) pairs, and in a ring all wait
                 for the one that has a whole block to attend to: n - 1 blocks and half of one

Of the ways to the keys

    all-gather   every device gathers all keys and values, then attends
    ring         blocks go around a ring, each on its way while the one before is attended to; of
                 zigzag a step of q queries meets (c + (S + 1) / 2) / n keys without a mask, of
                 stripes c / n + q keys with one
    ulysses      all-to-alls exchange heads for tokens, so that a device attends for its heads to
                 all, and back
    token-ring   keys stay: queries go around one way and, at the same time, what they have found
                 the other way, with the logarithm of its sum; the larger of the two counts

A step of decode finds the keys where they were kept: each device attends to its part of the context
for all queries, and partial results are gathered and merged by their sums (flash decoding).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from hwmodel.einsum.cascade import Collective
from hwmodel.einsum.division import ALONE, Division
from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.blocks.block import Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.quantity.arithmetic import ceil_div, most
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.units import Amount

SUM_BYTES = 4
"""Of a row's logarithm of the sum of exponentials, in fp32."""

_MERGE = "Y[r, d] = sum(c) X[r, c, d]"


@dataclass(frozen=True)
class Widths:
    """Heads on a device, and elements: of a key and its value together, of a query, of a result."""

    heads: int
    kv_heads: int
    pair: int
    query: int
    result: int


Kernel = Callable[[Step, int, int, bool], Stages]
"""A step, heads, key heads, and whether a causal mask is on, to the attention of one device."""


def attended(step: Step, share: Share, widths: Widths, kernel: Kernel, causal: bool) -> Stages:
    """Attention on one device of those that divide the tokens, and its exchanges."""
    heads, kv_heads, how = widths.heads, widths.kv_heads, share.ways.attends
    if share.ways.cp == 1:
        return kernel(step, heads, kv_heads, causal)
    if step.decoding:
        return merged(step, share, widths, kernel)
    if how == "ulysses":
        return _exchanged(step, share, widths, kernel, causal)
    block = step.batch * step.context * (kv_heads * widths.pair * bytes_of(share.precision.kv))
    if how == "all-gather":
        gathered = share.exchanged("keys gather", "all_gather", block, "cp")
        mine = balanced(step, causal, share.ways)
        return (*gathered, *kernel(mine, heads, kv_heads, causal))
    cp = share.ways.cp
    own, others = (
        kernel(part, heads, kv_heads, masked)[0] for part, masked in _rounds(step, share, causal)
    )
    passed = ceil_div(block, cp)
    if how == "token-ring":
        size, heads_ = bytes_of(share.activation), step.tokens * heads
        passed = most((heads_ * (widths.query * size), heads_ * (widths.result * size + SUM_BYTES)))
    sent = Collective("p2p", passed, 2, "cp", beside=True)
    return (own, replace(others, times=others.times * (cp - 1), collective=sent))


def _rounds(step: Step, share: Share, causal: bool) -> tuple[tuple[Step, bool], tuple[Step, bool]]:
    """What the busiest device attends to in a ring, and whether a mask is on: its block, others."""
    cp, dealt = share.ways.cp, share.ways.dealt
    block = replace(step, context=ceil_div(step.context, cp), span=None)
    if causal and dealt == "zigzag":
        pairs = balanced(step, causal, share.ways).context - step.queries / 2
        part = replace(block, context=ceil_div(pairs, cp))
        return (part, False), (part, False)
    return (block, causal), (block, causal and dealt == "striped")


def balanced(step: Step, causal: bool, ways: Division = ALONE) -> Step:
    """The step of the busiest device: so many keys that a causal mask leaves it its pairs."""
    if not causal or step.span is None or ways.dealt == "blocks":
        return step
    more = ways.cp - 1 if ways.dealt == "striped" else 0
    return replace(step, context=ceil_div(2 * step.context - step.span + step.queries + more, 2))


def _exchanged(step: Step, share: Share, widths: Widths, kernel: Kernel, causal: bool) -> Stages:
    """Heads for tokens, and back."""
    cp, heads, kv_heads = share.ways.cp, widths.heads, widths.kv_heads
    if heads % cp:
        raise InputError(
            f"model: cp: expected a divisor of the {heads} heads of a device, over which ulysses"
            f" exchanges them; found {cp}"
        )
    size = bytes_of(share.activation)
    asked = heads * widths.query + max(kv_heads, cp) * widths.pair
    whole = replace(step, queries=step.queries if step.span is None else step.span)
    return (
        *share.exchanged("heads exchange", "all_to_all", step.tokens * (asked * size), "cp"),
        *kernel(whole, heads // cp, max(1, kv_heads // cp), causal),
        *share.exchanged(
            *("heads return", "all_to_all", step.tokens * (heads * widths.result * size), "cp")
        ),
    )


def merged(step: Step, share: Share, widths: Widths, kernel: Kernel) -> Stages:
    """A part of the context on each device, and the merge of what they find."""
    cp, kind = share.ways.cp, share.activation
    part = replace(step, context=ceil_div(step.context, cp))
    rows: Amount = step.tokens * widths.heads
    each = widths.result * bytes_of(kind) + SUM_BYTES
    sizes: dict[str, Amount] = {"c": cp, "r": rows, "d": widths.result}
    merge = parse(_MERGE, sizes=sizes, dtypes={"*": kind}, name="attention merge")
    return (
        *kernel(part, widths.heads, widths.kv_heads, False),
        *share.exchanged("partial results", "all_gather", rows * (cp * each), "cp"),
        share.stage(merge, "attention.merge"),
    )
