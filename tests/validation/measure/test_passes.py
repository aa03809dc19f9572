"""Products in passes of the profiler: which are drawn, and what is kept of many calls."""

# pyright: basic, reportMissingImports=false

from collections import Counter
from itertools import islice
from typing import Any

import pytest

pytest.importorskip("torch", reason="the measuring code needs torch")

from hwmodel.validation.measure.launches import split_at_markers
from hwmodel.validation.measure.passes import large_products, medians, pass_cases
from hwmodel.validation.measure.shapes import feasible
from hwmodel.validation.rows import read_rows


def launch(name: str, start_s: float, traced_s: float) -> dict[str, Any]:
    return {"name": name, "start_s": start_s, "traced_s": traced_s}


def test_a_pass_begins_with_every_stored_product_and_goes_on_with_new_ones() -> None:
    stored = {
        row.shape
        for row in read_rows("h200")
        if row.columns["family"] == "gemm"
        and str(row.columns["kernel"]).startswith("cublas")
        and row.columns.get("pass") != "traced"
    }
    drawn = list(islice(pass_cases(1), len(stored) + 170))
    assert len({(c.kernel, c.dtype, *c.shape.values()) for c in drawn}) > len(stored) + 160
    new = drawn[len(stored) :]
    assert all(map(feasible, new))
    kinds = Counter(case.kernel for case in new)
    assert kinds["vllm:cutlass"] == 20
    assert kinds["cublas-row-scales"] == 10


def test_large_products_have_much_work_and_an_output_that_fits() -> None:
    for case in islice(large_products(2), 20):
        m, n, k = case.shape.values()
        assert 3e11 <= 2 * m * n * k <= 2e13
        assert m * n <= 1e9
    first = next(large_products(2))
    assert tuple(first.shape.values()) == (16384, 16384, 16384)


def test_of_many_calls_the_middle_of_all_but_the_first_is_kept() -> None:
    calls = [
        [launch("product", at, length), launch("sum", at + length + 1.0, 2.0)]
        for at, length in ((0.0, 90.0), (100.0, 5.0), (200.0, 7.0), (300.0, 6.0))
    ]
    product, added = medians([each for call in calls for each in call], 4)
    assert product == {"name": "product", "traced_s": 6.0, "span_s": 9.0, "calls": 3}
    assert added == {"name": "sum", "traced_s": 2.0, "calls": 3}


def test_calls_that_launch_now_this_now_that_are_refused() -> None:
    found = medians([launch("a", 0.0, 1.0), launch("b", 2.0, 1.0)], 2)
    assert isinstance(found, str)
    assert "not the same" in found


def test_a_marker_parts_one_case_from_the_next() -> None:
    def event(name: str, ts: float) -> dict[str, Any]:
        return {"name": name, "ts": ts, "dur": 1.0, "args": {}}

    marker = "void at::native::elementwise_kernel<FillFunctor<short>>"
    groups = split_at_markers([event(marker, 1), event("x", 2), event(marker, 4), event("y", 5)])
    assert [[each["name"] for each in group] for group in groups] == [["x"], ["y"]]
    assert groups[0][0]["start_s"] == pytest.approx(2e-6)
