"""Problems of Timeloop and workloads of AccelForge as cascades: ranks, windows, formats."""

from typing import Any

import pytest

from hwmodel.einsum.importers.timeloop_problem import problem
from hwmodel.quantity.errors import CoverageError, InputError

CONV: dict[str, Any] = {
    "shape": {
        "name": "Conv1D",
        "dimensions": ["R", "P", "K"],
        "coefficients": [{"name": "Stride", "default": 1}],
        "data_spaces": [
            {"name": "Weights", "projection": [[["K"]], [["R"]]]},
            {"name": "Inputs", "projection": [[["R"], ["P", "Stride"]]]},
            {"name": "Outputs", "projection": [[["K"]], [["P"]]], "read_write": True},
        ],
    },
    "instance": {"R": 3, "P": 16, "K": 4, "Stride": 2},
}


def test_a_window_is_a_sum_of_dimensions_and_coefficients() -> None:
    """16 places by steps of 2, windows of 3: 33 inputs."""
    made = problem({"problem": CONV}, 8)
    assert str(made).splitlines()[-1] == "Outputs[k, p] = sum(r) Weights[k, r] * Inputs[r+2*p]"
    sizes = made.sizes()
    assert (sizes["r"], sizes["p"], sizes["k"], sizes["inputs_0"]) == (3, 16, 4, 33)
    assert made.tensors["Weights"].dtype == "int8"


def test_a_workload_may_have_several_einsums_and_formats() -> None:
    workload = {
        "rank_sizes": {"M": 16, "N0": 8},
        "iteration_space_shape": {"n1": "0 <= n1 < 4"},
        "bits_per_value": {"All": 8, "W0": 4},
        "einsums": [
            {
                "name": "First",
                "tensor_accesses": [
                    {"name": "T0", "projection": ["m", "n0"]},
                    {"name": "W0", "projection": {"N0": "n0", "N1": "n1"}},
                    {"name": "T1", "projection": ["m", "n1"], "output": True},
                ],
            },
            "T2[m] = T1[m, n1]*W1[n1]",
        ],
    }
    made = problem({"workload": workload}, 16)
    assert [einsum.name for einsum in made.einsums] == ["T1", "T2"]
    assert (made.tensors["W0"].dtype, made.tensors["T2"].dtype) == ("int4", "int8")
    assert made.sizes() == {"m": 16, "n0": 8, "n1": 4}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"instance": {"R": 3, "P": 16}}, "instance: K: expected a number"),
        ({"instance": {**CONV["instance"], "K": 0.5}}, "K: expected a whole number"),
        ({"instance": None}, "instance: expected a table"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        problem({"problem": {**CONV, **change}}, 8)


def test_what_is_no_product_or_no_format_is_refused() -> None:
    with pytest.raises(InputError, match="expected a problem"):
        problem({"mapping": []}, 8)
    with pytest.raises(CoverageError, match="integers of 1 to 8, 16 or 32 bits"):
        problem({"problem": CONV}, 12)
    with pytest.raises(CoverageError, match="expected a product such as"):
        problem({"workload": {"rank_sizes": {"M": 2}, "einsums": ["Z[m] = A[m] + B[m]"]}}, 8)
    with pytest.raises(CoverageError, match="expected 0 <= rank < size"):
        problem({"workload": {"iteration_space_shape": ["m < n"], "einsums": []}}, 8)
    both = {"rank_sizes": {"M": 2}, "einsums": ["Z[m] = A[m] * B[2*m+1]"]}
    with pytest.raises(CoverageError, match="expected a sum of ranks times numbers"):
        problem({"workload": both}, 8)
