"""The shapes where a library changes its kernel: repeatable, feasible, and where they should be."""

from itertools import islice

import pytest

from hwmodel.validation.measure.edges import edge_streams
from hwmodel.validation.measure.shapes import Case, feasible, work
from hwmodel.validation.store import SHAPE_COLUMNS

ROW_BYTES = {"bf16": 2, "fp16": 2, "fp32": 4}


def drawn(name: str, count: int = 300, seed: int = 11) -> list[Case]:
    return list(islice(edge_streams(seed)[name], count))


@pytest.mark.parametrize("name", list(edge_streams(0)))
def test_cases_are_feasible_and_name_every_column_that_is_stored(name: str) -> None:
    for case in drawn(name):
        assert feasible(case)
        family = case.family if case.family in SHAPE_COLUMNS else "rows"
        assert set(case.shape) == set(SHAPE_COLUMNS[family])


@pytest.mark.parametrize("name", [name for name in edge_streams(0) if name != "fp8-odd"])
def test_a_seed_fixes_a_stream_and_another_seed_draws_other_shapes(name: str) -> None:
    first, again, other = (drawn(name, 60, seed) for seed in (1, 1, 2))
    assert first == again
    shared = [case for case in first if case in other]
    assert len(shared) < 6


def test_narrow_rows_end_below_64_columns_and_reach_every_width_class() -> None:
    cols = {case.shape["cols"] for case in drawn("rows-narrow", 600)}
    assert max(cols) == 63
    assert {1, 8, 16, 24, 32, 40, 48, 56} <= cols
    rows = [case.shape["rows"] for case in drawn("rows-narrow", 600)]
    assert min(rows) == 1
    assert max(rows) > 1_000_000


def test_small_elementwise_cases_read_a_kilobyte_to_four_megabytes() -> None:
    for case in drawn("rows-small", 600):
        input_bytes = case.shape["rows"] * case.shape["cols"] * ROW_BYTES[case.dtype]
        if case.family in ("copy", "add", "gelu"):
            assert 500 < input_bytes < 4.4e6
        else:
            assert case.shape["rows"] <= 132
            assert 4096 <= case.shape["cols"] <= 1 << 20


def test_reductions_leave_at_most_4096_outputs_and_all_of_them_one() -> None:
    cases = drawn("reduce")
    assert {case.shape["axis"] for case in cases} == {"all", "last", "first"}
    assert {case.shape["op"] for case in cases} == {"sum", "amax"}
    assert max(case.shape["outputs"] for case in cases) > 2000
    for case in cases:
        assert case.shape["outputs"] <= 4096
        assert 1 << 10 <= case.shape["reduced"] <= 1 << 28
        assert case.shape["axis"] != "all" or case.shape["outputs"] == 1


def test_a_reduction_reads_its_input_once() -> None:
    shape = {"op": "sum", "axis": "last", "outputs": 3, "reduced": 7}
    assert work(Case("reduce", "torch", "fp32", shape)) == (0.0, 84.0, 96.0)


def test_wide_attention_serves_16_to_128_query_heads_with_one_kv_head() -> None:
    cases = drawn("gqa-wide")
    groups = {case.shape["heads"] / case.shape["kv_heads"] for case in cases}
    assert groups == {16, 32, 48, 64, 65, 71, 96, 128}
    decode = [case for case in cases if case.shape["queries"] == 1]
    assert 0.6 < len(decode) / len(cases) < 0.7
    assert not any(case.shape["causal"] for case in decode)
    assert {case.shape["head_dim"] for case in decode} == {64, 128, 256, 512, 576}


def test_fp8_with_row_scales_keeps_multiples_of_16_and_the_odd_ones_break_them() -> None:
    for case in drawn("fp8-rows"):
        assert case.shape["N"] % 16 == case.shape["K"] % 16 == 0
    for case in drawn("fp8-grouped"):
        assert case.shape["hidden"] % 16 == case.shape["intermediate"] % 16 == 0
    odd = drawn("fp8-odd")
    assert 20 <= len(odd) <= 40
    assert sum(case.shape["N"] % 16 + case.shape["K"] % 16 == 0 for case in odd) == 2


def test_thin_products_have_few_rows_or_columns_and_reach_dot_products() -> None:
    shapes = [case.shape for case in drawn("gemm-thin", 600)]
    assert all(min(shape["M"], shape["N"]) <= 127 for shape in shapes)
    assert sum(shape["N"] <= 127 < shape["M"] for shape in shapes) > 100
    assert sum(shape["M"] <= 127 < shape["N"] for shape in shapes) > 100
    assert sum(shape["N"] == 1 < shape["M"] for shape in shapes) > 30
    dots = [shape["K"] for shape in shapes if shape["M"] == shape["N"] == 1]
    assert min(dots) < 10_000
    assert max(dots) > 10_000_000
