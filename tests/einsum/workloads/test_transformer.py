"""Rotary embedding, cache writes and the embedding."""

import numpy as np
import pytest

from hwmodel.einsum.counts import flops, footprint_bytes
from hwmodel.einsum.workloads.transformer import embedding, kv_write, rotary
from hwmodel.quantity.errors import InputError


def test_rotary_is_seven_kernels_on_halves_of_heads() -> None:
    stages = rotary(batch=2, queries=3, heads=4, head_dim=64)
    assert [stage.times for stage in stages] == [4, 1, 1, 1]
    half = 2 * 3 * 4 * 32
    assert [flops(stage.cascade) for stage in stages] == [half, half, half, 0]
    assert footprint_bytes("Y", stages[-1].cascade) == 2 * 2 * half  # both halves, bf16


def test_rotary_shares_its_table_between_heads_and_sequences() -> None:
    multiply = rotary(batch=2, queries=3, heads=4, head_dim=64)[0].cascade
    assert footprint_bytes("TABLE", multiply) == 3 * 32 * 2


def test_an_odd_head_is_refused() -> None:
    with pytest.raises(InputError, match=r"rotary: head_dim \(its half\): expected a whole number"):
        rotary(1, 1, 1, 63)


def test_a_cache_write_copies_or_converts() -> None:
    same, narrow = kv_write(2, 3, 4, 8), kv_write(2, 3, 4, 8, kv_dtype="fp8")
    assert footprint_bytes("CACHE", same) == 2 * 2 * 3 * 4 * 8
    assert footprint_bytes("CACHE", narrow) == 2 * 3 * 4 * 8
    assert (flops(same), flops(narrow)) == (0, 2 * 3 * 4 * 8)
    assert same.tensors["CACHE"].role == "cache"


def test_the_embedding_reads_one_row_a_token() -> None:
    made = embedding(5, 1000, 16)
    assert footprint_bytes("TABLE", made) == 5 * 16 * 2
    assert footprint_bytes("TABLE", embedding(5000, 1000, 16)) == 1000 * 16 * 2
    assert np.array_equal(
        np.asarray(footprint_bytes("Y", embedding(np.array([1, 2]), 1000, 16))), [32, 64]
    )
