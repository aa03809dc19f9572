"""Splits: bytes of cuts, envelopes and tiers against brute force, and the published ordering."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodel.einsum.workloads.layer import Network
from hwmodel.einsum.workloads.resnet import CUT, bottlefit, resnet
from hwmodel.hardware.catalogue import device
from hwmodel.machines.driver import predict
from hwmodel.quantity.errors import InputError
from hwmodel.systems.split import Radio, crossovers, cuts, drafted_s_per_token, splits, stack, tiers

NETWORK = bottlefit(3)
NEAR, FAR = (
    predict(stack(NETWORK, "int8"), device(name), kernel=None)
    for name in ("raspberry-pi-4", "xeon-8380")
)
times = st.integers(0, 50).map(float)


def walked(network: Network, position: int) -> int:
    """Elements of maps made up to a layer and read after it, each once."""
    later = {at for layer in network.layers[position + 1 :] for at in layer.inputs}
    kept = [at for at in later if at <= position]
    return sum(
        network.layers[at].outputs_elements if at >= 0 else network.image_elements for at in kept
    )


@pytest.mark.parametrize("network", [NETWORK, resnet("resnet50")], ids=["bottlefit", "resnet50"])
def test_a_cut_sends_every_map_that_is_still_read(network: Network) -> None:
    found = cuts(network)
    assert found[0].bytes == 150_528
    assert found[-1].bytes == 0
    for cut in found[:-1]:
        assert cut.bytes == walked(network, cut.layers - 1), cut.name


def test_bottlefit_beats_the_device_and_offloading_between_two_link_rates() -> None:
    """The published ordering at wireless rates, and what bounds them at both ends."""
    link = Radio("link", np.array([1e3, 2e6, 1e9]), 5e-3, 1.0)
    found = splits(NEAR, FAR, cuts(NETWORK), link, idle_w=3.0)
    fastest = [found.cuts[int(at)].name for at in found.fastest]
    assert fastest == ["device alone", CUT, "image"]
    place = [cut.name for cut in found.cuts].index(CUT)
    assert found.energy_j[place, 1] < min(found.energy_j[0, 1], found.energy_j[-1, 1])
    assert found.time_s[-1, 0] == pytest.approx(NEAR.time_s)
    assert found.time_s[0, 2] == pytest.approx(FAR.time_s + 5e-3 + 150_528 / 1e9)


def test_crossovers_are_where_two_cuts_take_equally_long() -> None:
    rates = np.logspace(3, 9, 601)
    found = splits(NEAR, FAR, cuts(NETWORK), Radio("link", rates, 5e-3), idle_w=3.0)
    ends = found.crossovers()
    assert [cut.name for _, cut in ends] == ["device alone", CUT, "image"]
    for rate, fastest in zip(rates, found.fastest, strict=True):
        expected = next(cut for end, cut in ends if rate <= end)
        assert found.cuts[int(fastest)].name == expected.name
    (slow, _), *_ = ends
    at = splits(NEAR, FAR, cuts(NETWORK), Radio("link", slow, 5e-3), idle_w=3.0)
    assert at.time_s[3] == pytest.approx(at.time_s[-1])


@given(st.lists(st.tuples(times, times), min_size=1, max_size=8))
def test_the_envelope_is_the_least_of_all_lines(lines: list[tuple[float, float]]) -> None:
    fixed, sizes = zip(*lines, strict=True)
    ends = crossovers(fixed, sizes)
    for rate in np.logspace(-3, 3, 41):
        chosen = next(at for end, at in ends if rate <= end)
        least = min(a + b / rate for a, b in lines)
        assert fixed[chosen] + sizes[chosen] / rate == pytest.approx(least)


@given(
    st.integers(1, 4).flatmap(
        lambda n: st.tuples(
            st.lists(st.lists(times, min_size=n, max_size=n), min_size=3, max_size=3),
            st.lists(times, min_size=n, max_size=n),
        )
    )
)
def test_tiers_are_the_least_of_all_hand_overs(
    case: tuple[list[list[float]], list[float]],
) -> None:
    """Device, edge and cloud; every pair of hand-overs tried."""
    seconds, sizes = case
    links = (Radio("near", 3.0, 1.0), Radio("far", 7.0, 2.0))
    count = len(sizes)

    def cost(ends: tuple[int, ...]) -> float:
        total, start = 0.0, 0
        for tier, end in enumerate((*ends, count)):
            total += sum(seconds[tier][start:end])
            if tier < len(ends):
                rate = float(links[tier].bandwidth_bytes_per_s)
                total += links[tier].round_trip_s + sizes[end] / rate
            start = end
        return total

    every = [
        ends
        for used in range(3)
        for ends in itertools.product(range(count), repeat=used)
        if list(ends) == sorted(ends)
    ]
    best, handed = tiers(seconds, sizes, links)
    assert best == pytest.approx(min(map(cost, every)))
    assert cost(handed) == pytest.approx(best)


def test_drafting_pays_where_the_round_trip_is_long() -> None:
    """All accepted, g + 1 tokens a round; none accepted, one token and the drafts wasted."""
    given_s = {"draft_s": 1.0, "verify_s": 2.0, "round_trip_s": 7.0}
    assert drafted_s_per_token(4, 1.0, **given_s) == pytest.approx(13 / 5)
    assert drafted_s_per_token(4, 0.0, **given_s) == pytest.approx(13)
    assert drafted_s_per_token(0, 0.8, **given_s) == pytest.approx(9)
    assert drafted_s_per_token(2, 0.5, **given_s) == pytest.approx(11 / 1.75)


def test_what_does_not_belong_together_is_refused() -> None:
    other = predict(stack(resnet("resnet50"), "int8"), device("xeon-8380"), kernel=None)
    with pytest.raises(InputError, match="expected estimates of the same layers"):
        splits(NEAR, other, cuts(NETWORK), Radio("link", 1e6), idle_w=1.0)
    with pytest.raises(InputError, match="expected cuts after 0 to"):
        splits(NEAR, FAR, cuts(resnet("resnet152")), Radio("link", 1e6), idle_w=1.0)
    with pytest.raises(InputError, match="link: expected rates above 0, found 0 bytes/s"):
        splits(NEAR, FAR, cuts(NETWORK), Radio("link", 0.0), idle_w=1.0)
    with pytest.raises(InputError, match="expected bytes before each of 1 layers and 1 links"):
        tiers([[1.0], [1.0]], [1.0], [])
    with pytest.raises(InputError, match=r"a chance of 0 to 1, found 2 and 1\.5"):
        drafted_s_per_token(2, 1.5, draft_s=1, verify_s=1, round_trip_s=1)
