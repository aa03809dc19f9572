"""Neural networks unrolled in space by hls4ml: every layer has multipliers of its own.

A design is a tree over layers: each multiplication takes one cycle on one of the layer's
multipliers (`Waves`), and the whole fabric is resident throughout (`Overlap` with what is live).

- `io_parallel` (dense layers, resource strategy): layers run one after the other,
  latency = sum of reuse + 3 cycles at best and 2 more at worst, interval the same. Exact on the
  48 synthesised two-layer designs of wa-hls4ml (arXiv 2511.05615; Vitis, Alveo U250, 5 ns).
- `io_stream` (with convolutions): layers are joined by FIFOs and run at once, each spending its
  reuse factor on every output pixel; the slowest layer sets latency and interval. At worst it
  spends `PIXEL` cycles more, and so on every pixel that is read, zeros around the map among them.

What each layer takes of the fabric, and with which strategy, is said in `fabric`. A layer of the
latency strategy is pipelined with its reuse factor as the interval between inputs, and takes as
many cycles more as its tree of adders has levels and `PIPELINE` (the tree and 1 to 3 cycles: a
prior). Dense layers that are joined by streams still follow one another, but as soon as the slowest
is free the next inference may start.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from hwmodel.einsum.cascade import Access, Cascade, Stage
from hwmodel.einsum.counts import flops
from hwmodel.einsum.network import Workload
from hwmodel.einsum.space import extent
from hwmodel.einsum.workloads.layer import WEIGHTED
from hwmodel.hardware.hardware import Limits
from hwmodel.machines.fpga.fabric import Dense, spread, taken
from hwmodel.machines.fpga.reuse import (
    DSP_BITS,
    legal_reuse_factors,
    multipliers,
    nearest_legal,
    slices_each,
)
from hwmodel.machines.fpga.streams import streams
from hwmodel.machines.streaming import two_factors
from hwmodel.quantity.arithmetic import ceil_div
from hwmodel.quantity.dtypes import dtype
from hwmodel.quantity.errors import CapacityError, CoverageError
from hwmodel.spine.activity import Activity, Overlap, Repeat, Serial, Waves, Work

OVERHEAD_CYCLES = 3
"""Cycles of a design beyond those of its layers, at best (48 synthesised designs)."""

WORST_CYCLES = 2
"""Cycles by which the worst latency exceeds the best (the same designs)."""

PIXEL = 11
"""Cycles that a loop over weights needs beside its reuse factor at each pixel, at most: the report
of a released design in 32 bits (ChiRuiChen/AutoEncoder_hls4ml at dd6f3c2: 20 at a reuse of 9, 47 at
36, 83 at 72)."""

PIPELINE = 2
"""Cycles of a layer of the latency strategy beside its tree of adders: a prior, of 1 to 3."""

FIFOS = (0.1, 1.0)
"""Low and high multiples of block RAM in FIFOs: a prior of what a simulation leaves of them, and
as deep as they are written."""

CYCLE = "cycle"
NAMED = 8
"""Parts left out that an answer names."""

TAKES: tuple[str, ...] = ("dsp", "lut", "ff", "bram", "uram")
"""What a design takes of a device that has it."""

PRIOR = (
    "lut and ff are within 30 % of released designs of two dense layers (wa-hls4ml); block RAM is"
    " that of weights, tables and FIFOs as HLS reports it: synthesis moves weights to LUTs, and"
    " FIFOs that a simulation shortens take less; the board's own shell (10 to 25 % of its LUTs)"
    " comes on top"
)
"""What the counts of the fabric are worth."""

Io = Literal["io_parallel", "io_stream"]


@dataclass(frozen=True)
class Design:
    """Layers with a legal reuse factor each, and what they take of the device.

    `joined` says how layers are joined; None: by streams where any runs on more than one position.
    """

    layers: tuple[Dense, ...]
    reuse: tuple[int, ...]
    joined: Io | None = None
    asked: tuple[int, ...] = ()
    """Reuse factors that were asked for, where any were."""

    @property
    def io(self) -> Io:
        """How layers are joined."""
        return self.joined or ("io_stream" if self.at_once else "io_parallel")

    @property
    def moved(self) -> tuple[str, ...]:
        """Which factors are not as they were asked for, in words."""
        pairs = zip(self.layers, self.reuse, self.asked, strict=True) if self.asked else ()
        told = [f"{a.name} {want:,} to {got:,}" for a, got, want in pairs if got != want]
        if not told:
            return ()
        return (
            f"reuse moved to the nearest legal factor, as hls4ml does: {', '.join(told)}"
            " (a divisor of fan in x fan out by the rules of its resource strategy)",
        )

    @property
    def at_once(self) -> bool:
        """Whether layers run at the same time for one inference: position after position."""
        return any(layer.positions > 1 for layer in self.layers)

    @property
    def pairs(self) -> tuple[tuple[Dense, int], ...]:
        """Each layer with its reuse factor."""
        return tuple(zip(self.layers, self.reuse, strict=True))

    @property
    def resources(self) -> dict[str, int | float]:
        """DSP slices, LUTs, flip-flops, block RAMs and UltraRAMs, all layers together."""
        each = [taken(layer, reuse) for layer, reuse in self.pairs]
        return {name: sum(one[name] for one in each) for name in TAKES}

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """The same from low to high, by strategy of each layer."""
        found = dict.fromkeys(TAKES, (0.0, 0.0))
        for layer, reuse in self.pairs:
            for name, count in taken(layer, reuse).items():
                fifos = layer.fifo_halves / 2 if name == "bram" else 0
                ends = zip(found[name], spread(layer.strategy, name), FIFOS, strict=True)
                low, high = (
                    so_far + (count - fifos) * share + fifos * own for so_far, share, own in ends
                )
                found[name] = (low, high)
        return found

    @property
    def weight_bytes(self) -> int:
        """Bytes of all weights."""
        return sum(-(-a.fan_in * a.fan_out * a.bits // 8) for a in self.layers)

    @property
    def depths(self) -> tuple[int, ...]:
        """Cycles from a layer's first input to its last result, in order."""
        return tuple(a.positions * r + _pipeline(a) for a, r in self.pairs)

    @property
    def cycles(self) -> int:
        """Latency at best, in cycles of the design's clock."""
        return (max(self.depths) if self.at_once else sum(self.depths)) + OVERHEAD_CYCLES

    @property
    def interval_cycles(self) -> int:
        """Cycles from one inference to the next: of the slowest layer where streams join them."""
        turns = [a.positions * r for a, r in self.pairs]
        streams = self.io == "io_stream" or all(a.strategy == "latency" for a in self.layers)
        return max(turns) if streams else self.cycles

    def by_layer(self) -> tuple[dict[str, Any], ...]:
        """A row for each layer: reuse, interval and depth in cycles, and what it takes."""
        return tuple(
            {
                "layer": layer.name,
                "strategy": layer.strategy,
                "reuse": reuse,
                "interval_cycles": layer.positions * reuse,
                "depth_cycles": depth,
                **taken(layer, reuse),
            }
            for (layer, reuse), depth in zip(self.pairs, self.depths, strict=True)
        )

    def activity(self) -> Activity:
        """One inference as counts: the layers' turns, and the fabric that they occupy."""
        turns = tuple(
            _turns(layer, reuse, f" {number}" if self.at_once else "")
            for number, (layer, reuse) in enumerate(self.pairs)
        )
        joined = Overlap(turns) if self.at_once else Serial(turns)
        fabric = Work(live={**self.resources, "bram_bytes": self.weight_bytes})
        overhead = Work(slots={CYCLE: OVERHEAD_CYCLES})
        return Overlap((fabric, Serial((joined, overhead))))


def _pipeline(layer: Dense) -> int:
    return layer.levels + PIPELINE if layer.strategy == "latency" else 0


def _turns(layer: Dense, reuse: int, own: str) -> Activity:
    """A layer's multiplications in turns of its multipliers, on each of its positions.

    Layers that run at the same time count cycles of their `own`: they share none.
    """
    one = Work(
        operations={("dsp", "flop", f"int{layer.bits}"): 2},
        read={"bram": layer.bits / 8},
        slots={CYCLE + own: 1},
    )
    product = layer.fan_in * layer.fan_out
    own_multipliers = multipliers(layer.fan_in, layer.fan_out, reuse)
    each: Activity = Waves(product, own_multipliers, one)
    idle = reuse - ceil_div(product, own_multipliers)  # of a factor that is no divisor
    if idle:
        each = Serial((each, Work(slots={CYCLE + own: idle})))
    turns = Repeat(layer.positions, each)
    filling = _pipeline(layer)
    return Serial((turns, Work(slots={CYCLE + own: filling}))) if filling else turns


def layers(workload: Workload) -> tuple[Dense, ...]:
    """The layers that hls4ml would unroll: products of a weight, dense or convolution.

    Raises `CoverageError` for products of two activations, grouped convolutions, sweeps, and layers
    that run in some steps alone.
    """
    found: list[Dense] = []
    for stage in workload.stages:
        for einsum in stage.cascade.einsums:
            factors = two_factors(einsum)
            if factors is not None:
                layer = _layer(stage.name, stage.cascade, einsum.output.ranks, factors)
                found += [layer] * _runs(stage)
    if not found:
        raise CoverageError(
            f"{workload.name}: hls4ml unrolls dense and convolution layers; expected a product with"
            " a tensor whose role is weight, found none"
        )
    between = () if workload.layers is None else streams(workload.layers.network)
    if len(between) != len(found):
        return tuple(found)
    return tuple(replace(a, streams=own) for a, own in zip(found, between, strict=True))


def left_out(workload: Workload) -> str:
    """Whose arithmetic takes neither cycles nor fabric here, in words."""
    parts = dict.fromkeys(
        einsum.name if stage.name == einsum.name else f"{stage.name} {einsum.name}"
        for stage in workload.stages
        if np.any(np.asarray(flops(stage.cascade)) > 0)  # copies are no arithmetic
        for einsum in stage.cascade.einsums
        if two_factors(einsum) is None
    )
    if workload.layers is not None:
        kinds = (layer.kind for layer in workload.layers.network.layers)
        parts |= dict.fromkeys(kind for kind in kinds if kind not in WEIGHTED)
    names = list(parts)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    rest = f"; left out: {', '.join(names[:NAMED])}{more}" if names else ""
    return (
        "products with weights take cycles, LUTs and slices; the arithmetic of biases and of"
        f" activations such as ReLU and softmax does not{rest}"
    )


def _runs(stage: Stage) -> int:
    """How often a stage runs; each run is a layer on the chip."""
    if not isinstance(stage.times, int):
        raise CoverageError(
            f"{stage.name}: hls4ml unrolls layers; expected a whole number of runs, found"
            f" {stage.times}"
        )
    return stage.times


def _layer(
    name: str, cascade: Cascade, output: tuple[str, ...], factors: tuple[Access, Access]
) -> Dense:
    weights = [a for a in factors if cascade.tensors[a.tensor].role == "weight"]
    if len(weights) != 1:
        raise CoverageError(
            f"{name}: hls4ml unrolls products of one weight and one activation; found"
            f" {' times '.join(a.tensor for a in factors)}, of which {len(weights)} are weights;"
            " declare one so: tensor W[n, k]: weight"
        )
    (weight,) = weights
    (other,) = (a for a in factors if a is not weight)
    if set(weight.ranks) & set(other.ranks) & set(output):
        raise CoverageError(
            f"{name}: hls4ml: expected a dense layer or a convolution of all channels, found one in"
            " groups, of which each has weights of its own"
        )

    def size(ranks: Iterable[str]) -> int:
        found = extent(ranks, cascade)
        if not isinstance(found, int):
            raise CoverageError(
                f"{name}: hls4ml: expected one size, found an array or an expectation; legal reuse"
                " factors follow from divisors, so call once for each size"
            )
        return found

    bits, input_bits = (dtype(cascade.tensors[a.tensor].dtype).bits for a in (weight, other))
    return Dense(
        name=name,
        fan_in=size(rank for rank in weight.ranks if rank not in output),
        fan_out=size(rank for rank in weight.ranks if rank in output),
        positions=size(rank for rank in output if rank not in weight.ranks),
        read=size(r for r in cascade.tensors[other.tensor].ranks if r not in weight.ranks),
        bits=bits,
        input_bits=None if input_bits == bits else input_bits,
    )


def design(
    layers: Sequence[Dense], target: int | Sequence[int], joined: Io | None = None
) -> Design:
    """Every layer at the legal reuse factor nearest to its target, as hls4ml sets it.

    The latency strategy takes any factor as it is.
    """
    targets = [target] * len(layers) if isinstance(target, int) else target
    reuse = tuple(
        asked if layer.strategy == "latency" else nearest_legal(asked, layer.fan_in, layer.fan_out)
        for layer, asked in zip(layers, targets, strict=True)
    )
    made = Design(tuple(layers), reuse, joined, tuple(targets))
    if made.io == "io_parallel":
        return replace(made, layers=tuple(replace(each, streams=()) for each in made.layers))
    return made


def smallest_target(layers: Sequence[Dense], limits: Limits) -> Design:
    """The design with the least common target that fits.

    Raises `CapacityError` where even one multiplier a layer is too much.
    """
    targets = sorted({r for a in layers for r in legal_reuse_factors(a.fan_in, a.fan_out)})
    for target in targets:
        found = design(layers, target)
        if not shortages(found, limits):
            return replace(found, asked=())
    raise CapacityError(too_large(design(layers, targets[-1]), limits))


def least_cycles(net: Sequence[Dense], room: Limits) -> float:
    """Cycles of any design: multiply-accumulates over the multipliers that the device can hold.

    Streams run all layers at once, so that this bounds their slowest too.
    """
    have: Mapping[str, float] = {
        name: float(np.max(room.resources[name])) for name in ("dsp", "lut")
    }
    others = [layer for layer in net if layer.bits < DSP_BITS]
    in_slices = sum(a.macs * slices_each(a.bits, a.input_bits or a.bits) for a in net) / have["dsp"]
    in_luts = sum(layer.macs * layer.bits**2 for layer in others) / have["lut"]
    return max(in_slices, in_luts) + OVERHEAD_CYCLES


def shortages(made: Design, limits: Limits) -> dict[str, tuple[int | float, float]]:
    """What a design needs more of than the device has: name -> (needed, available)."""
    needed = made.resources
    have = {name: float(np.max(limits.resources.get(name, 0))) for name in needed}
    return {name: (needed[name], have[name]) for name in needed if needed[name] > have[name]}


def interval(made: Design) -> tuple[float, float]:
    """(low, high) multiples of the latency: exact to worst, but for priors of the latency strategy.

    Tools chain several additions in a cycle, so that the pipeline may be a fraction as deep. Layers
    that run at once may spend more at each pixel, and on zeros around a map (`PIXEL`).
    """
    filling = sum(_pipeline(layer) for layer in made.layers)
    worst = made.cycles + WORST_CYCLES + filling // 2
    if made.at_once:
        each = max((a.read or a.positions) * (r + _pixel(a)) for a, r in made.pairs)
        worst = max(worst, each + OVERHEAD_CYCLES)
    return ((made.cycles - 0.8 * filling) / made.cycles, worst / made.cycles)


def _pixel(layer: Dense) -> int:
    """Cycles beyond the reuse factor at each place: none of a pipeline, or of a lone product."""
    return PIXEL if layer.strategy == "resource" and layer.positions > 1 else 0


def taken_text(made: Design, limits: Limits) -> str:
    """What a design takes of what there is, with its range where that is a prior."""
    words: list[str] = []
    for name, count in made.resources.items():
        low, high = made.ranges[name]
        there = float(np.max(limits.resources.get(name, 0)))
        spread_of = f" ({low:,.0f} to {high:,.0f})" if low < high else ""
        words.append(f"{count:,} {name}{spread_of} of {there:,.0f}")
    return ", ".join(words)


def too_large(made: Design, limits: Limits) -> str:
    """Says which resources a design lacks, and by how much."""
    fifos = sum(layer.fifo_halves for layer in made.layers) / 2
    held = (
        f", {fifos:,g} bram of them in FIFOs" if fifos and "bram" in shortages(made, limits) else ""
    )
    lacking = (
        f"{need:,} {name} of {have:,.0f}" for name, (need, have) in shortages(made, limits).items()
    )
    return (
        f"hls4ml: reuse {', '.join(map(str, made.reuse))} needs {' and '.join(lacking)}{held}; take"
        " a larger reuse factor, fewer bits, or a larger device"
    )
