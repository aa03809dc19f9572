"""Sizes of the collectives that are measured, and how ranks and replays become one time."""

from itertools import islice

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hwmodel.einsum.workloads.collective import memory_bytes
from hwmodel.validation.measure.messages import (
    COMMON_BYTES,
    LEAST_BYTES,
    MOST_BYTES,
    OPERATIONS,
    Message,
    anchors,
    drawn,
    elements,
    empty_replay_s,
    slowest,
)

A_ROUND = 150


def first_round(seed: int, ranks: int = 2) -> list[Message]:
    return list(islice(drawn(seed, ranks), A_ROUND))


def test_a_round_holds_every_operation_alike() -> None:
    found = [message.op for message in first_round(1)]
    assert {op: found.count(op) for op in OPERATIONS} == dict.fromkeys(OPERATIONS, A_ROUND // 5)


@pytest.mark.parametrize("ranks", [2, 3, 8])
def test_every_size_can_be_cut_into_equal_parts(ranks: int) -> None:
    for message in [*anchors(), *first_round(3, ranks)]:
        if message.anchor and ranks == 3:
            continue
        given, taken = elements(message.op, message.bytes, ranks)
        read, written = memory_bytes(message.op, message.bytes, ranks)
        assert 2 * given == read
        assert 2 * taken == (0 if message.op in ("all_reduce", "p2p") else written)


def test_every_decade_of_an_operation_holds_aligned_and_odd_sizes() -> None:
    sizes = np.array([m.bytes for m in first_round(7) if m.op == "all_to_all"], dtype=np.float64)
    decades = np.floor(np.log10(sizes / LEAST_BYTES)).astype(int)
    assert sizes.min() >= 0.9 * LEAST_BYTES
    assert sizes.max() <= 1.1 * MOST_BYTES
    for decade in range(6):
        aligned = sizes[decades == decade] % 32 == 0
        assert 2 <= aligned.sum() <= 4
        assert 1 <= (~aligned).sum() <= 3


def test_a_seed_draws_the_same_sizes_again_and_another_seed_others() -> None:
    assert first_round(5) == first_round(5)
    assert len(set(first_round(5)) & set(first_round(6))) < A_ROUND / 20  # a few of the smallest


def test_the_fixed_sizes_are_those_of_every_sitting() -> None:
    assert [m.bytes for m in anchors(("p2p",))] == list(COMMON_BYTES)


def test_the_slowest_rank_of_each_replay_counts() -> None:
    # Rank 0 waits in the first replay, rank 1 in the second: neither rank alone shows 30 us.
    found = slowest([[30e-6, 10e-6, 30e-6], [10e-6, 30e-6, 30e-6]], calls=10)
    assert_allclose(found.time_s, 3e-6)
    assert found.p10_s == found.p90_s == found.time_s


def test_what_an_empty_replay_costs_is_subtracted_once() -> None:
    assert_allclose(slowest([[104e-6]], calls=20, replay_s=4e-6).time_s, 5e-6)


def test_the_cost_of_an_empty_replay_is_the_intercept_of_a_line() -> None:
    counts = (10, 20, 40, 80)
    empty_s, each_s = empty_replay_s(counts, [4e-6 + 6e-6 * n for n in counts])
    assert_allclose((empty_s, each_s), (4e-6, 6e-6))
    assert empty_replay_s(counts, [6e-6 * n - 1e-6 for n in counts])[0] == 0.0
