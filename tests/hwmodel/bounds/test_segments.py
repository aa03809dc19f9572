"""Traffic of lone Einsums: never above a schedule that was walked, nor above perfect pebbling."""

from itertools import permutations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodel.bounds.bound import bound_of
from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.convolution import conv2d
from tests.hwmodel.bounds.pebbles import least_traffic, matmul
from tests.hwmodel.bounds.walks import ROUNDING, moved, tiled

WIDTHS = {"int8": 1, "bf16": 2, "fp32": 4}


def made(m: int, n: int, k: int, **dtypes: str) -> Cascade:
    text = "Z[m, n] = A[m, k] * B[k, n]"
    return parse(text, sizes={"m": m, "n": n, "k": k}, dtypes={"*": "int8"} | dtypes)


@pytest.mark.parametrize("sizes", [(2, 2, 1), (1, 2, 2), (3, 1, 2), (3, 3, 1), (2, 2, 2)])
@pytest.mark.parametrize("room", [3, 4, 5])
def test_no_product_is_pebbled_with_less(sizes: tuple[int, int, int], room: int) -> None:
    assert bound_of(made(*sizes), room).bytes <= least_traffic(matmul(*sizes), room)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.tuples(*[st.integers(1, 14)] * 3),
    tiles=st.tuples(*[st.integers(1, 6)] * 3),
    order=st.permutations(range(3)),
    room=st.integers(12, 120),
    dtypes=st.tuples(*[st.sampled_from(["int8", "bf16", "fp32"])] * 3),
)
def test_no_walked_product_moves_less(
    sizes: tuple[int, ...],
    tiles: tuple[int, ...],
    order: list[int],
    room: int,
    dtypes: tuple[str, str, str],
) -> None:
    named = dict(zip("ABZ", dtypes, strict=True))
    touches = (
        (("A", (m, k)), ("B", (k, n)), ("Z", (m, n))) for m, n, k in tiled(sizes, tiles, order)
    )
    walked = moved(touches, "Z", room, {name: WIDTHS[dtype] for name, dtype in named.items()})
    assert bound_of(made(*sizes, **named), room).bytes <= walked * ROUNDING


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.tuples(*[st.integers(1, 6)] * 4),
    tiles=st.tuples(*[st.integers(1, 4)] * 4),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 3),
    order=st.permutations(range(4)),
    room=st.integers(3, 40),
)
def test_no_walked_convolution_moves_less(
    sizes: tuple[int, ...],
    tiles: tuple[int, ...],
    kernel: int,
    stride: int,
    order: list[int],
    room: int,
) -> None:
    """Ranks k, c, y, x in tiles, the window inside; an image just as large as is read."""
    filters, channels, high, wide = sizes
    height, width = ((side - 1) * stride + kernel for side in (high, wide))
    shape = (1, channels, filters, height, width, kernel, stride)
    cascade = conv2d(*shape, dtype="int8", out_dtype="int8")
    window = list(product(range(kernel), repeat=2))
    touches = (
        (("I", (c, y * stride + r, x * stride + s)), ("F", (k, c, r, s)), ("O", (k, y, x)))
        for k, c, y, x in tiled(sizes, tiles, order)
        for r, s in window
    )
    walked = moved(touches, "O", room, dict.fromkeys("IFO", 1))
    assert bound_of(cascade, room).bytes <= walked * ROUNDING


@pytest.mark.thorough
def test_wide_windows_are_bounded_above_the_compulsory_traffic() -> None:
    """And the bound is worth having: within a factor of five of the best of all loop orders."""
    cascade = conv2d(1, 8, 8, 10, 10, 3, dtype="int8", out_dtype="int8")
    best = min(
        moved(
            (
                (("I", (c, y + r, x + s)), ("F", (k, c, r, s)), ("O", (k, y, x)))
                for k, c, y, x in tiled((8, 8, 8, 8), (4, 2, 2, 4), order)
                for r in range(3)
                for s in range(3)
            ),
            *("O", 64, dict.fromkeys("IFO", 1)),
        )
        for order in permutations(range(4))
    )
    found = bound_of(cascade, 64)
    assert found.bytes > 8 * 100 + 8 * 8 * 9 + 8 * 64
    assert found.bytes <= best < 5 * found.bytes


def test_a_tensor_that_is_read_twice_is_counted_once() -> None:
    """All pairs of rows of one matrix: X is both operands; walked with every element touched."""
    text = "Z[i, j] = sum(d) X[i, d] * X[j, d]"
    side, depth = 12, 6
    cascade = parse(text, sizes={"i": side, "j": side, "d": depth}, dtypes={"*": "int8"})
    for room in (8, 16, 40):
        touches = (
            (("X", (i, d)), ("X", (j, d)), ("Z", (i, j)))
            for i, j, d in tiled((side, side, depth), (4, 4, 6), (0, 1, 2))
        )
        assert bound_of(cascade, room).bytes <= moved(touches, "Z", room, {"X": 1, "Z": 1})


def test_a_bias_is_read_on_top_of_what_the_product_moves() -> None:
    sizes = {"m": 256, "n": 256, "k": 256}
    text = "P[m, n] = A[m, k] * B[k, n]\nZ[m, n] = P[m, n] + C[m, n]"
    with_bias = parse(text, sizes=sizes, dtypes={"*": "int8"})
    assert bound_of(with_bias, 256).bytes == bound_of(made(256, 256, 256), 256).bytes + 256 * 256
