"""On-chip memory of an FPGA: how many blocks a buffer takes.

A block RAM of 36 Kbit is 72 bits wide and 512 deep as a simple dual port (AMD UG573); an UltraRAM
block is 72 bits wide and 4096 deep. A buffer of `width` bits by `depth` words takes

    ceil(width / 72) ceil(depth / rows)

blocks, twice that where one half is filled while the other is read (ping-pong). A narrower, deeper
form of a block RAM (36 x 1024 ... 1 x 32768) is taken where it needs fewer.

A FIFO of up to two words or 1024 bits is made of shift registers (Vitis HLS, `config_storage fifo`,
`auto_srl_max_depth` and `auto_srl_max_bits`); a larger one takes half blocks of 18 bits by 1024.
"""

from hwmodel.quantity.arithmetic import ceil_div, least
from hwmodel.quantity.units import Amount

BLOCK_RAM_FORMS = ((72, 512), (36, 1024), (18, 2048), (9, 4096), (4, 8192))
"""(width in bits, words) that one block RAM of 36 Kbit can be: 72 x 512 to 4 x 8192 (UG573)."""

ULTRA_RAM_FORM = (72, 4096)

FIFO_FORM = (18, 1024)
"""(width in bits, words) of half a block RAM as HLS makes a FIFO of it."""

REGISTERED_WORDS, REGISTERED_BITS = 2, 1024
"""Up to which a memory is made of registers or LUTs where nothing is asked for."""


def block_rams(width_bits: Amount, depth: Amount, *, ping_pong: bool = False) -> Amount:
    """Block RAMs of 36 Kbit that a buffer takes, in the form that needs fewest."""
    forms = (ceil_div(width_bits, w) * ceil_div(depth, d) for w, d in BLOCK_RAM_FORMS)
    return least(forms) * (2 if ping_pong else 1)


def half_block_rams(width_bits: int, depth: int) -> int:
    """Halves of block RAMs, of 18 Kbit each, that a memory which is only read takes.

    >>> half_block_rams(12, 960)
    1
    """
    forms = ((width // 2 or 1, depth) for width, depth in BLOCK_RAM_FORMS)
    return int(least(ceil_div(width_bits, w) * ceil_div(depth, d) for w, d in forms))


def fifo_half_block_rams(width_bits: int, depth: int) -> int:
    """Halves of block RAMs that a FIFO takes: 0 where it is made of shift registers.

    >>> fifo_half_block_rams(32, 36), fifo_half_block_rams(32, 16), fifo_half_block_rams(32, 1156)
    (2, 0, 4)
    """
    if depth <= REGISTERED_WORDS or width_bits * depth <= REGISTERED_BITS:
        return 0
    width, words = FIFO_FORM
    return int(ceil_div(width_bits, width) * ceil_div(depth, words))


def ultra_rams(width_bits: Amount, depth: Amount, *, ping_pong: bool = False) -> Amount:
    """UltraRAM blocks that a buffer takes."""
    width, rows = ULTRA_RAM_FORM
    return ceil_div(width_bits, width) * ceil_div(depth, rows) * (2 if ping_pong else 1)
