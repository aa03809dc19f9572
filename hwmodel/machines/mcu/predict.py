"""Prediction for a microcontroller: layer after layer, or its first layers patch by patch.

    Serial(Overlap(output of the stage held, Repeat(tiles, Serial(fused layers))), layers ...)

A layer's multiply-accumulates run on the SIMD unit at the share of its peak that the library was
measured to reach over whole networks (one number a library: see `validation/mcu.py`), while its
weights stream from Flash and its maps from and to SRAM; the slowest of the three sets its time.
Weights are read once a run of the layer, hence once a tile. Halo is computed again, and counts.

Energy is the power of a running core, which hardly depends on the instruction, times the time: it
is charged to operations at their achieved rate. Datasheets measure it with code and data coming
from the memories, so these carry no joules of their own.
"""

from typing import Any

from hwmodel.bounds.bound import bound
from hwmodel.bounds.roofline import Floor, roofline_s
from hwmodel.einsum.network import Workload
from hwmodel.einsum.workloads.patches import Patched
from hwmodel.hardware.calibration import Calibration, Family
from hwmodel.hardware.hardware import Hardware, limits
from hwmodel.machines.mcu.arena import Held, arena
from hwmodel.machines.mcu.libraries import Runtime, flash_bytes, library, stored_bytes
from hwmodel.machines.mcu.planner import Placed, needed_bytes, plan
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
    works = (image(given), *(leaf(each, dtype) for each in held))
    names = (IMAGE, *(each.layer.name for each in held))
    return Run(
        parts=tuple(
            (timed(name, title, s.times, work, rates, s.cascade, family.interval),)
            for name, s, work in zip(names, workload.stages, works, strict=True)
        ),
        floor=_floor(workload, given, hardware, dtype),
        outermost="flash",
        stores=_stores(given, held, hardware, used),
        assumptions=_assumptions(given, hardware, calibration, used),
        by_layer=_by_layer(held, plan(given) if used.planned else ()),
        warnings=_warnings(family, calibration),
    )


RUN = (
    *("conv", "depthwise", "linear", "add", "multiply", "activation"),
    *("mean", "average", "maximum"),
)
"""Kinds of layer that the libraries of microcontrollers have."""


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


def leaf(held: Held, dtype: str) -> Work:
    """Counts of one run of a layer: operations, bytes of weights and maps, live bytes."""
    layer = held.layer
    operations = 2 * layer.macs if layer.weights else layer.inputs_elements * len(layer.inputs)
    read = layer.inputs_elements * (2 if layer.kind == "add" else 1)
    return Work(
        operations={(UNIT, "flop", dtype): operations},
        read={"flash": stored_bytes(layer), "sram": read},
        written={"sram": layer.outputs_elements},
        live={"sram": held.own},
    )


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
    rate = hardware.rate(UNIT, dtype) * family.parameters[UNIT].value
    bandwidth = {n: memory.bandwidth_bytes_per_s for n, memory in hardware.memories.items()}
    return Rates(
        operations={(UNIT, "flop", dtype): rate},
        read=bandwidth,
        written=bandwidth,
        operation_j={(UNIT, "flop", dtype): hardware.power.run_w / rate},
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
            alive = (p for p in placed if p.buffer.first <= at <= p.buffer.last)
            row["arena_bytes"] = max(p.end for p in alive)
        rows.append({**row, "flash_bytes": stored_bytes(each.layer)})
    return tuple(rows)


def _stores(
    given: Patched, held: tuple[Held, ...], hardware: Hardware, used: Runtime
) -> tuple[Store, ...]:
    most = max(held, key=lambda each: each.bytes)
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
    words = [
        f"stack: {used.title}{own}; calibration: {calibration.name}",
        "SRAM holds maps alone: im2col and kernel buffers add 3 to 7 % (TinyEngine, measured)",
        "Flash traffic counts the image on its way in, too; weights are read once a run",
    ]
    if used.planned:
        words.append(
            "SRAM is as TFLM's greedy planner places buffers, in steps of 16 bytes; scratch buffers"
            " of kernels and the interpreter's own structures come on top"
        )
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
