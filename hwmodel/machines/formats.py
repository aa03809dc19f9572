"""Number formats that nobody said: what a network computes in on a machine of some kind, and words.

Networks and attention of small devices are in int8 where nobody says otherwise (`dtype=None`). GPUs
run such layers of frameworks in the format that other workloads have by default, or in the nearest
that the GPU has a rate for.
"""

from hwmodel.einsum.network import Workload
from hwmodel.einsum.origin import defaults_of
from hwmodel.hardware.hardware import Hardware

NATURAL = {"gpu": ("bf16", "fp16", "fp32")}
"""Kind of machine -> formats of networks there, the first that it has a rate for."""

INDICES = frozenset(("int32", "int64", "bool"))
"""Formats of numbers that say where others lie."""

ACTIVATION = "activation"
ROLES = {ACTIVATION: "activations", "weight": "weights", "cache": "cache"}
"""Role of a tensor -> what its numbers are called."""


def natural(workload: Workload, machine: Hardware) -> Workload:
    """The workload, in the machine's format where nobody said one."""
    origin = workload.origin
    unsaid = origin is not None and origin.arguments.get("dtype", "") is None
    if not unsaid or machine.kind not in NATURAL:
        return workload
    rates = {kind for unit in machine.units.values() for kind in unit.rate_per_s}
    known = (each for each in NATURAL[machine.kind] if each in rates)
    chosen = next(known, None)
    return workload if chosen is None else workload.but(dtype=chosen)


def told(workload: Workload) -> tuple[str, ...]:
    """The formats of what a workload reads, and what is as its function has it unless asked."""
    return (*_read(workload), *_left(workload))


def _read(workload: Workload) -> tuple[str, ...]:
    """Formats by what the numbers are, of kernels that read weights or a cache, where any do."""
    kernels = [[s.cascade.tensors[name] for name in s.cascade.inputs] for s in workload.stages]
    kernels = [[each for each in read if each.dtype not in INDICES] for read in kernels]
    main = [read for read in kernels if any(each.role != ACTIVATION for each in read)]
    found: dict[str, dict[str, None]] = {}
    for tensor in (each for read in main or kernels for each in read):
        found.setdefault(ROLES[tensor.role], {})[tensor.dtype] = None
    words = {called: " and ".join(formats) for called, formats in found.items()}
    if len(set(words.values())) == 1:
        return (f"formats: {next(iter(words.values()))}",)
    return ("formats: " + ", ".join(f"{n} {each}" for n, each in words.items()),) if words else ()


def _left(workload: Workload) -> tuple[str, ...]:
    """Arguments at their defaults; of a model how tokens are routed, where it routes any."""
    left = defaults_of(workload.origin)
    if workload.served is not None:
        mixes = any(stage.role.startswith("mixture.") for stage in workload.stages)
        left = {name: value for name, value in left.items() if mixes and name == "routing"}
    said = ", ".join(f"{name}={value}" for name, value in left.items())
    return (f"defaults: {said}",) if said else ()
