"""SpAtten: attention in a pipeline of two multiplier arrays, with pruning and progressive bits.

Head after head, each query's row of scores passes through Q K (8 keys of dimension 64 a cycle),
softmax, top-k and P V; K and V of the head lie in two buffers. With p = 512 / d keys in a line:

    fetch      K and V, 16 channels of 32 bytes a cycle, a round each
    fill       queries x ceil(keys / p) cycles for each head
    drain      103 + ceil(keys / p) cycles, once: the stages after Q K, and the softmax's FIFO
    top-k      ceil(keys / p) + expected passes + ceil(kept / p) for each head that prunes

Many queries: fetch, fill and drain follow one another (Serial), which is the cycle model of the
published simulator. One query (generation): buffers are double, so that heads fetch while others
compute (Overlap). Q comes in and O goes out, 16 bits each, under the fill.

What it prunes: tokens and heads before they are fetched, which is the workload's
(`hw.workloads.pruned_attention`); then, here, rows of V that top-k drops (`values`), and low bits
of K, fetched and used only where no probability is above a threshold (`Chance(refetch)`).

Source: Wang, Zhang, Han, "SpAtten" (HPCA 2021, arXiv 2012.09852) and its published simulator and
RTL (mit-han-lab/spatten). Sizes are elements, bits say so; times are the machine's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from hwmodel.bounds.roofline import Floor, roofline_s
from hwmodel.einsum.attention_shape import attention
from hwmodel.einsum.cascade import Cascade, Stage
from hwmodel.einsum.network import Workload
from hwmodel.hardware.hardware import Hardware, Limits, limits
from hwmodel.machines.run import Run, timed
from hwmodel.machines.spatial.topk import passes_cycles
from hwmodel.quantity.arithmetic import ceil_div, floor_div, most, where
from hwmodel.quantity.dtypes import dtype
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Chance, Overlap, Rates, Serial, Work
from hwmodel.spine.estimate import UNKNOWN, UNMEASURED, Part, Store

NAME = "spatten"
WORD = "int12"
WORD_BITS = 12
STREAM_BITS = 16
"""Of Q and O."""
BUFFERS = ("keys", "values")
"""Each hands its array a line a cycle: they are busy together, and the array is named."""
DRAIN_CYCLES = (1 + 1 + 9) + (7 + 21 + 23 + 29 + 7) + 1 + 1 + (1 + 1 + 1)
"""Buffer, multiplier and adder tree; dequantise, exp, sum, divide, quantise; requantise; top-k;
buffer, multiplier and sum of P V."""


@dataclass(frozen=True)
class Pruning:
    """What is not fetched or not computed of a layer's attention; the defaults prune nothing.

    Attributes:
        values: share of the keys whose rows of V are fetched: those of largest probability.
        key_bits: bits of K fetched first; None: those of the workload's format.
        value_bits: bits of V; None: as `key_bits`.
        lsb_bits: further bits of K, fetched for a head whose probabilities are all small.
        refetch: probability of that.
        ranked: whether the top-k engine's cycles are charged where it drops rows of V.
        source: where the numbers are from.
    """

    values: float = 1.0
    key_bits: int | None = None
    value_bits: int | None = None
    lsb_bits: int = 0
    refetch: float = 0.0
    ranked: bool = True
    source: str = ""

    def __post_init__(self) -> None:
        """Refuse shares that are none."""
        for name, share in (("values", self.values), ("refetch", self.refetch)):
            if not 0 <= share <= 1 or (name == "values" and share == 0):
                raise InputError(f"pruning: {name}: expected a share up to 1, found {share}")
        if (self.key_bits or 1) + self.lsb_bits > WORD_BITS:
            raise InputError(
                f"pruning: key_bits + lsb_bits: expected {WORD_BITS} at most, the word of the chip,"
                f" found {self.key_bits} + {self.lsb_bits}"
            )


PRUNINGS: Mapping[str, Pruning] = {
    "dense": Pruning(),
    "gpt-2-small": Pruning(
        values=0.2,
        key_bits=6,
        value_bits=6,
        lsb_bits=4,
        refetch=323 / 4608,
        ranked=False,
        source="published trace of GPT-2 small on WikiText-2: 323 of 4,608 heads fetch low bits;"
        " it charges no top-k",
    ),
    "gpt-2-medium": Pruning(
        values=0.3,
        key_bits=12,
        value_bits=8,
        ranked=False,
        source="published trace of GPT-2 medium on WikiText-2; it charges no top-k",
    ),
}
"""Name of a `kernel` -> what it prunes beside the workload's own tokens and heads."""


@dataclass(frozen=True, eq=False)
class Layer:
    """Attention of one layer as the chip sees it: `heads` in all, surviving tokens as `keys`."""

    heads: Amount
    queries: Amount
    keys: Amount
    head_dim: Amount


def layer(sizes: Layer, pruning: Pruning, bounds: Limits) -> Activity:
    """One layer of attention; `pruning.key_bits` must be given.

    Raises `InputError` for a head dimension that a line of multipliers cannot hold.
    """
    rows, columns = bounds.arrays["qk"]
    multipliers = rows * columns
    per_line = floor_div(multipliers, sizes.head_dim)
    if np.any(np.less(per_line, 1)):
        raise InputError(
            f"{NAME}: head_dim: expected {multipliers} at most, the multipliers of an array, found"
            f" {sizes.head_dim}"
        )
    lines = ceil_div(sizes.keys, per_line)
    kept = _kept(sizes.keys, pruning.values)
    kept_lines = ceil_div(kept, per_line)
    elements = per_line * sizes.head_dim
    key_bits = pruning.key_bits or WORD_BITS
    value_bits = pruning.value_bits or key_bits
    fetch = Serial(
        (
            _fetched("keys", sizes.heads, lines * elements, key_bits, bounds),
            _fetched("values", sizes.heads, kept_lines * elements, value_bits, bounds),
        )
    )
    steps = sizes.heads * sizes.queries
    streamed = steps * sizes.head_dim * STREAM_BITS / 8
    fill = Overlap(
        (
            _multiplied("qk", "keys", steps * lines, multipliers),
            _multiplied("pv", "values", steps * kept_lines, multipliers),
            Work(operations={("exp", "exp", "fp32"): steps * sizes.keys}),
            Work(read={"dram": streamed}, written={"dram": streamed}),
        )
    )
    drain = Work(slots={"drain": DRAIN_CYCLES + lines})
    ranked = Work(slots={"topk": _ranked(sizes, lines, kept, per_line, pruning, bounds)})
    again = Serial(
        (
            _fetched("keys", sizes.heads, lines * elements, pruning.lsb_bits, bounds),
            _multiplied("qk", "keys", steps * lines, multipliers),
        )
    )
    requantised = (Chance(pruning.refetch, again),) if pruning.refetch else ()
    lone = np.asarray(sizes.queries) == 1
    one = Serial((Overlap((fetch, fill, ranked)), drain))
    many = Serial((fetch, fill, drain, ranked))
    if not lone.all() and lone.any():
        one, many = Chance(where(lone, 1.0, 0.0), one), Chance(where(lone, 0.0, 1.0), many)
        return Serial((one, many, *requantised))
    return Serial(((one if lone.all() else many), *requantised))


def _kept(keys: Amount, share: float) -> Amount:
    """Rows of V that are fetched: whole ones, at least one."""
    if share == 1:
        return keys
    if isinstance(keys, int):
        return max(1, int(keys * share))
    return most((1, floor_div(keys * share, 1)))


def _fetched(buffer: str, heads: Amount, elements: Amount, bits: Amount, bounds: Limits) -> Work:
    """A head's matrix in whole rounds of bursts: every channel moves one, the last round too."""
    burst = bounds.resources["burst_bytes"]
    channels = bounds.resources["channels"]
    bursts = floor_div(floor_div(elements * bits, 8), burst)
    moved = heads * ceil_div(bursts, channels) * channels * burst
    return Work(read={"dram": moved}, written={buffer: heads * elements * WORD_BITS / 8})


def _multiplied(unit: str, buffer: str, lines: Amount, multipliers: Amount) -> Work:
    """Lines of a buffer through an array: all of its multipliers work, on zeros too."""
    return Work(
        operations={(unit, "flop", WORD): 2 * lines * multipliers},
        read={buffer: lines * multipliers * WORD_BITS / 8},
    )


def _ranked(
    sizes: Layer, lines: Amount, kept: Amount, per_line: Amount, pruning: Pruning, bounds: Limits
) -> Amount:
    """Cycles of the top-k engine in all heads: in, expected passes, out."""
    if pruning.values == 1 or not pruning.ranked:
        return 0
    comparators = int(cast(int, bounds.resources["comparators"]))
    passes = passes_cycles(sizes.keys, kept, comparators)
    return sizes.heads * (lines + passes + ceil_div(kept, per_line))


def rates(hardware: Hardware) -> Rates:
    """The chip's rates; latencies are cycles. Buffers have write ports of their own."""
    levels = {name: memory.bandwidth_bytes_per_s for name, memory in hardware.memories.items()}
    kinds = {unit: "exp" if unit == "exp" else "flop" for unit in hardware.units}
    cycle_s = 1 / hardware.clock_hz
    return Rates(
        of=hardware.name,
        operations={
            (unit, kinds[unit], word): rate
            for unit, spec in hardware.units.items()
            for word, rate in spec.rate_per_s.items()
        },
        read=levels,
        written=dict.fromkeys(levels, np.inf) | {"dram": levels["dram"]},
        slots={"drain": ("drain", cycle_s), "topk": ("topk", cycle_s)},
        operation_j={
            (unit, kinds[unit], word): joules
            for unit, spec in hardware.units.items()
            for word, joules in spec.energy_j_per_flop.items()
        },
        byte_j={name: memory.energy_j_per_byte for name, memory in hardware.memories.items()},
        static_w=hardware.power.idle_w,
    )


def run(workload: Workload, hardware: Hardware, kernel: str | None) -> Run:
    """Attention, or a stack of it, on the chip; `kernel` names a pruning (default: dense).

    Raises `CoverageError` for what is no attention on integers, `UnknownNameError`.
    """
    name = kernel or "dense"
    if name not in PRUNINGS:
        raise UnknownNameError(f"kernel of {hardware.name}", name, PRUNINGS)
    layers = [(stage, *_sizes(stage.cascade, PRUNINGS[name])) for stage in workload.stages]
    floors = [(stage.times, _floor(sizes, given, hardware)) for stage, sizes, given in layers]
    pruned = () if name == "dense" else (f"kernel {name!r}: {PRUNINGS[name].source}",)
    return Run(
        parts=tuple((_part(*each, hardware, f"{NAME}:{name}"),) for each in layers),
        floor=Floor(
            sum(times * floor.bytes for times, floor in floors),
            sum(times * floor.time_s for times, floor in floors),
        ),
        stores=_fullest([s for stage, sizes, _ in layers for s in _stores(stage, sizes, hardware)]),
        assumptions=(
            "stack: the chip alone; cycle model of the published simulator; one query overlaps"
            " fetch with computing",
            "energy: multiplications, exponentials, buffers and DRAM; adders of softmax left out",
            "Q and O cross DRAM in 16 bits, whatever the workload says and its bound takes",
            *pruned,
        ),
        warnings=(
            UNMEASURED,
            *(("pruned: the answer is not that of the whole attention",) if pruned else ()),
        ),
    )


def _part(stage: Stage, sizes: Layer, given: Pruning, hardware: Hardware, family: str) -> Part:
    """One stage; the chip's buffers are busy beside its units, and bind nothing."""
    tree = layer(sizes, given, limits(hardware))
    speeds, times = rates(hardware), stage.times
    part = timed(stage.name, family, times, tree, speeds, stage.cascade, UNKNOWN, tile=given)
    return replace(part, busy_s={n: s for n, s in part.busy_s.items() if n not in BUFFERS})


def _floor(sizes: Layer, given: Pruning, hardware: Hardware) -> Floor:
    """The least bytes that a stage moves in the pruning's formats, and its roofline."""
    kept = _kept(sizes.keys, given.values)
    bits = given.key_bits or WORD_BITS
    key_bits = bits + given.lsb_bits * given.refetch
    words = sizes.heads * sizes.head_dim
    kept_bits = kept * (given.value_bits or bits)
    each_bits = sizes.keys * key_bits + kept_bits + 2 * sizes.queries * STREAM_BITS
    least_bytes = words * each_bits / 8
    products = words * sizes.queries * (sizes.keys + kept)
    multipliers = hardware.rate("qk", WORD) + hardware.rate("pv", WORD)
    speed = hardware.memory("dram").bandwidth_bytes_per_s
    return Floor(least_bytes, roofline_s({"qk": 2 * products / multipliers}, least_bytes, speed))


def _stores(stage: Stage, sizes: Layer, hardware: Hardware) -> list[Store]:
    """What each buffer holds of a head, in words of the chip: twice, where heads overlap."""
    twice = np.asarray(sizes.queries) == 1
    needed = where(twice, 2, 1) * ceil_div(sizes.keys * sizes.head_dim * WORD_BITS, 8)
    needed = needed if np.ndim(needed) else int(needed)
    words = f"keys and values of a head of {stage.name}{', twice' if twice.all() else ''}"
    held = {name: hardware.memory(name).capacity_bytes for name in BUFFERS}
    return [Store(name, needed, capacity, words) for name, capacity in held.items()]


def _fullest(stores: list[Store]) -> tuple[Store, ...]:
    """Of each buffer the stage that needs most of it, or of many points what they need."""
    found: list[Store] = []
    for name in BUFFERS:
        mine = [store for store in stores if store.name == name]
        needed = most(store.needed_bytes for store in mine)
        first = [store for store in mine if np.all(store.needed_bytes == needed)] or mine
        found.append(replace(first[0], needed_bytes=needed))
    return tuple(found)


def _sizes(cascade: Cascade, pruning: Pruning) -> tuple[Layer, Pruning]:
    """The chip's view of a cascade, and the pruning with the bits of its format."""
    shape = attention(cascade)
    if shape is None:
        raise CoverageError(
            f"{NAME}, cascade {cascade.name!r}: expected attention (hw.workloads.attention or"
            " pruned_attention), found something else; the chip has no other pipeline"
        )
    if shape.causal or shape.window is not None or not np.all(np.equal(shape.density, 1)):
        raise CoverageError(
            f"{NAME}, cascade {cascade.name!r}: expected attention without a mask, found one; its"
            " pipeline takes every fetched key for every query"
        )
    if np.any(np.not_equal(shape.head_dim, shape.value_dim)):
        raise CoverageError(f"{NAME}, cascade {cascade.name!r}: expected value_dim = head_dim")
    stored = dtype(shape.kv_dtype)
    if not stored.name.startswith("int") or stored.bits > WORD_BITS:
        raise CoverageError(
            f"{NAME}, cascade {cascade.name!r}: expected K and V as integers of {WORD_BITS} bits at"
            f" most, found {shape.kv_dtype}; give the workload kv_dtype='int8'"
        )
    bits = pruning.key_bits or stored.bits
    filled = replace(pruning, key_bits=bits, value_bits=pruning.value_bits or bits)
    # Heads that share keys are fetched and walked one by one, as every head is.
    return Layer(shape.batch_heads, shape.queries, shape.keys, shape.head_dim), filled
