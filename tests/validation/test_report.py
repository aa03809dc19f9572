"""The report's arithmetic, by hand, on rows made up for it."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hwmodel.einsum.workloads.catalogue import WORKLOADS
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.hardware.calibration import Calibration
from hwmodel.hardware.catalogue import device
from hwmodel.machines.driver import predict
from hwmodel.validation import report
from hwmodel.validation.fit import is_test
from hwmodel.validation.report import (
    Judged,
    as_timed,
    families,
    held_out,
    lines,
    noise_floor,
    steady,
    worst,
)
from hwmodel.validation.rows import HELD_OUT, Row

HOME, AWAY, DAY = "home", "away", "a day"
CALIBRATION = Calibration(
    name="toy", device="toy", source="made up", versions={"fitted_boards": HOME}, families={}
)
HARDWARE = device("h200").but(calibration=CALIBRATION)


def row(cols: int, board: str = HOME, time_s: float = 1.0, day: str = DAY, **more: Any) -> Row:
    columns = {"family": "copy", "kernel": "torch", "dtype": "bf16", "rows": 4e6, "cols": cols}
    return Row(day, board, columns | {"time_s": time_s} | more)


def judged(row: Row, ratio: float = 1.0, margin: float = 1.25, limit_s: float = 0.0) -> Judged:
    """A prediction `ratio` times the measurement, with an interval of `margin` either way."""
    time_s = ratio * row.time_s
    return Judged(row, time_s, time_s / margin, time_s * margin, limit_s, time_s)


CUDNN = {"family": "attention", "kernel": "cudnn", "kv_heads": 1.0}
ROWS = {"kernel": "torch", "dtype": "bf16"}
SIZES = range(1, 65)
TEST = [n for n in SIZES if is_test(row(n))]
TRAIN = [n for n in SIZES if not is_test(row(n))]


def columns_of(rows: list[Row]) -> dict[str, list[tuple[str, int]]]:
    """Boards and sizes in each column of the report."""
    found = held_out([judged(r) for r in rows], CALIBRATION)
    return {
        name: [(j.row.board, int(j.row.columns["cols"])) for j in part]
        for name, part in found.items()
    }


def test_a_fitted_shape_never_appears_on_any_board() -> None:
    found = columns_of([row(n, board) for board in (HOME, AWAY) for n in SIZES])
    assert found["same board"] == [(HOME, n) for n in TEST]
    assert found["another board"] == [(AWAY, n) for n in TEST]
    assert TRAIN


def test_a_shape_of_the_training_half_that_no_fit_saw_does() -> None:
    found = columns_of([row(TRAIN[0]), row(TRAIN[1], AWAY), row(TEST[0])])
    assert found == {"same board": [(HOME, TEST[0])], "another board": [(AWAY, TRAIN[1])]}


def test_sittings_that_no_fit_reads_hide_no_shape() -> None:
    """Even on a fitted board: its other sitting makes it a known one."""
    kept = row(TRAIN[0], day=HELD_OUT[0])
    assert columns_of([kept, row(TEST[0])])["same board"] == [(HOME, TRAIN[0]), (HOME, TEST[0])]


def test_a_board_is_known_for_the_kernels_measured_on_it() -> None:
    """The only rows of the second kernel on this board lie in a sitting that no fit reads."""
    other = row(TEST[0], day=HELD_OUT[0], kernel="cudnn")
    found = columns_of([row(TEST[0]), other])
    assert found == {"same board": [(HOME, TEST[0])], "another board": [(HOME, TEST[0])]}


def test_the_noise_floor_is_how_far_boards_lie_apart() -> None:
    """Medians 10 and 11 s: |10/11 - 1| and |11/10 - 1|, on average 0.0955; 5 and 5 s: none."""
    rows = [row(1, HOME, t) for t in (9.0, 10.0, 30.0)] + [row(1, AWAY, 11.0)]
    assert noise_floor(rows) == pytest.approx((1 / 11 + 1 / 10) / 2)
    rows += [row(2, HOME, 5.0), row(2, AWAY, 5.0)]
    assert noise_floor(rows) == pytest.approx((1 / 11 + 1 / 10) / 4)


def test_one_board_has_no_noise_floor() -> None:
    assert noise_floor([row(1, HOME, 1.0), row(1, HOME, 2.0), row(2, AWAY, 3.0)]) is None


def test_a_line_by_hand() -> None:
    """Ratios 2, 1/2, 1.1, 1: errors 1, 0.5, 0.1, 0; product 1.1; two of four inside 1.25 times.

    Limits of 0.8 x 1 us and 3 us more make a baseline of 4 us, on rows of 5 us: 20 % off.
    """
    ratios = (2.0, 0.5, 1.1, 1.0)
    rows = [
        judged(row(n, time_s=5e-6), ratio, limit_s=0.8e-6)
        for n, ratio in zip(TEST[:4], ratios, strict=True)
    ]
    (line,) = lines(rows, HARDWARE)
    assert (line.family, line.column, line.rows) == ("memory-bound", "same board", 4)
    assert_allclose([line.mean, line.median, line.worst], [0.4, 0.3, 1.0])
    assert_allclose(line.p90, 0.5 + 0.7 * 0.5)
    assert_allclose(line.bias, 1.1**0.25 - 1)
    assert line.coverage == 0.5
    assert line.noise_floor is None
    assert_allclose(line.baseline_mean, 0.2)


def test_rows_that_a_fit_saw_count_in_the_noise_but_not_in_the_errors() -> None:
    shapes = [judged(row(n, HOME, 1.0)) for n in (TRAIN[0], TEST[0])]
    shapes += [judged(row(TRAIN[0], AWAY, 2.0), 5.0)]
    (line,) = lines(shapes, HARDWARE)
    assert (line.rows, line.worst) == (1, 0.0)
    assert line.noise_floor == pytest.approx((1 / 2 + 1) / 2)


def test_an_interval_holds_its_ends() -> None:
    one = row(1, time_s=4.0)
    assert Judged(one, 5.0, 4.0, 6.0, 0.0, 5.0).covered
    assert Judged(one, 3.0, 2.0, 4.0, 0.0, 3.0).covered
    assert not Judged(one, 5.0, 4.1, 6.0, 0.0, 5.0).covered


def test_the_steady_state_is_judged_by_its_own_measurement_and_as_wide() -> None:
    """12 s said of 10 measured in repetition, where 4 were after a rest and 5 said, 4 to 6."""
    timed = Judged(row(1, time_s=4.0, sustained_time_s=10.0), 5.0, 4.0, 6.0, 0.0, 12.0)
    (found,) = steady([timed, judged(row(2))])
    assert found.ratio == pytest.approx(1.2)
    assert (found.low_s, found.high_s) == pytest.approx((9.6, 14.4))
    assert found.row.shape == timed.row.shape


def test_the_worst_rows_are_furthest_either_way() -> None:
    ratios = {1: 1.5, 2: 0.4, 3: 2.0, 4: 1.0}
    found = worst([judged(row(n), ratio) for n, ratio in ratios.items()], 3)
    assert [j.row.columns["cols"] for j in found] == [2, 3, 1]


@pytest.mark.parametrize(
    ("columns", "family"),
    [
        ({"family": "gemm", "kernel": "cublas", "dtype": "bf16"}, "GEMM bf16"),
        ({"family": "gemm", "kernel": "cublas-fast-accum", "dtype": "fp8"}, "GEMM fp8"),
        ({"family": "gemm", "kernel": "triton", "dtype": "bf16"}, "GEMM Triton"),
        ({"family": "gemm", "kernel": "cublas-row-scales", "dtype": "fp8"}, "fp8 by row"),
        ({**CUDNN, "queries": 1.0, "heads": 16.0}, "decode cuDNN"),
        ({**CUDNN, "queries": 64.0, "heads": 16.0}, "prefill cuDNN"),
        ({**CUDNN, "queries": 1.0, "heads": 17.0}, "wide groups"),
        ({**CUDNN, "kernel": "triton", "queries": 1.0, "heads": 17.0}, "decode Triton"),
        ({**ROWS, "family": "gelu", "rows": 4096.0, "cols": 513.0}, "memory-bound"),
        ({**ROWS, "family": "gelu", "rows": 4096.0, "cols": 512.0}, "few or small"),
        ({**ROWS, "family": "softmax", "rows": 133.0, "cols": 4096.0}, "memory-bound"),
        ({**ROWS, "family": "softmax", "rows": 132.0, "cols": 4096.0}, "few or small"),
        ({**ROWS, "family": "rmsnorm", "rows": 132.0, "cols": 63.0}, "narrow rows"),
        ({"family": "reduce", "kernel": "torch"}, "reductions"),
        ({"family": "moe", "kernel": "torch-row-scales"}, "MoE fp8"),
        ({"family": "llm", "kernel": "torch", "phase": "decode"}, "LLM decode"),
        ({"family": "moe", "kernel": "torch"}, "MoE layer"),
    ],
)
def test_a_row_belongs_to_one_family(columns: dict[str, Any], family: str) -> None:
    one = Row(DAY, HOME, columns)
    assert [name for name, belongs in families([one]).items() if belongs(one)] == [family]


def test_rows_of_one_shape_with_other_tiles_are_no_noise() -> None:
    rows = [row(1, HOME, 1.0, tile_warps=4), row(1, AWAY, 3.0, tile_warps=8)]
    assert noise_floor(rows) is None
    rows += [row(1, AWAY, 2.0, tile_warps=4)]
    assert noise_floor(rows) == pytest.approx((1 / 2 + 1) / 2)


def test_calls_are_predicted_as_late_after_a_rest_as_they_were_timed() -> None:
    """Within the 40 ms before the power limit acts: as after a rest; long after: at its pace."""
    machine = device("h200")
    sizes = np.array([1024.0, 65536.0])
    estimate = predict(gemm(M=sizes, N=sizes, K=sizes), machine, kernel=None)
    times_s, steady_s = np.asarray(estimate.time_s), np.asarray(estimate.sustained_time_s)
    assert times_s[0] < 1e-4
    assert times_s[1] > 0.5
    rows = [row(1, calls=40.0, replays=15.0), row(2, calls=1.0, replays=2.0)]
    found = as_timed(rows, estimate)
    assert found[0] == pytest.approx(1.0)
    assert found[1] * times_s[1] == pytest.approx(steady_s[1])
    assert found[1] > 1.001
    assert list(as_timed([row(1), row(2)], estimate)) == [1.0, 1.0]


def reads(monkeypatch: pytest.MonkeyPatch, name: str, rows: list[Row]) -> None:
    """Let the report find these rows in one file of any device, and none in others."""

    def read(device_name: str, file: str) -> list[Row]:
        assert device_name == "h200"
        return rows if file == name else []

    monkeypatch.setattr(report, "read", read)


def counted(rows: int, cols: int, read: float, written: float) -> Row:
    """A torch copy in bf16 with the bytes that a counter is made to have counted."""
    columns = {"family": "copy", "kernel": "torch", "dtype": "bf16", "rows": rows, "cols": cols}
    return Row(DAY, HOME, columns | {"dram_bytes_read": read, "dram_bytes_written": written})


def test_traffic_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies of 8 MiB and 16 MiB each way; counters made up with other bytes.

    Reads: 8 of 16 MiB and 16 of 16, errors 0.5 and 0. Both ways: 16 of 20 and 32 of 40.
    """
    mib = 2.0**20
    made = [counted(4096, 1024, 16 * mib, 4 * mib), counted(8192, 1024, 16 * mib, 24 * mib)]
    reads(monkeypatch, "counters.csv", made)
    (line,) = report.traffic_lines("h200", device("h200"))
    assert (line.family, line.rows) == ("memory-bound", 2)
    found = (line.read_mean, line.total_mean, line.total_p90, line.total_worst)
    assert_allclose(found, (0.25, 0.2, 0.2, 0.2))


def test_errors_of_joules_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of, twice and just what is predicted were measured: errors 1, 0.5 and 0.

    Rows of shapes that were fitted do not count.
    """
    machine = device("h200")
    shapes = [row(n, rows=n) for n in range(1024, 1224)]
    held, fitted = ([r for r in shapes if is_test(r) is kept] for kept in (True, False))

    def measured(one: Row, ratio: float) -> Row:
        work: Any = WORKLOADS["copy"](rows=one.columns["rows"], cols=one.columns["cols"])
        joules = float(np.asarray(predict(work, machine, kernel="torch").energy_j))
        return Row(DAY, HOME, {**one.columns, "energy_j": joules * ratio})

    ratios = zip(held[:3], (0.5, 2.0, 1.0), strict=True)
    made = [measured(one, ratio) for one, ratio in ratios] + [measured(fitted[0], 9.0)]
    reads(monkeypatch, "energy.csv", made)
    assert_allclose(report.energy_errors("h200", machine), [1.0, 0.5, 0.0], atol=1e-12)
