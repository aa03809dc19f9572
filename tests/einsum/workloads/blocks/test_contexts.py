"""Tokens divided over devices: pairs of queries and keys counted one by one, and exchanges."""

import math

import pytest

from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.counts import flops
from hwmodel.einsum.division import Division
from hwmodel.einsum.workloads.blocks.block import Step
from hwmodel.einsum.workloads.blocks.contexts import balanced
from hwmodel.einsum.workloads.model import model
from hwmodel.quantity.errors import CoverageError, InputError

LLAMA = model("llama-3.1-8b")
LAYERS, HEADS, KEYS, DIM = 32, 32, 8, 128


def pairs(devices: int, new: int, cached: int) -> list[int]:
    """Pairs that each device computes, with two pieces of the new tokens from both ends."""
    size = new // (2 * devices)
    found: list[int] = []
    for rank in range(devices):
        pieces = (rank, 2 * devices - 1 - rank)
        mine = [t for p in pieces for t in range(p * size, (p + 1) * size)]
        found.append(sum(cached + t + 1 for t in mine))
    return found


@pytest.mark.parametrize(("devices", "new", "cached"), [(2, 16, 0), (4, 64, 0), (4, 32, 10)])
def test_a_causal_mask_is_shared_evenly(devices: int, new: int, cached: int) -> None:
    counted = set(pairs(devices, new, cached))
    queries = new // devices
    step = Step(1, queries, cached + new, False, span=new)
    keys = balanced(step, True).context
    (each,) = counted
    # A causal kernel of q queries on k keys computes q k less the q (q - 1) / 2 above the diagonal;
    # half a key is rounded up.
    assert 0 <= queries * keys - queries * (queries - 1) // 2 - each <= queries / 2 + 1e-9


def dealt(how: str, devices: int, new: int) -> list[list[int]]:
    """Numbers of the tokens of each device."""
    if how == "striped":
        return [list(range(rank, new, devices)) for rank in range(devices)]
    size = new // devices
    return [list(range(rank * size, (rank + 1) * size)) for rank in range(devices)]


@pytest.mark.parametrize("how", ["striped", "blocks"])
@pytest.mark.parametrize(("devices", "new", "cached"), [(2, 16, 0), (4, 64, 0), (4, 32, 12)])
def test_the_busiest_device_of_other_deals_is_counted(
    how: str, devices: int, new: int, cached: int
) -> None:
    counted = max(sum(cached + t + 1 for t in mine) for mine in dealt(how, devices, new))
    queries = new // devices
    step = Step(1, queries, cached + new, False, span=new)
    ways = Division.of({"cp": devices, "dealt": how})
    keys = balanced(step, True, ways).context
    assert 0 <= queries * keys - queries * (queries - 1) // 2 - counted <= queries / 2 + 1e-9


@pytest.mark.parametrize("how", ["striped", "blocks"])
def test_a_ring_waits_for_the_device_with_the_most_pairs_of_each_round(how: str) -> None:
    """Pairs of the busiest device, round by round, by looking at every pair of tokens."""
    devices, tokens = 4, 512
    owners = dealt(how, devices, tokens)

    def pairs(rank: int, turn: int) -> int:
        keys = owners[(rank - turn) % devices]
        return sum(k <= q for q in owners[rank] for k in keys)

    waited = sum(max(pairs(r, turn) for r in range(devices)) for turn in range(devices))
    share = waited / (tokens * (tokens + 1) / 2 / devices)
    whole = sum(s.times * flops(s.cascade) for s in attention({}))
    mine = sum(
        s.times * flops(s.cascade)
        for s in attention({"cp": devices, "attends": "ring", "dealt": how})
    )
    assert math.isclose(devices * mine / whole, share, rel_tol=0.01)


def attention(parallel: dict[str, object], phase: str = "prefill") -> list[Stage]:
    step = getattr(LLAMA, phase)(2, 4096, parallel=parallel)
    return [s for s in step.stages if s.role in ("attention.scores", "attention.merge")]


@pytest.mark.parametrize("how", ["all-gather", "ring", "token-ring", "ulysses"])
def test_devices_share_the_work_of_a_prompt(how: str) -> None:
    """All devices' operations together are those of one, but for half a diagonal of tiles."""
    whole = sum(s.times * flops(s.cascade) for s in attention({}))
    mine = sum(s.times * flops(s.cascade) for s in attention({"cp": 4, "attends": how}))
    assert math.isclose(4 * mine, whole, rel_tol=2e-3)


def exchanged(parallel: dict[str, object], phase: str = "prefill") -> dict[str, tuple[int, int]]:
    step = getattr(LLAMA, phase)(2, 4096, parallel=parallel)
    joints = [(s.times, s.collective) for s in step.stages if s.collective is not None]
    return {c.op: (times, int(c.bytes)) for times, c in joints if c.over == "cp"}


def test_what_devices_exchange_for_keys_is_counted_by_hand() -> None:
    """Keys and values of 2 x 4,096 tokens: 8 heads of 128, twice, in bf16."""
    every = 2 * 4096 * KEYS * DIM * 2 * 2
    assert exchanged({"cp": 4}) == {"all_gather": (LAYERS, every)}
    assert exchanged({"cp": 4, "attends": "ring"}) == {"p2p": (LAYERS * 3, every // 4)}
    back = 2 * 1024 * HEADS * DIM * 2
    sums = 2 * 1024 * HEADS * 4
    assert exchanged({"cp": 4, "attends": "token-ring"}) == {"p2p": (LAYERS * 3, back + sums)}
    assert exchanged({"cp": 4, "attends": "ulysses"}) == {"all_to_all": (LAYERS, back)}


def test_a_step_of_decode_gathers_partial_results_and_their_sums() -> None:
    rows = 2 * HEADS
    found = exchanged({"cp": 4}, "decode")
    assert found == {"all_gather": (LAYERS, 4 * rows * (DIM * 2 + 4))}
    scores, merge = attention({"cp": 4}, "decode")
    assert scores.cascade.sizes()["m"] == 1024
    assert merge.cascade.sizes() == {"c": 4, "r": rows, "d": DIM}


def test_what_cannot_be_divided_is_refused() -> None:
    with pytest.raises(CoverageError, match="tokens of a sequence are divided for attention"):
        model("mamba-2.8b").prefill(1, 64, parallel={"cp": 2})
    with pytest.raises(InputError, match="divisor of the 4 heads of a device, over which ulysses"):
        LLAMA.prefill(1, 64, parallel={"tp": 8, "cp": 8, "attends": "ulysses"})
    with pytest.raises(CoverageError, match="with attends='all-gather' alone"):
        model("deepseek-v3").prefill(1, 64, parallel={"cp": 2, "attends": "ring"})
