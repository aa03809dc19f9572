"""C4's figure: what planned paths gain, and nothing where each flow has a path of its own."""

import pytest

from hwmodel.validation.papers import c4
from hwmodel.validation.papers.given import Given


def test_what_is_published_lies_between_two_flows_and_one() -> None:
    (claim,) = c4.planned_paths(Given())
    planned = c4.step("even", Given())
    alone = c4.step("hashed", Given(), flows=1).step_time_s / planned.step_time_s - 1
    assert 0 < claim.ours < claim.published < alone
    assert 0.2 < planned.exposed_communication_s / planned.step_time_s < 0.3


def test_one_spine_leaves_nothing_to_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(c4, "SPINES", 1)
    (claim,) = c4.planned_paths(Given())
    assert abs(claim.ours) < 1e-9
