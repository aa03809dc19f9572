"""Least traffic: against footprints counted by hand, walks of small schedules, and the theorem."""

import itertools
import math
from types import MappingProxyType

import numpy as np
import pytest
from numpy.testing import assert_allclose

import hwmodel
from hwmodel.bounds.bound import bound, fast_bytes, matmul_bytes
from hwmodel.einsum.workloads.attention import attention
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.einsum.workloads.moe import moe
from hwmodel.einsum.workloads.rows import softmax
from hwmodel.hardware import Limits, limits
from hwmodel.registry import device


def machine(**capacity_bytes: int) -> Limits:
    return Limits(4, MappingProxyType(capacity_bytes), 2048, 32, 65536, 0)


def test_the_fast_memory_of_an_h200_is_its_caches_and_registers_together() -> None:
    """60 MiB of L2; 132 processors with 256 KiB of registers and at least 227 KiB of shared."""
    found = limits(device("h200"))
    least = 60 * 2**20 + 132 * (256 + 227) * 1024
    most = 60 * 2**20 + 132 * (256 + 256) * 1024
    assert least <= fast_bytes(found, "dram") <= most
    assert fast_bytes(found, "dram") - fast_bytes(found, "l2") == 60 * 2**20


def test_inputs_are_read_and_outputs_written_once() -> None:
    found = bound(softmax(7, 30), machine(dram=2**40, l2=2**30))
    assert found.compulsory_bytes == found.dram_bytes == 2 * 7 * 30 * 2


def test_a_window_touches_only_the_keys_inside_it() -> None:
    """Queries 0..3 are the last of 100 keys, each with a window of 8: keys 89..99 are touched."""
    keys = {k for q in range(4) for k in range(100) if q + 96 - 8 < k <= q + 96}
    cascade = attention(1, 1, queries=4, keys=100, head_dim=16, causal=True, window=8)
    found = bound(cascade, machine(dram=2**40, l2=2**30))
    assert found.compulsory_bytes == 2 * 16 * (2 * 4 + 2 * len(keys))


@pytest.mark.parametrize(("tokens", "experts", "picks"), [(1, 4, 2), (3, 4, 2), (4, 5, 1)])
def test_experts_count_by_the_chance_that_a_token_meets_them(
    tokens: int, experts: int, picks: int
) -> None:
    """The mean over all outcomes of every token drawing `picks` distinct experts."""
    draws = list(itertools.combinations(range(experts), picks))
    outcomes = list(itertools.product(draws, repeat=tokens))
    touched = sum(len(set(itertools.chain(*outcome))) for outcome in outcomes) / len(outcomes)
    layer = moe(tokens, experts, picks, hidden=8, intermediate=16, routing="uniform")
    weights, rows = 3 * 8 * 16 * 2, tokens * picks * 2 * 8 * 2
    found = bound(layer, machine(dram=2**40, l2=2**30))
    assert_allclose(found.compulsory_bytes, touched * weights + rows)


@pytest.mark.parametrize("side", [8, 16, 32, 64])
def test_no_blocked_product_moves_less_than_the_theorem(side: int) -> None:
    """Square tiles t x t of the output stay in a memory that holds them and two vectors."""
    for tile in (t for t in (1, 2, 4, 8) if t <= side):
        memory = tile * tile + 2 * tile
        moved = 2 * side**3 / tile + side * side  # A and B for each tile, the output once
        assert matmul_bytes(side**3, memory, 1) <= moved


def test_a_large_product_needs_what_smith_and_others_proved() -> None:
    """Theorem 1 in elements: 2 * 4096**3 / sqrt(1e6) - 2e6, of two bytes each."""
    found = bound(gemm(4096, 4096, 4096), machine(dram=2**40, shared=2_000_000))
    by_hand = 2 * (2 * 4096**3 / math.sqrt(1e6) - 2e6)
    assert_allclose(found.dram_bytes, by_hand)
    assert "Smith" in found.levels[0].reason


def test_more_memory_never_needs_more_traffic() -> None:
    sizes = np.logspace(3, 9, 25)
    moved = np.asarray(matmul_bytes(2**36, sizes, 2))
    assert np.all(np.diff(moved) <= 0)


def test_an_inner_boundary_needs_no_less_than_an_outer_one() -> None:
    levels = bound(gemm(65536, 65536, 65536), limits(device("h200"))).levels
    assert [level.level for level in levels] == ["dram", "l2", "shared"]
    assert levels[0].bytes < levels[1].bytes < levels[2].bytes


def test_a_model_reads_its_weights_and_cache_once_a_step() -> None:
    model = hwmodel.model("llama-3.2-1b")
    step = bound(model.decode(4, 1000), limits(device("h200")))
    read = model.weight_bytes + model.kv_bytes(4, 1000)
    assert read <= step.dram_bytes <= 1.01 * read


def test_passes_are_told_where_there_is_more_than_one() -> None:
    form = attention(1, 1, queries=16, keys=256, head_dim=8, passes=3)
    found = bound(form, machine(dram=2**40, l2=2**30))
    assert max(found.passes.values()) == 3


def test_a_level_with_no_memory_above_it_has_the_compulsory_bytes() -> None:
    levels = bound(gemm(64, 64, 64), machine(dram=2**40, l2=2**20)).levels
    assert [level.fast_bytes for level in levels] == [2**20, 0]
    assert [level.bytes for level in levels] == [3 * 64 * 64 * 2] * 2
