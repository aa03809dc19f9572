"""A library of one file: predicted, fitted from rows, reported, measured, in worker processes."""

import ast
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import hwmodel as hw
from hwmodel.hardware.calibration import Calibration
from hwmodel.hardware.catalogue import device
from hwmodel.machines.gpu.libraries.library import is_decode, is_prefill, is_wide
from hwmodel.machines.gpu.libraries.shipped import SHIPPED
from hwmodel.quantity.errors import CoverageError
from hwmodel.sweeps.run import sweep
from hwmodel.sweeps.workers import processes
from hwmodel.validation.calibrate import calibrate, families_in
from hwmodel.validation.fit import predicted_s
from hwmodel.validation.measure.cases import build_of
from hwmodel.validation.measure.shapes import Case
from hwmodel.validation.report import by_family, families, judge
from hwmodel.validation.rows import Row, groups, kernels_known
from tests.toy_library import NAME, TOY, Ask

H200 = device("h200")
FAMILY = "rows:toy"
DRAM = 0.7


def measured(count: int) -> list[Row]:
    """Additions by the toy on an H200 whose DRAM it reaches 0.7 of, with noise of 1 %."""
    rng = np.random.default_rng(0)
    heads: list[dict[str, Any]] = [
        {"family": "add", "kernel": NAME, "dtype": "bf16", "rows": int(n), "cols": 4096}
        for n in np.exp(rng.uniform(0, np.log(60_000), count)).round()
    ]
    (group,) = groups([Row("s", "b", head) for head in heads])
    times = predicted_s(group, H200, FAMILY, {"launch": 1.0, "dram": DRAM}, {})
    times = times * np.exp(0.01 * rng.standard_normal(count))
    return [
        Row("s", "b", {**row.columns, "time_s": float(t)})
        for row, t in zip(group.rows, times, strict=True)
    ]


def test_the_time_of_a_large_addition_is_its_bytes_over_the_bandwidth() -> None:
    """3 x 2 bytes of 8192 x 8192 at nine tenths of 4.8 TB/s, and a launch."""
    found = hw.predict(hw.workloads.add(rows=8192, cols=8192), H200, kernel=TOY)
    assert_allclose(found.time_s, 6 * 8192**2 / (0.9 * 4.8e12), rtol=0.03)
    assert found.warnings == (f"uncalibrated: {FAMILY}: efficiencies are priors, not measurements",)
    assert found.parts[0].interval == (0.5, 2.5)


def test_it_is_fitted_from_rows_that_name_it_and_then_predicts_them() -> None:
    rows = measured(60)
    assert all(map(kernels_known, rows))
    assert families_in(rows) == (FAMILY,)
    (entry, _) = calibrate(H200, rows)[FAMILY]
    assert_allclose(entry.parameters["dram"].value, DRAM, rtol=0.02)
    assert entry.parameters["dram"].meaning == "share of the datasheet's DRAM bandwidth"
    before = H200.calibration
    assert before is not None
    fitted = Calibration.build(
        dict(before) | {"families": before.families | {FAMILY: entry}}, where="test"
    )
    after = hw.predict(
        hw.workloads.add(rows=8192, cols=4096), H200.but(calibration=fitted), kernel=TOY
    )
    assert after.warnings == ()
    assert_allclose(after.time_s, 6 * 8192 * 4096 / (DRAM * 4.8e12), rtol=0.05)


def test_it_is_reported_under_its_own_line() -> None:
    judged = judge(measured(40), H200)
    found = by_family(judged, H200)
    large = [j for j in judged if float(j.row.columns["rows"]) * 4096 >= 1e6]
    assert 5 < len(large) < len(judged)
    assert found == {"large toys": large}


def test_shipped_lines_stand_before_those_that_rows_bring() -> None:
    titles = list(families(measured(1)))
    assert titles.index("rows Triton") < titles.index("large toys") < titles.index("LLM prefill")
    assert "large toys" not in families()


def test_a_case_of_it_is_built_by_what_it_names() -> None:
    case = Case("add", NAME, "bf16", {"rows": 8, "cols": 8})
    assert build_of(case)(None) is case
    with pytest.raises(CoverageError, match="does not say how it is measured"):
        build_of(replace(case, kernel="flash-attention-4"))


@pytest.mark.parametrize("name", [n for n, each in SHIPPED.items() if each.measured])
def test_what_measures_a_shipped_library_is_there(name: str) -> None:
    """By reading, not by importing: measuring needs torch."""
    found = SHIPPED[name].measured
    assert found is not None
    assert found.cases
    for each in (found.builder, *found.cases):
        module, _, function = each.partition(":")
        spec = find_spec(module)
        assert spec is not None
        assert spec.origin is not None
        tree = ast.parse(Path(spec.origin).read_text())
        assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_worker_processes_take_it_by_value_and_by_name() -> None:
    cols = np.arange(64.0, 8192.0, 64.0)
    here = sweep(Ask(TOY), cols=cols, keep=("time_s",))
    with processes(1) as workers:
        for kernel in (TOY, NAME, {"rows": TOY}):
            there = sweep(Ask(kernel), cols=cols, keep=("time_s",), chunk=50, executor=workers)
            assert there.table.equals(here.table)


@pytest.mark.parametrize("group", [1, 16, 17])
@pytest.mark.parametrize("queries", [1, 8, 9, 4096])
def test_each_attention_is_judged_in_one_part(queries: int, group: int) -> None:
    """Wide groups, many queries, or few: eight are few, 16 heads on a KV head are not wide."""
    columns = {"queries": queries, "heads": 2 * group, "kv_heads": 2}
    parts = [each(columns) for each in (is_wide, is_prefill, is_decode)]
    assert parts == [group > 16, group <= 16 and queries >= 9, group <= 16 and queries <= 8]
