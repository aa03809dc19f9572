"""Copies of hot experts: EPLB's published example, brute force, and laws."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodel.mappers.placement.replicas import balance, eplb, largest_load, packed, replicated
from hwmodel.quantity.errors import CapacityError, InputError

LOADS = np.array(
    [
        [90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86],
        [20, 107, 104, 64, 19, 197, 187, 157, 172, 86, 16, 27],
    ],
    dtype=float,
)
PLACED = [
    [5, 6, 5, 7, 8, 4, 3, 4, 10, 9, 10, 2, 0, 1, 11, 1],
    [7, 10, 6, 8, 6, 11, 8, 9, 2, 4, 5, 1, 5, 0, 3, 1],
]
"""The worked example of deepseek-ai/EPLB (README): two layers, 16 slots, 4 groups, 2 nodes."""


def test_the_worked_example_is_reproduced_exactly() -> None:
    assert eplb(LOADS, 16, 8, groups=4, nodes=2).tolist() == PLACED


@pytest.mark.parametrize("nodes", [1, 2])
def test_ours_is_never_worse_than_the_baseline_on_its_example(nodes: int) -> None:
    groups = 4 if nodes == 2 else 1
    found = balance(LOADS, 16, 8, groups=groups, nodes=nodes)
    base = eplb(LOADS, 16, 8, groups=groups, nodes=nodes)
    for load, ours, theirs in zip(LOADS, found.slots, base, strict=True):
        assert largest_load(load, np.array(ours), 8) <= largest_load(load, theirs, 8)


@given(seed=st.integers(0, 10_000), spare=st.integers(0, 8), nodes=st.sampled_from([1, 2]))
@settings(max_examples=25)
def test_ours_is_never_worse_on_any_load_and_keeps_every_expert(
    seed: int, spare: int, nodes: int
) -> None:
    load = np.random.default_rng(seed).pareto(1.5, (1, 8)) * 100
    slots = 8 + 4 * spare
    base = eplb(load, slots, 4, groups=4, nodes=nodes)[0]
    found = balance(load, slots, 4, groups=4, nodes=nodes)
    row = np.array(found.slots[0])
    assert sorted(set(row.tolist())) == list(range(8))
    assert largest_load(load[0], row, 4) <= largest_load(load[0], base, 4) * (1 + 1e-12)
    assert found.certificate.value == pytest.approx(largest_load(load[0], row, 4))
    assert found.certificate.bound <= found.certificate.mapspace_bound <= found.certificate.value


def test_the_bound_holds_for_every_arrangement_of_slots() -> None:
    load = np.array([9.0, 5.0, 4.0, 1.0])
    best = min(
        largest_load(load, np.array(row), 2)
        for row in itertools.product(range(4), repeat=6)
        if set(row) == {0, 1, 2, 3}
    )
    found = balance(load[None], 6, 2)
    assert found.certificate.mapspace_bound <= best <= found.certificate.value


def test_the_hottest_copy_is_as_small_as_any_split_makes_it() -> None:
    load = np.array([50.0, 20.0, 7.0])
    number = np.bincount(replicated(load, 7), minlength=3)
    best = min(
        max(load / np.array(split))
        for split in itertools.product(range(1, 6), repeat=3)
        if sum(split) == 7
    )
    assert max(load / number) == best


def test_packs_hold_equally_many() -> None:
    assert packed(np.array([5.0, 4.0, 3.0, 3.0, 2.0, 1.0]), 2) == [[0, 3, 5], [1, 2, 4]]


@pytest.mark.parametrize(
    ("loads", "slots", "devices", "error", "words"),
    [
        ([[1.0, 2.0, 3.0, 4.0]], 2, 2, CapacityError, "add 2 slots"),
        ([[1.0, 2.0]], 3, 2, InputError, "devices that divide the slots"),
        ([[1.0, np.nan]], 2, 2, InputError, "loads of 0 or more"),
    ],
)
def test_impossible_requests_are_refused(
    loads: list[list[float]], slots: int, devices: int, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        balance(np.array(loads), slots, devices)


def test_groups_that_nodes_do_not_divide_are_one_group_on_one_node() -> None:
    """Three groups on two nodes: as if there were neither, for the baseline and for ours."""
    apart, plain = (
        (eplb(LOADS, 16, 8, groups=g, nodes=n), balance(LOADS, 16, 8, groups=g, nodes=n))
        for g, n in ((3, 2), (1, 1))
    )
    assert apart[0].tolist() == plain[0].tolist()
    assert apart[1].slots == plain[1].slots
    assert apart[1].certificate.value == plain[1].certificate.value
    for load, row in zip(LOADS, apart[1].slots, strict=True):
        assert largest_load(load, np.array(row), 8) <= load.sum() / 8 * 1.25
