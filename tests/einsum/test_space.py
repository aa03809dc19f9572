"""Sizes of banded and partitioned spaces against a walk over every point."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.einsum.space import extent, region
from hwmodel.quantity.errors import CoverageError

LIMIT = st.none() | st.integers(-14, 14)
SIZE = st.integers(1, 12)


def band(low: int | None, high: int | None, terms: str = "m - p") -> str:
    limits = [f"{terms} >= {low}"] * (low is not None) + [f"{terms} <= {high}"] * (high is not None)
    return f" | {', '.join(limits)}" if limits else ""


def walk(m: int, p: int, low: int | None, high: int | None) -> Iterator[tuple[int, int]]:
    for key in range(m):
        for query in range(p):
            if (low is None or low <= key - query) and (high is None or key - query <= high):
                yield key, query


@settings(max_examples=300)
@given(m=SIZE, p=SIZE, tile=st.integers(1, 6), low=LIMIT, high=LIMIT)
def test_every_projection_of_a_band_equals_the_walk(
    m: int, p: int, tile: int, low: int | None, high: int | None
) -> None:
    text = f"rank m = m1 x m0\nZ[m1, m0, p] = A[m1, m0] * B[p]{band(low, high)}"
    cascade = parse(text, sizes={"m": m, "m0": tile, "p": p})
    kept = [*walk(m, p, low, high)]
    (einsum,) = cascade.einsums
    points = region(einsum, cascade)
    assert type(points) is int
    assert points == len(kept)
    assert region(einsum, cascade, ["m1", "p"]) == len({(k // tile, q) for k, q in kept})
    assert region(einsum, cascade, ["m1", "m0"]) == len({k for k, _ in kept})
    assert region(einsum, cascade, ["m1"]) == len({k // tile for k, _ in kept})
    assert region(einsum, cascade, ["p"]) == len({q for _, q in kept})


@settings(max_examples=200)
@given(m=SIZE, p=SIZE, tile=st.integers(1, 6), rows=st.integers(1, 6), low=LIMIT, high=LIMIT)
def test_a_loop_over_tiles_counts_the_tiles_that_hold_a_point(
    m: int, p: int, tile: int, rows: int, low: int | None, high: int | None
) -> None:
    kept = [*walk(m, p, low, high)]
    parts = "rank m = m1 x m0\nrank p = p1 x p0\n"
    sizes = {"m": m, "m0": tile, "p": p, "p0": rows}
    keys = parse(f"{parts}Z[m1, p] = A[m1] * B[p]{band(low, high)}", sizes=sizes)
    both = parse(f"{parts}Z[m1, p1] = A[m1] * B[p1]{band(low, high)}", sizes=sizes)
    queries = parse(f"{parts}Z[m, p1] = A[m] * B[p1]{band(low, high)}", sizes=sizes)
    assert region(keys.einsums[0], keys) == len({(k // tile, q) for k, q in kept})
    assert region(both.einsums[0], both) == len({(k // tile, q // rows) for k, q in kept})
    assert region(queries.einsums[0], queries) == len({(k, q // rows) for k, q in kept})


@given(m=SIZE, p=SIZE, tile=st.integers(1, 6), low=st.integers(-3, 22), width=st.integers(-1, 9))
def test_a_band_on_a_sum_of_ranks_equals_the_walk(
    m: int, p: int, tile: int, low: int, width: int
) -> None:
    text = f"rank m = m1 x m0\nZ[m1, p] = A[m1] * B[p]{band(low, low + width, 'm + p')}"
    cascade = parse(text, sizes={"m": m, "m0": tile, "p": p})
    kept = {(k // tile, q) for k, q in walk(m, p, None, None) if low <= k + q <= low + width}
    assert region(cascade.einsums[0], cascade) == len(kept)


def causal(m: int, p: int) -> Cascade:
    return parse("Z[m, p] = A[m] * B[p] | m <= p + M - P", sizes={"m": m, "p": p})


def test_a_square_causal_space_is_the_triangle() -> None:
    cascade = causal(8192, 8192)
    assert region(cascade.einsums[0], cascade) == 8192 * 8193 // 2


def test_one_query_sees_every_key() -> None:
    cascade = causal(4096, 1)
    assert region(cascade.einsums[0], cascade) == 4096


def test_scalars_stay_exact_far_beyond_floats() -> None:
    n = 10**18 + 1
    cascade = causal(n, n)
    assert region(cascade.einsums[0], cascade) == n * (n + 1) // 2


def test_arrays_equal_scalars_point_by_point() -> None:
    m, p = np.arange(5, 25.0), np.arange(20.0, 0, -1)
    text = "rank m = m1 x m0\nZ[m1, p] = A[m1] * B[p] | -7 < m - p <= 3"
    cascade = parse(text, sizes={"m": m, "m0": 4, "p": p})
    alone = [
        parse(text, sizes={"m": int(a), "m0": 4, "p": int(b)}) for a, b in zip(m, p, strict=True)
    ]
    found = region(cascade.einsums[0], cascade)
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float64
    assert found.tolist() == [region(c.einsums[0], c) for c in alone]


def test_bands_over_separate_ranks_multiply() -> None:
    text = "Z[a, b, c, d] = A[a, b] * B[c, d] | a <= b, c < d"
    cascade = parse(text, sizes={"a": 4, "b": 4, "c": 3, "d": 3})
    assert region(cascade.einsums[0], cascade) == 10 * 3


@pytest.mark.parametrize(
    "limits", ["a <= b, b <= c", "2*a <= b", "a + b + c <= 4", "a <= b, a <= c"]
)
def test_bands_without_a_closed_form_are_refused(limits: str) -> None:
    sizes = {"a": 3, "b": 3, "c": 3}
    cascade = parse(f"Z[a, b, c] = A[a] * B[b] * C[c] | {limits}", sizes=sizes)
    with pytest.raises(CoverageError, match="Einsum Z"):
        region(cascade.einsums[0], cascade)


def test_parts_together_count_the_real_points_of_their_parent() -> None:
    sizes = {"m": 1000, "m1": 4, "m0": 64}
    cascade = parse("rank m = s x m1 x m0\nZ[s, m1, m0] = A[s, m1, m0]", sizes=sizes)
    assert cascade.ranks["s"].size == 4
    assert extent(["s", "m1", "m0"], cascade) == 1000
    assert extent(["s", "m1"], cascade) == 16  # ceil(1000 / 64)
    assert extent(["m0"], cascade) == 64


def test_a_data_dependent_rank_with_its_members_counts_all_draws() -> None:
    text = "rank t(x) ~ balanced(tokens, top_k)\nZ[x, t] = A[x, t]"
    cascade = parse(text, sizes={"x": 7, "tokens": 10, "top_k": 2})
    assert extent(["t", "x"], cascade) == extent(["x", "t"], cascade) == 20
