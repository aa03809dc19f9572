"""Bounds of divisions: never above the estimate, and close where weights are all that counts."""

import math

import pytest

import hwmodel as hw
from hwmodel.einsum.division import Division
from hwmodel.machines.blockwise import Blockwise
from hwmodel.mappers.parallelism.floors import Floors
from hwmodel.mappers.parallelism.space import Space
from hwmodel.verbs.parallelise import costs_of, step_of

H200 = hw.device("h200")
CASES = [
    ("llama-3.1-8b", "decode", 16, 1024),
    ("llama-3.1-8b", "prefill", 4, 512),
    ("olmoe-1b-7b", "decode", 8, 256),
    ("deepseek-v2-lite", "prefill", 4, 256),
    ("gemma-2-9b", "decode", 8, 8192),  # windows
    ("jamba-v0.1", "decode", 4, 512),  # blocks that count as nothing
]


@pytest.mark.parametrize(("name", "phase", "batch", "size"), CASES)
def test_no_bound_is_above_the_estimate(name: str, phase: str, batch: int, size: int) -> None:
    model = hw.model(name)
    step = step_of(getattr(model, phase)(batch, size))
    blocks, floors = Blockwise(model, step, H200 * 4), Floors(model, step, H200 * 4, 0.9)
    for ways in Space(model.network, step, 4):
        alone_s, kinds = Blockwise(model, step, H200 * 4).known_s(
            ways
        )  # exchanges, none of kernels
        looked = floors.costs(ways, alone_s + floors.rest_s(ways, kinds))
        found = blocks.estimate(ways)
        floor = floors.one(ways)
        assert math.isinf(floor[0]) <= (not found.fits)
        if found.fits:
            costs = costs_of(found)
            assert all(a <= b for a, b in zip(floor, costs, strict=True))
            assert all(a <= b * (1 + 1e-9) for a, b in zip(looked, costs, strict=True))
            known_s, unknown = blocks.known_s(ways)
            assert not unknown
            assert floors.costs(ways, known_s)[0] == pytest.approx(found.time_s, rel=0.25)


def test_a_step_of_one_sequence_reads_the_weights_at_the_dram_s_rate() -> None:
    """Llama 3.1 8B without its embedding, 15.0 GB, and a cache of 131 kB a token."""
    model = hw.model("llama-3.1-8b")
    step = step_of(model.decode(1, 1000))
    floor, _ = Floors(model, step, H200, 0.9).one(Division())
    weights = 2 * (model.parameters - 128256 * 4096 - 65 * 4096)
    rate = H200.memory("dram").bandwidth_bytes_per_s
    assert floor == pytest.approx((weights + 131072 * 1000) / rate, rel=1e-12)


def test_what_weights_and_cache_alone_fill_does_not_fit() -> None:
    model = hw.model("llama-3.1-405b")
    floors = Floors(model, step_of(model.decode(8, 1024)), H200, 0.9)
    assert not floors.fits(Division.of({"tp": 4}))  # 203 GB each
    assert floors.fits(Division.of({"tp": 8}))
    assert floors.fits(Division.of({"tp": 4, "pp": 2}))
    assert not floors.fits(Division.of({"tp": 4, "dp": 2}))
