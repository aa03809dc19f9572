"""What runs ahead of a step on the same devices: sums of both, and what a token then takes."""

from typing import Any

import pytest

import hwmodel as hw
from hwmodel.quantity.errors import CoverageError
from tests.thorough import but_first

CHAIN = {"model": "llama-3.2-1b", "tokens": 4, "acceptance": 0.7}
FREE = {"tokens": 4, "acceptance": 0.7}


def _decode(name: str, **asked: Any) -> Any:
    return hw.model(name).decode(8, 2048, **asked)


@pytest.mark.parametrize("engine", [None, "vllm"])
def test_a_step_is_four_of_the_draft_and_one_that_verifies(engine: str | None) -> None:
    """Seconds, floors and joules add up; between graphs is a gap, but one schedule."""
    run: dict[str, Any] = {"on": "h100", "engine": engine}
    both = hw.predict(_decode("llama-3.1-8b", draft=CHAIN), **run)
    verifies = hw.predict(_decode("llama-3.1-8b", draft=FREE), **run)
    drafts = hw.predict(_decode("llama-3.2-1b"), **run)
    kernels_s, kernels_j = (
        sum(getattr(p, name) * p.times for p in drafts.parts if not p.host)
        for name in ("time_s", "energy_j")
    )
    gaps_s, gaps_j = (
        sum(p.times * getattr(p, name) for p in both.parts if p.name == "draft host")
        for name in ("time_s", "energy_j")
    )
    assert both.time_s == pytest.approx(verifies.time_s + 4 * kernels_s + gaps_s)
    assert gaps_s == pytest.approx(4 * sum(p.time_s for p in verifies.parts if p.host))
    assert both.bound_s == pytest.approx(verifies.bound_s + 4 * drafts.bound_s)
    assert both.bound_bytes == pytest.approx(verifies.bound_bytes + 4 * drafts.bound_bytes)
    assert both.energy_j == pytest.approx(verifies.energy_j + 4 * kernels_j + gaps_j)
    assert both.time_per_token_s == pytest.approx(both.time_s / 2.7731)
    assert both.tokens_per_s == pytest.approx(8 * 2.7731 / both.time_s)


def test_devices_that_the_draft_does_not_need_do_the_same() -> None:
    """On four devices, each of which drafts by itself, drafting takes four times the joules."""
    four: dict[str, Any] = {"on": hw.device("h100") * 4, "parallel": {"tp": 4}}
    both = hw.predict(_decode("llama-3.1-8b", draft=CHAIN), **four)
    verifies = hw.predict(_decode("llama-3.1-8b", draft=FREE), **four)
    one = hw.predict(_decode("llama-3.2-1b"), on="h100")
    assert both.energy_j == pytest.approx(verifies.energy_j + 4 * 4 * one.energy_j, rel=1e-6)
    assert both.time_s == pytest.approx(verifies.time_s + 4 * one.time_s)


def test_what_drafting_gains_is_lost_where_the_batch_fills_the_products() -> None:
    """A lone request is quicker by it, 256 of them are not: five rows each fill the products."""
    run: dict[str, Any] = {"on": "h100", "engine": "vllm"}
    llama = hw.model("llama-3.1-8b")
    gains = [
        hw.predict(llama.decode(batch, 512), **run).time_s
        / hw.predict(llama.decode(batch, 512, draft=CHAIN), **run).time_per_token_s
        for batch in (1, 256)
    ]
    assert gains[0] > 1.3
    assert gains[1] < 1


def test_every_door_asks_for_drafts_in_the_same_words() -> None:
    """A line of cases, its command's words and Python: one answer."""
    line = {"workload": "llm", "config": "llama-3.1-8b", "phase": "decode", "batch": 8}
    line |= {"context": 2048, "draft": "model=llama-3.2-1b,tokens=4,acceptance=0.7"}
    by_line: Any = hw.predict(_decode("llama-3.1-8b", draft=line["draft"]), on="h100")
    by_table = hw.predict(_decode("llama-3.1-8b", draft=CHAIN), on="h100")
    assert by_line.time_s == by_table.time_s
    from hwmodel.verbs.predict import Predict

    words = {"what": "llama-3.1-8b", "context": 2048, "batch": 8, "draft": line["draft"]}
    asked: Any = Predict.said({**words, "on": "h100"})
    assert asked.answer().time_s == by_table.time_s
    assert "each 2.77: one in" in str(by_table)


@pytest.mark.parametrize("engine", but_first(1, [None, "vllm"]))
def test_explanations_know_the_drafts_kernels(engine: str | None) -> None:
    """Of a lone request the draft's eight passes are among what takes longest."""
    work = hw.model("llama-3.1-8b").decode(1, 512, draft={**CHAIN, "tokens": 8})
    said = str(hw.explain(work, on="h100", engine=engine))
    assert "draft gate-up" in said
    with pytest.raises(CoverageError, match="with drafts it is not modelled"):
        hw.predict(work, on="h100", offload={"rate": "24 GB/s"})
