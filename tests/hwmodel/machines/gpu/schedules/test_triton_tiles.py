"""The rules that pick tiles: same for a sweep as for one point, and within what an SM holds."""

from collections.abc import Mapping
from functools import cache
from math import ceil, log2
from typing import Any

import numpy as np
import pytest

from hwmodel.machines.gpu.libraries.library import FEW_QUERIES
from hwmodel.machines.gpu.schedules.triton_tiles import (
    CHUNK_TILE,
    chunk_tiles,
    decode_tile,
    decode_tiles,
    gemm_candidates,
    gemm_menu,
    gemm_tile,
    hopper_tile,
    prefill_tile,
    prefill_tiles,
    row_tile,
    row_tiles,
)
from hwmodel.validation.rows import read_rows

SHARED_BYTES = 227 * 1024
"""Most shared memory of a block on compute capability 9.0 (CUDA C++ Programming Guide)."""
SM_SHARED_BYTES = 228 * 1024
PRODUCT = ("block_m", "block_n", "block_k")
MENUS = {"gemm": PRODUCT, "moe": PRODUCT, "attention": ("block_q", "block_k")}
"""Sides of a kernel's tiles."""


def test_the_gemm_rule_is_the_same_for_a_sweep_as_for_its_points() -> None:
    rows, cols = np.array([1, 17, 64, 100, 8192]), np.array([512, 4096, 100, 28672, 8192])
    swept = gemm_tile(rows, cols, 4096, processors=132, element_bytes=2)
    for i in range(len(rows)):
        point = gemm_tile(int(rows[i]), int(cols[i]), 4096, processors=132, element_bytes=2)
        for name in ("block_m", "block_n", "warps", "split", "resident"):
            assert np.broadcast_to(getattr(swept, name), rows.shape)[i] == getattr(point, name)


def test_the_decode_rule_is_the_same_for_a_sweep_as_for_its_points() -> None:
    keys, outputs = np.array([1, 100, 5000, 131072]), np.array([1, 8, 64, 512])
    swept = decode_tile(4, keys, outputs, 128, processors=132)
    for i in range(len(keys)):
        point = decode_tile(4, int(keys[i]), int(outputs[i]), 128, processors=132)
        assert swept.split[i] == point.split  # type: ignore[index]


@pytest.mark.parametrize("m", [1, 16, 100, 1000])
@pytest.mark.parametrize("k", [64, 1000, 16384])
def test_a_split_never_asks_for_more_blocks_than_processors(m: int, k: int) -> None:
    tile = gemm_tile(m, 1024, k, processors=132, element_bytes=2)
    blocks = -(-m // tile.block_m) * -(-1024 // tile.block_n)
    assert tile.split == 1 or blocks * tile.split <= 132
    assert tile.split == 1 or -(-k // tile.block_k) >= 4 * tile.split


def test_few_rows_take_few_and_one_output_takes_every_processor() -> None:
    assert gemm_tile(1, 4096, 4096, processors=132, element_bytes=2).block_m == 16
    assert gemm_tile(4096, 4096, 4096, processors=132, element_bytes=1).block_k == 128
    assert decode_tile(8, 131072, 1, 128, processors=132).split == 128
    assert decode_tile(8, 131072, 512, 128, processors=132).split == 1


@pytest.mark.parametrize("element", [1, 2, 4])
def test_gemm_tiles_fit_shared_memory(element: int) -> None:
    for tile in gemm_menu(element):
        assert tile.shared_bytes(element) <= SHARED_BYTES
        assert tile.shared_bytes(element) * tile.resident <= SM_SHARED_BYTES


@pytest.mark.parametrize("head_dim", [64, 128, 256])
def test_attention_tiles_fit_shared_memory(head_dim: int) -> None:
    """Query rows and `stages` tiles of K and V, in bf16."""
    menu = (*prefill_tiles(head_dim), prefill_tile(head_dim, 4096), prefill_tile(head_dim, 10))
    for tile in menu:
        held = 2 * head_dim * (tile.block_q + 2 * tile.stages * tile.block_k)
        assert held <= SHARED_BYTES
        assert held * tile.resident <= SM_SHARED_BYTES
    for tile in decode_tiles(head_dim):
        held = 2 * head_dim * (tile.block_q + 2 * (tile.stages - 1) * tile.block_k)
        assert held * tile.resident <= SM_SHARED_BYTES


def test_a_short_row_shares_its_block_with_others() -> None:
    tile = row_tile(64)
    assert (tile.rows, tile.elements) == (32, 2048)
    assert row_tile(5000).rows == 1


def test_numbers_of_processors_in_a_row_have_each_their_own_tile() -> None:
    counts = [16, 66, 132, 400]
    many = np.array(counts, dtype=np.float64)
    gemms = [gemm_tile(512, 1024, 16384, processors=n, element_bytes=2) for n in counts]
    gemm = gemm_tile(512, 1024, 16384, processors=many, element_bytes=2)
    assert np.broadcast_to(gemm.split, 4).tolist() == [tile.split for tile in gemms]
    assert np.broadcast_to(gemm.block_n, 4).tolist() == [tile.block_n for tile in gemms]
    splits = [decode_tile(4, 8192, 32, 128, processors=n).split for n in counts]
    assert np.asarray(decode_tile(4, 8192, 32, 128, processors=many).split).tolist() == splits
    assert len(set(splits)) == 4


@cache
def ours() -> tuple[Mapping[str, Any], ...]:
    """Measured rows of our products and attention."""
    columns = (row.columns for row in read_rows("h200"))
    return tuple(c for c in columns if c["kernel"] == "triton" and c["family"] in MENUS)


def launched(family: str, few: bool = False) -> dict[tuple[str, float], set[tuple[float, ...]]]:
    """Records of our kernels that were compiled and measured, by format and head dimension."""
    found: dict[tuple[str, float], set[tuple[float, ...]]] = {}
    for columns in ours():
        if columns["family"] != family:
            continue
        if (float(columns.get("queries", 0)) <= FEW_QUERIES) == few:
            form = (str(columns["dtype"]), float(columns.get("head_dim", 0)))
            names = (*MENUS[family], "stages", "warps")
            found.setdefault(form, set()).add(tuple(float(columns[f"tile_{n}"]) for n in names))
    return found


@pytest.mark.parametrize("family", ["gemm", "moe"])
def test_the_menu_of_products_is_what_was_measured(family: str) -> None:
    """Persistent blocks of products alone, and not all of them in fp16."""
    for (dtype, _), records in launched(family, few=True).items():
        menu = [
            t for t in gemm_menu(1 if dtype == "fp8" else 2) if family == "gemm" or not t.persistent
        ]
        named = [(t.block_m, t.block_n, t.block_k, t.stages, t.warps) for t in menu]
        least = {n for n, t in zip(named, menu, strict=True) if dtype != "fp16" or not t.persistent}
        assert least <= records <= set(named), dtype


def test_the_menu_of_many_queries_is_what_was_measured() -> None:
    measured = launched("attention")
    assert {head_dim for _, head_dim in measured} >= {64, 96, 128, 256}
    for (_, head_dim), records in measured.items():
        rule = (prefill_tile(int(head_dim), queries) for queries in (64, 4096))
        tiles = (hopper_tile(int(head_dim)), *prefill_tiles(int(head_dim)))
        menu = {(t.block_q, t.block_k, t.stages, t.warps) for t in tiles}
        ruled = {(t.block_q, t.block_k, t.stages, t.warps) for t in rule}
        assert menu <= records <= menu | ruled, head_dim


def test_the_menu_of_few_queries_is_what_was_measured() -> None:
    for (_, head_dim), records in launched("attention", few=True).items():
        menu = decode_tiles(int(head_dim))
        assert records == {(t.block_q, t.block_k, t.stages, t.warps) for t in menu}, head_dim


def test_every_side_of_a_tile_is_a_power_of_two() -> None:
    """Triton's blocks are (tl.arange)."""
    products = [(t.block_m, t.block_n, t.block_k) for t in (*gemm_menu(1), *gemm_menu(2))]
    attention = [
        (t.block_q, t.block_k)
        for d in (64, 128, 256)
        for t in (*prefill_tiles(d), *decode_tiles(d))
    ]
    rows = [(t.elements, t.rows) for t in (*chunk_tiles(), *row_tiles(), CHUNK_TILE)]
    for sides in (*products, *attention, *rows):
        assert all(int(np.asarray(side)).bit_count() == 1 for side in sides), sides


@pytest.mark.parametrize("cols", [64, 65, 128, 1000, 4096, 4097, 16384, 65536])
def test_a_row_is_held_in_the_next_power_of_two_by_warps_of_512_elements(cols: int) -> None:
    """Short rows fill 2048 elements together; 4 to 32 warps; 32 warps of a processor in all."""
    tile = row_tile(cols)
    width = 2 ** ceil(log2(cols))
    assert tile.rows == max(1, 2048 // width)
    assert tile.elements == width * tile.rows
    assert tile.warps == min(32, max(4, width * tile.rows // 512))
    assert tile.resident == 32 / tile.warps


@pytest.mark.parametrize("head_dim", [64, 96, 128, 256])
@pytest.mark.parametrize("keys", [1, 100, 100_000])
def test_few_rows_launch_what_was_compiled_and_measured(head_dim: int, keys: int) -> None:
    """Up to 16 rows of a KV head take a tile of the measured menu, warps and stages with it."""
    for rows in (1, 8, 16):
        assert decode_tile(rows, keys, 8, head_dim, processors=132) in decode_tiles(head_dim)


def test_rows_of_queries_are_halved_only_where_half_of_them_would_be_empty() -> None:
    found = {q: prefill_tile(128, q) for q in (9, 64, 65, 4096)}
    blocks = {q: (tile.block_q, tile.warps) for q, tile in found.items()}
    assert blocks == {9: (64, 4), 64: (64, 4), 65: (128, 8), 4096: (128, 8)}


def test_parts_of_four_slices_are_tried_and_parts_of_three_are_not() -> None:
    """16 slices of 64 are four for each of 4 parts; 12 of them would be three."""

    def tried(K: int) -> set[int]:
        tiles = gemm_candidates(16, 128, K, processors=132, element_bytes=2)
        return {int(np.asarray(t.split)) for t in tiles if t.block_k == 64}

    assert 4 in tried(16 * 64)
    assert 4 not in tried(12 * 64)
