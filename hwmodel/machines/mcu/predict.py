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

from hwmodel.bounds.bound import bound
from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.network import Stack
from hwmodel.einsum.workloads.cnn import schedule
from hwmodel.einsum.workloads.patches import Patched
from hwmodel.hardware.calibration import Calibration, Family
from hwmodel.hardware.hardware import Hardware, limits
from hwmodel.machines.mcu.arena import Held, arena
from hwmodel.machines.mcu.libraries import CHANNEL_BYTES, flash_bytes, library
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.errors import CoverageError
from hwmodel.spine.activity import (
    Activity,
    Overlap,
    Rates,
    Repeat,
    Serial,
    Work,
    components_j,
    energy_j,
    fold,
    totals,
)
from hwmodel.spine.estimate import Estimate, Part, Store

UNIT = "vector"
"""The core's SIMD multiply-accumulate instructions."""

IMAGE = "image"


def predict(workload: Cascade | Stack, hardware: Hardware, *, kernel: str | None) -> Estimate:
    """Time, energy, SRAM and Flash of a convolutional network (`hw.workloads.cnn`) on one MCU.

    `kernel` names the library (default tinyengine). Raises `CoverageError` for other workloads.
    """
    given, dtype = scheduled(workload, hardware)
    used = library(kernel)
    held = arena(given, in_place=used.in_place)
    family, calibration = family_of(hardware, used.name)
    rates = mcu_rates(hardware, family, dtype)
    cascades = [stage.cascade for stage in workload.stages] if isinstance(workload, Stack) else []
    runs = [1, *(given.runs if each.fused else 1 for each in held)]
    names = [IMAGE, *(each.layer.name for each in held)]
    leaves = [image(given), *(leaf(each, dtype) for each in held)]
    plain = workload.but(patches=1, split=0) if given.tiles else workload
    floor = bound(plain, limits(hardware), outermost=True)
    flash = hardware.memory("flash")
    macs_s = 2 * given.network.macs / hardware.rate(UNIT, dtype)
    return Estimate(
        name=workload.name,
        device=hardware.title,
        parts=tuple(
            _part(*each, f"mcu:{used.name}", rates, family)
            for each in zip(names, runs, leaves, cascades, strict=True)
        ),
        bound_bytes=floor.dram_bytes,
        bound_s=max(macs_s, float(floor.dram_bytes / flash.bandwidth_bytes_per_s)),
        outermost="flash",
        stores=_stores(given, held, hardware),
        assumptions=_assumptions(given, calibration, used.title),
        warnings=_warnings(workload, family, calibration),
    )


def scheduled(workload: Cascade | Stack, hardware: Hardware) -> tuple[Patched, str]:
    """Layers, tiles and number format of a network that `cnn` made."""
    origin = workload.origin
    if not isinstance(workload, Stack) or origin is None or origin.workload != "cnn":
        raise CoverageError(
            f"{hardware.name}: microcontrollers run convolutional networks, such as"
            f" hw.workloads.cnn('mobilenetv2') or a .tflite file; found {workload.name}"
        )
    dtype = str(origin.arguments["dtype"])
    if bytes_of(dtype) != 1:
        raise CoverageError(f"{workload.name}: {hardware.name} is modelled for int8; found {dtype}")
    return schedule(origin.arguments), dtype


def leaf(held: Held, dtype: str) -> Work:
    """Counts of one run of a layer: operations, bytes of weights and maps, live bytes."""
    layer = held.layer
    channels = layer.filters if layer.weights else 0
    operations = 2 * layer.macs if layer.weights else layer.inputs_elements * len(layer.inputs)
    read = layer.inputs_elements * (2 if layer.kind == "add" else 1)
    return Work(
        operations={(UNIT, "flop", dtype): operations},
        read={"flash": layer.weights + CHANNEL_BYTES * channels, "sram": read},
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


def _part(
    name: str, runs: int, work: Work, cascade: Cascade, title: str, rates: Rates, family: Family
) -> Part:
    folded = fold(work, rates)
    return Part(
        name=name,
        family=title,
        times=runs,
        counts=totals(work),
        time_s=folded.time_s,
        sustained_s=folded.time_s,
        busy_s=folded.busy_s,
        energy_j=energy_j(work, rates, folded.time_s),
        energy_by_j=components_j(work, rates, folded.time_s),
        interval=family.interval,
        work=cascade,
    )


def family_of(hardware: Hardware, name: str) -> tuple[Family, Calibration]:
    """What a library was measured to reach on a device; raises `CoverageError` where nothing."""
    calibration = hardware.calibration
    if calibration is None or f"mcu:{name}" not in calibration.families:
        raise CoverageError(
            f"{hardware.name}: has no calibration for {name}; load a shipped device, or give a"
            f" folder with a calibration.yaml that has the family mcu:{name}"
        )
    return calibration.family(f"mcu:{name}"), calibration


def _stores(given: Patched, held: tuple[Held, ...], hardware: Hardware) -> tuple[Store, ...]:
    most = max(held, key=lambda each: each.bytes)
    tile = " (a tile, and the stage's output)" if most.fused else ""
    sram = hardware.memory("sram").capacity_bytes
    flash = hardware.memory("flash").capacity_bytes
    return (
        Store("sram", most.bytes, float(sram), f"layer {most.layer.name}{tile}"),
        Store("flash", flash_bytes(given.network), float(flash), "weights and program"),
    )


def _assumptions(given: Patched, calibration: Calibration, title: str) -> tuple[str, ...]:
    words = [
        f"stack: {title}; calibration: {calibration.name}",
        "SRAM holds maps alone: im2col and kernel buffers add 3 to 7 % (TinyEngine, measured)",
        "Flash traffic counts the image on its way in, too; weights are read once a run",
    ]
    if given.tiles:
        words.append(
            f"{given.grid} x {given.grid} patches over {given.split} layers: {given.overhead:.1%}"
            f" more multiply-accumulates, {given.stage_overhead:.1%} of these layers'"
        )
    return tuple(words)


def _warnings(
    workload: Cascade | Stack, family: Family, calibration: Calibration
) -> tuple[str, ...]:
    found = getattr(workload, "warnings", ())
    if family.origin != "measured":
        found += (f"uncalibrated: efficiencies are {calibration.source}, with wider intervals",)
    return tuple(found)
