"""`hwmodel explain`, `sensitivity` and `plot`: answers, JSON, pictures and refusals."""

import json
import re
from pathlib import Path

import polars
import pytest
from typer.testing import CliRunner

from hwmodel.cli import app
from hwmodel.quantity.errors import InputError, SolverError, UnknownNameError
from tests.thorough import thorough

GEMM = ("gemm", "M=4096", "N=4096", "K=4096")


def answer(*arguments: str) -> str:
    found = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.output


def test_explain_says_why_in_sentences() -> None:
    assert "- matrix binds: it is needed for" in answer("explain", *GEMM, "--on", "h200")


def test_explain_of_two_devices_says_why_they_differ() -> None:
    record = json.loads(answer("explain", *GEMM, "--on", "h200", "--on", "h100", "--json"))
    apart = record["after"]["time_s"] - record["before"]["time_s"]
    assert sum(cause["time_s"] for cause in record["causes"]) == pytest.approx(apart)


def test_explain_of_a_collective_needs_no_kernels() -> None:
    fields = ("collective", "op=all_reduce", "bytes=1000000", "ranks=4")
    assert "link binds" in answer("explain", *fields, "--on", "h200")


def test_sensitivity_prints_a_row_a_number_and_draws_them(tmp_path: Path) -> None:
    picture = tmp_path / "tornado.svg"
    text = answer("sensitivity", *GEMM, "--on", "h200", "--picture", str(picture))
    assert "matrix.rate.bf16" in text
    drawn = picture.read_text(encoding="utf-8")
    assert "<!-- matrix.rate.bf16 -->" in drawn
    assert len(re.findall(r"<path ", drawn)) > 20


def test_break_even_prints_the_value() -> None:
    number = ("--break-even", "hbm.bandwidth", "--to", "matrix")
    record = json.loads(answer("sensitivity", *GEMM, "--on", "h200", *number, "--json"))
    assert record["number"] == "dram.bandwidth"
    assert record["changes"][0]["above"] == "matrix"


@pytest.mark.parametrize("kind", ["roofline", "breakdown", "tornado"])
def test_plot_draws_a_prediction(kind: str, tmp_path: Path) -> None:
    out = tmp_path / "a.png"
    assert answer("plot", kind, *GEMM, "--on", "h200", "--out", str(out)) == f"wrote {out}\n"
    assert out.stat().st_size > 10_000


def test_plot_draws_a_table_of_a_sweep(tmp_path: Path) -> None:
    table = polars.DataFrame(
        {
            "M": [1, 1, 2, 2],
            "N": [1, 2, 1, 2],
            "time_s": [1.0, 2.0, 3.0, 4.0],
            "energy_j": [4.0, 3.0, 2.0, 1.0],
        }
    )
    source, out = tmp_path / "rows.parquet", tmp_path / "a.png"
    table.write_parquet(source)
    for words in (("pareto", str(source)), ("heatmap", str(source), "--x", "M", "--y", "N")):
        answer("plot", *words, "--out", str(out))
        assert out.stat().st_size > 10_000
        out.unlink()


def test_plot_draws_the_rows_that_meet_conditions(tmp_path: Path) -> None:
    rows = {"M": [1, 1, 2, 2, 1], "N": [1, 2, 1, 2, 1], "K": [1, 1, 1, 1, 2], "time_s": [1.0] * 5}
    source, out = tmp_path / "rows.csv", tmp_path / "a.png"
    polars.DataFrame(rows).write_csv(source)
    words = ("plot", "heatmap", str(source), "--x", "M", "--y", "N", "--out", str(out))
    with pytest.raises(InputError, match=r"expected one row for each pair.*--where"):
        answer(*words)
    answer(*words, "--where", "K = 1")
    assert out.stat().st_size > 10_000


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (("plot", "pie", *GEMM, "--out", "a.png"), UnknownNameError, "unknown picture 'pie'"),
        (("plot", "pareto", "--out", "a.png"), InputError, "expected a sweep's folder or file"),
        (("plot", "pareto", "nowhere", "--out", "a.png"), InputError, "nowhere: expected the fold"),
        (("plot", "pareto", "x", "--on", "h200", "--out", "a.png"), InputError, "found --on"),
        (("plot", "parity", "--phase", "decode", "--out", "a.png"), InputError, "--on alone"),
        (("plot", "roofline", *GEMM, "--x", "M", "--out", "a.png"), InputError, "--x: expected"),
        (("explain", *GEMM, *(["--on", "h200"] * 3)), InputError, "or two to compare, found 3"),
        (("sensitivity", *GEMM, "--on", "h200", "--to", "l2"), InputError, "--break-even with it"),
        (
            ("sensitivity", *GEMM, "--on", "h200", "--break-even", "link.bandwidth"),
            SolverError,
            "found matrix throughout",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(
    arguments: tuple[str, ...], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "rows.parquet"
    source.write_text("no table", encoding="utf-8")
    with pytest.raises(InputError, match=r"rows.parquet: expected a table"):
        answer("plot", "pareto", str(source), "--out", str(tmp_path / "a.png"))


STEP = ("llama-3.1-8b", "--context", "1024", "--batch", "8", "--engine", "vllm")


@pytest.mark.thorough
def test_explain_takes_an_engine() -> None:
    record = json.loads(answer("explain", *STEP, "--on", "h200", "--json"))
    assert record["reasons_s"]["the host, which kernels do not hide"] > 0


def test_engines_on_two_devices_differ_by_what_the_devices_do() -> None:
    """A step that streams weights differs by the bandwidth: 4.8 against 3.35 TB/s."""
    found = answer("explain", *STEP, "--on", "h200", "--on", "h100", "--json")
    first = json.loads(found)["causes"][0]
    assert first["name"] == "dram.bandwidth"


@pytest.mark.parametrize("verb", ["bound", thorough("sensitivity")])
def test_bounds_and_sensitivities_take_an_engine(verb: str) -> None:
    assert "llama-3.1-8b decode" in answer(verb, *STEP, "--on", "h200")
