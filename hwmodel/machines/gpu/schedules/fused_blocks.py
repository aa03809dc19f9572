"""What kernels share that do several products on one tile: waves of blocks over the DRAM's stream.

    time = launches + first loads  +  (waves of blocks, DRAM overlapped)

A block takes its own share of its processor's units, and `chain` clocks that nothing of its own
hides: instructions that wait for each other. Neighbours on the processor run meanwhile; how many
are resident follows from registers, which such kernels take as many of as a thread may have; in the
last turn they are fewer.
"""

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.units import product_unit
from hwmodel.quantity.arithmetic import ceil_div, floor_div, least, most
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Operation, Overlap, Serial, Waves, Work

WARP = 32
MOST_REGISTERS = 255
"""Of a thread."""
LANE_FLOP = 2
"""Operations of a multiply-add, in which vector units are rated."""


def block_operations(flop: Amount, dtype: str, lanes: Amount) -> dict[Operation, Amount]:
    """Of a block: `flop` of products of operands in `dtype`, and `lanes` vector instructions."""
    unit, kind = product_unit(dtype, dtype)
    found: dict[Operation, Amount] = {("vector", "flop", "fp32"): LANE_FLOP * lanes}
    found[unit, "flop", kind] = found.get((unit, "flop", kind), 0) + flop
    return found


def resident(warps: Amount, registers: Amount, limits: Limits) -> Amount:
    """Blocks on one processor, by the registers of their threads, capped at what a thread has."""
    each = warps * WARP * least((registers, MOST_REGISTERS))
    return most((1, floor_div(limits.registers, each)))


def blocks_and_stream(
    blocks: Amount,
    on_each: Amount,
    block: Work,
    chain: Amount,
    stream: Work,
    limits: Limits,
    launches: Amount = 1,
) -> Activity:
    """Blocks, `on_each` of them resident, each with its work and `chain` clocks of waiting."""
    slots = limits.processors * on_each
    whole = floor_div(blocks, slots) * slots
    left = blocks - whole
    fewer = most((1, ceil_div(left, limits.processors)))

    def turns(count: Amount, neighbours: Amount) -> Waves:
        each = Work(
            operations=block.operations,
            read=block.read,
            written=block.written,
            live={"processors": 1 / neighbours},
            slots={"cycle": chain},
        )
        return Waves(count, limits.processors * neighbours, each)

    waves = Serial((turns(whole, on_each), turns(left, fewer)))
    return Serial((Work(slots={"launch": launches, "fill": launches}), Overlap((waves, stream))))
