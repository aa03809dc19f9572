"""Products and elementwise Einsums on a spatial array, each by itself, through DRAM.

A product C[m, n] = A[m, k] B[n, k] is output-stationary on the 2D array: n on the rows, m on the
columns, k in time, so that it takes ceil(m / N) ceil(n / N) k steps. Its time is the longer of
steps and DRAM traffic (the linear layers in the artifact of FuseMax, MICRO 2024). The buffer holds
as many whole rows of one operand as fit beside a tile of the other; the other is read once for each
such block, whichever way round moves less:

    bytes = A + B ceil(m / block) + C    or    A ceil(n / block) + B + C

Any other Einsum runs on the 1D array, a point a lane, with its operands and result through DRAM.
"""

import numpy as np

from hwmodel.einsum.cascade import Cascade, Einsum
from hwmodel.einsum.counts import footprint_bytes, points
from hwmodel.einsum.structure import Contraction, contraction
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.spatial.functions import actions, cycles, dtype_of, flop, operation
from hwmodel.quantity.arithmetic import ceil_div, first_where, floor_div, least, most, product
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.errors import CapacityError, CoverageError
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Operation, Overlap, Work


def alone(einsum: Einsum, cascade: Cascade, hardware: Hardware) -> Activity:
    """One Einsum by itself: on the 2D array where it is a product, else on the 1D array.

    Raises `CoverageError` where no array has its functions, `CapacityError` where no tile fits.
    """
    found = contraction(einsum, cascade)
    if found is None:
        return _elementwise(einsum, cascade, hardware)
    if found.routing is not None:
        raise CoverageError(
            f"{einsum.name} on {hardware.name}: rows that data chooses are not modelled on an"
            " array; GPUs, FPGAs and CPUs of the catalogue take them"
        )
    return _product(found, einsum, cascade, hardware)


def _product(found: Contraction, einsum: Einsum, cascade: Cascade, hardware: Hardware) -> Activity:
    array = hardware.arrays["matrix"]
    dtype = dtype_of(cascade, hardware, found.a)
    m_tiles = ceil_div(found.m, array.columns)
    n_tiles = ceil_div(found.n, array.rows)
    tiles = found.batch * m_tiles * n_tiles
    each = actions(einsum, array, "matrix")
    count = points(einsum, cascade)
    operations: dict[Operation, Amount] = {
        operation(name, dtype): flop(name) * times * count for name, times in each.items()
    }
    a, b, c = (footprint_bytes(name, cascade) for name in (found.a, found.b, found.out))
    a_row = found.k * bytes_of(found.dtype_a)
    b_row = found.k * bytes_of(found.dtype_b)
    capacity = hardware.memory("buffer").capacity_bytes
    a_block = floor_div(capacity - array.rows * b_row, a_row)
    b_block = floor_div(capacity - array.columns * a_row, b_row)
    if np.any(most((a_block, b_block)) < 1):
        rows, row_bytes, held = first_where(
            np.less(most((a_block, b_block)), 1), array.rows, b_row, capacity
        )
        raise CapacityError(
            f"{einsum.name} on {hardware.name}: {rows:,.0f} rows of {row_bytes:,.0f} bytes do not"
            f" fit the buffer of {held:,.0f}; split the summed rank"
        )
    by_a = a + b * ceil_div(found.m, least((found.m, most((1, a_block)))))
    by_b = b + a * ceil_div(found.n, least((found.n, most((1, b_block)))))
    inputs = _int(least((by_a, by_b)))
    operands = (
        found.batch
        * found.k
        * (
            found.m * n_tiles * bytes_of(found.dtype_a)
            + found.n * m_tiles * bytes_of(found.dtype_b)
        )
    )
    work = Work(
        operations=operations,
        read={"dram": inputs, "buffer": operands + c},
        written={"dram": c, "buffer": inputs + c, "register": c},
        slots={"matrix": tiles * found.k * cycles(each, array)},
    )
    return _split(work)


def _elementwise(einsum: Einsum, cascade: Cascade, hardware: Hardware) -> Activity:
    array = hardware.arrays["vector"]
    dtype = dtype_of(cascade, hardware, einsum.name)
    count = points(einsum, cascade)
    each = actions(einsum, array, "vector")
    names = dict.fromkeys(access.tensor for access in einsum.reads)
    read = sum(footprint_bytes(name, cascade) for name in names)
    made = footprint_bytes(einsum.name, cascade)
    lanes = product((array.rows, array.columns))
    work = Work(
        operations={operation(n, dtype): flop(n) * times * count for n, times in each.items()},
        read={"dram": read, "buffer": read + made},
        written={"dram": made, "buffer": read + made},
        slots={"vector": ceil_div(count, lanes) * cycles(each, array)},
    )
    return _split(work)


def _split(work: Work) -> Activity:
    """Steps beside memories: the longest decides."""
    moves = Work(operations=work.operations, read=work.read, written=work.written)
    return Overlap((moves, Work(slots=work.slots)))


def _int(size: Amount) -> Amount:
    return int(size) if isinstance(size, float) and size.is_integer() else size
