"""Predicting on any machine: the work of one device, its machine's model, and what memory holds.

Every class of machine has a module that predicts stages on it; this one divides the work over the
devices, asks that module, and adds what is the same for all: devices in the totals, tokens and
memory of a model's phase, area, and what a what-if changed in vain.
"""

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.counts import footprint_bytes
from hwmodel.einsum.network import Stack
from hwmodel.einsum.workloads.model import model
from hwmodel.einsum.workloads.workload import count
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware
from hwmodel.hardware.levers import unheard
from hwmodel.machines.spatial.area import area_of
from hwmodel.quantity.arithmetic import most
from hwmodel.quantity.checked import checked
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError
from hwmodel.quantity.units import Amount
from hwmodel.spine.estimate import Estimate, Note, Serving
from hwmodel.spine.memory import fit

MODELS = {
    "gpu": "hwmodel.machines.gpu.predict",
    "spatial": "hwmodel.machines.spatial.predict",
    "fpga": "hwmodel.machines.fpga.predict",
    "mcu": "hwmodel.machines.mcu.predict",
    "cpu": "hwmodel.machines.cpu.predict",
}
"""Kind of machine -> the module that predicts on it: `predict(workload, hardware, *, kernel)`."""

Workload: TypeAlias = Cascade | Stack
Machine: TypeAlias = Hardware | str | Path


@checked
def predict(
    workload: Workload,
    on: Machine,
    *,
    kernel: str | None = None,
    parallel: Mapping[str, int] | None = None,
) -> Estimate:
    """Time, energy and traffic of a workload on a machine, with a 90 % interval.

    `on` is a machine, the name of a shipped one or a path; `kernel` the library whose kernels run
    (default: torch's choice); `parallel` how the work is divided over its devices, `{"tp": 8}`.
    Sizes and hardware numbers may be arrays that broadcast: the answer's fields are arrays then.
    Raises `InputError` for values that make no sense and `CoverageError` for what no model covers.
    """
    check_workload(workload, "predict")
    machine = machine_of(on)
    workload = divided(workload, machine, parallel)
    estimate = _model(machine).predict(workload, machine, kernel=kernel)
    ways = _ways(machine, parallel) if isinstance(workload, Stack) else 1
    if ways > 1:
        estimate = replace(
            estimate,
            device=f"{ways} x {estimate.device}",
            devices=ways,
            bound_bytes=estimate.bound_bytes * ways,
        )
    area_m2, reason = area_of(machine)
    said = (reason,) if reason and machine.kind == "spatial" else ()
    return replace(
        estimate,
        serving=_serving(workload, machine),
        notes=(*estimate.notes, *_beyond_positions(workload)),
        area_m2=None if area_m2 is None else area_m2 * ways,
        area_reason=reason,
        warnings=(*estimate.warnings, *unheard(machine), *said),
    )


def _model(machine: Hardware) -> Any:
    """The module that predicts on a machine of this kind, loaded on first use."""
    return import_module(MODELS[machine.kind])


def machine_of(on: Machine) -> Hardware:
    """A machine that is given, named or lies at a path."""
    return on if isinstance(on, Hardware) else device(on)


def _serving(workload: Workload, machine: Hardware) -> Serving | None:
    """Tokens of a model's phase, and whether its weights, cache and activations fit."""
    origin = workload.origin
    if not isinstance(workload, Stack) or origin is None or origin.workload != "llm":
        return None
    given = origin.arguments
    read = model(given["config"])
    tp = given["tp"]
    share = read.shard(tp)
    batch = given["batch"]
    prefill = given["phase"] == "prefill"
    context = given["prompt"] if prefill else given["context"]
    sequence = share.kv_bytes(1, context) * tp
    live = most(_live_activations(stage.cascade) for stage in workload.stages)
    fitted = fit(
        weights_bytes=share.weight_bytes * tp,
        kv_bytes_per_token=sequence / context
        if np.ndim(sequence)
        else _per_token(sequence, context),
        activation_bytes_per_sequence=live * tp / batch,
        batch=batch,
        context=context,
        hardware=machine.but(devices=tp),
    )
    return Serving(batch * context if prefill else batch, fitted)


def _beyond_positions(workload: Workload) -> tuple[Note, ...]:
    """What is told of contexts longer than a model was made for."""
    origin = workload.origin
    if not isinstance(workload, Stack) or origin is None or origin.workload != "llm":
        return ()
    read = model(origin.arguments["config"])
    context = origin.arguments.get("context", origin.arguments.get("prompt"))
    if read.config.positions is None or context is None:
        return ()
    text = (
        f"{read.name}: a context of {{}} tokens is beyond the {read.config.positions:,} that the"
        " model was made for (max_position_embeddings)"
    )
    return (Note(text, np.asarray(context) > read.config.positions, context),)


def _per_token(sequence: Amount, context: Amount) -> Amount:
    """Cache bytes per token, an int where it is one."""
    whole = isinstance(sequence, int) and isinstance(context, int) and sequence % context == 0
    return sequence // context if whole else sequence / context


def _live_activations(cascade: Cascade) -> Amount:
    """Bytes of all activations that one stage reads and writes."""
    outer = (*cascade.inputs, *(cascade.outputs or (cascade.einsums[-1].name,)))
    roles = {name: cascade.tensors[name].role for name in outer}
    return sum(
        footprint_bytes(name, cascade) for name, role in roles.items() if role == "activation"
    )


def _ways(machine: Hardware, parallel: Mapping[str, int] | None) -> int:
    """Over how many devices a model is divided; refuses what the machine cannot do."""
    if parallel is not None and not isinstance(parallel, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f'parallel: expected a table such as {{"tp": 8}}, found {parallel!r}')
    ways = dict(parallel or {})
    for name in ways:
        if name != "tp":
            raise UnknownNameError("kind of parallelism", name, ("tp",))
    tp = count("parallel", "tp", ways.get("tp", machine.devices))
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
    if isinstance(workload, Cascade):
        raise CoverageError("parallel: tp divides a model's prefill or decode, not a lone cascade")
    return workload.but(tp=tp)


def check_workload(workload: Workload, verb: str) -> None:
    """Raises `InputError` for what is no workload."""
    if not isinstance(workload, (Cascade, Stack)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(
            f"{verb}: expected a workload such as hw.workloads.gemm(...), hw.parse(...) or"
            f" hw.model(...).decode(...), found {type(workload).__name__}"
        )
