"""What users send and are promised, as text."""

import math

import pytest

from hwmodel.mappers.deployments.traffic import Promise, Traffic
from hwmodel.quantity.errors import InputError


def test_a_traffic_is_read_from_its_fields() -> None:
    found = Traffic.of("rate=8,input=2000,output=201,cached=500")
    assert found == Traffic(8.0, 2000, 201, 500)
    assert found.new == 1500
    assert found.context == 2101


def test_a_promise_has_one_limit_or_both() -> None:
    assert Promise.of("ttft=0.5s,tpot=30ms") == Promise(0.5, 0.03, 95)
    assert Promise.of("tpot=30ms,percentile=99") == Promise(math.inf, 0.03, 99)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("rate=8,input=2000", "found no output"),
        ("rate=0,input=2000,output=10", "above 0"),
        ("rate=8,input=2000,output=10,tokens=3", "tokens"),
        ("rate=8,input=2000,output=10,cached=2000", "cached"),
    ],
)
def test_what_no_traffic_is_says_where(text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        Traffic.of(text)


@pytest.mark.parametrize(
    ("text", "told"), [("percentile=95", "neither"), ("ttft=1s,percentile=42", "42")]
)
def test_what_no_promise_is_says_where(text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        Promise.of(text)
