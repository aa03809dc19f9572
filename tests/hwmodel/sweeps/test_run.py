"""Sweeps: the rows of one prediction at a time, whatever the chunks, executors and accidents."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest

import hwmodel as hw
from hwmodel.quantity.errors import CapacityError, HwmodelError, InputError, UnknownNameError
from hwmodel.quantity.ranges import quantities
from hwmodel.show.fields import POINT
from hwmodel.sweeps import chunks
from hwmodel.sweeps.files import open_sweep
from hwmodel.sweeps.plan import PIECE, planned
from hwmodel.sweeps.run import sweep
from hwmodel.sweeps.workers import processes
from hwmodel.verbs.study import Case

ROOT = Path(__file__).resolve().parents[3]
GEMM = Case('{"workload": "gemm", "on": "h200", "dtype": "bf16"}')
THREE_PIECES = {"M": [1.0, 77, 128], "N": np.arange(1.0, 101), "K": np.arange(8.0, 8 * 121, 8)}
"""Some 36,000 rows, aligned and not."""


def square(x: Any) -> dict[str, Any]:
    return {"y": x * x}


def named_square(x: Any, kernel: str | None) -> dict[str, Any]:
    return square(x)


def cube(x: Any) -> dict[str, Any]:
    return {"y": (x + 1) ** 3}


def decode(batch: Any) -> Any:
    return hw.predict(hw.model("llama-3.2-1b").decode(batch, 1024), on="h200")


def even(x: Any) -> dict[str, Any]:
    if np.any(np.asarray(x) % 2):
        raise CapacityError("odd")
    return {"y": x / 2}


def product_of(M: Any, keys: Any, on: Any) -> Any:
    return hw.predict(hw.workloads.gemm(M=M, N=keys, K=512), on=on)


def test_every_row_is_that_points_own_prediction() -> None:
    devices = [hw.device("h200"), hw.device("h200").but(hbm={"bandwidth": "9.6 TB/s"})]
    table = sweep(product_of, M=[1, 128, 4096], keys=hw.logspace(64, 8192, 5), on=devices).table
    assert len(table) == 30
    for row in table.iter_rows(named=True):
        on = next(each for each in devices if each.title == row["on"])
        single = product_of(row["M"], row["keys"], on)
        for name in ("time_s", "time_low_s", "time_high_s", "energy_j", "dram_bytes_read"):
            assert row[name] == pytest.approx(getattr(single, name), rel=1e-12)
        assert row["bottleneck"] == single.bottleneck


def test_every_column_of_an_estimate_is_there_and_what_is_not_modelled_is_null() -> None:
    found = sweep(GEMM, M=[64], N=[64], K=[64])
    assert found.table.columns == ["M", "N", "K", *(field.name for field in POINT), "refused"]
    assert found.table["tokens_per_s"].to_list() == [None]
    assert found.units["energy_j"] == "j"
    steps = sweep(decode, batch=[1, 4096])
    assert steps.table["fits"].to_list() == [True, False]


def test_an_axis_that_is_taken_one_number_at_a_time_is_walked() -> None:
    """A number of devices shapes the machine; batches beside it stay arrays."""
    llm, one = hw.model("llama-3.2-1b"), hw.device("h200")
    sizes: list[int] = []

    def step(n: Any, batch: Any) -> hw.Estimate:
        sizes.append(np.size(batch))
        return hw.predict(llm.decode(batch, 1024), on=one * n)

    found = sweep(step, n=[1, 2, 4], batch=np.arange(1.0, 101)).table
    assert found["n"].to_list() == [n for n in (1, 2, 4) for _ in range(100)]
    for n, batch in ((1, 1), (2, 64), (4, 100)):
        row = found.filter((polars.col("n") == n) & (polars.col("batch") == batch))
        assert row["time_s"].item() == pytest.approx(step(n, batch).time_s, rel=1e-12)
    assert sizes.count(100) == 3
    assert len(sizes) < 15


def test_a_function_that_no_array_can_be_put_into_is_told_of_each() -> None:
    def large(x: Any) -> dict[str, Any]:
        return {"y": x if x > 2 else 0}

    with pytest.raises(InputError, match=r"on arrays of x \(The truth .* axis with hw\.each"):
        sweep(large, x=[1, 2, 3, 4])
    assert sweep(large, x=hw.each([1, 2, 3, 4])).table["y"].to_list() == [0, 0, 3, 4]


@pytest.mark.parametrize("options", [{}, {"samples": 40_000, "seed": 3}])
def test_rows_do_not_depend_on_the_chunks(options: dict[str, Any]) -> None:
    whole = sweep(GEMM, THREE_PIECES, where="M * K < 100000", **options).table
    assert len(whole) > 2 * PIECE
    for chunk in (1, PIECE, 10**9):
        parts = sweep(GEMM, THREE_PIECES, where="M * K < 100000", chunk=chunk, **options)
        assert parts.table.equals(whole)


@pytest.mark.thorough
def test_rows_do_not_depend_on_who_evaluates_them(tmp_path: Path) -> None:
    axes = {**THREE_PIECES, "dtype": ["bf16", "fp16"]}
    case = Case('{"workload": "gemm", "on": "h200"}')
    keep = ("time_s", "time_low_s", "bottleneck")
    here = sweep(case, axes, keep=keep, chunk=PIECE)
    with ThreadPoolExecutor(2) as threads:
        assert sweep(case, axes, keep=keep, chunk=PIECE, executor=threads).table.equals(here.table)
    with processes(2) as workers:
        out = tmp_path / "out"
        files = sweep(case, axes, keep=keep, chunk=PIECE, executor=workers, out=out)
    assert files.table.equals(here.table)
    assert len(list(out.glob("part-*.parquet"))) == 6
    assert files.units == here.units


def test_conditions_on_axes_save_work_and_those_on_answers_drop_rows() -> None:
    seen: list[float] = []

    def noted(x: Any) -> dict[str, Any]:
        seen.extend(np.atleast_1d(x).tolist())
        return {"y": x * x}

    found = sweep(noted, x=range(10), where=["x > 3", "y < 50", polars.col("x") != 5])
    assert found.table["x"].to_list() == [4, 6, 7]
    assert min(seen) == 4


def test_a_refused_row_has_nulls_and_the_reason() -> None:
    table = sweep(even, x=range(6)).table
    assert table["y"].to_list() == [0, None, 1, None, 2, None]
    assert table["refused"].to_list() == [None, "odd"] * 3


def test_refusals_among_many_rows_are_told_one_by_one() -> None:
    table = sweep(even, x=np.concatenate([np.arange(0.0, 2000, 2), np.arange(1.0, 40)])).table
    odd = polars.col("x") % 2 == 1
    assert table.filter(odd)["refused"].to_list() == ["odd"] * 20
    answered = table.filter(~odd)
    assert answered["refused"].null_count() == len(answered) == 1019
    assert (answered["y"] * 2 == answered["x"]).all()


def test_a_row_beside_a_refused_one_keeps_its_unit() -> None:
    """The model takes no plain number for a bandwidth, which rows one by one would be."""
    machine, widths = hw.device("h200"), ["2 TB/s", "4 TB/s"]

    def predicted(M: Any, width: Any) -> Any:
        work = hw.workloads.gemm(M=M, N=4096, K=4096)
        return hw.predict(work, on=machine.but(hbm={"bandwidth": width}))

    table = sweep(predicted, M=[1, 1.5], width=quantities(widths), keep=["time_s"]).table
    assert table["refused"].is_null().to_list() == [True, True, False, False]
    for time_s, width in zip(table["time_s"], widths, strict=False):
        assert time_s == pytest.approx(predicted(1, width).time_s, rel=1e-12)


def test_a_sweep_of_which_nothing_is_answered_raises() -> None:
    with pytest.raises(CapacityError, match="odd"):
        sweep(even, x=[1, 3, 5])


def shadowing(x: Any) -> dict[str, Any]:
    return {"x": x}


def wordy(x: Any) -> str:
    return "no"


def too_many(x: Any) -> dict[str, Any]:
    return {"y": np.ones(3)}


def limit(keys: Any) -> Any:
    work = hw.workloads.attention(
        batch=1, heads=8, queries=keys, keys=keys, head_dim=64, causal=True
    )
    return hw.bound(work, on="h200")


def nest(m: int) -> Any:
    sizes = {"m": m, "n": 64, "k": 64}
    return hw.map(hw.parse("Z[m,n] = A[m,k] * B[k,n]", sizes=sizes), on="peer-a2")


@pytest.mark.parametrize(
    ("function", "given", "said"),
    [
        (square, {}, "expected one axis or more"),
        (square, {"x": [1], "where": "x <"}, "where: expected SQL such as"),
        (square, {"x": [1], "where": "x < 1 ms"}, "where: expected plain numbers.*found 'ms' at"),
        (square, {"x": [1], "where": "z < 2"}, "where: .*z"),
        (square, {"x": [1], "where": "x > 2"}, "expected a condition that some of 1 points"),
        (square, {"x": [1], "keep": ["z"]}, "unknown column to keep 'z'"),
        (square, {"x": [1], "chunk": 0}, "chunk: expected a number above 0"),
        (square, {"x": [1], "samples": 1.5}, "samples: expected a whole number"),
        (square, {"x": [1], "seed": -1}, "seed: expected a number of 0 or more"),
        (shadowing, {"x": [1]}, "axis x: the answers have a column of this name"),
        (wordy, {"x": [1]}, "expected the function to return an estimate"),
        (too_many, {"x": [1, 2]}, "column y: expected 1 values"),
    ],
)
def test_what_makes_no_sense_is_refused(function: Any, given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        sweep(function, **given)


def test_an_unknown_name_ends_the_sweep_and_does_not_fill_rows() -> None:
    case = Case('{"workload": "gemm", "N": 64, "K": 64, "dtype": "bf16"}')
    with pytest.raises(UnknownNameError, match="unknown device 'h2000'"):
        sweep(case, on=["h200", "h2000"], M=[1, 2])


def test_answers_of_other_kinds_are_columns_too() -> None:
    table = sweep(limit, keys=[256, 1024]).table
    assert table.columns[:3] == ["keys", "dram_bytes", "time_s"]
    assert np.all(table["time_over_limit"].to_numpy() >= 1)

    nests = sweep(nest, m=hw.each([64, 128]))
    assert nests.table["m"].to_list() == [64, 128]
    assert nests.table["optimal_in_mapspace"].to_list() == [True, True]


def test_a_folder_goes_on_where_it_was_and_never_mixes_sweeps(tmp_path: Path) -> None:
    plan = {"x": np.arange(5.0 * PIECE)}
    whole = sweep(square, plan, chunk=PIECE, out=tmp_path / "a")
    one = sorted((tmp_path / "a").glob("part-*"))[2]
    kept = one.read_bytes()
    one.unlink()
    assert not open_sweep(tmp_path / "a").complete
    again = sweep(square, plan, chunk=PIECE, out=tmp_path / "a")
    assert again.complete
    assert one.read_bytes() == kept
    assert again.table.equals(whole.table)
    with pytest.raises(InputError, match=r"sweep\.json: axes: holds another sweep"):
        sweep(square, {"x": np.arange(4.0 * PIECE)}, chunk=PIECE, out=tmp_path / "a")
    with pytest.raises(InputError, match=r"sweep\.json: function: holds another sweep"):
        sweep(cube, plan, chunk=PIECE, out=tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="expected a new or empty folder"):
        sweep(square, plan, out=tmp_path / "b")
    with pytest.raises(InputError, match="expected a folder to write to"):
        sweep(square, plan, out=tmp_path / "b" / "notes.txt")
    with pytest.raises(InputError, match=r"sweep\.json: cannot be read"):
        open_sweep(tmp_path / "b")


SLOW = """
import sys, time
import numpy as np
from hwmodel.sweeps.plan import PIECE
from hwmodel.sweeps.run import sweep

def slow(x):
    time.sleep(float(sys.argv[2]))
    return {"y": np.sqrt(x)}

sweep(slow, x=np.arange(20 * PIECE), chunk=PIECE, out=sys.argv[1])
"""


def run_slow(out: Path, pause_s: float) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", SLOW, str(out), str(pause_s)], cwd=ROOT)


@pytest.mark.thorough
def test_a_sweep_killed_at_work_resumes_to_the_very_same_files(tmp_path: Path) -> None:
    assert run_slow(tmp_path / "calm", 0).wait() == 0
    killed = run_slow(tmp_path / "killed", 0.2)
    while len(list((tmp_path / "killed").glob("part-*.parquet"))) < 3:
        assert killed.poll() is None
        time.sleep(0.01)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not open_sweep(tmp_path / "killed").complete
    assert run_slow(tmp_path / "killed", 0).wait() == 0
    calm, resumed = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("calm", "killed")
    )
    assert resumed == calm


def die(x: Any) -> Any:
    if np.size(x) > 1:  # the probe lives
        os._exit(1)
    return {"y": x}


def test_a_dead_worker_process_is_told_with_the_way_out(tmp_path: Path) -> None:
    with processes(1) as workers, pytest.raises(HwmodelError, match=r"worker process died.*again"):
        sweep(die, x=np.arange(10.0), executor=workers, out=tmp_path / "out")


class Late:
    """An executor that finishes the last call first."""

    def __init__(self) -> None:
        self.calls: list[tuple[Future[Any], Any, tuple[Any, ...]]] = []

    def submit(self, fn: Any, /, *args: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.calls.append((future, fn, args))
        if len(self.calls) == 3:
            for waiting, function, given in reversed(self.calls):
                waiting.set_result(function(*given))
        return future


def test_rows_stay_in_order_whoever_is_done_first() -> None:
    found = sweep(square, x=np.arange(3.0 * PIECE), chunk=PIECE, executor=Late())
    assert found.table["x"].is_sorted()


def test_more_chunks_than_are_given_ahead_are_all_evaluated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chunks, "AHEAD", 2)
    with ThreadPoolExecutor(2) as threads:
        found = sweep(square, x=np.arange(7.0 * PIECE), chunk=PIECE, executor=threads)
    assert found.table["x"].to_list() == list(range(7 * PIECE))


def test_conditions_leave_out_rows_of_which_they_say_nothing() -> None:
    found = sweep(named_square, x=[1, 2], kernel=["cublas", None], where="kernel = 'cublas'")
    assert found.table["x"].to_list() == [1, 2]


def test_a_plan_counts_its_chunks_and_points() -> None:
    plan = planned(some, {"x": np.arange(2.5 * PIECE), "z": ["a", "b"]}, chunk=2 * PIECE)
    assert plan.chunks == 3
    assert sum(plan.points(chunk) for chunk in range(3)) == 5 * PIECE


@pytest.mark.filterwarnings("default")
@pytest.mark.thorough
def test_dask_yields_the_same_rows_though_a_worker_is_killed(tmp_path: Path) -> None:
    distributed: Any = pytest.importorskip("distributed", reason="needs the extra 'cluster'")
    axes = {"M": np.arange(1.0, 200), "N": np.arange(64.0, 8 * 256, 8), "K": [512.0, 513, 520, 999]}
    keep = ("time_s", "time_high_s", "bottleneck")
    here = sweep(GEMM, axes, keep=keep, chunk=PIECE).table
    options: dict[str, Any] = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with (
        distributed.LocalCluster(processes=True, **options) as cluster,
        distributed.Client(cluster) as client,
    ):
        with ThreadPoolExecutor(1) as beside:
            running = beside.submit(
                sweep, GEMM, axes, keep=keep, chunk=PIECE, executor=client, out=tmp_path / "out"
            )
            while not list((tmp_path / "out").glob("part-*.parquet")):
                assert not running.done()
                time.sleep(0.005)
            victim = next(iter(client.run(os.getpid).values()))
            os.kill(victim, signal.SIGKILL)
            assert running.result(timeout=60).table.equals(here)


def both(x: float, z: float) -> float:
    return x + z


def some(x: float, z: float = 1, **more: float) -> float:
    return x + z


def test_axes_and_arguments_of_a_function_go_together() -> None:
    with pytest.raises(InputError, match="unknown axis of the function 'b'; known: x"):
        planned(square, {"x": [1], "b": [2]})
    with pytest.raises(InputError, match="expected an axis 'z', which the function takes"):
        planned(both, {"x": [1]})
    assert planned(some, {"x": [1], "c": [2]}).grid.rows == 1
