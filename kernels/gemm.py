"""GEMM on tensor cores: out[M, N] = scale * A[M, K] W[N, K]^T, summed in fp32.

A block owns a `block_m` x `block_n` tile of the output, or a 1/`split` share of its sum over K, and
walks K in slices of `block_k`. Blocks are numbered in groups of `group_m` block rows, so that those
that run together share slices in the L2. Split sums are fp32 partial outputs, added by a second
kernel. Slices arrive through tensor descriptors where rows are multiples of 16 bytes, otherwise
through masked loads. Persistent blocks take tile after tile and store by a descriptor, beside which
the next tile's slices arrive. A tile may leave in two halves: so ptxas (Triton 3.6, sm_90a) makes
no loop of 128 x 256 narrowed sums that waits for each matrix instruction.
Schedule: `hwmodel.machines.gpu.schedules.gemm`; fp8 (e4m3) sums inside the tensor core as cuBLAS's
fast accumulation does. FLOPs are 2 M N K; sizes are elements, costs are FLOP and bytes.
"""

# pyright: basic, reportMissingImports=false, reportIndexIssue=false
# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false
# pyright: reportGeneralTypeIssues=false
# (Triton is a language of its own inside Python: its types are not Python's)

from dataclasses import replace

import torch
import triton
import triton.language as tl
from triton.tools.tensor_descriptor import TensorDescriptor

from hwmodel.kernels.operands import describable, dtype_name, need, need_contiguous, processors
from hwmodel.machines.gpu.schedules.gemm import GemmTile
from hwmodel.machines.gpu.schedules.triton_tiles import gemm_menu, gemm_tile
from hwmodel.machines.gpu.units import product_unit
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.spine.activity import Work

REDUCE_ELEMENTS, REDUCE_WARPS = 1024, 4


def reference(a: torch.Tensor, w: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
    """The product scale A W^T in the operands' dtype; a `(M, K)`, w `(N, K)`, result `(M, N)`."""
    return scale * (a @ w.transpose(-1, -2))


def tiles(element_bytes: int = 2) -> tuple[GemmTile, ...]:
    """The launch records that the kernel is measured with."""
    return gemm_menu(element_bytes)


def cost(M: int, N: int, K: int, *, dtype: str = "bf16", dtype_out: str | None = None) -> Work:
    """Operations, and bytes of operands and output moved once."""
    element, out = bytes_of(dtype), bytes_of(dtype_out or dtype)
    unit, kind = product_unit(dtype, dtype)
    return Work(
        operations={(unit, "flop", kind): 2 * M * N * K},
        read={"dram": (M + N) * K * element},
        written={"dram": M * N * out},
    )


@triton.jit
def load_slice(
    source, row, rows, column, columns,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, DESCRIBED: tl.constexpr,
):  # fmt: skip
    """Rows `row`... and columns `column`... of a matrix `(rows, columns)`; zero past `columns`.

    Rows past the end hold other rows' values or zero: what they produce is never stored.
    """
    if DESCRIBED:
        tile = source.load([row, column])
    else:
        at = tl.minimum(row + tl.arange(0, ROWS), rows - 1).to(tl.int64)
        along = column + tl.arange(0, COLUMNS)
        here = source + at[:, None] * columns + along[None, :]
        tile = tl.load(here, mask=along[None, :] < columns, other=0.0)
    return tile


@triton.jit
def multiply_slices(
    a, w, row, rows, column, columns, K, first, last,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, DESCRIBED: tl.constexpr,
):  # fmt: skip
    """The fp32 sum over slices `first` to `last` of one output tile."""
    total = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
    for step in range(first, last):
        x = load_slice(a, row, rows, step * BLOCK_K, K, BLOCK_M, BLOCK_K, DESCRIBED)
        y = load_slice(w, column, columns, step * BLOCK_K, K, BLOCK_N, BLOCK_K, DESCRIBED)
        total = tl.dot(x, y.T, total, input_precision="ieee")
    return total


@triton.jit
def rasterise(program, blocks_m, blocks_n, GROUP_M: tl.constexpr):
    """(block row, block column) of a program: down `GROUP_M` rows, then to the next column."""
    size = GROUP_M * blocks_n
    first = (program // size) * GROUP_M
    height = tl.minimum(blocks_m - first, GROUP_M)
    inside = program % size
    return first + inside % height, inside // height


@triton.jit
def store_tile(
    out, tile, row, last_row, column, columns, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr
):
    """Writes a tile into rows below `last_row` of a matrix with `columns` columns."""
    at = row + tl.arange(0, BLOCK_M)
    along = column + tl.arange(0, BLOCK_N)
    kept = (at[:, None] < last_row) & (along[None, :] < columns)
    here = out + at.to(tl.int64)[:, None] * columns + along[None, :]
    tl.store(here, tile.to(out.dtype.element_ty), mask=kept)


@triton.jit
def halves(tile, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """The left and the right half of a tile's columns."""
    return tl.split(tl.permute(tl.reshape(tile, (ROWS, 2, COLUMNS // 2)), (0, 2, 1)))


@triton.jit(do_not_specialize=["M", "steps_each"])
def gemm_kernel(
    a, w, out,  # descriptors or pointers; the output, or [split, M, N] fp32 partial sums
    M, N, K, scale, steps_each,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
    GROUP_M: tl.constexpr, DESCRIBED: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    """One output tile, or the share of its sum that `program_id(1)` names."""
    block_m, block_n = rasterise(
        tl.program_id(0), tl.cdiv(M, BLOCK_M), tl.cdiv(N, BLOCK_N), GROUP_M
    )
    part = tl.program_id(1)
    first = part * steps_each
    last = tl.minimum(first + steps_each, tl.cdiv(K, BLOCK_K))
    row, column = block_m * BLOCK_M, block_n * BLOCK_N
    total = multiply_slices(
        a, w, row, M, column, N, K, first, last, BLOCK_M, BLOCK_N, BLOCK_K, DESCRIBED
    )
    out += part.to(tl.int64) * M * N
    if PARTS == 2:
        left, right = halves(total * scale, BLOCK_M, BLOCK_N)
        store_tile(out, left, row, M, column, N, BLOCK_M, BLOCK_N // 2)
        store_tile(out, right, row, M, column + BLOCK_N // 2, N, BLOCK_M, BLOCK_N // 2)
    else:
        store_tile(out, total * scale, row, M, column, N, BLOCK_M, BLOCK_N)


@triton.jit(do_not_specialize=["M"])
def persistent_kernel(
    a, w, out,  # descriptors; that of the output is of half of a tile's columns
    M, N, K, scale,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, GROUP_M: tl.constexpr,
):  # fmt: skip
    """Every output tile whose number is this program's, and as many on as there are programs."""
    blocks_m, blocks_n = tl.cdiv(M, BLOCK_M), tl.cdiv(N, BLOCK_N)
    steps = tl.cdiv(K, BLOCK_K)
    count = tl.num_programs(0)
    for tile in tl.range(tl.program_id(0), blocks_m * blocks_n, count, flatten=True):
        block_m, block_n = rasterise(tile, blocks_m, blocks_n, GROUP_M)
        row, column = block_m * BLOCK_M, block_n * BLOCK_N
        total = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
        for step in range(0, steps):
            x = a.load([row, step * BLOCK_K])
            y = w.load([column, step * BLOCK_K])
            total = tl.dot(x, y.T, total)
        left, right = halves(total * scale, BLOCK_M, BLOCK_N)
        out.store([row, column], left.to(out.dtype))
        out.store([row, column + BLOCK_N // 2], right.to(out.dtype))


@triton.jit
def reduce_kernel(partial, out, size, SPLIT: tl.constexpr, ELEMENTS: tl.constexpr):
    """Adds the partial sums of each element."""
    at = tl.program_id(0).to(tl.int64) * ELEMENTS + tl.arange(0, ELEMENTS)
    total = tl.zeros((ELEMENTS,), dtype=tl.float32)
    for part in tl.static_range(SPLIT):
        here = partial + tl.cast(size, tl.int64) * part  # a product of 32 bits may overflow
        total += tl.load(here + at, mask=at < size, other=0.0)
    tl.store(out + at, total.to(out.dtype.element_ty), mask=at < size)


def launch_constants(tile: GemmTile) -> dict[str, int]:
    """What of the record the compiler is told."""
    return {
        "BLOCK_M": int(tile.block_m),
        "BLOCK_N": int(tile.block_n),
        "BLOCK_K": int(tile.block_k),
        "GROUP_M": int(tile.group_m),
        "num_warps": int(tile.warps),
        "num_stages": int(tile.stages),
    }


def operand(matrix: torch.Tensor, rows: int, tile: GemmTile, described: bool):
    """A matrix as the kernel takes it: a descriptor of `(rows, block_k)` slices, or itself."""
    if not described:
        return matrix
    return TensorDescriptor.from_tensor(matrix, [rows, int(tile.block_k)])


def gemm(
    a: torch.Tensor,
    w: torch.Tensor,
    *,
    scale: float = 1.0,
    dtype_out: torch.dtype | None = None,
    tile: GemmTile | None = None,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """The product scale A W^T; a `(M, K)`, w `(N, K)`, result `(M, N)` in `dtype_out`.

    `dtype_out` defaults to the operands' format, and to bf16 for fp8. `tile` defaults to the rule
    of `triton_tiles.gemm_tile`. Raises `InputError` for shapes or formats that do not agree.
    """
    need_contiguous("gemm", a=a, w=w)
    agree = a.ndim == w.ndim == 2 and a.shape[-1] == w.shape[-1] and a.dtype == w.dtype
    found = f"{tuple(a.shape)} {a.dtype} and {tuple(w.shape)} {w.dtype}"
    need("gemm", agree, "a (M, K) and w (N, K) of one dtype", found, "transpose or convert one")
    (M, K), N = a.shape, w.shape[0]
    name = dtype_name(a)
    dtype_out = dtype_out or (torch.bfloat16 if name == "fp8" else a.dtype)
    element = a.element_size()
    ruled = gemm_tile(M, N, K, processors=processors(a), element_bytes=element)
    shape = (M, N) if out is None else tuple(out.shape)
    need("gemm", shape == (M, N), f"out {(M, N)}", shape, "resize it")
    if out is None:
        out = torch.empty(M, N, dtype=dtype_out, device=a.device)
    need_contiguous("gemm", a=a, out=out)
    described, lasting = describable(a, w), describable(a, w, out)
    if tile is None:
        tile = ruled if lasting else replace(ruled, persistent=0, stages=4)
    split = int(tile.split)
    target = out
    if split > 1:
        target = torch.empty(split, M, N, dtype=torch.float32, device=a.device)
    blocks = triton.cdiv(M, int(tile.block_m)) * triton.cdiv(N, int(tile.block_n))
    if tile.persistent:
        found = f"rows of {K} and {N} elements, split {split}"
        fits, remedy = lasting and split == 1, "name a tile that ends"
        need("gemm", fits, "whole sums and rows on 16 bytes", found, remedy)
        target = TensorDescriptor.from_tensor(out, [int(tile.block_m), int(tile.block_n) // 2])
        persistent_kernel[(min(blocks, processors(a) * int(tile.resident)),)](
            operand(a, int(tile.block_m), tile, True), operand(w, int(tile.block_n), tile, True),
            target, M, N, K, scale, **launch_constants(tile),
        )  # fmt: skip
        return out
    steps_each = triton.cdiv(triton.cdiv(K, int(tile.block_k)), split)
    gemm_kernel[(blocks, split)](
        operand(a, int(tile.block_m), tile, described),
        operand(w, int(tile.block_n), tile, described),
        target, M, N, K, scale, steps_each,
        DESCRIBED=described, PARTS=int(tile.parts), **launch_constants(tile),
    )  # fmt: skip
    if split > 1:
        reduce_kernel[(triton.cdiv(M * N, REDUCE_ELEMENTS),)](
            target, out, M * N, SPLIT=split, ELEMENTS=REDUCE_ELEMENTS, num_warps=REDUCE_WARPS
        )
    return out
