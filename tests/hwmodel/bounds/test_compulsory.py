"""Rows that do not fit are loaded again for each pass; what fits is not."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodel.bounds.bound import bound_of
from hwmodel.bounds.compulsory import second_passes_bytes
from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.attention import attention
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.einsum.workloads.rows import copy, layernorm, softmax


@pytest.mark.parametrize(("make", "passes"), [(copy, 1), (softmax, 3), (layernorm, 3)])
def test_a_long_row_is_loaded_once_for_each_pass(
    make: Callable[[int, int], Cascade], passes: int
) -> None:
    """Rows of 4096 bf16 elements, 1 KiB of memory: each pass but the first lacks 7 KiB."""
    again = second_passes_bytes(make(10, 4096), 1024)
    assert again == 10 * (passes - 1) * (4096 * 2 - 1024)


@given(rows=st.integers(1, 50), cols=st.integers(1, 5000), kept=st.integers(0, 5000))
def test_a_schedule_that_keeps_the_head_of_each_row_moves_no_less(
    rows: int, cols: int, kept: int
) -> None:
    """The first `kept` elements stay on the chip through all three passes, the rest come anew."""
    kept = min(kept, cols)
    memory = 2 * kept + 16
    moved = rows * 2 * (2 * cols + 2 * (cols - kept))
    assert bound_of(softmax(rows, cols), memory).bytes <= moved


def test_rows_that_fit_are_not_loaded_again() -> None:
    found = bound_of(softmax(10, 4096), 8192)
    assert found.bytes == 2 * 10 * 4096 * 2
    assert bound_of(softmax(10, 4096), 8190).reason.endswith("too long again")


def test_keys_of_attention_and_matrices_are_no_rows() -> None:
    three = attention(1, 1, 64, 4096, 8, passes=3)
    assert second_passes_bytes(three, 64) == second_passes_bytes(gemm(64, 64, 64), 64) == 0


@pytest.mark.parametrize("thinned", ["| c < 100", "~ 0.02"])
def test_long_rows_of_which_few_elements_are_wanted_need_no_second_pass(thinned: str) -> None:
    """Of 4096 bf16 elements some 100 are read, 200 bytes: 1 KiB holds them through all passes."""
    text = "M[r] = max(c) X[r, c]{0}\nE[r, c] = exp(X[r, c] - M[r]){0}\n"
    text += "S[r] = sum(c) E[r, c]{0}\nY[r, c] = E[r, c] / S[r]{0}"
    whole, some = (
        parse(text.format(words), sizes={"r": 10, "c": 4096}, dtypes={"*": "bf16"})
        for words in ("", f" {thinned}")
    )
    assert second_passes_bytes(whole, 1024) == 10 * 2 * (4096 * 2 - 1024)
    assert second_passes_bytes(some, 1024) == 0
