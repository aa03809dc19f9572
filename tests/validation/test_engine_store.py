"""An engine's rows: what is stored, and that no measured step is beyond the hardware."""

import csv
import json
from pathlib import Path

import pytest

from hwmodel.quantity.errors import InputError
from hwmodel.validation.engine_store import (
    EXPERTS,
    KERNELS,
    ONE_ROUTE,
    REQUESTS,
    STEPS,
    write_sitting,
)
from hwmodel.validation.rows import DATA

SITTINGS = sorted(path.parent for path in DATA.glob("h200*/*/engine.csv"))
SPREAD = {"engine": STEPS, "engine_kernels": KERNELS, "engine_experts": EXPERTS,
          "engine_requests": REQUESTS}  # fmt: skip
FILES = SPREAD | {apart: SPREAD[name] for name, apart in ONE_ROUTE.items()}
DRAM_BYTES_PER_S = 4.8e12
"""H200 datasheet."""
WEIGHT_BYTES = {
    "llama-3.1-8b": 15.0e9, "llama-3.1-8b.fp8": 7.5e9, "qwen2.5-1.5b": 3.0e9, "qwen3-4b": 8.0e9,
    "qwen2.5-7b": 14.0e9, "qwen3-32b.fp8": 31.0e9, "gemma-3-12b": 23.4e9,
    "mistral-nemo-12b": 24.0e9, "qwen3-8b.fp8-block": 7.6e9, "llama-3.1-8b.tp2": 15.0e9,
    "qwen3-32b.tp2": 64.0e9,
}  # fmt: skip
"""All weights that a step reads, a little under the published parameter counts."""
EXPERTS_OF = {
    "deepseek-v2-lite": (64, 6),
    "mixtral-8x7b": (8, 2),
    "nemotron-3-nano-30b-a3b": (128, 6),
    "qwen3-30b-a3b": (128, 8),
}
"""(experts, chosen for a token), from the published configs."""


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def steps(*phases: str) -> list[dict[str, str]]:
    return [
        row for folder in SITTINGS for row in lines(folder / "engine.csv") if row["phase"] in phases
    ]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """What a run of two models leaves behind, the second cut off in a line."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "header.json").write_text(json.dumps({"board": "abc"}))
    for model in ("one", "two"):
        (folder / f"{model}.engine.json").write_text(json.dumps({"model": model, "blocks": 7}))
        step = {"model": model, "phase": "decode", "batch": 3, "time_s": 0.0123456789}
        (folder / f"{model}.steps.jsonl").write_text(json.dumps(step) + "\n")
        (folder / f"{model}.kernels.jsonl").write_text("")
    with (folder / "two.steps.jsonl").open("a") as file:
        file.write('{"model": "two", "pha')
    (folder / "three.experts.json").write_text(
        json.dumps([{"phase": "decode", "tokens": 8, "mean": 7.5, "least": 7, "most": 8}])
    )
    return folder


def test_steps_come_back_as_they_were_measured(run: Path, tmp_path: Path) -> None:
    found = write_sitting(run, "toy", "a", more={"use": "fit"}, data=tmp_path)
    assert found == {"engine": 2, "engine_experts": 1}
    first, second = lines(tmp_path / "toy" / "a" / "engine.csv")
    assert (first["model"], first["batch"], first["time_s"]) == ("one", "3", "0.0123457")
    assert (second["model"], second["prompt"]) == ("two", "")
    (experts,) = lines(tmp_path / "toy" / "a" / "engine_experts.csv")
    assert (experts["model"], experts["mean"]) == ("three", "7.5")
    header = json.loads((tmp_path / "toy" / "a" / "header.json").read_text())
    assert header["engines"] == {"one": {"blocks": 7}, "two": {"blocks": 7}}
    assert (header["board"], header["sitting"], header["use"]) == ("abc", "a", "fit")


def test_models_of_one_route_are_kept_apart(run: Path, tmp_path: Path) -> None:
    found = write_sitting(run, "toy", "a", one_route=["two"], data=tmp_path)
    assert (found["engine"], found["engine_one_route"]) == (1, 1)
    (row,) = lines(tmp_path / "toy" / "a" / "engine_one_route.csv")
    assert row["model"] == "two"
    with pytest.raises(InputError, match=r"names six, which has no timed steps there; .* one, two"):
        write_sitting(run, "toy", "a", one_route=["six"], data=tmp_path)


def test_a_folder_without_steps_and_a_broken_line_are_named(run: Path, tmp_path: Path) -> None:
    (run / "one.steps.jsonl").write_text('{"model": \n{"model": "one"}\n')
    with pytest.raises(InputError, match=r"one.steps.jsonl, line 1: expected one JSON object"):
        write_sitting(run, "toy", "a", data=tmp_path)
    with pytest.raises(InputError, match=r"expected at least one NAME\.steps\.jsonl with rows"):
        write_sitting(tmp_path, "toy", "a", data=tmp_path)


@pytest.mark.parametrize("folder", SITTINGS, ids=lambda path: path.name)
def test_a_stored_sitting_has_declared_columns_and_an_engine_for_each_model(folder: Path) -> None:
    engines = json.loads((folder / "header.json").read_text())["engines"]
    for path in folder.glob("engine*.csv"):
        rows = lines(path)
        assert set(rows[0]) <= set(FILES[path.stem])
        if path.stem != "engine_experts":
            assert {row["model"] for row in rows} <= set(engines)
    for found in engines.values():
        assert 0 < found["allocated_bytes"] < found["reserved_bytes"] < 150.2e9


def test_no_step_reads_its_weights_faster_than_the_datasheet() -> None:
    judged = [row for row in steps("decode", "prefill", "mixed") if row["model"] in WEIGHT_BYTES]
    assert len(judged) > 300
    for row in judged:
        gpus = int(row["tensor_parallel"])
        assert WEIGHT_BYTES[row["model"]] / float(row["time_s"]) < gpus * DRAM_BYTES_PER_S, row


def test_bounds_of_prefills_hold_their_medians_and_streams_add_up() -> None:
    for row in steps("prefill"):
        assert float(row["low_s"]) <= float(row["time_s"]) <= float(row["high_s"])
    streams = steps("stream")
    assert streams
    for row in streams:
        answer_s = float(row["first_token_s"]) + (int(row["outputs"]) - 1) * float(
            row["per_token_s"]
        )
        if row["batch"]:
            rounds = int(row["repeats"]) / int(row["batch"])
            assert float(row["time_s"]) == pytest.approx(rounds * answer_s, rel=0.1)
        else:
            assert float(row["time_s"]) >= 0.95 * int(row["repeats"]) / float(row["rate_per_s"])


def test_steps_under_load_carry_one_prompt_each() -> None:
    loaded = [row for row in steps("mixed") if int(row["steps"]) == 16]
    assert len(loaded) >= 16
    for row in loaded:
        assert float(row["prompts"]) == 1
        assert float(row["prompt_tokens"]) == int(row["prompt"])
        assert float(row["decodes"]) in (16, 32, 64)


def test_routers_of_models_that_are_read_spread_tokens_as_chance_does() -> None:
    rows = [row for folder in SITTINGS for path in folder.glob("engine_experts.csv")
            for row in lines(path)]  # fmt: skip
    assert {row["model"] for row in rows} == set(EXPERTS_OF)
    for row in rows:
        experts, chosen = EXPERTS_OF[row["model"]]
        expected = experts * (1 - (1 - chosen / experts) ** int(row["tokens"]))
        assert float(row["mean"]) == pytest.approx(expected, rel=0.1)
