"""Which kernels a cascade becomes: by its structure, never by its names."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.attention import attention
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.einsum.workloads.moe import grouped_gemm, moe
from hwmodel.einsum.workloads.recurrence import chunked
from hwmodel.einsum.workloads.rows import add, copy, gate_silu, gelu, layernorm, rmsnorm, softmax
from hwmodel.machines.driver import predict
from hwmodel.machines.gpu.libraries.library import FEW_QUERIES
from hwmodel.machines.gpu.libraries.shipped import SHIPPED
from hwmodel.machines.gpu.lower import lower
from hwmodel.machines.gpu.recurrences import recurrence
from hwmodel.machines.gpu.schedules.scan import ScanProblem
from hwmodel.quantity.errors import CoverageError, UnknownNameError

ROWS: dict[str, Any] = {"sizes": {"a": 64, "n": 4096}, "dtypes": {"*": "fp32"}}
HEADS: dict[str, Any] = {"batch": 2, "heads": 8, "kv_heads": 2, "head_dim": 64}


def families(cascade: Any, kernel: str | None = None) -> list[str]:
    return [call.family for call in lower(cascade, kernel)]


@pytest.mark.parametrize(
    ("kernel", "family"),
    [
        (None, "gemm:cublas"),
        ("torch", "gemm:cublas"),
        ("cublas", "gemm:cublas"),
        ("cublas-fast-accum", "gemm:cublas-fast-accum"),
        ("triton", "gemm:triton"),
    ],
)
def test_a_product_is_one_call_of_the_library(kernel: str | None, family: str) -> None:
    (call,) = lower(gemm(M=7, N=30, K=11, batch=5), kernel)
    assert call.family == family
    problem = call.problem
    assert (problem.batch, problem.M, problem.N, problem.K) == (5, 7, 30, 11)
    assert call.times == 1


@pytest.mark.parametrize("batch", [1, 3])
def test_a_bias_is_added_by_the_product_that_it_follows(batch: int) -> None:
    """One call, which writes the output's format: the fp32 sums stay in registers."""
    (call,) = lower(gemm(M=16, N=24, K=32, batch=batch, bias=True))
    assert call.family == "gemm:cublas"
    assert (call.problem.M, call.problem.N, call.problem.K) == (16, 24, 32)
    assert call.problem.dtype_out == "bf16"


def test_what_is_added_but_is_no_weight_vector_is_a_kernel_of_its_own() -> None:
    text = "P[m, n] = A[m, k] * B[n, k]\nC[m, n] = P[m, n] + R[m, n]"
    cascade = parse(text, sizes={"m": 64, "n": 128, "k": 32})
    assert families(cascade) == ["gemm:cublas", "rows:torch"]


def test_a_product_under_other_names_is_lowered_the_same() -> None:
    text = "tensor GEWICHT[i, s]: weight\nOUT[r, i] = GEWICHT[i, s] * IN[r, s]"
    mine = parse(text, sizes={"r": 40, "i": 72, "s": 24}, dtypes={"*": "bf16"}, name="mine")
    (call,), (shipped,) = lower(mine), lower(gemm(M=40, N=72, K=24))
    assert call.family == shipped.family
    sides = sorted((call.problem.M, call.problem.N))
    assert sides == sorted((shipped.problem.M, shipped.problem.N))
    assert call.problem.K == shipped.problem.K
    assert call.problem.dtype_out == shipped.problem.dtype_out


def test_softmax_under_other_names_is_lowered_the_same() -> None:
    text = """
    TOP[a] = max(z) IN[a, z]
    EXP[a, z] = exp(IN[a, z] - TOP[a])
    ALL[a] = sum(z) EXP[a, z]
    OUT[a, z] = EXP[a, z] / ALL[a]
    """
    dtypes = {"IN": "bf16", "OUT": "bf16", "*": "fp32"}
    (call,) = lower(parse(text, sizes={"a": 50, "z": 700}, dtypes=dtypes))
    (shipped,) = lower(softmax(50, 700))
    assert call.family == shipped.family == "rows:torch"
    assert call.problem == shipped.problem


@pytest.mark.parametrize(
    ("kernel", "library"),
    [(None, "flash-attention-2"), ("cudnn", "cudnn"), ("triton", "triton")],
)
def test_few_queries_are_decode_and_many_are_prefill(kernel: str | None, library: str) -> None:
    few = attention(**HEADS, queries=FEW_QUERIES, keys=512)
    many = attention(**HEADS, queries=FEW_QUERIES + 1, keys=512)
    assert families(few, kernel) == [f"decode:{library}"]
    assert families(many, kernel) == [f"prefill:{library}"]


def test_a_sweep_over_both_has_two_calls_of_which_one_runs_at_each_point() -> None:
    queries = np.array([1.0, 4096.0, FEW_QUERIES, 100.0])
    decode, prefill = lower(attention(**HEADS, queries=queries, keys=4096))
    assert (decode.schedule, prefill.schedule) == ("decode", "prefill")
    assert_allclose(decode.times, [1, 0, 1, 0])
    assert_allclose(np.asarray(decode.times) + np.asarray(prefill.times), np.ones(4))


@pytest.mark.parametrize("form", [{"passes": 3}, {"passes": 1}, {"splits": 4}])
def test_attention_is_one_fused_call_whatever_its_form(form: dict[str, Any]) -> None:
    (call,) = lower(attention(**HEADS, queries=256, keys=512, causal=True, **form))
    problem = call.problem
    assert (problem.batch, problem.heads, problem.kv_heads) == (2, 8, 2)
    assert (problem.queries, problem.keys, problem.head_dim) == (256, 512, 64)
    assert problem.causal


def test_experts_are_grouped_products_with_row_kernels_between() -> None:
    layer = moe(tokens=64, experts=8, top_k=2, hidden=512, intermediate=256)
    calls = lower(layer)
    assert [call.name for call in calls] == ["H", "G", "A", "Y"]
    assert [call.schedule for call in calls] == ["grouped", "rows", "rows", "grouped"]
    up, _, _, down = calls
    assert (up.problem.M, up.problem.N, up.problem.K) == (128, 512, 512)
    assert (down.problem.M, down.problem.N, down.problem.K) == (128, 512, 256)
    assert all(call.library.name == "torch" for call in calls)


def test_the_calls_of_a_cascade_share_out_its_einsums() -> None:
    layer = moe(tokens=64, experts=8, top_k=2, hidden=512, intermediate=256)
    done = [call.work for call in lower(layer)]
    assert [[e.name for e in work.einsums] for work in done if work] == [["H"], ["G"], ["A"], ["Y"]]


@pytest.mark.parametrize(
    ("cascade", "form"),
    [
        (softmax(100, 512), "softmax"),
        (rmsnorm(100, 512), "norm"),
        (layernorm(100, 512), "norm"),
        (add(100, 512), "map"),
        (gelu(100, 512), "map"),
        (copy(100, 512), "copy"),
        (gate_silu(100, 512, "bf16"), "strided"),
    ],
)
def test_row_operations_have_their_form_of_kernel(cascade: Any, form: str) -> None:
    (call,) = lower(cascade)
    assert call.family == "rows:torch"
    assert call.problem.form == form
    assert (call.problem.rows, call.problem.cols) == (100, 512)


def reduced(cols: Any, rows: Any = 100, text: str = "S[r] = sum(c) X[r, c]") -> Any:
    return parse(text, sizes={"r": rows, "c": cols}, dtypes={"*": "bf16"})


def test_a_short_sum_is_a_loop_of_one_thread() -> None:
    """It holds its whole row: nothing is kept in shared memory."""
    (short,), (long,) = lower(reduced(8)), lower(reduced(4096))
    assert (short.schedule, short.problem.form, short.problem.row_bytes) == ("rows", "map", 0)
    assert (long.family, long.problem.form) == ("reduction:torch", "reduce")


def test_softmax_and_norms_are_kernels_of_rows_at_any_length() -> None:
    for make, form in ((softmax, "softmax"), (rmsnorm, "norm"), (layernorm, "norm")):
        for cols in (8, 4096):
            (call,) = lower(make(100, cols))
            assert (call.family, call.problem.form) == ("rows:torch", form)
            assert call.problem.row_bytes >= cols * 2


def test_a_sweep_over_short_and_long_sums_has_a_call_for_each() -> None:
    short, long = lower(reduced(np.array([8.0, 4096.0, 63.0, 64.0])))
    assert (short.schedule, long.schedule) == ("rows", "reduction")
    assert_allclose(short.times, [1, 0, 1, 0])
    assert_allclose(long.times, [0, 1, 0, 1])


def test_a_sum_along_the_last_index_is_contiguous_and_any_other_strided() -> None:
    (call,) = lower(reduced(4096, text="S[c] = sum(r) X[r, c]", rows=512))
    assert call.problem.form == "reduce strided"
    assert (call.problem.rows, call.problem.cols) == (4096, 512)


@pytest.mark.parametrize(
    ("text", "kernels"),
    [
        ("S[a] = sum(n) exp(X[a, n])", 1),
        ("S[a] = sum(n) sqrt(X[a, n])", 1),
        ("S[a] = sum(n) exp(X[a, n])\nT[a] = log(S[a])", 1),
        ("M[a] = max(n) X[a, n]\nS[a] = sum(n) exp(X[a, n] - M[a])\nT[a] = M[a] + log(S[a])", 3),
        ("M[a] = sum(n) X[a, n]\nV[a] = sum(n) (X[a, n] - M[a]) * (X[a, n] - M[a])", 2),
        ("P[a, m] = sum(n) X[a, m, n]\nS[a] = sum(m) P[a, m]", 2),
    ],
)
def test_what_leaves_no_column_is_shared_by_all_processors_whatever_it_sums(
    text: str, kernels: int
) -> None:
    """One row of 2^28 numbers: no block of its own, which would take 80 ms and more."""
    parted = "[a, m]" in text
    sizes = {"a": 1, "m": 2**14, "n": 2**14} if parted else {"a": 1, "n": 2**28}
    cascade = parse(text, sizes=sizes, dtypes={"*": "fp32"})
    calls = lower(cascade)
    assert len(calls) == kernels
    assert calls[0].family == "reduction:torch"
    reads = 2 if kernels > 1 and not parted else 1
    assert predict(cascade, "h200").time_s < 1.5 * reads * 2**30 / 4.8e12


def test_what_keeps_its_columns_is_a_kernel_of_whole_rows() -> None:
    kept = parse("E[a, n] = exp(X[a, n])\nS[a] = sum(n) E[a, n]\nY[a, n] = E[a, n] / S[a]", **ROWS)
    assert families(kept) == ["rows:torch"]


def test_our_kernels_have_no_reduction() -> None:
    with pytest.raises(CoverageError, match=r"no reduction schedule; kernels that do: torch"):
        lower(reduced(4096), "triton")


def test_only_additions_of_few_rows_are_atomic() -> None:
    """`index_add` by an atomic for each element, point by point."""
    text = "ADDED[t, d] = sum(k) X[t, k, d]\nY[t, d] = Z[t, d] + ADDED[t, d]"
    picks = np.array([8.0, 4096.0])
    cascade = parse(text, sizes={"t": 3, "d": 5, "k": picks}, dtypes={"*": "bf16"})
    short, _ = lower(cascade)
    assert_allclose(short.problem.atomics[0], [3 * 5 * 8, 0])
    assert_allclose(short.problem.atomics[1], [8, 0])


def test_row_kernels_read_and_write_each_matrix_once() -> None:
    (call,) = lower(add(10, 200))
    assert (call.problem.read_bytes, call.problem.written_bytes) == (2 * 4000, 4000)


def test_an_unknown_kernel_is_refused_with_those_that_exist() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown kernel 'cublass' \(did you mean 'cublas'"):
        lower(gemm(M=8, N=8, K=8), "cublass")


@pytest.mark.parametrize(
    ("cascade", "kernel", "schedule"),
    [
        (gemm(M=8, N=8, K=8), "cudnn", "gemm"),
        (attention(**HEADS, queries=1, keys=64), "cublas", "decode"),
        (softmax(8, 512), "flash-attention-2", "rows"),
        (grouped_gemm(tokens=8, experts=4, top_k=1, N=64, K=64), "cublas", "grouped"),
    ],
)
def test_a_library_without_the_schedule_is_refused(
    cascade: Any, kernel: str, schedule: str
) -> None:
    able = ", ".join(
        name for name, each in SHIPPED.items() if schedule in (*each.launches, *each.calls)
    )
    words = f"kernel '{kernel}' has no {schedule} schedule; kernels that do: {able}"
    with pytest.raises(CoverageError, match=words):
        lower(cascade, kernel)


def test_an_einsum_that_nothing_computes_is_refused_by_name() -> None:
    text = "P[m, n] = A[m, k] * B[n, k]\nODD[m, n] = exp(P[m, k2] + C[n, k2])"
    cascade = parse(text, sizes={"m": 4, "n": 6, "k": 5, "k2": 6}, name="three")
    with pytest.raises(CoverageError, match=r"cascade 'three', Einsum 'ODD': no GPU schedule"):
        lower(cascade)


def test_a_gated_kernel_does_what_the_two_it_joins_do() -> None:
    """SiLU and the multiplication: one kernel of ours, the activated half in registers."""
    layer = moe(tokens=64, experts=8, top_k=2, hidden=256, intermediate=512)
    up, silu, multiply, down = lower(layer, "torch")
    names = [call.name for call in lower(layer, "triton")]
    assert names == [up.name, multiply.name, down.name]
    joined = lower(layer, "triton")[1].problem
    kept = 2.0 * 64 * 2 * 512
    assert joined.form == "gated"
    assert joined.read_bytes == silu.problem.read_bytes + multiply.problem.read_bytes - kept
    assert joined.read_bytes == joined.written_bytes * 2 == 2 * kept
    assert joined.instructions == silu.problem.instructions + multiply.problem.instructions
    both = (silu.problem.operations, multiply.problem.operations)
    for key in {*both[0], *both[1]}:
        assert joined.operations[key] == sum(each.get(key, 0) for each in both)


def test_operations_of_a_softmax_by_hand() -> None:
    """Each element: compared, reduced by the maximum, added up; its exp, and a division."""
    (call,) = lower(softmax(10, 128))
    lanes, special = ("vector", "flop", "fp32"), ("exp", "exp", "fp32")
    assert call.problem.operations == {lanes: 3 * 1280, special: 2 * 1280}


@pytest.mark.parametrize(("copies", "atomics"), [(2, (51200, 2)), (8, (204800, 8)), (64, (0, 0))])
def test_a_few_rows_summed_into_a_tensor_are_atomics(copies: int, atomics: tuple[int, int]) -> None:
    """Each element of X is added at its address, which `copies` of them share."""
    text = "S[t, h] = sum(k) X[t, k, h]\nY[t, h] = Z[t, h] + S[t, h]"
    sizes = {"t": 100, "h": 256, "k": copies}
    found = lower(parse(text, sizes=sizes, dtypes={"*": "bf16"}))
    assert [call.problem.atomics for call in found][-1] == atomics


def test_an_addition_that_sums_itself_is_no_atomic() -> None:
    text = "S[t, h] = G[t, h] * X[t, h]\nY[t] = sum(h) Z[t, h] + S[t, h]"
    found = lower(parse(text, sizes={"t": 100, "h": 256}, dtypes={"*": "bf16"}))
    assert all(call.problem.atomics == (0, 0) for call in found)


@pytest.mark.parametrize(
    "text",
    [
        "ADDED[t, d] = X[t, d] * W[t, d]\nY[t, d] = Z[t, d] + ADDED[t, d]",
        "ADDED[t, d] = sum(k) X[t, k, d]\nY[t, d] = Z[t, d] + ADDED[t, d] * W[t, d]",
        "ADDED[t, d] = sum(k) X[t, k, d]\nY[t, d] = Z[t, d] * ADDED[t, d]",
    ],
)
def test_what_an_index_add_does_not_do_has_no_atomics(text: str) -> None:
    """It adds rows as they are: nothing multiplied in, and nothing where no rows are summed."""
    sizes = {"t": 300, "d": 512} | ({"k": 8} if "k" in text else {})
    for call in lower(parse(text, sizes=sizes, dtypes={"*": "bf16"})):
        assert np.max(call.problem.atomics) == 0


def test_the_launches_of_a_recurrence_pass_the_states_of_all_chunks() -> None:
    """A state of 64 by 16 for each of 4 heads, bf16, at the end of each of 8 chunks."""
    (long,) = recurrence(chunked(2, 1024, 4, 4, 16, 64, chunk=128))
    assert isinstance(long.problem, ScanProblem)
    assert long.problem.passed_bytes == 2 * 8 * 4 * 64 * 16 * 2


def test_a_softmax_between_other_kernels_is_one_kernel_of_whole_rows() -> None:
    """Of 32 rows, of which it reads and writes each number once, as alone."""
    text = """
    S[p, m] = Q[p, e] * K[m, e]
    M[p] = max(m) S[p, m]
    E[p, m] = exp(S[p, m] - M[p])
    Z[p] = sum(m) E[p, m]
    A[p, m] = E[p, m] / Z[p]
    R[p, m] = max(A[p, m], G[m])
    """
    sizes = {"p": 32, "m": 4096, "e": 64}
    found = lower(parse(text, sizes=sizes, dtypes={"*": "bf16"}))
    assert [call.schedule for call in found] == ["gemm", "rows", "rows"]
    middle = found[1]
    assert (middle.name, middle.problem.form, middle.problem.rows) == ("A", "softmax", 32)
    assert middle.problem.read_bytes == middle.problem.written_bytes == 32 * 4096 * 2
    (alone,) = lower(softmax(32, 4096))
    assert middle.problem.operations == alone.problem.operations


def test_a_cross_entropy_is_a_softmax_and_a_sum_of_what_words_have() -> None:
    text = """
    M[r] = max(v) X[v, r]
    Z[r] = sum(v) exp(X[v, r] - M[r])
    L[v, r] = X[v, r] - M[r] - log(Z[r])
    N = sum(r) gather(L[v, r], T[r])
    """
    sizes = {"r": 2048, "v": 32_000}
    found = lower(parse(text, sizes=sizes, dtypes={"*": "bf16", "T": "int64"}))
    assert [(call.schedule, call.name) for call in found] == [("rows", "L"), ("gather", "N")]
    assert (found[1].problem.outputs, found[1].problem.bag) == (1, 2048)
