"""What is kept with a cascade: worked out once, of single sizes alone."""

import numpy as np

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.counts import footprint_bytes, points
from hwmodel.einsum.known import known, of_form
from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.gemm import gemm

TEXT = "Z[m, n] = A[m, k] * B[k, n]"


def test_an_answer_is_worked_out_once_for_each_cascade_and_word() -> None:
    asked: list[tuple[str, str]] = []

    @known()
    def answer(cascade: Cascade, word: str) -> int:
        asked.append((cascade.name, word))
        return len(asked)

    one, other = gemm(M=2, N=3, K=5), gemm(M=2, N=3, K=7)
    assert [answer(one, "a"), answer(one, "b"), answer(other, "a"), answer(one, "a")] == [
        1,
        2,
        3,
        1,
    ]


def test_sizes_that_change_in_place_are_seen() -> None:
    rows = np.array([2.0, 4.0])
    cascade = parse(TEXT, sizes={"m": rows, "n": 3, "k": 5})
    before = np.array(footprint_bytes("Z", cascade))
    rows *= 2
    assert np.array_equal(footprint_bytes("Z", cascade), 2 * before)


def test_the_same_text_at_the_same_sizes_is_the_same_value() -> None:
    sizes = {"m": 2, "n": 3, "k": 5}
    one = parse(TEXT, sizes=sizes)
    assert parse(TEXT, sizes=sizes) is one
    assert parse(TEXT, sizes=sizes, dtypes={"*": "fp8"}).tensors["A"].dtype == "fp8"
    assert parse(TEXT, sizes={**sizes, "m": np.array([2.0])}) is not one
    assert gemm(M=2, N=3, K=5) is gemm(M=2, N=3, K=5)


def test_a_workload_remembers_the_arguments_that_it_was_given() -> None:
    one, named = gemm(M=2, N=3, K=5), gemm(M=2, N=3, K=5, name="a")
    assert (one.name, named.name) == ("gemm", "a")
    assert one.but(K=7) == gemm(M=2, N=3, K=7)
    assert one.but(K=5) == one


def test_what_looks_at_no_number_is_worked_out_once_for_all_sizes_of_a_form() -> None:
    asked: list[Cascade] = []

    @of_form
    def summed(cascade: Cascade) -> list[str]:
        asked.append(cascade)
        return [rank for einsum in cascade.einsums for rank, _ in einsum.reductions]

    one = parse(TEXT, sizes={"m": 2, "n": 3, "k": 5})
    others = (
        parse(TEXT, sizes={"m": np.array([2.0, 7.0]), "n": 3, "k": 5}),
        parse(TEXT, sizes={"m": 8, "n": 3, "k": 5}, name="another"),
        one.with_sizes(k=9),
        gemm(M=2, N=3, K=5),
    )
    assert summed(one) == ["k"]
    assert all(summed(other) is summed(one) for other in others[:3])
    assert summed(others[3]) is not summed(one), "a weight is told from an activation"
    assert summed(parse(TEXT, sizes=one.sizes(), dtypes={"A": "fp8"})) is not summed(one)
    assert len(asked) == 3


def test_a_form_tells_bands_and_shares_apart() -> None:
    plain = parse(TEXT, sizes={"m": 4, "n": 3, "k": 5})
    banded = parse(f"{TEXT} | m - n <= 0", sizes={"m": 4, "n": 3, "k": 5})
    assert points(plain.einsums[0], plain) == 60
    assert points(banded.einsums[0], banded) == 5 * (1 + 2 + 3)  # of each k, the triangle m <= n
    assert plain.form is not banded.form
