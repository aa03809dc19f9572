"""Scatters, bags of gathered rows and scans are found by their ranks, whatever they are called."""

from typing import Any

import pytest

import hwmodel as hw
from hwmodel.einsum.notation import parse
from hwmodel.machines.gpu.lower import Call, lower

SCATTER = "rank t(x) ~ hot(sources, 1, share)\nY[x, c] = sum(t) S[x, t, c]"
BAG = "O[b, c] = sum(l) gather(T[v, c], I[b, l])"


def only(text: str, **sizes: Any) -> Call:
    places = {"I": "int64"} if "gather" in text else {}
    cascade = parse(text, sizes=sizes, dtypes={"*": "fp32"} | places)
    (call,) = lower(cascade)
    return call


def test_a_sum_over_as_many_as_data_says_is_a_scatter_that_knows_its_hottest_target() -> None:
    call = only(SCATTER, x=1000, c=64, sources=10_000, share=0.5)
    assert call.family == "scatter:torch"
    problem = call.problem
    assert (problem.sources, problem.cols, problem.targets) == (10_000, 64, 1000)
    assert problem.hottest == pytest.approx(10_000 * (0.5 + 0.5 / 1000))
    assert problem.touched == pytest.approx(1 + 999 * (1 - (1 - 0.0005) ** 10_000))


def test_rows_that_are_looked_up_and_summed_are_read_where_they_lie() -> None:
    call = only(BAG, b=100, l=16, c=64, v=50)
    assert call.family == "gather:torch"
    problem = call.problem
    assert (problem.outputs, problem.cols, problem.bag) == (100, 64, 16)
    assert problem.read_bytes == 100 * 16 * 8 + 50 * 64 * 4


@pytest.mark.parametrize(
    ("text", "along"),
    [
        ("A[q, j+1] = A[q, j] + B[q, j] ; A[q, 0] = 0", True),
        ("A[j+1, q] = A[j, q] + B[j, q] ; A[0, q] = 0", False),
    ],
)
def test_a_sum_that_runs_ahead_is_a_scan_along_memory_or_across_it(text: str, along: bool) -> None:
    call = only(text, q=7, j=1000)
    assert call.family == "cumulative:torch"
    assert (call.problem.rows, call.problem.cols, call.problem.along) == (7, 1000, along)


def test_other_recurrences_and_reductions_are_none_of_these() -> None:
    assert only("A[q, j+1] = A[q, j] * B[q, j] ; A[q, 0] = 1", q=7, j=9).schedule == "rows"
    assert only("Y[x] = sum(t) S[x, t]", x=9, t=1000).schedule == "reduction"
    assert only("G[b, c] = gather(T[v, c], I[b])", b=9, c=64, v=50).schedule == "rows"


def test_a_target_that_all_sources_reach_takes_as_long_as_they_do_one_after_the_other() -> None:
    """Some 0.57 billion additions a second at one address, on an H200."""

    def time_s(share: float) -> Any:
        sizes = {"x": 100_000, "c": 1, "sources": 1_000_000, "share": share}
        return hw.predict(parse(SCATTER, sizes=sizes, dtypes={"*": "fp32"}), on="h200").time_s

    assert time_s(1.0) == pytest.approx(1e6 / 0.57e9, rel=0.1)
    assert time_s(0.0) < 0.1 * time_s(1.0)
