"""Files of cases: vectorised answers in order; each refusal names file, line and field."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwmodel
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.units import Amount
from hwmodel.spine.estimate import Estimate
from hwmodel.verbs import cases
from hwmodel.verbs.cases import predict_file, predict_lines

GEMM = {"workload": "gemm", "M": 512, "N": 1024, "K": 2048, "dtype": "bf16", "on": "h200"}
ATTENTION = {
    **{"workload": "attention", "batch": 2, "heads": 32, "kv_heads": 8, "queries": 1024},
    **{"keys": 1024, "head_dim": 128, "causal": True, "dtype": "bf16", "on": "h200"},
}
DECODE = {**ATTENTION, "queries": 1, "keys": 8192, "causal": False}
MOE = {
    **{"workload": "moe", "tokens": 256, "experts": 16, "top_k": 2, "hidden": 2048},
    **{"intermediate": 1024, "routing": "balanced", "dtype": "bf16", "on": "h200"},
}
ROWS = {"workload": "softmax", "rows": 4096, "cols": 1024, "dtype": "bf16", "on": "h200"}
COLLECTIVE = {
    "workload": "collective",
    "op": "all_reduce",
    "bytes": 2**20,
    "ranks": 8,
    "on": "h200",
}
LLM = {
    **{"workload": "llm", "config": "llama-3.2-1b", "phase": "decode", "batch": 4},
    **{"context": 1000, "dtype": "bf16", "on": "h200", "kernel": "torch"},
}
EVERY_KIND = [GEMM, ATTENTION, DECODE, MOE, ROWS, COLLECTIVE, LLM]
ANSWER = {
    *("time_s", "time_low_s", "time_high_s", "sustained_time_s", "energy_j", "dram_bytes_read"),
    *("dram_bytes_written", "bound_bytes", "bound_s", "bottleneck", "extrapolated"),
    *("tokens_per_s", "joules_per_token", "area_m2", "memory_bytes", "fits", "warnings"),
    *("busy_time_s", "kv_capacity_tokens", "largest_batch", "full_tokens_per_s", "bubble"),
}
WORDS = {*("matrix", "vector", "exp", "shared", "l2", "dram", "link", "atomics", "launch", "host")}


def answers(*given: dict[str, Any] | str) -> list[dict[str, Any]]:
    lines = [case if isinstance(case, str) else json.dumps(case) for case in given]
    return predict_lines(lines, where="cases.jsonl")


def error(case: dict[str, Any] | str) -> str:
    """The refusal of a case that stands on line 2, after one that is answered."""
    good, bad = answers(GEMM, case)
    assert good["time_s"] > 0
    assert bad.keys() == {"error"}
    return bad["error"]


@pytest.mark.parametrize("case", EVERY_KIND, ids=lambda case: case["workload"])
def test_every_kind_of_workload_gets_every_field(case: dict[str, Any]) -> None:
    (answer,) = answers(case)
    assert answer.keys() == ANSWER
    assert 0 < answer["time_low_s"] <= answer["time_s"] <= answer["time_high_s"]
    assert answer["energy_j"] > 0
    assert answer["bound_bytes"] <= 1.0001 * (
        answer["dram_bytes_read"] + answer["dram_bytes_written"]
    )
    assert answer["bottleneck"] in WORDS


@pytest.mark.parametrize("case", EVERY_KIND, ids=lambda case: case["workload"])
def test_a_case_answers_the_same_alone_and_among_others(case: dict[str, Any]) -> None:
    size = {"llm": "batch", "collective": "bytes", "moe": "tokens", "gemm": "M"}
    name = size.get(case["workload"], "rows" if "rows" in case else "keys")
    others = [{**case, name: case[name] + 64 * i} for i in range(8)]
    together = answers(*others)
    for other, answer in zip(others, together, strict=True):
        (alone,) = answers(other)
        for field in ANSWER:
            if isinstance(alone[field], (int, float)):
                assert answer[field] == pytest.approx(alone[field], rel=1e-12), field
            else:
                assert answer[field] == alone[field]


def test_attention_of_few_queries_answers_the_same_beside_that_of_many() -> None:
    """Decode and prefill run different kernels, hence never share a vectorised call."""
    wide = {**DECODE, "queries": 16, "heads": 128}
    given = [ATTENTION, DECODE, wide, {**ATTENTION, "queries": 16}]
    together = answers(*given)
    for case, answer in zip(given, together, strict=True):
        assert answer["time_s"] == pytest.approx(answers(case)[0]["time_s"], rel=1e-12)


def test_order_is_kept_whatever_the_kinds() -> None:
    given = [{**case, "on": on} for on in ("h200", "a100") for case in EVERY_KIND]
    mixed = given[::2] + given[1::2]
    found = answers(*mixed)
    for case, answer in zip(mixed, found, strict=True):
        assert answer["time_s"] == pytest.approx(answers(case)[0]["time_s"], rel=1e-12)


def test_an_answer_is_that_of_the_library() -> None:
    work = hwmodel.workloads.gemm(M=512, N=1024, K=2048)
    assert answers(GEMM)[0]["time_s"] == hwmodel.predict(work, on="h200").time_s


def test_an_inline_config_answers_as_its_file() -> None:
    path = Path(cases.__file__).parents[1] / "einsum/workloads/configs/llama-3.2-1b.json"
    inline = {**LLM, "config": json.loads(path.read_text())}
    by_path = {**LLM, "config": str(path)}
    times = {answer["time_s"] for answer in answers(LLM, inline, by_path)}
    assert len(times) == 1


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"M": 0}, "gemm: M: expected a number above 0, found 0"),
        ({"M": -5}, "gemm: M: expected a number above 0, found -5"),
        ({"M": 1.5}, "gemm: M: expected a whole number, found 1.5"),
        ({"M": math.nan}, "line 2: expected a finite number, found NaN"),
        ({"M": math.inf}, "line 2: expected a finite number, found Infinity"),
        ({"M": 10**400}, "line 2: expected a number of at most 400 digits, found 401"),
        ({"M": "4 GB"}, "gemm: M: expected a plain number, found '4 GB'"),
        ({"M": True}, "gemm: M: expected a number, found True"),
        ({"M": [1, 2]}, "gemm: M: expected one number, found [1, 2]"),
        ({"M": None}, "gemm: expected the field 'M', found none"),
        ({"m": 4}, "gemm: unknown field 'm' (did you mean 'M'?); known: K, M"),
        ({"dtype": "bf17"}, "unknown dtype 'bf17' (did you mean 'bf16'?)"),
        ({"dtype": 7}, "gemm: dtype: expected a name, found 7"),
        ({"on": "h2000"}, "unknown device 'h2000' (did you mean 'h200'"),
        ({"on": "absent.yaml"}, "absent.yaml: cannot be read"),
        ({"on": 200}, "on: expected the name of a device or a path, found 200"),
        ({"on": None}, "gemm: expected the field 'on', found none"),
        ({"kernel": "mkl"}, "unknown kernel 'mkl'; "),
        ({"kernel": 1}, "gemm: kernel: expected a name, or a table of names by family, found 1"),
        ({"kernel": {"gemm": "mkl"}}, "unknown kernel 'mkl'; "),
        ({"kernel": {"gemm": 1}}, "kernel: expected a library or its name, found 1"),
        ({"kernel": "cudnn"}, "kernel 'cudnn' has no gemm schedule; kernels that do: "),
        ({"bias": "yes"}, "gemm: bias: expected true or false, found 'yes'"),
        ({"workload": "gem"}, "unknown workload 'gem' (did you mean 'gemm'?); "),
        ({"workload": None}, "workload: expected one of add, attention"),
    ],
)
def test_a_bad_field_is_named_with_its_line(change: dict[str, Any], expected: str) -> None:
    found = error({**GEMM, **change})
    assert found.startswith("cases.jsonl, line 2: ")
    assert expected in found


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ({**ATTENTION, "kv_heads": 5}, "kv_heads: expected a divisor of heads (32), found 5"),
        ({**ATTENTION, "queries": 4096}, "queries: expected at most as many as keys (1024)"),
        ({**ATTENTION, "causal": "yes"}, "attention: causal: expected true or false, found 'yes'"),
        ({**MOE, "top_k": 17}, "top_k: expected at most the number of experts (16), found 17"),
        ({**MOE, "routing": "fair"}, "unknown routing 'fair'; known: balanced"),
        ({**COLLECTIVE, "ranks": 9}, "9 ranks, but one NVLink 4 switch joins at most 8"),
        ({**COLLECTIVE, "op": "gossip"}, "unknown collective 'gossip'"),
        ({**COLLECTIVE, "bytes": "3 s"}, "collective: bytes: expected a size such as '16 MiB'"),
        ({**LLM, "config": "absent.json"}, "absent.json: expected a config.json, a directory"),
        ({**LLM, "config": "llama-9"}, "unknown model config 'llama-9'"),
        ({**LLM, "config": {"model_type": "rnn"}}, "unknown architecture (model_type of config)"),
        ({**LLM, "phase": "encode"}, "llm: unknown phase 'encode' (did you mean 'decode'?)"),
        ({**LLM, "prompt": 5}, "llm: phase decode: expected no field 'prompt', found 5"),
        ({**LLM, "context": None}, "llm: phase decode: expected the field 'context', found none"),
        ({**LLM, "batch": 0}, "llm: batch: expected a number above 0, found 0"),
        ({**LLM, "tp": "two"}, "llm: tp: expected a plain number, found 'two'"),
        ({**LLM, "ignore_keys": "x"}, "llm: ignore_keys: expected a list of keys, found 'x'"),
        ({**LLM, "tp": 3}, "model: tp: expected a divisor of"),
        ({**LLM, "pp": 81}, "fewer, one for each layer; found 81"),
        ({**LLM, "ep": 2}, "ep: expected ep x etp (2 x 1) to divide tp x cp x dp (1)"),
        ({**LLM, "tp": 2, "ep": 2}, "ep: expected a model with experts"),
        (
            {**LLM, "config": 7},
            "llm: config: expected a path or an object, found 7",
        ),
    ],
)
def test_each_kind_names_what_it_refuses(case: dict[str, Any], expected: str) -> None:
    found = error(case)
    assert found.startswith("cases.jsonl, line 2: ")
    assert expected in found


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"workload":"gemm",}', "expected valid JSON, found: "),
        ("not json", "column 1: expected valid JSON, found: Expecting value"),
        ("", "column 1: expected valid JSON, found: an empty line"),
        ("[1, 2]", "expected a JSON object, found list [1, 2]"),
        (f'{{"M": {"9" * 5000}}}', "expected a number of at most 400 digits, found 5000"),
        ("[" * 100_000, "expected lists and tables nested at most 64 deep, found more"),
    ],
)
def test_a_line_that_is_no_object_is_refused(line: str, expected: str) -> None:
    assert expected in error(line)


def test_one_bad_size_among_many_spoils_no_other() -> None:
    """Only the model sees that these queries exceed their keys: the whole call fails first."""
    given = [{**ATTENTION, "keys": 1024 + i, "causal": True} for i in range(-3, 61)]
    found = answers(*given)
    assert ["error" in answer for answer in found] == [True] * 3 + [False] * 61
    assert "found 1024" in found[0]["error"]
    assert found[2]["error"].startswith("cases.jsonl, line 3: ")


def test_a_file_is_answered_line_by_line_with_status_2_if_any_is_refused(tmp_path: Path) -> None:
    path, out = tmp_path / "cases.jsonl", tmp_path / "estimates.jsonl"
    path.write_text("\n".join(map(json.dumps, [GEMM, {**GEMM, "M": 0}, ROWS])) + "\n\n")
    assert predict_file(path, out) == 2
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert ["error" in answer for answer in found] == [False, True, False]
    assert found[1]["error"].startswith(f"{path}, line 2: gemm: M: ")


def test_a_file_without_refusals_has_status_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text(json.dumps(GEMM))
    assert predict_file(path) == 0
    assert json.loads(capsys.readouterr().out).keys() == {*ANSWER, "schema"}


def test_an_interrupted_file_leaves_the_old_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> list[dict[str, Any]]:
        raise KeyboardInterrupt

    path, out = tmp_path / "cases.jsonl", tmp_path / "estimates.jsonl"
    path.write_text(json.dumps(GEMM))
    out.write_text("before")
    monkeypatch.setattr(cases, "predict_lines", interrupt)
    with pytest.raises(KeyboardInterrupt):
        predict_file(path, out)
    assert out.read_text() == "before"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cases.jsonl", "estimates.jsonl"]


def test_a_line_that_is_no_text_costs_itself_alone(tmp_path: Path) -> None:
    """A broken copy: a line in Latin-1, and half of a character at another's end."""
    good = json.dumps(GEMM).encode()
    path, out = tmp_path / "cases.jsonl", tmp_path / "out.jsonl"
    path.write_bytes(
        b"\n".join((b"\xef\xbb\xbf" + good, b'{"workload": "\xe9"}', b"\xe2\x82", good))
    )
    assert predict_file(path, out) == 2
    first, latin, half, last = map(json.loads, out.read_text().splitlines())
    assert first["time_s"] == last["time_s"] > 0
    assert latin["error"].endswith("line 2: expected UTF-8 text, found byte 0xe9 at 14")
    assert half["error"].endswith("line 3: expected UTF-8 text, found byte 0xe2 at 0")


def test_a_file_that_cannot_be_read_or_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.jsonl: cannot be read"):
        predict_file(tmp_path / "absent.jsonl")
    binary = tmp_path / "binary.jsonl"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"binary\.jsonl: expected UTF-8 text"):
        predict_file(binary)
    path = tmp_path / "cases.jsonl"
    path.write_text(json.dumps(GEMM))
    with pytest.raises(InputError, match=r"estimates\.jsonl: expected a file that can be written"):
        predict_file(path, tmp_path / "absent" / "estimates.jsonl")


def test_thousands_of_cases_are_a_few_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    real = cases.answerer

    def counted(form: str) -> Callable[[Mapping[str, Amount]], Estimate]:
        answer = real(form)

        def call(sizes: Mapping[str, Amount]) -> Estimate:
            calls.append(1)
            return answer(sizes)

        return call

    monkeypatch.setattr(cases, "answerer", counted)
    found = answers(*({**GEMM, "M": 1 + i} for i in range(5000)))
    assert len(calls) == 1
    assert all("error" not in answer for answer in found)


def test_progress_of_long_files_is_shown_on_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cases, "SHOW_PROGRESS", 2)
    path, out = tmp_path / "cases.jsonl", tmp_path / "estimates.jsonl"
    path.write_text("\n".join([json.dumps(GEMM)] * 3))
    assert predict_file(path, out) == 0
    captured = capsys.readouterr()
    assert "3/3" in captured.err
    assert captured.out == ""


def test_a_model_that_does_not_fit_says_so_at_the_batch_that_does_not() -> None:
    """128 kB of cache a token: 100,000 tokens of one sequence fit beside 16 GB, not of 64."""
    case = LLM | {"config": "llama-3.1-8b", "context": 100_000}
    small, large = answers(case | {"batch": 1}, case | {"batch": 64})
    assert not [note for note in small["warnings"] if "fit" in note]
    (note,) = [note for note in large["warnings"] if "fit" in note]
    assert note.startswith("does not fit: 7")  # 64 * 13.1 GB + 16.1 GB - 0.9 * 150.1 GB
    assert note.endswith("short; largest batch 9")
    llama = hwmodel.model("llama-3.1-8b")
    both = hwmodel.predict(llama.decode(np.array([1, 64]), 100_000), on="h200")
    for found in (both, hwmodel.predict(llama.decode(64, 100_000), on="h200")):
        assert note in found.warnings
    assert not both.record()["warnings"]  # of all points


def test_a_field_given_twice_is_refused() -> None:
    said = error('{"workload": "add", "rows": 4, "rows": 5, "cols": 8, "on": "h200"}')
    assert said == "cases.jsonl, line 2: rows: stands here a second time"


def test_a_format_that_the_machine_lacks_is_refused_with_those_it_has() -> None:
    said = error(GEMM | {"dtype": "fp8", "on": "a100"})
    assert "cublas (gemm) has no fp8 on ampere; it has on ada, hopper" in said


ALONE = [GEMM, {**GEMM, "M": 65}]


@pytest.mark.parametrize(
    "bad",
    [
        '{"workload": "llm", "config": "llama-3.1-8b", "phase": [], "batch": 1, "on": "h200"}',
        '{"workload": "collective", "op": [], "bytes": 8, "ranks": 2, "on": "h200"}',
        json.dumps({**GEMM, "on": "\0.yaml"}),
        json.dumps({**GEMM, "on": "\ud800.yaml"}),
        json.dumps({**GEMM, "on": "x" * 300}),
        json.dumps({**GEMM, "on": "x" * 300 + ".yaml"}),
        json.dumps({**GEMM, "on": "mi300x", "kernel": "triton", "dtype": "mxfp4"}),
        json.dumps({**GEMM, "kernel": {"a": 1}}),
        "[" * 100_000,
        "x" * (2**20 + 1),
    ],
)
def test_a_bad_line_never_loses_the_others(bad: str) -> None:
    good = [json.dumps(case) for case in ALONE]
    answers = predict_lines([good[0], bad, good[1]], where="f")
    assert answers[1]["error"].startswith("f, line 2: ")
    assert "internal" not in answers[1]["error"]
    assert [answers[0], answers[2]] == predict_lines(good)


def test_a_fault_of_our_own_costs_its_line_and_is_status_1(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from hwmodel.verbs import cases as module

    whole = module.answerer

    def broken(form: str) -> Any:
        if "fp16" in form:
            raise ZeroDivisionError("x")
        return whole(form)

    monkeypatch.setattr(module, "answerer", broken)
    path, out = tmp_path / "f.jsonl", tmp_path / "out"
    path.write_text("\n".join(json.dumps(c) for c in (GEMM, {**GEMM, "dtype": "fp16"})))
    assert predict_file(path, out) == 1
    good, bad = map(json.loads, out.read_text().splitlines())
    assert bad == {"error": f"{path}, line 2: internal: ZeroDivisionError: 'x'", "schema": 1}
    assert good["time_s"] > 0


def test_a_folder_is_no_file_to_write_to(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    path.write_text(json.dumps(GEMM))
    for out, expected in ((tmp_path, "found a folder"), ("a\0b", "can be written")):
        with pytest.raises(InputError, match=expected):
            predict_file(path, out)
    assert list(tmp_path.iterdir()) == [path]
