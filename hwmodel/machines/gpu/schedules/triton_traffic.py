"""What our Triton product moves to and from the DRAM, by what its L2 forgets.

Blocks are numbered down `group_m` block rows before the next column, so that a wave covers that
many rows of blocks and the columns that follow. A group reads its rows of A and all of B:

    A   again for each wave of a group, where a wave's share of A, B and C drives it out
    B   again for each group of rows, where a group's share does

Of parts of a split sum each does the same with its share of K. Their fp32 sums come back from the
DRAM where they and the operands together are more than the L2 keeps; then all of them went there.
So do the registers that a block has spilled, where a wave's spills and its share of the rest are.

The L2 keeps `rows.KEPT` of its size, and of twice that nothing (rows of norms, H200). Counters of
24 products (H200, bf16) are met to 3 % on average.
"""

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.gemm import PARTIAL_BYTES, GemmProblem, GemmTile
from hwmodel.machines.gpu.schedules.rows import KEPT
from hwmodel.quantity.arithmetic import ceil_div, least, most, where
from hwmodel.quantity.dtypes import bytes_of, element_bytes
from hwmodel.quantity.units import Amount


def lost(flow_bytes: Amount, limits: Limits) -> Amount:
    """Share of what the L2 holds that `flow_bytes` drive out before they come round again."""
    return least((1.0, most((0.0, flow_bytes / (KEPT * limits.capacity_bytes["l2"]) - 1))))


def operands_bytes(problem: GemmProblem, tile: GemmTile, slots: Amount, limits: Limits) -> Amount:
    """Bytes of A, B and a bias read from the DRAM, `slots` blocks at a time."""
    a, b, c = _part(problem, tile)
    rows, columns = ceil_div(problem.M, tile.block_m), ceil_div(problem.N, tile.block_n)
    groups = ceil_div(rows, tile.group_m)
    waves = most((1, rows / groups * columns / slots))
    b_again = (groups - 1) * lost(b + (a + c) / groups, limits)
    a_again = (waves - 1) * lost((a + c) / groups / waves + a / groups + b / waves, limits)
    streamed = problem.batch * tile.split * (a * (1 + a_again) + b * (1 + b_again))
    return streamed + problem.bias_bytes


def parts_bytes(problem: GemmProblem, tile: GemmTile, limits: Limits) -> Amount:
    """Bytes of split sums that go to the DRAM; as many come back."""
    a, b, _ = _part(problem, tile)
    sums = problem.batch * tile.split * problem.M * problem.N * PARTIAL_BYTES
    operands = problem.batch * tile.split * (a + b)
    return where(tile.split > 1, sums * lost(operands + sums, limits), 0.0)


def spills_bytes(
    problem: GemmProblem, tile: GemmTile, spill_bytes: Amount, slots: Amount, limits: Limits
) -> Amount:
    """Bytes that blocks spill to the DRAM, `spill_bytes` each; as many come back."""
    a, b, c = _part(problem, tile)
    rows, columns = ceil_div(problem.M, tile.block_m), ceil_div(problem.N, tile.block_n)
    waves = most((1, rows * columns / slots))
    held = least((slots, rows * columns * tile.split)) * spill_bytes
    blocks = problem.batch * tile.split * rows * columns
    return blocks * spill_bytes * lost(held + (a + b + c) / waves, limits)


def _part(problem: GemmProblem, tile: GemmTile) -> tuple[Amount, Amount, Amount]:
    """Bytes of A, B and C of one part of K."""
    element = element_bytes(problem.dtype_a)
    depth = problem.K / tile.split * element
    stored = where(tile.split > 1, PARTIAL_BYTES, bytes_of(problem.dtype_out))
    return problem.M * depth, problem.N * depth, problem.M * problem.N * stored
