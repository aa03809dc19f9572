"""What commands refuse: one line that says where, in words or as JSON, and a status."""

import json
from pathlib import Path
from typing import Any

import pytest

import hwmodel
from hwmodel import cli
from tests.hwmodel.test_cli import DECODE, GEMM, H200, Capture, run


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            (),
            "expected a model config (`hwmodel models` lists those that come along) or a workload",
        ),
        (GEMM, "expected --on with a device's name or file, found none"),
        (["cross_entropy", "rows=4"], "unknown model config or workload 'cross_entropy'"),
        (
            (*GEMM, "--on", "h2000"),
            "unknown device 'h2000' (did you mean 'h200' or 'gh200' or 'h20'?); ",
        ),
        ((*GEMM, "--on", "absent.yaml"), "absent.yaml: cannot be read"),
        (("gemm", "M=0", "N=4", "K=4", *H200), "gemm: M: expected a number above 0, found 0"),
        (("gemm", "M=-1", "N=4", "K=4", *H200), "gemm: M: expected a number above 0, found -1"),
        (("gemm", "M=NaN", "N=4", "K=4", *H200), "gemm: M: expected a plain number, found 'NaN'"),
        (("gemm", "M=x", "N=4", "K=4", *H200), "gemm: M: expected a plain number, found 'x'"),
        (("gemm", "4096", *H200), "expected a field such as M=4096, found '4096'"),
        (("gemm", "N=4", "K=4", *H200), "gemm: expected the field 'M', found none"),
        ((*GEMM, "--batch", "0", *H200), "gemm: batch: expected a number above 0, found 0"),
        ((*GEMM, "dtype=fp8", "--dtype", "bf16", *H200), "dtype: given twice, as an option and"),
        ((*GEMM, "--dtype", "bf17", *H200), "unknown dtype 'bf17' (did you mean 'bf16'?)"),
        ((*GEMM, "--kernel", "mkl", *H200), "`hwmodel kernels` lists them"),
        (("gem", *H200), "unknown model config or workload 'gem' (did you mean 'gemm'?); "),
        (("llama-9", "--context", "9", *H200), "unknown model config or workload 'llama-9'"),
        (("llama-3.2-1b", *H200), "llama-3.2-1b: expected --context (to decode) or --prompt"),
        (("llama-3.2-1b", "--on", "h2000"), "unknown device 'h2000'"),
        (("llama-3.2-1b", "--engine", "vlm", *H200), "unknown engine 'vlm' (did you mean 'vllm'"),
        (("absent.json", "--context", "9", *H200), "absent.json: expected a config.json"),
        ((*DECODE, "--prompt", "5", *H200), "phase decode: expected no field 'prompt', found 5"),
        (("llama-3.2-1b", "--phase", "train", "--context", "9", *H200), "unknown phase 'train'"),
        ((*DECODE, "--tp", "3", *H200), "model: tp: expected a divisor of"),
        (("--out", "x"), "--out: expected --cases with it"),
        (("--cases", "x", *H200), "--cases: expected no other argument but --out, found 'on'"),
        (("--cases", "absent.jsonl"), "absent.jsonl: cannot be read"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, words: tuple[str, ...], expected: str
) -> None:
    assert run(monkeypatch, "predict", *words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert expected in captured.err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '{"model_type": "llama",}',
            "config.json, line 1, column 24: expected valid JSON, found",
        ),
        ("[]", "config.json: expected a JSON object of config keys, found list"),
        ('{"model_type": "rnn"}', "unknown architecture (model_type of"),
        ('{"hidden_size": 4}', "expected the key 'model_type', found none; `hwmodel models` lists"),
        ('{"model_type": "llama", "hidden_size": "big"}', "hidden_size: expected a valid"),
    ],
)
def test_a_bad_config_names_its_file_and_place(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path, text: str, expected: str
) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    assert run(monkeypatch, "predict", str(path), "--context", "9", *H200) == 2
    error = capsys.readouterr().err
    assert "config.json" in error
    assert expected in error


@pytest.mark.parametrize("words", [("predikt",), ("predict", "--nothing"), ("compare", *GEMM)])
def test_a_wrong_command_is_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, words: tuple[str, ...]
) -> None:
    assert run(monkeypatch, *words) == 2
    assert "Error" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("raised", "status", "said"),
    [
        (KeyboardInterrupt(), 130, ""),
        (KeyError("lost"), 1, "error: internal: KeyError: 'lost' (set HWMODEL_TRACEBACK=1"),
    ],
)
def test_interruptions_and_bugs_have_a_status_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, raised: BaseException, status: int, said: str
) -> None:
    def stop(*_: Any) -> None:
        raise raised

    monkeypatch.delenv(cli.TRACEBACK, raising=False)
    monkeypatch.setattr("hwmodel.verbs.request.read", stop)
    assert run(monkeypatch, "predict", *GEMM, *H200) == status
    error = capsys.readouterr().err
    assert error.strip() == "" if not said else error.startswith(said)
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--einsum", "C[m] = A[m]", "--ranks", "m=8"], "expected --on with a device"),
        ([*GEMM, *H200, "--ranks", "m=8"], "--ranks: expected --einsum or --cascade with it"),
        ([*GEMM, *H200, "--memory", "l4=1MB"], "unknown memory of h200 'l4'"),
        ([*GEMM, *H200, "--cascade", "gemm"], "--einsum or --cascade alone, found 'gemm'"),
        (["--cascade", "gemm", "--batch", "2", *H200], "'batch'"),
    ],
)
def test_options_of_einsums_stand_with_einsums(
    words: list[str], what: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    assert run(monkeypatch, "predict", *words) == 2
    assert what in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "kind", "what"),
    [
        (["predict", *GEMM, "--on", "h2"], "UnknownNameError", "unknown device 'h2'"),
        (["predict", *GEMM, *H200, "--tp", "x"], "BadParameter", "--tp"),
        (["predict", *GEMM, *H200, "--nope"], "NoSuchOption", "--nope"),
        (["map", "--cascade", "gemm"], "InputError", "gemm: expected the argument 'M'"),
    ],
)
def test_where_json_is_asked_for_errors_are_json(
    words: list[str], kind: str, what: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    assert run(monkeypatch, *words, "--json") == 2
    told = capsys.readouterr()
    found = json.loads(told.out)
    assert what in found["error"]
    assert found["kind"] == kind
    assert found["hwmodel_version"] == hwmodel.__version__
    assert what in told.err


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["predict", "gemm", "M=0", "N=1", "K=1", *H200], 2),
        (["predict"], 2),
        (["predict", "--cases", "nowhere.jsonl"], 2),
        (["predict", "--nothing"], 2),
        (["bound", "gemm", "M=64", "--on", "h200"], 2),
        (["compare", *GEMM, "--on", "nothing"], 2),
        (["collective", "all_reduce", "many", "--ranks", "8", *H200], 2),
        (["collective", "all_reduce"], 2),
        (["map", "--einsum", "Z[m] ="], 2),
        (["place", "--routing", "nowhere.npz", "--devices", "2"], 2),
        (["patches", "nothing", "--on", "stm32f412"], 2),
        (["split", "resnet50", *H200, "--server", "h200", "--rate", "fast"], 2),
        (["sweep", "nowhere.yaml"], 2),
        (["plot", "nothing", "--out", "a.png"], 2),
        (["devices", "nothing"], 2),
        (["energy", "nothing"], 2),
        (["validate", "--on", "b200"], 2),
        (["papers", "nothing"], 2),
        (["models", "nothing"], 2),
        (["attention-units", "--on", "t4"], 3),
        (["nothing"], 2),
    ],
)
def test_what_is_refused_under_json_is_json(
    words: list[str], status: int, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    assert run(monkeypatch, *words, "--json") == status
    found = json.loads(capsys.readouterr().out)
    assert {"error", "kind", "schema", "hwmodel_version"} <= set(found)
    assert found["schema"] == 1


def test_a_device_that_refuses_leaves_the_others_their_answers(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    words = ["compare", *GEMM, "--on", "stm32h743", *H200, "--on", "b200"]
    assert run(monkeypatch, *words) == 2
    text = capsys.readouterr().out
    assert "number 2 (NVIDIA B200 (HGX) 180 GB) is fastest" in text
    assert "no answer on STM32H743" in text
    assert run(monkeypatch, *words, "--json") == 2
    first, second, third = json.loads(capsys.readouterr().out)
    assert "microcontrollers run" in first["error"]
    assert "error" not in second
    assert (
        third["time_s"]
        == hwmodel.predict(hwmodel.workloads.gemm(M=512, N=1024, K=2048), "b200").time_s
    )
    assert run(monkeypatch, "compare", *GEMM, "--on", "stm32h743", "--on", "rp2040") == 2
    assert "microcontrollers run" in capsys.readouterr().err


def test_a_letter_of_the_other_case_is_suggested(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    assert run(monkeypatch, "predict", "gemm", "m=512", *H200) == 2
    assert "unknown field 'm' (did you mean 'M'?)" in capsys.readouterr().err


def test_a_field_given_twice_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    assert run(monkeypatch, "predict", "gemm", "M=4", "N=4", "K=4", "M=5", "--on", "h200") == 2
    assert "M: given twice, as 4 and as 5" in capsys.readouterr().err
