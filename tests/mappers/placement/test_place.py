"""Expert placement against all placements of tiny cases, and against published optima."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodel.experts.placement import contiguous, crossings, hop_cost
from hwmodel.experts.statistics import Routing, from_counts, from_traces, planted
from hwmodel.experts.traces import read_routing
from hwmodel.mappers.placement.place import place_experts
from hwmodel.quantity.errors import CapacityError, InputError, SolverError

DATA = Path(__file__).resolve().parents[4] / "shared/data/olmoe_routing"
MIXTRAL = DATA / "mixtral-8x7b-v0.1_crosslayer_counts.csv"

OPTIMA = {
    ("top1", 2): (2_088_960, 1_114_978, 855_457),
    ("top1", 4): (2_088_960, 1_591_901, 1_374_660),
    ("top1", 8): (2_088_960, 1_821_971, 1_669_374),
    ("topk", 2): (4_177_920, 2_161_610, 1_840_283),
    ("topk", 4): (4_177_920, 3_155_799, 2_904_624),
    ("topk", 8): (4_177_920, 3_637_028, 3_466_828),
}
"""Transitions, contiguous and least crossings of Mixtral-8x7B over five domains, by enumeration of
all balanced placements of the middle layer with a best response at both ends."""


def rows(experts: int, devices: int, slack: int = 0) -> list[tuple[int, ...]]:
    """Every placement of one layer, by trying all."""
    each = experts // devices
    return [
        row
        for row in itertools.product(range(devices), repeat=experts)
        if all(
            each - slack <= row.count(d) <= -(-experts // devices) + slack for d in range(devices)
        )
    ]


def least(routing: Routing, devices: int, cost: np.ndarray, slack: int = 0) -> float:
    """Least cost over every placement of every layer, term by term."""
    tables = list(routing.transitions.values())

    def costs() -> Iterator[float]:
        layers = [rows(routing.experts, devices, slack)] * len(routing.layers)
        for chosen in itertools.product(*layers):
            yield sum(
                float(counts[i, j]) * float(cost[chosen[k][i], chosen[k + 1][j]])
                for k, counts in enumerate(tables)
                for i, j in np.argwhere(counts)
            )

    return min(costs())


def random_routing(experts: int, layers: int, seed: int) -> Routing:
    random = np.random.default_rng(seed)
    return from_counts(
        {(k, k + 1): random.integers(0, 30, (experts, experts)) * 1.0 for k in range(layers - 1)}
    )


@given(seed=st.integers(0, 10_000))
@settings(max_examples=8)
def test_crossings_are_the_least_of_all_placements(seed: int) -> None:
    routing = random_routing(4, 3, seed)
    found = place_experts(routing, 2, time_limit_s=5)
    assert found.certificate.value == least(routing, 2, 1 - np.eye(2))
    assert found.certificate.optimal_in_mapspace


def test_hops_over_two_nodes_are_the_least_of_all_placements() -> None:
    routing, cost = random_routing(4, 2, 1), hop_cost(4, 2)
    found = place_experts(routing, 4, cost=cost, objective="hops", time_limit_s=10)
    assert found.certificate.value == least(routing, 4, cost)
    assert found.certificate.optimal_in_mapspace


def test_with_slack_experts_gather_where_that_keeps_more() -> None:
    routing = random_routing(4, 2, 2)
    found = place_experts(routing, 2, slack=1, time_limit_s=10)
    assert found.certificate.value == least(routing, 2, 1 - np.eye(2), slack=1)
    assert found.certificate.optimal_in_mapspace
    assert found.certificate.value <= place_experts(routing, 2).certificate.value


def test_with_a_load_term_the_busiest_device_counts() -> None:
    counts = np.diag([90.0, 80.0, 10.0, 5.0])  # the two hot experts stand apart
    found = place_experts(
        from_counts({(0, 1): counts}), 2, load_cost=1.0, objective="seconds", time_limit_s=10
    )
    rows_ = found.placement.assignment
    assert all(row[0] != row[1] for row in rows_)
    assert found.certificate.value == 2 * 95  # no crossing; 90 + 5 against 80 + 10 in both layers
    assert found.certificate.optimal_in_mapspace


def test_pinned_and_forbidden_experts_stay_where_they_may() -> None:
    routing = random_routing(6, 3, 3)
    free = place_experts(routing, 3)
    pinned = {(0, 0): 2, (0, 1): 2, (2, 5): 0}
    found = place_experts(routing, 3, pinned=pinned, forbidden={(1, 2): (0, 1)}, time_limit_s=10)
    for (layer, expert), device in pinned.items():
        assert found.placement.assignment[layer][expert] == device
    assert found.placement.assignment[1][2] == 2
    assert found.certificate.optimal_in_mapspace
    assert found.certificate.value >= free.certificate.value


@pytest.mark.skipif(not MIXTRAL.exists(), reason="needs the routing counts of OLMoE's authors")
@pytest.mark.parametrize(("kind", "devices"), OPTIMA)
def test_mixtral_optima_are_the_published_ones(kind: str, devices: int) -> None:
    routing = read_routing(MIXTRAL, kind=kind)
    found = place_experts(routing, devices, time_limit_s=5)
    plain = crossings(routing, contiguous(routing.layers, 8, devices))
    assert (routing.total, plain, found.certificate.value) == OPTIMA[kind, devices]
    assert found.certificate.optimal_in_mapspace


@pytest.mark.skipif(not MIXTRAL.exists(), reason="needs the routing counts of OLMoE's authors")
@pytest.mark.parametrize(
    ("domain", "share"),
    [("arxiv", 0.622), ("book", 0.613), ("c4", 0.650), ("github", 0.628), ("wikipedia", 0.667)],
)
def test_mixtral_optima_of_single_domains(domain: str, share: float) -> None:
    names = {name.lower(): name for name in _domains()}
    match = next(name for low, name in names.items() if low.startswith(domain[:4]))
    routing = read_routing(MIXTRAL, kind="top1", domains=(match,))
    found = place_experts(routing, 4, time_limit_s=5)
    assert found.certificate.value / routing.total == pytest.approx(share, abs=0.0005)


def test_planted_groups_that_fit_a_device_are_proven_best() -> None:
    trace = planted(layers=8, experts=32, group=4, share=0.6, tokens=4000, seed=0)
    routing = from_traces([trace], experts=32)
    found = place_experts(routing, 8, time_limit_s=10, gap=0.01)
    assert found.certificate.gap_to_bound <= 0.01
    assert found.certificate.value / routing.total == pytest.approx(0.4 * 7 / 8, abs=0.02)


def test_an_interrupt_returns_the_best_so_far_with_its_gap() -> None:
    trace = planted(layers=4, experts=32, group=8, share=0.2, tokens=2000, seed=0)
    routing = from_traces([trace], experts=32)
    seen: list[tuple[float, float, float]] = []

    def stop(elapsed_s: float, value: float, bound: float) -> None:
        seen.append((elapsed_s, value, bound))
        if value < np.inf and bound > 0:
            raise KeyboardInterrupt

    found = place_experts(routing, 8, time_limit_s=60, progress=stop)
    assert found.interrupted
    assert found.certificate.value == seen[-1][1]
    assert 0 < found.certificate.bound <= found.certificate.value
    assert found.certificate.solve_time_s < 30


def test_value_falls_and_bound_rises_along_the_history() -> None:
    trace = planted(layers=3, experts=16, group=4, share=0.3, tokens=1000, seed=2)
    found = place_experts(from_traces([trace], experts=16), 4, time_limit_s=2)
    values, bounds = (np.array([row[k] for row in found.history]) for k in (1, 2))
    assert (np.diff(values[np.isfinite(values)]) <= 0).all()
    assert (np.diff(bounds) >= 0).all()


def test_what_cannot_be_placed_is_refused_with_the_way_out() -> None:
    routing = random_routing(4, 2, 0)
    with pytest.raises(InputError, match="do not divide evenly over 3 devices; allow a slack"):
        place_experts(routing, 3)
    with pytest.raises(CapacityError, match="room for 1 experts of each layer, 2 in all"):
        place_experts(routing, 2, most=1)
    with pytest.raises(InputError, match="expert 9 of layer 0"):
        place_experts(routing, 2, pinned={(0, 9): 0})
    with pytest.raises(InputError, match="a device of 0 to 1, found 2"):
        place_experts(routing, 2, forbidden={(0, 1): (2,)})
    with pytest.raises(InputError, match="cost of 0 or more"):
        place_experts(routing, 2, cost=np.ones((2, 2)))
    with pytest.raises(SolverError, match="pinned and forbidden"):
        place_experts(routing, 2, pinned={(0, 0): 0, (0, 1): 0, (0, 2): 0})


def _domains() -> set[str]:
    import polars

    return set(polars.read_csv(MIXTRAL)["domain"].unique()) if MIXTRAL.exists() else set()
