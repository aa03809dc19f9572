"""Attention over pages: launches and counts by hand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.schedules import attention, paged
from hwmodel.machines.gpu.schedules.attention import AttentionProblem, steps
from hwmodel.spine.activity import totals

A100, L40S, H200, B200 = (limits(hw.device(name)) for name in ("a100", "l40s", "h200", "b200"))


def problem(batch: int, heads: int, kv_heads: int, queries: int, keys: int, **how: Any) -> Any:
    dim = how.pop("dim", 128)
    causal = queries > 1 or "window" in how
    return AttentionProblem(
        *(batch, heads, kv_heads, queries, keys, dim, dim), causal=causal, **how
    )


def test_new_keys_and_values_are_read_and_written_once_more_than_attention_asks_for() -> None:
    asked = problem(2, 32, 8, 512, 512, kv_dtype="fp8")
    (tile,) = paged.GEN
    alone = totals(attention.activity(asked, tile, B200))
    whole = totals(paged.prefill(asked, tile, B200))
    new = 2 * 8 * 512 * 256  # sequences, KV heads, tokens, elements of a key and its value
    assert whole.read["dram"] - alone.read["dram"] == 2 * new  # bf16 as the layer makes them
    assert whole.written["dram"] - alone.written["dram"] == new  # fp8 in the cache


@pytest.mark.parametrize(
    ("kv_heads", "dim", "elements"), [(2, 64, 128), (8, 64, 512), (8, 128, 640), (64, 128, 2432)]
)
def test_a_token_is_written_by_a_block_of_512_threads(
    kv_heads: int, dim: int, elements: int
) -> None:
    """Of keys, and of values as many; a thread's further elements cost a quarter of its first."""
    asked = problem(3, kv_heads, kv_heads, 50, 50, dim=dim)
    assert paged.pages(asked).read["copy"] == 3 * 50 * 2 * elements


def test_tensorrt_llm_moves_queries_too_before_a_prompt() -> None:
    asked = problem(2, 32, 8, 512, 512)
    (tile,) = paged.TRTLLM
    alone = totals(attention.activity(asked, tile, H200))
    whole = totals(paged.rotating(asked, tile, H200))
    moved = 2 * 512 * (32 + 2 * 8) * 128
    assert whole.read["copy"] == moved
    assert whole.written["dram"] - alone.written["dram"] == 2 * moved


@pytest.mark.parametrize(("dim", "rows"), [(64, 256), (128, 256), (256, 128)])
def test_tensor_memory_holds_two_tiles_of_rows_or_one_of_wide_heads(dim: int, rows: int) -> None:
    (tile,) = paged.GEN
    assert paged.gen(tile, problem(1, 8, 8, 512, 512, dim=dim), B200).block_q == rows


@pytest.mark.parametrize(
    ("room", "kv_dtype", "window", "masking"),
    [
        (H200, "fp8", 128, 48),
        (H200, "bf16", 128, 16),
        (H200, "fp8", 512, 3),
        (L40S, "fp8", 128, 16),
    ],
)
def test_a_window_that_hides_keys_costs_masks(
    room: Any, kv_dtype: str, window: int, masking: int
) -> None:
    (tile,) = paged.TRTLLM
    asked = problem(1, 8, 8, 512, 512, window=window, kv_dtype=kv_dtype)
    assert paged.trtllm(tile, asked, room).masking == masking


def test_masks_of_one_query_cost_flash_attention_3_where_a_window_hides_keys() -> None:
    (tile,) = paged.GEN_DECODE
    found = [
        paged.flash3_decode(tile, problem(4, 8, 8, 1, keys, window=128), H200).masking
        for keys in (128, 129)
    ]
    assert found == [tile.masking, 48]


@pytest.mark.parametrize(
    ("dim", "launch"), [(64, (64, 32, 16)), (128, (64, 128, 0)), (256, (64, 128, 0))]
)
def test_wide_heads_have_whole_tiles_on_workstations_blackwell(
    dim: int, launch: tuple[int, int, int]
) -> None:
    """Of a prompt of 20 tokens; narrow heads have the rows and keys of their instructions."""
    (tile,) = paged.TRTLLM
    found = paged.trtllm_rtx(tile, problem(8, 32, 8, 20, 20, dim=dim), L40S)
    assert (found.block_q, found.block_k, found.fitting) == launch


def test_flash_attention_2_splits_keys_only_where_a_groups_heads_become_rows() -> None:
    (tile,) = paged.FLASH2_DECODE
    alone = paged.flash2_decode(tile, problem(4, 2, 2, 1, 8192), A100)
    assert (alone.split, alone.packed) == (1, 0)
    grouped = paged.flash2_decode(tile, problem(4, 16, 2, 1, 8192), A100)
    assert grouped.packed == 2
    assert grouped.split > 8  # 8 blocks of rows on 216 slots
    windowed = paged.flash2_decode(tile, problem(4, 16, 2, 1, 8192, window=1024), A100)
    assert (windowed.split, windowed.packed) == (1, 0)


@pytest.mark.parametrize(
    ("batch", "kv_heads", "copies"), [(1, 8, 0), (4, 1, 0), (4, 8, 1), (2, 2, 1)]
)
def test_heads_become_rows_by_copies_of_several_groups_and_sequences(
    batch: int, kv_heads: int, copies: int
) -> None:
    asked = problem(batch, 4 * kv_heads, kv_heads, 1, 128)
    tile = replace(paged.flash2_decode(paged.FLASH2_DECODE[0], asked, A100), split=1)
    assert totals(paged.swapping(asked, tile, A100)).slots["reduction"] == copies


def test_blocks_share_a_processor_as_its_shared_memory_allows() -> None:
    """64 rows of Q and 128 keys and values of 128 elements in 16 bits: 80 KiB."""
    asked = problem(1, 32, 8, 512, 512)
    (tile,) = paged.FLASH2
    assert paged.flash2(tile, asked, A100).resident == 2  # 163 KiB a block
    assert paged.flash2(tile, asked, L40S).resident == 1  # 99 KiB
    assert [paged.flash2(tile, problem(1, 8, 8, 64, 64, dim=d), A100).block_k for d in
            (64, 128, 256)] == [256, 128, 64]  # fmt: skip


def test_parts_of_keys_fill_the_processors_once() -> None:
    (tile,) = paged.GEN_DECODE
    # 8 KV heads on 132 processors: 16 parts; 64 steps of 128 keys are 4 a part
    assert paged.filled(tile, problem(1, 32, 8, 1, 8192), H200).split == 16
    # 64 sequences are more blocks than processors
    assert paged.filled(tile, problem(64, 32, 8, 1, 8192), H200).split == 1
    # a window of 128 keys is one step
    assert paged.filled(tile, problem(1, 32, 8, 1, 8192, window=128), H200).split == 1


@pytest.mark.parametrize(("heads", "rows"), [(8, 1), (32, 16), (256, 16), (384, 1)])
def test_groups_of_up_to_32_heads_are_rows_of_one_block(heads: int, rows: int) -> None:
    (tile,) = paged.TRTLLM_DECODE
    assert paged.xqa(tile, problem(4, heads, 8, 1, 1024), H200).block_q == rows


def test_a_warpgroups_tiles_are_used_where_a_block_has_room_for_them() -> None:
    (tile,) = paged.TRTLLM
    asked = problem(1, 32, 8, 512, 512)
    sides = [int(paged.trtllm(tile, asked, each).block_q) for each in (A100, L40S, H200, B200)]
    assert sides == [64, 64, 128, 128]


def test_blocks_of_short_prompts_have_the_rows_and_keys_of_their_instructions() -> None:
    """20 tokens: 32 rows and keys of warps of 16; a warpgroup multiplies 64 rows at once."""
    (tile,) = paged.TRTLLM
    asked = problem(8, 32, 8, 20, 20)
    found = [paged.trtllm(tile, asked, each) for each in (A100, H200)]
    assert [(n.block_k, n.fitting) for n in found] == [(32, 16), (32, 64)]
    work = [totals(attention.activity(asked, n, A100)).operations for n in found]
    flop = [sum(n for (unit, _, _), n in each.items() if unit == "matrix") for each in work]
    assert flop[1] == 2 * flop[0] == 8 * 32 * 2 * 64 * 32 * 256


def test_one_query_under_a_window_sees_the_windows_steps() -> None:
    """The last 128 of 1,024 keys are one step of 128, and 129 of them two."""
    (tile,) = paged.GEN_DECODE
    for window, taken in ((128, 1), (129, 2), (256, 2)):
        asked = problem(1, 8, 8, 1, 1024, window=window)
        assert steps(asked, tile).mean == taken


@pytest.mark.parametrize(
    ("room", "dim", "form"),
    [(L40S, 64, "bf16"), (L40S, 128, "fp8"), (L40S, 256, "bf16"), (H200, 64, "fp8")],
)
def test_warps_multiply_in_fp8_for_some_heads_alone(room: Any, dim: int, form: str) -> None:
    asked = problem(2, 32, 8, 512, 512, dim=dim, dtype="fp8", kv_dtype="fp8")
    tile = paged.e4m3(paged.TRTLLM_FP8[0], asked, room)
    done = totals(paged.narrowed(asked, tile, room)).operations
    assert done["matrix", "flop", form] > 0
    assert ("matrix", "flop", "bf16" if form == "fp8" else "fp8") not in done


def test_heads_of_several_sizes_at_once_are_those_one_by_one() -> None:
    sizes = (64, 128, 192, 256)
    asked = {"dtype": "fp8", "kv_dtype": "fp8"}
    several = problem(2, 32, 8, 512, 512, dim=np.array(sizes, dtype=np.float64), **asked)
    tile = paged.e4m3(paged.TRTLLM_FP8[0], several, L40S)
    together = totals(paged.narrowed(several, tile, L40S)).operations
    for place, dim in enumerate(sizes):
        one = problem(2, 32, 8, 512, 512, dim=dim, **asked)
        alone = paged.narrowed(one, paged.e4m3(paged.TRTLLM_FP8[0], one, L40S), L40S)
        for kind, count in totals(alone).operations.items():
            assert np.broadcast_to(together[kind], 4)[place] == pytest.approx(count)


def test_queries_keys_and_values_come_in_16_bits_and_are_narrowed_to_fp8() -> None:
    asked = problem(2, 32, 8, 512, 512, dtype="fp8", kv_dtype="fp8")
    tile = paged.e4m3(paged.TRTLLM_FP8[0], asked, H200)
    alone, whole = (
        totals(made(asked, tile, H200)) for made in (attention.activity, paged.narrowed)
    )
    elements = 2 * 512 * (32 + 8 + 8) * 128  # sequences, tokens, heads of Q, K and V
    assert whole.read["dram"] - alone.read["dram"] == 2 * elements
    assert whole.written["dram"] - alone.written["dram"] == elements


@pytest.mark.parametrize(("heads", "rows"), [(8, 16), (32, 16), (64, 64), (128, 128)])
def test_pairs_of_processors_read_latents_once_for_128_heads(heads: int, rows: int) -> None:
    asked = problem(64, heads, 1, 1, 8192, dim=576)
    assert paged.latent(paged.LATENT[0], asked, B200).block_q == rows
    assert paged.latent(paged.LATENT[0], asked, H200).block_q == 64


@pytest.mark.parametrize(("heads", "rows", "form"), [(64, 64, "bf16"), (128, 32, "fp8")])
def test_workstations_attend_to_latents_of_all_heads_by_four(
    heads: int, rows: int, form: str
) -> None:
    asked = problem(4, heads, 1, 1, 8192, dim=576, kv_dtype="fp8")
    tile = paged.latent_by_four(paged.LATENT[0], asked, L40S)
    assert (tile.block_q, tile.split) == (rows, 1)
    done = totals(paged.all_heads(asked, tile, L40S)).operations
    assert [kind for unit, _, kind in done if unit == "matrix"] == [form]


def test_latents_in_fp8_are_multiplied_in_fp8() -> None:
    asked = problem(4, 64, 1, 1, 8192, dim=576, kv_dtype="fp8")
    done = totals(paged.in_fp8(asked, paged.LATENT[0], B200)).operations
    assert [kind for unit, _, kind in done if unit == "matrix"] == ["fp8"]
