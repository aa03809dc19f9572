"""Products whose formats a machine does not multiply: weights are widened, as libraries do.

A checkpoint in fp8 or fp4 runs on GPUs without such units: vLLM's Marlin kernels widen its weights
and multiply in the format of the activations (vLLM, quantisation: fp8 is W8A16 on Ampere); so do
CPUs, whose vector units have rates for some formats alone. A stage says what that would be
(`Stage.instead`).
"""

from dataclasses import replace
from typing import cast

from hwmodel.einsum.cascade import Cascade, Stage
from hwmodel.einsum.network import Stack, Workload
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.gpu import support
from hwmodel.machines.gpu.libraries.library import Kernel
from hwmodel.machines.gpu.lower import lower
from hwmodel.quantity.dtypes import base_of
from hwmodel.quantity.errors import CoverageError

STREAMING = ("cpu", "npu")
KINDS = ("gpu", *STREAMING)
"""Machines of which is known what they multiply."""


def fitted(workload: Workload, hardware: Hardware, kernel: Kernel) -> Workload:
    """The workload, with what stages say would do in place of products that no kernel here takes.

    A warning names the products. Where that would not do either, the workload as it was.
    """
    if hardware.kind not in KINDS:
        return workload
    stages: list[Stage] = []
    widened: dict[str, list[str]] = {}
    for stage in workload.stages:
        other = stage.instead
        if other is None or not _is_lacking(stage.cascade, hardware, kernel):
            stages.append(stage)
            continue
        if not _runs(other, hardware, kernel):
            return workload
        stages.append(replace(stage, cascade=other, instead=None))
        read, wide = (", ".join(_read(each)) for each in (stage.cascade, other))
        said = f"no kernels that read {read}; weights are widened on the way and multiply {wide}"
        widened.setdefault(said, []).append(stage.name)
    told = (f"{hardware.name}: {said}: {', '.join(names)}" for said, names in widened.items())
    if not widened:
        return workload
    network = cast(Stack, workload)  # stages of a lone cascade have no other
    return replace(network, stages=tuple(stages), warnings=(*network.warnings, *told))


def _is_lacking(cascade: Cascade, hardware: Hardware, kernel: Kernel) -> bool:
    """Whether nothing multiplies a cascade's formats here; elsewhere, whether they have no rate."""
    if hardware.kind in STREAMING:
        rates = {kind for unit in hardware.units.values() for kind in unit.rate_per_s}
        return any(base_of(kind) not in rates for kind in _read(cascade))
    generation = hardware.architecture
    return any(
        support.refusal(call.schedule, call.library, call.problem, generation, call.times)
        and not support.able(call.schedule, call.problem, generation, call.times)
        for call in support.placed(lower(cascade, kernel), hardware)
    )


def _runs(cascade: Cascade, hardware: Hardware, kernel: Kernel) -> bool:
    """Whether what was asked for has kernels for a cascade here."""
    if hardware.kind in STREAMING:
        return not _is_lacking(cascade, hardware, kernel)
    try:
        support.check(support.placed(lower(cascade, kernel), hardware), hardware)
    except CoverageError:
        return False
    return True


def _read(cascade: Cascade) -> tuple[str, ...]:
    """Formats of the activations that a cascade reads."""
    inputs = (cascade.tensors[name] for name in cascade.inputs)
    formats = (tensor.dtype for tensor in inputs if tensor.role == "activation")
    return tuple(dict.fromkeys(formats))
