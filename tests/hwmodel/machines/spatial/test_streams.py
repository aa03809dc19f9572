"""Blocks of queries: published passes over the keys, free block sizes, and a search by hand."""

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.einsum.attention_shape import attention
from hwmodel.hardware.hardware import limits
from hwmodel.machines.spatial.binding import binding
from hwmodel.machines.spatial.problem import problem
from hwmodel.machines.spatial.streams import Streams, streams


def planned(name: str, queries: int, keys: int, buffer_bytes: int, causal: bool = False) -> Streams:
    work = hw.workloads.attention(
        batch=1, heads=1, queries=queries, keys=keys, head_dim=64, causal=causal
    )
    shape = attention(work)
    assert shape is not None
    chosen = binding(name)
    return streams(
        chosen, problem(shape, chosen.passes, limits(hw.device("fusemax"))), buffer_bytes
    )


@pytest.mark.parametrize(
    ("length", "passes"),
    [(2**10, 1), (2**12, 1), (2**14, 1), (2**16, 2), (2**18, 8), (2**20, 32)],
)
def test_passes_over_the_keys_are_the_published_ones(length: int, passes: int) -> None:
    assert planned("fusemax", length, length, 16 * 2**20).read["K"] == passes


@pytest.mark.parametrize(("length", "published"), [(2**18, 309237645312), (2**20, 3710851743744)])
def test_blocks_of_any_size_save_what_divisors_cost(length: int, published: int) -> None:
    work = hw.workloads.attention(batch=64, heads=12, queries=length, keys=length, head_dim=64)
    free = hw.predict(work, on="fusemax", kernel="fusemax-any-block")
    assert free.dram_bytes_read + free.dram_bytes_written == published


@pytest.mark.parametrize("queries", [256, 1000, 7 * 256, 13 * 256 + 1])
@pytest.mark.parametrize("tiles_that_fit", [1, 3, 6])
def test_a_block_divides_the_tiles_and_fits(queries: int, tiles_that_fit: int) -> None:
    tile, fixed = 2 * 130 * 256, 2 * 128 * 256
    plan = planned("fusemax", queries, 4096, fixed + tiles_that_fit * tile + tile // 2)
    tiles = -(-queries // 256)
    best = max(d for d in range(1, tiles_that_fit + 1) if tiles % d == 0)
    assert plan.block == best * 256
    assert plan.live_bytes == fixed + best * tile
    assert plan.read["K"] == tiles // best


def test_causal_blocks_read_the_keys_that_they_see() -> None:
    tile, fixed = 2 * 130 * 256, 2 * 128 * 256
    queries, keys, block = 1500, 2000, 512
    plan = planned("fusemax", queries, keys, fixed + 2 * tile, causal=True)
    seen = sum(min(start + block, queries) + keys - queries for start in range(0, queries, block))
    assert plan.block == block
    assert plan.read["K"] * keys == pytest.approx(seen)


@pytest.mark.parametrize("length", [1024, 4096, 16384, 65536])
def test_a_larger_buffer_never_reads_more(length: int) -> None:
    for name in ("fusemax", "fusemax-any-block"):
        sizes = [n * 2**20 for n in (1, 2, 4, 8, 16, 32, 64, 256)]
        reads = [float(planned(name, length, length, size).read["K"]) for size in sizes]
        assert np.all(np.diff(reads) <= 0), name


def test_rows_of_scores_that_fill_the_buffer_exactly_spill_a_129th() -> None:
    """Beside them lie two tiles of 256 x 64 words of each of four operands: 256 KiB."""
    plan = planned("flat", 4096, 4096, 32 * 2**20)
    assert plan.block == 4096
    assert plan.read["A"] == pytest.approx(1 / 129)
    assert planned("flat", 4096, 4096, 32 * 2**20 + 2**18).read["A"] == 0


def test_rows_of_scores_and_tiles_beside_them_are_what_the_buffer_holds() -> None:
    """4096 rows of 4096 scores, 32 MiB, and 256 KiB of tiles; a buffer of that size is full."""
    assert planned("flat", 4096, 4096, 64 * 2**20).live_bytes == 32 * 2**20 + 2**18
    assert planned("flat", 4096, 4096, 32 * 2**20).live_bytes == 32 * 2**20
