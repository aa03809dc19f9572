"""Reuse factors by the mapper: equal to looking at every combination, never beaten, refused."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwmodel as hw
from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.network import Stack
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Limits, limits
from hwmodel.machines.fpga.fabric import Dense
from hwmodel.machines.fpga.hls4ml import Design, least_cycles, shortages, smallest_target
from hwmodel.machines.fpga.reuse import legal_reuse_factors
from hwmodel.mappers.reuse import best, certified, map_reuse
from hwmodel.quantity.errors import CapacityError, InputError

U250 = device("u250")


def room(dsp: int, lut: int = 10**6, bram: int = 2688) -> Limits:
    return limits(U250.but(resources={"dsp": dsp, "lut": lut, "bram": bram}))


def everything(net: tuple[Dense, ...], given: Limits) -> int | None:
    """Least cycles over all combinations of legal factors."""
    menus = [legal_reuse_factors(layer.fan_in, layer.fan_out) for layer in net]
    every = (Design(net, reuse) for reuse in itertools.product(*menus))
    return min((made.cycles for made in every if not shortages(made, given)), default=None)


@st.composite
def networks(draw: st.DrawFn) -> tuple[Dense, ...]:
    sizes = st.integers(1, 12)
    places = draw(st.sampled_from([(1,), (1, 9, 20)]))
    return tuple(
        Dense(
            f"{n}",
            draw(sizes),
            draw(sizes),
            draw(st.sampled_from(places)),
            draw(st.sampled_from([6, 16])),
        )
        for n in range(draw(st.integers(1, 3)))
    )


@settings(max_examples=40)
@given(networks(), st.integers(1, 200), st.integers(36, 4000), st.integers(3, 60))
def test_the_answer_is_the_best_of_all_combinations(
    net: tuple[Dense, ...], dsp: int, lut: int, bram: int
) -> None:
    given_room = room(dsp, lut, bram)
    expected = everything(net, given_room)
    if expected is None:
        with pytest.raises(CapacityError):
            best(net, given_room)
        return
    made = best(net, given_room)
    assert made.cycles == expected
    assert not shortages(made, given_room)
    assert least_cycles(net, given_room) <= expected


def test_a_factor_for_each_layer_beats_one_for_all() -> None:
    """A wide and a narrow layer: 64 x 64 and 64 x 5 on 512 slices."""
    net = Stack(
        "net",
        tuple(Stage(hw.workloads.gemm(M=1, N=n, K=64, dtype="int16")) for n in (64, 5)),
    )
    small = U250.but(resources={"dsp": 600})
    found = certified(map_reuse, net, small)
    common = smallest_target(found.design.layers, limits(small))
    assert found.design.cycles <= common.cycles
    assert found.certificate.optimal_in_mapspace
    assert found.certificate.bound == pytest.approx((64 * 64 + 64 * 5) / 600 + 3)
    assert found.record()["dsp"] <= 600
    again = hw.predict(net, on=small, kernel="hls4ml")
    assert found.seconds <= again.time_s * (1 + 1e-12)
    assert "proof" in str(found)
    assert hw.map(net, on=small).record()["cycles"] == found.design.cycles


def test_more_slices_are_never_slower() -> None:
    net = (Dense("a", 48, 32), Dense("b", 32, 10))
    cycles = [best(net, room(dsp)).cycles for dsp in (2, 5, 20, 100, 1000, 5000)]
    assert cycles == sorted(cycles, reverse=True)
    assert cycles[0] == 48 * 32 + 32 * 10 + 3


def test_what_does_not_fit_is_refused() -> None:
    product = hw.workloads.gemm(M=1, N=8, K=8, dtype="int8")
    with pytest.raises(InputError, match="objective 'energy'; known: latency"):
        hw.map(product, on="u250", objective="energy")
    with pytest.raises(InputError, match="mapspace: mapper map_reuse of a machine"):
        hw.map(product, on="u250", mapspace="uniform")
    with pytest.raises(CapacityError, match="needs 2 dsp of 1"):
        best((Dense("a", 4, 4), Dense("b", 4, 4)), room(1))
