"""Layers: multiply-accumulates and weights as a walk of the loops and as the cascade count them."""

from typing import Any

import pytest

from hwmodel.einsum.counts import cascade_counts, footprint, footprint_bytes
from hwmodel.einsum.workloads.layer import KINDS, Layer


def layer(kind: str, **changes: Any) -> Layer:
    sizes: dict[str, Any] = {
        "height": 8,
        "width": 8,
        "channels": 4,
        "out_height": 8,
        "out_width": 8,
        "filters": 4,
    }
    inputs = (0, -1) if kind in ("add", "multiply") else (-1,)
    return Layer("one", kind, inputs, **(sizes | changes))


@pytest.mark.parametrize(
    ("made", "macs", "weights"),
    [
        pytest.param(layer("conv", filters=5, kernel=3), 64 * 5 * 9 * 4, 5 * 9 * 4, id="conv"),
        pytest.param(layer("depthwise", kernel=5), 64 * 4 * 25, 4 * 25, id="depthwise"),
        pytest.param(
            layer("linear", height=2, width=3, out_height=1, out_width=1, filters=7),
            *(2 * 3 * 4 * 7, 2 * 3 * 4 * 7),
            id="linear",
        ),
        pytest.param(layer("add"), 0, 0, id="add"),
    ],
)
def test_macs_and_weights_by_hand(made: Layer, macs: int, weights: int) -> None:
    assert (made.macs, made.weights) == (macs, weights)


@pytest.mark.parametrize("kind", ["conv", "depthwise", "linear"])
@pytest.mark.parametrize("stride", [1, 2])
def test_the_cascade_counts_the_same_macs_and_weights(kind: str, stride: int) -> None:
    out = {"out_height": 8 // stride, "out_width": 8 // stride, "stride": stride, "kernel": 3}
    flat = {"out_height": 1, "out_width": 1}
    made = layer(kind, **(flat if kind == "linear" else out))
    cascade = made.cascade("int8")
    assert sum(cascade_counts(cascade).values()) == 2 * made.macs
    (weight,) = (n for n in cascade.inputs if cascade.tensors[n].role == "weight")
    assert footprint_bytes(weight, cascade) == made.weights


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_a_cascade_with_its_output(kind: str) -> None:
    small = {"out_height": 1, "out_width": 1} if kind in ("mean", "linear") else {}
    made = layer(kind, **small)
    cascade = made.cascade("int8")
    assert footprint(cascade.einsums[-1].name, cascade) == made.outputs_elements
