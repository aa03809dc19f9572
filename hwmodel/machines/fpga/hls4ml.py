"""Neural networks unrolled in space by hls4ml: every layer has multipliers of its own.

A design is a tree over layers: each multiplication takes one cycle on one of the layer's
multipliers (`Waves`), and the whole fabric is resident throughout (`Overlap` with what is live).

- `io_parallel` (dense layers, resource strategy): layers run one after the other,
  latency = sum of reuse + 3 cycles at best and 2 more at worst, interval the same. Exact on the
  48 synthesised two-layer designs of wa-hls4ml (arXiv 2511.05615; Vitis, Alveo U250, 5 ns).
- `io_stream` (with convolutions): layers are joined by FIFOs and run at once, each spending its
  reuse factor on every output pixel; the slowest layer sets latency and interval. Fill of the
  windows is left out.

Weights lie in block RAM, a word for all multipliers of a layer at once, `reuse` words deep.
Activations and biases stay in registers and LUTs. How many of these a whole design takes has no
law here: it is null, and no fit checks it but for the LUTs of multipliers below 8 bits.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hwmodel.einsum.cascade import Access, Cascade, Stage
from hwmodel.einsum.network import Workload
from hwmodel.einsum.space import extent
from hwmodel.hardware.hardware import Limits
from hwmodel.machines.fpga.blocks import block_rams
from hwmodel.machines.fpga.reuse import (
    DSP_BITS,
    dsp_slices,
    legal_reuse_factors,
    multiplier_luts,
    multipliers,
    nearest_legal,
    slices_each,
)
from hwmodel.machines.streaming import two_factors
from hwmodel.quantity.dtypes import dtype
from hwmodel.quantity.errors import CapacityError, CoverageError
from hwmodel.spine.activity import Activity, Overlap, Repeat, Serial, Waves, Work

OVERHEAD_CYCLES = 3
"""Cycles of a design beyond those of its layers, at best (48 synthesised designs)."""

WORST_CYCLES = 2
"""Cycles by which the worst latency exceeds the best (the same designs)."""

CYCLE = "cycle"

HAVE: Mapping[str, str] = {"dsp": "dsp", "multiplier_lut": "lut", "bram": "bram"}
"""What a design is known to take -> the device's resource that it takes it of."""

UNKNOWN = (
    "lut and ff are null, and whether they fit was not checked, but for LUTs of multipliers below 8"
    " bits: a released design of two dense layers, 40-88-112 at reuse 1024, takes 23.9 k LUTs at 8"
    " bits, 30.3 k at 16 and 15.35 k flip-flops (wa-hls4ml, arXiv 2511.05615)"
)
"""Why a design's LUTs and flip-flops are not given."""


@dataclass(frozen=True)
class Dense:
    """A dense layer applied to `positions` places: pixels of a convolution, or one vector."""

    name: str
    fan_in: int
    fan_out: int
    positions: int = 1
    bits: int = 16
    input_bits: int | None = None
    """Of the other operand of each multiplication; None: as the weights."""

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return self.fan_in * self.fan_out * self.positions


@dataclass(frozen=True)
class Design:
    """Layers with a legal reuse factor each, and what they take of the device."""

    layers: tuple[Dense, ...]
    reuse: tuple[int, ...]

    @property
    def io(self) -> Literal["io_parallel", "io_stream"]:
        """How layers are joined: streams where any layer runs on more than one position."""
        return "io_stream" if any(layer.positions > 1 for layer in self.layers) else "io_parallel"

    @property
    def resources(self) -> dict[str, int]:
        """DSP slices, LUTs of multipliers and block RAMs of the weights, all layers together."""
        pairs = tuple(zip(self.layers, self.reuse, strict=True))
        return {
            "dsp": sum(dsp_slices(a.fan_in, a.fan_out, r, a.bits, a.input_bits) for a, r in pairs),
            "multiplier_lut": sum(
                multiplier_luts(a.fan_in, a.fan_out, r, a.bits) for a, r in pairs
            ),
            "bram": sum(
                int(block_rams(a.bits * multipliers(a.fan_in, a.fan_out, r), r)) for a, r in pairs
            ),
        }

    @property
    def weight_bytes(self) -> int:
        """Bytes of all weights."""
        return sum(-(-a.fan_in * a.fan_out * a.bits // 8) for a in self.layers)

    @property
    def cycles(self) -> int:
        """Latency at best, in cycles of the design's clock."""
        each = [a.positions * r for a, r in zip(self.layers, self.reuse, strict=True)]
        return (max(each) if self.io == "io_stream" else sum(each)) + OVERHEAD_CYCLES

    def activity(self) -> Activity:
        """One inference as counts: the layers' turns, and the fabric that they occupy."""
        series = self.io == "io_parallel"
        turns = tuple(
            _turns(layer, reuse, "" if series else f" {number}")
            for number, (layer, reuse) in enumerate(zip(self.layers, self.reuse, strict=True))
        )
        joined = Serial(turns) if series else Overlap(turns)
        fabric = Work(live={**self.resources, "bram_bytes": self.weight_bytes})
        overhead = Work(slots={CYCLE: OVERHEAD_CYCLES})
        return Overlap((fabric, Serial((joined, overhead))))


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
    return Repeat(
        layer.positions, Waves(product, multipliers(layer.fan_in, layer.fan_out, reuse), one)
    )


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
    return tuple(found)


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
        bits=bits,
        input_bits=None if input_bits == bits else input_bits,
    )


def design(layers: Sequence[Dense], target: int) -> Design:
    """Every layer at the legal reuse factor nearest to the target, as hls4ml sets it."""
    reuse = tuple(nearest_legal(target, layer.fan_in, layer.fan_out) for layer in layers)
    return Design(tuple(layers), reuse)


def smallest_target(layers: Sequence[Dense], limits: Limits) -> Design:
    """The design with the least common target whose DSP slices, LUTs and block RAMs fit.

    Raises `CapacityError` where even one multiplier a layer is too much.
    """
    targets = sorted({r for a in layers for r in legal_reuse_factors(a.fan_in, a.fan_out)})
    for target in targets:
        found = design(layers, target)
        if not shortages(found, limits):
            return found
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


def shortages(made: Design, limits: Limits) -> dict[str, tuple[int, float]]:
    """What a design needs more of than the device has: name -> (needed, available)."""
    needed = made.resources
    have = {name: float(np.max(limits.resources[HAVE[name]])) for name in needed}
    return {name: (needed[name], have[name]) for name in needed if needed[name] > have[name]}


def too_large(made: Design, limits: Limits) -> str:
    """Says which resources a design lacks, and by how much."""
    lacking = (
        f"{need:,} {name} of {have:,.0f}" for name, (need, have) in shortages(made, limits).items()
    )
    return (
        f"hls4ml: reuse {', '.join(map(str, made.reuse))} needs {' and '.join(lacking)}; take a"
        " larger reuse factor, fewer bits, or a larger device"
    )
