"""Functions of an element: how operations of an Einsum become actions and steps."""

import pytest

import hwmodel as hw
from hwmodel.einsum.workloads.attention import attention
from hwmodel.machines.spatial.functions import actions, cycles, functions_of

ONE_PASS = attention(1, 1, 512, 512, 64, passes=1)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("QK", {"mac": 1}),
        ("LM", {"max": 1}),
        ("SLN", {"exp": 1, "add": 1}),
        ("SLD", {"add": 1}),
        ("SLNV", {"mac": 1}),
        ("SPNV", {"mac": 1}),
        ("RNV", {"add": 1}),
        ("AV", {"divide": 1}),
    ],
)
def test_a_product_that_is_summed_is_one_multiply_accumulate(
    name: str, expected: dict[str, int]
) -> None:
    assert functions_of(ONE_PASS.einsum(name)) == expected


@pytest.mark.parametrize(
    ("machine", "array", "chained", "steps"),
    [("fusemax", "matrix", False, 7), ("flat", "vector", False, 2), ("flat", "vector", True, 1)],
)
def test_an_exponential_takes_six_macs_or_a_step_of_its_unit(
    machine: str, array: str, chained: bool, steps: int
) -> None:
    elements = hw.device(machine).arrays[array]
    found = actions(ONE_PASS.einsum("SLN"), elements, array)
    assert cycles(found, elements, chained=chained) == steps


def test_a_product_counts_two_operations_a_multiply_accumulate_and_others_one() -> None:
    """2 x 64 x 48 x 32 on the matrix array; 64 additions on the lanes."""
    product = hw.predict(hw.workloads.gemm(M=64, N=48, K=32), on="fusemax")
    assert sum(product.parts[0].counts.operations.values()) == 2 * 64 * 48 * 32
    assert product.energy_by_j["mac"] == pytest.approx(64 * 48 * 32 * 17.1645e-12)
    summed = hw.parse("Z[m] = A[m] + B[m]", sizes={"m": 64}, dtypes={"*": "bf16"})
    found = hw.predict(summed, on="fusemax")
    assert sum(found.parts[0].counts.operations.values()) == 64
    assert found.energy_by_j["add"] == pytest.approx(64 * 8.3395e-12)
