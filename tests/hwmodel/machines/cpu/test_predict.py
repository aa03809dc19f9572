"""Predictions on CPU boards: laws, measured rates, refusals."""

from typing import Any

import pytest

import hwmodel as hw
from hwmodel.hardware.catalogue import device
from hwmodel.quantity.errors import CoverageError, UnknownNameError

BOARDS = ("raspberry-pi-4", "raspberry-pi-5", "rk3588", "i9-14900", "xeon-8380")
LLM = hw.model("qwen3-0.6b", dtype="bf16", weight_dtype="int4@32:16")


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize(
    "workload",
    [
        hw.workloads.gemm(M=512, N=300, K=700, dtype="int8"),
        hw.workloads.conv2d(1, 32, 64, 58, 58, 3, dtype="int8"),
        hw.workloads.attention(batch=1, heads=3, queries=129, keys=129, head_dim=64),
        hw.workloads.softmax(rows=512, cols=2048),
        LLM.decode(batch=1, context=128),
    ],
    ids=lambda w: w.name,
)
def test_laws_hold_on_every_board(board: str, workload: Any) -> None:
    found = hw.predict(workload, on=board)
    assert found.time_s >= found.bound_s
    assert found.dram_bytes_read + found.dram_bytes_written >= found.bound_bytes
    assert sum(found.energy_by_j.values()) == pytest.approx(found.energy_j)
    faster = device(board).but(dram={"bandwidth": "1 TB/s"})
    assert hw.predict(workload, on=faster).time_s <= found.time_s
    assert "uncalibrated" in str(found)


def test_decode_of_a_small_model_streams_its_weights() -> None:
    """Qwen3-0.6B in four bits: 0.44 billion weights in layers, 4.5 bits each, and its head."""
    found = hw.predict(LLM.decode(batch=1, context=128), on="raspberry-pi-5")
    assert found.bottleneck == "dram"
    assert found.serving is not None
    assert found.serving.memory.fits


def test_a_larger_cache_never_moves_more() -> None:
    product = hw.workloads.gemm(M=2048, N=2048, K=2048, dtype="int8")
    moved = [
        hw.predict(product, on=device("raspberry-pi-5").but(l3={"capacity_bytes": 2.0**n}))
        for n in range(16, 25)
    ]
    sizes = [float(e.dram_bytes_read + e.dram_bytes_written) for e in moved]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == pytest.approx(float(moved[-1].bound_bytes))


def test_what_cannot_run_is_refused() -> None:
    product = hw.workloads.gemm(M=8, N=8, K=8)
    with pytest.raises(UnknownNameError, match="kernel of raspberry-pi-5 'cublas'; known: cpu"):
        hw.predict(product, on="raspberry-pi-5", kernel="cublas")
    bare = device("raspberry-pi-5")
    bare = bare.model_copy(update={"memories": {"dram": bare.memory("dram")}})
    with pytest.raises(CoverageError, match="expected a cache beside its dram"):
        hw.predict(product, on=bare)


def test_stages_of_rows_between_products_start_no_threads_of_their_own() -> None:
    """Of a decoder's layer five stages are products; a lone softmax has to start, too."""
    step = hw.predict(LLM.decode(batch=1, context=128), "rk3588")
    started = {part.name: float(part.counts.slots.get("launch", 0)) for part in step.parts}
    products = {"qkv", "attention", "attention output", "gate-up", "down", "head", "embedding"}
    assert {name for name, count in started.items() if count} == products
    assert set(started.values()) == {0, 1}
    lone = hw.predict(hw.workloads.softmax(rows=1, cols=64), "rk3588")
    assert lone.parts[0].counts.slots["launch"] == 1
