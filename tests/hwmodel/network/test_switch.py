"""Collectives: counts against a walk of each algorithm, and the identities of nccl-tests."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware
from hwmodel.network.switch import (
    ALGORITHMS,
    bus_bandwidth,
    cheapest,
    collective,
    link_rates,
    memory_bytes,
)
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError
from hwmodel.spine.activity import Activity, Work, fold, totals

H200 = device("h200")
EVERY = [(op, name) for op, names in ALGORITHMS.items() for name in names]
OPERATIONS = [op for op in ALGORITHMS if op != "p2p"]


def sent(activity: Activity) -> tuple[Any, Any]:
    return totals(activity).messages["link"]


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
        ("all_gather", "tree", bruck_all_gather),
        ("all_to_all", "tree", bruck_all_to_all),
    ):
        messages, blocks = walk(ranks)
        assert sent(collective(op, size, ranks, algorithm)) == (messages, 10 * blocks), op


@pytest.mark.parametrize("ranks", [2, 4, 8, 16, 32])
def test_recursive_halving_sends_what_a_walk_of_it_sends(ranks: int) -> None:
    messages, blocks = halving_reduce_scatter(ranks)
    assert sent(collective("reduce_scatter", 10 * ranks, ranks, "tree")) == (messages, 10 * blocks)


def test_recursive_halving_pays_twice_where_ranks_are_no_power_of_two() -> None:
    """Thakur et al. 2005, 4.3: (floor(lg p) + 2) messages, 2 n bytes."""
    assert sent(collective("reduce_scatter", 600, 6, "tree")) == (2 + 2, 1200)


@pytest.mark.parametrize("ranks", [2, 3, 8])
def test_ring_all_reduce_is_a_reduce_scatter_and_an_all_gather(ranks: int) -> None:
    size = 24 * 1024
    whole = sent(collective("all_reduce", size, ranks, "ring"))
    halves = [sent(collective(op, size, ranks, "ring")) for op in ("reduce_scatter", "all_gather")]
    assert whole == tuple(map(sum, zip(*halves, strict=True)))


# --- Identities.


@pytest.mark.parametrize("ranks", [2, 4, 8])
@pytest.mark.parametrize("op", OPERATIONS)
def test_bus_bandwidth_of_a_large_transfer_is_that_of_the_link(op: str, ranks: int) -> None:
    """nccl-tests: busbw is comparable with the hardware whatever the number of ranks."""
    size = 2**36
    time_s = fold(collective(op, size, ranks), link_rates(H200)).time_s
    assert_allclose(bus_bandwidth(op, size, ranks, time_s), 450e9, rtol=1e-3)


@pytest.mark.parametrize(("ranks", "factor"), [(2, 1.0), (4, 1.5), (8, 1.75)])
def test_bus_bandwidth_of_all_reduce_follows_nccl_tests(ranks: int, factor: float) -> None:
    """By definition: busbw = algbw 2 (n - 1) / n (nccl-tests, PERFORMANCE.md)."""
    assert bus_bandwidth("all_reduce", 10**9, ranks, 0.01) == factor * 10**9 / 0.01


def test_all_reduce_time_by_hand() -> None:
    """8 ranks, 1 GiB, 450 GB/s, 1.9 us: 14 x 1.9 us + 1.75 GiB / 450 GB/s = 4.2022 ms."""
    time_s = fold(collective("all_reduce", 2**30, 8, "ring"), link_rates(H200)).time_s
    assert_allclose(time_s, 4.2022e-3, rtol=1e-4)


@pytest.mark.parametrize(("op", "algorithm"), EVERY)
def test_one_rank_sends_nothing(op: str, algorithm: str) -> None:
    activity = collective(op, 1000, 1, algorithm)
    assert sent(activity) == (0, 0)
    assert fold(activity, link_rates(H200)).time_s == 0


def test_counts_of_scalars_are_exact() -> None:
    size = 2**60 * 8
    messages, moved = sent(collective("all_reduce", size, 8))
    assert (messages, moved) == (14, 2 * 7 * 2**60)
    assert isinstance(moved, int)


def test_a_size_that_ranks_do_not_divide_is_sent_in_whole_parts() -> None:
    assert sent(collective("all_gather", 10, 4)) == (3, 9)


@pytest.mark.parametrize(("op", "algorithm"), EVERY)
def test_arrays_give_what_a_loop_over_scalars_gives(op: str, algorithm: str) -> None:
    sizes, ranks = np.array([[1.0], [1000.0], [12345.0]]), np.arange(1.0, 18.0)[None, :]
    messages, moved = (
        np.broadcast_to(part, (3, 17)) for part in sent(collective(op, sizes, ranks, algorithm))
    )
    for i, j in itertools.product(range(3), range(17)):
        alone = sent(collective(op, int(sizes[i, 0]), int(ranks[0, j]), algorithm))
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
        assert sent(collective(op, size, ranks, algorithm))[1] >= least * (1 - 1e-12)


# --- Choice.


def test_small_messages_take_the_tree_and_large_ones_the_ring() -> None:
    """By hand for 8 ranks: 8 messages x 1.9 us saved are worth n / 4 bytes at 450 GB/s, 27.4 MB."""
    both = ("ring", "tree")
    assert cheapest("all_reduce", 27 * 10**6, 8, H200, both).algorithm == "tree"
    assert cheapest("all_reduce", 28 * 10**6, 8, H200, both).algorithm == "ring"


def test_the_choice_is_made_point_by_point() -> None:
    sizes = np.array([1e3, 1e6, 27e6, 28e6, 1e9])
    both = ("ring", "tree")
    together = cheapest("all_reduce", sizes, 8, H200, both)
    assert_array_equal(together.algorithm, ["tree", "tree", "tree", "ring", "ring"])
    alone = [cheapest("all_reduce", int(size), 8, H200, both).time_s for size in sizes]
    assert_allclose(together.time_s, np.array(alone, dtype=np.float64), rtol=1e-12)
    again = fold(together.activity, link_rates(H200)).time_s
    assert_allclose(again, together.time_s, rtol=1e-12)


@pytest.mark.parametrize("op", ALGORITHMS)
def test_more_choice_is_never_slower(op: str) -> None:
    sizes = np.array([2.0**n for n in range(8, 34)])
    library = cheapest(op, sizes, 8, H200).time_s
    free = cheapest(op, sizes, 8, H200, ALGORITHMS[op]).time_s
    assert np.all(free <= library)


@pytest.mark.parametrize("op", ALGORITHMS)
def test_a_faster_link_is_never_slower(op: str) -> None:
    sizes = np.array([2.0**n for n in range(8, 34)])
    base = cheapest(op, sizes, 4, H200).time_s
    assert np.all(cheapest(op, sizes, 4, H200.but(link={"bandwidth": "900 GB/s"})).time_s < base)
    assert np.all(cheapest(op, sizes, 4, H200.but(link={"latency": "1 us"})).time_s < base)


def test_link_energy_is_per_byte_sent() -> None:
    """9 pJ/bit x 8 bit x 2^30 bytes sent between two ranks."""
    rates = link_rates(H200)
    assert isinstance(collective("all_reduce", 2**30, 2), Work)
    assert_allclose(2**30 * rates.byte_j["link"], 0.0773, rtol=1e-3)


# --- Memory traffic and refusals.


@pytest.mark.parametrize(
    ("op", "read", "written"),
    [
        ("all_reduce", 800, 800),
        ("all_gather", 100, 800),
        ("reduce_scatter", 800, 100),
        ("all_to_all", 800, 800),
        ("p2p", 800, 800),
    ],
)
def test_inputs_are_read_and_outputs_written_once(op: str, read: int, written: int) -> None:
    assert memory_bytes(op, 800, 8) == (read, written)


@pytest.mark.parametrize(
    ("op", "size", "ranks", "said"),
    [
        ("all_reduce", 0, 8, "all_reduce: bytes: expected a number above 0, found 0"),
        ("all_reduce", -5, 8, "bytes"),
        ("all_reduce", 1.5, 8, "whole number"),
        ("all_reduce", 8, 0, "all_reduce: ranks: expected a number above 0"),
        ("all_reduce", 8, 2.5, "ranks: expected a whole number"),
        ("all_reduce", np.array([1.0, 0.0]), 8, "bytes"),
        ("allreduce", 8, 8, "did you mean 'all_reduce'"),
    ],
)
def test_impossible_collectives_are_refused(op: str, size: Any, ranks: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        collective(op, size, ranks)


def test_unknown_algorithms_are_refused_with_those_that_exist() -> None:
    with pytest.raises(UnknownNameError, match="known: ring, tree"):
        collective("all_reduce", 8, 8, "star")
    with pytest.raises(InputError, match="at least one algorithm"):
        cheapest("all_reduce", 8, 8, H200, ())


@pytest.mark.parametrize("ranks", [9, np.array([2.0, 16.0])])
def test_more_ranks_than_the_switch_joins_are_refused(ranks: Any) -> None:
    with pytest.raises(InputError, match=r"h200: (9|16) ranks, but one NVLink 4 switch joins at "):
        cheapest("all_reduce", 1024, ranks, H200)


def test_a_device_without_link_is_refused() -> None:
    lonely: Hardware = H200.but(link=None)
    with pytest.raises(CoverageError, match="has no link"):
        cheapest("p2p", 1024, 2, lonely)
