"""The command line: what it prints, how it refuses, and how long it takes to load nothing."""

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import hwmodel
from hwmodel import cli
from hwmodel.verbs.ask import VERBS, question

ROOT = Path(__file__).resolve().parents[2]
H200 = ["--on", "h200"]
GEMM = ["gemm", "M=512", "N=1024", "K=2048"]
DECODE = ["llama-3.2-1b", "--phase", "decode", "--batch", "4", "--context", "1000"]

Capture = pytest.CaptureFixture[str]


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The exit status of `hwmodel words...`."""
    monkeypatch.setattr(sys, "argv", ["hwmodel", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


def printed(monkeypatch: pytest.MonkeyPatch, capsys: Capture, *words: str) -> Any:
    """The JSON that `hwmodel words... --json` prints."""
    assert run(monkeypatch, *words, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_predicting_a_model_prints_kernels_memory_and_tokens(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    assert run(monkeypatch, "predict", *DECODE, *H200) == 0
    text = capsys.readouterr().out
    assert text.startswith("llama-3.2-1b decode on NVIDIA H200")
    assert all(word in text for word in ("gate-up", "tokens/s", "per token", "largest batch"))


def test_the_phase_follows_from_the_size(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    short = printed(monkeypatch, capsys, "predict", "llama-3.2-1b", "--prompt", "100", *H200)
    assert short["name"] == "llama-3.2-1b prefill"
    assert short["tokens"] == 100


def test_json_is_the_estimate_of_the_library(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    found = printed(monkeypatch, capsys, "predict", *DECODE, *H200)
    expected = hwmodel.predict(hwmodel.model("llama-3.2-1b").decode(4, 1000), on="h200")
    assert found["time_s"] == expected.time_s
    assert found["energy_j"] == expected.energy_j
    assert found["bottleneck"] == expected.bottleneck
    assert found["tokens_per_s"] == pytest.approx(4 / expected.time_s)
    assert found["memory"]["fits"] is True
    assert sum(part["times"] * part["time_s"] for part in found["parts"]) == pytest.approx(
        expected.time_s
    )


def test_fields_of_a_workload_are_words_with_an_equals_sign(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    words = ("attention", "batch=2", "heads=32", "queries=256", "keys=512", "head_dim=128")
    found = printed(monkeypatch, capsys, "predict", *words, "causal=true", "dtype=fp16", *H200)
    work = hwmodel.workloads.attention(
        batch=2, heads=32, queries=256, keys=512, head_dim=128, causal=True, dtype="fp16"
    )
    assert found["time_s"] == hwmodel.predict(work, on="h200").time_s


def test_options_of_a_model_reach_it(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    plain = printed(monkeypatch, capsys, "predict", *DECODE, *H200)
    small = printed(monkeypatch, capsys, "predict", *DECODE, *H200, "--kv-dtype", "fp8")
    ratio = small["memory"]["kv_cache_bytes"] / plain["memory"]["kv_cache_bytes"]
    assert ratio == 0.5
    assert any("kv" in warning and "fp8" in warning for warning in small["warnings"])
    split = printed(monkeypatch, capsys, "predict", *DECODE, *H200, "--tp", "2")
    assert any(part["name"].startswith("all_reduce") for part in split["parts"])


def test_an_ignored_key_is_echoed(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    shipped = Path(cli.__file__).parent / "einsum/workloads/configs/llama-3.2-1b.json"
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(shipped.read_text()), "sparkle": 3}))
    words = ("predict", str(path), *DECODE[1:], *H200)
    assert run(monkeypatch, *words) == 2
    assert "unknown key 'sparkle' (value 3)" in capsys.readouterr().err
    found = printed(monkeypatch, capsys, *words, "--ignore-key", "sparkle")
    assert any("'sparkle'" in warning for warning in found["warnings"])


def test_an_unknown_architecture_is_read_as_another_when_asked_to(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    shipped = Path(cli.__file__).parent / "einsum/workloads/configs/llama-3.2-1b.json"
    keys = {**json.loads(shipped.read_text()), "model_type": "sparkle", "gears": 3}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(keys))
    words = ("predict", str(path), *DECODE[1:], *H200)
    assert run(monkeypatch, *words) == 2
    assert "unknown architecture" in capsys.readouterr().err
    found = printed(monkeypatch, capsys, *words, "--as", "llama")
    assert any("read as llama, as asked" in warning for warning in found["warnings"])
    shipped_one = printed(monkeypatch, capsys, "predict", *DECODE, *H200)
    assert found["time_s"] == shipped_one["time_s"]


def test_the_text_of_a_config_with_several_parts_is_read(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    shipped = Path(cli.__file__).parent / "einsum/workloads/configs/llama-3.2-1b.json"
    parts = {"text_config": json.loads(shipped.read_text()), "vision_config": {"depth": 2}}
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"model_type": "seer", **parts}))
    words = ("predict", str(path), *DECODE[1:], *H200)
    found = printed(monkeypatch, capsys, *words, "--part", "text")
    assert any("text_config alone is read" in warning for warning in found["warnings"])
    assert run(monkeypatch, *words, "--part", "sound") == 2
    assert "known: text, vision" in capsys.readouterr().err


def test_a_model_that_does_not_fit_is_told_with_status_3(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    words = ("predict", "llama-3.1-70b", "--batch", "8", "--context", "4096", "--on", "l40s")
    assert run(monkeypatch, *words) == 3
    head = capsys.readouterr().out.split("\n\n")[0]
    assert "short by" in " ".join(head.split())  # wherever the line is broken


def test_a_bound_names_its_level(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """2 bytes of each element of three matrices, once."""
    found = printed(monkeypatch, capsys, "bound", *GEMM, *H200)
    assert found["dram_bytes"] == 2 * (512 * 2048 + 1024 * 2048 + 512 * 1024)
    assert run(monkeypatch, "bound", *GEMM, *H200) == 0
    text = capsys.readouterr().out
    assert "cross the dram boundary" in text
    assert "the kernels are predicted to take" in text


def test_machines_are_compared_in_the_order_given(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    words = ("compare", *GEMM, "--on", "a100", "--on", "h200")
    names = [each["device"].split()[1] for each in printed(monkeypatch, capsys, *words)]
    assert names == ["A100", "H200"]
    assert run(monkeypatch, *words) == 0
    assert "number 2" in capsys.readouterr().out


def test_devices_are_listed_and_shown(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    listed = printed(monkeypatch, capsys, "devices")
    assert {"h200", "a100"} <= {device["name"] for device in listed}
    shown = printed(monkeypatch, capsys, "devices", "H200")
    assert shown["memories"]["dram"]["bandwidth_bytes_per_s"] == 4.8e12
    assert "datasheet" in shown["sources"]["memories.dram.bandwidth"]
    assert run(monkeypatch, "devices", "h200") == 0
    assert "[1]" in capsys.readouterr().out
    assert run(monkeypatch, "devices") == 0
    assert capsys.readouterr().out.count("TFLOP/s") >= 3


def test_a_device_may_be_a_file_of_ones_own(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    shipped = Path(cli.__file__).parent / "hardware/devices/h200.yaml"
    path = tmp_path / "mine.yaml"
    path.write_text(shipped.read_text().replace("[4.8 TB/s, datasheet]", "[9.6 TB/s, datasheet]"))
    rows = ("predict", "copy", "rows=65536", "cols=8192")
    slow = printed(monkeypatch, capsys, *rows, *H200)["time_s"]
    fast = printed(monkeypatch, capsys, *rows, "--on", str(path))["time_s"]
    assert fast < slow
    path.write_text(shipped.read_text().replace("[4.8 TB/s, datasheet]", "[4.8 GHz, datasheet]"))
    assert run(monkeypatch, *rows, "--on", str(path)) == 2
    error = capsys.readouterr().err
    assert str(path) in error
    assert "expected a bandwidth such as '4.8 TB/s', found '4.8 GHz'" in error


def test_cases_go_from_file_to_file(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    path, out = tmp_path / "cases.jsonl", tmp_path / "estimates.jsonl"
    good = {"workload": "gemm", "M": 8, "N": 8, "K": 8, "on": "h200"}
    path.write_text(json.dumps(good) + "\n" + json.dumps({**good, "M": 0}) + "\n")
    assert run(monkeypatch, "predict", "--cases", str(path), "--out", str(out)) == 2
    first, second = map(json.loads, out.read_text().splitlines())
    assert first["time_s"] > 0
    assert second["error"] == f"{path}, line 2: gemm: M: expected a number above 0, found 0"
    assert capsys.readouterr().out == ""


def test_a_cold_prediction_loads_only_what_it_needs() -> None:
    """The module runs as a program, and leaves slow libraries alone (seconds, taken together)."""
    words = ["predict", *DECODE, *H200]
    code = f"""
import sys
sys.argv = ["hwmodel", *{words!r}]
from hwmodel.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code
slow = "dask matplotlib networkx pandas polars pulp scipy torch triton".split()
print([name for name in slow if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("\n[]\n")


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hwmodel", "devices", "none"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: unknown device 'none'; ")
    assert done.stdout == ""


@pytest.mark.parametrize(
    "words",
    [
        [
            "attention",
            "batch=1",
            "heads=2",
            "queries=64",
            "keys=64",
            "head_dim=64",
            "--on",
            "fusemax",
        ],
        ["cnn", "network=mobilenetv2", "resolution=64", "width=0.35", "--on", "stm32h743"],
    ],
)
def test_a_prediction_draws_where_time_and_energy_go(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    path = tmp_path / "picture.png"
    run(monkeypatch, "predict", *words, "--picture", str(path))
    assert path.stat().st_size > 10_000
    assert run(monkeypatch, "predict", *words, "--picture", str(tmp_path / "picture.xyz")) == 2
    assert "expected a picture's ending" in capsys.readouterr().err


def test_a_bound_is_that_of_all_devices_that_divide_a_model(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """The bytes stay, the time halves."""
    alone = printed(monkeypatch, capsys, "bound", *DECODE, *H200)
    both = printed(monkeypatch, capsys, "bound", *DECODE, *H200, "--tp", "2")
    assert both["dram_bytes"] == alone["dram_bytes"]
    assert both["time_s"] == pytest.approx(alone["time_s"] / 2, rel=0.01)


def test_einsums_are_predicted_as_the_workload_that_they_are(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    words = ["--einsum", "C[m,n] = A[m,k] * W[n,k]", "--ranks", "m=512,n=1024,k=2048"]
    found = printed(monkeypatch, capsys, "predict", *words, "--dtype", "bf16", *H200)
    assert found["time_s"] == printed(monkeypatch, capsys, "predict", *GEMM, *H200)["time_s"]


def test_answers_in_json_name_the_version(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    found = printed(monkeypatch, capsys, "predict", *GEMM, *H200)
    assert found["hwmodel_version"] == hwmodel.__version__
    assert found["schema"] == 1


def test_every_record_of_a_list_and_every_line_says_the_version_of_its_fields(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    for words in (["compare", *GEMM, *H200, "--on", "b200"], ["kernels"], ["devices"]):
        found = printed(monkeypatch, capsys, *words)
        assert len(found) > 1
        assert {each["schema"] for each in found} == {1}
    case = {"workload": "gemm", "M": 64, "N": 64, "K": 64}
    asked = [{**case, "on": "h200"}, case, {**case, "verb": "compare", "on": ["h200", "b200"]}]
    (tmp_path / "cases.jsonl").write_text("\n".join(json.dumps(each) for each in asked))
    assert run(monkeypatch, "predict", "--cases", str(tmp_path / "cases.jsonl")) == 2
    one, refused, two = map(json.loads, capsys.readouterr().out.splitlines())
    assert "expected the field 'on'" in refused["error"]
    assert {each["schema"] for each in (one, refused, *two)} == {1}


@pytest.mark.parametrize(
    ("begun", "expected"),
    [("predict gemm --on h2", {"h20", "h200"}), ("predict kme", {"kmeans"}), ("val", {"validate"})],
)
def test_shells_complete_words(begun: str, expected: set[str]) -> None:
    words = f"hwmodel {begun}"
    asked = {
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
        "_HWMODEL_COMPLETE": "complete_bash",
    }
    found = subprocess.run(
        [sys.executable, "-m", "hwmodel"], env={**os.environ, **asked}, cwd=ROOT,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert set(found.stdout.split()) == expected


def test_help_goes_by_its_letter(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    assert run(monkeypatch, "predict", "-h") == 0
    assert "--on" in capsys.readouterr().out


@pytest.mark.parametrize("columns", ["60", "80", "120"])
def test_help_says_all_of_what_each_command_answers(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert run(monkeypatch, "-h") == 0
    out = capsys.readouterr().out
    assert all(len(line) <= int(columns) for line in out.splitlines())
    told = " ".join(out.split())
    for name in VERBS:
        assert f"{name} {question(name).__doc__.splitlines()[0]}" in told  # pyright: ignore[reportOptionalMemberAccess]


def test_a_command_that_is_none_is_told_the_nearest(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    assert run(monkeypatch, "predct", "gemm") == 2
    assert "No such command 'predct'; did you mean predict?" in capsys.readouterr().err
    assert run(monkeypatch, "zzz", "--json") == 2
    assert "hwmodel -h lists all" in json.loads(capsys.readouterr().out)["error"]


def test_the_path_of_a_network_is_a_workload(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(b"no network")
    assert run(monkeypatch, "predict", str(path), "--on", "stm32h743") == 2
    assert "expected a TFLite flatbuffer" in capsys.readouterr().err


def test_the_version_comes_with_the_date_of_the_newest_calibration(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    assert run(monkeypatch, "--version") == 0
    said = capsys.readouterr().out.split()
    assert said[:2] == ["hwmodel", f"{hwmodel.__version__},"]
    calibrated = [hwmodel.device(name).calibration for name in ("h200", "a100", "stm32h743")]
    assert all(each is not None and each.date <= said[-1] for each in calibrated)
    assert date.fromisoformat(said[-1]) >= date(2026, 11, 28)


def test_rows_of_an_answer_are_saved(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    path = tmp_path / "rows.md"
    assert run(monkeypatch, "predict", *DECODE, *H200, "--save", str(path)) == 0
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("| kernel | family | runs | time_s |")
    assert any(line.startswith("| gate-up | gemm:cublas | 16 |") for line in lines)
    assert run(monkeypatch, "compare", *GEMM, *H200, "--on", "a100", "--save", str(path)) == 0
    assert len(path.read_text(encoding="utf-8").splitlines()) == 4
    capsys.readouterr()
    assert run(monkeypatch, "doctor", "--save", str(path)) == 2
    assert "doctor answers with no table" in capsys.readouterr().err
