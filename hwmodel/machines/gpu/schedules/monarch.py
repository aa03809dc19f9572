"""Launch records of convolutions by Fourier transforms that are products (`kernels/fourier.py`)."""

from dataclasses import dataclass

from hwmodel.quantity.errors import InputError
from hwmodel.quantity.units import Amount

LEAST_RADIX, MOST_RADIX = 16, 128
"""Rows that tensor cores take at least, and of the matrices that a block multiplies by."""
MOST_INNER = MOST_RADIX * MOST_RADIX
ELEMENTS = 2048
"""Numbers of each plane that a block transforms, at least."""


@dataclass(frozen=True)
class MonarchTile:
    """Pairs of sequences in a block, its warps; columns and warps of the outermost products."""

    pairs: Amount = 1
    warps: Amount = 4
    cols: Amount = 64
    outer_warps: Amount = 4


def radices(n: int) -> tuple[int, int, int]:
    """(outer, n1, n2) with outer n1 n2 = n: points of the products of a transform; outer 1: none.

    >>> radices(1024), radices(8192), radices(1 << 20)
    ((1, 32, 32), (1, 64, 128), (64, 128, 128))

    Raises `InputError` for a length that is no power of two, or out of reach.
    """
    least, most = LEAST_RADIX**2, MOST_RADIX * MOST_INNER
    if n & (n - 1) or not least <= n <= most:
        raise InputError(
            f"length of a Fourier transform: expected a power of two of {least} .. {most}, found"
            f" {n}; pad with zeros"
        )
    outer = 1
    if n > MOST_INNER:
        outer = max(n // MOST_INNER, LEAST_RADIX)
    bits = (n // outer).bit_length() - 1
    return outer, 1 << bits // 2, 1 << (bits - bits // 2)


def monarch_tile(n: int) -> MonarchTile:
    """The rule's launch record for sequences of n numbers."""
    outer, n1, n2 = radices(n)
    inner = n1 * n2
    warps = 4 if inner <= ELEMENTS else 8 if inner <= 2 * ELEMENTS else 16
    return MonarchTile(max(1, ELEMENTS // inner), warps, 64, 8 if outer > 32 else 4)


def monarch_tiles(n: int) -> tuple[MonarchTile, ...]:
    """The launch records that are worth measuring: the rule's, and one with other warps."""
    rule = monarch_tile(n)
    warps = {4: 8, 8: 4, 16: 8}[int(rule.warps)]
    return (rule, MonarchTile(rule.pairs, warps, rule.cols, rule.outer_warps))
