"""Attention to a density of blocks: who runs it, and that FLOP, bytes and time follow."""

from typing import Any

import pytest

import hwmodel as hw
from hwmodel.quantity.errors import CoverageError
from hwmodel.spine.estimate import Estimate

SIZES: dict[str, Any] = {"batch": 1, "heads": 32, "kv_heads": 8, "keys": 32768, "head_dim": 128}


def made(queries: int, density: float, on: str = "h200") -> Estimate:
    work = hw.workloads.attention(**SIZES, queries=queries, causal=True, density=density)
    return hw.predict(work, on=on)


def matrix_flop(estimate: Estimate) -> float:
    counts = estimate.parts[0].counts.operations
    return sum(float(n) for (unit, _, _), n in counts.items() if unit == "matrix")


@pytest.mark.parametrize("on", ["h200", "a100"])
def test_time_and_flop_of_a_prompt_fall_with_the_density(on: str) -> None:
    every, some = made(32768, 1.0, on), made(32768, 0.25, on)
    assert matrix_flop(some) == pytest.approx(matrix_flop(every) / 4)
    assert some.time_s == pytest.approx(every.time_s / 4, rel=0.05)
    assert some.dram_bytes_read <= every.dram_bytes_read


def test_bytes_of_one_query_are_of_the_keys_that_any_of_its_group_reads() -> None:
    # Four heads that choose a tenth each leave out a key with probability 0.9^4.
    keys = 2 * 8 * 32768 * 128 * 2
    found = made(1, 0.1)
    query = 32 * 128 * 2
    assert found.dram_bytes_read - query == pytest.approx((1 - 0.9**4) * keys)
    assert found.time_s >= found.bound_s


def test_the_interval_is_a_priors_and_a_warning_says_so() -> None:
    found = made(8192, 0.3)
    assert found.parts[0].family == "prefill:block-sparse"
    assert any("costed as FlashAttention-2" in text for text in found.warnings)
    assert found.time_high_s >= 2 * found.time_s
    assert made(8192, 1.0).parts[0].family == "prefill:flash-attention-2"


def test_a_library_that_skips_no_blocks_is_refused_by_name() -> None:
    work = hw.workloads.attention(**SIZES, queries=4096, density=0.5)
    with pytest.raises(CoverageError, match=r"not a density of them; .*: block-sparse"):
        hw.predict(work, on="h200", kernel="cudnn")


def test_an_engine_calls_it_too() -> None:
    work = hw.workloads.attention(**SIZES, queries=4096, density=0.5)
    (part,) = hw.predict(work, on="h200", kernel="vllm").parts
    assert part.family == "prefill:block-sparse"


def test_what_a_relative_lends_is_adapted_to_the_device() -> None:
    # Warp-level products reach more of an A100's rate than of a Hopper's, sparse or not.
    every, nearly = made(8192, 1.0, "a100"), made(8192, 0.999, "a100")
    assert nearly.time_s == pytest.approx(every.time_s, rel=0.01)
