"""Reuse factors of hls4ml's dense kernel: which are legal, and what a layer then takes.

A layer of `fan_in` inputs and `fan_out` outputs has fan_in * fan_out weights. Each multiplier is
used `reuse` times for one result, so that

    multipliers = ceil(fan_in fan_out / reuse),      initiation interval = reuse cycles

The kernel walks its weights in an order that only some reuse factors allow (hls4ml, FPGA backend,
`_validate_reuse_factor`): with m = min(fan_in, reuse) and L = ceil(fan_in fan_out / m),

    (L mod fan_out = 0 or reuse >= fan_in)  and  (reuse mod fan_in = 0 or reuse < fan_in)
    and  fan_in fan_out mod reuse = 0

A target is replaced by the nearest legal value, the smaller of two. Below 8 bits of weight a
multiplier is made of LUTs, from 8 bits on of DSP slices (synthesised designs of wa-hls4ml,
arXiv 2511.05615). A DSP48E2 multiplies 27 x 18 bits in two's complement (AMD UG579), and a wider
product is the sum of partial ones without sign but at the top, 26 and 17 bits at a time:

    slices = ceil((a - 1) / 26) ceil((b - 1) / 17),      the better way round

Counts are ints; one size at a time, since divisors have no closed form.
"""

from functools import lru_cache

from hwmodel.quantity.arithmetic import ceil_div
from hwmodel.quantity.errors import InputError

DSP_BITS = 8
"""Weight bits from which a multiplier is of DSP slices (48 synthesised two-layer designs)."""

DSP_SIDES = (27, 18)
"""Bits of the two operands of a DSP48E2's multiplier, signs included (AMD UG579)."""


@lru_cache(maxsize=1024)
def legal_reuse_factors(fan_in: int, fan_out: int) -> tuple[int, ...]:
    """Every legal reuse factor of a layer, ascending: 1 is fully parallel, the last one multiplier.

    Raises `InputError` for sizes below 1.
    """
    for name, size in (("fan_in", fan_in), ("fan_out", fan_out)):
        if size < 1:
            raise InputError(f"reuse: {name}: expected 1 or more, found {size}")
    return tuple(r for r in _divisors(fan_in * fan_out) if _legal(r, fan_in, fan_out))


def nearest_legal(target: int, fan_in: int, fan_out: int) -> int:
    """The legal reuse factor nearest to `target`; of two equally near, the smaller."""
    if target < 1:
        raise InputError(f"reuse: expected a target of 1 or more, found {target}")
    return min(legal_reuse_factors(fan_in, fan_out), key=lambda r: (abs(r - target), r))


def multipliers(fan_in: int, fan_out: int, reuse: int) -> int:
    """Multipliers of a layer, whichever material they are made of."""
    return int(ceil_div(fan_in * fan_out, reuse))


def slices_each(bits: int, input_bits: int) -> int:
    """DSP slices of one multiplier of a weight and an input; 0 where it is made of LUTs.

    >>> slices_each(16, 16), slices_each(24, 24), slices_each(32, 32)
    (1, 2, 4)
    """
    if bits < DSP_BITS:
        return 0
    long, short = DSP_SIDES
    return min(
        int(ceil_div(a - 1, long - 1) * ceil_div(b - 1, short - 1))
        for a, b in ((bits, max(2, input_bits)), (max(2, input_bits), bits))
    )


def dsp_slices(
    fan_in: int, fan_out: int, reuse: int, bits: int, input_bits: int | None = None
) -> int:
    """DSP slices of a layer whose weights have so many bits; inputs have as many unless given."""
    return multipliers(fan_in, fan_out, reuse) * slices_each(bits, input_bits or bits)


def multiplier_luts(fan_in: int, fan_out: int, reuse: int, bits: int) -> int:
    """LUTs of the multipliers that are no DSP slices: bits^2 each.

    Derived: an array multiplier adds `bits` rows of `bits` partial products, one LUT and its carry
    a bit. Adders, control and interfaces are not in it.
    """
    return multipliers(fan_in, fan_out, reuse) * bits**2 if bits < DSP_BITS else 0


def _legal(reuse: int, fan_in: int, fan_out: int) -> bool:
    weights = fan_in * fan_out
    steps = ceil_div(weights, min(fan_in, reuse))
    whole_rows = steps % fan_out == 0 or reuse >= fan_in
    whole_columns = reuse % fan_in == 0 or reuse < fan_in
    return whole_rows and whole_columns and weights % reuse == 0


def _divisors(number: int) -> list[int]:
    small = [d for d in range(1, int(number**0.5) + 1) if number % d == 0]
    return small + [number // d for d in reversed(small) if d * d != number]
