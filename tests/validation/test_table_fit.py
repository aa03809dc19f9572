"""A device fitted to a table: planted numbers come back, few rows move little, the folder loads."""

import csv
from pathlib import Path

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.quantity.errors import InputError
from hwmodel.validation.fit import is_test
from hwmodel.validation.kernel_tables import kernel_rows
from hwmodel.validation.rows import groups
from hwmodel.validation.table_fit import TableOutcome, calibrate_table

DRAM, LAUNCH = 0.66, 4.0
L40 = hw.device("l40")


def planted(folder: Path, count: int) -> Path:
    """Times of products on a device whose DRAM and launch are not what it starts with."""
    draw = np.random.default_rng(3)
    sizes = np.exp2(draw.uniform((0, 7, 7), (12, 14, 14), (count, 3))).round() // 8 * 8 + 8
    work = hw.workloads.gemm(*sizes.T)
    assert L40.calibration is not None
    family = L40.calibration.families["gemm:cublas"]
    moved = {
        "dram": family.parameters["dram"].but(value=DRAM),
        "launch": family.parameters["launch"].but(value=LAUNCH),
    }
    entry = family.model_copy(update={"parameters": {**family.parameters, **moved}})
    families = {**L40.calibration.families, "gemm:cublas": entry}
    other = L40.but(calibration=L40.calibration.model_copy(update={"families": families}))
    times = hw.predict(work, other, kernel="cublas").time_s
    path = folder / f"{count}.csv"
    with path.open("w", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(("M", "N", "K", "kernel", "time_s"))
        writer.writerows([*map(int, s), "cublas", t] for s, t in zip(sizes, times, strict=True))
    return path


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> TableOutcome:
    folder = tmp_path_factory.mktemp("table")
    return calibrate_table(folder / "my", planted(folder, 160), "l40")


def test_planted_numbers_come_back_with_their_errors(outcome: TableOutcome) -> None:
    found = outcome.families["gemm:cublas"].parameters
    assert found["dram"].value == pytest.approx(DRAM, rel=0.03)
    assert found["launch"].value == pytest.approx(LAUNCH, rel=0.03)
    for name in ("dram", "launch"):
        error = found[name].standard_error
        assert error is not None
        assert error < 0.1 * found[name].value


def test_errors_are_those_of_shapes_left_out_and_fall_with_rows(
    outcome: TableOutcome, tmp_path: Path
) -> None:
    (errors,) = outcome.errors
    rows = kernel_rows(planted(tmp_path, 160))
    assert errors.left_out == sum(map(is_test, rows))
    assert errors.rows == len(rows) - errors.left_out
    assert errors.before > 0.05 > errors.mean
    assert list(errors.curve) == [25, 50]
    assert errors.curve[25] < errors.before


def test_what_the_rows_do_not_inform_stays_as_it_was(outcome: TableOutcome) -> None:
    assert L40.calibration is not None
    before = L40.calibration.families["gemm:cublas"].parameters
    after = outcome.families["gemm:cublas"].parameters
    for name in ("copy", "vector", "fill"):
        slack = 0.02 * before[name].high  # nothing is drawn to less than that
        assert after[name].value == pytest.approx(before[name].value, rel=0.02, abs=slack)


def test_the_folder_is_a_device_and_says_what_it_rests_on(outcome: TableOutcome) -> None:
    mine = hw.device(outcome.folder)
    assert mine.calibration is not None
    family = mine.calibration.families["gemm:cublas"]
    assert (family.origin, family.source) == ("measured", "160.csv")
    work = hw.workloads.gemm(64, 8192, 8192)
    before, after = (hw.predict(work, on, kernel="cublas").time_s for on in (L40, mine))
    assert after != pytest.approx(before, rel=0.02)
    text = str(outcome)
    assert "mean error on them, by the rows that were fitted" in text
    assert "inherited: " in text


@pytest.mark.thorough
def test_the_command_and_the_function_are_one_question(tmp_path: Path) -> None:
    table = planted(tmp_path, 60)
    made = hw.calibrate(tmp_path / "mine", table=table, device="l40")
    assert isinstance(made, TableOutcome)
    assert hw.device(tmp_path / "mine").title == L40.title


def test_a_table_needs_a_device_and_rows_enough(tmp_path: Path) -> None:
    table = planted(tmp_path, 10)
    with pytest.raises(InputError, match="expected --device, whose times these are"):
        hw.calibrate(tmp_path / "a", table=table)
    with pytest.raises(InputError, match="expected 12 rows or more of a family, found 10"):
        hw.calibrate(tmp_path / "b", table=table, device="l40")
    with pytest.raises(InputError, match="expected --table or --engine, found both"):
        hw.calibrate(tmp_path / "c", table=table, device="l40", engine="vllm")
    assert len(groups(kernel_rows(table))) == 1


@pytest.mark.thorough
def test_few_rows_are_all_fitted_to_and_judged_by_folds_left_out(tmp_path: Path) -> None:
    (found,) = calibrate_table(tmp_path / "my", planted(tmp_path, 16), "l40").errors
    assert (found.rows, found.left_out) == (16, 16)
    assert found.mean < found.before


def test_a_column_of_another_unit_is_refused(tmp_path: Path) -> None:
    path = planted(tmp_path, 8)
    path.write_text(path.read_text().replace("time_s", "time_ms"))
    with pytest.raises(InputError, match=r"found some 0\.00\d+ times as long; is the unit"):
        calibrate_table(tmp_path / "my", path, "l40")
