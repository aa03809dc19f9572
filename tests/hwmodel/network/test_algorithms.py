"""The table of algorithms: counts against a walk of each, and the identities of nccl-tests."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from hwmodel.einsum.workloads.collective import OPERATIONS as KNOWN
from hwmodel.network.algorithms import ALGORITHMS, SCHEDULES, closed_form
from hwmodel.network.ranks import bus_bandwidth
from hwmodel.quantity.errors import InputError, UnknownNameError

EVERY = [(op, name) for op, names in ALGORITHMS.items() for name in names]
OPERATIONS = [op for op in ALGORITHMS if op not in ("p2p", "broadcast")]


def sent(op: str, size: Any, ranks: Any, algorithm: str) -> tuple[Any, Any]:
    """Messages and bytes through the busiest port."""
    found = closed_form(op, algorithm, ranks)
    return found.messages, found.sent_bytes(size, ranks)


def test_the_table_has_every_operation_in_closed_form_and_as_messages() -> None:
    assert tuple(ALGORITHMS) == tuple(SCHEDULES) == KNOWN


# --- Walks: ranks that hold named blocks and send them, round by round.


def ring_all_gather(ranks: int) -> tuple[int, int]:
    """(messages, blocks) of a rank, and a check that each rank ends with every block."""
    held = [{rank} for rank in range(ranks)]
    newest = list(range(ranks))
    messages = 0
    while any(len(blocks) < ranks for blocks in held):
        newest = [newest[rank - 1] for rank in range(ranks)]
        for rank, block in enumerate(newest):
            held[rank].add(block)
        messages += 1
    return messages, messages


def bruck_all_gather(ranks: int) -> tuple[int, int]:
    """Rank r takes all that rank r + 2**k holds and it still lacks."""
    held = [[rank] for rank in range(ranks)]
    messages = blocks = 0
    while any(len(mine) < ranks for mine in held):
        step = len(held[0])
        moved = min(step, ranks - step)
        held = [held[rank] + held[(rank + step) % ranks][:moved] for rank in range(ranks)]
        messages += 1
        blocks += moved
    assert all(set(mine) == set(range(ranks)) for mine in held)
    return messages, blocks


def bruck_all_to_all(ranks: int) -> tuple[int, int]:
    """Blocks travel to their destination by the binary digits of the distance, round by round."""
    at = {(src, dst): src for src in range(ranks) for dst in range(ranks)}
    messages = blocks = 0
    step = 1
    while step < ranks:
        moving = [pair for pair in at if (pair[1] - pair[0]) % ranks & step]
        for pair in moving:
            at[pair] = (at[pair] + step) % ranks
        messages += 1
        blocks += sum(1 for src, _ in moving if src == 0)
        step *= 2
    assert all(place == dst for (_, dst), place in at.items())
    return messages, blocks


def halving_reduce_scatter(ranks: int) -> tuple[int, int]:
    """A power of two: swap halves with a partner at half the distance each round."""
    blocks, messages, distance = 0, 0, ranks // 2
    open_blocks = ranks
    while distance:
        blocks += open_blocks // 2
        open_blocks //= 2
        messages += 1
        distance //= 2
    assert open_blocks == 1
    return messages, blocks


@pytest.mark.parametrize("ranks", range(2, 18))
def test_rings_and_bruck_send_what_a_walk_of_them_sends(ranks: int) -> None:
    size = 10 * ranks
    for op, algorithm, walk in (
        ("all_gather", "ring", ring_all_gather),
        ("all_gather", "doubling", bruck_all_gather),
        ("all_to_all", "doubling", bruck_all_to_all),
    ):
        messages, blocks = walk(ranks)
        assert sent(op, size, ranks, algorithm) == (messages, 10 * blocks), op


@pytest.mark.parametrize("ranks", [2, 4, 8, 16, 32])
def test_recursive_halving_sends_what_a_walk_of_it_sends(ranks: int) -> None:
    messages, blocks = halving_reduce_scatter(ranks)
    assert sent("reduce_scatter", 10 * ranks, ranks, "halving") == (messages, 10 * blocks)


@pytest.mark.parametrize("ranks", [2, 3, 8])
def test_ring_all_reduce_is_a_reduce_scatter_and_an_all_gather(ranks: int) -> None:
    size = 24 * 1024
    whole = sent("all_reduce", size, ranks, "ring")
    halves = [sent(op, size, ranks, "ring") for op in ("reduce_scatter", "all_gather")]
    assert whole == tuple(map(sum, zip(*halves, strict=True)))


# --- Identities.


@pytest.mark.parametrize("ranks", [2, 4, 8])
@pytest.mark.parametrize("op", OPERATIONS)
def test_bus_bandwidth_of_a_large_transfer_is_that_of_the_link(op: str, ranks: int) -> None:
    """nccl-tests: busbw is comparable with the hardware whatever the number of ranks."""
    size = 2**36
    time_s = sent(op, size, ranks, ALGORITHMS[op][0])[1] / 450e9
    assert_allclose(bus_bandwidth(op, size, ranks, time_s), 450e9, rtol=1e-3)


@pytest.mark.parametrize(("ranks", "factor"), [(2, 1.0), (4, 1.5), (8, 1.75)])
def test_bus_bandwidth_of_all_reduce_follows_nccl_tests(ranks: int, factor: float) -> None:
    """By definition: busbw = algbw 2 (n - 1) / n (nccl-tests, PERFORMANCE.md)."""
    assert bus_bandwidth("all_reduce", 10**9, ranks, 0.01) == factor * 10**9 / 0.01


@pytest.mark.parametrize(("op", "algorithm"), EVERY)
def test_one_rank_sends_nothing(op: str, algorithm: str) -> None:
    assert sent(op, 1000, 1, algorithm) == (0, 0)


def test_counts_of_scalars_are_exact() -> None:
    size = 2**60 * 8
    messages, moved = sent("all_reduce", size, 8, "ring")
    assert (messages, moved) == (14, 2 * 7 * 2**60)
    assert isinstance(moved, int)


def test_a_size_that_ranks_do_not_divide_is_sent_in_whole_parts() -> None:
    assert sent("all_gather", 10, 4, "ring") == (3, 9)


@pytest.mark.parametrize(("op", "algorithm"), EVERY)
def test_arrays_give_what_a_loop_over_scalars_gives(op: str, algorithm: str) -> None:
    sizes, ranks = np.array([[1.0], [1000.0], [12345.0]]), np.arange(1.0, 18.0)[None, :]
    messages, moved = (np.broadcast_to(part, (3, 17)) for part in sent(op, sizes, ranks, algorithm))
    for i, j in itertools.product(range(3), range(17)):
        alone = sent(op, int(sizes[i, 0]), int(ranks[0, j]), algorithm)
        assert (messages[i, j], moved[i, j]) == alone


@given(st.sampled_from(OPERATIONS), st.integers(1, 2**40), st.integers(2, 8))
@settings(max_examples=60)
def test_no_algorithm_beats_the_bytes_that_must_move(op: str, size: int, ranks: int) -> None:
    """A rank has to take in every part of its output that it does not hold itself."""
    held = 1 if op in ("all_gather", "all_to_all") else 0
    least = (
        (ranks - 1) * size / ranks if held or op == "reduce_scatter" else size * (ranks - 1) / ranks
    )
    for algorithm in ALGORITHMS[op]:
        assert sent(op, size, ranks, algorithm)[1] >= least * (1 - 1e-12)


# --- Refusals.


@pytest.mark.parametrize(
    ("op", "algorithm", "ranks", "said"),
    [
        ("all_reduce", "ring", 0, "all_reduce: ranks: expected a number above 0"),
        ("all_reduce", "ring", 2.5, "ranks: expected a whole number"),
        ("allreduce", "ring", 8, "did you mean 'all_reduce'"),
    ],
)
def test_impossible_collectives_are_refused(op: str, algorithm: str, ranks: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        closed_form(op, algorithm, ranks)


def test_unknown_algorithms_are_refused_with_those_that_exist() -> None:
    with pytest.raises(UnknownNameError, match="known: bucket, direct, doubling, halving"):
        closed_form("all_reduce", "bush", 8)
