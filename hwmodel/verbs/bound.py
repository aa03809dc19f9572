"""`bound`: what a workload cannot cost less than on a machine, whatever the schedule."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from hwmodel.bounds import bound as bounds
from hwmodel.bounds.bound import Bound
from hwmodel.bounds.limit import Limit
from hwmodel.bounds.sensitivity import Gain, on_machine
from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.network import lone
from hwmodel.hardware.hardware import Hardware, limits
from hwmodel.machines.driver import check_workload, divided, machine_of, predict, topology_of
from hwmodel.machines.formats import natural
from hwmodel.machines.gpu.engines.shipped import engine as engine_of
from hwmodel.machines.gpu.engines.step import loaded
from hwmodel.machines.spatial.zeros import check_dense, check_zeros
from hwmodel.quantity.errors import CoverageError
from hwmodel.quantity.units import show
from hwmodel.show.html import Notebook
from hwmodel.show.json import plain
from hwmodel.show.text import bound_text
from hwmodel.spine.answer import Told
from hwmodel.text.grid import grid, wrapped
from hwmodel.verbs.ask import in_python
from hwmodel.verbs.work import OfRun


class BoundOf(OfRun):
    """Least traffic at each memory level that any schedule of a workload needs, and least time.

    With how far kernels are from it, an engine's where one is named. Bytes are those of all devices
    together, over which `parallel` divides a model as in `predict`, and `topology` joins them. On
    memories, buffers and arrays without kernels or a binding (`peer-a2`) there is no such distance:
    `map` finds a schedule for them; nor for a cascade that no kernel of the machine computes.
    Of a step of training: seconds by resource that no schedule of its passes goes below.
    Raises as `predict` does.
    """

    verb: ClassVar[str] = "bound"
    example: ClassVar[str] = "bound gemm M=4096 N=4096 K=4096 --on h200"

    @classmethod
    def has_default_machine(cls, words: Mapping[str, Any]) -> bool:
        """Einsums have a machine of a memory and a buffer, where none is named."""
        return "einsum" in words or "cascade" in words

    def of(self, workload: Any, on: Any, kernel: Any) -> "Limit | LooseBound | Least":
        """The bound, and how far kernels are from it where there are any."""
        if getattr(workload, "answered_by", None) is not None:
            return Least.of(predict(workload, on, kernel=kernel, **self.run))
        check_workload(workload, "bound")
        machine, network = machine_of(on), topology_of(self.topology)
        workload = natural(workload, machine)
        check_dense(workload, f"bound on {machine.name}")
        check_zeros(workload, machine)
        given: dict[str, Any] = {"parallel": self.ways, "topology": network}
        run: dict[str, Any] = {**self.run, "topology": network}
        cascade = lone(workload)
        if machine.kind == "spatial" and not machine.binding and cascade is not None:
            divided(workload, machine, **given)  # refuses what it cannot divide
            return loose(cascade, machine)
        try:
            estimate = predict(workload, machine, kernel=kernel, **run)
        except CoverageError:
            if kernel is not None or cascade is None:
                raise
            divided(workload, machine, **given)
            return loose(cascade, machine)
        work = loaded(workload, engine_of(self.engine))
        least = bounds.of_all(bounds.bound(work, limits(machine)), work.runs)
        return Limit(least, estimate.bound_s, estimate, on_machine(work, machine))


bound = in_python(BoundOf)


@dataclass(frozen=True, eq=False, repr=False)
class LooseBound(Notebook):
    """What any schedule of a cascade must move between a machine's levels.

    `time_s` is the least time at the machine's rates, None where a model of kernels says more.
    """

    bound: Bound
    sensitivity: tuple[Gain, ...]
    time_s: float | None = None

    def record(self) -> dict[str, Any]:
        """The outermost level's bound, then every level's, with the reasons."""
        outermost = self.bound.levels[0]
        return plain(
            {
                "cascade": self.bound.name,
                "bound_bytes": outermost.bytes,
                "reason": outermost.reason,
                "compulsory_bytes": self.bound.compulsory_bytes,
                "levels": self.bound.levels,
                "passes": self.bound.passes,
                "sensitivity": self.sensitivity,
                "time_s": self.time_s,
            }
        )

    def __str__(self) -> str:
        """A table of levels, what more of each would buy, and the least time."""
        text = bound_text(self.bound, self.sensitivity)
        return (
            text if self.time_s is None else f"{text}\n\ntime    {show(self.time_s, 's')} or more"
        )


@dataclass(frozen=True, eq=False, repr=False)
class Least(Notebook):
    """Seconds that no schedule of many runs in time goes below, by resource.

    `estimate` is the prediction, `time_s` the longest of the bounds.
    """

    estimate: Told

    @classmethod
    def of(cls, answer: Any) -> "Least":
        """The bound that an answer brings; raises `CoverageError` where it brings none."""
        if not isinstance(answer, Told):
            raise CoverageError(f"bound: {answer.name}: no bound is known of it; ask predict")
        return cls(answer)

    @property
    def time_s(self) -> float:
        """Least seconds."""
        return float(self.estimate.bound_s)

    @property
    def time_over_limit(self) -> float:
        """Predicted time as a multiple of it."""
        return float(self.estimate.time_s) / self.time_s

    def record(self) -> dict[str, Any]:
        """The bounds, and how far the prediction is from them."""
        return plain(
            {
                "name": self.estimate.name,
                "device": self.estimate.device,
                "time_s": self.time_s,
                "least_s": self.estimate.least_s,
                "predicted_s": self.estimate.time_s,
                "time_over_limit": self.time_over_limit,
            }
        )

    def __str__(self) -> str:
        """The bound in one line, and each resource's."""
        rows = [[name, show(seconds, "s")] for name, seconds in self.estimate.least_s.items()]
        text = (
            f"{self.estimate.name} on {self.estimate.device}: {show(self.time_s, 's')} or more;"
            f" {show(self.estimate.time_s, 's')} are predicted, {self.time_over_limit:.3g} times it"
        )
        return f"{wrapped('', text)}\n\n{grid(('resource', 'at least'), rows, left=(0,))}"


def loose(cascade: Cascade, hardware: Hardware) -> LooseBound:
    """The bounds of a cascade on a machine, without a look at any kernel."""
    from hwmodel.mappers.nests.costs import any_schedule

    found = bounds.bound(cascade, limits(hardware))
    alone = hardware.kind == "spatial" and not hardware.binding
    time_s = any_schedule(cascade, hardware, "latency")[1] if alone else None
    return LooseBound(found, on_machine(cascade, hardware), time_s)
