"""Rational functions of groups of channels, F(x) = P(x) / (1 + |A(x)|), and their gradients.

P has degree 5 and A degree 4 without a constant, with ten coefficients for each group of columns.
The gradients of the coefficients are sums over all rows and the group's columns. `backward` adds
them up inside of a block of `rows` rows and adds once for each (FlashKAT: arXiv 2505.13813); with a
tile of `each` = 1 every element adds its own ten numbers to those of its group by atomics, as the
first kernels of such networks did. Arithmetic is fp32. Schedule:
`hwmodel.machines.gpu.schedules.grouped_gradients`. Costs are operations and bytes.
"""

# pyright: basic, reportMissingImports=false, reportIndexIssue=false
# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false
# pyright: reportGeneralTypeIssues=false
# (Triton is a language of its own inside Python: its types are not Python's)

import torch
import triton
import triton.language as tl

from hwmodel.kernels.operands import dtype_name, need, need_contiguous, power_of_two
from hwmodel.machines.gpu.schedules.grouped_gradients import MENU, GradientTile
from hwmodel.quantity.arithmetic import ceil_div
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.spine.activity import Work

ABOVE, BELOW = 6, 4
"""Coefficients of P and of A."""
FORWARD_FLOP, BACKWARD_FLOP = 20, 56
"""Operations of an element: two Horner schemes and a division; four, the products that are
summed, and the sums."""
Gradients = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def reference(x: torch.Tensor, above: torch.Tensor, below: torch.Tensor) -> torch.Tensor:
    """F of x `(rows, cols)`; `above` `(groups, 6)` from x^0 on, `below` `(groups, 4)` from x^1."""
    groups = x.reshape(len(x), len(above), -1)
    up, down = torch.zeros_like(groups), torch.zeros_like(groups)
    for i in range(ABOVE):
        up = up + above[:, i, None] * groups**i
    for j in range(BELOW):
        down = down + below[:, j, None] * groups ** (j + 1)
    return (up / (1 + down.abs())).reshape(x.shape)


def reference_backward(
    x: torch.Tensor, gradient: torch.Tensor, above: torch.Tensor, below: torch.Tensor
) -> Gradients:
    """Gradients of x and of both sets of coefficients, by automatic differentiation."""
    leaves = [each.detach().requires_grad_() for each in (x, above, below)]
    return torch.autograd.grad(reference(*leaves), leaves, gradient)


def tiles() -> tuple[GradientTile, ...]:
    """The launch records that the gradients are measured with."""
    return MENU


def cost(rows: int, cols: int, *, dtype: str = "fp32") -> Work:
    """Of the gradients: x and the gradient read, that of x written."""
    size, element = rows * cols, bytes_of(dtype)
    return Work(
        operations={("vector", "flop", "fp32"): BACKWARD_FLOP * size},
        read={"dram": 2 * size * element},
        written={"dram": size * element},
    )


@triton.jit
def group_of(cols, groups, COLS: tl.constexpr):
    """(columns of this block's group, which of them there are, the group)."""
    group = tl.program_id(1)
    width = cols // groups
    inner = tl.arange(0, COLS)
    return group * width + inner, inner < width, group


@triton.jit
def numerator(x, above, group):
    """P and its derivative, by Horner's scheme."""
    above += group * 6
    slope = tl.load(above + 5)
    value = slope * x + tl.load(above + 4)
    for i in tl.static_range(2, 6):
        slope = slope * x + value
        value = value * x + tl.load(above + 5 - i)
    return value, slope


@triton.jit
def denominator(x, below, group):
    """A and its derivative, by Horner's scheme."""
    below += group * 4
    slope = tl.load(below + 3)
    value = slope * x + tl.load(below + 2)
    for j in tl.static_range(2, 4):
        slope = slope * x + value
        value = value * x + tl.load(below + 3 - j)
    return value * x, slope * x + value


@triton.jit(do_not_specialize=["rows"])
def forward_kernel(
    x, above, below, out, rows, cols, groups, STEP: tl.constexpr, COLS: tl.constexpr
):
    """Some rows of one group."""
    column, known, group = group_of(cols, groups, COLS)
    row = tl.program_id(0).to(tl.int64) * STEP + tl.arange(0, STEP)
    at = row[:, None] * cols + column[None, :]
    inside = (row[:, None] < rows) & known[None, :]
    value = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
    up, _ = numerator(value, above, group)
    down, _ = denominator(value, below, group)
    tl.store(out + at, (up / (1.0 + tl.abs(down))).to(out.dtype.element_ty), mask=inside)


@triton.jit
def parts(value, gradient, above, below, group):
    """(gradient of x, what x^i is multiplied by for P's coefficients, and for A's)."""
    up, up_slope = numerator(value, above, group)
    down, down_slope = denominator(value, below, group)
    inverse = 1.0 / (1.0 + tl.abs(down))
    sign = tl.where(down > 0, 1.0, tl.where(down < 0, -1.0, 0.0))
    first = gradient * inverse
    second = -first * up * inverse * sign
    return first * up_slope + second * down_slope, first, second


@triton.jit(do_not_specialize=["rows"])
def backward_kernel(
    x, gradient, above, below, out, above_out, below_out, rows, cols, groups,
    ROWS: tl.constexpr, STEP: tl.constexpr, COLS: tl.constexpr,
):  # fmt: skip
    """`ROWS` rows of one group, `STEP` at a time; coefficients' gradients are added once."""
    column, known, group = group_of(cols, groups, COLS)
    a0 = tl.zeros((STEP, COLS), dtype=tl.float32)
    a1 = a0
    a2 = a0
    a3 = a0
    a4 = a0
    a5 = a0
    b1 = a0
    b2 = a0
    b3 = a0
    b4 = a0
    start = tl.program_id(0).to(tl.int64) * ROWS
    for step in range(0, ROWS, STEP):
        row = start + step + tl.arange(0, STEP)
        at = row[:, None] * cols + column[None, :]
        inside = (row[:, None] < rows) & known[None, :]
        value = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
        given = tl.load(gradient + at, mask=inside, other=0.0).to(tl.float32)
        result, first, second = parts(value, given, above, below, group)
        tl.store(out + at, result.to(out.dtype.element_ty), mask=inside)
        a0 += first
        a1 += first * value
        b1 += second * value
        power = value * value
        a2 += first * power
        b2 += second * power
        power = power * value
        a3 += first * power
        b3 += second * power
        power = power * value
        a4 += first * power
        b4 += second * power
        a5 += first * power * value
    above_out += group * 6
    below_out += group * 4
    tl.atomic_add(above_out, tl.sum(a0), sem="relaxed")
    tl.atomic_add(above_out + 1, tl.sum(a1), sem="relaxed")
    tl.atomic_add(above_out + 2, tl.sum(a2), sem="relaxed")
    tl.atomic_add(above_out + 3, tl.sum(a3), sem="relaxed")
    tl.atomic_add(above_out + 4, tl.sum(a4), sem="relaxed")
    tl.atomic_add(above_out + 5, tl.sum(a5), sem="relaxed")
    tl.atomic_add(below_out, tl.sum(b1), sem="relaxed")
    tl.atomic_add(below_out + 1, tl.sum(b2), sem="relaxed")
    tl.atomic_add(below_out + 2, tl.sum(b3), sem="relaxed")
    tl.atomic_add(below_out + 3, tl.sum(b4), sem="relaxed")


@triton.jit(do_not_specialize=["rows"])
def each_kernel(
    x, gradient, above, below, out, above_out, below_out, rows, cols, groups,
    STEP: tl.constexpr, COLS: tl.constexpr,
):  # fmt: skip
    """Some rows of one group; every element adds to the coefficients' gradients."""
    column, known, group = group_of(cols, groups, COLS)
    row = tl.program_id(0).to(tl.int64) * STEP + tl.arange(0, STEP)
    at = row[:, None] * cols + column[None, :]
    inside = (row[:, None] < rows) & known[None, :]
    value = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
    given = tl.load(gradient + at, mask=inside, other=0.0).to(tl.float32)
    result, first, second = parts(value, given, above, below, group)
    tl.store(out + at, result.to(out.dtype.element_ty), mask=inside)
    same = tl.zeros((STEP, COLS), dtype=tl.int32)
    power = value * 0.0 + 1.0
    for i in tl.static_range(6):
        tl.atomic_add(above_out + group * 6 + i + same, first * power, mask=inside, sem="relaxed")
        power = power * value
    power = value
    for j in tl.static_range(4):
        tl.atomic_add(below_out + group * 4 + j + same, second * power, mask=inside, sem="relaxed")
        power = power * value


def need_groups(kernel: str, x: torch.Tensor, above: torch.Tensor, below: torch.Tensor) -> int:
    """The number of groups; refuses coefficients that do not fit x."""
    need(kernel, x.ndim == 2, "x (rows, cols)", tuple(x.shape), "flatten all dimensions but one")
    groups = len(above)
    shapes = (tuple(above.shape), tuple(below.shape))
    wanted = ((groups, ABOVE), (groups, BELOW))
    need(kernel, shapes == wanted, f"coefficients {wanted}", shapes, "give each group ten")
    whole = x.shape[1] % groups == 0
    need(kernel, whole, f"columns that {groups} groups share", x.shape[1], "pad the columns")
    dtype_name(x)
    return groups


def rational(
    x: torch.Tensor,
    above: torch.Tensor,
    below: torch.Tensor,
    *,
    tile: GradientTile | None = None,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """F of x `(rows, cols)`; `above` `(groups, 6)` from x^0 on, `below` `(groups, 4)` from x^1 on.

    Raises `InputError` for coefficients that do not fit.
    """
    need_contiguous("rational", x=x, above=above, below=below)
    groups = need_groups("rational", x, above, below)
    tile = tile or MENU[0]
    if out is None:
        out = torch.empty_like(x)
    rows, cols = x.shape
    constants = {"STEP": int(tile.step), "COLS": power_of_two(cols // groups)}
    forward_kernel[(ceil_div(rows, int(tile.step)), groups)](
        x, above, below, out, rows, cols, groups, num_warps=int(tile.warps), **constants
    )
    return out


def backward(
    x: torch.Tensor,
    gradient: torch.Tensor,
    above: torch.Tensor,
    below: torch.Tensor,
    *,
    tile: GradientTile | None = None,
) -> Gradients:
    """Gradients of x `(rows, cols)`, in its format, and of `above` and `below`, fp32.

    Raises `InputError` for coefficients that do not fit.
    """
    need_contiguous("rational", x=x, gradient=gradient, above=above, below=below)
    groups = need_groups("rational", x, above, below)
    alike = gradient.shape == x.shape
    need("rational", alike, f"a gradient {tuple(x.shape)}", tuple(gradient.shape), "reshape it")
    tile = tile or MENU[0]
    rows, cols = x.shape
    out = torch.empty_like(x)
    above_out = torch.zeros(groups, ABOVE, dtype=torch.float32, device=x.device)
    below_out = torch.zeros(groups, BELOW, dtype=torch.float32, device=x.device)
    given = (x, gradient, above, below, out, above_out, below_out, rows, cols, groups)
    constants = {"STEP": int(tile.step), "COLS": power_of_two(cols // groups)}
    constants["num_warps"] = int(tile.warps)
    if tile.each:
        each_kernel[(ceil_div(rows, int(tile.step)), groups)](*given, **constants)
    else:
        grid = (ceil_div(rows, int(tile.rows)), groups)
        backward_kernel[grid](*given, ROWS=int(tile.rows), **constants)
    return out, above_out, below_out
