"""C4's figure: what planned paths gain, and nothing where each flow has a path of its own."""

import numpy as np
import pytest

from hwmodel.machines.driver import topology_of
from hwmodel.systems.training.fabric import collided
from hwmodel.validation.papers import c4
from hwmodel.validation.papers.given import Given


@pytest.mark.parametrize(
    ("batch", "zero", "shown", "gains"), [(128, 1, 1 / 8, 0.10), (256, 3, 1 / 4, 0.38)]
)
def test_what_is_published_lies_between_an_eighth_and_a_quarter_of_exchanges(
    batch: int, zero: int, shown: float, gains: float
) -> None:
    hashed, planned = (c4.step(how, Given(), batch=batch, zero=zero) for how in ("hashed", "even"))
    assert planned.exposed_communication_s / planned.step_time_s == pytest.approx(shown, abs=0.02)
    assert hashed.step_time_s / planned.step_time_s - 1 == pytest.approx(gains, abs=0.01)


def test_one_spine_leaves_nothing_to_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(c4, "SPINES", 1)
    (claim,) = c4.planned_paths(Given())
    assert abs(claim.ours) < 1e-9


@pytest.mark.parametrize("flows", [1, 2])
def test_flows_thrown_one_by_one_take_as_long(flows: int) -> None:
    """Eight leaves send eight cards' flows over eight spines of twice a card's rate each."""
    drawn = np.random.default_rng(0).integers(0, c4.SPINES, (4000, 8, 8 * flows))
    fullest = np.max([(drawn == path).sum(-1).max(-1) for path in range(c4.SPINES)], axis=0)
    expected = float(np.maximum(1.0, fullest / flows / 2).mean())
    network = topology_of(c4.network("hashed", flows))
    assert network is not None
    assert collided(network) == pytest.approx(expected, rel=0.01)
