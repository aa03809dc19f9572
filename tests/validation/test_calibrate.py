"""From rows to a calibration: order, halves, families that are passed over, and the file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hwmodel.hardware.catalogue import device, load_calibration
from hwmodel.machines.gpu.libraries.shipped import family_of
from hwmodel.quantity.errors import UnknownNameError
from hwmodel.validation import calibrate as module
from hwmodel.validation.calibrate import (
    LEAST_ROWS,
    ORDER,
    PRIORS,
    calibrate,
    families_in,
    fold_errors,
    merged,
    write,
)
from hwmodel.validation.fit import is_test, predicted_s
from hwmodel.validation.rows import Row, groups

H200 = device("h200")
FAMILY = "rows:torch"
DRAM = 0.75


def copies(count: int, seed: int = 0, noise: float = 0.01) -> list[Row]:
    """Copies whose times are the model's at another share of the DRAM bandwidth."""
    rng = np.random.default_rng(seed)
    heads: list[dict[str, Any]] = [
        {"family": "copy", "kernel": "torch", "dtype": "bf16", "rows": int(n), "cols": 8192}
        for n in np.exp(rng.uniform(0, np.log(60_000), count)).round()
    ]
    prior = family_of(load_calibration(PRIORS), FAMILY)
    values = {n: p.value for n, p in prior.parameters.items()} | {"dram": DRAM}
    (group,) = groups([Row("s", "b", head) for head in heads])
    times = predicted_s(group, H200, FAMILY, values, {}) * np.exp(
        noise * rng.standard_normal(count)
    )
    return [
        Row("sitting", "board", {**row.columns, "time_s": float(t)})
        for row, t in zip(group.rows, times, strict=True)
    ]


@pytest.fixture(scope="module")
def found() -> Any:
    return calibrate(H200, copies(70))


def test_the_planted_bandwidth_comes_back(found: Any) -> None:
    entry, best = found[FAMILY]
    assert_allclose(best.values["dram"], DRAM, rtol=0.05)
    assert_allclose(entry.parameters["dram"].value, best.values["dram"], rtol=1e-4)


def test_only_families_with_rows_are_fitted(found: Any) -> None:
    assert list(found) == [FAMILY]


def test_the_test_half_is_never_read(found: Any) -> None:
    rows = copies(70)
    spoiled = [
        Row(r.sitting, r.board, {**r.columns, "time_s": 1.0}) if is_test(r) else r for r in rows
    ]
    assert calibrate(H200, spoiled)[FAMILY][1].values == found[FAMILY][1].values
    assert found[FAMILY][0].rows == sum(not is_test(row) for row in rows)


def test_ranges_are_the_sizes_that_were_seen(found: Any) -> None:
    seen = [float(r.columns["rows"]) for r in copies(70) if not is_test(r)]
    assert found[FAMILY][0].ranges == {"rows": (min(seen), max(seen)), "cols": (8192, 8192)}
    assert found[FAMILY][0].formats == ("bf16",)


def test_errors_of_folds_are_near_the_noise(found: Any) -> None:
    (line,) = fold_errors(found)
    assert line.rows == found[FAMILY][0].rows
    assert line.mean < line.p90 < 0.05


def test_a_family_with_too_few_rows_is_passed_over() -> None:
    rows = [row for row in copies(40) if not is_test(row)][: LEAST_ROWS - 1]
    assert calibrate(H200, rows) == {}


def test_families_are_named_in_the_order_of_fitting() -> None:
    gemm = {"family": "gemm", "kernel": "cublas", "dtype": "bf16", "M": 8, "N": 8, "K": 8}
    link = {"family": "collective", "kernel": "nccl", "dtype": "bf16", "op": "p2p"}
    rows = [Row("s", "b", head) for head in (link, gemm)]
    assert families_in([*rows, *copies(1)]) == ("gemm:cublas", FAMILY, "collective")
    assert ORDER.index(FAMILY) < ORDER.index("grouped:torch")


def test_a_fit_starts_where_it_is_told(found: Any) -> None:
    """From its own answer it stays there."""
    priors = load_calibration(PRIORS)
    entry, _ = found[FAMILY]
    started = priors.model_copy(update={"families": {**priors.families, FAMILY: entry}})
    again, _ = calibrate(H200, copies(70), priors=started)[FAMILY]
    assert_allclose(again.parameters["dram"].value, entry.parameters["dram"].value, rtol=0.01)


def test_a_file_keeps_what_was_not_fitted_again(found: Any, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    write(merged(H200, path, found, ["board"]), path)
    first = load_calibration(path)
    assert first.name == "mine"
    assert first.versions["fitted_boards"] == "board"
    assert first.family(FAMILY) == found[FAMILY][0]
    write(merged(H200, path, {}, ["other"]), path)
    assert load_calibration(path).family(FAMILY) == found[FAMILY][0]
    assert [p.name for p in tmp_path.iterdir()] == ["mine.yaml"]


def test_an_unknown_family_or_board_is_named() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown family 'rows:touch'.*did you mean"):
        module.main(["h200", "--family", "rows:touch"])
    with pytest.raises(UnknownNameError, match="unknown board of h200 'nowhere'"):
        module.main(["h200", "--boards", "nowhere"])


@pytest.mark.thorough
def test_energy_that_was_not_asked_for_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fitted_nothing(*given: object, folds: bool = True) -> dict[str, object]:
        assert folds
        return {}

    monkeypatch.setattr(module, "calibrate", fitted_nothing)
    own = device("h200").calibration
    assert own is not None
    module.main(["h200", "--family", "gemm:cublas", "--out", str(tmp_path / "h200.yaml")])
    kept = load_calibration(tmp_path / "h200.yaml").families
    assert kept == own.families
