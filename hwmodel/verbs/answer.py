"""The verbs: the few functions that a user needs, and the only code that joins the floors.

`predict` says what a workload will cost, `bound` what it cannot cost less than, `compare` sets
machines side by side, `map` finds the best loop nest, `place` puts experts on devices. Values in,
values out; nothing is remembered between calls.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from hwmodel.bounds import bound as bounds
from hwmodel.bounds.limit import Limit
from hwmodel.bounds.sensitivity import on_machine
from hwmodel.einsum.cascade import Cascade
from hwmodel.hardware.hardware import Hardware, limits
from hwmodel.machines.driver import Machine, Workload, check_workload, divided, machine_of, predict
from hwmodel.machines.gpu.libraries.library import Kernel
from hwmodel.network import collectives
from hwmodel.quantity.checked import checked
from hwmodel.quantity.errors import CoverageError, HwmodelError, InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.spine.estimate import Estimate
from hwmodel.text.markup import Brief

if TYPE_CHECKING:
    from hwmodel.experts.statistics import Routing
    from hwmodel.mappers.mapper import Mapped, Mapper
    from hwmodel.network.topology import Topology
    from hwmodel.verbs.map import LooseBound
    from hwmodel.verbs.placed import PlaceAnswer


@checked
def bound(
    workload: Workload,
    on: Machine,
    *,
    kernel: Kernel = None,
    parallel: Mapping[str, int] | None = None,
) -> "Limit | LooseBound":
    """Least bytes at each memory level and least time, for any schedule; and how far kernels are.

    Bytes are those of all devices together, over which `parallel` divides a model as in `predict`.
    On memories, buffers and arrays without kernels or a binding (`peer-a2`) there is no such
    distance: `map` finds a schedule for them; nor for a cascade that no kernel of the machine
    computes. Raises as `predict` does.
    """
    check_workload(workload, "bound")
    machine = machine_of(on)
    if machine.kind == "spatial" and not machine.binding and isinstance(workload, Cascade):
        return _loose(workload, machine, parallel)
    try:
        estimate = predict(workload, machine, kernel=kernel, parallel=parallel)
    except CoverageError:
        if kernel is not None or not isinstance(workload, Cascade):
            raise
        return _loose(workload, machine, parallel)
    least = bounds.bound(workload, limits(machine))
    return Limit(least, estimate.bound_s, estimate, on_machine(workload, machine))


def _loose(
    workload: Cascade, machine: Hardware, parallel: Mapping[str, int] | None
) -> "LooseBound":
    from hwmodel.verbs.map import loose

    divided(workload, machine, parallel)  # refuses what it cannot divide
    return loose(workload, machine)


@dataclass(frozen=True)
class Refused:
    """A machine that has no answer, its place among those asked for, and why."""

    place: int
    device: str
    why: str


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Brief):
    """Estimates of one workload on several machines, in the order asked for; and who refused."""

    estimates: tuple[Estimate, ...]
    refused: tuple[Refused, ...] = ()

    def __str__(self) -> str:
        """A table, with times relative to the first machine that answered."""
        from hwmodel.show.text import comparison_text

        return comparison_text(self.estimates, self._reasons())

    def _repr_html_(self) -> str:
        from hwmodel.show.html import comparison_html

        return comparison_html(self.estimates, self._reasons())

    def _reasons(self) -> tuple[str, ...]:
        return tuple(f"no answer on {each.device}: {each.why}" for each in self.refused)


def answered(asked: Sequence[tuple[str, Callable[[], Estimate]]]) -> Comparison:
    """The answers of those machines that give one; raises the first refusal where none does."""
    estimates: list[Estimate] = []
    refused: list[Refused] = []
    errors: list[HwmodelError] = []
    for place, (device_title, ask) in enumerate(asked):
        try:
            estimates.append(ask())
        except HwmodelError as error:
            errors.append(error)
            refused.append(Refused(place, device_title, str(error)))
    if not estimates:
        raise errors[0]
    return Comparison(tuple(estimates), tuple(refused))


@checked
def compare(
    workload: Workload,
    on: Sequence[Machine],
    *,
    kernel: Kernel = None,
    parallel: Mapping[str, int] | None = None,
) -> Comparison:
    """The same workload on several machines; those that cannot run it are named, with why.

    Raises as `predict` does where no machine answers.
    """
    if isinstance(on, (str, Path, Hardware)):
        raise InputError(f"compare: expected a list of machines, found {type(on).__name__}")
    if not on:
        raise InputError("compare: expected one machine or more, found none")

    def ask(machine: Hardware) -> Callable[[], Estimate]:
        return lambda: predict(workload, machine, kernel=kernel, parallel=parallel)

    machines = [machine_of(each) for each in on]
    return answered([(machine.title, ask(machine)) for machine in machines])


@checked
def collective(
    op: str,
    size_bytes: float,
    ranks: int,
    on: Machine,
    *,
    topology: "Topology | str | Path | None" = None,
) -> Estimate:
    """One collective operation; `size_bytes` is counted as nccl-tests does (DESIGN section 14).

    On one switch, or between the first `ranks` devices of a topology: a value, a file, or the name
    of a shipped one such as "dgx-h100".
    """
    if topology is not None:
        from hwmodel.network.topologies import topology as find
        from hwmodel.network.topology import Topology

        network: Any = find(topology) if isinstance(topology, (str, Path)) else topology
        if not isinstance(network, Topology):
            raise InputError(f"collective: expected a topology, found {shown(network)}")
        return collectives.estimate_on(op, size_bytes, network, machine_of(on), ranks)
    return collectives.estimate(op, size_bytes, ranks, machine_of(on))


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
