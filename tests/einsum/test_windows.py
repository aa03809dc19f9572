"""Convolutions are found by what their ranks do, whatever they are called and however they lie."""

from typing import Any

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.einsum.notation import parse
from hwmodel.einsum.windows import Window, pool, window
from hwmodel.einsum.workloads.convolution import conv2d


def found(text: str, **sizes: int) -> Window | None:
    cascade = parse(text, sizes=sizes, dtypes={"*": "fp16"})
    return window(cascade.einsums[-1], cascade)


def test_a_strided_dilated_convolution_in_groups() -> None:
    cascade = conv2d(2, 12, 24, 19, 30, 3, stride=(2, 1), dilation=(1, 2), groups=4, padding=1)
    shape = window(cascade.einsums[0], cascade)
    assert shape is not None
    assert (shape.batch, shape.groups, shape.channels, shape.filters) == (2, 4, 3, 6)
    assert (shape.outputs, shape.taps) == (10 * 28, 9)
    assert shape.image_elements == 2 * 12 * 19 * 30  # no pads
    assert not shape.channels_last


def test_channels_last_and_other_names() -> None:
    text = "tensor B[u, i, j, q]\nW[u, a, e, f] = B[u, a+v, e+w, q] * K[v, w, q, f]"
    shape = found(text, u=3, i=9, j=9, q=16, a=7, e=7, v=3, w=3, f=5)
    assert shape is not None
    assert (shape.image, shape.kernel) == ("B", "K")
    assert (shape.batch, shape.channels, shape.filters, shape.groups) == (3, 16, 5, 1)
    assert (shape.outputs, shape.taps, shape.channels_last) == (49, 9, True)


@pytest.mark.parametrize(
    ("text", "sizes", "outputs", "taps", "elements"),
    [
        ("tensor I[c, w]\nO[k, x] = I[c, x+s] * F[k, c, s]", "c4 k5 w8 x6 s3", 6, 3, 4 * 8),
        (
            "tensor I[c, d, h, w]\nO[k, z, y, x] = I[c, z+t, y+r, x+s] * F[k, c, t, r, s]",
            "c4 k5 d5 h6 w7 z4 y4 x4 t2 r3 s4",
            64,
            24,
            4 * 5 * 6 * 7,
        ),
        # A window of one point and steps of two reads every second place of each row.
        ("tensor I[c, w]\nO[k, x] = I[c, 2*x] * F[k, c]", "c4 k5 w8 x4", 4, 1, 4 * 4),
    ],
)
def test_any_number_of_dimensions(
    text: str, sizes: str, outputs: int, taps: int, elements: int
) -> None:
    shape = found(text, **{word[0]: int(word[1:]) for word in sizes.split()})
    assert shape is not None
    assert (shape.outputs, shape.taps, shape.image_elements) == (outputs, taps, elements)


@pytest.mark.parametrize(
    ("text", "ranks"),
    [
        ("C[m, n] = A[m, k] * B[k, n]", "mnk"),
        ("tensor A[w]\nC[x] = A[x+s]", "wxs"),
        ("tensor A[w]\nC[x] = max(s) A[x+s] * B[s]", "wxs"),
        ("tensor A[w]\ntensor B[w]\nC[x] = A[x+s] * B[x+s]", "wxs"),
        ("tensor A[w]\nC[x] = A[x+s] * B[x, s]", "wxs"),  # weights of every place: nothing slides
    ],
)
def test_what_is_no_convolution(text: str, ranks: str) -> None:
    sizes = {"m": 4, "n": 4, "k": 4, "w": 8, "x": 6, "s": 3}
    assert found(text, **{rank: sizes[rank] for rank in ranks}) is None


def test_products_in_bands_of_many_sizes_are_no_windows() -> None:
    def bound_s(queries: Any) -> Any:
        attention = hw.workloads.attention(1, 2, queries, 512, 64, causal=True)
        return hw.bound(attention, on="h200").time_s

    assert list(bound_s(np.array([128, 512]))) == [bound_s(128), bound_s(512)]


@pytest.mark.parametrize("text", ["max(r, s) I[{0}]", "sum(r, s) I[{0}] / (R * S)"])
@pytest.mark.parametrize("last", [False, True])
def test_pooling_reduces_a_window_without_weights(text: str, last: bool) -> None:
    """ResNet's first pooling: 3 x 3 windows, two apart, reach 113 rows and columns."""
    read, out = (
        ("b, 2*y+r, 2*x+s, c", "b, y, x, c") if last else ("b, c, 2*y+r, 2*x+s", "b, c, y, x")
    )
    whole = "b, h, w, c" if last else "b, c, h, w"
    cascade = parse(
        f"tensor I[{whole}]\nO[{out}] = {text.format(read)}",
        sizes={"b": 2, "c": 64, "y": 56, "x": 56, "r": 3, "s": 3, "h": 113, "w": 113},
    )
    found = pool(cascade.einsums[0], cascade)
    assert found is not None
    assert (found.elements, found.channels, found.taps) == (2 * 64 * 56 * 56, 64, 9)
    assert found.image_elements == 2 * 64 * 113 * 113
    assert (found.operator, found.channels_last) == ("max" if "max" in text else "add", last)


@pytest.mark.parametrize(
    ("text", "side"),
    [("O[b, y] = max(x) I[b, y, x]", "x"), ("tensor I[b, w]\nO[b, y] = I[b, 2*y]", "w")],
)
def test_a_plain_reduction_and_a_stride_are_no_pooling(text: str, side: str) -> None:
    cascade = parse(text, sizes={"b": 2, "y": 5, side: 9})
    assert pool(cascade.einsums[0], cascade) is None


def test_strides_skip_and_axes_are_where_windows_slide() -> None:
    strided = found("tensor I[c, w]\nO[k, x] = I[c, 2*x+s] * F[k, c, s]", c=4, k=5, w=9, x=4, s=3)
    dilated = found("tensor I[c, w]\nO[k, x] = I[c, x+2*s] * F[k, c, s]", c=4, k=5, w=9, x=5, s=3)
    assert strided is not None
    assert dilated is not None
    assert (strided.skips, dilated.skips) == (True, False)
    assert strided.whole_elements == 4 * 9
    (one,), (other,) = strided.axes, dilated.axes
    assert (one.side, one.taps, one.outputs, one.stride, one.dilation) == (9, 3, 4, 2, 1)
    assert (other.outputs, other.stride, other.dilation, other.phases) == (5, 1, 2, 1)


@pytest.mark.parametrize(
    ("output", "image", "phases"),
    [
        ("b, k, y, x, e, f", "b, c, y+r, x+s", 4),
        ("b, y, x, e, f, k", "b, y+r, x+s, c", 4),
        ("b, y, x, k", "b, y+r, x+s, c", 1),
    ],
)
def test_phases_of_a_transposed_convolution_lie_within_a_row(
    output: str, image: str, phases: int
) -> None:
    """A stride of 2 each way: 4 phases of 6 filters; 24 filters in all."""
    kernel = "k, e, f, c, r, s" if phases > 1 else "k, c, r, s"
    order = "b, y+r, x+s, c" if image.endswith("c") else "b, c, y+r, x+s"
    stored = "b, h, w, c" if image.endswith("c") else "b, c, h, w"
    sizes = {"b": 2, "k": 6, "c": 8, "h": 10, "w": 10, "y": 9, "x": 9, "r": 2, "s": 2}
    sizes |= {"e": 2, "f": 2} if phases > 1 else {}
    shape = found(f"tensor I[{stored}]\nO[{output}] = I[{order}] * F[{kernel}]", **sizes)
    assert shape is not None
    assert (shape.phases, shape.filters, shape.outputs) == (phases, 6 * phases, 81)
