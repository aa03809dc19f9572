"""Closed loops: known closed forms, a simulation, and the laws of operations."""

import heapq
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodel.quantity.errors import InputError
from hwmodel.systems.queues import Station, broker_s, serve, throughput_bound_per_s


def test_balanced_single_servers_have_a_closed_form() -> None:
    """K equal stations, N clients: X = N / (s (N + K - 1))."""
    stations = [Station(name, 0.01) for name in "abc"]
    for clients in (1, 2, 7, 40):
        found = serve(stations, clients)
        assert found.throughput_per_s == pytest.approx(clients / (0.01 * (clients + 2)))
        assert found.latency_s * found.throughput_per_s == pytest.approx(clients)


def test_servers_enough_for_all_never_queue() -> None:
    found = serve([Station("decode", 0.02, servers=8), Station("copy", 1e-9)], 8)
    assert found.throughput_per_s == pytest.approx(8 / 0.02, rel=1e-6)


def test_two_servers_and_three_clients_by_hand() -> None:
    """A birth-death chain: clients think 1 s, two servers of 1 s; Z = 1 + 3 + 3 + 3/2."""
    found = serve([Station("a", 1.0, servers=2)], 3, think_s=1.0)
    chances = [1.0, 3.0, 3.0, 1.5]
    rates = [0, 1, 2, 2]
    throughput = sum(c * r for c, r in zip(chances, rates, strict=True)) / sum(chances)
    assert found.throughput_per_s == pytest.approx(throughput)


def test_a_simulated_loop_agrees() -> None:
    """Decoding on four cores, then one device; exponential services, 60,000 requests."""
    stations = [Station("decode", 0.03, servers=4), Station("device", 0.01)]
    draw, clock, done = random.Random(11), 0.0, 0
    waiting: list[int] = [6, 0]
    busy = [0, 0]
    events: list[tuple[float, int]] = []

    def start(at: int) -> None:
        while waiting[at] and busy[at] < stations[at].servers:
            waiting[at] -= 1
            busy[at] += 1
            heapq.heappush(events, (clock + draw.expovariate(1 / stations[at].service_s), at))

    start(0)
    while done < 60_000:
        clock, at = heapq.heappop(events)
        busy[at] -= 1
        waiting[1 - at] += 1
        done += at
        start(0)
        start(1)
    assert serve(stations, 6).throughput_per_s == pytest.approx(done / clock, rel=0.02)


@given(
    st.lists(st.tuples(st.floats(1e-4, 1.0), st.integers(1, 5)), min_size=1, max_size=4),
    st.integers(1, 30),
)
def test_no_loop_beats_its_bounds(parts: list[tuple[float, int]], clients: int) -> None:
    stations = [Station(str(n), s, servers=c) for n, (s, c) in enumerate(parts)]
    bound, slowest = throughput_bound_per_s(stations)
    found = serve(stations, clients)
    alone_s = sum(s for s, _ in parts)
    assert found.throughput_per_s <= min(bound, clients / alone_s) * (1 + 1e-9)
    assert found.latency_s >= alone_s * (1 - 1e-9)
    assert sum(found.at_s.values()) == pytest.approx(found.latency_s)
    assert slowest in found.at_s


def test_preprocessing_on_the_device_shares_its_time() -> None:
    """Inference of 2 ms alone gives 500 a second; with 3 ms of decoding beside it, 200."""
    apart = [Station("cpu", 0.003, servers=8), Station("gpu", 0.002)]
    together = [Station("gpu", 0.003 + 0.002)]
    assert throughput_bound_per_s(apart) == (pytest.approx(500), "gpu")
    assert throughput_bound_per_s(together) == (pytest.approx(200), "gpu")


def test_a_second_model_sees_every_face() -> None:
    """Five faces a frame of 1 ms each bind before a detector of 4 ms."""
    stations = [Station("detect", 0.004), Station("identify", 0.001, visits=5)]
    assert throughput_bound_per_s(stations) == (pytest.approx(200), "identify")


def test_a_broker_on_disk_costs_more_than_one_in_memory() -> None:
    assert broker_s(600_000, 0.3e9, 1e-4) == pytest.approx(4.1e-3)
    assert broker_s(600_000, 10e9, 1e-4) < broker_s(600_000, 0.3e9, 1e-4)


def test_stations_that_cannot_serve_are_refused() -> None:
    with pytest.raises(InputError, match="with names of their own"):
        serve([Station("a", 1.0), Station("a", 1.0)], 1)
    with pytest.raises(InputError, match="station a: expected service and visits above 0"):
        serve([Station("a", 0.0)], 1)
    with pytest.raises(InputError, match="expected a client or more"):
        serve([Station("a", 1.0)], 0)
