"""Strided maps and reductions: the addresses that are walked, and values by NumPy."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from hwmodel.einsum.counts import flops, footprint_bytes
from hwmodel.einsum.evaluate import evaluate
from hwmodel.einsum.importers.strided import View, joined, mapped, reduced

RANDOM = np.random.default_rng(5)


def view(array: NDArray[np.float64], dtype: str = "fp32") -> View:
    """An array of NumPy as torch would tell it: strides in elements."""
    return View(array.shape, tuple(step // array.itemsize for step in array.strides), dtype)


def walked(sizes: Any, strides: Any) -> list[int]:
    ranges = [range(size) for size in sizes]
    return [sum(i * step for i, step in zip(at, strides, strict=True)) for at in product(*ranges)]


CUBE = np.arange(4.0 * 6 * 10).reshape(4, 6, 10)
VIEWS = [
    *(CUBE, CUBE.transpose(2, 0, 1), CUBE[:, ::2], CUBE[:, :, :5], CUBE[1:2], CUBE[:, 2]),
    np.broadcast_to(CUBE[:, :1], CUBE.shape),
    np.broadcast_to(np.arange(10.0), (4, 6, 10)),
]


@pytest.mark.parametrize("array", VIEWS)
def test_joined_loops_visit_the_same_addresses_in_the_same_order(
    array: NDArray[np.float64],
) -> None:
    seen, dense = view(array), view(np.ascontiguousarray(array))
    sizes, (strides, other) = joined(seen.shape, [seen.strides, dense.strides])
    assert walked(sizes, strides) == walked(seen.shape, seen.strides)
    assert walked(sizes, other) == list(range(array.size))
    assert len(sizes) <= array.ndim


SHAPES = [(240,), (24, 10), (4, 60), (2, 2, 6, 10), (10, 24), (40, 6), (120,), (12, 10), (20, 6)]


@pytest.mark.parametrize(
    ("array", "shape"),
    [(array, shape) for array in VIEWS for shape in SHAPES if array.size == np.prod(shape)],
)
def test_another_shape_is_a_view_where_numpy_need_not_copy(
    array: NDArray[np.float64], shape: tuple[int, ...]
) -> None:
    assert view(array).viewable(shape) == np.shares_memory(array.reshape(shape), array)


def test_a_map_has_the_values_of_numpy_and_reads_what_is_broadcast_once() -> None:
    x, z = RANDOM.normal(size=(3, 5, 4)), RANDOM.normal(size=(5, 1))
    out = np.zeros((3, 5, 4))
    cascade = mapped("scale", "{X} * {Z} + 2", view(out), [view(x), view(z)])
    found = evaluate(cascade, {"X": x, "Z": z[:, 0]})["Y"]
    assert np.allclose(found, x * z + 2)
    assert footprint_bytes("Z", cascade) == 5 * 4
    assert flops(cascade) == 2 * 60


def test_a_transposed_operand_keeps_the_order_of_its_memory() -> None:
    x = RANDOM.normal(size=(4, 7))
    cascade = mapped("copy", "copy({X})", view(np.zeros((7, 4))), [view(x.T)])
    assert np.allclose(evaluate(cascade, {"X": x})["Y"], x.T)


@pytest.mark.parametrize("dims", [(), (0,), (1,), (-1,), (0, 2)])
@pytest.mark.parametrize(
    ("kind", "by"),
    [
        ("sum", "sum"),
        ("mean", "mean"),
        ("max", "max"),
        ("variance", "var"),
    ],
)
def test_a_reduction_has_the_values_of_numpy(kind: str, by: str, dims: tuple[int, ...]) -> None:
    x = RANDOM.normal(size=(3, 4, 5))
    cascade = reduced(kind, kind, view(x, "fp64"), dims, "fp64")
    held = x.reshape([int(cascade.ranks[r].size) for r in cascade.tensors["X"].ranks])
    found = evaluate(cascade, {"X": held})["Y"]
    assert np.allclose(found.ravel(), np.ravel(getattr(np, by)(x, axis=dims or None)))


def test_an_expanded_tensor_is_as_large_as_what_it_repeats() -> None:
    x = as_strided(np.arange(6.0), (4, 6), (0, 8))
    cascade = mapped("copy", "copy({X})", view(np.zeros((4, 6))), [view(x, "bf16")])
    assert footprint_bytes("X", cascade) == 6 * 2
