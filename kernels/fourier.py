"""Long convolution by Fourier transforms that are matrix products: y = w (k * (v u)), circular.

A transform of n = n1 n2 numbers, as a matrix of n1 rows, is a product with the n1-point matrix from
the left, a multiplication by twiddle factors and a product with the n2-point matrix from the right
(Monarch; FlashFFTConv: arXiv 2311.05908). One block transforms, multiplies by the filter's spectrum
and transforms back without leaving the chip. Two sequences of a batch are the real and imaginary
part of one complex signal, since the filter is real. Sequences too long for a block are taken apart
once more: products over `outer` points before and after, through the DRAM, leave `outer` sequences
that are each convolved in a block. Operands are fp16 or bf16, products sum in fp32; matrices are
scaled to be unitary, so that magnitudes stay. Causal convolution pads u and k with zeros. Schedule:
`hwmodel.machines.gpu.schedules.monarch`. Costs are operations and bytes.
"""

# pyright: basic, reportMissingImports=false, reportIndexIssue=false
# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false
# pyright: reportGeneralTypeIssues=false
# (Triton is a language of its own inside Python: its types are not Python's)

import math
from dataclasses import dataclass

import torch
import triton
import triton.language as tl

from hwmodel.kernels.operands import dtype_name, need, need_contiguous
from hwmodel.machines.gpu.schedules.monarch import MonarchTile, monarch_tile, radices
from hwmodel.machines.gpu.units import product_unit
from hwmodel.quantity.arithmetic import ceil_div
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.spine.activity import Work

SIGNALS = 2
"""Sequences in one complex signal."""
Pair = tuple[torch.Tensor, torch.Tensor]


def reference(
    u: torch.Tensor,
    k: torch.Tensor,
    gate_in: torch.Tensor | None = None,
    gate_out: torch.Tensor | None = None,
) -> torch.Tensor:
    """The circular convolution of u `(batch, channels, n)` with k `(channels, n)`, gated."""
    n = u.shape[-1]
    given = u if gate_in is None else u * gate_in
    y = torch.fft.irfft(torch.fft.rfft(given) * torch.fft.rfft(k), n)
    return y if gate_out is None else y * gate_out


def cost(batch: int, channels: int, n: int, *, gated: bool = False, dtype: str = "fp16") -> Work:
    """Four real products for each complex one, a pair of sequences at a time; each tensor once."""
    outer, n1, n2 = radices(n)
    size, element = batch * channels * n, bytes_of(dtype)
    unit, kind = product_unit(dtype, dtype)
    points = n1 + n2 + (outer if outer > 1 else 0)
    return Work(
        operations={(unit, "flop", kind): 8 * size * points},
        read={"dram": (3 if gated else 1) * size * element + 2 * channels * n * element},
        written={"dram": size * element},
    )


@dataclass(frozen=True)
class Spectrum:
    """A filter's transform in the order in which blocks meet it, and the matrices of a transform.

    Each is a pair of planes, real and imaginary: `filter` `(channels, outer, n1, n2)`, `left`
    `(n1, n1)`, `right` `(n2, n2)`, `twiddle` `(n1, n2)`, and with `outer` above 1 the matrix
    `(outer, outer)` and twiddle `(outer, n1 n2)` of the outermost products.
    """

    n: int
    filter: Pair
    left: Pair
    right: Pair
    twiddle: Pair
    outer: Pair | None = None
    outer_twiddle: Pair | None = None


def planes(value: torch.Tensor, dtype: torch.dtype) -> Pair:
    """Real and imaginary part in a format."""
    return value.real.to(dtype).contiguous(), value.imag.to(dtype).contiguous()


def turns(rows: int, columns: int, n: int, device: torch.device) -> torch.Tensor:
    """exp(-2 pi i r c / n) for r below `rows`, c below `columns`, in complex128."""
    r = torch.arange(rows, device=device, dtype=torch.float64)
    c = torch.arange(columns, device=device, dtype=torch.float64)
    angle = -2 * math.pi / n * torch.remainder(r[:, None] * c, n)
    return torch.polar(torch.ones_like(angle), angle)


def spectrum(k: torch.Tensor, dtype: torch.dtype = torch.float16) -> Spectrum:
    """What `convolve` needs of a filter k `(channels, n)`, n a power of two from 256 on.

    Made once for a filter, in float64. Raises `InputError` for other lengths.
    """
    n, device = k.shape[-1], k.device
    outer, n1, n2 = radices(n)
    inner = n1 * n2
    found = torch.fft.fft(k.double())
    found = found.reshape(-1, inner, outer).transpose(1, 2)
    found = found.reshape(-1, outer, n2, n1).transpose(2, 3)
    matrices = {
        name: planes(turns(size, size, size, device) / math.sqrt(size), dtype)
        for name, size in (("left", n1), ("right", n2), ("outer", outer))
    }
    if outer == 1:
        del matrices["outer"]
    else:
        matrices["outer_twiddle"] = planes(turns(outer, inner, n, device), dtype)
    twiddle = planes(turns(n1, n2, inner, device), dtype)
    return Spectrum(n=n, filter=planes(found, dtype), twiddle=twiddle, **matrices)


@triton.jit
def turned(re, im, factor_re, factor_im, SIGN: tl.constexpr):
    """A complex product with `factor`, or with its conjugate where SIGN is -1."""
    return re * factor_re - SIGN * im * factor_im, im * factor_re + SIGN * re * factor_im


@triton.jit
def from_left(f_re, f_im, re, im, SIGN: tl.constexpr):
    """(F X, in fp32) of complex matrices; F conjugate where SIGN is -1."""
    cross = (SIGN * f_im.to(tl.float32)).to(f_im.dtype)
    new_re = tl.dot(f_re, re, input_precision="ieee")
    new_re -= tl.dot(cross, im, input_precision="ieee")
    new_im = tl.dot(f_re, im, input_precision="ieee")
    return new_re, tl.dot(cross, re, new_im, input_precision="ieee")


@triton.jit
def from_right(re, im, f_re, f_im, SIGN: tl.constexpr):
    """(X F, in fp32) of complex matrices; F conjugate where SIGN is -1."""
    cross = (SIGN * f_im.to(tl.float32)).to(f_im.dtype)
    new_re = tl.dot(re, f_re, input_precision="ieee")
    new_re -= tl.dot(im, cross, input_precision="ieee")
    new_im = tl.dot(im, f_re, input_precision="ieee")
    return new_re, tl.dot(re, cross, new_im, input_precision="ieee")


@triton.jit
def gate(re, im, by_re, by_im, at, inside, GATED: tl.constexpr):
    """Both signals times their gates, where there are any."""
    if GATED:
        re = re * tl.load(by_re + at, mask=inside, other=0.0)
        im = im * tl.load(by_im + at, mask=inside, other=0.0)
    return re, im


@triton.jit(do_not_specialize=["pairs"])
def inner_kernel(
    u_re, u_im, in_re, in_im, out_re, out_im, y_re, y_im,  # planes of signals, gates and results
    filter_re, filter_im, left_re, left_im, right_re, right_im, twiddle_re, twiddle_im,
    pairs, stride,  # complex signals, and elements from one to the next
    N1: tl.constexpr, N2: tl.constexpr, PAIRS: tl.constexpr, GATED: tl.constexpr,
):  # fmt: skip
    """Convolves `PAIRS` complex signals with one row of the filter."""
    kind = u_re.dtype.element_ty
    row = tl.program_id(1).to(tl.int64)
    first = tl.program_id(0).to(tl.int64) * PAIRS
    i1 = tl.arange(0, N1)
    i2 = tl.arange(0, N2)
    wide = tl.arange(0, PAIRS * N2)
    pair = first + wide // N2
    inner = i1[:, None] * N2 + (wide % N2)[None, :]
    at = pair[None, :] * stride + row * (N1 * N2) + inner
    inside = (pair[None, :] < pairs) & (i1[:, None] >= 0)
    re = tl.load(u_re + at, mask=inside, other=0.0)
    im = tl.load(u_im + at, mask=inside, other=0.0)
    re, im = gate(re, im, in_re, in_im, at, inside, GATED)
    square = i1[:, None] * N1 + i1[None, :]
    l_re = tl.load(left_re + square)
    l_im = tl.load(left_im + square)
    right = i2[:, None] * N2 + i2[None, :]
    r_re = tl.load(right_re + right)
    r_im = tl.load(right_im + right)
    t_re = tl.load(twiddle_re + inner).to(tl.float32)
    t_im = tl.load(twiddle_im + inner).to(tl.float32)
    re, im = from_left(l_re, l_im, re, im, 1)
    re, im = turned(re, im, t_re, t_im, 1)
    re = tl.reshape(re.to(kind), (N1 * PAIRS, N2))
    im = tl.reshape(im.to(kind), (N1 * PAIRS, N2))
    re, im = from_right(re, im, r_re, r_im, 1)
    tall = tl.arange(0, N1 * PAIRS)
    spot = row * (N1 * N2) + (tall // PAIRS)[:, None] * N2 + i2[None, :]
    k_re = tl.load(filter_re + spot).to(tl.float32)
    k_im = tl.load(filter_im + spot).to(tl.float32)
    re, im = turned(re, im, k_re, k_im, 1)
    re, im = from_right(re.to(kind), im.to(kind), r_re, r_im, -1)
    re = tl.reshape(re, (N1, PAIRS * N2))
    im = tl.reshape(im, (N1, PAIRS * N2))
    re, im = turned(re, im, t_re, t_im, -1)
    re, im = from_left(l_re, l_im, re.to(kind), im.to(kind), -1)
    re, im = gate(re, im, out_re, out_im, at, inside, GATED)
    tl.store(y_re + at, re.to(kind), mask=inside)
    tl.store(y_im + at, im.to(kind), mask=inside)


@triton.jit
def outer_kernel(
    u_re, u_im, by_re, by_im, y_re, y_im, matrix_re, matrix_im, twiddle_re, twiddle_im,
    inner, stride_in, stride_out,  # columns; elements from one pair to the next
    OUTER: tl.constexpr, COLS: tl.constexpr, INVERSE: tl.constexpr, GATED: tl.constexpr,
):  # fmt: skip
    """The outermost product of some columns of one signal: before the others, or after them."""
    kind = u_re.dtype.element_ty
    channel = tl.program_id(1).to(tl.int64)
    pair = tl.program_id(2).to(tl.int64)
    i = tl.arange(0, OUTER)
    column = tl.program_id(0) * COLS + tl.arange(0, COLS)
    spot = i[:, None] * inner + column[None, :]
    at = channel * (OUTER * inner) + spot
    inside = (i[:, None] >= 0) & (column[None, :] < inner)
    square = i[:, None] * OUTER + i[None, :]
    f_re = tl.load(matrix_re + square)
    f_im = tl.load(matrix_im + square)
    t_re = tl.load(twiddle_re + spot, mask=inside, other=0.0).to(tl.float32)
    t_im = tl.load(twiddle_im + spot, mask=inside, other=0.0).to(tl.float32)
    re = tl.load(u_re + pair * stride_in + at, mask=inside, other=0.0)
    im = tl.load(u_im + pair * stride_in + at, mask=inside, other=0.0)
    if INVERSE:
        re, im = turned(re.to(tl.float32), im.to(tl.float32), t_re, t_im, -1)
        re, im = from_left(f_re, f_im, re.to(kind), im.to(kind), -1)
        re, im = gate(re, im, by_re, by_im, pair * stride_out + at, inside, GATED)
    else:
        re, im = gate(re, im, by_re, by_im, pair * stride_in + at, inside, GATED)
        re, im = from_left(f_re, f_im, re, im, 1)
        re, im = turned(re, im, t_re, t_im, 1)
    tl.store(y_re + pair * stride_out + at, re.to(kind), mask=inside)
    tl.store(y_im + pair * stride_out + at, im.to(kind), mask=inside)


def convolve(
    u: torch.Tensor,
    of: Spectrum,
    *,
    gates: Pair | None = None,
    tile: MonarchTile | None = None,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """The circular convolution of u `(batch, channels, n)` with the filter `of`, `batch` even.

    `gates` multiply u before and the result after. Raises `InputError` for shapes or formats that
    do not agree.
    """
    need_contiguous("convolve", u=u)
    shape = tuple(u.shape)
    channels, n = of.filter[0].shape[0], of.n
    agree = u.ndim == 3 and shape[1:] == (channels, n) and shape[0] % SIGNALS == 0
    need("convolve", agree, f"u (even, {channels}, {n})", shape, "pad the batch or the length")
    formats = {each.dtype for each in (u, of.filter[0], *(gates or ()))}
    need("convolve", len(formats) == 1, "operands of one format", formats, "convert them")
    dtype_name(u)
    if gates is not None:
        need_contiguous("convolve", u=u, gate_in=gates[0], gate_out=gates[1])
        found = (tuple(gates[0].shape), tuple(gates[1].shape))
        need("convolve", found == (shape, shape), f"gates {shape}", found, "expand them")
    if out is None:
        out = torch.empty_like(u)
    tile = tile or monarch_tile(n)
    outer, n1, n2 = radices(n)
    pairs, stride = shape[0] // SIGNALS, SIGNALS * channels * n

    def signals(of_batch: torch.Tensor) -> Pair:
        return of_batch, of_batch[1:]

    before, after = (signals(gates[0]), signals(gates[1])) if gates else (signals(u), signals(u))
    matrices = (*of.filter, *of.left, *of.right, *of.twiddle)
    sizes = {"N1": n1, "N2": n2, "PAIRS": int(tile.pairs), "num_warps": int(tile.warps)}
    grid = (ceil_div(pairs, int(tile.pairs)), channels * outer)
    gated = gates is not None
    if outer == 1:
        inner_kernel[grid](
            *signals(u), *before, *after, *signals(out), *matrices,
            pairs, stride, GATED=gated, **sizes,
        )  # fmt: skip
        return out
    assert of.outer is not None
    assert of.outer_twiddle is not None
    inner = n1 * n2
    between = tuple(u.new_empty(pairs, channels, n) for _ in range(SIGNALS))
    each = (*of.outer, *of.outer_twiddle, inner)
    outermost = {"OUTER": outer, "COLS": int(tile.cols), "num_warps": int(tile.outer_warps)}
    across = (ceil_div(inner, int(tile.cols)), channels, pairs)
    one = stride // SIGNALS
    outer_kernel[across](
        *signals(u), *before, *between, *each, stride, one,
        INVERSE=False, GATED=gated, **outermost,
    )  # fmt: skip
    inner_kernel[grid](
        *between, *between, *between, *between, *matrices,
        pairs, one, GATED=False, **sizes,
    )  # fmt: skip
    outer_kernel[across](
        *between, *after, *signals(out), *each, one, stride,
        INVERSE=True, GATED=gated, **outermost,
    )  # fmt: skip
    return out
