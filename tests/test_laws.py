"""Every prediction obeys the laws of `laws`, on some thousands of random cases, the same each time.

`python -m benchmarks.laws 100000` draws more.
"""

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.law_cases import GPU, Case
from tests.laws import LAWS, estimate_of, floors
from tests.thorough import thorough

EXAMPLES = {
    "floors": 1000,
    "better machines": 600,
    "doubling": 250,
    "narrower formats": 250,
    "scalar is array": 300,
    "JSON is Python": 200,
}
"""Cases of each law where tests are thorough; otherwise the first of these, one in `SHARE`."""
SHARE = 6
SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)


@pytest.mark.parametrize("share", [SHARE, thorough(1)])
@pytest.mark.parametrize("name", LAWS)
def test_predictions_obey(name: str, share: int) -> None:
    law, cases = LAWS[name]

    @settings(
        max_examples=EXAMPLES[name] // share,
        derandomize=True,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=[*SLOW],
    )
    @given(cases)
    def obeys(case: Case) -> None:
        assert law(case) == []

    obeys()


def test_hardly_any_random_case_is_refused() -> None:
    """Laws that hold of refusals alone would say nothing."""
    answered: list[bool] = []

    @settings(
        max_examples=100, derandomize=True, phases=(Phase.generate,), suppress_health_check=[*SLOW]
    )
    @given(GPU)
    def count(case: Case) -> None:
        answered.append(estimate_of(case) is not None)

    count()
    assert sum(answered) > 0.8 * len(answered)


def test_a_broken_law_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A roofline of half an hour is above any time."""
    case: Case = {"workload": "copy", "rows": 8, "cols": 64, "dtype": "bf16", "on": "h200"}
    assert floors(case) == []

    def half_an_hour(*_: object) -> float:
        return 1800.0

    monkeypatch.setattr("hwmodel.bounds.roofline.roofline_s", half_an_hour)
    assert any("roofline" in sentence for sentence in floors(case))
