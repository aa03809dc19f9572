"""What an engine's cache keeps of a request: tokens of each layer, windows, recurrent states."""

from collections.abc import Sequence
from typing import Any

from hwmodel.einsum.network import Stack
from hwmodel.einsum.workloads.blocks.block import caches
from hwmodel.machines.gpu.engines.engine import Memory
from hwmodel.quantity.arithmetic import ceil_div, least
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.units import Amount


def longest_bytes(workload: Stack, memory: Memory) -> Amount:
    """Bytes of the cache of a request of as many tokens as the engine was started for.

    Those of a model that drafts ahead of a phase are its own, too.
    """
    return sum(_longest_bytes(each, memory) for each in _held(workload))


def _held(workload: Stack) -> Sequence[Stack]:
    """A phase, and one of each model that runs ahead of it: all of them keep a cache."""
    ahead, _ = workload.ahead[0] if workload.ahead else (workload, 1)
    return (workload,) if ahead is workload else (workload, ahead)


def _longest_bytes(workload: Stack, memory: Memory) -> Amount:
    """Of one model's."""
    served, origin = workload.served, workload.origin
    assert served is not None
    assert origin is not None
    model, ways = origin.arguments["config"], served.ways
    saved: Amount = 0
    for block, layers in model.network.placed:
        for cache in caches(block):
            if cache.window is None or memory.whole:
                continue
            each = cache.per_token(ways.tp) * bytes_of(cache.format or model.precision.kv)
            if isinstance(cache.window, int):
                kept = cache.window - 1 + memory.most_tokens + memory.block
            else:
                kept = cache.window.tokens(memory.longest)
            gone = memory.longest - least((memory.longest, kept))
            saved = saved + gone * each * len(layers) * ways.tp
    return _paged(model.whole, memory, model.whole.kv_bytes_per_token * memory.longest - saved)


def _paged(model: Any, memory: Memory, tokens_bytes: Amount) -> Amount:
    """Bytes of tokens with the states of recurrent layers, in pages as large as attention's.

    Where layers of both sorts stand, a block is of as many tokens as hold a state, and layers share
    blocks in groups as large as the fewer of them.
    """
    states, layers, attends = model.state_bytes, *model.kept_layers
    if not states or not attends:
        return tokens_bytes + states
    each = model.kv_bytes_per_token / attends
    block = ceil_div(ceil_div(states / layers, each), memory.block) * memory.block
    group = min(layers, attends)
    blocks = ceil_div(memory.longest, block) * ceil_div(attends, group) + ceil_div(layers, group)
    return blocks * block * each * group
