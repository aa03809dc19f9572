"""`parallelise`: the best division, as an exhaustive walk with `predict` finds it."""

import json
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.mappers.parallelism.space import Space
from hwmodel.quantity.errors import CapacityError, CoverageError, InputError
from hwmodel.verbs.cases import predict_lines
from hwmodel.verbs.parallelise import SENT, costs_of, step_of

H200 = hw.device("h200")


@pytest.mark.parametrize(
    ("name", "phase", "batch", "size", "devices", "more"),
    [
        ("llama-3.1-70b", "decode", 16, 2048, 4, {}),
        ("olmoe-1b-7b", "decode", 64, 512, 2, {}),
        ("llama-3.1-8b", "prefill", 8, 512, 2, {}),
        ("llama-3.1-8b", "decode", 16, 2048, 2, {"engine": "vllm"}),
        ("llama-3.1-8b", "decode", 16, 2048, 4, {"topology": "dgx-h100"}),
    ],
)
def test_the_best_is_that_of_all_divisions_predicted_one_by_one(
    name: str, phase: str, batch: int, size: int, devices: int, more: dict[str, Any]
) -> None:
    model = hw.model(name)
    work = getattr(model, phase)(batch, size)
    sent = SENT if phase == "decode" and "topology" in more else SENT[:-1]
    every = list(Space(model.network, step_of(work), devices, dispatches=sent))
    answers = [hw.predict(work, on=H200 * devices, parallel=ways, **more) for ways in every]
    costs = [costs_of(each) for each in answers if each.fits]
    for objective, place in (("time", 0), ("throughput", 1)):
        found = hw.parallelise(work, on=H200 * devices, objective=objective, **more)
        rows = [(row.time_s, devices / row.full_tokens_per_s) for row in found.best]
        ranked = sorted(cost[place] for cost in costs)
        assert [row[place] for row in rows] == pytest.approx(ranked[: len(rows)], rel=1e-9)
        assert found.margin == pytest.approx(ranked[1] / ranked[0] - 1, rel=1e-6, abs=1e-9)
        counted = found.counted
        assert counted.all == len(every)
        assert counted.all == counted.evaluated + counted.ruled_out + counted.too_large
        front = [c for c in costs if not any(o[0] < c[0] and o[1] < c[1] for o in costs)]
        for row in found.front:
            told = row.time_s, devices / row.full_tokens_per_s
            assert any(told == pytest.approx(cost, rel=1e-9) for cost in front)


def test_words_and_values_answer_alike() -> None:
    told: dict[str, Any] = {"verb": "parallelise", "workload": "llm", "config": "llama-3.1-8b"}
    told |= {"phase": "decode", "batch": 8, "context": 1024, "on": "h200", "devices": 4}
    (line,) = predict_lines([json.dumps(told)])
    found = hw.parallelise(hw.model("llama-3.1-8b").decode(8, 1024), on=H200 * 4)
    assert line["division"] == found.record()["division"]
    assert line["time_s"] == found.record()["time_s"]
    assert line["divisions"]["all"] == found.counted.all


def test_the_answer_says_what_was_settled_how() -> None:
    text = str(hw.parallelise(hw.model("llama-3.1-405b").decode(8, 1024), on=H200 * 8))
    assert "tp=8 is best by time" in text
    assert "legal divisions" in text
    assert "none left" in text


def test_what_fits_nowhere_is_refused_with_what_would() -> None:
    with pytest.raises(CapacityError, match="in none of 6 legal divisions; use more devices"):
        hw.parallelise(hw.model("llama-3.1-405b").decode(2, 64), on=H200 * 2)
    with pytest.raises(CoverageError, match="has no link to others of its kind"):
        hw.parallelise(hw.model("llama-3.2-1b").decode(2, 64), on=hw.device("xeon-8480") * 2)


@pytest.mark.parametrize(
    ("work", "more", "said"),
    [
        (hw.workloads.gemm(64, 64, 64), {}, "expected a phase of a model"),
        (hw.model("llama-3.2-1b").decode(8, 64, tp=2), {}, "found one divided over 2 devices"),
        (hw.model("llama-3.2-1b").decode(8, 64), {"parallel": {"tp": 2}}, "expected no degrees"),
    ],
)
def test_what_it_cannot_divide_is_refused(work: Any, more: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        hw.parallelise(work, on=H200 * 2, **more)


def test_a_step_is_divided_alike_in_words_and_without_sequences_refused() -> None:
    told = {"verb": "parallelise", "workload": "training", "config": "llama-3.2-1b"}
    told |= {"sequence": 1024, "zero": 1, "on": "h100", "devices": 4}
    (line,) = predict_lines([json.dumps({**told, "global_batch": 16})])
    work = hw.model("llama-3.2-1b").training(1024, 16, zero=1)
    found = hw.parallelise(work, on=hw.device("h100") * 4)
    assert line["division"] == dict(found.best[0].division)
    with pytest.raises(InputError, match="global_batch"):
        hw.parallelise(hw.workloads.training("llama-3.2-1b", 1024), on=hw.device("h100") * 4)


def test_a_pipeline_whose_layers_no_number_of_stages_divides_is_tried_and_dealt() -> None:
    """Two heads, tokens and sequences that no device shares, 5 layers: on 4 stages or 8 alone."""
    config = {
        **{"model_type": "llama", "num_hidden_layers": 5, "hidden_size": 512},
        **{"num_attention_heads": 2, "intermediate_size": 2048, "vocab_size": 131_072},
    }
    found = hw.parallelise(hw.workloads.training(config, 2047, 3), on=hw.device("h100") * 8)
    row, how = found.best[0], found.estimate.execution
    assert row.division["pp"] == how.pp == 4
    assert sum(how.layers) == 5
    assert how.layers[-1] < 1 + how.layers[0]
    assert row.division["layers"].count("x") <= 2
