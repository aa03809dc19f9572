"""Cascade to text and back."""

from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from hwmodel.einsum.notation import parse
from hwmodel.einsum.printer import show, show_expression
from hwmodel.einsum.workloads.attention import attention
from hwmodel.einsum.workloads.moe import moe
from hwmodel.einsum.workloads.rows import layernorm
from tests.thorough import tried

RANKS = ("i", "j", "k")
SHAPES = {"A": "i", "B": "ij", "C": "jk", "D": "", "E": "ijk"}


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> str:
    """Text of an expression over tensors of fixed ranks, fully bracketed."""
    if depth == 0 or draw(st.booleans()):
        name = draw(st.sampled_from(sorted(SHAPES)))
        axes = f"[{', '.join(SHAPES[name])}]" if SHAPES[name] else ""
        number = st.floats(-1e6, 1e6, allow_nan=False).map(repr)
        return draw(st.sampled_from((f"{name}{axes}", "I", draw(number), "inf")))
    inner = expressions(depth - 1)
    form = draw(
        st.sampled_from(
            (
                *("({} + {})", "({} - {})", "({} * {})", "({} / {})", "max({}, {})", "(-({}))"),
                *("exp({})", "select({}, {}, {})", "less({}, {})", "silu({})"),
            )
        )
    )
    return form.format(*(draw(inner) for _ in range(form.count("{}"))))


@st.composite
def cascades(draw: st.DrawFn) -> str:
    """Text of a cascade with sizes, formats, bands, fractions and a recurrence."""
    lines = [f"rank {rank} = {draw(st.integers(1, 99))}" for rank in RANKS]
    kinds = st.sampled_from(("bf16", "fp8", "fp32 weight", "int8 cache"))
    lines += [f"tensor {n}[{', '.join(r)}]: {draw(kinds)}" for n, r in SHAPES.items() if r]
    for number in range(draw(st.integers(1, 3))):
        kept = draw(st.sampled_from(("i", "i, j", "k, i", "j, k")))
        line = f"Z{number}[{kept}] = {draw(expressions())} + E[i, j, k]"
        if draw(st.booleans()):
            line = line.replace("=", f"= {draw(st.sampled_from(('max', 'min')))}({{}})", 1)
            line = line.format(next(r for r in RANKS if r not in kept))
        if draw(st.booleans()):
            line += f" | {draw(st.integers(-9, 0))} <= j - i < {draw(st.integers(1, 9))}"
        if draw(st.booleans()):
            line += f" ~ {draw(st.floats(0.01, 0.99))} ? 0.5"
        lines.append(line)
    if draw(st.booleans()):
        lines.append("R[i+1, j] = R[i, j] * 0.5 + B[I-1, j] ; R[0, j] = -inf")
    return "\n".join(lines)


@tried(50, 150, text=cascades())
def test_a_printed_cascade_parses_to_itself(text: str) -> None:
    cascade = parse(text)
    assert parse(show(cascade)) == cascade


@pytest.mark.parametrize("form", [{"passes": 1}, {"passes": 2}, {"passes": 3}, {"splits": 2}])
def test_attention_survives_printing(form: dict[str, Any]) -> None:
    cascade = attention(
        batch=1, heads=4, kv_heads=2, queries=5, keys=9, head_dim=8, causal=True, window=3, **form
    )
    assert parse(show(cascade), name=cascade.name) == cascade


def test_data_dependent_ranks_survive_printing() -> None:
    cascade = moe(64, 8, 2, 16, 32, routing="zipf", exponent=1.2)
    assert parse(show(cascade), name="moe") == cascade


def test_array_sizes_survive_printing() -> None:
    text = show(parse("Z[m] = A[m]", sizes={"m": np.array([[1.0, 2.0], [3.0, 4.0]])}))
    assert "rank m = [[1.0, 2.0], [3.0, 4.0]]" in text
    assert np.array_equal(parse(text).ranks["m"].size, [[1, 2], [3, 4]])


def test_the_text_is_what_a_person_would_write() -> None:
    assert show(layernorm(10, 20)).splitlines()[-6:] == [
        "",
        "SUM[r] = sum(c) X[r, c]",
        "CENTRED[r, c] = X[r, c] - SUM[r] / C",
        "SQUARES[r] = sum(c) CENTRED[r, c] * CENTRED[r, c]",
        "SCALE[r] = rsqrt(SQUARES[r] / C + 1e-05)",
        "Y[r, c] = CENTRED[r, c] * SCALE[r] * GAIN[c] + SHIFT[c]",
    ]


def test_printing_a_cascade_prints_its_text() -> None:
    assert str(layernorm(10, 20)) == show(layernorm(10, 20))


def test_only_needed_brackets_are_printed() -> None:
    (einsum,) = parse("Z[i] = (A[i] - (B[i] - C[i])) * -(A[i] * B[i])", sizes={"i": 1}).einsums
    assert show_expression(einsum.expression) == "(A[i] - (B[i] - C[i])) * -(A[i] * B[i])"
