"""The least that collectives take: bytes that must leave, by hand, and nothing is faster."""

from typing import Any

import pytest

import hwmodel as hw

CLUSTER: dict[str, Any] = {
    **{"name": "two boxes", "generate": "cluster"},
    "with": {
        **{"nodes": 2, "devices_per_node": 4, "link": {"bandwidth": "100 GB/s"}},
        "nic": {"bandwidth": "10 GB/s"},
    },
}
SIZE = 64 * 10**6


def test_each_box_sends_half_of_its_buffers_to_the_other() -> None:
    """4 devices x 64 MB, of which 4 of 8 parts leave, over 4 cards of 10 GB/s."""
    found = hw.collective("all_to_all", SIZE, 8, "h100", topology=CLUSTER)
    assert found.bound_s == pytest.approx(4 * SIZE * (4 / 8) / 40e9)
    assert found.bound_s <= found.time_s


def test_rows_sent_once_leave_a_box_once() -> None:
    """2 of 2 experts a box: every row is for both boxes, one copy of two leaves, and no more."""
    how: dict[str, Any] = {"dispatch": "once", "picks": 8, "experts": 8}
    found = hw.collective("all_to_all", SIZE, 8, "h100", topology=CLUSTER, **how)
    assert found.bound_s == pytest.approx(4 * SIZE / 8 / 40e9)
    assert found.bound_s <= found.time_s
    each = SIZE / 8
    assert found.time_s == pytest.approx(each / 10e9 + 6 * each / 100e9, rel=0.01)


def test_one_switch_sends_rows_once_to_a_device() -> None:
    """Of 8 picks of 8 experts on 4 devices each device gets a row once, where it got two."""
    plain = hw.collective("all_to_all", SIZE, 4, "h200")
    how: dict[str, Any] = {"dispatch": "once", "picks": 8, "experts": 8}
    once = hw.collective("all_to_all", SIZE, 4, "h200", **how)
    assert once.bound_s == pytest.approx(plain.bound_s / 2)
    assert 0.45 < once.time_s / plain.time_s < 0.65
