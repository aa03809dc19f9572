"""`deploy`: its answer by every door, dollars, flags and page."""

import json
from pathlib import Path
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.quantity.errors import InputError, UnknownNameError

ASKED: dict[str, Any] = {
    "traffic": "rate=2,input=4000,output=100",
    "slo": "ttft=0.5s,tpot=30ms",
    "on": ["h100", "h200"],
    "max_devices": 2,
    "simulate": 300,
}


@pytest.fixture(scope="module")
def answer() -> Any:
    return hw.deploy("llama-3.1-8b", **ASKED)


def test_the_cheapest_of_one_device_is_one_h100(answer: Any) -> None:
    assert answer.best.devices == 1
    assert answer.best.cost == pytest.approx(3.25)
    assert answer.margin == pytest.approx(0.0)
    assert answer.gap == pytest.approx(0.0)


def test_tokens_in_and_out_cost_what_the_devices_do(answer: Any) -> None:
    money = answer.money
    an_hour = 2 * 3600 * (4000 * money.in_usd + 100 * money.out_usd) / 1e6
    assert an_hour == pytest.approx(3.25)
    assert 0 <= money.cached_usd < money.in_usd


def test_the_flags_are_those_of_the_best(answer: Any) -> None:
    (line,) = answer.flags
    pool = answer.best.pools[0]
    assert line.startswith("vllm serve llama-3.1-8b --tensor-parallel-size 1 ")
    assert f"--max-num-batched-tokens {pool.limits.tokens}" in line
    assert ("--quantization fp8" in line) == (pool.kind.weights == "fp8")
    assert ("--kv-cache-dtype fp8" in line) == (pool.kind.cache == "fp8")


@pytest.mark.parametrize(
    ("engine", "begins"),
    [("sglang", "python -m sglang.launch_server --model-path"), ("trtllm", "trtllm-serve")],
)
def test_other_engines_are_searched_and_started_as_they_are(engine: str, begins: str) -> None:
    small: dict[str, Any] = {**ASKED, "on": "h100", "max_devices": 1, "simulate": 0}
    found = hw.deploy("llama-3.1-8b", **small, engine=engine)
    assert found.flags[0].startswith(begins)
    assert found.record()["engine"] == engine
    step = hw.model("llama-3.1-8b").decode(1, 4100)
    told = hw.predict(step, "h100", engine=engine).warnings
    assert [text for text in told if text in found.warnings and "host" in text]


def test_an_engine_that_serves_no_streams_is_refused() -> None:
    with pytest.raises(InputError, match=r"expected one that serves .*, found 'torch'"):
        hw.deploy("llama-3.1-8b", **ASKED, engine="torch")
    with pytest.raises(UnknownNameError, match="did you mean 'sglang'"):
        hw.deploy("llama-3.1-8b", **ASKED, engine="sglan")
    with pytest.raises(InputError, match="draft: expected none with engine sglang"):
        hw.deploy(
            "llama-3.1-8b",
            **ASKED,
            engine="sglang",
            draft="model=llama-3.2-1b,tokens=2,acceptance=0.7",
        )


def test_every_candidate_is_settled(answer: Any) -> None:
    tally = answer.found.tally
    assert sum(tally.by_bound.values()) + tally.dearer + tally.evaluated == tally.all


@pytest.mark.thorough
def test_it_is_the_same_every_time(answer: Any) -> None:
    again = hw.deploy("llama-3.1-8b", **ASKED)
    first, second = answer.record(), again.record()
    for each in (first, second):
        each.pop("solve_time_s")
    assert json.dumps(first) == json.dumps(second)


@pytest.mark.thorough
def test_prices_of_your_own_choose_another() -> None:
    found = hw.deploy("llama-3.1-8b", **ASKED, price={"h100": 9.0, "h200": 1.0})
    assert found.best.pools[0].kind.machine.name == "h200"
    assert found.sources["h200"] == "yours"
    reserved = hw.deploy("llama-3.1-8b", **ASKED, rent="reserved")
    assert reserved.best.cost == pytest.approx(1.30)
    assert "three years" in reserved.sources["h100"]


def test_a_page_holds_its_picture(answer: Any, tmp_path: Path) -> None:
    from hwmodel.show.deployments import written

    written(answer, str(tmp_path / "page.html"))
    page = (tmp_path / "page.html").read_text()
    assert "data:image/png;base64," in page
    assert "--max-num-batched-tokens" in page
    assert 'src="http' not in page
    written(answer, str(tmp_path / "front.png"))
    assert (tmp_path / "front.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"on": ["h100", "h100"]}, "different GPUs"),
        ({"on": None}, "expected devices"),
        ({"price": {"h20": 1.0}}, "h20"),
        ({"price": {"h100": -1.0}}, "above 0"),
        ({"on": ["l4"], "rent": "reserved"}, "no reserved price"),
    ],
)
def test_what_cannot_be_asked_says_why(change: dict[str, Any], told: str) -> None:
    with pytest.raises((InputError, UnknownNameError), match=told):
        hw.deploy("llama-3.1-8b", **{**ASKED, **change})


def test_what_streams_waited_stands_beside_what_engines_settle_at(answer: Any) -> None:
    row = answer.record()["best"][0]
    seen = row["simulated"]
    assert seen["requests"] == 300
    assert seen["ttft_p95_s"] <= 0.5
    assert seen["tpot_s"] == pytest.approx(row["tpot_s"], rel=0.25)
    assert seen["tpot_s"] <= seen["tpot_p95_s"] <= 0.03
    assert "simulated 4 deployments" in answer.proof()
    settled: dict[str, Any] = {**ASKED, "simulate": 0}
    plain = hw.deploy("llama-3.1-8b", **settled)
    assert plain.record()["best"][0]["simulated"] is None
    assert any("simulate and measure" in text for text in plain.warnings)


@pytest.mark.thorough
def test_a_search_that_was_killed_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    small: dict[str, Any] = {**ASKED, "on": ["h100"], "max_devices": 1, "simulate": 0}

    def told(**more: Any) -> str:
        record = hw.deploy("llama-3.1-8b", **{**small, **more}).record()
        record.pop("solve_time_s")
        return json.dumps(record)

    whole, out = told(), str(tmp_path)
    assert told(out=out) == whole
    file = tmp_path / "known.jsonl"
    text = file.read_text()
    file.write_text(text[: len(text) // 2])
    assert told(out=out) == whole
    assert file.read_text() == text
    with pytest.raises(InputError, match="found another's"):
        told(out=out, traffic="rate=1,input=10,output=10")
    lines = text.split("\n")
    file.write_text("\n".join([lines[0], lines[1].replace("[0.", "[9."), ""]))
    with pytest.raises(InputError, match="found other steps"):
        told(out=out)


@pytest.mark.thorough
def test_a_dask_client_gives_the_same_bytes() -> None:
    """A cluster of one worker, in this process: steps are asked for there."""
    distributed: Any = pytest.importorskip("distributed", reason="needs the extra 'cluster'")
    small: Any = {**ASKED, "on": ["h100"], "max_devices": 1, "simulate": 0}
    alone = hw.deploy("llama-3.1-8b", **small).record()
    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
    with (
        distributed.LocalCluster(processes=False, **options) as cluster,
        distributed.Client(cluster) as client,
    ):
        spread = hw.deploy("llama-3.1-8b", **small, client=client).record()
    for each in (alone, spread):
        each.pop("solve_time_s")
    assert json.dumps(alone) == json.dumps(spread)


@pytest.mark.thorough
def test_engines_that_draft_keep_a_promise_that_others_cannot() -> None:
    """Nothing else on one L40S makes a token in 11 ms; the command says what drafts."""
    draft = "model=llama-3.2-1b,tokens=4,acceptance=0.8"
    small: Any = {**ASKED, "on": ["l40s"], "max_devices": 1, "simulate": 100}
    small |= {"traffic": "rate=0.2,input=500,output=100", "slo": "tpot=11ms"}
    found: Any = hw.deploy("llama-3.1-8b", **small, draft=draft)
    assert found.best.seen.tpot_s < 0.011
    assert all(each.pools[0].kind.draft is not None for each in found.found.best)
    (line,) = found.flags
    assert '"num_speculative_tokens":4,"model":"llama-3.2-1b"' in line
