"""vLLM's Triton attention over pages: launches and counts by hand."""

from typing import Any

import pytest

import hwmodel as hw
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.schedules import unified
from hwmodel.machines.gpu.schedules.attention import AttentionProblem
from hwmodel.spine.activity import totals

B200 = limits(hw.device("b200"))


def problem(batch: int, heads: int, kv_heads: int, queries: int, keys: int) -> Any:
    how: dict[str, Any] = {"causal": queries > 1, "kv_dtype": "fp8"}
    return AttentionProblem(batch, heads, kv_heads, queries, keys, 192, 192, **how)


@pytest.mark.parametrize(("heads", "rows"), [(2, 16), (32, 16), (48, 32)])
def test_rows_are_16_or_the_power_of_two_that_holds_a_group(heads: int, rows: int) -> None:
    found = unified.prompts(unified.PREFILL[0], problem(1, heads, 2, 512, 512), B200)
    assert (found.block_q, found.pad) == (rows, 256)


@pytest.mark.parametrize(
    ("batch", "keys", "split", "step"),
    [(4, 131072, 16, 16), (128, 256, 16, 16), (128, 64, 4, 16), (129, 4096, 1, 32)],
)
def test_keys_of_few_sequences_are_cut(batch: int, keys: int, split: int, step: int) -> None:
    found = unified.few(unified.DECODE[0], problem(batch, 1, 1, 1, keys), B200)
    assert (found.split, found.block_k) == (split, step)


def test_every_element_that_a_step_loads_is_widened() -> None:
    """2 sequences of 32 tokens, 16 heads for one KV head: 32 blocks each, one step of 32 keys."""
    asked = problem(2, 16, 1, 32, 32)
    tile = unified.prompts(unified.PREFILL[0], asked, B200)
    done = totals(unified.prefill(asked, tile, B200))
    assert done.read["narrow"] == 2 * 32 * 32 * 512
