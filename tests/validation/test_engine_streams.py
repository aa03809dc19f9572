"""Streams that a real engine answered: what is read of them, and what serving predicts."""

import pytest

from hwmodel.validation.engine_streams import Answered, streams


@pytest.fixture(scope="module")
def answered() -> dict[str, Answered]:
    """The streams of Llama-3.1-8B, by name."""
    return {each.name: each for each in streams("h200") if each.model == "llama-3.1-8b"}


def test_streams_are_of_two_thousand_requests_each(answered: dict[str, Answered]) -> None:
    assert {name: each.users for name, each in answered.items()} == {
        "30/s, 512+96": None, "40/s, 512+96": None, "64 users, 512+96": 64,
    }  # fmt: skip
    assert all(len(each.lines) == 2000 for each in answered.values())
    # What the loop that measured them printed, as means over requests.
    figures = answered["64 users, 512+96"].measured.figures()
    assert figures["ttft_s"] == pytest.approx(0.057711, rel=1e-3)
    assert figures["tpot_s"] == pytest.approx(0.015866, rel=1e-3)


def test_a_stream_at_a_rate_is_answered_as_the_engine_answered_it(
    answered: dict[str, Answered],
) -> None:
    """Nothing of the stream was fitted to."""
    stream = answered["40/s, 512+96"]
    measured, predicted = stream.measured.figures(), stream.predicted().figures()
    assert predicted["tokens_per_s"] == pytest.approx(measured["tokens_per_s"], rel=0.02)
    assert predicted["ttft_s"] == pytest.approx(measured["ttft_s"], rel=0.07)
    assert predicted["tpot_s"] == pytest.approx(measured["tpot_s"], rel=0.06)
    assert predicted["latency_s"] == pytest.approx(measured["latency_s"], rel=0.06)


def test_clients_that_call_their_engine_are_read_in_the_step_after_the_next(
    answered: dict[str, Answered],
) -> None:
    """A step later, as through a server, first tokens would come 20 % later than they did."""
    stream = answered["64 users, 512+96"]
    measured, predicted = stream.measured.figures(), stream.predicted().figures()
    assert predicted["ttft_s"] == pytest.approx(measured["ttft_s"], rel=0.08)
    assert predicted["ttft_p95_s"] == pytest.approx(measured["ttft_p95_s"], rel=0.12)
    assert predicted["tpot_s"] == pytest.approx(measured["tpot_s"], rel=0.08)
    assert predicted["latency_s"] == pytest.approx(measured["latency_s"], rel=0.08)
