"""Predicting on any machine: one driver over the stages of a workload.

Every class of machine has a module that says what stages become on it (`hwmodel.machines.run`).
This one divides the work over the devices, asks that module, and makes the estimate: collectives
between stages, bound and roofline, what memory holds, tokens, area, what a what-if changed in vain.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np

from hwmodel.bounds.roofline import floor_of
from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.division import ALONE, Division
from hwmodel.einsum.network import Served, Stack, Workload
from hwmodel.einsum.workloads.phases import Parallel
from hwmodel.einsum.workloads.workload import count
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware
from hwmodel.hardware.levers import unheard
from hwmodel.machines.ahead import in_a_row
from hwmodel.machines.completed import completed
from hwmodel.machines.flowing import flow_of
from hwmodel.machines.formats import natural, told
from hwmodel.machines.gpu.engines.engine import Engine
from hwmodel.machines.gpu.engines.shipped import engine as engine_of
from hwmodel.machines.gpu.engines.step import Step, assumed, finished, kernels, step_of
from hwmodel.machines.gpu.libraries.importable import imported
from hwmodel.machines.gpu.libraries.library import Kernel
from hwmodel.machines.held import (
    beyond_positions,
    does_not_fit,
    served_by,
    serving_of,
    short,
    short_of_memory,
)
from hwmodel.machines.joints import assumed as assumed_of
from hwmodel.machines.joints import held_by, joints_of, warned, with_joints, with_links
from hwmodel.machines.kept import Kept
from hwmodel.machines.run import COLD, Run, l2_of, limited_to
from hwmodel.machines.spatial.area import area_of
from hwmodel.machines.spatial.zeros import check_zeros
from hwmodel.network import collectives
from hwmodel.network.topology import Topology
from hwmodel.quantity.checked import checked
from hwmodel.quantity.errors import CoverageError, InputError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.units import Amount
from hwmodel.spine.estimate import Estimate, Part
from hwmodel.spine.execution import forward
from hwmodel.spine.offload import Offload
from hwmodel.spine.unread import unread

MODELS = {
    "gpu": "hwmodel.machines.gpu.predict",
    "spatial": "hwmodel.machines.spatial.predict",
    "fpga": "hwmodel.machines.fpga.predict",
    "mcu": "hwmodel.machines.mcu.predict",
    **dict.fromkeys(("cpu", "npu"), "hwmodel.machines.cpu.predict"),
}
"""Kind of machine -> the module that runs stages on it: `run(workload, hardware, kernel)`."""

Machine: TypeAlias = Hardware | str | Path
Away: TypeAlias = Offload | Mapping[str, Any] | None
OFFLOADED = "hwmodel.systems.offload:predicted"
"""What answers where a part of a model streams."""
Network: TypeAlias = Topology | Mapping[str, Any] | str | Path | None


@checked
def predict(
    workload: Workload,
    on: Machine,
    *,
    kernel: Kernel = None,
    parallel: Parallel = None,
    topology: Network = None,
    engine: str | Engine | None = None,
    l2: str | None = None,
    offload: Away = None,
    time_limit_s: float | None = None,
) -> Estimate:
    """Time, energy and traffic of a workload on a machine, with a 90 % interval.

    `on` is a machine, the name of a shipped one or a path; `kernel` the library whose kernels run
    (default: torch's choice), by name, as a value or by family, `{"attention": "cudnn"}`;
    `parallel` how a model is divided over its devices, `{"tp": 8, "pp": 2}` (`Division`);
    `topology` what joins them (default: a switch), a value, a description, a name or a file;
    `engine` what runs a model's phase, "vllm" (default: torch); `l2` is "warm" where work repeats
    on the same activations (default: cold); `offload` what of a model streams (`spine.offload`);
    `time_limit_s` of searches on arrays. A pipeline's `time_s` is that of `batch`, all stages.
    Sizes and hardware numbers may be arrays that broadcast: the answer's fields are arrays then.
    Raises `InputError` for values that make no sense and `CoverageError` for what no model covers.
    """
    how: dict[str, Any] = {"parallel": parallel, "topology": topology, "engine": engine, "l2": l2}
    limited = {} if time_limit_s is None else limited_to(time_limit_s, machine_of(on))
    if offload is not None:  # layers in time, above what one run of each takes
        return imported(OFFLOADED)(workload, on, kernel=kernel, offload=offload, **how)
    return answered(workload, on, kernel=kernel, limited=limited, **how)


def answered(
    workload: Workload,
    on: Machine,
    *,
    kernel: Kernel = None,
    parallel: Parallel = None,
    topology: Network = None,
    engine: str | Engine | None = None,
    l2: str | None = None,
    keeping: Kept | None = None,
    limited: Mapping[str, float] | None = None,
) -> Estimate:
    """What `predict` answers; `keeping` is for many questions of one machine and topology."""
    above = getattr(workload, "answered_by", None)
    if above is not None:  # many runs in time, such as a step of training
        how = {"parallel": parallel, "topology": topology, "engine": engine, "l2": l2}
        return imported(above)(workload, on, kernel=kernel, **how)
    check_workload(workload, "predict")
    machine, network = machine_of(on), topology_of(topology)
    workload = natural(workload, machine)
    check_zeros(workload, machine)
    share, runs = divided(workload, machine, parallel, network), engine_of(engine)

    def alone(work: Workload, scheduled: bool) -> Estimate:
        library, asked = exchanged(kernel, work)
        state = l2_of(l2, work, machine, engine is not None)
        if runs is None:
            asked = _asked(machine, asked)
            work = fitted(work, machine, asked)
            run = _computed(work, machine, asked, state, keeping, limited)
            return estimated(
                work, machine, run, network, library=library, l2=state, keeping=keeping
            )
        made = step_of(work, machine, runs, lambda each: fitted(each, machine, None))
        step = replace(made, scheduled=scheduled)
        run = _computed(step.workload, machine, kernels(step, asked), keeping=keeping)
        library = library or made.engine.reduces
        return estimated(step.workload, machine, run, network, step, library, keeping=keeping)

    return in_a_row(share, alone)


def exchanged(kernel: Kernel, workload: Workload) -> tuple[str | None, Kernel]:
    """The library of the collectives, where it is named, and those of the rest."""
    if isinstance(kernel, Mapping) and collectives.FAMILY in kernel:
        others = {name: each for name, each in kernel.items() if name != collectives.FAMILY}
        return str(kernel[collectives.FAMILY]), others or None
    if isinstance(kernel, str) and not any(s.cascade.einsums for s in workload.stages):
        return kernel, None
    return None, kernel


def parts_of(
    workload: Stack,
    machine: Hardware,
    kernel: Kernel,
    topology: Topology | None,
    library: str | None,
    keeping: Kept,
) -> tuple[Stack, list[tuple[Part, ...]]]:
    """A network as the machine can run it, and the kernels and collectives of each stage."""
    asked = _asked(machine, kernel)
    able = cast(Stack, fitted(workload, machine, asked))
    run = _computed(able, machine, asked, keeping=keeping)
    joints = joints_of(able, machine, topology, library, keeping)
    return able, with_joints(run.parts, joints, machine.power.idle_w)


def rested(
    workload: Workload, machine: Hardware, engine: Engine, parallel: Parallel = None
) -> tuple[Part, ...]:
    """The kernels and collectives of an engine's step, each as it runs alone after a rest."""
    return stepped(workload, machine, engine, parallel)[1]


def stepped(
    workload: Workload,
    machine: Hardware,
    engine: Engine,
    parallel: Parallel = None,
    topology: Topology | None = None,
    kernel: Kernel = None,
) -> tuple[Step, tuple[Part, ...]]:
    """An engine's step, and its kernels and collectives, each as it runs alone after a rest."""
    share = divided(workload, machine, parallel, topology)
    step = step_of(share, machine, engine, lambda work: fitted(work, machine, None))
    run = _computed(step.workload, machine, kernels(step, kernel))
    joints = joints_of(step.workload, machine, topology, step.engine.reduces, Kept())
    parts = with_joints(run.parts, joints, machine.power.idle_w)
    return step, tuple(part for each in parts for part in each)


def _computed(
    share: Workload,
    machine: Hardware,
    kernel: Any,
    l2: str = COLD,
    keeping: Kept | None = None,
    limited: Mapping[str, float] | None = None,
) -> Run:
    """What the machine says of the stages that compute; those that only exchange have no parts."""
    stages = share.stages
    working = tuple(stage for stage in stages if stage.cascade.einsums)
    if len(working) == len(stages) and keeping is None:
        state = {} if l2 == COLD else {"l2": l2}
        return _runner(machine)(share, machine, kernel, **state, **(limited or {}))
    if not working and kernel is not None:
        told = "kernel: expected the library of collectives"
        raise InputError(f"{share.name}: {told}, found {shown(kernel)}")
    if not working:
        return Run(parts=((),) * len(stages))
    network = cast(Stack, share)  # a lone cascade computes
    computing = replace(network, stages=working)
    if keeping is None:
        run = _runner(machine)(computing, machine, kernel, **(limited or {}))
    else:
        run = keeping.run(computing, lambda work: _runner(machine)(work, machine, kernel))
    parts = iter(run.parts)
    return replace(run, parts=tuple(next(parts) if s.cascade.einsums else () for s in stages))


def estimated(
    workload: Workload,
    machine: Hardware,
    run: Run,
    topology: Topology | None = None,
    step: Step | None = None,
    library: str | None = None,
    l2: str = COLD,
    keeping: Kept | None = None,
) -> Estimate:
    """The estimate of a workload, one device's share of it, from what its machine says of it.

    A run that no stages stand for is that of a network without any, and brings its `floor`;
    `step` is what an engine makes of the workload, where one runs it, `library` whose collectives.
    """
    joints = joints_of(workload, machine, topology, library, keeping or Kept())
    kept = "" if l2 == COLD else "l2"
    floor = run.floor or floor_of(workload, machine, with_links(run.busy_s, joints), kept=kept)
    each = with_joints(run.parts, joints, machine.power.idle_w)
    flow = flow_of(workload, each, machine.processors.count, held_by(joints))
    made = tuple(part for own in each for part in own)
    parts = completed(made, floor.bytes, machine, run.outermost)
    parts = parts if step is None else finished(step, parts, machine)
    rests = run.assumptions if step is None else assumed(step, machine, run.assumptions)
    stores = run.stores or short(workload, machine)
    serving = serving_of(workload, machine, step)
    chips = area_of(machine).of(workload.devices)
    said = (*rests, *told(workload), *assumed_of(joints), *chips.said)
    return Estimate(
        name=workload.name,
        device=_title(machine, workload.devices, topology),
        parts=parts,
        bound_bytes=floor.bytes * workload.runs,
        bound_s=floor.time_s if flow is None else floor.time_s * flow.least,
        window_s=machine.power.window_s,
        devices=workload.devices,
        runs=workload.runs,
        flow=flow,
        assumptions=tuple(dict.fromkeys(said)),
        everywhere=(
            *workload.warnings,
            *(workload.served.ways.idle if workload.served else ()),
            *run.warnings,
            *(() if step is None else step.engine.unmeasured(machine.calibration)),
            *dict.fromkeys(warned(joints)),
            *unread(machine, parts),
            *unheard(machine),
            *chips.missing(machine.kind),
        ),
        serving=serving,
        stores=stores,
        notes=(
            *(() if run.stores else map(does_not_fit, stores)),
            *short_of_memory(serving),
            *beyond_positions(workload),
        ),
        outermost=run.outermost,
        area_m2=chips.m2,
        area_range_m2=chips.range_m2,
        area_reason=chips.reason,
        by_layer=run.by_layer,
    )


def put_together(
    workload: Stack,
    served: Served,
    machine: Hardware,
    parts: Sequence[tuple[Part, ...]],
    live: Amount,
) -> Estimate:
    """The estimate of a phase from the parts of its stages alone: no bounds, no traffic."""
    return Estimate(
        name=workload.name,
        device=machine.title,
        parts=tuple(part for own in parts for part in own),
        bound_bytes=0,
        bound_s=0,
        window_s=machine.power.window_s,
        devices=served.devices,
        runs=served.runs,
        flow=flow_of(workload, parts),
        serving=served_by(served, machine, live),
    )


def _asked(machine: Hardware, kernel: Kernel) -> Kernel:
    """What was asked for; libraries as values and by family are GPUs', tables also FPGAs'."""
    config = machine.kind == "fpga" and isinstance(kernel, Mapping)
    if machine.kind == "gpu" or kernel is None or isinstance(kernel, str) or config:
        return kernel
    raise InputError(f"kernel: expected a name on {machine.name}, found {shown(kernel)}")


def _runner(machine: Hardware) -> Callable[..., Run]:
    """What runs stages on a machine of this kind, loaded on first use."""
    return import_module(MODELS[machine.kind]).run


def fitted(workload: Workload, machine: Hardware, kernel: Kernel) -> Workload:
    """The workload as this machine can run it: stages may say what else would do (`instead`)."""
    if all(stage.instead is None for stage in workload.stages):
        return workload
    return imported("hwmodel.machines.widened:fitted")(workload, machine, kernel)


def machine_of(on: Machine) -> Hardware:
    """A machine that is given, named or lies at a path."""
    return on if isinstance(on, Hardware) else device(on)


def _title(machine: Hardware, devices: Amount, topology: Topology | None) -> str:
    """How many of which device, and what joins them."""
    counts: Any = np.unique(devices) if np.ndim(devices) else (devices,)
    several = "" if all(n == 1 for n in counts) else f"{', '.join(f'{n:g}' for n in counts)} x "
    where = "" if topology is None else f" on {topology.title or topology.name}"
    return f"{several}{machine.title}{where}"


def topology_of(given: Network) -> Topology | None:
    """A topology that is given, described, named or lies at a path."""
    if given is None or isinstance(given, Topology):
        return given
    # Late: generators of topologies are of no use to most predictions.
    from hwmodel.network.topologies import topology

    return topology(given)


def _ways(machine: Hardware, parallel: Parallel, topology: Topology | None) -> Division:
    """How a model is divided; refuses what the devices cannot do. Tp is what is left over."""
    asked = forward(parallel)
    if "tp" not in asked.model_fields_set:
        others = count("parallel", "devices", machine.devices)
        if others % asked.devices:
            raise InputError(
                f"parallel: expected a divisor of the {others} devices, or tp with it, found"
                f" {_said(asked)}"
            )
        asked = asked.but(tp=others // asked.devices)
    known = machine.devices if topology is None else len(topology.devices)
    if asked.devices > known:
        where = machine.name if topology is None else topology.name
        raise InputError(
            f"parallel: {_said(asked)} needs {asked.devices} devices; {where} has {known}"
        )
    return asked


def _said(ways: Division) -> str:
    """The degrees, for people."""
    return ", ".join(f"{name}={shown(value)}" for name, value in ways.given.items()) or "tp=1"


def divided(
    workload: Workload,
    machine: Hardware,
    parallel: Parallel,
    topology: Topology | None = None,
) -> Workload:
    """The workload's share of one device, where it is divided over several."""
    served = workload.served
    if parallel is None and served is not None and served.devices > 1:
        if machine.devices in (1, served.devices):
            return workload  # made for so many
    ways = _ways(machine, parallel, topology)
    exchanges = served is None and any(s.collective for s in workload.stages)
    if ways == ALONE or (exchanges and parallel is None):
        return workload
    if served is None:
        raise CoverageError("parallel: tp divides a model's prefill or decode, not a lone cascade")
    if ways == Division(tp=ways.tp):
        return workload.but(tp=ways.tp, parallel=None)
    return workload.but(tp=1, parallel=ways)


def check_workload(workload: Workload, verb: str) -> None:
    """Raises `InputError` for what is no workload, or is more than one device's kernels."""
    if getattr(workload, "answered_by", None) is not None:
        raise InputError(
            f"{verb}: expected kernels of one device, found {workload.name}, many runs in time;"
            " predict, bound, compare, explain, sensitivity and parallelise answer for it"
        )
    if not isinstance(workload, (Cascade, Stack)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(
            f"{verb}: expected a workload such as hw.workloads.gemm(...), hw.parse(...) or"
            f" hw.model(...).decode(...) (hw.cases takes fields), found {type(workload).__name__}"
        )
