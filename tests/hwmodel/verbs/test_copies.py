"""Copies of hot experts: evenness, what is fetched, and when it pays, by hand."""

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.experts.placement import contiguous
from hwmodel.experts.statistics import from_counts
from hwmodel.network.topologies import node
from hwmodel.network.topology import Port
from hwmodel.quantity.errors import CapacityError, InputError
from hwmodel.verbs.copies import with_copies

# Expert 0 serves 6 of 12 tokens in both layers, the others 2 each; two devices.
COUNTS = np.array([[3.0, 1, 1, 1], [1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1]])
ROUTING = from_counts({(0, 1): COUNTS})
PLAIN = contiguous((0, 1), 4, 2)


def test_a_copy_of_the_hot_expert_on_each_device_makes_them_even() -> None:
    """Consecutive experts serve 8 and 4. With 6 slots: half of 0, and 3 of 6 for the rest."""
    found = with_copies(ROUTING, PLAIN, 6)
    assert found.certificate.value == 12
    assert (found.imbalance, found.least_imbalance) == (1.0, 1.0)
    assert found.eplb_imbalance >= found.imbalance
    assert all(sorted(set(row)) == [0, 1, 2, 3] for row in found.slots)
    assert (found.copy_s, found.saved_s, found.break_even_steps) == (None, None, None)


def test_copies_pay_after_the_seconds_they_take_over_those_they_save() -> None:
    """Each layer's busiest device falls from 8 to 6 of 12, a sixth of 3 s; two layers save 1 s."""
    sent: list[float] = []

    def exchange_s(matrix: np.ndarray) -> float:
        sent.append(float(matrix.sum()))
        return 5.0

    found = with_copies(ROUTING, PLAIN, 6, choices_s=3.0, expert_bytes=10.0, exchange_s=exchange_s)
    assert found.saved_s == pytest.approx(1.0)
    assert found.break_even_steps == pytest.approx(5.0)
    held = [{0, 1}, {2, 3}]
    missing = sum(
        len(set(row[3 * device : 3 * device + 3]) - held[device])
        for row in found.slots
        for device in (0, 1)
    )
    assert sent == [10.0 * missing]


def test_copies_that_shorten_nothing_never_pay() -> None:
    even = from_counts({(0, 1): np.ones((4, 4))})
    found = with_copies(
        even, PLAIN, 4, choices_s=1.0, expert_bytes=1.0, exchange_s=lambda matrix: 1.0
    )
    assert (found.saved_s, found.break_even_steps) == (0.0, None)


def test_the_answer_of_a_placement_tells_of_its_copies() -> None:
    network = node(4, Port(bandwidth_bytes_per_s=1e9))
    answer = hw.place(
        ROUTING, devices=2, topology=network, slots=6, token_bytes=8, token_s=1e-3, expert_bytes=1e6
    )
    record = answer.record()["copies"]
    assert record["imbalance"] == 1.0
    assert record["break_even_steps"] == pytest.approx(record["copy_s"] / record["saved_s"])
    assert "6 slots of each layer" in str(answer)
    assert "paid after" in str(answer)


def test_slots_that_cannot_be_dealt_are_refused() -> None:
    with pytest.raises(InputError, match="divide the slots"):
        with_copies(ROUTING, PLAIN, 5)
    with pytest.raises(CapacityError, match="add 2 slots"):
        with_copies(ROUTING, PLAIN, 2)
