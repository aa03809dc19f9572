"""The steps that phases of a model are, by their sizes: sequences that decode, or read a prompt."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.division import Division
from hwmodel.einsum.workloads.blocks.block import Step, caches, together
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.drafts import Drafting, Drafts
from hwmodel.einsum.workloads.moe import check_routing
from hwmodel.einsum.workloads.shard import Shard
from hwmodel.einsum.workloads.workload import whole
from hwmodel.quantity.arithmetic import ceil_div, least
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.units import Amount, amount

Parallel: TypeAlias = Division | Mapping[str, Any] | None
"""How a model is divided, as a value or a table."""


HALVES = 2
"""Parts of a batch that take turns."""


SAID = {
    "decode": ("context", "draft"),
    "prefill": ("prompt", "cached", "images", "image_tokens", "image_size", "draft"),
    "mixed": ("context", "prompt", "cached", "prompts", "draft"),
}
"""Phase -> what may be said of it besides its batch and division, the size that it needs first."""


def check_said(phase: str, said: Mapping[str, Any]) -> None:
    """Raises for a phase that is none, and for words that are of another one."""
    if phase not in SAID:
        raise UnknownNameError("phase", phase, SAID)
    for name, value in said.items():
        if name not in SAID[phase] and name not in ("context", "prompt"):
            whose = " and ".join(each for each, own in SAID.items() if name in own)
            raise InputError(
                f"llm: {phase}: {name}: expected none ({whose} alone), found {shown(value)}"
            )
    wanted, *_ = SAID[phase]
    other = {"decode": "prompt", "prefill": "context"}.get(phase)
    if other is not None and (wanted not in said or other in said):
        found = "none" if wanted not in said else f"{other}={shown(said[other])} too"
        raise InputError(f"llm: {phase}: expected the size {wanted!r} alone, found {found}")


def drafted(name: str, phase: str, network: Network, draft: Drafting) -> Drafts | None:
    """What is drafted for a phase that makes tokens, if anything is.

    Raises `InputError` for a model that makes none, `CoverageError` for one whose steps cannot
    verify several tokens of a sequence.
    """
    if not network.generates:
        raise InputError(
            f"{name}: {phase}: expected a model that makes tokens one by one, found an encoder; its"
            " one step is prefill"
        )
    if draft is None:
        return None
    states = any(cache.state for block, _ in network.placed for cache in caches(block))
    if states or network.makes > 1:
        raise CoverageError(
            f"{name}: draft: expected a model that attends to its cache and makes a token a step:"
            " states of recurrences are not rolled back here; leave draft out"
        )
    return Drafts.of(draft)


def divided(tp: int, parallel: Parallel) -> Division:
    """The division that is meant by `tp`, or in full."""
    if parallel is None:
        return Division.of({"tp": tp}, where="model")
    if tp != 1:
        raise InputError(f"model: tp: expected it in parallel, found tp={shown(tp)} beside it")
    return Division.of(parallel)


def decoding(
    phase: str,
    batch: Amount,
    context: Amount,
    routing: str,
    exponent: float | None,
    drafts: Drafts | None = None,
) -> Step:
    """The step of sequences that make a token each, or verify what was drafted.

    Raises `InputError`.
    """
    queries = 1 if drafts is None else drafts.queries
    check_routing(phase, routing, exponent)
    sizes = whole(phase, batch=batch, context=context)
    if np.any(np.less(sizes["context"], queries)):
        raise InputError(
            f"{phase}: context: expected at least the {queries} tokens that a step verifies, found"
            f" {shown(context)}"
        )
    return Step(sizes["batch"], queries, sizes["context"], True, routing, exponent)


def prefilling(
    phase: str,
    batch: Amount,
    prompt: Amount,
    cached: Amount | None,
    routing: str,
    exponent: float | None,
) -> Step:
    """The step of sequences that read what is not cached of a prompt; raises `InputError`."""
    check_routing(phase, routing, exponent)
    sizes = whole(phase, batch=batch, prompt=prompt)
    queries = sizes["prompt"]
    if cached is not None:
        held = amount(cached, whole=True, zero=True, where=f"{phase}: cached")
        if np.any(np.greater_equal(held, queries)):
            raise InputError(
                f"{phase}: cached: expected fewer tokens than the prompt's {shown(prompt)},"
                f" found {shown(cached)}"
            )
        queries = whole(phase, prompt=prompt, read=queries - held)["read"]
    return Step(sizes["batch"], queries, sizes["prompt"], False, routing, exponent)


DRAWN, MIXTURE = "uniform", "mixture."
"""How tokens choose experts where nothing is said, and how roles of stages of mixtures begin."""


def unrouted(name: str, step: Step, made: Sequence[Stage]) -> tuple[str, ...]:
    """What is told of a routing that is said of a model without experts."""
    if step.routing == DRAWN or any(each.role.startswith(MIXTURE) for each in made):
        return ()
    return (f"{name}: routing={step.routing} changes nothing without experts",)


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


def tokens_of(step: Step, makes: float) -> Amount:
    """Tokens that a step makes or reads; a sequence that decodes `makes` so many."""
    each = [one.batch * makes if one.decoding else one.tokens for one in step.alike]
    return sum(each[1:], start=each[0])


def passing(step: Step, ways: Division) -> Step:
    """What passes through a device together: its replica's sequences, or a micro-batch of them.

    Of a prompt each of the devices that divide its tokens has its part.
    """
    if ways.cut and step.groups:
        raise InputError(
            "mixed: micro_batch, overlap: expected none, since groups of sequences pass together;"
            f" found {ways.micro_batch} and {ways.overlap!r}"
        )
    return together(*(_passing(one, ways) for one in step.alike)) if _divides(ways) else step


def _divides(ways: Division) -> bool:
    """Whether a device sees fewer sequences or tokens than there are."""
    return ways.dp > 1 or ways.cp > 1 or ways.cut


def _passing(step: Step, ways: Division) -> Step:
    batch = ceil_div(step.batch, ways.dp)
    if ways.micro_batch is not None:
        batch = least((batch, ways.micro_batch))
    elif ways.cut:
        if np.any(np.asarray(batch) < HALVES):
            raise InputError(
                "overlap: expected two sequences or more of each replica, whose halves take turns;"
                f" found {shown(batch)}"
            )
        batch = ceil_div(batch, HALVES)
    if step.decoding or ways.cp == 1:
        return replace(step, batch=batch)
    return replace(step, batch=batch, queries=ceil_div(step.queries, ways.cp), span=step.queries)


def passes(step: Step, mine: Step, ways: Division) -> dict[str, Any]:
    """How often what passes through a device does, there and on all devices."""
    each = mine.sequences
    return {
        "ways": ways,
        "passes": ceil_div(ceil_div(step.sequences, ways.dp), each) if not step.groups else 1,
        "runs": ways.tp * ways.cp * _each(step.sequences, each),
        "sequences": each,
        "rows": mine.tokens,
        "decoding": step.decoding or any(one.decoding for one in step.groups),
    }


def kept(step: Step, share: Shard) -> dict[str, Amount]:
    """Of the sequences of a step: keys of each, the most of any, and bytes a token in the cache.

    Bytes are as if every device held as much as the fullest, of layers and of sequences.
    """
    each = [(one.batch, one.context, _held(one, share)) for one in step.alike]
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


def _held(step: Step, share: Shard) -> Amount:
    """Bytes that a sequence keeps, over all devices of its replica."""
    kept, dp = share.fullest_kv_bytes(step.context), share.ways.dp
    return kept if dp == 1 else kept * (ceil_div(step.batch, dp) * dp / step.batch)


def _each(total: Amount, count: Amount) -> Amount:
    """A share of a total, an int where it is one."""
    whole = isinstance(total, int) and isinstance(count, int) and total % count == 0
    return total // count if whole else total / count
