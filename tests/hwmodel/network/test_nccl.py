"""What NCCL makes of one switch: the fastest way, point by point, and refusals."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hwmodel.einsum.workloads.collective import collective
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import predict
from hwmodel.network.collectives import check_ranks, cost, with_parameters
from hwmodel.network.nccl import ON_ONE_SWITCH, Way, fastest, on_one_switch
from hwmodel.quantity.errors import CoverageError, InputError
from hwmodel.spine.activity import Rates, Work, fold, totals

H200 = device("h200")
PLAIN = {"link": 1.0, "latency": 1.0, "launch": 1.0}


def way(name: str, start_s: float, rate: float, size: Any, allowed: Any = True) -> Way:
    leaf = Work(messages={f"link:{name}": (1, size)})
    return Way(name, leaf, Rates(messages={f"link:{name}": (start_s, rate)}), allowed)


def test_the_fastest_way_is_taken_point_by_point_and_counted_as_one_activity() -> None:
    """Soon and slow, or late and fast: equal at 10 + n / 10 = 100 + n / 100, n = 1000 bytes."""
    sizes = np.array([10.0, 990.0, 1010.0, 9000.0])
    tree, rates, name = fastest([way("soon", 10, 10.0, sizes), way("late", 100, 100.0, sizes)])
    assert name is None
    assert_allclose(fold(tree, rates).time_s, [11, 109, 110.1, 190])
    sent = totals(tree).messages
    assert np.asarray(sent["link:soon"][1]).tolist() == [10, 990, 0, 0]
    assert np.asarray(sent["link:late"][1]).tolist() == [0, 0, 1010, 9000]
    alone = fastest([way("soon", 10, 10.0, 990), way("late", 100, 100.0, 990)])
    assert alone[2] == "soon"
    assert totals(alone[0]).messages == {"link:soon": (1, 990)}


def test_what_is_not_allowed_is_not_taken_however_fast() -> None:
    sizes, allowed = np.array([10.0, 10.0]), np.array([True, False])
    tree, rates, _ = fastest(
        [way("slow", 100, 100.0, sizes), way("fast", 1, 100.0, sizes, allowed)]
    )
    assert_allclose(fold(tree, rates).time_s, [1.1, 100.1])


def test_all_reduce_time_by_hand() -> None:
    """8 ranks, 1 GiB, 450 GB/s, 1.9 us: 14 x 1.9 us + 1.75 GiB / 450 GB/s = 4.2022 ms."""
    ring = H200.but(link={"reduction_bytes_per_s": None})
    (one,) = on_one_switch("all_reduce", 2**30, 8, ring, PLAIN)
    assert_allclose(fold(one.tree, one.rates).time_s, 4.2022e-3, rtol=1e-4)
    whole = fold(*with_parameters("all_reduce", 2**30, 8, ring, PLAIN)).time_s
    assert_allclose(whole, 4.2022e-3 + float(H200.launch.graph_s), rtol=1e-4)


@pytest.mark.parametrize("op", ON_ONE_SWITCH)
def test_a_faster_link_is_never_slower(op: str) -> None:
    sizes = np.array([2.0**n for n in range(8, 34)])

    def time_s(on: Hardware) -> Any:
        return fold(*with_parameters(op, sizes, 4, on, PLAIN)).time_s

    assert np.all(time_s(H200.but(link={"bandwidth": "900 GB/s"})) <= time_s(H200))
    assert np.all(time_s(H200.but(link={"latency": "1 us"})) < time_s(H200))


@pytest.mark.parametrize("ranks", [9, np.array([2.0, 16.0])])
def test_more_ranks_than_the_switch_joins_are_refused(ranks: Any) -> None:
    with pytest.raises(InputError, match=r"h200: (9|16) ranks, but one NVLink 4 switch joins at "):
        check_ranks(ranks, H200)


def test_what_one_switch_cannot_do_is_refused() -> None:
    with pytest.raises(CoverageError, match="has no link"):
        on_one_switch("p2p", 1024, 2, H200.but(link=None), PLAIN)


def test_a_broadcast_is_one_pipeline_along_the_ring() -> None:
    """Seven hops and the buffer once: of long ones half an all-reduce's ring, and a gather's."""

    def seconds(op: str, size: int) -> float:
        return float(fold(*with_parameters(op, size, 8, H200, PLAIN)).time_s)

    gathered_s = seconds("all_gather", 2**34)
    assert seconds("broadcast", 2**34) == pytest.approx(gathered_s * 8 / 7, rel=0.01)
    assert seconds("broadcast", 8) == pytest.approx(seconds("all_gather", 8), rel=0.01)
    assert "uncalibrated" in cost("broadcast", 2**20, 8, H200).warnings[0]


@pytest.mark.parametrize(("ranks", "times"), [(2, 1), (4, 4), (8, 4 * 2**1.5)])
def test_more_than_a_pair_on_pcie_shares_the_root_complexes(ranks: int, times: float) -> None:
    """Of long messages: four times slower at four ranks, 2^1.5 more at eight."""
    plain, crowded = (
        fold(*with_parameters("all_gather", 2**34, ranks, H200, {**PLAIN, **more})).time_s
        for more in ({}, {"crossing": 4.0, "crowd": 1.5})
    )
    assert crowded / plain == pytest.approx(times, rel=1e-3)


def test_devices_without_a_switch_send_to_each_peer_on_a_link_of_its_own() -> None:
    """Eight Instincts have 64 GB/s between any two; bytes on the fullest link, by hand."""
    mesh = device("mi300x")
    size, each = 2**30, 64e9
    on_a_link = {"p2p": 1.0, "all_to_all": 1 / 8, "all_gather": 1 / 8, "all_reduce": 2 / 8}
    shares = {
        op: part * size / each / float(predict(collective(op, size, 8), mesh).time_s)
        for op, part in on_a_link.items()
    }
    assert all(0.7 < share < 1 for share in shares.values())
    assert max(shares.values()) < 1.1 * min(shares.values())  # one share of the link for all
    few, many = (predict(collective("all_to_all", size, n), mesh).time_s for n in (2, 8))
    assert few == pytest.approx(4 * many, rel=0.02)  # a half on one link, an eighth on each
