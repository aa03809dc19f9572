"""Text to cascade: what each construct means, and what a mistake is answered with."""

import math
import re
import time
from typing import Any

import numpy as np
import pytest

from hwmodel.einsum.cascade import Access, Apply, Band, Constant, Extent, Index
from hwmodel.einsum.notation import parse
from hwmodel.quantity.errors import InputError, UnknownNameError

ONE_PASS = """
# attention in one pass, as FuseMax implements it
rank m = m1 x m0
tensor K[h, e, m1, m0]: fp8 cache
QK[h, m1, m0, p]  = Q[h, e, p] * K[h, e, m1, m0] / sqrt(E)
LM[h, m1, p]      = max(m0) QK[h, m1, m0, p]
RM[h, m1+1, p]    = max(RM[h, m1, p], LM[h, m1, p])            ; RM[h, 0, p] = -inf
SLN[h, m1, m0, p] = exp(QK[h, m1, m0, p] - RM[h, m1+1, p])
SLD[h, m1, p]     = SLN[h, m1, m0, p]
RD[h, m1+1, p]    = RD[h, m1, p] * exp(RM[h, m1, p] - RM[h, m1+1, p]) + SLD[h, m1, p]
    ; RD[h, 0, p] = 0
D[h, p]           = RD[h, M1, p]
"""
SIZES = {"h": 2, "m": 10, "m0": 4, "p": 3, "e": 5}


def test_the_one_pass_cascade_reads_as_it_is_written() -> None:
    cascade = parse(ONE_PASS, sizes=SIZES)
    assert [e.name for e in cascade.einsums] == ["QK", "LM", "RM", "SLN", "SLD", "RD", "D"]
    assert cascade.einsum("LM").reductions == (("m0", "max"),)
    assert cascade.einsum("SLD").reductions == (("m0", "add"),)
    assert cascade.inputs == ("K", "Q")
    assert cascade.outputs == ("D",)
    assert [i.value for i in cascade.initials] == [-math.inf, 0.0]


def test_a_partition_gets_as_many_tiles_as_cover_its_parent() -> None:
    ranks = parse(ONE_PASS, sizes=SIZES).ranks
    assert (ranks["m1"].size, ranks["m1"].parent, ranks["m1"].part) == (3, "m", 1)
    assert (ranks["m0"].size, ranks["m0"].parent, ranks["m0"].part) == (4, "m", 0)


def test_a_parent_without_a_size_is_the_product_of_its_parts() -> None:
    cascade = parse("rank m = m1 x m0\nZ[m1, m0] = A[m1, m0]", sizes={"m1": 3, "m0": 4})
    assert cascade.ranks["m"].size == 12


def test_a_rank_is_iterative_where_an_output_is_written_ahead_along_it() -> None:
    ranks = parse(ONE_PASS, sizes=SIZES).ranks
    assert [name for name, rank in ranks.items() if rank.iterative] == ["m1"]


def test_indices_are_affine_and_may_name_an_extent() -> None:
    cascade = parse(
        "rank w = 2*Y + R - 2\ntensor I[c, w]\nO[c, y] = I[c, 2*y+r] * F[r] + B[Y-1]",
        sizes={"c": 1, "y": 4, "r": 3},
    )
    image, _, last = cascade.einsums[0].reads
    assert cascade.ranks["w"].size == 9
    assert image.indices[1] == Index((("y", 2), ("r", 1)))
    assert last.indices == (Index((), -1, "y"),)


def test_infix_operators_bind_as_in_arithmetic() -> None:
    (einsum,) = parse("Z[i] = A[i] - B[i] * C[i] - -2", sizes={"i": 1}).einsums
    a, b, c = (Access(name, (Index((("i", 1),)),)) for name in "ABC")
    product = Apply("multiply", (b, c))
    assert einsum.expression == Apply("subtract", (Apply("subtract", (a, product)), Constant(-2.0)))


def test_a_capital_without_brackets_is_a_scalar_tensor_or_else_an_extent() -> None:
    cascade = parse("Y = A[k] * B[k]\nZ[k] = A[k] * Y / K", sizes={"k": 4})
    assert cascade.einsum("Z").expression == Apply(
        "divide",
        (Apply("multiply", (Access("A", (Index((("k", 1),)),)), Access("Y"))), Extent("k")),
    )


@pytest.mark.parametrize(
    ("text", "bands"),
    [
        ("m <= p + 5", [Band((("m", 1), ("p", -1)), high=5)]),
        ("m < p + M - P", [Band((("m", 1), ("p", -1)), high=5)]),
        ("0 <= p - m < 128", [Band((("m", 1), ("p", -1)), low=-127, high=0)]),
        ("m - p <= 3, m > p - w", [Band((("m", 1), ("p", -1)), low=-6, high=3)]),
        ("m + p == 4", [Band((("m", 1), ("p", 1)), low=4, high=4)]),
        ("3 > m, p >= 2", [Band((("m", 1),), high=2), Band((("p", 1),), low=2)]),
        ("m <= p, m <= p + 1", [Band((("m", 1), ("p", -1)), high=h) for h in (0, 1)]),
    ],
)
def test_bands_come_out_in_canonical_form(text: str, bands: list[Band]) -> None:
    sizes = {"m": 10, "p": 4} | ({"w": 7} if "w" in text else {})
    assert [*parse(f"Z[m, p] = A[m] * B[p] | {text}", sizes=sizes).einsums[0].bands] == bands


def test_density_and_probability_follow_the_bands() -> None:
    text = "Z[m] = A[m] | m < 3 ~ 1 / BLOCKS ? chance"
    (einsum,) = parse(text, sizes={"m": 8, "blocks": 4, "chance": 0.1}).einsums
    assert (einsum.density, einsum.probability) == (0.25, 0.1)


def test_a_data_dependent_rank_has_its_mean_as_size() -> None:
    text = "rank t(x) ~ uniform(tokens, top_k)\nC[x, t, n] = A[x, t, k] * W[x, n, k]"
    sizes = {"x": 8, "n": 3, "k": 5, "tokens": 10, "top_k": 2}
    rank = parse(text, sizes=sizes).ranks["t"]
    assert rank.size == 2.5
    assert rank.distribution is not None
    assert (rank.distribution.over, rank.distribution.draws, rank.distribution.picks) == (
        "x",
        10,
        2,
    )


def test_formats_come_from_the_text_and_the_call_wins() -> None:
    tensors = parse(ONE_PASS, sizes=SIZES, dtypes={"QK": "float32", "*": "fp16"}).tensors
    assert (tensors["K"].dtype, tensors["K"].role) == ("fp16", "cache")
    assert tensors["QK"].dtype == "fp32"
    assert parse(ONE_PASS, sizes=SIZES).tensors["K"].dtype == "fp8"


def test_sizes_may_be_arrays() -> None:
    m = np.array([10.0, 1e12])
    ranks = parse(ONE_PASS, sizes=SIZES | {"m": m}).ranks
    assert np.array_equal(ranks["m1"].size, [3.0, 2.5e11])


def test_a_line_may_go_on_below_and_carry_a_comment() -> None:
    cascade = parse("Z[m] = A[m]   # first\n    + B[m]\n\n  | m < 2 # last", sizes={"m": 4})
    assert [access.tensor for access in cascade.einsums[0].reads] == ["A", "B"]
    assert cascade.einsums[0].bands


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("Z[m] = A[m, k] * B[k", 1, 21, r"expected .*\].*; found the end of the text"),
        ("Z[m = A[m]", 1, 5, r"expected \+ - \* / \] ,; found '='"),
        ("Z[m] = A[m] $", 1, 13, r"found '\$'"),
        ("# x\nZ[m] = maxx(m0) A[m, m0]", 2, 8, r"unknown operator 'maxx' \(did you mean 'max'"),
        ("Z[m] = max(k) A[m]", 1, 12, "cannot reduce rank k: the value lacks it"),
        ("Z[m] = max(m) A[m]", 1, 12, "cannot reduce rank m: the output keeps it"),
        ("Z[m] = exp(n) A[m, n]", 1, 8, "exp cannot reduce; expected one of add"),
        ("Z[m] = exp(A[m], A[m])", 1, 8, "exp takes 1 argument, found 2"),
        ("Z[m] = argmin(A[m])", 1, 8, "argmin only reduces"),
        ("Z[m] = A[m]\nY[m] = Z[m, m]", 2, 8, "tensor Z has 1 indices elsewhere, found 2"),
        ("tensor K[m]: fp9\nZ[m] = K[m]", 1, 14, r"unknown dtype or role 'fp9' \(did you mean"),
        ("Z[m] = A[m*m]", 1, 10, "whole multiples of ranks"),
        ("Z[m] = A[m] | 3 < 4", 1, 15, "expected a rank in the band"),
        ("Z[m] = A[2*m+r]", 1, 8, "no rank spans axis 1 of A"),
        ("R[m+1] = R[m] + A[m] ; R[0] = A[m]", 1, 31, "a number or inf"),
        ("rank t(x) ~ normal(3)\nZ[x, t] = A[x, t]", 1, 13, "unknown distribution 'normal'"),
        ("rank t(x) ~ zipf(3)\nZ[x, t] = A[x, t]", 1, 13, "zipf takes 3 to 4 arguments"),
        ("output Y\nZ[m] = A[m]", 1, 8, "output Y is made by no Einsum"),
    ],
)
def test_a_mistake_is_shown_with_its_line_and_column(
    text: str, line: int, column: int, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse(text, sizes={"m": 4, "k": 4, "m0": 2})
    shown = str(caught.value).splitlines()
    assert f"line {line}, column {column}:" in shown[0]
    assert shown[1] == f"  {text.splitlines()[line - 1]}"
    assert shown[2].index("^") == column + 1


@pytest.mark.parametrize(
    ("text", "sizes", "message"),
    [
        ("Z[m] = A[m]", {}, "rank 'm' has no size"),
        ("Z[m] = A[m]", {"m": 0}, "size of 'm': expected a number above 0, found 0"),
        ("Z[m] = A[m]", {"m": 2.5}, "expected a whole number"),
        ("Z[m] = A[m] ~ kept", {"m": 4}, "parameter 'kept' has no size"),
        ("rank m = N, n = M\nZ[m] = A[m, n]", {}, "is defined by itself"),
        ("", {}, "expected at least one Einsum"),
        ("\n".join(f"Z{i}[m] = A[m]" for i in range(1001)), {"m": 4}, "at most 1,000 Einsums"),
    ],
)
def test_sizes_that_do_not_fit_are_named(text: str, sizes: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse(text, sizes=sizes)


def test_an_unknown_size_or_tensor_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="'mm'"):
        parse("Z[m] = A[m]", sizes={"m": 4, "mm": 4})
    with pytest.raises(UnknownNameError, match="'B'"):
        parse("Z[m] = A[m]", sizes={"m": 4}, dtypes={"B": "fp8"})


def test_a_text_seen_before_is_only_bound_again() -> None:
    parse(ONE_PASS, sizes=SIZES)
    start = time.perf_counter()
    for m in range(1, 201):
        parse(ONE_PASS, sizes=SIZES | {"m": m})
    assert time.perf_counter() - start < 0.5  # thousands a second; parsing anew takes 10 times that


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Z[m] = A[m] * 1_", "line 1, column 16: expected the end of the line"),
        ("Z[m] = A[m] * 1__0", "found '_'"),
        ("Z[m] = A[m] * ²", "found '²'"),
        ("Z[m] = A[m] * ٣", "found '٣'"),
        (f"Z[m] = A[m] * {'9' * 5000}", "column 15: expected a number of at most 1.8e308"),
        (f"Z[m] = A[m] * {'9' * 320}", "expected a number of at most 1.8e308"),
        ("Z[m] = A[m] * 1e999", "expected a number of at most 1.8e308"),
        (f"rank m = {'9' * 5000}\nZ[m] = A[m]", "line 1, column 10: expected a number of at"),
        (f"Z[m] = {'exp(' * 400}A[m]{')' * 400}", "at most 120 brackets, signs and terms within"),
        (f"Z[m] = {'-' * 3000}A[m]", "at most 120 brackets, signs and terms within one another"),
        (f"Z[m] = {'A[m] + ' * 3000}A[m]", "at most 120 brackets, signs and terms within"),
        ("Z[m] = A[m]\n" * 20_000, "expected a text of at most 200,000 characters, found 240,000"),
        (None, "parse: expected a cascade's text, found None"),
    ],
)
def test_texts_beyond_the_limits_are_refused(text: Any, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(text, sizes={"m": 4})
    assert expected in str(caught.value)


def test_texts_within_the_limits_are_read() -> None:
    text = f"Z[m] = {'A[m] + ' * 100}1_000.5e-1 * A[m]"
    assert parse(text, sizes={"m": 4}).einsums[0].name == "Z"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"sizes": {"m": 10**400}}, "expected a finite number, at most 1.8e308"),
        ({"sizes": {"m": 10**5000}}, "found a whole number of some 5000 digits"),
        ({"sizes": 3}, "parse: sizes: expected a table by name, found 3"),
        ({"sizes": {"m": 4}, "dtypes": {"*": 3}}, "dtype: expected a name such as 'bf16', found 3"),
        ({"sizes": {"m": 4}, "dtypes": "bf16"}, "parse: dtypes: expected a table by name"),
        ({"sizes": {"m": "4"}}, "size of 'm': expected a plain number, found '4'"),
        ({"sizes": {"m": 4}, "name": 3}, "parse: expected a cascade's text, found 3"),
    ],
)
def test_sizes_and_formats_of_other_kinds_are_refused(options: Any, expected: str) -> None:
    with pytest.raises(InputError, match=re.escape(expected)):
        parse("Z[m] = A[m]", **options)
