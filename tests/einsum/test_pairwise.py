"""Long products as chains of two: the value stays, and no step walks a space that it need not."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import hwmodel as hw
from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.counts import flops
from hwmodel.einsum.evaluate import evaluate
from hwmodel.einsum.pairwise import pairwise
from hwmodel.einsum.verify import verify
from hwmodel.quantity.errors import CoverageError

MASKED = "Z[m, n] = A[m, k] * B[k, n] * D[m, n]"
CHAIN = "Z[i, l] = A[i, j] * B[j, k] * C[k, l]"


def parsed(text: str, **sizes: Any) -> Cascade:
    return hw.parse(text, sizes=sizes, dtypes={"*": "bf16"})


def read(cascade: Cascade) -> list[set[str]]:
    return [{access.tensor for access in einsum.reads} for einsum in cascade.einsums]


def test_a_product_of_three_is_a_matrix_product_and_an_elementwise_one() -> None:
    found = pairwise(parsed(MASKED, m=5, k=7, n=3))
    assert read(found) == [{"A", "B"}, {"Z_1", "D"}]
    assert [len(einsum.reductions) for einsum in found.einsums] == [1, 0]
    # 2 * 5 * 7 * 3 for the matrix product, 5 * 3 for the other; 3 * 5 * 7 * 3 as it was written
    assert flops(found) == 210 + 15


def test_a_chain_of_matrices_is_two_products() -> None:
    found = pairwise(parsed(CHAIN, i=2, j=3, k=4, l=5))
    assert read(found) == [{"A", "B"}, {"Z_1", "C"}]
    assert flops(found) == 2 * 2 * 3 * 4 + 2 * 2 * 4 * 5


@pytest.mark.parametrize(
    "text",
    [
        "Z[m, n] = A[m, k] * B[k, n]",
        "Z[m] = A[m, k] * B[m, k] * D[k]",  # A has every rank: nothing is shared between points
        "Z[m, n] = A[m, k] + B[k, n] + D[m, n]",
        "Z[m, n] = max(k) A[m, k] * B[k, n] * D[m, n]",
        "Z[m, n] = A[m, n] * B[m, n] * D[m, n]",
    ],
)
def test_what_shares_nothing_or_is_no_product_stays(text: str) -> None:
    sizes = {rank: 3 for rank in "mnk" if rank in text}
    cascade = parsed(text, **sizes)
    assert pairwise(cascade) is cascade


RANKS = "abcd"
SUBSETS = st.sets(st.sampled_from(RANKS), min_size=1, max_size=3)


@given(
    operands=st.lists(SUBSETS, min_size=3, max_size=5),
    kept=st.sets(st.sampled_from(RANKS)),
    halved=st.booleans(),
)
@settings(deadline=None, max_examples=150, derandomize=True, database=None)
def test_a_chain_computes_what_numpy_does(
    operands: list[set[str]], kept: set[str], halved: bool
) -> None:
    names = [chr(ord("P") + at) for at in range(len(operands))]
    inputs = ["".join(sorted(operand)) for operand in operands]
    output = "".join(sorted(kept & set("".join(inputs))))
    used = sorted(set("".join(inputs)))
    factors = " * ".join(f"{n}[{', '.join(i)}]" for n, i in zip(names, inputs, strict=True))
    left = f"Z[{', '.join(output)}]" if output else "Z"
    text = f"{left} = {factors}" + (" / 2" if halved else "")
    sizes = {rank: 2 + at for at, rank in enumerate(used)}
    found = pairwise(parsed(text, **sizes))
    verify(found)
    random = np.random.default_rng(len(text))
    values = {
        n: random.standard_normal([sizes[r] for r in i]) for n, i in zip(names, inputs, strict=True)
    }
    wanted = np.einsum(f"{','.join(inputs)}->{output}", *values.values()) / (2 if halved else 1)
    assert_allclose(evaluate(found, values)["Z"], wanted, rtol=1e-9, atol=1e-9)
    for einsum in found.einsums:
        alone = any(set(einsum.ranks) <= set(access.ranks) for access in einsum.reads)
        assert len(einsum.reads) <= 2 or alone or not einsum.reductions


def test_a_gpu_takes_about_a_product_and_a_map_for_it() -> None:
    """2 * 4096^3 FLOP at 989 TFLOP/s are 139 us; it was 50 ms, a walk of the whole space."""
    found = hw.predict(parsed(MASKED, m=4096, k=4096, n=4096), "h200")
    assert [part.family for part in found.parts] == ["gemm:cublas", "rows:torch"]
    product = hw.predict(hw.workloads.gemm(M=4096, N=4096, K=4096), "h200")
    rest = hw.predict(hw.workloads.multiply(rows=4096, cols=4096), "h200")
    assert_allclose(found.time_s, product.time_s + rest.time_s, rtol=0.02)
    assert found.bound_s <= found.time_low_s
    assert found.bound_bytes <= found.dram_bytes_read + found.dram_bytes_written


@pytest.mark.parametrize(
    ("on", "dtype", "most"), [("i9-14900", "fp16", 2), ("u280", "fp16", 2), ("fusemax", "bf16", 4)]
)
def test_other_machines_take_no_more_than_a_few_products_for_it(
    on: str, dtype: str, most: int
) -> None:
    """On an FPGA a walk of the space took 47 times as long, on an array of 256 x 256 512 times."""
    cascade = hw.parse(MASKED, sizes={"m": 1024, "k": 1024, "n": 1024}, dtypes={"*": dtype})
    found = hw.predict(cascade, on)
    product = hw.predict(hw.workloads.gemm(M=1024, N=1024, K=1024, dtype=dtype), on)
    assert product.time_s < found.time_s < most * product.time_s
    assert found.bound_s <= found.time_s


@pytest.mark.parametrize(
    "text",
    [
        "Z[m, n] = exp(A[m, k] + B[k, n]) * D[m, n]",
        "Z[m, n] = max(k) A[m, k] * B[k, n] * D[m, n]",
        "Z[m, n] = min(k) A[m, k] + B[k, n] + D[m, n]",
    ],
)
def test_sums_that_share_operands_and_are_no_product_are_refused_by_name(text: str) -> None:
    with pytest.raises(CoverageError, match=r"Einsum 'Z': no GPU schedule computes it"):
        hw.predict(parsed(text, m=64, k=64, n=64), "h200")
