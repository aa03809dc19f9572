"""The stage of convolutions and irregular kernels: repeatable, affordable, some of each kind."""

from collections import Counter
from itertools import islice

import pytest

from hwmodel.validation.measure.shapes import Case, feasible, work
from hwmodel.validation.measure.structures import structure_streams
from hwmodel.validation.store import SHAPE_COLUMNS
from hwmodel.validation.windows import axes

COUNT = 480


def drawn(seed: int, count: int = COUNT) -> list[Case]:
    return list(islice(structure_streams(seed)["structures"], count))


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return drawn(3)


def kind(case: Case) -> str:
    groups = case.shape.get("groups", 1)
    if case.family != "convolution" or groups == 1:
        return case.family
    return "depthwise" if groups == case.shape["channels"] else "grouped"


def test_cases_take_little_memory_and_name_every_column_that_is_stored(cases: list[Case]) -> None:
    for case in cases:
        assert feasible(case)
        assert work(case)[2] <= 1.2e9
        family = case.family if case.family in SHAPE_COLUMNS else "rows"
        assert set(case.shape) == set(SHAPE_COLUMNS[family])


def test_a_short_sitting_has_some_of_each_kind(cases: list[Case]) -> None:
    short, whole = (Counter(map(kind, part)) for part in (cases[:48], cases))
    kinds = {"convolution", "depthwise", "grouped", "pool", "scatter", "gather", "cumsum"}
    kinds |= {"sort", "cross_entropy", "reduce"}
    assert kinds <= set(short)
    assert whole["convolution"] >= 240
    assert whole["depthwise"] + whole["grouped"] >= 60
    assert {case.shape["dims"] for case in cases if "dims" in case.shape} == {1, 2, 3}


def test_a_seed_fixes_the_stream_and_another_draws_other_shapes(cases: list[Case]) -> None:
    again, other = drawn(3, 60), drawn(4, 60)
    assert cases[:60] == again
    assert len([case for case in again if case in other]) < 4


def test_windows_fit_into_what_they_slide_over_and_products_have_work(cases: list[Case]) -> None:
    windows = [case for case in cases if "dims" in case.shape]
    for case in windows:
        assert all(axis.outputs >= 1 for axis in axes(case.shape))
        assert case.shape.get("groups", 2) > 1 or work(case)[0] >= 2e8
    assert {case.shape["layout"] for case in windows} == {"first", "last"}


def test_no_more_than_two_million_sources_go_to_one_target(cases: list[Case]) -> None:
    scatters = [case.shape for case in cases if case.family == "scatter"]
    assert all(s["targets"] <= 2 * s["sources"] for s in scatters)
    assert max(s["hot"] * s["sources"] for s in scatters) <= 1 << 21
    assert {s["hot"] for s in scatters} >= {0.0, 0.1, 0.5}


def test_the_deeper_stages_hold_kinds_that_are_few_elsewhere() -> None:
    streams = structure_streams(3)
    windows = [case.shape for case in islice(streams["windows"], 50)]
    ops = Counter(shape["op"] for shape in windows)
    split = [s for s in windows if s["groups"] > 1]
    assert ops["transposed"] == 10
    assert len(split) == 15
    irregular = Counter(case.family for case in islice(streams["irregular"], 30))
    assert irregular == {"cross_entropy": 10, "sort": 10, "gather": 10}
