"""TensorRT-LLM's attention of few queries: which kernel, its parts of the keys, counts by hand."""

from typing import Any

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.schedules import xqa
from hwmodel.machines.gpu.schedules.attention import AttentionProblem
from hwmodel.spine.activity import totals

L40S, H100 = (limits(hw.device(name)) for name in ("l40s", "h100"))
(TILE,) = xqa.DECODE


def problem(batch: Any, heads: Any, kv_heads: Any, keys: Any, dim: Any = 128, **how: Any) -> Any:
    return AttentionProblem(batch, heads, kv_heads, 1, keys, dim, dim, **how)


@pytest.mark.parametrize(
    ("asked", "split"),
    [
        ((1, 16, 8, 2048), 11),  # 16 parts of 128 keys, of which the root of 8 x 16 are taken
        ((8, 16, 8, 128), 1),
        ((1, 4, 1, 16384), 32),  # the root of 8 x 128
        ((128, 32, 8, 2048), 1),  # 11 x 1,024 blocks are 85 for each of 132 processors
        ((32, 16, 4, 32768), 8),  # 45 x 128 blocks: a part in 5.45 is left of 45, rounded down
    ],
)
def test_groups_are_cut_by_the_root_of_their_keys_up_to_eight_waves(
    asked: tuple[int, int, int, int], split: int
) -> None:
    found = xqa.checked(TILE, problem(*asked), H100)
    assert (found.packed, found.split) == (2, split)


@pytest.mark.parametrize(
    "asked",
    [
        (1, 32, 2, 2048),  # 2 x 16 blocks, 4 x 32 < 132 processors
        (64, 8, 8, 2048),  # no group
        (64, 66, 2, 2048),  # 33 query heads to a KV head
    ],
)
def test_few_blocks_and_other_groups_go_one_head_after_another(asked: Any) -> None:
    assert xqa.checked(TILE, problem(*asked), H100).packed == 0


def test_one_head_after_another_is_cut_by_turns_of_the_loop_into_one_wave() -> None:
    """1,024 threads, 16 bytes each: 64 rows of 128 elements, and eight in flight."""
    found = xqa.checked(TILE, problem(1, 32, 2, 2048), H100)
    assert (found.block_k, found.split, found.resident) == (512, 5, 1)  # 2,049 keys; 132 / 32
    few = xqa.checked(TILE, problem(1, 2, 2, 1024, 256), H100)
    assert (few.block_k, few.split) == (256, 5)
    many = xqa.checked(TILE, problem(256, 64, 1, 4), H100)  # 256 threads, four blocks together
    assert (many.block_k, many.split, many.resident) == (128, 1, 4)


def test_keys_that_a_window_hides_count_where_keys_are_cut() -> None:
    seen = xqa.checked(TILE, problem(1, 32, 1, 65536, 64, window=128), H100)
    assert seen.split == 64
    assert xqa.checked(TILE, problem(8, 1, 1, 131072, 64, window=128), H100).split == 17


def test_long_keys_need_shared_memory_for_their_scores() -> None:
    """Six bytes a key: 99 KiB hold 16,896 of them, so that 65,536 need four blocks at least."""
    found = xqa.checked(TILE, problem(142, 1, 1, 65536), L40S)
    assert found.split == 4
    assert found.resident == 1


def test_fp8_caches_are_cut_on_hopper_alone() -> None:
    asked = problem(1, 4, 1, 16384, kv_dtype="fp8")
    assert (xqa.uncut(TILE, asked, L40S).packed, xqa.uncut(TILE, asked, L40S).split) == (2, 1)
    assert xqa.narrow(xqa.NARROW[0], asked, H100).split == 32


def test_a_kernel_writes_keys_before_groups_are_attended_to_and_none_before_heads_alone() -> None:
    grouped, alone = problem(8, 16, 8, 1024), problem(8, 8, 8, 1024)
    for asked, before in ((grouped, 1), (alone, 0)):
        work = totals(xqa.activity(asked, xqa.checked(TILE, asked, H100), H100))
        assert work.slots["reduction"] == before
        assert work.slots["launch"] == 1
    narrow = problem(8, 16, 8, 1024, kv_dtype="fp8")
    tile = xqa.narrow(xqa.NARROW[0], narrow, H100)
    assert totals(xqa.fused(narrow, tile, H100)).slots["reduction"] == 0


def test_every_head_alone_reads_the_keys_of_its_group_through_the_l2() -> None:
    """2 sequences of 66 heads, 2,048 keys and values of 128 elements in 16 bits."""
    asked = problem(2, 66, 1, 2048)
    work = totals(xqa.activity(asked, xqa.checked(TILE, asked, H100), H100))
    assert work.read["l2"] == 2 * 66 * 2048 * 256 * 2
    assert work.read["dram"] == 2 * 2048 * 256 * 2 + 2 * 66 * 128 * 2


def test_rows_of_both_kernels_are_predicted_together_as_alone() -> None:
    asked = [(1, 16, 8, 2048), (1, 32, 2, 2048), (64, 8, 8, 2048)]
    names = ("batch", "heads", "kv_heads", "keys")
    sizes = {
        n: np.array(each, float) for n, each in zip(names, zip(*asked, strict=True), strict=True)
    }

    def time_s(**each: Any) -> Any:
        work = hw.workloads.attention(**each, queries=1, head_dim=128, causal=False)
        return hw.predict(work, on="h100", kernel="trtllm", l2="warm").time_s

    together = np.asarray(time_s(**sizes))
    alone = [time_s(**dict(zip(names, each, strict=True))) for each in asked]
    assert together == pytest.approx(alone)


@pytest.mark.parametrize(
    ("law", "menu", "kept"), [(xqa.checked, xqa.DECODE, "bf16"), (xqa.narrow, xqa.NARROW, "fp8")]
)
def test_warps_share_what_they_read_of_keys_and_values(law: Any, menu: Any, kept: str) -> None:
    """Each key and value is written to shared memory once, and read by one warp of the block."""
    asked = problem(128, 32, 8, 2048, kv_dtype=kept)
    counted = totals(xqa.activity(asked, law(menu[0], asked, H100), H100))
    cache_bytes = 128 * 2048 * 8 * 2 * 128 * {"bf16": 2, "fp8": 1}[kept]
    assert counted.read["shared"] == pytest.approx(cache_bytes)
    assert counted.written["shared"] == pytest.approx(cache_bytes)
