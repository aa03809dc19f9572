"""Row kernels: values against their definitions, traffic as the conventions state."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.counts import footprint_bytes, operation_counts
from hwmodel.einsum.evaluate import evaluate
from hwmodel.einsum.workloads import rows
from hwmodel.quantity.errors import InputError

ROWS, COLS = 3, 8
RANDOM = np.random.default_rng(1)
X, Z = RANDOM.normal(size=(2, ROWS, COLS))
GAIN, SHIFT = RANDOM.normal(size=(2, COLS))
CENTRED = X - X.mean(1, keepdims=True)

MATRICES = {
    "copy": (1, 1, 0),
    "gelu": (1, 1, 0),
    "silu": (1, 1, 0),
    "softmax": (1, 1, 0),
    "add": (2, 1, 0),
    "residual": (2, 1, 0),
    "multiply": (2, 1, 0),
    "rmsnorm": (1, 1, 1),
    "layernorm": (1, 1, 2),
}
"""Kernel -> matrices read, matrices written, vectors of weights (DESIGN, conventions)."""

VALUES: dict[str, Any] = {
    "copy": X,
    "silu": X / (1 + np.exp(-X)),
    "softmax": np.exp(X) / np.exp(X).sum(1, keepdims=True),
    "add": X + Z,
    "residual": X + Z,
    "multiply": X * Z,
    "rmsnorm": X / np.sqrt((X * X).mean(1, keepdims=True) + 1e-6) * GAIN,
    "layernorm": CENTRED / np.sqrt(X.var(1, keepdims=True) + 1e-5) * GAIN + SHIFT,
}


def _kernel(name: str) -> Callable[..., Cascade]:
    return getattr(rows, name)


@pytest.mark.parametrize(("name", "expected"), VALUES.items())
def test_values_are_those_of_the_definition(name: str, expected: Any) -> None:
    made = _kernel(name)(ROWS, COLS)
    given = {"X": X, "Z": Z, "GAIN": GAIN, "SHIFT": SHIFT}
    inputs = {tensor: given[tensor] for tensor in made.inputs}
    np.testing.assert_allclose(evaluate(made, inputs)["Y"], expected, rtol=1e-12, atol=1e-14)


def test_gelu_is_the_form_with_erf() -> None:
    # gelu(1) = 0.5 * (1 + erf(1/sqrt 2)), the normal distribution at 1: 0.841344746...
    found = evaluate(rows.gelu(1, 2), {"X": np.array([[1.0, 0.0]])})["Y"]
    np.testing.assert_allclose(found, [[0.8413447460685429, 0.0]], rtol=1e-12)


@pytest.mark.parametrize(("name", "matrices"), MATRICES.items())
def test_traffic_is_that_of_the_conventions(name: str, matrices: tuple[int, int, int]) -> None:
    made = _kernel(name)(ROWS, COLS)
    read, written, vectors = matrices
    read_bytes = sum(footprint_bytes(tensor, made) for tensor in made.inputs)
    assert read_bytes == 2 * (read * ROWS * COLS + vectors * COLS)
    assert sum(footprint_bytes(tensor, made) for tensor in made.outputs) == 2 * written * 24


def test_reductions_are_kept_in_fp32_and_results_in_the_inputs_format() -> None:
    made = rows.softmax(ROWS, COLS, "fp16")
    assert {name: tensor.dtype for name, tensor in made.tensors.items()} == {
        **{"X": "fp16", "Y": "fp16", "PEAK": "fp32", "NUM": "fp32", "SUM": "fp32"}
    }


def test_softmax_takes_one_exponential_an_element() -> None:
    made = rows.softmax(ROWS, COLS)
    assert (
        sum(n for (k, _), n in operation_counts(made.einsum("NUM"), made).items() if k == "exp")
        == ROWS * COLS
    )


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("argument", ["rows", "cols"])
def test_bad_sizes_name_the_kernel_and_the_argument(name: str, argument: str) -> None:
    with pytest.raises(InputError, match=f"^{name}: {argument}: expected a number above 0"):
        _kernel(name)(**{"rows": 1, "cols": 1, argument: 0})
