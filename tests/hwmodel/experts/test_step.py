"""What a placement buys: extremes worked out by hand, schedules played out, choices enumerated."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodel.experts.placement import placement
from hwmodel.experts.statistics import Counts, from_counts
from hwmodel.experts.step import (
    DEGREES,
    break_even_steps,
    pipelined_s,
    pipelining_degree,
    sharing_bytes,
    sharing_ways,
    step_times,
)
from hwmodel.quantity.errors import InputError

SECONDS = st.floats(0.0, 10.0)


def busiest_port_s(matrix: Counts) -> float:
    """A switch whose ports carry a byte a second each way."""
    return float(max(matrix.sum(axis=0).max(), matrix.sum(axis=1).max()))


def test_tokens_that_never_change_device_need_no_exchange_between_layers() -> None:
    routing = from_counts({(0, 1): np.eye(4) * 10.0})
    stay = placement((0, 1), 2, np.array([[0, 0, 1, 1]] * 2))
    times = step_times(routing, stay, busiest_port_s, tokens=80, token_bytes=3, token_s=0.5)
    assert times.coherent_exchange_s == 0
    # each device keeps half of its 40 tokens: 20 leave, 3 bytes each, twice in each of two layers
    assert times.vanilla_exchange_s == 4 * 20 * 3
    assert times.experts_s == 2 * 40 * 0.5
    assert times.vanilla_s - times.coherent_s == 240


def test_tokens_that_always_change_device_cross_once_a_layer() -> None:
    routing = from_counts({(0, 1): np.eye(4) * 10.0})
    leave = placement((0, 1), 2, np.array([[0, 0, 1, 1], [1, 1, 0, 0]]))
    times = step_times(
        routing, leave, busiest_port_s, tokens=80, token_bytes=3, choices=2, gather_s=7
    )
    assert times.coherent_exchange_s == 80 / 2 * 3 * 2 + 7


def test_a_copy_pays_after_as_many_steps_as_it_takes() -> None:
    found = break_even_steps(copy_s=2.0, saved_s=1e-3)
    assert found == pytest.approx(2000)
    assert break_even_steps(copy_s=1, saved_s=0) == float("inf")


@given(SECONDS, SECONDS, st.integers(1, 8))
def test_pipelined_time_is_that_of_playing_the_chunks_out(x: float, y: float, degree: int) -> None:
    link = device = 0.0
    for _ in range(degree):
        link += x / degree
        device = max(device, link) + y / degree
    assert pipelined_s(degree, exchange_s=x, experts_s=y) == pytest.approx(device)


def test_chunks_help_until_their_cost_outweighs_them() -> None:
    assert pipelining_degree(exchange_s=1, experts_s=1) == max(DEGREES)
    assert pipelining_degree(exchange_s=1, experts_s=1, chunk_s=1.0) == 1
    middle = pipelining_degree(exchange_s=1, experts_s=1, chunk_s=0.1)
    times = {d: pipelined_s(d, exchange_s=1, experts_s=1, chunk_s=0.1) for d in DEGREES}
    assert times[middle] == min(times.values())
    assert 1 < middle < 8


@given(st.floats(1e3, 1e12), st.floats(1e3, 1e12), st.sampled_from([4, 8, 64]))
def test_sharing_moves_the_fewest_bytes_of_all_ways(p: float, c: float, devices: int) -> None:
    ways = sharing_ways(devices=devices, experts=4, parameter_bytes=p, activation_bytes=c)
    least = min(
        sharing_bytes(r, parameter_bytes=p, activation_bytes=c, experts=4)
        for r in range(1, devices // 4 + 1)
        if (devices // 4) % r == 0
    )
    found = sharing_bytes(ways, parameter_bytes=p, activation_bytes=c, experts=4)
    assert found == least


def test_large_experts_are_shared_and_many_tokens_are_not() -> None:
    def ways(parameters: float, activations: float) -> int:
        return sharing_ways(
            devices=64, experts=8, parameter_bytes=parameters, activation_bytes=activations
        )

    assert ways(1e9, 1e3) == 8
    assert ways(1e6, 1e9) == 1


def test_impossible_requests_are_refused() -> None:
    with pytest.raises(InputError, match="seconds of 0 or more"):
        break_even_steps(copy_s=-1, saved_s=1)
    with pytest.raises(InputError, match="degree of 1"):
        pipelined_s(0, exchange_s=1, experts_s=1)
    with pytest.raises(InputError, match="bytes above 0"):
        sharing_ways(devices=8, experts=8, parameter_bytes=0, activation_bytes=1)
