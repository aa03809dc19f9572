"""`explain`: why a prediction is what it is; of two machines, why they differ."""

from typing import Annotated, Any, ClassVar

from hwmodel.einsum.workloads.training_step import Training
from hwmodel.machines.driver import Machine, Workload
from hwmodel.quantity.errors import InputError
from hwmodel.spine.answer import Told
from hwmodel.spine.estimate import Estimate
from hwmodel.verbs.ask import AS_IS, MANY, in_python, several
from hwmodel.verbs.request import asked, machine_for, read, without_run
from hwmodel.verbs.work import WORK, OfRun
from hwmodel.whatif import explanation
from hwmodel.whatif.explanation import Explanation


class Explain(OfRun):
    """Why a prediction is what it is; with two devices, why they differ.

    In Python that of an estimate, or of a workload on a machine (`attribute` tells why two differ).
    Raises `InputError` for a sweep and for a workload without a machine, and as `predict` does.
    """

    verb: ClassVar[str] = "explain"
    example: ClassVar[str] = "explain gemm M=4096 N=4096 K=4096 --on h200 --on b200"

    workload: Annotated[Estimate | Told | Workload | Training, AS_IS, WORK] = None  # pyright: ignore
    on: Annotated[Machine | None, AS_IS, MANY] = None  # pyright: ignore

    def of(self, workload: Any, on: Any, kernel: Any) -> Explanation:
        """The explanation of an estimate, or of a workload on a machine."""
        return explanation.explain(workload, on, kernel=kernel, **self.run)

    def answer(self) -> Any:
        """On one device an explanation; on two, what the difference between them is due to."""
        if self.has_values:
            self.check_values()
            return self.valued()
        fields, on = self.asked(), several([] if self.on is None else self.on)
        if not 1 <= len(on) <= 2:
            raise InputError(f"--on: expected one device, or two to compare, found {len(on)}")
        if len(on) == 2:
            from hwmodel.whatif.attribution import attribute

            plain = without_run(fields)
            (work, before, kernel), (_, after, _) = (asked({**plain, "on": name}) for name in on)
            return attribute(work, [before, after], kernel=kernel, **self.run)
        request = read({**fields, "on": on[0]})
        return self.over(request.fixed)(request.sizes, machine_for(request.fixed))


explain = in_python(Explain)
