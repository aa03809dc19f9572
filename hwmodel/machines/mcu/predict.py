"""Prediction for a microcontroller: layer after layer, or its first layers patch by patch.

    Serial(Overlap(output of the stage held, Repeat(tiles, Serial(fused layers))), layers ...)

A layer's multiply-accumulates run on the SIMD unit at the share of its peak that the library was
measured to reach over whole networks (one number a library: see `validation/mcu.py`), while its
weights stream from Flash and its maps from and to SRAM; the slowest of the three sets its time.
Weights are read once a run of the layer, hence once a tile. Halo is computed again, and counts.
What only moves bytes (concatenations, resized maps, and under a library that runs a file as it is
its pads and transpositions) moves them through SRAM, at no more than 2 operations of the SIMD
unit's peak a byte, a load and a store: a prior, for copies were not measured.

Energy is the power of a running core, which hardly depends on the instruction, times the time: it
is charged to operations at their achieved rate. Datasheets measure it with code and data coming
from the memories, so these carry no joules of their own.
"""

from typing import Any

from hwmodel.bounds.bound import bound
from hwmodel.bounds.roofline import Floor, roofline_s
from hwmodel.einsum.network import Workload
from hwmodel.einsum.workloads.layer import KINDS
from hwmodel.einsum.workloads.patches import Patched
from hwmodel.hardware.calibration import Calibration, Family
from hwmodel.hardware.hardware import Hardware, limits
from hwmodel.machines.mcu.arena import COPIES, Held, arena
from hwmodel.machines.mcu.libraries import Runtime, flash_bytes, library, stored_bytes
from hwmodel.machines.mcu.planner import (
    Placed,
    alive,
    copied_elements,
    kept_bytes,
    needed_bytes,
    plan,
)
from hwmodel.machines.run import Run, timed
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.errors import CoverageError
from hwmodel.spine.activity import Activity, Overlap, Rates, Repeat, Serial, Work
from hwmodel.spine.estimate import Store

UNIT = "vector"
"""The core's SIMD multiply-accumulate instructions."""

IMAGE = "image"


def run(workload: Workload, hardware: Hardware, kernel: str | None) -> Run:
    """Time, energy, SRAM and Flash of a convolutional network (`hw.workloads.cnn`) on one MCU.

    `kernel` names the library (default tinyengine). Raises `CoverageError` for other workloads.
    """
    given, dtype = scheduled(workload, hardware)
    used = library(kernel)
    held = arena(given, in_place=used.in_place)
    family, calibration = family_of(hardware, used.name)
    rates = mcu_rates(hardware, family, dtype)
    title = f"mcu:{used.name}"
    works = (image(given), *(leaf(each, dtype, as_is=used.planned) for each in held))
    names = (IMAGE, *(each.layer.name for each in held))
    rows = _by_layer(held, plan(given) if used.planned else ())
    return Run(
        parts=tuple(
            (timed(name, title, s.times, work, rates, s.cascade, family.interval),)
            for name, s, work in zip(names, workload.stages, works, strict=True)
        ),
        floor=_floor(workload, given, hardware, dtype),
        outermost="flash",
        stores=_stores(given, held, hardware, used, rows),
        assumptions=_assumptions(given, hardware, calibration, used),
        by_layer=rows,
        warnings=_warnings(family, calibration),
    )


RUN = tuple(kind for kind in KINDS if kind != "attention")
"""Kinds of layer that the libraries of microcontrollers have."""

COPY = "copy"
COPY_OPERATIONS = 2
"""Of the SIMD unit's peak, for a byte that is moved: a load and a store."""


def _floor(workload: Workload, given: Patched, hardware: Hardware, dtype: str) -> Floor:
    """Every multiply-accumulate once, weights read once: those of the network without tiles."""
    plain = workload.but(patches=1, split=0) if given.tiles else workload
    least_bytes = bound(plain, limits(hardware), outermost=True).dram_bytes
    busy_s = {UNIT: 2 * given.network.macs / hardware.rate(UNIT, dtype)}
    speed = hardware.memory("flash").bandwidth_bytes_per_s
    return Floor(least_bytes, float(roofline_s(busy_s, least_bytes, speed)))


def scheduled(workload: Workload, hardware: Hardware) -> tuple[Patched, str]:
    """Layers, tiles and number format of a convolutional network."""
    layers = workload.layers
    if layers is None:
        raise CoverageError(
            f"{hardware.name}: microcontrollers run convolutional networks, such as"
            f" hw.workloads.cnn('mobilenetv2') or a .tflite or .onnx file; found {workload.name}"
        )
    strange = sorted({layer.kind for layer in layers.network.layers} - {*RUN})
    origin = workload.origin
    if strange or (origin is not None and origin.arguments.get("batch", 1) != 1):
        raise CoverageError(
            f"{hardware.name}: microcontrollers run one image, layers of {', '.join(RUN)};"
            f" found {', '.join(strange) or 'several images'} in {workload.name}"
        )
    image_of = workload.stages[0].cascade
    dtype = image_of.tensors[image_of.inputs[0]].dtype
    if bytes_of(dtype) != 1:
        raise CoverageError(f"{workload.name}: {hardware.name} is modelled for int8; found {dtype}")
    return layers, dtype


def leaf(held: Held, dtype: str, *, as_is: bool = False) -> Work:
    """Counts of one run of a layer: operations, bytes of weights and maps, live bytes.

    `as_is`: the copies that its file makes before it are made.
    """
    layer = held.layer
    copied = copied_elements(layer) if as_is else 0
    moved = copied + (layer.outputs_elements if layer.kind in COPIES else 0)
    operations = {(UNIT, "flop", dtype): _operations(held)}
    if moved:
        operations[UNIT, COPY, dtype] = COPY_OPERATIONS * moved
    return Work(
        operations={key: count for key, count in operations.items() if count},
        read={"flash": stored_bytes(layer), "sram": held.read + copied},
        written={"sram": layer.outputs_elements + copied},
        live={"sram": held.own},
    )


def _operations(held: Held) -> int:
    """Operations of a layer: of a product, for each tap of a window, else for each value read."""
    layer = held.layer
    if layer.weights:
        return 2 * layer.macs
    if layer.kind in COPIES:
        return 0
    down, across = layer.window
    return max(held.read, layer.outputs_elements * down * across)


def tree(given: Patched, held: tuple[Held, ...], dtype: str) -> Activity:
    """The whole inference as one activity: its live bytes fold to the peak of the arena."""
    tiles = tuple(leaf(each, dtype) for each in held if each.fused)
    rest = tuple(leaf(each, dtype) for each in held if not each.fused)
    if not tiles:
        return Serial(rest)
    output = Work(live={"sram": held[0].beside})
    return Serial((Overlap((output, Repeat(given.runs, Serial(tiles)))), *rest))


def mcu_rates(hardware: Hardware, family: Family, dtype: str) -> Rates:
    """The machine's rates under one library: its share of the SIMD unit's peak."""
    peak = hardware.rate(UNIT, dtype)
    rate = peak * family.parameters[UNIT].value
    bandwidth = {n: memory.bandwidth_bytes_per_s for n, memory in hardware.memories.items()}
    return Rates(
        of=hardware.name,
        operations={(UNIT, "flop", dtype): rate, (UNIT, COPY, dtype): peak},
        read=bandwidth,
        written=bandwidth,
        operation_j={
            (UNIT, "flop", dtype): hardware.power.run_w / rate,
            (UNIT, COPY, dtype): hardware.power.run_w / peak,
        },
        byte_j={n: memory.energy_j_per_byte for n, memory in hardware.memories.items()},
        static_w=hardware.power.idle_w,
    )


def image(given: Patched) -> Work:
    """The image on its way in from outside, tile by tile where tiles are read with their halo."""
    tile = given.tiles[0].inputs_elements if given.tiles else given.network.image_elements
    return Work(read={"flash": given.runs * tile})


def family_of(hardware: Hardware, name: str) -> tuple[Family, Calibration]:
    """What a library was measured to reach on a device; raises `CoverageError` where nothing."""
    calibration = hardware.calibration
    if calibration is None or f"mcu:{name}" not in calibration.families:
        raise CoverageError(
            f"{hardware.name}: has no calibration for {name}; load a shipped device, or give a"
            f" folder with a calibration.yaml that has the family mcu:{name}"
        )
    return calibration.family(f"mcu:{name}"), calibration


def _by_layer(held: tuple[Held, ...], placed: tuple[Placed, ...]) -> tuple[dict[str, Any], ...]:
    """Live bytes of each layer, how far its buffers reach into a planned arena, and its weights."""
    rows: list[dict[str, Any]] = []
    tiled = any(each.fused for each in held)
    for at, each in enumerate(held):
        row: dict[str, Any] = {"layer": each.layer.name}
        if tiled:
            row["runs_on"] = "a tile" if each.fused else "whole maps"
        row["sram_bytes"] = each.bytes
        if placed:
            both = alive(placed, at)
            row["sram_bytes"] = max(sum(p.buffer.bytes for p in step) for step in both)
            row["arena_bytes"] = max(p.end for step in both for p in step)
        rows.append({**row, "flash_bytes": stored_bytes(each.layer)})
    return tuple(rows)


def _stores(
    given: Patched,
    held: tuple[Held, ...],
    hardware: Hardware,
    used: Runtime,
    rows: tuple[dict[str, Any], ...],
) -> tuple[Store, ...]:
    most = held[max(range(len(rows)), key=lambda at: rows[at]["sram_bytes"])]
    tile = " (a tile, and the stage's output)" if most.fused else ""
    sram = hardware.memory("sram").capacity_bytes
    flash = hardware.memory("flash").capacity_bytes
    return (
        Store(
            "sram", needed_bytes(given, held, used), float(sram), f"layer {most.layer.name}{tile}"
        ),
        Store("flash", flash_bytes(given.network), float(flash), "weights and program"),
    )


OWN = {
    "ethos-u": " (its rules of memory, in the place of Vela's)",
    "xtensa-lx7": " (its rules of memory; kernels are ESP-NN's)",
}
"""Architecture -> what runs networks there, where no library of ours does."""


def _assumptions(
    given: Patched, hardware: Hardware, calibration: Calibration, used: Runtime
) -> tuple[str, ...]:
    own = OWN.get(hardware.architecture, "")
    held = (
        "SRAM is as TFLM's greedy planner places buffers, in steps of 16 bytes, copies that the"
        f" file makes among them, and {kept_bytes(given):,} bytes that kernels keep of their"
        " channels; scratch buffers and the interpreter's own structures come on top"
        if used.planned
        else "SRAM holds maps alone: im2col and kernel buffers add 3 to 7 % (TinyEngine, measured)"
    )
    words = [
        f"stack: {used.title}{own}; calibration: {calibration.name}",
        held,
        "Flash traffic counts the image on its way in, too; weights are read once a run",
    ]
    if any(layer.kind in COPIES for layer in given.network.layers):
        words.append("copies: a load and a store a byte at the unit's peak, or as SRAM gives")
    if given.tiles:
        words.append(
            f"{given.grid} x {given.grid} patches over {given.split} layers: {given.overhead:.1%}"
            f" more multiply-accumulates, {given.stage_overhead:.1%} of these layers'"
        )
    return tuple(words)


def _warnings(family: Family, calibration: Calibration) -> tuple[str, ...]:
    if family.origin == "measured":
        return ()
    source = family.source or f"{calibration.source}, with wider intervals"
    return (f"uncalibrated: efficiencies are {source}",)
