"""A workload on an FPGA: on one engine of all its DSP slices, or unrolled layer by layer.

Kernels:

    engine        (default) one array of DSP slices serves every Einsum in turn, operands stream
                  from the DRAM through double buffers; experts are visited expert by expert
    token-order   the same, with experts loaded for every token (M3ViT's baseline)
    hls4ml        each layer has multipliers of its own and weights on chip, at the least reuse
                  factor that fits; hls4ml-1024 at the legal one nearest to 1024; hls4ml:FILE as
                  a config of hls4ml says (`hls_config`), of which a table is a kernel, too

On-chip memory is divided in four: a quarter for tensors between Einsums, a quarter for tiles, and
as much again for the tiles under way. No board was measured: intervals are priors.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hwmodel.bounds.roofline import Floor, peak_s
from hwmodel.einsum.cascade import Cascade, Distribution
from hwmodel.einsum.counts import elements, flops, footprint_bytes
from hwmodel.einsum.network import Workload
from hwmodel.einsum.pairwise import chained
from hwmodel.einsum.structure import contraction
from hwmodel.hardware.hardware import Hardware, Limits, limits
from hwmodel.machines.fpga import hls4ml, hls_config, hls_keys
from hwmodel.machines.fpga.experts import Experts, expected_expert_order, token_order
from hwmodel.machines.fpga.rates import rates, spatial_rates
from hwmodel.machines.run import Run, timed
from hwmodel.machines.streaming import Machine, asked, leaves, wider
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.errors import CapacityError, CoverageError, UnknownNameError
from hwmodel.spine.activity import Activity, Serial, Work

KERNELS = ("engine", "token-order", "hls4ml", "hls4ml-<reuse factor>", "hls4ml:<config file>")

INTERVAL = (0.8, 3.0)
"""(low, high) multiples of an engine's time: a prior. Below 1, since DSP slices may be clocked
twice as fast as the design around them; above, since few designs keep all of them busy."""

_ENGINE = (
    "stack: an engine of our own; every DSP slice multiplies in every cycle, operands stream"
    " through double buffers",
    "a quarter of on-chip memory for tensors between Einsums, a quarter for tiles, twice;"
    " stages hand on through the DRAM",
)
_UNMEASURED = "uncalibrated: no FPGA was measured; intervals and joules are priors"


def run(workload: Workload, hardware: Hardware, kernel: str | Mapping[str, Any] | None) -> Run:
    """A workload on one FPGA; raises `CapacityError` where a design does not fit."""
    if isinstance(kernel, Mapping):
        return _configured(workload, hardware, hls_config.read(kernel))
    name = kernel or "engine"
    if name.startswith("hls4ml:"):
        return _configured(workload, hardware, hls_config.read(name.partition(":")[2]))
    unrolled = re.fullmatch(r"hls4ml(?:-(\d+))?", name)
    if unrolled:
        layers, target = hls4ml.layers(workload), unrolled[1]
        if target is None:
            made = hls4ml.smallest_target(layers, limits(hardware))
        else:
            made = hls4ml.design(layers, int(target))
        return _unrolled(workload, hardware, made)
    if name not in KERNELS:
        raise UnknownNameError(f"kernel of {hardware.name}", name, KERNELS)
    speeds, room = rates(hardware), limits(hardware)
    stages = chained(workload)
    trees = [activity(s.cascade, room, hardware, token=name == "token-order") for s in stages]
    works = [leaves(stage.cascade, engine(room)) for stage in stages]
    return Run(
        parts=tuple(
            (timed(s.name, name, s.times, tree, speeds, s.cascade, INTERVAL),)
            for s, tree in zip(stages, trees, strict=True)
        ),
        busy_s=peak_s(asked(stages, works), hardware),
        assumptions=_ENGINE,
        warnings=(_UNMEASURED,),
    )


def engine(limits: Limits) -> Machine:
    """What the engine asks of the device: units by format, and its share of on-chip memory."""
    quarter = limits.on_chip_bytes / 4
    return Machine(
        unit_of_product=lambda a, b: ("dsp", wider(a, b)),
        plain=("lut", "fp32"),
        resident_bytes=quarter,
        tile_bytes=quarter,
        fast="bram",
    )


def activity(cascade: Cascade, limits: Limits, hardware: Hardware, *, token: bool) -> Activity:
    """The engine's tree: Einsums in series, or experts one after another."""
    machine = engine(limits)
    routed = _experts(cascade, machine)
    works = [Serial((Work(slots={"axi": 1}), work)) for work in leaves(cascade, machine)]
    if routed is None:
        return Serial(tuple(works))
    layer, order, rest = routed
    if layer.buffer_bytes > limits.on_chip_bytes:
        raise CapacityError(
            f"{cascade.name}: two experts need {layer.buffer_bytes:,.0f} bytes on chip,"
            f" {hardware.name} has {limits.on_chip_bytes:,.0f}; take narrower experts or weights"
        )
    if not token:
        return Serial((expected_expert_order(layer, order), *rest))
    return Serial((token_order(layer, int(order.draws * order.picks)), *rest))


def _experts(
    cascade: Cascade, machine: Machine
) -> tuple[Experts, Distribution, tuple[Work, ...]] | None:
    """The routed products of a cascade as experts, their routing, and all other Einsums' work."""
    shapes = [contraction(einsum, cascade) for einsum in cascade.einsums]
    routed = [shape for shape in shapes if shape is not None and shape.routing is not None]
    if not routed:
        return None
    routing, members = routed[0].routing, routed[0].members
    assert routing is not None
    rows = routing.draws * routing.picks
    if not isinstance(members, int) or not isinstance(rows, int):
        raise CoverageError(
            f"{cascade.name}: expected one number of experts and tokens, not arrays"
        )
    weights = sum(elements(s.b, cascade) * bytes_of(s.dtype_b) for s in routed) / members
    unit = machine.unit_of_product(routed[0].dtype_a, routed[0].dtype_b)
    moving = (*(t for t in cascade.inputs if cascade.tensors[t].role == "activation"),)
    moved = sum(footprint_bytes(t, cascade) for t in (*moving, *cascade.outputs))
    layer = Experts(
        experts=members,
        weight_bytes=float(weights),
        flop=int(sum(2 * s.batch * s.n * s.k for s in routed)),
        unit=unit,
        row_bytes=float(moved / rows),
    )
    pairs = zip(shapes, leaves(cascade, machine), strict=True)
    rest = tuple(work for shape, work in pairs if shape is None or shape.routing is None)
    return layer, routing, rest


def _configured(workload: Workload, hardware: Hardware, config: hls_config.HlsConfig) -> Run:
    """hls4ml as a config says, at its clock where it says one."""
    made = hls_config.configured(config, hls4ml.layers(workload))
    told = [*config.told, *hls_keys.told_part(config.part, hardware)]
    given = hardware
    if config.clock_hz is not None:
        told += hls_keys.check_clock(config.clock_hz, hardware, config.where)
        given = hardware.but(clock_hz=config.clock_hz)
    found = _unrolled(workload, given, made)
    return replace(found, warnings=(*found.warnings, *told))


def _unrolled(workload: Workload, hardware: Hardware, made: hls4ml.Design) -> Run:
    """hls4ml: all layers on the fabric at once, one inference through them.

    Raises `CapacityError` where they do not fit.
    """
    stages, room, layers = workload.stages, limits(hardware), made.layers
    if hls4ml.shortages(made, room):
        raise CapacityError(hls4ml.too_large(made, room))
    speeds = spatial_rates(hardware, len(layers), frozenset(layer.bits for layer in layers))
    interval = hls4ml.interval(made)
    lone = stages[0].cascade if len(stages) == 1 and stages[0].times == 1 else None
    whole = timed(workload.name, "hls4ml", 1, made.activity(), speeds, lone, interval)
    flop = sum(stage.times * flops(stage.cascade) for stage in stages if stage.cascade.einsums)
    slowest = max(seconds for name, seconds in whole.busy_s.items() if name.startswith("dsp"))
    return Run(
        parts=((replace(whole, busy_s={"dsp": slowest}, tile=made, asked_flop=flop),),),
        floor=Floor(0, hls4ml.least_cycles(layers, room) / hardware.clock_hz),
        by_layer=made.by_layer(),
        assumptions=(
            f"stack: hls4ml, {made.io}: reuse {', '.join(map(str, made.reuse))};"
            f" {made.cycles:,} cycles at {hardware.clock_hz / 1e6:g} MHz, the next inference after"
            f" {made.interval_cycles:,}",
            f"takes {hls4ml.taken_text(made, room)}",
            hls4ml.left_out(workload),
            "weights are on chip beforehand, which bounds on traffic do not allow for",
            *(
                ("floating formats as fixed point of as many bits, as hls4ml makes them",)
                if any(
                    tensor.role == "weight" and not tensor.dtype.startswith("int")
                    for stage in stages
                    for tensor in stage.cascade.tensors.values()
                )
                else ()
            ),
            "latency law: 48 synthesised two-layer designs with reuse factors of some 1000 to 5000",
        ),
        warnings=(*made.moved, hls4ml.PRIOR),
    )
