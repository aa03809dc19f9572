"""vLLM's experts on an H200, both products, against rows measured (0.22.1, 2026-11-28)."""

from typing import Any

import pytest

import hwmodel as hw
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.schedules import fused_moe

H200 = hw.device("h200")
A3B = {"experts": 128, "top_k": 8, "hidden": 2048, "intermediate": 768}
MIXTRAL = {"experts": 8, "top_k": 2, "hidden": 4096, "intermediate": 14336}


def products_s(tokens: int, *, experts: int, top_k: int, hidden: int, intermediate: int) -> float:
    spread: dict[str, Any] = {
        "tokens": tokens,
        "experts": experts,
        "top_k": top_k,
        "routing": "uniform",
    }
    sides = ((2 * intermediate, hidden), (hidden, intermediate))
    made = (hw.workloads.grouped_gemm(N=n, K=k, **spread) for n, k in sides)
    return sum(float(hw.predict(each, on=H200, kernel="vllm").time_s) for each in made)


@pytest.mark.parametrize(
    ("tokens", "sizes", "measured_s"),
    [
        (1, A3B, 24.9e-6),
        (8, A3B, 122.5e-6),
        (64, A3B, 288.5e-6),
        (256, A3B, 314.4e-6),
        (1, MIXTRAL, 175.8e-6),
    ],
)
def test_both_products_take_what_was_measured(
    tokens: int, sizes: dict[str, int], measured_s: float
) -> None:
    assert products_s(tokens, **sizes) == pytest.approx(measured_s, rel=0.08)


def test_every_tile_fits_into_a_processor() -> None:
    room = limits(H200).shared_per_block_bytes
    assert all(tile.shared_bytes(2) <= room for tile in fused_moe.MENU)
