"""Studies: what a file asks for, and where a bad one is wrong."""

from pathlib import Path

import pytest

import hwmodel as hw
from hwmodel.hardware.catalogue import CATALOGUE
from hwmodel.quantity.errors import InputError
from hwmodel.sweeps.run import run
from hwmodel.verbs.study import study

DECODE = """\
case: {workload: llm, config: llama-3.2-1b, phase: decode, context: 1024}
axes:
  batch: {log: [1, 64], points: 4}
  on: [h200, b200]
  on.hbm.bandwidth: {linear: [2 TB/s, 8 TB/s], points: 3}
where: [batch * hbm_bandwidth_bytes_per_s < 5e14]
keep: [time_s, tokens_per_s]
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    return path


def test_a_study_is_the_predictions_that_it_describes(tmp_path: Path) -> None:
    table = run(study(written(tmp_path, DECODE))).table
    names = ["batch", "on", "hbm_bandwidth_bytes_per_s", "time_s", "tokens_per_s", "refused"]
    assert table.columns == names
    llm = hw.model("llama-3.2-1b")
    points = [(b, on, bw) for on in ("h200", "b200") for b in (1, 4, 16, 64) for bw in (2, 5, 8)]
    kept = [(b, on, bw * 1e12) for b, on, bw in points if b * bw < 500]
    assert [row[:3] for row in table.rows()] == kept
    for batch, on, bandwidth, time_s, tokens_per_s, refused in table.iter_rows():
        device = hw.device(on).but(hbm={"bandwidth_bytes_per_s": bandwidth})
        single = hw.predict(llm.decode(batch, 1024), on=device)
        assert time_s == pytest.approx(single.time_s, rel=1e-12)
        assert tokens_per_s == pytest.approx(batch / time_s, rel=1e-12)
        assert refused is None


def test_fields_of_any_kind_can_be_axes(tmp_path: Path) -> None:
    text = """\
case: {workload: gemm, on: h200}
axes:
  shape: {together: {N: [4096, 14336], K: [14336, 4096]}}
  dtype: [bf16, fp8]
  kernel: [cublas, triton]
  M: [1, 1e3]
  on.sms.count: [66, 132]
  on.l2.capacity: [25 MB, 50 MB]
samples: 5
seed: 2
"""
    plan = study(written(tmp_path, text))
    table = run(plan).table
    assert (plan.grid.blocks, plan.grid.rows, len(table)) == (4, 5, 20)
    assert set(zip(table["N"], table["K"], strict=True)) == {(4096, 14336), (14336, 4096)}
    assert set(table["M"]) == {1, 1000}
    assert {"sms_count", "l2_capacity_bytes"} < set(table.columns)


CASE = "case: {workload: gemm, N: 64, K: 64, on: h200}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a table, found an empty file"),
        ("- 1\n", "expected a table with case, axes"),
        ("case: [\n", "line 2: no valid YAML"),
        (CASE, "axes: expected a table, found None"),
        (CASE + "axes: {}\n", "line 2: axes: expected a table, found {}"),
        (CASE + "axis: {M: [1]}\n", "line 2: axis: unknown field of a study 'axis'.*'axes'"),
        (CASE + "axes: {M: [1]}\naxes: {M: [2]}\n", "line 3: 'axes' stands here a second time"),
        ("case: {workload: gem}\naxes: {M: [1]}\n", "line 1: case: unknown workload 'gem'"),
        (CASE + "axes:\n  M: 5\n", "line 3: axes.M: expected a list of values, or a range, found"),
        (CASE + "axes:\n  M: [1, x]\n", "line 3: axes.M: expected numbers.*found 'x'"),
        (CASE + "axes:\n  M: {log: [1, 8]}\n", "line 3: axes.M: expected points"),
        (CASE + "axes:\n  M: {lin: [1, 8]}\n", r"line 3: axes.M: expected {linear: \[first"),
        (CASE + "axes:\n  M: {log: [8, 1], points: 3}\n", "line 3: axes.M: range: .*8.*1"),
        (CASE + "axes:\n  L: [1]\n", "line 3: axes.L: unknown field to vary 'L'"),
        (CASE + "axes:\n  N: [1]\n", "line 3: axes.N: stands in the case too, found 64"),
        (CASE + "axes:\n  N: [1]\n  M: [-1]\n", "line 3: axes.N"),
        (CASE + "axes:\n  M: [-1]\n", "case: gemm: M: expected a number above 0, found -1"),
        ("case: {workload: gemm, on: h200, M: 1}\naxes: {N: [1]}\n", "the field 'K', found none"),
        (CASE + "axes:\n  M: [1]\n  dtype: [bf16, bf61]\n", "line 4: axes.dtype: .*'bf61'"),
        (
            "case: {workload: gemm, N: 64, K: 64}\naxes:\n  M: [1]\n  on: [h200, h2000]\n",
            "line 4: axes.on: unknown device 'h2000'",
        ),
        (
            CASE + "axes:\n  M: [1]\n  on.hbm.bandwith: [1 TB/s]\n",
            "line 4: axes.on.hbm.bandwith: unknown field of Memory 'bandwith'",
        ),
        (
            CASE + "axes:\n  M: [1]\n  on.hbm.bandwidth: [1 GB, 2 GB]\n",
            "line 4: axes.on.hbm.bandwidth: Memory.bandwidth: expected a bandwidth",
        ),
        (
            CASE + "axes:\n  M: [1]\n  on.hbm.bandwidth: [1 GB/s, 2 GB]\n",
            "line 4: axes.on.hbm.bandwidth: list: expected quantities with units of one kind",
        ),
        (CASE + "axes: {M: [1]}\nwhere: [M <]\n", "where: expected SQL such as"),
        (
            CASE + "axes:\n  a: {together: {M: [1], on.hbm.bandwidth: [1 TB/s]}}\n",
            "line 3: axes.a: together: expected fields, found on.hbm.bandwidth",
        ),
        (CASE + "axes: {M: [1]}\nwhere: {M: 1}\n", "where: expected a list of texts"),
        (CASE + "axes: {M: [1]}\nsamples: 0\n", "samples: expected a number above 0, found 0"),
        (CASE + "axes: {M: [1]}\nchunk: few\n", "chunk: expected a plain number, found 'few'"),
    ],
)
def test_a_bad_study_is_refused_with_file_line_and_field(
    tmp_path: Path, text: str, said: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(InputError, match=said) as refusal:
        run(study(path))
    assert str(refusal.value).startswith(str(path))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.yaml: cannot be read"):
        study(tmp_path / "absent.yaml")


def test_ranges_of_sizes_are_whole_and_those_of_the_device_are_not(tmp_path: Path) -> None:
    text = """\
case: {workload: gemm, N: 4096, K: 4096, on: h200}
axes:
  M: {linear: [1, 6], points: 4}
  on.power.idle_w: {log: [0.5, 2], points: 3}
  on.hbm.bandwidth: {linear: [2 TB/s, 3 TB/s], points: 3}
"""
    table = run(study(written(tmp_path, text))).table
    assert table["M"].unique().sort().to_list() == [1, 3, 4, 6]
    assert table["power_idle_w"].unique().sort().to_list() == [0.5, 1, 2]
    assert table["hbm_bandwidth_bytes_per_s"].unique().sort().to_list() == [2e12, 2.5e12, 3e12]
    assert table["refused"].is_null().all()


def test_words_go_side_by_side_too(tmp_path: Path) -> None:
    text = """\
case: {workload: gemm, N: 4096}
axes:
  M: [1, 64]
  board: {together: {on: [h200, b200], dtype: [bf16, fp8], K: [64, 128]}}
"""
    table = run(study(written(tmp_path, text))).table
    rows = table.select("on", "dtype", "K").unique().sort("K").rows()
    assert rows == [("h200", "bf16", 64), ("b200", "fp8", 128)]
    assert len(table) == 4


def test_a_device_file_that_is_written_anew_answers_anew(tmp_path: Path) -> None:
    """Half the bandwidth under the same path: a copy that the DRAM binds takes twice as long."""
    text = (CATALOGUE / "rk3588.yaml").read_text("utf-8")
    machine = tmp_path / "board.yaml"
    machine.write_text(text)
    plan = study(
        written(
            tmp_path,
            f"case: {{workload: copy, rows: 65536, cols: 4096, on: {machine}}}\n"
            "axes: {dtype: [fp32]}\n",
        )
    )
    (before,) = run(plan).table["time_s"]
    machine.write_text(text.replace("[33.8 GB/s, dram]", "[16.9 GB/s, dram]"))
    (after,) = run(plan).table["time_s"]
    assert after == pytest.approx(2 * before, rel=1e-3)


def test_points_of_an_array_are_searched_one_by_one(tmp_path: Path) -> None:
    text = """\
case: {workload: gemm, N: 16, K: 16, dtype: int8, on: peer-a3, time_limit_s: 5}
axes:
  M: {linear: [16, 32], points: 2}
  on.buffer.capacity: [1 KiB, 4 KiB]
  on.dram.bandwidth: {linear: [4 GB/s, 16 GB/s], points: 2}
keep: [time_s]
"""
    rows = run(study(written(tmp_path, text))).table.rows()
    assert len(rows) == 8
    for rows_, room, bandwidth, time_s, refused in rows:
        changes = {"buffer": {"capacity": room}, "dram": {"bandwidth_bytes_per_s": bandwidth}}
        work = hw.workloads.gemm(M=rows_, N=16, K=16, dtype="int8")
        assert refused is None
        assert time_s == float(hw.predict(work, on=hw.device("peer-a3").but(**changes)).time_s)
