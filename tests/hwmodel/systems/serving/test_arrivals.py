"""Streams of requests: rates, bursts and lengths by their moments, traces by their rows."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwmodel.quantity.errors import InputError
from hwmodel.systems.serving.arrivals import read, stream

SHARED = Path(__file__).resolve().parents[4].parent / "shared" / "data"


def gaps(**given: Any) -> Any:
    made = stream(100, 10, rate_per_s=5.0, requests=40_000, **given)
    return np.diff([0.0, *(each.arrival_s for each in made)])


@pytest.mark.parametrize(
    ("given", "cv"),
    [({}, 1.0), ({"arrivals": "gamma", "arrival_cv": 3.0}, 3.0), ({"arrivals": "constant"}, 0.0)],
)
def test_gaps_have_the_mean_and_the_variation_that_are_asked_for(given: Any, cv: float) -> None:
    found = gaps(**given)
    assert found.mean() == pytest.approx(0.2, rel=0.05)
    assert found.std() / found.mean() == pytest.approx(cv, rel=0.05, abs=0.01)


def test_lengths_have_the_mean_and_the_variation_that_are_asked_for() -> None:
    made = stream({"mean": 500, "cv": 0.8}, {"mean": 60, "cv": 0}, requests=20_000)
    inputs = np.array([each.input for each in made])
    assert inputs.mean() == pytest.approx(500, rel=0.02)
    assert inputs.std() / inputs.mean() == pytest.approx(0.8, rel=0.03)
    assert {each.output for each in made} == {60}
    assert {each.arrival_s for each in made} == {0.0}


def test_a_stream_of_a_duration_ends_with_it_and_has_its_rate() -> None:
    made = stream(9, 9, rate_per_s=50.0, duration_s=400.0)
    assert made[-1].arrival_s < 400
    assert len(made) == pytest.approx(20_000, rel=0.03)
    assert len(stream(9, 9, rate_per_s=50.0, duration_s=400.0, requests=7)) == 7


def test_a_prefix_is_whole_blocks_of_prompts_that_are_as_long() -> None:
    made = stream({"mean": 100, "cv": 1}, 5, requests=200, prefix=50)
    assert {(each.hashes, each.span) for each in made if each.input >= 50} == {((0,), 48)}
    assert all(not each.hashes for each in made if each.input < 50)


def test_prompts_that_are_asked_again_keep_their_lengths_and_blocks() -> None:
    made = stream({"mean": 100, "cv": 0.5}, 5, requests=20, prompts=3, prefix=40)
    assert [each.input for each in made[3:]] == [each.input for each in made[:-3]]
    assert [each.hashes for each in made[3:]] == [each.hashes for each in made[:-3]]
    assert {each.span for each in made} == {16}
    one, two, three = (each.hashes for each in made[:3])
    assert [len(each) for each in (one, two, three)] == [each.input // 16 for each in made[:3]]
    assert one[:2] == two[:2] == three[:2]  # whole blocks of the prefix
    assert not {*one[2:]} & {*two[2:]}
    assert not {*two[2:]} & {*three[2:]}


def test_traces_of_every_form_are_read(tmp_path: Path) -> None:
    azure = tmp_path / "azure.csv"
    azure.write_text(
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2023-11-16 18:17:03.9799600,4808,10\n2023-11-16 18:17:04.0319600,3180,8\n"
    )
    found, timed = read(azure)
    assert timed
    assert [(each.input, each.output) for each in found] == [(4808, 10), (3180, 8)]
    assert [each.arrival_s for each in found] == pytest.approx([0.0, 0.052], abs=1e-5)
    mooncake = tmp_path / "mooncake.jsonl"
    rows = [
        {"timestamp": 40, "input_length": 1100, "output_length": 3, "hash_ids": [7, 8, 9]},
        {"timestamp": 1040, "input_length": 500, "output_length": 0, "hash_ids": [7]},
    ]
    mooncake.write_text("\n".join(map(json.dumps, rows)))
    first, second = read(mooncake)[0]
    assert (first.hashes, first.span, first.arrival_s) == ((7, 8), 512, 0.0)
    assert (second.hashes, second.output, second.arrival_s) == ((), 1, 1.0)
    vllm = tmp_path / "result.json"
    vllm.write_text(json.dumps({"input_lens": [5, 6, 7], "output_lens": [2, 3, 4], "ttfts": [1]}))
    found, timed = read(vllm, requests=2)
    assert not timed
    assert [(each.input, each.output) for each in found] == [(5, 2), (6, 3)]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.jsonl", '{"arrival_s": 1, "input": 3}', "output: expected one of"),
        ("a.jsonl", '{"arrival_s": "x", "input": 3, "output": 2}', "arrival_s: expected a number"),
        ("a.csv", "arrival_s,input,output\n", "expected one request or more"),
        ("a.json", "[1, 2]", "expected tables of arrivals"),
    ],
)
def test_what_is_no_trace_is_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        read(path)


@pytest.mark.skipif(not SHARED.exists(), reason="no shared data")
def test_public_traces_are_read_whole() -> None:
    """Numbers of rows of the files, as `wc` counts them."""
    found, _ = read(SHARED / "azure_llm" / "AzureLLMInferenceTrace_conv.csv")
    rows = (SHARED / "azure_llm" / "AzureLLMInferenceTrace_conv.csv").read_text().count("\n")
    assert len(found) in (rows, rows - 1)
    some, timed = read(SHARED / "mooncake" / "conversation_trace.jsonl", requests=300)
    assert timed
    # Of the first request's 6,758 tokens 13 spans are whole; its fourteenth name is of a part.
    assert (some[0].input, len(some[0].hashes), some[0].span) == (6758, 13, 512)
