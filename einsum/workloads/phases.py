"""The steps that phases of a model are, by their sizes: sequences that decode, or read a prompt."""

from collections.abc import Mapping

import numpy as np

from hwmodel.einsum.workloads.blocks.block import Step
from hwmodel.einsum.workloads.shard import Shard
from hwmodel.einsum.workloads.workload import whole
from hwmodel.quantity.arithmetic import ceil_div
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.units import Amount, amount


def decoding(
    phase: str, batch: Amount, context: Amount, routing: str, exponent: float | None
) -> Step:
    """The step of sequences that make one token each; raises `InputError`."""
    sizes = whole(phase, batch=batch, context=context)
    return Step(sizes["batch"], 1, sizes["context"], True, routing, exponent)


def prefilling(
    phase: str,
    batch: Amount,
    prompt: Amount,
    cached: Amount | None,
    routing: str,
    exponent: float | None,
) -> Step:
    """The step of sequences that read what is not cached of a prompt; raises `InputError`."""
    sizes = whole(phase, batch=batch, prompt=prompt)
    queries = sizes["prompt"]
    if cached is not None:
        known = whole(phase, prompt=prompt, cached=cached)
        if np.any(np.greater_equal(known["cached"], known["prompt"])):
            raise InputError(
                f"{phase}: cached: expected fewer tokens than the prompt's {shown(prompt)},"
                f" found {shown(cached)}"
            )
        queries = known["prompt"] - known["cached"]
    return Step(sizes["batch"], queries, sizes["prompt"], False, routing, exponent)


def some(name: str, count: Amount, sizes: Mapping[str, Amount | None]) -> bool:
    """Whether a group of a mixed step has sequences; its sizes are asked for then."""
    found = amount(count, where=f"mixed: {name}", whole=True, zero=True)
    if not np.all(found):
        if np.any(found):
            raise InputError(
                f"mixed: {name}: expected 0, or counts of 1 or more, found both in one array; ask"
                " for them one by one"
            )
        return False
    for size, value in sizes.items():
        if value is None:
            raise InputError(f"mixed: expected {size!r} with {name}={shown(count)}, found none")
    return True


def tokens_of(step: Step, makes: int) -> Amount:
    """Tokens that a step makes or reads; a sequence that decodes `makes` so many."""
    each = [one.tokens * (makes if one.decoding else 1) for one in step.alike]
    return sum(each[1:], start=each[0])


def kept(step: Step, share: Shard, tp: int) -> dict[str, Amount]:
    """Of the sequences of a step: keys of each, the most of any, and bytes a token in the cache."""
    each = [(one.batch, one.context, share.kv_bytes(1, one.context) * tp) for one in step.alike]
    if len(each) == 1:
        _, context, cache = each[0]
        return {"context": context, "longest": context, "kv_bytes_per_token": _each(cache, context)}
    tokens = sum(batch * context for batch, context, _ in each)
    held = sum(batch * cache for batch, _, cache in each)
    mean = ceil_div(tokens, step.sequences)
    return {
        "context": mean,
        "longest": step.context,
        "kv_bytes_per_token": held / (step.sequences * mean),
    }


def _each(total: Amount, count: Amount) -> Amount:
    """A share of a total, an int where it is one."""
    whole = isinstance(total, int) and isinstance(count, int) and total % count == 0
    return total // count if whole else total / count
