"""Predicting on any machine: one driver over the stages of a workload.

Every class of machine has a module that says what stages become on it (`hwmodel.machines.run`).
This one divides the work over the devices, asks that module, and makes the estimate: collectives
between stages, bound and roofline, what memory holds, tokens, area, what a what-if changed in vain.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from hwmodel.bounds.roofline import floor_of
from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.counts import footprint_bytes
from hwmodel.einsum.network import Stack, Workload
from hwmodel.einsum.workloads.workload import count
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware
from hwmodel.hardware.levers import unheard
from hwmodel.machines.gpu.libraries.library import Kernel
from hwmodel.machines.run import Run
from hwmodel.machines.spatial.area import area_of
from hwmodel.network import collectives
from hwmodel.quantity.arithmetic import most, where
from hwmodel.quantity.checked import checked
from hwmodel.quantity.errors import CoverageError, InputError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.units import Amount
from hwmodel.spine.estimate import Estimate, Note, Part, Serving, Store
from hwmodel.spine.execution import Execution
from hwmodel.spine.memory import fit
from hwmodel.spine.unread import unread

ROUNDING = 1 + 1e-12
"""Of sums of bytes in float64."""

MODELS = {
    "gpu": "hwmodel.machines.gpu.predict",
    "spatial": "hwmodel.machines.spatial.predict",
    "fpga": "hwmodel.machines.fpga.predict",
    "mcu": "hwmodel.machines.mcu.predict",
    "cpu": "hwmodel.machines.cpu.predict",
}
"""Kind of machine -> the module that runs stages on it: `run(workload, hardware, kernel)`."""

Machine: TypeAlias = Hardware | str | Path


@checked
def predict(
    workload: Workload,
    on: Machine,
    *,
    kernel: Kernel = None,
    parallel: Mapping[str, int] | None = None,
) -> Estimate:
    """Time, energy and traffic of a workload on a machine, with a 90 % interval.

    `on` is a machine, the name of a shipped one or a path; `kernel` the library whose kernels run
    (default: torch's choice), by name, as a value or by family, `{"attention": "cudnn"}`;
    `parallel` how the work is divided over its devices, `{"tp": 8}`.
    Sizes and hardware numbers may be arrays that broadcast: the answer's fields are arrays then.
    Raises `InputError` for values that make no sense and `CoverageError` for what no model covers.
    """
    check_workload(workload, "predict")
    machine = machine_of(on)
    asked = _asked(machine, kernel)
    share = fitted(divided(workload, machine, parallel), machine, asked)
    run = _runner(machine)(share, machine, asked)
    return estimated(share, machine, run, devices=_ways(machine, parallel))


def estimated(workload: Workload, machine: Hardware, run: Run, *, devices: int = 1) -> Estimate:
    """The estimate of a workload, one device's share of it, from what its machine says of it."""
    floor = run.floor or floor_of(workload, machine, run.busy_s)
    parts = _completed(tuple(_parts(workload, machine, run)), floor.bytes, machine, run.outermost)
    stores = run.stores or _short(workload, machine)
    serving = _serving(workload, machine)
    area_m2, reason = area_of(machine)
    said = (reason,) if reason and machine.kind == "spatial" else ()
    return Estimate(
        name=workload.name,
        device=machine.title if devices == 1 else f"{devices} x {machine.title}",
        parts=parts,
        bound_bytes=floor.bytes * devices,
        bound_s=floor.time_s,
        window_s=machine.power.window_s,
        devices=devices,
        assumptions=run.assumptions,
        everywhere=(
            *workload.warnings,
            *run.warnings,
            *unread(machine, parts),
            *unheard(machine),
            *said,
        ),
        serving=serving,
        stores=stores,
        notes=(
            *(() if run.stores else map(_does_not_fit, stores)),
            *_short_of_memory(serving),
            *_beyond_positions(workload),
        ),
        outermost=run.outermost,
        area_m2=None if area_m2 is None else area_m2 * devices,
        area_reason=reason,
    )


def _asked(machine: Hardware, kernel: Kernel) -> Kernel:
    """What was asked for; libraries as values and by family are GPUs'."""
    if machine.kind == "gpu" or kernel is None or isinstance(kernel, str):
        return kernel
    raise InputError(f"kernel: expected a name on {machine.name}, found {shown(kernel)}")


def _runner(machine: Hardware) -> Callable[[Workload, Hardware, Any], Run]:
    """What runs stages on a machine of this kind, loaded on first use."""
    return import_module(MODELS[machine.kind]).run


def fitted(workload: Workload, machine: Hardware, kernel: Kernel) -> Workload:
    """The workload as this machine can run it: stages may say what else would do (`instead`)."""
    if machine.kind != "gpu" or all(stage.instead is None for stage in workload.stages):
        return workload
    return import_module("hwmodel.machines.gpu.widened").fitted(workload, machine, kernel)


def machine_of(on: Machine) -> Hardware:
    """A machine that is given, named or lies at a path."""
    return on if isinstance(on, Hardware) else device(on)


def _parts(workload: Workload, machine: Hardware, run: Run) -> Iterator[Part]:
    """The parts of all stages, each stage's collective after them."""
    joints = [stage.collective for stage in workload.stages]
    if any(joints) and machine.link is None:
        raise CoverageError(f"{machine.name}: has no link to others of its kind; use tp 1")
    if not any(joints):
        yield from (part for parts in run.parts for part in parts)
        return
    for stage, parts in zip(workload.stages, run.parts, strict=True):
        yield from parts
        joint = stage.collective
        if joint is not None:
            yield collectives.part(joint.op, joint.bytes, joint.ranks, machine, stage.times)


def _completed(
    parts: Sequence[Part], least_bytes: Amount, machine: Hardware, outermost: str
) -> tuple[Part, ...]:
    """Parts that together read no less than any schedule must.

    A schedule's closed form of what a cache forgets is rough: for operands just beyond all storage
    on the chip it may fall a little below the proven bound. All parts then read as much more, at
    the memory's peak rate and price; what they already moved stays as it was.
    """
    moved = [p.counts.read.get(outermost, 0) + p.counts.written.get(outermost, 0) for p in parts]
    pairs = tuple(zip(parts, moved, strict=True))
    total = sum((part.times * size for part, size in pairs), start=0)
    short = np.asarray(total * ROUNDING) < least_bytes
    if not short.any():
        return tuple(parts)
    more = where(short, least_bytes / most((total, 1)) - 1, 0.0)
    memory = machine.memory(outermost)
    found: list[Part] = []
    for part, size in pairs:
        extra, spent = more * size, more * size * memory.energy_j_per_byte
        extra_s = extra / memory.bandwidth_bytes_per_s
        read = {**part.counts.read, outermost: part.counts.read.get(outermost, 0) + extra}
        by_j = {n: j + (spent if n == outermost else 0) for n, j in part.energy_by_j.items()}
        changed = replace(
            part,
            counts=replace(part.counts, read=read),
            time_s=part.time_s + extra_s,
            sustained_s=part.sustained_s + extra_s,
            busy_s={**part.busy_s, outermost: part.busy_s.get(outermost, 0) + extra_s},
            energy_j=part.energy_j + spent,
            energy_by_j=by_j,
        )
        found.append(changed)
    return tuple(found)


def _short(workload: Workload, machine: Hardware) -> tuple[Store, ...]:
    """The device's memory, where what a kernel reads and writes does not fit into it at a point.

    A served model is looked at where it is served: its weights stay.
    """
    if workload.served is not None or "dram" not in machine.memories:
        return ()
    needed = most(_outer_bytes(stage.cascade) for stage in workload.stages)
    capacity = machine.memory("dram").capacity_bytes
    store = Store("dram", needed, capacity, f"what {workload.name} reads and writes")
    return (store,) if np.any(store.short_by_bytes) else ()


def _does_not_fit(store: Store) -> Note:
    return Note(
        f"does not fit: {store.where} is {{}} more than the memory holds",
        np.asarray(store.short_by_bytes) > 0,
        store.short_by_bytes,
        "bytes",
    )


def _outer_bytes(cascade: Cascade, role: str | None = None) -> Amount:
    """Bytes of the inputs and outputs of a cascade, or of those that have a role."""
    names = (*cascade.inputs, *(cascade.outputs or (cascade.einsums[-1].name,)))
    return sum(
        footprint_bytes(name, cascade)
        for name in dict.fromkeys(names)
        if role in (None, cascade.tensors[name].role)
    )


def _serving(workload: Workload, machine: Hardware) -> Serving | None:
    """Tokens of a model's phase, and whether its weights, cache and activations fit."""
    served = workload.served
    if served is None:
        return None
    live = most(_outer_bytes(stage.cascade, "activation") for stage in workload.stages)
    alike = machine.devices == served.devices
    fitted = fit(
        weights_bytes=served.weights_bytes,
        kv_bytes_per_token=served.kv_bytes_per_token,
        activation_bytes_per_sequence=live * served.devices / served.batch,
        batch=served.batch,
        context=served.context,
        hardware=machine if alike else machine.but(devices=served.devices),
    )
    return Serving(served.tokens, fitted)


def _short_of_memory(serving: Serving | None) -> tuple[Note, ...]:
    """What is told of a model that its devices cannot hold."""
    if serving is None:
        return ()
    short = serving.memory.short_by_bytes
    text = "does not fit: {} short; largest batch {}"
    return (Note(text, np.asarray(short) > 0, short, "bytes", serving.memory.largest_batch),)


def _beyond_positions(workload: Workload) -> tuple[Note, ...]:
    """What is told of contexts longer than a model was made for."""
    served = workload.served
    if served is None or served.positions is None:
        return ()
    text = (
        f"{served.model}: a context of {{}} tokens is beyond the {served.positions:,} that the"
        " model was made for (max_position_embeddings)"
    )
    return (Note(text, np.asarray(served.context) > served.positions, served.context),)


def _ways(machine: Hardware, parallel: Mapping[str, int] | None) -> int:
    """Over how many devices a model is divided; refuses what the machine cannot do."""
    if parallel is None:
        return count("parallel", "tp", machine.devices)
    asked = Execution.of(parallel)
    for name, value in asked.given.items():
        if name != "tp":
            raise CoverageError(
                f"parallel: {name}={value} is not predicted yet; tp alone divides a model"
            )
    tp = asked.tp if "tp" in asked.model_fields_set else count("parallel", "tp", machine.devices)
    if tp > machine.devices:
        raise InputError(
            f"parallel: tp={tp} needs {tp} devices; {machine.name} has {machine.devices}"
        )
    return tp


def divided(workload: Workload, machine: Hardware, parallel: Mapping[str, int] | None) -> Workload:
    """The workload's share of one device, where it is divided over several."""
    tp = _ways(machine, parallel)
    if tp == 1:
        return workload
    if workload.served is None:
        raise CoverageError("parallel: tp divides a model's prefill or decode, not a lone cascade")
    return workload.but(tp=tp)


def check_workload(workload: Workload, verb: str) -> None:
    """Raises `InputError` for what is no workload."""
    if not isinstance(workload, (Cascade, Stack)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(
            f"{verb}: expected a workload such as hw.workloads.gemm(...), hw.parse(...) or"
            f" hw.model(...).decode(...), found {type(workload).__name__}"
        )
