"""The verbs: the few functions that a user needs, and the only code that joins the floors.

`predict` says what a workload will cost, `bound` what it cannot cost less than, `compare` sets
machines side by side, `map` finds the best loop nest, `place` puts experts on devices. Values in,
values out; nothing is remembered between calls.
"""

from collections.abc import Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from hwmodel.machines.driver import Machine, Workload, check_workload, machine_of
from hwmodel.quantity.checked import checked
from hwmodel.quantity.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from hwmodel.experts.statistics import Routing
    from hwmodel.mappers.mapper import Mapped, Mapper
    from hwmodel.verbs.placed import PlaceAnswer


@checked
def place(
    routing: "Routing | NDArray[Any] | Sequence[Any] | str | Path",
    on: Machine | None = None,
    *,
    devices: int | None = None,
    time_limit_s: float = 60.0,
    **options: Any,
) -> "PlaceAnswer":
    """Experts of a mixture on devices, so that few tokens cross; with its bound and gap.

    `routing` is read from a file of traces, counts or loads (`hwmodel.experts.traces`) or given;
    loads also as an array, `(layers, experts)` or `(experts,)`. The devices are those of `on`, such
    as `h200 * 8`, or `devices`; `options` are those of `hwmodel.verbs.place.place` (nodes,
    topology, kind, domains, objective, slack, memory, pinned and so on). Ctrl-C returns the best so
    far. Raises `InputError`, `CapacityError`, `SolverError`.
    """
    from hwmodel.verbs.place import place as placed

    known = signature(placed).parameters
    for name in options:
        if name not in known:
            raise UnknownNameError("option of place", name, known)
    if on is not None:
        count = machine_of(on).devices
        if devices not in (None, count):
            raise InputError(f"place: on has {count} devices, found devices={devices}")
        devices = count
    return placed(routing, devices=devices, time_limit_s=time_limit_s, **options)


@checked
def map(
    cascade: Workload,
    on: Machine,
    *,
    mapper: "Mapper | None" = None,
    objective: str | None = None,
    mapspace: str | None = None,
    rules: str | None = None,
    double: bool = False,
    shares: Mapping[str, Sequence[str]] | None = None,
    fused: bool = True,
    kernel: str | None = None,
) -> "Mapped":
    """The best loop nest of a cascade on memories, buffers and arrays, with its certificate.

    `mapper` is a function of your own, `(cascade, machine, *, objective, capacities)` to a
    `hwmodel.mappers.mapper.Proposal`, in place of ours: what it proposes is counted anew, and the
    certificate says how far it is from a proven bound; the options below are our mapper's.

    `objective` is traffic (default), energy, latency or edp; of a network on a microcontroller
    latency (default), energy, traffic or sram. `mapspace` is the set of nests that is searched
    (default: any tile sizes); `rules` how counts are charged (overlap, ports); `double` keeps every
    tile twice; `shares` names the tensors of each buffer, where there are several; `fused=False`
    maps every Einsum by itself. On a GPU the tiles of our own kernel are ranked by predicted time;
    `kernel` names one Einsum where there are several kernels. On a microcontroller a network is
    mapped patch by patch, for the library `kernel`; on an FPGA its layers are given reuse factors
    (hls4ml). Raises `CapacityError` where
    nothing fits, with what would suffice.
    """
    check_workload(cascade, "map")
    from hwmodel.mappers.shipped import mapped

    options = {"mapspace": mapspace, "rules": rules, "shares": shares, "kernel": kernel}
    flags = {"double": double or None, "fused": None if fused else False}
    return mapped(cascade, machine_of(on), mapper=mapper, objective=objective, **options, **flags)
