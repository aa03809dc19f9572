"""Row kernels against float64: odd sizes, several rows a block, rows longer than a chunk."""

# pyright: basic, reportMissingImports=false

import pytest

pytest.importorskip("torch", reason="needs torch and triton")
pytest.importorskip("triton", reason="needs torch and triton")

from hwmodel.kernels import elementwise, gated, rmsnorm, softmax
from hwmodel.machines.gpu.schedules.rows import RowTile
from hwmodel.machines.gpu.schedules.triton_tiles import row_tile
from hwmodel.quantity.errors import InputError

SHAPES = [(1, 64), (5, 100), (40, 33), (3, 1000)]
DTYPES = {"fp32": 1e-6, "fp16": 6e-4, "bf16": 5e-3}


@pytest.mark.parametrize(("rows", "cols"), SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_rmsnorm_equals_float64(draw, error, poison, rows, cols, dtype):
    x, w = draw(rows, cols, dtype=dtype), draw(cols, dtype=dtype)
    got = rmsnorm.rmsnorm(x, w, out=poison(rows, cols, dtype=x.dtype))
    assert error(got, rmsnorm.reference(x.double(), w.double())) < DTYPES[dtype]


@pytest.mark.parametrize(("rows", "cols"), SHAPES)
@pytest.mark.parametrize("passes", [1, 2, 3])
@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_is_the_same_in_one_two_and_three_passes(
    draw, error, poison, rows, cols, passes, dtype
):
    x = draw(rows, cols, dtype=dtype) * 8
    tile = None if passes == 1 else RowTile(elements=64, warps=2)
    got = softmax.softmax(x, passes=passes, tile=tile, out=poison(rows, cols, dtype=x.dtype))
    assert error(got, softmax.reference(x.double())) < DTYPES[dtype]


@pytest.mark.parametrize("passes", [1, 2, 3])
def test_softmax_of_large_numbers_does_not_overflow(draw, error, passes):
    x = draw(4, 300) * 1e4
    assert error(softmax.softmax(x, passes=passes), softmax.reference(x.double())) < 1e-3


@pytest.mark.parametrize(("rows", "inner"), [(1, 8), (7, 33), (20, 129)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_gated_activation_equals_float64(draw, error, poison, rows, inner, dtype):
    x = draw(rows, 2 * inner, dtype=dtype)
    got = gated.gated(x, tile=RowTile(256, 2), out=poison(rows, inner, dtype=x.dtype))
    assert error(got, gated.reference(x.double())) < DTYPES[dtype]


@pytest.mark.parametrize("operation", elementwise.OPERATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_elementwise_equals_float64(draw, error, poison, operation, dtype):
    x = draw(13, 77, dtype=dtype)
    y = draw(13, 77, dtype=dtype) if operation == "add" else None
    out = poison(13, 77, dtype=x.dtype)
    got = elementwise.elementwise(operation, x, y, tile=RowTile(256, 2), out=out)
    y64 = None if y is None else y.double()
    assert error(got, elementwise.reference(operation, x.double(), y64)) < DTYPES[dtype]


def test_gelu_at_published_points(draw, error):
    """gelu(1) = Phi(1) = 0.841345 (tables of the normal distribution)."""
    x = draw(4) * 0 + 1
    assert abs(float(elementwise.elementwise("gelu", x)[0]) - 0.841345) < 1e-6


@pytest.mark.parametrize(
    ("module", "kernel", "call"),
    [
        (rmsnorm, "rmsnorm_kernel", lambda x, t: rmsnorm.rmsnorm(x, x[0].clone(), tile=t)),
        (softmax, "held_kernel", lambda x, t: softmax.softmax(x, tile=t)),
    ],
)
def test_whole_rows_are_launched_with_the_record_and_no_other(draw, record, module, kernel, call):
    seen = record(module, kernel)
    call(draw(10, 50), RowTile(elements=256, warps=2, rows=4))
    ((grid, constants),) = seen.launches
    assert grid == (3,)
    assert constants == {"ROWS": 4, "COLS": 64, "num_warps": 2}


def test_stretches_are_launched_with_the_record_and_no_other(draw, record):
    seen, other = record(elementwise, "elementwise_kernel"), record(gated, "gated_kernel")
    elementwise.elementwise("copy", draw(10, 100), tile=RowTile(512, 4))
    gated.gated(draw(10, 100), tile=RowTile(128, 1))
    assert seen.launches == [((2,), {"OPERATION": "copy", "ELEMENTS": 512, "num_warps": 4})]
    assert other.launches == [((4,), {"ELEMENTS": 128, "num_warps": 1})]


def test_costs_count_each_tensor_once():
    assert rmsnorm.cost(10, 64).read == {"dram": 11 * 64 * 2}
    assert softmax.cost(10, 64, passes=3).read == {"dram": 1280, "l2": 3840}
    assert softmax.cost(10, 64).operations["exp", "exp", "fp32"] == 640
    assert gated.cost(10, 64).read == {"dram": 2560}
    assert elementwise.cost("add", 100, dtype="fp32").read == {"dram": 800}
    assert elementwise.cost("copy", 100).operations == {}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: softmax.softmax(x, passes=4), r"passes of \(1, 2, 3\), found 4"),
        (lambda x: softmax.softmax(x, tile=RowTile(64, 2)), "a tile of 100 columns or more"),
        (lambda x: rmsnorm.rmsnorm(x, x), r"w \(100,\), found \(6, 100\)"),
        (lambda x: rmsnorm.rmsnorm(x[0], x[0]), r"x \(rows, cols\), found \(100,\)"),
        (lambda x: gated.gated(x[:, :99].contiguous()), "gate and up halves, found 99"),
        (lambda x: elementwise.elementwise("add", x), "two operands of one shape"),
        (lambda x: elementwise.elementwise("mul", x), "found mul"),
    ],
)
def test_what_cannot_be_meant_is_refused(draw, call, message):
    with pytest.raises(InputError, match=message):
        call(draw(6, 100))


def test_a_row_too_long_to_hold_is_refused_with_the_way_out(draw):
    with pytest.raises(InputError, match=r"at most 65536 columns, found 65537; .* 2 or 3 passes"):
        softmax.softmax(draw(1, 65537))


@pytest.mark.parametrize("cols", [1, 64, 65, 2048, 4097, 65536])
def test_the_rule_holds_every_row_in_few_registers(cols):
    tile = row_tile(cols)
    assert cols <= tile.elements // tile.rows
    assert tile.elements / (32 * tile.warps) <= 64
