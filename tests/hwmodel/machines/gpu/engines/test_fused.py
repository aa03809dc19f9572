"""Bytes of fused kernels, counted by hand: what goes through the memory once."""

from hwmodel.einsum.cascade import Cascade
from hwmodel.machines.gpu.engines import fused
from hwmodel.machines.gpu.lower import lower

ROWS, COLS = 64, 4096
MATRIX = ROWS * COLS * 2


def moved(cascade: Cascade) -> tuple[float, float]:
    (call,) = lower(cascade)
    return call.problem.read_bytes, call.problem.written_bytes


def test_a_norm_of_a_residual_sum_keeps_the_sum() -> None:
    made = fused.norm(ROWS, COLS, "bf16", out="bf16", added=True, name="norm")
    assert moved(made) == (2 * MATRIX + COLS * 2, 2 * MATRIX)


def test_a_norm_that_narrows_writes_a_byte_an_element_beside_the_sum() -> None:
    made = fused.norm(ROWS, COLS, "bf16", out="fp8", added=True, name="norm")
    assert moved(made) == (2 * MATRIX + COLS * 2, MATRIX + MATRIX / 2)


def test_a_gate_reads_both_halves_and_writes_one() -> None:
    made = fused.gated(ROWS, COLS, "bf16", out="bf16", name="gate")
    assert moved(made) == (2 * MATRIX, MATRIX)


def test_q_and_k_are_rotated_in_one_pass() -> None:
    made = fused.rotary(ROWS, 40, 128, "bf16", "rotary")
    heads, tables = ROWS * 40 * 128 * 2, 2 * ROWS * 128 * 2
    assert moved(made) == (heads + tables, heads)


def test_keys_and_values_are_copied_once() -> None:
    assert moved(fused.cached(ROWS, 16, 128, "bf16", "bf16", "write")) == (ROWS * 16 * 128 * 2,) * 2


def test_rows_of_experts_are_summed_as_they_are_read() -> None:
    made = fused.summed(ROWS, 8, COLS, "bf16", "sum")
    assert moved(made) == (8 * MATRIX, MATRIX)
