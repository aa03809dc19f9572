"""Attention by warps of two kinds: how tiles are dealt, and when the rule asks for it."""

import numpy as np
import pytest

from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.schedules import hopper_attention, triton_attention, triton_rules
from hwmodel.machines.gpu.schedules.attention import AttentionProblem, AttentionTile
from hwmodel.spine.activity import totals

LIMITS = limits(device("h200"))
ASKED = AttentionTile(128, 128)


@pytest.mark.parametrize(
    ("row_blocks", "heads", "before"),
    [(16, 33, 0), (10, 20, 0), (64, 8, 0), (7, 40, 3), (4, 12, 0), (32, 32, 96), (5, 100, 10**6)],
)
def test_the_fullest_processor_is_that_of_tiles_dealt_in_turns(
    row_blocks: int, heads: int, before: int
) -> None:
    """Longest first, every second round in reverse; lengths are steps of a causal mask."""
    lengths = sorted(heads * [row + 1 + before for row in range(row_blocks)], reverse=True)
    load = np.zeros(132)
    for place, length in enumerate(lengths):
        turn, at = divmod(place, 132)
        load[at if turn % 2 == 0 else 131 - at] += length
    mean = sum(lengths) / len(lengths)
    found = hopper_attention.fullest(len(lengths), 132, max(lengths) / mean)
    assert found == pytest.approx(load.max() / mean, rel=0.11)


def test_persistent_blocks_do_the_work_of_others() -> None:
    """Products of padded heads, and the bytes of Q, K, V and O, whichever blocks do them."""
    problem = AttentionProblem(2, 8, 2, 1024, 1024, 96, 96)
    plain, found = (
        totals(triton_attention.prefill(problem, AttentionTile(128, 128, persistent=p), LIMITS))
        for p in (0, 1)
    )
    assert found.operations["matrix", "flop", "bf16"] == plain.operations["matrix", "flop", "bf16"]
    assert found.read["dram"] == plain.read["dram"]
    assert found.written["dram"] == plain.written["dram"]


@pytest.mark.parametrize(
    ("on", "changes", "persistent"),
    [
        ("h200", {}, 1),
        ("h100", {"dtype": "fp16", "kv_dtype": "fp16"}, 1),
        ("h200", {"queries": 64}, 0),
        ("h200", {"causal": True, "window": 512}, 0),
        ("h200", {"dtype": "fp32", "kv_dtype": "fp32"}, 0),
        ("h200", {"head_dim": 32, "value_dim": 32}, 0),
        ("b200", {}, 0),
        ("a100", {}, 0),
    ],
)
def test_the_rule_asks_for_them_where_the_kernel_runs(
    on: str, changes: dict[str, object], persistent: int
) -> None:
    sizes = dict(batch=1, heads=8, kv_heads=8, queries=4096, keys=4096, head_dim=128, value_dim=128)
    problem = AttentionProblem(**{**sizes, **changes})  # pyright: ignore[reportArgumentType]
    assert triton_rules.prefill(ASKED, problem, limits(device(on))).persistent == persistent
